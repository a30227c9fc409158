//! How far a push or a restore has come: counters that the work adds to and any thread may read at any time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of one run, shared with the thread that draws the bar.
#[derive(Debug, Default)]
pub struct TransferProgress {
    files: AtomicU64,
    folders: AtomicU64,
    bytes: AtomicU64,
    sent_bytes: AtomicU64,
    new_bytes: AtomicU64,
    skipped: AtomicU64,
    expected_bytes: AtomicU64,
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
        /// Skipped files.
        skipped, add_skipped
    );

    counter!(
        /// Packs of a pulled disk whose tables were read.
        packs, add_packs
    );

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

    /// Says how many bytes of files there will be.
    pub fn expect_bytes(&self, bytes: u64) {
        self.expected_bytes.store(bytes, Relaxed);
    }
}
