//! How far a push or a restore has come: counters that the work adds to and anybody may read at any time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of one run; share it with a thread that shows them.
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
    /// Of reading a disk of this computer: nothing goes over the network.
    pub fn local() -> Self {
        Self { is_local: true, ..Self::default() }
    }

    /// Whether nothing goes over the network.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    counter!(
        /// Files and other entries that are done.
        files, add_files
    );
    counter!(
        /// Folders that are done.
        folders, add_folders
    );
    counter!(
        /// Bytes of files that are done, as the owner sees them.
        bytes, add_bytes
    );
    counter!(
        /// Bytes of blocks that went over the network, in either direction, or came off a pulled disk.
        sent_bytes, add_sent_bytes
    );
    counter!(
        /// Bytes of chunks that the other end did not have yet.
        new_bytes, add_new_bytes
    );
    counter!(
        /// Files that were skipped.
        skipped, add_skipped
    );

    counter!(
        /// Packs of a pulled disk that were looked through.
        packs, add_packs
    );

    /// Packs that there are to look through; 0 where none are.
    pub fn expected_packs(&self) -> u64 {
        self.expected_packs.load(Relaxed)
    }

    pub(crate) fn expect_packs(&self, packs: u64) {
        self.expected_packs.store(packs, Relaxed);
    }

    /// Bytes of files that there will be, once somebody knows; 0 before.
    pub fn expected_bytes(&self) -> u64 {
        self.expected_bytes.load(Relaxed)
    }

    /// Says how many bytes of files there will be.
    pub fn expect_bytes(&self, bytes: u64) {
        self.expected_bytes.store(bytes, Relaxed);
    }
}
