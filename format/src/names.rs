//! The index of names: which paths a source had in which snapshots, as a file that only grows.
//!
//! A search over all time would read every tree of every snapshot. So each snapshot adds what came and what went, in the
//! order of a walk. Ten million names take a few hundred megabytes and are searched from front to back, without a table in
//! memory. Each block stands by itself: damage ends the file there, and the rest is made anew from the snapshots.
//!
//! Layout, little-endian: `MAGIC`, the vault (16 bytes), then blocks of `HEADER_BYTES`, a filter (`filter.rs`) and a zstd frame
//! around the records of `block.rs`. Made from snapshots and disposable, so no other version ever reads a file: a change of layout changes `MAGIC`.
//! Not here: where files lie and what is searched for (`store::past`).

mod block;
mod filter;

pub use block::{NameRecord, NameRecords, NamesBlock, NamesGroup, folded};
pub use filter::{FILTER_BYTES, NamesFilter};

use crate::{Fields, FormatError, Hash};

/// First bytes of a file of names.
pub const MAGIC: &[u8; 8] = b"LRDRNAM2";
/// Bytes in front of the first block.
pub const FILE_HEADER_BYTES: usize = 8 + 16;
/// Bytes in front of each block's filter.
pub const HEADER_BYTES: usize = CHECKED_BYTES + 8;
/// Lengths of frame, plain bytes and filter, snapshot, root, coverage, check of the frame.
const CHECKED_BYTES: usize = 4 + 4 + 2 + 8 + 8 + 1 + 8;
/// Plain bytes of a block, about: large enough for zstd, small enough for memory.
pub const PLAIN_BYTES_AIM: usize = 256 * 1024;
/// No path is longer, nor can Linux open a longer one at once; the writer leaves longer ones out. Each group of names repeats
/// the path of its folder, so that a tree of a few nodes could become gigabytes of long paths.
pub const PATH_BYTES_MAX: usize = 4096;
/// No block has more plain bytes: the records of one change more than the aim.
pub const PLAIN_BYTES_MAX: usize = PLAIN_BYTES_AIM + block::CHANGE_BYTES_MAX;

const WHAT: &str = "a block of names";
/// Names are read far more often than written, and shrink well at any level.
const ZSTD_LEVEL: i32 = 1;

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
    /// The folder of the newest record.
    folder: Vec<u8>,
    zstd: zstd::bulk::Compressor<'static>,
}

impl Default for NamesEncoder {
    /// # Panics
    /// Without memory for a compressor.
    fn default() -> Self {
        let zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("memory for a compressor");
        Self { plain: Vec::new(), folder: Vec::new(), zstd }
    }
}

impl NamesEncoder {
    /// Adds a change; returns whether the block is full. A path beyond `PATH_BYTES_MAX`, or with a NUL, is left out.
    pub fn push(&mut self, change: &NameChange<'_>) -> bool {
        block::push(&mut self.plain, &mut self.folder, change);
        self.plain.len() >= PLAIN_BYTES_AIM
    }

    /// The bytes of the block with what was added, maybe nothing; begins the next block.
    pub fn finish(&mut self, mark: NamesMark) -> Vec<u8> {
        let packed = self.zstd.compress(&self.plain).unwrap_or_default();
        let lower = self.plain.to_ascii_lowercase();
        let block = NamesBlock::new(&self.plain, &lower).into_iter();
        let folders = block.flat_map(|block| block.groups()).flatten().map(|group| group.folder);
        let filter = filter::filter_of(&lower, folders);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + filter.len() + packed.len());
        for len in [packed.len(), self.plain.len()] {
            bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        }
        bytes.extend_from_slice(&u16::try_from(filter.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend_from_slice(&mark.snapshot.to_le_bytes());
        bytes.extend_from_slice(&mark.root.to_le_bytes());
        bytes.push(match mark.told {
            Coverage::Partly => 0,
            Coverage::Whole => 1,
            Coverage::WithGaps => 2,
        });
        bytes.extend_from_slice(&check(&[&packed]));
        let check = check(&[&bytes, &filter]);
        for part in [&check[..], &filter, &packed] {
            bytes.extend_from_slice(part);
        }
        self.plain.clear();
        self.folder.clear();
        bytes
    }
}

fn check(parts: &[&[u8]]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    [a, b, c, d, e, f, g, h]
}

/// The claims of a block's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamesHeader {
    /// Bytes of the filter behind the header.
    pub filter_len: usize,
    /// Bytes of the frame behind the filter.
    pub packed_len: usize,
    /// The snapshot.
    pub mark: NamesMark,
    plain_len: usize,
    bytes: [u8; HEADER_BYTES],
}

