//! Options and result of a restore.

use crate::SkippedList;

/// The fate of an entry in the target under a name that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// The entry stays. The restored file is skipped and named, unless both are equal.
    #[default]
    Keep,
    /// The entry is replaced, once the restored file is whole.
    Replace,
}

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// The fate of entries that are there already.
    pub existing: Existing,
}

/// The result of a restore.
#[derive(Debug, Default)]
pub struct Restored {
    /// Files and other entries that are there now.
    pub files: u64,
    /// Folders that are there now.
    pub folders: u64,
    /// Bytes of the files, as the owner sees files.
    pub bytes: u64,
    /// Entries that could not be brought back, or came back different.
    pub skipped: SkippedList,
    /// Number of skipped entries whose data is damaged in the vault.
    pub damaged: u64,
    /// Entries that belong to the restoring user, because only root may give files away.
    pub owners_left_out: u64,
    /// Permissions, times and extended attributes that the target did not take, each counted by itself.
    pub attributes_left_out: u64,
}
