//! Messages about a disk that is refused or has failed.
//!
//! Not here: the decision itself (`members`, `arrival`).

use crate::StoreError;
use crate::disk::{Disk, is_full};
use std::io;

pub(crate) fn is_copy_of(disk: &dyn Disk, twin: &str) -> StoreError {
    let why = format!("it is a copy of the disk at {}; empty it, and it joins as a disk of its own", twin);
    foreign(disk, &why)
}

pub(crate) fn is_more_than_a_copy_of(disk: &dyn Disk, twin: &str, more: usize) -> StoreError {
    let entries = if more == 1 { "an entry" } else { "entries" };
    let why = format!(
        "it is another copy of the disk at {}, and it has {entries} of the ledger that no other disk here has, maybe backups. \
         Do not empty it; `larder rescue` reads what is on it",
        twin
    );
    foreign(disk, &why)
}

pub(crate) fn at(disk: &dyn Disk, path: &str, source: io::Error) -> StoreError {
    if is_full(&source) {
        return StoreError::full_disk(disk);
    }
    StoreError::Disk { path: format!("{}/{path}", disk.name()), source }
}

pub(crate) fn foreign(disk: &dyn Disk, why: &str) -> StoreError {
    StoreError::Foreign { what: format!("the disk at {} cannot be used: {why}", disk.name()) }
}
