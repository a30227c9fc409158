//! How to restore, and what came of it.

use crate::SkippedList;

/// What happens to what is already in the target under a name that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// It stays; the file that would have taken its name is skipped and named, unless it is what stands there.
    #[default]
    Keep,
    /// It is replaced, once the restored file is whole.
    Replace,
}

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// What happens to files that are already there.
    pub existing: Existing,
}

/// What came of a restore.
#[derive(Debug, Default)]
pub struct Restored {
    /// Files and other entries that are there now.
    pub files: u64,
    /// Folders that are there now.
    pub folders: u64,
    /// Bytes of the files, as the owner sees them.
    pub bytes: u64,
    /// What could not be brought back, or not as it was.
    pub skipped: SkippedList,
    /// How many of them because their data is damaged where it is kept.
    pub damaged: u64,
    /// Entries that belong to whoever restored them, because only root may give files away.
    pub owners_left_out: u64,
    /// Permissions, times and extended attributes that the target did not take, each counted by itself.
    pub attributes_left_out: u64,
}