impl NamesHeader {
    /// Reads a header; its check waits for the filter.
    ///
    /// # Errors
    /// `Invalid` for a length beyond the caps.
    pub fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, WHAT);
        let mut len = || fields.u32().map(|len| usize::try_from(len).unwrap_or(usize::MAX));
        let (packed_len, plain_len) = (len()?, len()?);
        let filter_len = usize::from(fields.u16()?);
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
        if ![0, FILTER_BYTES].contains(&filter_len) {
            return Err(FormatError::Invalid { what: WHAT, why: "no filter is of its size" });
        }
        let mark = NamesMark { snapshot, root, told };
        Ok(Self { filter_len, packed_len, mark, plain_len, bytes: *bytes })
    }

    /// Bytes of the block.
    pub fn block_len(&self) -> usize {
        HEADER_BYTES + self.filter_len + self.packed_len
    }

    /// The header with its filter.
    ///
    /// # Errors
    /// `Damaged` where they do not fit.
    pub fn with_filter<'a>(&self, filter: &'a [u8]) -> Result<NamesHead<'a>, FormatError> {
        let (claimed, kept) = self.bytes.split_at(CHECKED_BYTES);
        if check(&[claimed, filter]) != kept {
            return Err(FormatError::Damaged { what: WHAT });
        }
        Ok(NamesHead { header: *self, filter: NamesFilter(filter) })
    }
}

/// What lies in front of a frame, checked.
#[derive(Debug, Clone, Copy)]
pub struct NamesHead<'a> {
    /// The header.
    pub header: NamesHeader,
    /// What is not in the block.
    pub filter: NamesFilter<'a>,
}

/// Reads blocks, with the memory of one block.
pub struct NamesDecoder {
    plain: Vec<u8>,
    lower: Vec<u8>,
    zstd: zstd::bulk::Decompressor<'static>,
}

impl Default for NamesDecoder {
    /// # Panics
    /// Without memory for a decompressor.
    fn default() -> Self {
        let zstd = zstd::bulk::Decompressor::new().expect("memory for a decompressor");
        Self { plain: Vec::with_capacity(PLAIN_BYTES_MAX), lower: Vec::new(), zstd }
    }
}

