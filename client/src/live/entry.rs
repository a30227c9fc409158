//! One entry here beside the entry of a snapshot.
//!
//! Size and time of change tell whether content is the same, as they do for every program that compares folders; where the
//! time differs and the size does not, the bytes are hashed and decide. Extended attributes are not compared: no status
//! tells of them, and asking for each file would take as long as reading many.

use super::folder::LocalFolder;
use crate::{
    ClientError,
    past::tree_reader::TreeReader,
    platform::{FileKind, FileStatus, OwnerIds, OwnerNames, SystemError},
    restore::{ContentTrouble, holds},
};
use larder_format::{
    ChunkRef, Hash,
    tree::{Entry, Kind, Owner, Totals, read::Found},
    wire::ChangeKind,
};

/// How far the content of files is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentLook {
    /// Where status does not tell.
    WhereUnsure,
    /// In every file.
    Always,
}

/// A name in a folder here.
pub(super) struct LocalEntry<'l> {
    folder: &'l LocalFolder,
    pub(super) name: &'l [u8],
    status: FileStatus,
    /// Where a symlink leads.
    target: Vec<u8>,
}

impl<'l> LocalEntry<'l> {
    pub(super) fn see(folder: &'l LocalFolder, name: &'l [u8]) -> Result<Self, SystemError> {
        let opened = folder.open()?;
        let status = opened.as_ref().status_at(name)?;
        let is_link = status.kind == FileKind::Symlink;
        let target = if is_link { opened.as_ref().read_link(name)? } else { Vec::new() };
        Ok(Self { folder, name, status, target })
    }

    pub(super) fn is_folder(&self) -> bool {
        self.status.kind == FileKind::Folder
    }
}

/// Why an entry was not compared.
pub(super) enum NotCompared {
    /// It was deleted meanwhile.
    Gone,
    /// It cannot be read here.
    Here(SystemError),
    /// It cannot be read there, or the connection broke.
    Stored(ClientError),
}

impl From<SystemError> for NotCompared {
    fn from(error: SystemError) -> Self {
        if error.is_gone() { Self::Gone } else { Self::Here(error) }
    }
}

/// How entries are compared.
pub(super) struct EntryComparison<'c, 'a> {
    pub(super) reader: &'c TreeReader<'a>,
    pub(super) owners: OwnerNames,
    /// The account of this program.
    pub(super) own: OwnerIds,
    pub(super) look: ContentLook,
}

impl EntryComparison<'_, '_> {
    /// What became of the stored entry; none for an entry that is the same. A folder counts by its own attributes but its
    /// time, which moves with every name in it.
    pub(super) fn change(
        &self,
        stored: &Found,
        here: &LocalEntry<'_>,
    ) -> Result<Option<ChangeKind>, NotCompared> {
        let Entry { mode, modified, kind, .. } = &stored.entry;
        let status = &here.status;
        let (is_same, counts_time) = match (kind, status.kind) {
            (Kind::Directory { .. }, FileKind::Folder) => (true, false),
            (Kind::File { .. }, FileKind::File) => (self.is_same_content(&stored.entry, here)?, true),
            (Kind::Symlink(target), FileKind::Symlink) => (*target == here.target, true),
            (kind, _) if status.special_kind().as_ref() == Some(kind) => (true, true),
            _ => return Ok(Some(ChangeKind::Kind)),
        };
        let is_alike = *mode == status.permissions
            && (!counts_time || *modified == status.modified)
            && is_owner(&stored.owner, &self.owners.of(status.owner));
        Ok(match (is_same, is_alike) {
            (false, _) => Some(ChangeKind::Content),
            (true, false) => Some(ChangeKind::Attributes),
            (true, true) => None,
        })
    }

    fn is_same_content(&self, stored: &Entry, here: &LocalEntry<'_>) -> Result<bool, NotCompared> {
        let status = &here.status;
        let Kind::File { size, pieces } = &stored.kind else { return Ok(true) };
        if *size != status.size {
            return Ok(false);
        }
        let is_sure = stored.modified == status.modified && self.look == ContentLook::WhereUnsure;
        if *size == 0 || is_sure {
            return Ok(true);
        }
        let opened = here.folder.open()?;
        let file = opened.as_ref().open_file_quietly(here.name, status, self.own)?;
        let is_same = holds(self.reader, &file, *size, pieces).map_err(|trouble| match trouble {
            ContentTrouble::Here(error) => NotCompared::Here(error.into()),
            ContentTrouble::Stored(error) => NotCompared::Stored(error),
        })?;
        self.reader.progress().pass(*size);
        Ok(is_same)
    }

    /// The entry as a snapshot would have it, without content.
    pub(super) fn as_found(&self, here: &LocalEntry<'_>) -> Found {
        let status = &here.status;
        let kind = match status.kind {
            FileKind::Folder => {
                let node = ChunkRef { id: Hash::ZERO, len: 0 };
                Kind::Directory { node, totals: Totals::default() }
            }
            FileKind::Symlink => Kind::Symlink(here.target.clone()),
            _ => status.special_kind().unwrap_or(Kind::File { size: status.size, pieces: Vec::new() }),
        };
        let entry = Entry {
            name: here.name.to_owned(),
            owner: 0,
            mode: status.permissions,
            modified: status.modified,
            hard_link: 0,
            xattrs: Vec::new(),
            kind,
        };
        Found { entry, owner: Owner::clone(&self.owners.of(status.owner)) }
    }
}

/// Whether two owners are one: by name where both have one, since numbers differ between computers.
fn is_owner(stored: &Owner, here: &Owner) -> bool {
    let is_one = |stored: (&str, u32), here: (&str, u32)| match (stored.0, here.0) {
        ("", _) | (_, "") => stored.1 == here.1,
        (stored, here) => stored == here,
    };
    is_one((&stored.user, stored.uid), (&here.user, here.uid))
        && is_one((&stored.group, stored.gid), (&here.group, here.gid))
}
