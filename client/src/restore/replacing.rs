//! What a restore may put in the place of an entry that is there already.
//!
//! A roll-back replaces much of a living folder, so it replaces only what it knows to be in the backup: an entry in the
//! state in which the last push saw it. The state is looked at again just before the rename. Not here: what the last
//! push saw (`rollback`), the rename itself (`naming`).

use super::{
    content::{ContentCheck, has_content},
    options::Existing,
};
use crate::{
    handle::Handle,
    past::tree_reader::TreeReader,
    platform::{FileStatus, FolderRef},
};
use larder_format::tree::Kind;

/// Which entries of the target a restore may replace.
#[derive(Clone, Copy)]
pub(crate) enum Replacing<'a> {
    Nothing,
    Everything,
    /// Entries that are in the backup as they are.
    Pushed(&'a dyn PushRecord),
}

impl From<Existing> for Replacing<'_> {
    fn from(existing: Existing) -> Self {
        match existing {
            Existing::Keep => Self::Nothing,
            Existing::Replace => Self::Everything,
        }
    }
}

/// A name in an open folder of the target.
#[derive(Clone, Copy)]
pub(crate) struct TargetSpot<'a> {
    pub(crate) handle: &'a Handle,
    pub(crate) folder: FolderRef<'a>,
    pub(crate) name: &'a [u8],
}

/// An entry as the last push put it into the backup.
pub(crate) struct PushedEntry {
    pub(crate) kind: Kind,
    /// The same state means the same content; otherwise the entry changed shortly before it was read.
    pub(crate) is_sure: bool,
}

/// What the last push saw.
pub(crate) trait PushRecord: Sync {
    /// The entry at `spot`, if the push saw it in the state of `status`.
    fn entry(&self, spot: TargetSpot<'_>, status: &FileStatus) -> Option<PushedEntry>;

    /// Whether the push saw a folder at `spot`.
    fn has_folder(&self, spot: TargetSpot<'_>) -> bool;
}

/// Whether the entry at `spot`, of this status, is in the backup.
pub(crate) fn is_pushed(
    last: &dyn PushRecord,
    reader: &TreeReader<'_>,
    spot: TargetSpot<'_>,
    status: &FileStatus,
) -> bool {
    let Some(pushed) = last.entry(spot, status) else { return false };
    let check = ContentCheck { folder: spot.folder, name: spot.name, kind: &pushed.kind };
    pushed.is_sure || has_content(reader, check, status).unwrap_or(false)
}

/// What must stand under a name at the moment when the restored entry takes the name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NameMustBe {
    Free,
    /// Whatever it is, it is replaced.
    Anything,
    /// The entry in this state.
    As(FileStatus),
}

impl Replacing<'_> {
    /// For a name that nobody looked at.
    pub(crate) fn unseen(self) -> NameMustBe {
        match self {
            Self::Everything => NameMustBe::Anything,
            Self::Nothing | Self::Pushed(_) => NameMustBe::Free,
        }
    }
}

/// Why an entry stays that was to be replaced.
pub(crate) const NOT_IN_THE_BACKUP: &str = "it is not in the backup as it is now, so it was left alone";

/// What must stand under the name at `spot`.
///
/// # Errors
/// Why the entry that stands there stays, in words.
pub(crate) fn name_must_be(
    replacing: Replacing<'_>,
    reader: &TreeReader<'_>,
    spot: TargetSpot<'_>,
) -> Result<NameMustBe, &'static str> {
    let Replacing::Pushed(last) = replacing else { return Ok(replacing.unseen()) };
    match spot.folder.status_at(spot.name) {
        Ok(status) if is_pushed(last, reader, spot, &status) => Ok(NameMustBe::As(status)),
        Err(error) if error.is_gone() => Ok(NameMustBe::Free),
        _ => Err(NOT_IN_THE_BACKUP),
    }
}
