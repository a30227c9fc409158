//! Sealed chapters: up to a thousand ledger entries once more, in a single file.
//!
//! A ledger of ten years is a hundred thousand small files, and a disk with a seek for each file needs minutes to read
//! the ledger. So as soon as a folder is full, its entries are also written into a single file. The entries' own files
//! stay. Chapter and entry files can be made from each other, so neither is the only copy on a disk.
//! Bytes: FORMAT.md, "Chapter". Not here: where chapters lie and when a chapter is sealed (`store`).

use super::Entry;
use crate::{Fields, FormatError, Hash};

/// First bytes of a chapter.
pub const CHAPTER_MAGIC: &[u8; 8] = b"LRDRCHP1";
/// Layout of chapters.
pub const CHAPTER_VERSION: u16 = 1;
/// Entry numbers divided by this give the chapter: equal quotients share a chapter and a folder.
pub const CHAPTER_ENTRIES: u64 = 1000;
/// No chapter is larger, or a start would need the memory: entries of prune and sweep can have a mebibyte each. A
/// folder with more bytes has no chapter.
pub const CHAPTER_BYTES_MAX: usize = 4 * 1024 * 1024;

const WHAT: &str = "a chapter of the ledger";
const HEAD_BYTES: usize = 8 + 2 + 2 + 4;

/// The chapter of the entry with this number.
pub fn chapter_of(sequence: u64) -> u64 {
    sequence / CHAPTER_ENTRIES
}

/// Numbers of the entries of a chapter; the first chapter has only 999, since numbers begin with 1.
pub fn entries_of(chapter: u64) -> std::ops::Range<u64> {
    let first = chapter.saturating_mul(CHAPTER_ENTRIES);
    first.max(1)..first.saturating_add(CHAPTER_ENTRIES)
}

/// Makes a chapter from the bytes of the entries' files, in order.
#[derive(Debug)]
pub struct ChapterBuilder {
    bytes: Vec<u8>,
    count: u32,
}

impl Default for ChapterBuilder {
    fn default() -> Self {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(CHAPTER_MAGIC);
        bytes.extend_from_slice(&CHAPTER_VERSION.to_le_bytes());
        bytes.extend_from_slice(&CHAPTER_VERSION.to_le_bytes()); // The oldest reader that may open it.
        bytes.extend_from_slice(&[0; 4]);
        Self { bytes, count: 0 }
    }
}

impl ChapterBuilder {
    /// Adds the bytes of the next entry's file; returns whether the bytes fit.
    pub fn push(&mut self, entry: &[u8]) -> bool {
        if self.bytes.len() + entry.len() + 32 > CHAPTER_BYTES_MAX {
            return false;
        }
        self.bytes.extend_from_slice(entry);
        self.count += 1;
        true
    }

    /// The bytes of the chapter's file.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes[12..HEAD_BYTES].copy_from_slice(&self.count.to_le_bytes());
        let hash = Hash::of(&self.bytes);
        self.bytes.extend_from_slice(&hash.0);
        self.bytes
    }
}

/// An entry of a chapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChapterEntry<'a> {
    /// The entry's content.
    pub entry: Entry,
    /// The entry's hash.
    pub hash: Hash,
    /// Bytes of the entry's own file.
    pub bytes: &'a [u8],
}

/// A whole chapter: every entry follows the previous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter<'a> {
    /// Hash of the whole file: equal on two disks exactly if the entries are equal.
    pub hash: Hash,
    /// In their order, without a gap.
    pub entries: Vec<ChapterEntry<'a>>,
}

