//! Open folders, and calls for single names in an open folder.
//!
//! Every call is relative to an open folder and names a single entry. So paths of any length work, and a symlink that
//! was put in place meanwhile is never followed. Not here: attributes (`xattrs`, `restorer`), new files
//! (`new_files`).

use super::{
    error::SystemError,
    files::{look, path_of_open},
    xattrs::{Xattrs, XattrsLeftOut, xattrs_at, xattrs_of},
};
use crate::platform::{
    listing::{KindHint, NameList},
    status::{FileKind, FileStatus, OwnerIds},
};
use larder_format::tree::Kind;
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags},
    io::Errno,
};
use std::{fs::File, os::unix::fs::DirBuilderExt, path::Path};

/// How a folder in another is opened: never over a symlink.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Flags for reading a file. Without `NONBLOCK` a pipe in the file's place would wait for a writer.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
/// The kernel fills at most this much in a call; larger rooms were not faster.
const ROOM_BYTES: usize = 64 * 1024;

/// Permissions of a folder whose content is incomplete. People have no use for a sticky folder that nobody else may
/// enter. So a folder that a broken-off restore left behind can be told from an owner's folder, and gets its
/// attributes when the restore is run again.
const UNFINISHED: Mode = Mode::RWXU.union(Mode::SVTX);

/// Whether a folder looks as a restore makes folders, and leaves folders when the restore breaks off.
pub(crate) fn is_unfinished(status: &FileStatus) -> bool {
    // A folder above may have given its set-group bit.
    let mode = Mode::from_raw_mode(status.permissions.into()) - Mode::SGID;
    status.kind == FileKind::Folder && mode == UNFINISHED
}

/// Makes the folder at `path`, marked as unfinished.
pub(crate) fn make_unfinished(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().mode(UNFINISHED.bits()).create(path)
}

/// A folder that stays open until dropped.
#[derive(Debug)]
pub(crate) struct OpenFolder(OwnedFd);

/// A borrowed open folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FolderRef<'a>(BorrowedFd<'a>);

/// A name in an open folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NameAt<'a> {
    pub(crate) folder: FolderRef<'a>,
    pub(crate) name: &'a [u8],
}

impl AsFd for FolderRef<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}

impl OpenFolder {
    /// Opens a folder by a path of the owner; only here a symlink is followed.
    pub(crate) fn open(path: &Path) -> Result<Self, SystemError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Opens a folder of a disk that must stay untouched.
    pub(crate) fn open_untouched(path: &Path) -> Result<Self, SystemError> {
        Ok(Self(look(path, OFlags::DIRECTORY)?))
    }

    pub(crate) fn as_ref(&self) -> FolderRef<'_> {
        FolderRef(self.0.as_fd())
    }

    /// Waits until every write to the folder's filesystem is on the disk. The system tells each error once, and tells
    /// an open folder only of errors after its opening.
    pub(crate) fn sync_filesystem(&self) -> Result<(), SystemError> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

