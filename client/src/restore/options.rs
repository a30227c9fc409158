//! Options and result of a restore.

use super::choice::RestoreChoice;
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

/// The fate of entries that could hand this computer to whoever made the tree, where root restores: devices, programs
/// that run as somebody else, and attributes that give rights.
#[derive(Debug, Clone, Copy, Default)]
pub enum SpecialEntries {
    /// Devices are left out and files come back without such bits and attributes; each is named.
    #[default]
    LeaveOut,
    /// Everything comes back as it was pushed.
    Restore,
    /// The answer decides for the whole restore. It is asked for at the first such entry, by a thread of the restore.
    Ask(fn() -> bool),
}

/// Whether the room is compared with what is to come back, before the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RoomCheck {
    /// A restore that cannot fit is refused.
    First,
    /// The disk will tell: files with holes take less than their size.
    #[default]
    Never,
}

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// The fate of entries that are there already.
    pub existing: Existing,
    /// The fate of entries that only root could make.
    pub special: SpecialEntries,
    /// Whether a restore starts that cannot fit.
    pub room: RoomCheck,
    /// What comes back of the selection.
    pub choice: RestoreChoice,
}

/// The result of a restore.
#[derive(Debug, Default)]
pub struct Restored {
    /// Files and other entries that are there now.
    pub files: u64,
    /// Files among them that were there already, the same.
    pub already: u64,
    /// Files among them that took the place of something else.
    pub replaced: u64,
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
