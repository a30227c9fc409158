//! The index of names: which paths a source had in which snapshots, as a file that only grows.
//!
//! A search over all time would read every tree of every snapshot. So each snapshot adds what came and what went, in the
//! order of a walk; a path is told by what differs from the path before. Ten million names take a few hundred megabytes and
//! are searched from front to back, without a table in memory. Each block stands by itself: damage ends the file there, and
//! the rest is made anew from the snapshots.
//!
//! Layout, little-endian: `MAGIC`, the vault (16 bytes), then blocks of `HEADER_BYTES` and a zstd frame. Made from snapshots
//! and disposable, so no other version ever reads a file: a change of layout changes `MAGIC`. Not here: where files lie and
//! what is searched for (`store::past`).

use crate::{Fields, FormatError, Hash};
use std::ops::ControlFlow;

/// First bytes of a file of names.
pub const MAGIC: &[u8; 8] = b"LRDRNAM1";
/// Bytes in front of the first block.
pub const FILE_HEADER_BYTES: usize = 8 + 16;
/// Bytes in front of each block's frame.
pub const HEADER_BYTES: usize = 4 + 4 + 8 + 8 + 1 + 8;
/// Plain bytes of a block, about: large enough for zstd, small enough for memory.
pub const PLAIN_BYTES_AIM: usize = 256 * 1024;
/// No path is longer; longer ones are left out by the writer.
pub const PATH_BYTES_MAX: usize = 32 * 1024;
/// No block has more plain bytes: one record more than the aim.
pub const PLAIN_BYTES_MAX: usize = PLAIN_BYTES_AIM + PATH_BYTES_MAX + RECORD_BYTES;

const WHAT: &str = "a block of names";
const RECORD_BYTES: usize = 1 + 2 + 2;
/// Names are read far more often than written, and shrink well at any level.
const ZSTD_LEVEL: i32 = 1;
const CAME: u8 = 1;
const FOLDER: u8 = 2;

/// The beginning of a file.
pub fn file_header(vault: &[u8; 16]) -> [u8; FILE_HEADER_BYTES] {
    let mut bytes = [0; FILE_HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..].copy_from_slice(vault);
    bytes
}

/// What a snapshot changed about one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameChange<'a> {
    /// Bytes of the path, with `/` between names.
    pub path: &'a [u8],
    /// Whether the path is there from this snapshot on; false from the first snapshot without the path on.
    pub came: bool,
    /// Whether the path is a folder's.
    pub is_folder: bool,
}

/// The snapshot of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamesMark {
    /// Number of the snapshot.
    pub snapshot: u64,
    /// First bytes of its root's name: numbers come again when a disk follows another past.
    pub root: u64,
    /// How far the changes of the snapshot are told with this block.
    pub told: Coverage,
}

/// How far the changes of a snapshot are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// More blocks follow.
    Partly,
    /// This block is the snapshot's last.
    Whole,
    /// This block is the last one, and some changes were left out.
    WithGaps,
}

impl NamesMark {
    /// The mark of a snapshot with this root.
    pub fn new(snapshot: u64, root: &Hash, told: Coverage) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = root.0;
        Self { snapshot, root: u64::from_le_bytes([a, b, c, d, e, f, g, h]), told }
    }
}

/// Makes blocks.
pub struct NamesEncoder {
    plain: Vec<u8>,
    last: Vec<u8>,
    zstd: zstd::bulk::Compressor<'static>,
}

impl Default for NamesEncoder {
    /// # Panics
    /// Without memory for a compressor.
    fn default() -> Self {
        let zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("memory for a compressor");
        Self { plain: Vec::new(), last: Vec::new(), zstd }
    }
}

impl NamesEncoder {
    /// Adds a change; returns whether the block is full. A path beyond `PATH_BYTES_MAX` is left out.
    pub fn push(&mut self, change: &NameChange<'_>) -> bool {
        let path = change.path;
        if path.len() <= PATH_BYTES_MAX {
            let shared = path.iter().zip(&self.last).take_while(|(a, b)| a == b).count();
            let rest = &path[shared..];
            let flags = if change.came { CAME } else { 0 } | if change.is_folder { FOLDER } else { 0 };
            self.plain.push(flags);
            for len in [shared, rest.len()] {
                self.plain.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
            }
            self.plain.extend_from_slice(rest);
            self.last.truncate(shared);
            self.last.extend_from_slice(rest);
        }
        self.plain.len() >= PLAIN_BYTES_AIM
    }

