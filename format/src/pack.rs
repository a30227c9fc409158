//! Packs: many blocks sealed into a single file, never written again.
//!
//! The table comes last, so a single pass can write a pack without knowing the later blocks. The table lists the place
//! of each block and the name of each chunk: 32 bytes a chunk, and no derivable values. A chunk's slot is its number
//! in the list of names. A pack's name is the BLAKE3 of the whole file, so `b3sum` alone can audit a disk.
//! Bytes: FORMAT.md, "Pack". Not here: where packs lie and when a pack is full (`store`).

use crate::{ChunkId, Fields, FormatError, Hash};

/// Layout of packs.
pub const PACK_VERSION: u16 = 1;
/// First bytes of a pack.
pub const PACK_MAGIC: &[u8; 8] = b"LRDRPAK1";
/// First bytes of the footer, the pack's last 64 bytes.
pub const FOOTER_MAGIC: &[u8; 8] = b"LRDREND1";
/// Bytes before the first block.
pub const PACK_HEADER_BYTES: usize = 16;
/// Bytes of the footer.
pub const FOOTER_BYTES: usize = 64;
/// A pack is sealed when the blocks reach this size.
pub const PACK_BYTES_AIM: u64 = 64 * 1024 * 1024;
/// A slot must fit 16 bits in the index.
pub const PACK_CHUNKS_MAX: usize = 65_535;
/// Largest table ever read into memory: every slot used, every block holding a single chunk.
pub const TABLE_BYTES_MAX: usize = PACK_CHUNKS_MAX * (CHUNK_RECORD_BYTES + BLOCK_RECORD_BYTES);
/// Bytes of a chunk in the table: the name.
pub const CHUNK_RECORD_BYTES: usize = 32;

/// Bytes of a block in the table.
pub const BLOCK_RECORD_BYTES: usize = 12;
const CHECK_BYTES: usize = 8;
const WHAT: &str = "a pack";

/// The bytes at the start of a pack. Readers step over `salt`: the salt only gives the same content a new name, since
/// a swept name must never come again.
pub fn header(salt: u32) -> [u8; PACK_HEADER_BYTES] {
    let mut bytes = [0; PACK_HEADER_BYTES];
    bytes[..8].copy_from_slice(PACK_MAGIC);
    bytes[8..10].copy_from_slice(&PACK_VERSION.to_le_bytes());
    bytes[10..12].copy_from_slice(&PACK_VERSION.to_le_bytes()); // The oldest reader that may open it.
    bytes[12..].copy_from_slice(&salt.to_le_bytes());
    bytes
}

/// Whether this reader may open a pack starting with `bytes`.
///
/// # Errors
/// `Short`, `Invalid` (no pack) or `TooNew`.
pub fn check_header(bytes: &[u8]) -> Result<(), FormatError> {
    let mut fields = Fields::new(bytes, WHAT);
    fields.magic(PACK_MAGIC)?;
    let (_written_by, oldest_reader) = (fields.u16()?, fields.u16()?);
    if oldest_reader > PACK_VERSION {
        return Err(FormatError::TooNew { what: WHAT, version: oldest_reader });
    }
    Ok(())
}

/// Where a block lies in the pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockPlace {
    /// Bytes from the start of the pack.
    pub offset: u32,
    /// Bytes of header and stored bytes together.
    pub len: u32,
    /// Slot of the first chunk.
    pub first_slot: u32,
}

impl BlockPlace {
    /// Reads consecutive records, as at the start of a table; bytes behind the last whole record are left out.
    pub fn decode_each(records: &[u8]) -> impl Iterator<Item = Self> + '_ {
        let (records, _) = records.as_chunks::<BLOCK_RECORD_BYTES>();
        records.iter().map(|record| {
            let (fields, _) = record.as_chunks::<4>();
            let [offset, len, first_slot] = [0, 1, 2].map(|field| u32::from_le_bytes(fields[field]));
            Self { offset, len, first_slot }
        })
    }
}

/// A pack's table of its blocks and chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Blocks in the order of their places.
    pub blocks: Vec<BlockPlace>,
    /// Names by slot.
    pub chunks: Vec<ChunkId>,
}

