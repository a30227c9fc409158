//! What is new in a snapshot: files with another content than in the last snapshot of this computer.
//!
//! Counted while the files are merged into nodes, since only there the cache stands beside what was read. Not here: how much of
//! it was sent (`send`).

use crate::TransferProgress;

/// Files of a snapshot with a content that is new, or another one than in the last snapshot that this computer made. They
/// may have been sent before: ahead by a watch, by a push that broke off, or by another computer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangedFiles {
    /// How many.
    pub files: u64,
    /// Their bytes, whole.
    pub bytes: u64,
}

impl ChangedFiles {
    /// As counted so far.
    pub(super) fn of(progress: &TransferProgress) -> Self {
        Self { files: progress.changed_files(), bytes: progress.changed_file_bytes() }
    }
}

/// A file that is in the node of its folder now.
pub(super) struct MergedFile {
    pub(super) size: u64,
    /// Whether the last push had another content, or no such file.
    pub(super) is_changed: bool,
}

/// The files of a folder's node.
#[derive(Default)]
pub(super) struct MergedFiles {
    files: u64,
    bytes: u64,
    changed: ChangedFiles,
}

impl MergedFiles {
    pub(super) fn add(&mut self, MergedFile { size, is_changed }: MergedFile) {
        self.files += 1;
        // Files full of holes may claim more together than a disk could ever hold.
        self.bytes = self.bytes.saturating_add(size);
        if is_changed {
            self.changed.files += 1;
            self.changed.bytes = self.changed.bytes.saturating_add(size);
        }
    }

    /// Only for a finished node: a node that is made once more would count twice.
    pub(super) fn tell(&self, progress: &TransferProgress) {
        let Self { files, bytes, changed } = self;
        progress.add_files(*files);
        progress.add_bytes(*bytes);
        progress.add_changed_files(changed.files);
        progress.add_changed_file_bytes(changed.bytes);
    }
}