    /// The bytes of the block with what was added, maybe nothing; begins the next block.
    pub fn finish(&mut self, mark: NamesMark) -> Vec<u8> {
        let packed = self.zstd.compress(&self.plain).unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEADER_BYTES + packed.len());
        for len in [packed.len(), self.plain.len()] {
            bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        }
        bytes.extend_from_slice(&mark.snapshot.to_le_bytes());
        bytes.extend_from_slice(&mark.root.to_le_bytes());
        bytes.push(match mark.told {
            Coverage::Partly => 0,
            Coverage::Whole => 1,
            Coverage::WithGaps => 2,
        });
        let check = check(&bytes, &packed);
        bytes.extend_from_slice(&check);
        bytes.extend_from_slice(&packed);
        self.plain.clear();
        self.last.clear();
        bytes
    }
}

fn check(header: &[u8], packed: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header).update(packed);
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    [a, b, c, d, e, f, g, h]
}

/// The claims of a block's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamesHeader {
    /// Bytes of the frame behind the header.
    pub packed_len: usize,
    /// The snapshot.
    pub mark: NamesMark,
    plain_len: usize,
    bytes: [u8; HEADER_BYTES],
}

impl NamesHeader {
    /// Reads a header; its check waits for the frame.
    ///
    /// # Errors
    /// `Invalid` for a length beyond the caps.
    pub fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, WHAT);
        let mut len = || fields.u32().map(|len| usize::try_from(len).unwrap_or(usize::MAX));
        let (packed_len, plain_len) = (len()?, len()?);
        let (snapshot, root) = (u64::from_le_bytes(fields.array()?), u64::from_le_bytes(fields.array()?));
        let told = match fields.u8()? {
            0 => Coverage::Partly,
            1 => Coverage::Whole,
            2 => Coverage::WithGaps,
            _ => return Err(FormatError::Invalid { what: WHAT, why: "nobody knows what its end means" }),
        };
        if plain_len > PLAIN_BYTES_MAX || packed_len > zstd::zstd_safe::compress_bound(PLAIN_BYTES_MAX) {
            return Err(FormatError::Invalid { what: WHAT, why: "it is larger than a block may be" });
        }
        Ok(Self { packed_len, mark: NamesMark { snapshot, root, told }, plain_len, bytes: *bytes })
    }
}

/// Reads blocks, with the memory of one block.
pub struct NamesDecoder {
    plain: Vec<u8>,
    path: Vec<u8>,
    zstd: zstd::bulk::Decompressor<'static>,
}

impl Default for NamesDecoder {
    /// # Panics
    /// Without memory for a decompressor.
    fn default() -> Self {
        let zstd = zstd::bulk::Decompressor::new().expect("memory for a decompressor");
        Self { plain: Vec::with_capacity(PLAIN_BYTES_MAX), path: Vec::new(), zstd }
    }
}

