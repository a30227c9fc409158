//! A few whole files of each push, hashed by a second reading.
//!
//! A chunk is named by the hash of the bytes as read. A bit that flips between the disk and the hash, or a mistake in
//! the cutting, gets a name like any other bytes, and every later check finds the name right. The hash of the whole
//! file comes from a second reading that shares nothing with the first reading, so a drill can compare a restored
//! file with the hash.
//!
//! Files are drawn by lot: a few of the files that the push read, and a small file that the push did not read, so
//! that over many pushes every file comes round. The draw costs two comparisons for each file, and the second reading
//! is bounded. Not here: the use of the hashes (the appliance keeps the hashes with the snapshot).

use crate::{
    handle::Handle,
    platform::{FileKind, FileStatus, OwnerIds, status_of},
};
use larder_format::{
    Hash,
    ledger::ORIGIN_BYTES_MAX,
    wire::{CONTENTS_MAX, ContentHash},
};
use std::{
    collections::BTreeMap,
    io::Read,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Bytes that a push reads a second time, for a single file and together: half a second on a slow disk.
const READ_AGAIN_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of a file that the push did not read before: a push without changes must not take longer because of the
/// file.
const UNREAD_BYTES_MAX: u64 = 1024 * 1024;

/// The draw of a push, for every walker.
pub(crate) struct Sample {
    seed: u64,
    read: Draw,
    unread: Draw,
}

/// The files with the lowest lots so far.
struct Draw {
    files_max: usize,
    /// A lot from here on is not drawn. Asked without the lock: most files end here.
    first_refused: AtomicU64,
    drawn: Mutex<BTreeMap<u64, DrawnFile>>,
}

/// A file as the walk saw the file.
struct DrawnFile {
    folder: Arc<Handle>,
    name: Vec<u8>,
    status: FileStatus,
}

impl Sample {
    /// A draw by the random number of a push, different for each push.
    pub(crate) fn new(push: u128) -> Self {
        let seed = u64::try_from(push >> 64).expect("64 bits are left");
        Self { seed, read: Draw::new(CONTENTS_MAX), unread: Draw::new(1) }
    }

    /// Offers a file that the push has read.
    pub(crate) fn put_read(&self, folder: &Arc<Handle>, name: &[u8], status: &FileStatus) {
        if status.kind == FileKind::File && (1..=READ_AGAIN_BYTES_MAX).contains(&status.size) {
            self.read.put(self.lot(status), || DrawnFile::new(folder, name, status));
        }
    }

    /// Offers a file that is unchanged since the last push.
    pub(crate) fn put_unread(&self, folder: &Arc<Handle>, name: &[u8], status: &FileStatus) {
        if status.kind == FileKind::File && (1..=UNREAD_BYTES_MAX).contains(&status.size) {
            self.unread.put(self.lot(status), || DrawnFile::new(folder, name, status));
        }
    }

    /// A number that is as good as random, and equal for every name of a file.
    fn lot(&self, status: &FileStatus) -> u64 {
        // The mixing function of SplitMix64 (Steele, Lea, Flood 2014).
        let mut lot = self.seed ^ status.inode ^ status.device.rotate_left(32);
        lot = (lot ^ (lot >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        lot = (lot ^ (lot >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        lot ^ (lot >> 31)
    }

    /// Reads and hashes the drawn files. A file that changed since the walk, or is no longer readable, is left out: a
    /// hash of other content would prove nothing.
    pub(crate) fn hash(&self, own: OwnerIds) -> Vec<ContentHash> {
        let mut bytes_left = READ_AGAIN_BYTES_MAX;
        // The unread file first: with many new files, the turn of an unread file would never come.
        let drawn = self.unread.take().chain(self.read.take());
        let hashed = drawn.filter_map(|file| {
            bytes_left = bytes_left.checked_sub(file.status.size)?;
            file.hash(own)
        });
        let mut path_bytes_left = ORIGIN_BYTES_MAX;
        let fitting = hashed.filter(|content: &ContentHash| {
            let left = path_bytes_left.checked_sub(content.path.len());
            path_bytes_left = left.unwrap_or(path_bytes_left);
            left.is_some()
        });
        fitting.take(CONTENTS_MAX).collect()
    }
}

impl Draw {
    fn new(files_max: usize) -> Self {
        Self { files_max, first_refused: AtomicU64::new(u64::MAX), drawn: Mutex::default() }
    }

    fn put(&self, lot: u64, file: impl FnOnce() -> DrawnFile) {
        if lot >= self.first_refused.load(Relaxed) {
            return;
        }
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        drawn.insert(lot, file());
        if drawn.len() > self.files_max {
            drawn.pop_last();
        }
        if let (true, Some((last, _))) = (drawn.len() == self.files_max, drawn.last_key_value()) {
            self.first_refused.store(*last, Relaxed);
        }
    }

    /// The drawn files, in the order of the lots.
    fn take(&self) -> impl Iterator<Item = DrawnFile> + use<> {
        std::mem::take(&mut *self.drawn.lock().unwrap_or_else(PoisonError::into_inner)).into_values()
    }
}

impl DrawnFile {
    fn new(folder: &Arc<Handle>, name: &[u8], status: &FileStatus) -> Self {
        Self { folder: Arc::clone(folder), name: name.to_owned(), status: *status }
    }

    fn hash(&self, own: OwnerIds) -> Option<ContentHash> {
        let path = self.folder.path_of(&self.name);
        if path.len() > ORIGIN_BYTES_MAX {
            return None;
        }
        let file = self.folder.open().ok()?.as_ref().open_file_quietly(&self.name, &self.status, own).ok()?;
        let is_unchanged = || status_of(&file).is_ok_and(|status| status.same_state(&self.status));
        if !is_unchanged() {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        // A byte more than the size: a growing file is not read without end.
        hasher.update_reader((&file).take(self.status.size + 1)).ok()?;
        let is_whole = hasher.count() == self.status.size && is_unchanged();
        is_whole.then(|| ContentHash { path, hash: Hash(*hasher.finalize().as_bytes()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        handle::Budget,
        platform::{OpenFolder, own_ids},
    };
    use std::{collections::BTreeSet, fs, io::Write, path::Path, time::SystemTime};

    /// Hashes the files of a folder that `seed` draws; files called `read…` count as read. `change` is called between
    /// the draw and the second reading.
    fn drawn(folder: &Path, seed: u64, change: impl FnOnce()) -> Vec<ContentHash> {
        let handle = Handle::root(OpenFolder::open(folder).unwrap(), Budget::new(9)).unwrap();
        let opened = handle.open().unwrap();
        let sample = Sample::new(u128::from(seed) << 64);
        let listing = opened.as_ref().list(&mut Vec::new()).unwrap();
        for name in (0..listing.len()).map(|position| listing.name(position)) {
            let status = opened.as_ref().status_at(name).unwrap();
            if name.starts_with(b"read") {
                sample.put_read(&handle, name, &status);
            } else {
                sample.put_unread(&handle, name, &status);
            }
        }
        change();
        sample.hash(own_ids())
    }

    fn paths(hashes: &[ContentHash]) -> Vec<&str> {
        hashes.iter().map(|content| content.path.as_str()).collect()
    }

    #[test]
    fn over_many_pushes_every_file_comes_round() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..30 {
            fs::write(folder.path().join(format!("kept-{number}")), [number; 99]).unwrap();
        }
        let mut seen = BTreeSet::new();
        for seed in 0..400u64 {
            let hashes = drawn(folder.path(), seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), || ());
            assert_eq!(hashes.len(), 1, "one small file");
            seen.extend(hashes.into_iter().map(|content| content.path));
        }
        assert_eq!(seen.len(), 30);
    }

    #[test]
    fn what_was_read_is_drawn_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..40u8 {
            fs::write(folder.path().join(format!("read-{number}")), [number; 99]).unwrap();
        }
        for name in ["read-empty", "kept-empty"] {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        let large = |name: &str, bytes| {
            fs::File::create(folder.path().join(name)).unwrap().set_len(bytes).unwrap();
        };
        large("kept-large", UNREAD_BYTES_MAX + 1);
        large("read-too-large", READ_AGAIN_BYTES_MAX + 1);
        let hashes = drawn(folder.path(), 1, || ());
        assert_eq!(hashes.len(), CONTENTS_MAX);
        for ContentHash { path, hash } in &hashes {
            assert_eq!(*hash, Hash::of(&fs::read(folder.path().join(path)).unwrap()), "{path}");
        }
        let again = drawn(folder.path(), 2, || ());
        assert_ne!(paths(&again), paths(&hashes), "another push draws others");
        // Two files that do not fit together: at most one of the two is drawn.
        large("read-half-1", READ_AGAIN_BYTES_MAX / 2 + 1);
        large("read-half-2", READ_AGAIN_BYTES_MAX / 2 + 1);
        for seed in 0..40 {
            let hashes = drawn(folder.path(), seed, || ());
            assert!(hashes.iter().filter(|content| content.path.starts_with("read-half")).count() <= 1);
        }
    }

    #[test]
    fn a_file_that_changed_since_it_was_read_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["read-same", "read-grown", "read-rewritten", "read-gone", "read-exchanged"] {
            fs::write(folder.path().join(name), b"as the push read it").unwrap();
        }
        let hashes = drawn(folder.path(), 1, || {
            fs::write(folder.path().join("read-grown"), b"as the push read it, and more").unwrap();
            let mut rewritten =
                fs::File::options().write(true).open(folder.path().join("read-rewritten")).unwrap();
            rewritten.write_all(b"AS THE PUSH READ IT").unwrap();
            rewritten.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            fs::remove_file(folder.path().join("read-gone")).unwrap();
            fs::remove_file(folder.path().join("read-exchanged")).unwrap();
            fs::create_dir(folder.path().join("read-exchanged")).unwrap();
        });
        assert_eq!(paths(&hashes), ["read-same"]);
    }

    #[test]
    fn two_names_of_a_file_are_drawn_as_one_and_holes_are_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("read-first");
        fs::File::create(&path).unwrap().set_len(100_000).unwrap();
        fs::hard_link(&path, folder.path().join("read-second")).unwrap();
        let hashes = drawn(folder.path(), 1, || ());
        assert_eq!(hashes.len(), 1);
        assert_eq!(hashes[0].hash, Hash::of(&[0; 100_000]));
    }
}
