//! Doors for `format/fuzz` to parsers that nobody else reaches. Behind the feature `fuzzing`, which nothing that ships
//! turns on. Each takes any bytes and panics only where a promise is broken.

use crate::{
    cache::{Cache, FolderKey, RecordReader},
    owner::spot::Spot,
    rescue::disk::Facts,
};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

/// A cache whose records are `parts`, with checksums that are right: the record of a folder, and its further parts.
/// Returns how many entries it holds.
///
/// # Panics
/// When `folder` cannot be written to.
pub fn cache(folder: &Path, parts: &[&[u8]]) -> usize {
    let path = folder.join("cache");
    let fresh = Cache::open_empty(path.clone());
    let key = FolderKey::root(b"fuzzed");
    let Some((first, further)) = parts.split_first() else { return 0 };
    fresh.put(key, first);
    for (number, part) in (0..).zip(further) {
        fresh.put(key.part(number), part);
    }
    fresh.finish().expect("a folder that can be written to");
    let cache = Cache::open(path);
    let Some(mut reader) = RecordReader::open(&cache, key) else { return 0 };
    let mut entries = 0;
    for _ in 0..2 {
        entries = 0;
        while let Some(entry) = reader.peek() {
            let _ = entry.decode();
            entries += 1;
            reader.step();
        }
        if reader.rewind().is_none() {
            break;
        }
    }
    entries
}

/// `SOURCE[@WHEN][:PATH]` as it is typed; gives back what was understood.
pub fn spot(typed: &[u8]) -> Option<(String, String, Vec<u8>)> {
    let Spot { source, when, path } = Spot::parse(OsStr::from_bytes(typed)).ok()?;
    Some((source, when, path))
}

/// `disk.json`: whether it is whole.
pub fn disk_json(bytes: &[u8]) -> bool {
    Facts::read(bytes).is_some()
}