impl NamesDecoder {
    /// Unpacks a block.
    ///
    /// # Errors
    /// `Damaged` where header and frame do not fit, `Invalid` where the frame holds no records.
    pub fn unpack(&mut self, head: &NamesHead<'_>, packed: &[u8]) -> Result<NamesBlock<'_>, FormatError> {
        let header = &head.header;
        if check(&[packed]) != header.bytes[CHECKED_BYTES - 8..CHECKED_BYTES] {
            return Err(FormatError::Damaged { what: WHAT });
        }
        self.plain.clear();
        let unpacked = self.zstd.decompress_to_buffer(packed, &mut self.plain);
        if unpacked.ok() != Some(header.plain_len) {
            return Err(FormatError::Invalid { what: WHAT, why: "it is not one zstd frame of its size" });
        }
        self.lower.clear();
        self.lower.extend_from_slice(&self.plain);
        self.lower.make_ascii_lowercase();
        NamesBlock::new(&self.plain, &self.lower)
    }
}

/// Reads a whole file in memory, as far as it is whole; for the fuzzer and for tests. Returns how many changes were read.
pub fn read_file(bytes: &[u8]) -> usize {
    let mut count = 0;
    let mut decoder = NamesDecoder::default();
    let mut rest = bytes.get(FILE_HEADER_BYTES..).unwrap_or_default();
    while let Some((header, behind)) = rest.split_first_chunk::<HEADER_BYTES>() {
        let Ok(header) = NamesHeader::read(header) else { break };
        let Some((filter, behind)) = behind.split_at_checked(header.filter_len) else { break };
        let Ok(head) = header.with_filter(filter) else { break };
        let Some((packed, next)) = behind.split_at_checked(header.packed_len) else { break };
        let Ok(block) = decoder.unpack(&head, packed) else { break };
        for group in block.groups() {
            let Ok(group) = group else { return count };
            for record in group.records() {
                let Ok(record) = record else { return count };
                assert!(head.filter.may_have_folder(group.folder));
                assert!(head.filter.may_have_text(record.folded));
                count += 1;
            }
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

    /// Paths of any bytes that a name may have, with some folders coming again and again.
    fn changes() -> impl Strategy<Value = Vec<(Vec<u8>, bool, bool)>> {
        let any_byte = any::<u8>().prop_map(|byte| if [0, b'/'].contains(&byte) { b'~' } else { byte });
        let name = prop_oneof![
            prop::collection::vec(any_byte, 1..20),
            "[aA+~*é\u{308}]{1,4}".prop_map(String::into_bytes),
        ];
        let path = prop::collection::vec(name, 1..4).prop_map(|names| names.join(&b'/'));
        // Small blocks without a filter, and large ones with.
        let count = prop_oneof![9 => 0..200usize, 1 => 2500..2600usize];
        count.prop_flat_map(move |count| {
            prop::collection::vec((path.clone(), any::<bool>(), any::<bool>()), count)
        })
    }

    fn block(changes: &[(Vec<u8>, bool, bool)]) -> Vec<u8> {
        let mut encoder = NamesEncoder::default();
        for (path, came, is_folder) in changes {
            encoder.push(&NameChange { path, came: *came, is_folder: *is_folder });
        }
        encoder.finish(MARK)
    }

    fn read(bytes: &[u8]) -> Result<Vec<(Vec<u8>, bool, bool)>, FormatError> {
        let (header, behind) = bytes.split_first_chunk().ok_or(FormatError::Short { what: WHAT })?;
        let header = NamesHeader::read(header)?;
        let (filter, packed) =
            behind.split_at_checked(header.filter_len).ok_or(FormatError::Short { what: WHAT })?;
        let head = header.with_filter(filter)?;
        let mut decoder = NamesDecoder::default();
        let mut found = Vec::new();
        for group in decoder.unpack(&head, packed)?.groups() {
            let group = group?;
            assert!(head.filter.may_have_folder(group.folder));
            assert_eq!(group.folded_folder, &*folded(group.folder));
            for record in group.records() {
                let record = record?;
                assert_eq!(record.folded, &*folded(record.name));
                assert!(head.filter.may_have_text(record.folded));
                let mut path = Vec::new();
                group.path_of(record.name, &mut path);
                found.push((path, record.came, record.is_folder));
            }
        }
        assert_eq!(header.mark, MARK);
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

    /// A search that unpacks every block is ten times slower.
    #[test]
    fn a_filter_rules_out_nearly_everything_that_is_not_there() {
        let path =
            |number: u32| format!("Fotos/Jahr {}/IMG_{:08}.JPG", number / 200, number.wrapping_mul(SOME));
        const SOME: u32 = 2_654_435_761;
        let mut encoder = NamesEncoder::default();
        let mut number = 0;
        while !encoder.push(&NameChange { path: path(number).as_bytes(), came: true, is_folder: false }) {
            number += 1;
        }
        let bytes = encoder.finish(MARK);
        let (header, behind) = bytes.split_first_chunk().unwrap();
        let header = NamesHeader::read(header).unwrap();
        let filter = header.with_filter(&behind[..header.filter_len]).unwrap().filter;
        assert!(filter.may_have_text(b"img_") && filter.may_have_folder(b"Fotos/Jahr 3"));
        // Numbers in letters: nearly every three digits in a row are there.
        let letters = |number: u32| number.to_string().bytes().map(|digit| digit + b'a' - b'0').collect();
        let others = (100_000..101_000).map(|number: u32| letters(number.wrapping_mul(SOME)));
        let taken: Vec<Vec<u8>> = others.filter(|other: &Vec<u8>| filter.may_have_text(other)).collect();
        assert!(taken.len() < 50, "{}", taken.len());
        let folders = (1000..2000).filter(|year| filter.may_have_folder(format!("Jahr {year}").as_bytes()));
        assert!(folders.count() < 50);
    }

    /// A path with a NUL would be two records.
    #[test]
    fn a_path_that_cannot_be_told_is_left_out() {
        let long = vec![b'a'; PATH_BYTES_MAX + 1];
        let (first, last) = ((b"a".to_vec(), true, false), (b"b".to_vec(), false, true));
        let changes = [first.clone(), (long, true, false), (b"c\0+d".to_vec(), true, false), last.clone()];
        assert_eq!(read(&block(&changes)).unwrap(), [first, last]);
    }

    #[test]
    fn a_full_block_says_so_and_stays_below_the_cap() {
        let mut encoder = NamesEncoder::default();
        // As many folded bytes as a byte can have, in a folder and in a name.
        let longest = vec![b'\xff'; PATH_BYTES_MAX / 2 - 5];
        let path = |number: u32| [format!("{number:09}").as_bytes(), &longest[9..], b"/", &longest].concat();
        let mut number = 0;
        while !encoder.push(&NameChange { path: &path(number), came: true, is_folder: false }) {
            number += 1;
        }
        assert!(encoder.plain.len() <= PLAIN_BYTES_MAX, "{}", encoder.plain.len());
        assert_eq!(read(&encoder.finish(MARK)).unwrap().len(), usize::try_from(number).unwrap() + 1);
    }
}