impl FolderRef<'_> {
    /// The same folder, open until the result is dropped.
    pub(crate) fn keep(self) -> Result<OpenFolder, SystemError> {
        Ok(OpenFolder(self.0.try_clone_to_owned()?))
    }

    pub(crate) fn status(self) -> Result<FileStatus, SystemError> {
        Ok(rustix::fs::fstat(self.0)?.into())
    }

    /// The status of `name` itself, also where `name` is a symlink.
    pub(crate) fn status_at(self, name: &[u8]) -> Result<FileStatus, SystemError> {
        Ok(rustix::fs::statat(self.0, name, AtFlags::SYMLINK_NOFOLLOW)?.into())
    }

    /// Whether `name` exists.
    pub(crate) fn holds(self, name: &[u8]) -> bool {
        rustix::fs::statat(self.0, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Whether `name` is a folder.
    pub(crate) fn holds_folder(self, name: &[u8]) -> bool {
        self.status_at(name).is_ok_and(|status| status.kind == FileKind::Folder)
    }

    /// The names in the folder. `room` is scratch space that is kept between calls.
    pub(crate) fn list(self, room: &mut Vec<u8>) -> Result<NameList, SystemError> {
        room.reserve(ROOM_BYTES);
        let mut listing = NameList::default();
        let mut raw = RawDir::new(self.0, room.spare_capacity_mut());
        while let Some(entry) = raw.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let hint = match entry.file_type() {
                FileType::Directory => KindHint::Folder,
                FileType::Unknown => KindHint::Unknown,
                _ => KindHint::Other,
            };
            listing.add(name, hint).ok_or(Errno::OVERFLOW)?;
        }
        listing.sort();
        Ok(listing)
    }

    /// Looks at the names of which the folder does not tell whether they are folders.
    pub(crate) fn settle_hints(self, listing: &mut NameList) {
        for position in 0..listing.len() {
            if listing.hint(position) == KindHint::Unknown {
                let is_folder = self.holds_folder(listing.name(position));
                listing.set_hint(position, if is_folder { KindHint::Folder } else { KindHint::Other });
            }
        }
    }

    /// Opens the folder `name`.
    pub(crate) fn open_folder(self, name: &[u8]) -> Result<OpenFolder, SystemError> {
        Ok(OpenFolder(rustix::fs::openat(self.0, name, FOLDER, Mode::empty())?))
    }

    /// Opens the file `name` for reading.
    pub(crate) fn open_file(self, name: &[u8]) -> Result<File, SystemError> {
        Ok(rustix::fs::openat(self.0, name, FILE, Mode::empty())?.into())
    }

    /// As `open_file`, for a file of this status; without a new time of access where the account `own`, which runs
    /// this program, may ask for that.
    pub(crate) fn open_file_quietly(
        self,
        name: &[u8],
        status: &FileStatus,
        own: OwnerIds,
    ) -> Result<File, SystemError> {
        // Only owner and root may.
        if !own.is_root() && own.user != status.owner.user {
            return self.open_file(name);
        }
        match rustix::fs::openat(self.0, name, FILE | OFlags::NOATIME, Mode::empty()) {
            Err(Errno::PERM) => self.open_file(name),
            other => Ok(other?.into()),
        }
    }

    /// Opens a file of the user's own that only lacks the permission to be read, as restored with `permissions`. The
    /// file has the permission for as long as the opening takes.
    pub(crate) fn open_unreadable(self, name: &[u8], permissions: u16) -> Result<File, SystemError> {
        // The file itself, also when another file takes the name meanwhile.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = rustix::fs::openat(self.0, name, flags, Mode::empty())?;
        let status = FileStatus::from(rustix::fs::fstat(&found)?);
        if status.kind != FileKind::File || status.permissions != permissions {
            return Err(Errno::ACCESS.into());
        }
        let path = path_of_open(&found);
        let mode = Mode::from_raw_mode(permissions.into());
        rustix::fs::chmod(&path[..], mode | Mode::RUSR)?;
        let opened = rustix::fs::open(&path[..], OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        rustix::fs::chmod(&path[..], mode)?;
        Ok(opened?.into())
    }

    /// Where the symlink `name` leads.
    pub(crate) fn read_link(self, name: &[u8]) -> Result<Vec<u8>, SystemError> {
        Ok(rustix::fs::readlinkat(self.0, name, Vec::new())?.into_bytes())
    }

    /// Extended attributes of the folder.
    pub(crate) fn xattrs(self) -> Result<Xattrs, XattrsLeftOut> {
        xattrs_of(self.0)
    }

    /// Extended attributes of `name`, without opening or following: for entries that must not be opened.
    pub(crate) fn xattrs_at(self, name: &[u8]) -> Result<Xattrs, XattrsLeftOut> {
        xattrs_at(self.0, name)
    }

    /// Bytes that this account may still write to the folder's filesystem.
    pub(crate) fn free_bytes(self) -> Result<u64, SystemError> {
        let room = rustix::fs::fstatvfs(self.0)?;
        // Some blocks are kept for root.
        let blocks = if super::system::own_ids().is_root() { room.f_bfree } else { room.f_bavail };
        Ok(blocks.saturating_mul(room.f_frsize))
    }

    /// Whether the folder only shows the kernel's own state.
    pub(crate) fn is_of_kernel(self) -> bool {
        super::system::is_kernel_filesystem(self.0)
    }

    /// Makes the folder `name`, marked as unfinished.
    pub(crate) fn make_unfinished(self, name: &[u8]) -> Result<(), SystemError> {
        Ok(rustix::fs::mkdirat(self.0, name, UNFINISHED)?)
    }

    /// Makes `name`, of any kind but a file and a folder; does nothing for those two.
    pub(crate) fn make_other(self, name: &[u8], kind: &Kind) -> Result<(), SystemError> {
        let (file_type, device) = match kind {
            Kind::File { .. } | Kind::Directory { .. } => return Ok(()),
            Kind::Symlink(target) => return Ok(rustix::fs::symlinkat(target.as_slice(), self.0, name)?),
            Kind::Fifo => (FileType::Fifo, 0),
            Kind::Socket => (FileType::Socket, 0),
            Kind::CharDevice { major, minor } => {
                (FileType::CharacterDevice, rustix::fs::makedev(*major, *minor))
            }
            Kind::BlockDevice { major, minor } => {
                (FileType::BlockDevice, rustix::fs::makedev(*major, *minor))
            }
        };
        Ok(rustix::fs::mknodat(self.0, name, file_type, Mode::RUSR | Mode::WUSR, device)?)
    }

    /// Gives the file `name` a further name in the folder `to`; a taken name is an error.
    pub(crate) fn link(self, name: &[u8], to: FolderRef<'_>, new_name: &[u8]) -> Result<(), SystemError> {
        Ok(rustix::fs::linkat(self.0, name, to.0, new_name, AtFlags::empty())?)
    }

    /// Renames `from` to `to`, replacing the entry at `to`.
    pub(crate) fn rename(self, from: &[u8], to: &[u8]) -> Result<(), SystemError> {
        Ok(rustix::fs::renameat(self.0, from, self.0, to)?)
    }

    /// Renames `from` to `to`; a taken name is an error.
    pub(crate) fn rename_if_free(self, from: &[u8], to: &[u8]) -> Result<(), SystemError> {
        match rustix::fs::renameat_with(self.0, from, self.0, to, RenameFlags::NOREPLACE) {
            // Not every filesystem has this call. A look first is as good, except in a race.
            Err(Errno::INVAL | Errno::NOSYS) if !self.holds(to) => self.rename(from, to),
            Err(Errno::INVAL | Errno::NOSYS) => Err(SystemError::TAKEN),
            other => Ok(other?),
        }
    }

    /// Removes the folder `name`; a folder with anything in it is an error, and so is any other entry.
    pub(crate) fn remove_folder(self, name: &[u8]) -> Result<(), SystemError> {
        Ok(rustix::fs::unlinkat(self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes `name`, of any kind but a folder.
    pub(crate) fn remove(self, name: &[u8]) -> Result<(), SystemError> {
        Ok(rustix::fs::unlinkat(self.0, name, AtFlags::empty())?)
    }
}
