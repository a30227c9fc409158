//! Places in the target: folders, and what is made in them at once: symlinks, pipes, further names.
//!
//! Every call is relative to an open folder and names one thing in it, so a symlink inside the target is never
//! followed, whoever put it there. Nothing takes somebody else's name unless the owner said so.
//! Not here: files, which take their time (`growing`).

use super::{
    attributes::{Acls, Attributes, gives_acl},
    naming::{exists, rename, words},
    options::Existing,
    site::Site,
};
use crate::{
    handle::{Handle, open_folder},
    platform::unix::attributes::Status,
};
use larder_format::tree::{DEPTH_MAX, Kind};
use rustix::{
    fd::{AsFd, BorrowedFd},
    fs::{AtFlags, FileType, Mode},
    io::Errno,
};
use std::{ffi::CStr, sync::Arc};

/// Permissions of a folder whose content is not all there yet. People have no use for a sticky folder that nobody else
/// may enter, so one that a restore left behind as it broke off can be told from theirs, and gets its attributes when
/// the restore is run again.
pub(crate) const UNFINISHED_MODE: Mode = Mode::RWXU.union(Mode::SVTX);

/// Whether a folder is as a restore makes it and leaves it if it breaks off.
pub(crate) fn is_unfinished(status: &Status) -> bool {
    // A folder above may have given its set-group bit.
    let mode = Mode::from_raw_mode(status.permissions().into()) - Mode::SGID;
    status.file_type() == FileType::Directory && mode == UNFINISHED_MODE
}

/// A folder in the target.
pub(crate) struct Place {
    pub(crate) handle: Arc<Handle>,
    parent: Option<Arc<Place>>,
    /// What it gets when everything in it is done; nothing for a folder that somebody else made before.
    attributes: Option<Attributes>,
    pub(crate) is_new: bool,
    /// Owner of what is made in here, if that is sure: the restoring user's, where the folder itself was made by this
    /// restore and came out as theirs. Elsewhere folders may give their group, and filesystems any owner.
    pub(crate) owner_in_here: Option<(u32, u32)>,
    /// Whether what is made in here inherits an ACL. A folder that this restore made has lost its own, so only in one
    /// that was there before it costs a call for each file.
    gives_acl: bool,
    depth: usize,
}

impl Place {
    pub(crate) fn root(handle: Arc<Handle>, attributes: Option<Attributes>, is_new: bool) -> Arc<Self> {
        let gives_acl = handle.open().is_ok_and(|folder| gives_acl(folder.as_fd()));
        Arc::new(Self { handle, parent: None, attributes, is_new, owner_in_here: None, gives_acl, depth: 1 })
    }

    /// ACLs that a file gets by being made in here.
    pub(crate) fn acls_in_here(&self) -> Acls {
        if self.gives_acl { Acls::OfFile } else { Acls::None }
    }

    /// Makes the folder `name`, or goes into the one that is there.
    pub(crate) fn enter(
        parent: &Arc<Self>,
        name: &CStr,
        attributes: Attributes,
        site: &Site<'_>,
    ) -> rustix::io::Result<Arc<Self>> {
        let existing = site.existing;
        if parent.depth >= DEPTH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let above = parent.handle.open()?;
        let mut made = rustix::fs::mkdirat(&above, name, UNFINISHED_MODE);
        if made == Err(Errno::EXIST) && existing == Existing::Replace && !is_folder(above.as_fd(), name) {
            rustix::fs::unlinkat(&above, name, AtFlags::empty())?;
            made = rustix::fs::mkdirat(&above, name, UNFINISHED_MODE);
        }
        let is_new = made.is_ok();
        if made.is_err() && !(made == Err(Errno::EXIST) && is_folder(above.as_fd(), name)) {
            return Err(made.err().unwrap_or(Errno::EXIST));
        }
        let fd = open_folder(above.as_fd(), name)?;
        let status = Status::from(rustix::fs::fstat(&fd)?);
        site.filesystems.note(status.device, fd.as_fd())?;
        let owner = (status.uid, status.gid);
        if is_new && parent.gives_acl {
            site.restorer.remove_acls(fd.as_fd(), Acls::OfFolder);
        }
        let gives_acl = (!is_new || parent.gives_acl) && gives_acl(fd.as_fd());
        let (handle, _) = Handle::child(&parent.handle, name, fd, (status.device, status.inode));
        let is_ours =
            is_new || (is_unfinished(&status) && site.restorer.may_have_made(status.uid, &attributes));
        let attributes = (is_ours || existing == Existing::Replace).then_some(attributes);
        Ok(Arc::new(Self {
            handle,
            parent: Some(Arc::clone(parent)),
            attributes,
            is_new,
            owner_in_here: (is_new && owner == site.restorer.own).then_some(owner),
            gives_acl,
            depth: parent.depth + 1,
        }))
    }

