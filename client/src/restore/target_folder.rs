//! Folders in the target, and entries that are made at once: symlinks, pipes, further names.
//!
//! Every call is relative to an open folder and names a single entry, so a symlink inside the target is never
//! followed. No entry is replaced unless the owner said so. Not here: files, which take time (`growing`).

use super::{
    naming::{rename, words},
    replacing::{NameMustBe, Replacing},
    site::Site,
};
use crate::{
    handle::Handle,
    platform::{Acls, Attributes, ErrorCause, NameAt, OwnerIds, SystemError, gives_acl, is_unfinished},
};
use larder_format::tree::{DEPTH_MAX, Kind};
use std::sync::Arc;

/// A folder in the target.
pub(crate) struct TargetFolder {
    pub(crate) handle: Arc<Handle>,
    parent: Option<Arc<TargetFolder>>,
    /// Attributes for the finished folder; nothing for a folder that was there before.
    attributes: Option<Attributes>,
    pub(crate) is_new: bool,
    /// Owner of new entries in the folder, if sure: the restoring user, where this restore made the folder and the
    /// folder belongs to the restoring user. Other folders may give their group, and some filesystems any owner.
    pub(crate) owner_in_here: Option<OwnerIds>,
    /// Whether new entries in the folder inherit an ACL. A folder of this restore has lost its ACLs, so only a folder
    /// that was there before costs a call for each file.
    gives_acl: bool,
    depth: usize,
}

impl TargetFolder {
    pub(crate) fn root(handle: Arc<Handle>, attributes: Option<Attributes>, is_new: bool) -> Arc<Self> {
        let gives_acl = handle.open().is_ok_and(|folder| gives_acl(folder.as_ref()));
        Arc::new(Self { handle, parent: None, attributes, is_new, owner_in_here: None, gives_acl, depth: 1 })
    }

    /// ACLs of a new file in the folder.
    pub(crate) fn acls_in_here(&self) -> Acls {
        if self.gives_acl { Acls::OfFile } else { Acls::None }
    }

    /// Makes the folder `name`, or enters the existing folder.
    pub(crate) fn enter(
        parent: &Arc<Self>,
        name: &[u8],
        attributes: Attributes,
        site: &Site<'_>,
    ) -> Result<Arc<Self>, SystemError> {
        let replaces = matches!(site.replacing, Replacing::Everything);
        if parent.depth >= DEPTH_MAX {
            return Err(SystemError::TOO_DEEP);
        }
        let opened = parent.handle.open()?;
        let above = opened.as_ref();
        let mut made = above.make_unfinished(name);
        if is_taken(made) && replaces && !above.holds_folder(name) {
            above.remove(name)?;
            made = above.make_unfinished(name);
        }
        let is_new = made.is_ok();
        if !(is_taken(made) && above.holds_folder(name)) {
            made?;
        }
        let folder = above.open_folder(name)?;
        let status = folder.as_ref().status()?;
        if matches!(site.replacing, Replacing::Pushed(_)) && status.device != parent.handle.device() {
            // A disk that was mounted a moment ago is not the folder that is being rolled back.
            return Err(SystemError::EXCHANGED);
        }
        site.filesystems.note(status.device, folder.as_ref())?;
        if is_new && parent.gives_acl {
            site.restorer.remove_acls(folder.as_ref(), Acls::OfFolder);
        }
        let gives_acl = (!is_new || parent.gives_acl) && gives_acl(folder.as_ref());
        let (handle, _) = Handle::child(&parent.handle, name, folder, status.identity());
        let is_ours =
            is_new || (is_unfinished(&status) && site.restorer.may_have_made(status.owner, &attributes));
        let attributes = (is_ours || replaces).then(|| site.keep_for_folder(attributes));
        Ok(Arc::new(Self {
            handle,
            parent: Some(Arc::clone(parent)),
            attributes,
            is_new,
            owner_in_here: (is_new && status.owner == site.restorer.own).then_some(status.owner),
            gives_acl,
            depth: parent.depth + 1,
        }))
    }