impl NamesDecoder {
    /// Hands every change of a block to `each`, in order, until `each` breaks.
    ///
    /// # Errors
    /// `Damaged` where header and frame do not fit, `Invalid` where a record breaks a rule, `Short` where one ends early.
    pub fn each(
        &mut self,
        header: &NamesHeader,
        packed: &[u8],
        each: &mut dyn FnMut(&NameChange<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, FormatError> {
        let (claimed, kept) = header.bytes.split_at(HEADER_BYTES - 8);
        if check(claimed, packed) != kept {
            return Err(FormatError::Damaged { what: WHAT });
        }
        self.plain.clear();
        let unpacked = self.zstd.decompress_to_buffer(packed, &mut self.plain);
        if unpacked.ok() != Some(header.plain_len) {
            return Err(FormatError::Invalid { what: WHAT, why: "it is not one zstd frame of its size" });
        }
        self.path.clear();
        let mut fields = Fields::new(&self.plain, WHAT);
        while !fields.rest.is_empty() {
            let flags = fields.u8()?;
            let (shared, rest) = (usize::from(fields.u16()?), usize::from(fields.u16()?));
            if shared > self.path.len() || shared + rest > PATH_BYTES_MAX {
                return Err(FormatError::Invalid {
                    what: WHAT,
                    why: "a path goes on from a path that is not there",
                });
            }
            self.path.truncate(shared);
            self.path.extend_from_slice(fields.take(rest)?);
            let (came, is_folder) = (flags & CAME != 0, flags & FOLDER != 0);
            if each(&NameChange { path: &self.path, came, is_folder }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Reads a whole file in memory, as far as it is whole; for the fuzzer and for tests. Returns how many changes were read.
pub fn read_file(bytes: &[u8]) -> usize {
    let mut count = 0;
    let mut decoder = NamesDecoder::default();
    let mut rest = bytes.get(FILE_HEADER_BYTES..).unwrap_or_default();
    while let Some((header, behind)) = rest.split_first_chunk::<HEADER_BYTES>() {
        let Ok(header) = NamesHeader::read(header) else { break };
        let Some((packed, next)) = behind.split_at_checked(header.packed_len) else { break };
        let mut each = |change: &NameChange<'_>| {
            assert!(change.path.len() <= PATH_BYTES_MAX);
            count += 1;
            ControlFlow::Continue(())
        };
        if decoder.each(&header, packed, &mut each).is_err() {
            break;
        }
        rest = next;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARK: NamesMark = NamesMark { snapshot: 9, root: 7, told: Coverage::Whole };

    fn changes() -> impl Strategy<Value = Vec<(Vec<u8>, bool, bool)>> {
        prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..60), any::<bool>(), any::<bool>()),
            0..200,
        )
    }

    fn block(changes: &[(Vec<u8>, bool, bool)]) -> Vec<u8> {
        let mut encoder = NamesEncoder::default();
        for (path, came, is_folder) in changes {
            encoder.push(&NameChange { path, came: *came, is_folder: *is_folder });
        }
        encoder.finish(MARK)
    }

    fn read(bytes: &[u8]) -> Result<Vec<(Vec<u8>, bool, bool)>, FormatError> {
        let (header, packed) = bytes.split_first_chunk().ok_or(FormatError::Short { what: WHAT })?;
        let header = NamesHeader::read(header)?;
        let mut found = Vec::new();
        let mut each = |change: &NameChange<'_>| {
            found.push((change.path.to_vec(), change.came, change.is_folder));
            ControlFlow::Continue(())
        };
        let end = NamesDecoder::default().each(&header, packed, &mut each)?;
        assert_eq!((end, header.mark), (ControlFlow::Continue(()), MARK));
        Ok(found)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(changes in changes()) {
            prop_assert_eq!(read(&block(&changes)), Ok(changes));
        }

        #[test]
        fn any_flipped_bit_is_noticed(changes in changes(), at in any::<prop::sample::Index>(), bit in 0..8u32) {
            let mut bytes = block(&changes);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            read_file(&bytes);
        }
    }

    /// A path beyond the cap would be cut to the length of another path.
    #[test]
    fn a_path_that_is_too_long_is_left_out() {
        let long = vec![b'a'; PATH_BYTES_MAX + 1];
        let changes = [(b"a".to_vec(), true, false), (long, true, false), (b"b".to_vec(), false, true)];
        assert_eq!(read(&block(&changes)).unwrap(), [changes[0].clone(), changes[2].clone()]);
    }

    #[test]
    fn a_full_block_says_so_and_stays_below_the_cap() {
        let mut encoder = NamesEncoder::default();
        let path = |number: u32| format!("{number:09}/{}", "x".repeat(PATH_BYTES_MAX - 10)).into_bytes();
        let mut number = 0;
        while !encoder.push(&NameChange { path: &path(number), came: true, is_folder: false }) {
            number += 1;
        }
        assert!(encoder.plain.len() <= PLAIN_BYTES_MAX, "{}", encoder.plain.len());
        assert_eq!(read(&encoder.finish(MARK)).unwrap().len(), usize::try_from(number).unwrap() + 1);
    }
}