impl Table {
    /// Adds a block written at `offset`.
    ///
    /// # Panics
    /// When offsets leave 32 bits: a pack is sealed at 64 MiB.
    pub fn push(&mut self, offset: u64, len: usize, chunks: impl IntoIterator<Item = ChunkId>) {
        self.blocks.push(BlockPlace {
            offset: u32::try_from(offset).expect("a pack is sealed at 64 MiB"),
            len: u32::try_from(len).expect("a block is below 5 MiB"),
            first_slot: u32::try_from(self.chunks.len()).expect("at most PACK_CHUNKS_MAX slots"),
        });
        self.chunks.extend(chunks);
    }

    /// The block of the chunk in `slot`.
    pub fn block_of(&self, slot: usize) -> Option<BlockPlace> {
        let after = self.blocks.partition_point(|block| block.first_slot as usize <= slot);
        (slot < self.chunks.len()).then(|| self.blocks.get(after.checked_sub(1)?).copied()).flatten()
    }

    /// Names of the chunks in the block number `block`.
    pub fn chunks_of(&self, block: usize) -> &[ChunkId] {
        let from = self.blocks.get(block).map_or(0, |b| b.first_slot as usize);
        let to = self.blocks.get(block + 1).map_or(self.chunks.len(), |b| b.first_slot as usize);
        self.chunks.get(from..to).unwrap_or_default()
    }

    /// Table and footer, to be written behind the last block at `offset`.
    pub fn encode(&self, offset: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(
            self.blocks.len() * BLOCK_RECORD_BYTES + self.chunks.len() * 32 + FOOTER_BYTES,
        );
        for block in &self.blocks {
            for field in [block.offset, block.len, block.first_slot] {
                bytes.extend_from_slice(&field.to_le_bytes());
            }
        }
        self.chunks.iter().for_each(|id| bytes.extend_from_slice(&id.0));
        let footer = Footer {
            blocks: u32::try_from(self.blocks.len()).expect("no more blocks than chunks"),
            chunks: u32::try_from(self.chunks.len()).expect("at most PACK_CHUNKS_MAX"),
            table_offset: offset,
            table_hash: Hash::of(&bytes),
        };
        bytes.extend_from_slice(&footer.encode());
        bytes
    }

    /// Reads a table and checks the hash in the footer.
    ///
    /// # Errors
    /// `Short`, `Damaged`, or `Invalid` when blocks overlap or slots run backwards.
    pub fn decode(footer: &Footer, bytes: &[u8]) -> Result<Self, FormatError> {
        let bytes = bytes.get(..footer.table_len()).ok_or(FormatError::Short { what: "a pack's table" })?;
        if Hash::of(bytes) != footer.table_hash {
            return Err(FormatError::Damaged { what: "a pack's table" });
        }
        let (blocks, names) = bytes.split_at(footer.blocks_len());
        let blocks: Vec<_> = BlockPlace::decode_each(blocks).collect();
        let chunks: Vec<_> = names_of(names).collect();
        let starts_right = blocks.first().is_none_or(|block| block.first_slot == 0);
        let in_order = blocks.windows(2).all(|pair| {
            pair[0].first_slot < pair[1].first_slot
                && u64::from(pair[0].offset) + u64::from(pair[0].len) <= u64::from(pair[1].offset)
        });
        let inside = blocks.last().is_none_or(|block| {
            block.first_slot < footer.chunks
                && u64::from(block.offset) + u64::from(block.len) <= footer.table_offset
        });
        if starts_right && in_order && inside && (blocks.is_empty() == chunks.is_empty()) {
            Ok(Self { blocks, chunks })
        } else {
            Err(FormatError::Invalid { what: "a pack's table", why: "its blocks overlap or run backwards" })
        }
    }
}

/// Consecutive names, as in a table; bytes behind the last whole name are left out.
pub fn names_of(bytes: &[u8]) -> impl Iterator<Item = ChunkId> + '_ {
    let (names, _) = bytes.as_chunks::<CHUNK_RECORD_BYTES>();
    names.iter().map(|name| Hash(*name))
}

/// The last bytes of a pack: where the table lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    /// Number of blocks.
    pub blocks: u32,
    /// Number of chunks.
    pub chunks: u32,
    /// Bytes from the start of the pack.
    pub table_offset: u64,
    /// BLAKE3 of the table.
    pub table_hash: Hash,
}

