//! Doors for `format/fuzz` to parsers without another entry. The doors are for the feature `fuzzing`, which no
//! shipped program turns on, and for the test below, which feeds the fuzzer's seeds with some bytes changed. Each
//! door takes any bytes and panics only where a promise is broken.

use crate::{
    owner::spot::Spot,
    platform::path_of_bytes,
    push::cache::{Cache, FolderKey, RecordReader},
    rescue::disk::DiskJson,
};
use std::path::Path;

/// A cache whose records are `parts`, with right checksums: the record of a folder, then further parts. Returns the
/// number of entries in the cache.
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

/// A typed `SOURCE[@WHEN][:PATH]`; gives back the parts.
pub fn spot(typed: &[u8]) -> Option<(String, String, Vec<u8>)> {
    let Spot { source, when, path } = Spot::parse(path_of_bytes(typed).as_os_str()).ok()?;
    Some((source, when, path))
}

/// Whether `disk.json` is whole.
pub fn disk_json(bytes: &[u8]) -> bool {
    DiskJson::read(bytes).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::Hash;
    use std::path::PathBuf;

    /// Changes of each seed.
    const CHANGES: u64 = 300;

    /// Hands over every seed of a target as recorded and with bytes changed, cut off and doubled.
    fn each(target: &str, check: &mut dyn FnMut(&[u8])) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../format/fuzz/corpus").join(target);
        let mut seeds = 0;
        for seed in std::fs::read_dir(&folder).unwrap() {
            let path = seed.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "bin") {
                continue;
            }
            let seed = std::fs::read(path).unwrap();
            check(&seed);
            seeds += 1;
            for number in 0..CHANGES {
                let dice = Hash::of(&number.to_le_bytes()).0;
                let mut bytes = seed.clone();
                let at = usize::from(u16::from_le_bytes([dice[0], dice[1]])) % bytes.len().max(1);
                match dice[2] % 4 {
                    0 => bytes.truncate(at),
                    1 => bytes.extend_from_within(at..),
                    2 => bytes[at] = dice[3],
                    _ => bytes[at] ^= 1 << (dice[3] % 8),
                }
                check(&bytes);
            }
        }
        assert!(seeds > 0, "{} has seeds", folder.display());
    }

    #[test]
    fn changed_seeds_break_no_parser() {
        each("typed", &mut |bytes| drop(spot(bytes)));
        let mut whole = 0;
        each("disk_json", &mut |bytes| whole += u32::from(disk_json(bytes)));
        assert!(whole >= 1 && u64::from(whole) < CHANGES);
        let folder = tempfile::tempdir().unwrap();
        let mut entries = 0;
        each("cache", &mut |bytes| {
            let (mut parts, mut rest) = (Vec::new(), bytes);
            while let Some((len, after)) = rest.split_first_chunk::<2>() {
                let len = usize::from(u16::from_le_bytes(*len)).min(after.len());
                parts.push(&after[..len]);
                rest = &after[len..];
            }
            entries += cache(folder.path(), &parts);
        });
        assert!(entries > 8, "the seeds hold entries");
    }
}