    /// Lets go of a folder. Whoever is the last one gives it its attributes: a time that is set before the last
    /// file arrives would not last.
    pub(crate) fn release(mut place: Arc<Self>, site: &Site<'_>) {
        while let Some(done) = Arc::into_inner(place) {
            // What is not all there stays marked as unfinished, so that the next run can tell.
            if let (Some(attributes), false) = (&done.attributes, site.is_stopped()) {
                let was_there = !done.is_new || done.parent.is_none();
                let acls = if was_there { Acls::OfFolder } else { Acls::None };
                match done.handle.open() {
                    Ok(fd) => site.restorer.apply(fd.as_fd(), attributes, None, acls),
                    Err(errno) => {
                        let why = format!("its attributes could not be set: {}", words(errno));
                        site.skip(done.handle.path_of(b""), why);
                    }
                }
            }
            match done.parent {
                Some(parent) => place = parent,
                None => return,
            }
        }
    }
}

fn is_folder(parent: BorrowedFd<'_>, name: &CStr) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Makes what is neither file nor folder.
pub(crate) fn make_other(
    site: &Site<'_>,
    place: &Place,
    name: &CStr,
    kind: &Kind,
    attributes: &Attributes,
) -> Result<(), String> {
    let folder = place.handle.open().map_err(words)?;
    let folder = folder.as_fd();
    if !place.is_new && site.existing == Existing::Keep && exists(folder, name) {
        return Err(words(Errno::EXIST));
    }
    // Made beside and renamed like a file, so that nothing half-owned ever stands under the name.
    let beside = site.name_beside();
    let made = match kind {
        Kind::Symlink(target) => rustix::fs::symlinkat(target.as_slice(), folder, &beside),
        kind => {
            let (file_type, device) = match kind {
                Kind::Fifo => (FileType::Fifo, 0),
                Kind::Socket => (FileType::Socket, 0),
                Kind::CharDevice { major, minor } => {
                    (FileType::CharacterDevice, rustix::fs::makedev(*major, *minor))
                }
                Kind::BlockDevice { major, minor } => {
                    (FileType::BlockDevice, rustix::fs::makedev(*major, *minor))
                }
                Kind::File { .. } | Kind::Directory { .. } | Kind::Symlink(_) => return Ok(()),
            };
            rustix::fs::mknodat(folder, &beside, file_type, Mode::RUSR | Mode::WUSR, device)
        }
    };
    made.map_err(words)?;
    let is_symlink = matches!(kind, Kind::Symlink(_));
    // Symlinks have no ACLs.
    let acls = if is_symlink { Acls::None } else { place.acls_in_here() };
    site.restorer.apply_at((folder, &beside), attributes, is_symlink, acls);
    let finished = rename(site, folder, &beside, name);
    if finished.is_err() {
        let _ = rustix::fs::unlinkat(folder, &beside, AtFlags::empty());
    }
    finished
}

/// Gives the file `first` in `at` one more name.
pub(crate) fn make_link(
    site: &Site<'_>,
    (at, first): (&Place, &CStr),
    (place, name): (&Place, &CStr),
) -> Result<(), String> {
    let (from, to) = (at.handle.open().map_err(words)?, place.handle.open().map_err(words)?);
    if let (Ok(first), Ok(found)) = (identity_of(from.as_fd(), first), identity_of(to.as_fd(), name))
        && first == found
    {
        return Ok(());
    }
    let beside = site.name_beside();
    rustix::fs::linkat(&from, first, &to, &beside, AtFlags::empty()).map_err(words)?;
    let renamed = rename(site, to.as_fd(), &beside, name);
    // Renaming over another name of the same file does nothing and leaves both.
    if renamed.is_err() || exists(to.as_fd(), &beside) {
        let _ = rustix::fs::unlinkat(&to, &beside, AtFlags::empty());
    }
    renamed
}

fn identity_of(folder: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<(u64, u64)> {
    let status = Status::from(rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?);
    Ok((status.device, status.inode))
}