impl Footer {
    /// Bytes of the table.
    pub fn table_len(&self) -> usize {
        self.blocks_len() + self.chunks as usize * CHUNK_RECORD_BYTES
    }

    /// Bytes of the block records, at the start of the table.
    pub fn blocks_len(&self) -> usize {
        self.blocks as usize * BLOCK_RECORD_BYTES
    }

    /// Where the name in `slot` lies in the pack, to confirm a chunk without reading the whole table.
    pub fn name_offset(&self, slot: u16) -> u64 {
        self.table_offset + self.blocks_len() as u64 + u64::from(slot) * CHUNK_RECORD_BYTES as u64
    }

    fn encode(&self) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[..8].copy_from_slice(FOOTER_MAGIC);
        bytes[8..12].copy_from_slice(&self.blocks.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.chunks.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.table_offset.to_le_bytes());
        bytes[24..56].copy_from_slice(&self.table_hash.0);
        let check = Hash::of(&bytes[..56]);
        bytes[56..].copy_from_slice(&check.0[..CHECK_BYTES]);
        bytes
    }

    /// Reads a pack's last 64 bytes; `pack_len` is the length of the whole file.
    ///
    /// # Errors
    /// `Short`, `Damaged`, or `Invalid` when the table cannot lie at the claimed place.
    pub fn decode(bytes: &[u8], pack_len: u64) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, "a pack's footer");
        fields.magic(FOOTER_MAGIC)?;
        let (blocks, chunks) = (fields.u32()?, fields.u32()?);
        let table_offset = u64::from_le_bytes(fields.array()?);
        let table_hash = Hash(fields.array()?);
        if Hash::of(&bytes[..56]).0[..CHECK_BYTES] != fields.array::<CHECK_BYTES>()? {
            return Err(FormatError::Damaged { what: "a pack's footer" });
        }
        let footer = Self { blocks, chunks, table_offset, table_hash };
        let invalid =
            Err(FormatError::Invalid { what: "a pack's footer", why: "its table does not fit the file" });
        // First: sums of larger counts would not fit the numbers of a 32-bit board.
        if blocks > chunks || chunks as usize > PACK_CHUNKS_MAX {
            return invalid;
        }
        let end = table_offset.checked_add(footer.table_len() as u64 + FOOTER_BYTES as u64);
        if end == Some(pack_len) && table_offset >= PACK_HEADER_BYTES as u64 { Ok(footer) } else { invalid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table() -> Table {
        let mut table = Table::default();
        table.push(16, 100, [Hash::of(b"a"), Hash::of(b"b")]);
        table.push(116, 50, [Hash::of(b"c")]);
        table
    }

    fn read(bytes: &[u8], offset: u64) -> Result<Table, FormatError> {
        let split = bytes.len().checked_sub(FOOTER_BYTES).ok_or(FormatError::Short { what: WHAT })?;
        Table::decode(&Footer::decode(&bytes[split..], offset + bytes.len() as u64)?, bytes)
    }

    #[test]
    fn a_salt_changes_the_name_and_nothing_else() {
        assert_ne!(header(0), header(1));
        assert!(check_header(&header(u32::MAX)).is_ok());
    }

    #[test]
    fn a_slot_leads_to_its_block() {
        let table = table();
        assert_eq!(read(&table.encode(166), 166).unwrap(), table);
        assert_eq!(table.block_of(1).unwrap().offset, 16);
        assert_eq!(table.block_of(2).unwrap().offset, 116);
        assert_eq!(table.block_of(3), None);
        assert_eq!(table.chunks_of(1), [Hash::of(b"c")]);
    }

    #[test]
    fn blocks_that_overlap_or_run_backwards_are_no_table() {
        let read_with = |second| {
            let mut table = Table::default();
            table.push(16, 100, [Hash::of(b"a")]);
            table.push(second, 50, [Hash::of(b"b")]);
            read(&table.encode(166), 166)
        };
        assert!(read_with(116).is_ok());
        for second in [16, 115] {
            assert!(matches!(read_with(second), Err(FormatError::Invalid { .. })), "{second}");
        }
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = table().encode(166);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(read(&bytes, 166).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, offset: u64) {
            let _ = read(&bytes, offset % (1 << 40));
            let _ = check_header(&bytes);
            let _ = Footer::decode(&[&FOOTER_MAGIC[..], &bytes].concat(), offset);
        }
    }
}