    /// Lets go of a folder. The last holder gives the folder its attributes: a time that is set before the last file
    /// arrives would not last.
    pub(crate) fn release(mut place: Arc<Self>, site: &Site<'_>) {
        while let Some(done) = Arc::into_inner(place) {
            // An incomplete folder stays marked as unfinished, so that the next run can tell.
            if let (Some(attributes), false) = (&done.attributes, site.is_stopped()) {
                let was_there = !done.is_new || done.parent.is_none();
                let acls = if was_there { Acls::OfFolder } else { Acls::None };
                match done.handle.open() {
                    Ok(folder) => site.restorer.apply(folder.as_ref(), attributes, None, acls),
                    Err(error) => {
                        let why = format!("its attributes could not be set: {}", words(error));
                        site.skip(done.handle.path_of(b""), why);
                    }
                }
            }
            if let (Some(attributes), Some(_)) = (&done.attributes, &done.parent) {
                site.let_go_of(attributes);
            }
            match done.parent {
                Some(parent) => place = parent,
                None => return,
            }
        }
    }
}

fn is_taken(made: Result<(), SystemError>) -> bool {
    made.is_err_and(|error| error.cause() == ErrorCause::Taken)
}

/// A symlink, a pipe, a socket or a device to be made.
#[derive(Clone, Copy)]
pub(crate) struct OtherEntry<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) kind: &'a Kind,
    pub(crate) attributes: &'a Attributes,
    pub(crate) must_be: NameMustBe,
}

/// Makes an entry of any kind but a file and a folder.
pub(crate) fn make_other(
    site: &Site<'_>,
    place: &TargetFolder,
    OtherEntry { name, kind, attributes, must_be }: OtherEntry<'_>,
) -> Result<(), String> {
    if matches!(kind, Kind::File { .. } | Kind::Directory { .. }) {
        return Ok(());
    }
    let folder = place.handle.open().map_err(words)?;
    let folder = folder.as_ref();
    if !place.is_new && matches!(must_be, NameMustBe::Free) && folder.holds(name) {
        return Err(words(SystemError::TAKEN));
    }
    // Made beside and renamed like a file, so that no half-owned entry ever stands under the name.
    let beside = site.name_beside();
    folder.make_other(&beside, kind).map_err(words)?;
    let is_symlink = matches!(kind, Kind::Symlink(_));
    // Symlinks have no ACLs.
    let acls = if is_symlink { Acls::None } else { place.acls_in_here() };
    site.restorer.apply_at(NameAt { folder, name: &beside }, attributes, is_symlink, acls);
    let finished = rename(folder, &beside, name, must_be);
    if finished.is_err() {
        let _ = folder.remove(&beside);
    }
    finished
}

/// A file with its first name, and a further name for it.
#[derive(Clone, Copy)]
pub(crate) struct LinkEnds<'a> {
    pub(crate) at: &'a TargetFolder,
    pub(crate) first: &'a [u8],
    pub(crate) place: &'a TargetFolder,
    pub(crate) name: &'a [u8],
}

impl LinkEnds<'_> {
    /// Whether both are names of one file.
    pub(crate) fn is_made(&self) -> bool {
        let identity = |place: &TargetFolder, name: &[u8]| {
            Some(place.handle.open().ok()?.as_ref().status_at(name).ok()?.identity())
        };
        let first = identity(self.at, self.first);
        first.is_some() && first == identity(self.place, self.name)
    }
}

/// Gives a file a further name.
pub(crate) fn make_link(site: &Site<'_>, ends: LinkEnds<'_>, must_be: NameMustBe) -> Result<(), String> {
    let LinkEnds { at, first, place, name } = ends;
    let (from, to) = (at.handle.open().map_err(words)?, place.handle.open().map_err(words)?);
    let (from, to) = (from.as_ref(), to.as_ref());
    let beside = site.name_beside();
    from.link(first, to, &beside).map_err(words)?;
    let renamed = rename(to, &beside, name, must_be);
    // Renaming over another name of the same file does nothing and leaves both names.
    if renamed.is_err() || to.holds(&beside) {
        let _ = to.remove(&beside);
    }
    renamed
}
