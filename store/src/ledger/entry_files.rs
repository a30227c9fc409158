//! The files of single entries on one disk.
//!
//! Not here: the whole chain (`files`), many entries in one file (`chapters`).

use crate::disk::{Disk, read_whole};
use larder_format::ledger::{ENTRY_BYTES_MAX, Entry};
use larder_format::{Hash, layout};
use std::io;

pub(crate) fn read_file(disk: &dyn Disk, number: u64) -> io::Result<Vec<u8>> {
    read_whole(disk, &layout::entry(number), ENTRY_BYTES_MAX as u64 + 1024)
}

/// An entry on this disk, if whole.
pub(crate) fn entry_on(disk: &dyn Disk, number: u64) -> Option<(Entry, Hash)> {
    let bytes = read_file(disk, number).ok()?;
    let (entry, hash, len) = Entry::decode(&bytes).ok()?;
    (entry.sequence == number && len == bytes.len()).then_some((entry, hash))
}

/// The bytes of a whole entry whose own number matches its file name.
pub(crate) fn whole_entry(disk: &dyn Disk, number: u64) -> Option<Vec<u8>> {
    let bytes = read_file(disk, number).ok()?;
    let (entry, _, len) = Entry::decode(&bytes).ok()?;
    (entry.sequence == number && len == bytes.len()).then_some(bytes)
}

/// Hash of an entry on this disk, if whole.
pub(crate) fn hash_on(disk: &dyn Disk, number: u64) -> Option<Hash> {
    entry_on(disk, number).map(|(_, hash)| hash)
}