impl<'a> Chapter<'a> {
    /// Reads the chapter with this number.
    ///
    /// # Errors
    /// `Short`, `Damaged`, `TooNew`, or `Invalid` where an entry is missing, damaged or does not follow the previous.
    pub fn decode(chapter: u64, bytes: &'a [u8]) -> Result<Self, FormatError> {
        let end = bytes.len().checked_sub(32).ok_or(FormatError::Short { what: WHAT })?;
        let mut fields = Fields::new(&bytes[..end], WHAT);
        fields.magic(CHAPTER_MAGIC)?;
        let hash = Hash::of(&bytes[..end]);
        if hash.0 != bytes[end..] {
            return Err(FormatError::Damaged { what: WHAT });
        }
        let (_written_by, oldest_reader) = (fields.u16()?, fields.u16()?);
        if oldest_reader > CHAPTER_VERSION {
            return Err(FormatError::TooNew { what: WHAT, version: oldest_reader });
        }
        let count = u64::from(fields.u32()?);
        let numbers = entries_of(chapter);
        if count != numbers.end - numbers.start {
            return Err(FormatError::Invalid { what: WHAT, why: "it has not all of its entries" });
        }
        let mut rest = &bytes[HEAD_BYTES..end];
        let mut entries = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        let mut before = None;
        for number in numbers {
            let (entry, hash, len) = Entry::decode(rest)?;
            if entry.sequence != number || before.is_some_and(|before| before != entry.previous) {
                return Err(FormatError::Invalid { what: WHAT, why: "its entries do not follow each other" });
            }
            before = Some(hash);
            let (bytes, behind) = rest.split_at(len);
            entries.push(ChapterEntry { entry, hash, bytes });
            rest = behind;
        }
        if !rest.is_empty() {
            return Err(FormatError::Invalid { what: WHAT, why: "something is behind its last entry" });
        }
        Ok(Self { hash, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Event, WallStamp};
    use proptest::prelude::*;

    /// The files of the first chapter and of the entries behind.
    fn files(count: u64) -> Vec<Vec<u8>> {
        let mut previous = Hash::ZERO;
        let file = |sequence| {
            let event = Event::HoldCleared { sequence };
            let (bytes, hash) = Entry { sequence, previous, stamp: WallStamp::default(), event }.encode();
            previous = hash;
            bytes
        };
        (1..=count).map(file).collect()
    }

    fn chapter(files: &[Vec<u8>]) -> Vec<u8> {
        let mut builder = ChapterBuilder::default();
        assert!(files.iter().all(|file| builder.push(file)));
        builder.finish()
    }

    #[test]
    fn a_chapter_gives_back_the_files_that_it_was_made_of() {
        let files = files(2 * CHAPTER_ENTRIES - 1);
        let (first, second) = files.split_at(999);
        for (number, files) in [(0, first), (1, second)] {
            let bytes = chapter(files);
            let found: Vec<_> =
                Chapter::decode(number, &bytes).unwrap().entries.iter().map(|e| e.bytes).collect();
            assert_eq!(found, files);
            assert!(Chapter::decode(1 - number, &bytes).is_err());
        }
    }

    #[test]
    fn a_chapter_is_gapless_and_chained() {
        let files = files(999);
        assert!(Chapter::decode(0, &chapter(&files[..998])).is_err());
        let mut swapped = files.clone();
        swapped.swap(3, 4);
        assert!(Chapter::decode(0, &chapter(&swapped)).is_err());
        let event = Event::HoldCleared { sequence: 1 };
        let other = Entry { sequence: 5, previous: Hash::ZERO, stamp: WallStamp::default(), event };
        let mut forged = files;
        forged[4] = other.encode().0;
        assert!(Chapter::decode(0, &chapter(&forged)).is_err());
    }

    #[test]
    fn a_chapter_that_would_be_too_large_is_not_made() {
        let mut builder = ChapterBuilder::default();
        let entry = vec![0; CHAPTER_BYTES_MAX / 2];
        assert!(builder.push(&entry) && !builder.push(&entry));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_flipped_bit_is_noticed(at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = chapter(&files(999));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Chapter::decode(0, &bytes).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_panic(body: Vec<u8>, chapter in 0u64..3) {
            let _ = Chapter::decode(chapter, &body);
            let mut bytes = [&CHAPTER_MAGIC[..], &[1, 0, 1, 0, 231, 3, 0, 0], &body].concat();
            bytes.extend(Hash::of(&bytes).0);
            let _ = Chapter::decode(chapter, &bytes);
        }
    }
}
