//! A small value on a disk that changes now and then: each version is a file under the next number, and earlier files go.
//!
//! No file is ever replaced, so a power cut leaves the old version, the new version, or both. If the newest is damaged
//! the version before counts; losing the value must cost no more than some work. Not here: the meaning of the values
//! (`scrub`, `repair`).

use crate::disk::{Disk, read_whole, remove_if_there, write_whole};
use larder_format::care::{self, Note};
use larder_format::layout::SCRUB;
use std::io;

/// The kind of value.
pub(crate) struct Numbered {
    /// The ending of the value's files, with the dot.
    pub(crate) ending: &'static str,
    /// Path of a version before it is durable; used by no other value.
    pub(crate) part: &'static str,
    /// A longer file is damaged.
    pub(crate) bytes_max: u64,
}

impl Numbered {
    /// The newest whole version; the default value without any.
    pub(crate) fn read<T: Note + Default>(&self, disk: &dyn Disk) -> T {
        let mut numbers = self.numbers_on(disk).unwrap_or_default();
        while let Some((number, _)) = numbers.pop() {
            let bytes = read_whole(disk, &self.path(number), self.bytes_max).ok();
            if let Some(Ok(value)) = bytes.map(|bytes| care::decode(&bytes)) {
                return value;
            }
        }
        T::default()
    }

    /// Writes a version durable under the next number, and removes the versions before.
    ///
    /// # Errors
    /// Any error of the disk; the version before is then still there.
    pub(crate) fn write<T: Note>(&self, disk: &dyn Disk, value: &T) -> io::Result<()> {
        let old = self.numbers_on(disk)?;
        let number = old.last().map_or(1, |(last, _)| last + 1);
        write_whole(disk, self.part, &self.path(number), &care::encode(value))?;
        // A folder is no version, and an unlink of a folder would look like a failing disk.
        let files = old.into_iter().filter(|(_, is_folder)| !is_folder);
        // A file may have another name, given by hand: no failure of the disk.
        files.map(|(old, _)| old).try_for_each(|old| remove_if_there(disk, &self.path(old)))
    }

    fn path(&self, number: u64) -> String {
        format!("{SCRUB}/{number:016}{}", self.ending)
    }

    /// Used numbers, in rising order, and whether a folder has each.
    fn numbers_on(&self, disk: &dyn Disk) -> io::Result<Vec<(u64, bool)>> {
        let items = disk.list(SCRUB)?;
        let number = |name: &str| name.strip_suffix(self.ending)?.parse().ok();
        let numbers = items.iter().filter_map(|item| Some((number(&item.name)?, item.is_folder)));
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}
