//! Chapters: a full folder of ledger entries once more in one file, so that a start opens a hundred files and not a
//! hundred thousand.
//!
//! A disk seals a chapter from its own entries alone, so a chapter never names an entry that its disk lacks. The entries
//! stay: entries and chapter repair each other. Not here: the bytes (`format`), reading a whole ledger
//! (`files`).

use crate::disk::{Disk, read_whole, write_whole};
use crate::ledger::entry_files::whole_entry;
use larder_format::layout::{self, unfinished};
use larder_format::ledger::chapter::{CHAPTER_BYTES_MAX, Chapter, ChapterBuilder, chapter_of, entries_of};
use larder_format::{FormatError, Hash};
use std::io;

/// The bytes of a whole chapter on this disk, and the hash over the chapter's entries.
pub(crate) fn read(disk: &dyn Disk, chapter: u64) -> Option<(Vec<u8>, Hash)> {
    let bytes = read_whole(disk, &layout::chapter(chapter), CHAPTER_BYTES_MAX as u64).ok()?;
    let hash = Chapter::decode(chapter, &bytes).ok()?.hash;
    Some((bytes, hash))
}

/// Whether the chapter on this disk is whole and agrees with the whole entries beside it. A chapter for a newer Larder only
/// is not judged.
pub(crate) fn is_as_its_entries(disk: &dyn Disk, chapter: u64) -> bool {
    let Ok(bytes) = read_whole(disk, &layout::chapter(chapter), CHAPTER_BYTES_MAX as u64) else {
        return false;
    };
    match Chapter::decode(chapter, &bytes) {
        Ok(read) => read
            .entries
            .iter()
            .all(|found| whole_entry(disk, found.entry.sequence).is_none_or(|file| file == found.bytes)),
        Err(FormatError::TooNew { .. }) => true,
        Err(_) => false,
    }
}

/// Bytes of one entry's file, out of the disk's chapter.
pub(crate) fn entry(disk: &dyn Disk, sequence: u64) -> Option<Vec<u8>> {
    let number = chapter_of(sequence);
    let (bytes, _) = read(disk, number)?;
    let chapter = Chapter::decode(number, &bytes).ok()?;
    chapter.entries.iter().find(|found| found.entry.sequence == sequence).map(|found| found.bytes.to_vec())
}

/// Seals a chapter from the disk's own entries, durable on return. Returns whether sealing was possible: not with an
/// entry missing, damaged or out of its chain, or with entries that are too large.
pub(crate) fn seal(disk: &dyn Disk, chapter: u64) -> io::Result<bool> {
    let mut builder = ChapterBuilder::default();
    for sequence in entries_of(chapter) {
        let Some(entry) = whole_entry(disk, sequence) else { return Ok(false) };
        if !builder.push(&entry) {
            return Ok(false);
        }
    }
    let bytes = builder.finish();
    if Chapter::decode(chapter, &bytes).is_err() {
        return Ok(false);
    }
    match write_whole(disk, unfinished::CHAPTER, &layout::chapter(chapter), &bytes) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
        written => written.map(|()| true),
    }
}
