//! How far a push or a restore has come: counters that the work adds to and any thread may read at any time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counters of one run, shared with the thread that draws the bar.
#[derive(Debug, Default)]
pub struct TransferProgress {
    files: AtomicU64,
    folders: AtomicU64,
    bytes: AtomicU64,
    passed_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    new_bytes: AtomicU64,
    changed_files: AtomicU64,
    changed_file_bytes: AtomicU64,
    skipped: AtomicU64,
    expected_bytes: AtomicU64,
    /// 0 where it is not known, otherwise one more than it is.
    changed_bytes: AtomicU64,
    /// Likewise.
    room_bytes: AtomicU64,
    is_first: AtomicBool,
    packs: AtomicU64,
    expected_packs: AtomicU64,
    is_local: bool,
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident, $add:ident) => {
        $(#[$doc])*
        pub fn $name(&self) -> u64 {
            self.$name.load(Relaxed)
        }
        pub(crate) fn $add(&self, more: u64) {
            self.$name.fetch_add(more, Relaxed);
        }
    };
}

impl TransferProgress {
    /// Counters for reading a disk of this computer, without a network.
    pub fn local() -> Self {
        Self { is_local: true, ..Self::default() }
    }

    /// Whether the run needs no network.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    counter!(
        /// Finished files and other entries.
        files, add_files
    );
    counter!(
        /// Finished folders.
        folders, add_folders
    );
    counter!(
        /// Bytes of finished files, as the owner sees files.
        bytes, add_bytes
    );
    counter!(
        /// Bytes of blocks over the network, in either direction, or from a pulled disk.
        sent_bytes, add_sent_bytes
    );
    counter!(
        /// Bytes of chunks that were new to the far end.
        new_bytes, add_new_bytes
    );
    counter!(
        /// Files with a content that is new, or another one than at this computer's last push, as far as its cache tells.
        changed_files, add_changed_files
    );
    counter!(
        /// Bytes of such files, whole.
        changed_file_bytes, add_changed_file_bytes
    );
    counter!(
        /// Skipped files.
        skipped, add_skipped
    );

    counter!(
        /// Packs of a pulled disk whose tables were read.
        packs, add_packs
    );

    /// Bytes of files that are done, and of files under way as far as they are. Never more than the files have: a file
    /// that is read again begins anew.
    pub fn passed_bytes(&self) -> u64 {
        self.passed_bytes.load(Relaxed)
    }

    /// A file of this size is done with, without any reading.
    pub(crate) fn pass(&self, bytes: u64) {
        self.passed_bytes.fetch_add(bytes, Relaxed);
    }

    /// The work begins anew; what went over the network stays counted.
    pub(crate) fn begin_again(&self) {
        let Self { files, folders, bytes, passed_bytes, changed_files, changed_file_bytes, skipped, .. } =
            self;
        for counter in [files, folders, bytes, passed_bytes, changed_files, changed_file_bytes, skipped] {
            counter.store(0, Relaxed);
        }
    }

    /// Packs to read in total; 0 where there are none.
    pub fn expected_packs(&self) -> u64 {
        self.expected_packs.load(Relaxed)
    }

    pub(crate) fn expect_packs(&self, packs: u64) {
        self.expected_packs.store(packs, Relaxed);
    }

    /// Bytes of files in total, once known; 0 before.
    pub fn expected_bytes(&self) -> u64 {
        self.expected_bytes.load(Relaxed)
    }

    /// Bytes of files that changed since the last push; none where that is not known.
    pub fn changed_bytes(&self) -> Option<u64> {
        self.changed_bytes.load(Relaxed).checked_sub(1)
    }

    pub(crate) fn expect_changed(&self, bytes: u64) {
        self.changed_bytes.store(bytes.saturating_add(1), Relaxed);
    }

    /// Room at the far end for a push; none where it is not known.
    pub fn room_bytes(&self) -> Option<u64> {
        self.room_bytes.load(Relaxed).checked_sub(1)
    }

    /// Whether the far end knows nothing of the folder yet.
    pub fn is_first(&self) -> bool {
        self.is_first.load(Relaxed)
    }

    pub(crate) fn tell_room(&self, bytes: u64, is_first: bool) {
        self.is_first.store(is_first, Relaxed);
        self.room_bytes.store(bytes.saturating_add(1), Relaxed);
    }

    /// Says how many bytes of files there will be.
    pub fn expect_bytes(&self, bytes: u64) {
        self.expected_bytes.store(bytes, Relaxed);
    }
}

/// Bytes of a file under way that `passed_bytes` has already. The size is known for certain only at the end: a file may
/// be read anew, may shrink meanwhile, or be given up half way.
#[derive(Debug, Default)]
pub(crate) struct ToldBytes(AtomicU64);

impl ToldBytes {
    /// Some more bytes of the file went by.
    pub(crate) fn add(&self, progress: &TransferProgress, bytes: u64) {
        self.0.fetch_add(bytes, Relaxed);
        progress.passed_bytes.fetch_add(bytes, Relaxed);
    }

    /// The file is done with, and counts this many bytes.
    pub(crate) fn finish(&self, progress: &TransferProgress, bytes: u64) {
        let told = self.0.swap(0, Relaxed);
        // Wraps around where there is less than was told; together the sum is right.
        progress.passed_bytes.fetch_add(bytes.wrapping_sub(told), Relaxed);
    }
}

/// Tells of one file after another.
#[derive(Debug)]
pub(crate) struct FileMeter<'a> {
    progress: &'a TransferProgress,
    told: ToldBytes,
}

impl<'a> FileMeter<'a> {
    pub(crate) fn new(progress: &'a TransferProgress) -> Self {
        Self { progress, told: ToldBytes::default() }
    }

    /// Some more bytes of the file went by.
    pub(crate) fn add(&self, bytes: u64) {
        self.told.add(self.progress, bytes);
    }

    /// The file begins anew.
    pub(crate) fn restart(&self) {
        self.finish(0);
    }

    /// The file is done with, and counts this many bytes; the meter is ready for the next file.
    pub(crate) fn finish(&self, bytes: u64) {
        self.told.finish(self.progress, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_once_however_often_it_is_read() {
        let progress = TransferProgress::default();
        let meter = FileMeter::new(&progress);
        let mut seen = Vec::new();
        for step in [700, 200] {
            meter.add(step);
            seen.push(progress.passed_bytes());
        }
        meter.restart();
        seen.push(progress.passed_bytes());
        meter.add(300);
        meter.finish(1000);
        seen.push(progress.passed_bytes());
        meter.finish(5);
        seen.push(progress.passed_bytes());
        assert_eq!(seen, [700, 900, 0, 1000, 1005]);
    }
}
