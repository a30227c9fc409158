//! New files without a name until they are whole; where the filesystem has no such files, a new file grows under a
//! name beside.
//!
//! A file under a name beside changes its folder twice, at the making and at the renaming. A file without a name
//! changes the folder once, and leaves nothing behind when a restore breaks off. Naming such a file never takes a
//! taken name, so unnamed files are only for restores that replace nothing.

use super::{error::SystemError, files::path_of_open, folder::FolderRef};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
};
use std::{
    fs::File,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// A new file before its naming.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) file: File,
    /// Whether the file has no name at all; otherwise the file lies under a name beside.
    pub(crate) is_unnamed: bool,
}

/// Makes new files; a call that failed as unsupported is not tried again.
pub(crate) struct NewFiles {
    may_be_unnamed: AtomicBool,
    /// Naming an open file directly takes a right that often only root has. The way over /proc needs no right, and
    /// costs two more walks along a path for each file.
    is_named_directly: AtomicBool,
}

impl NewFiles {
    /// For free names: a file needs no name until it is whole.
    pub(crate) fn for_free_names() -> Self {
        let can_name = std::path::Path::new("/proc/self/fd").exists();
        Self { may_be_unnamed: AtomicBool::new(can_name), is_named_directly: AtomicBool::new(true) }
    }

    /// For names that may be taken: naming an unnamed file never replaces an entry.
    pub(crate) fn for_any_names() -> Self {
        Self { may_be_unnamed: AtomicBool::new(false), is_named_directly: AtomicBool::new(true) }
    }

    /// A new file without a name or, where the filesystem has none, in `folder` under the name `beside`. Nobody else
    /// can open an unnamed file, so an unnamed file has its `permissions` from the start, as far as the umask allows.
    pub(crate) fn create(
        &self,
        folder: FolderRef<'_>,
        beside: &[u8],
        permissions: u16,
    ) -> Result<NewFile, SystemError> {
        let for_its_owner = Mode::RUSR | Mode::WUSR;
        if self.may_be_unnamed.load(Relaxed) {
            let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(u32::from(permissions & 0o777)) | for_its_owner;
            match rustix::fs::openat(folder, c".", flags, mode) {
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                    self.may_be_unnamed.store(false, Relaxed)
                }
                made => return Ok(NewFile { file: made?.into(), is_unnamed: true }),
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, beside, flags, for_its_owner)?.into();
        Ok(NewFile { file, is_unnamed: false })
    }

    /// Gives an unnamed file its name. A taken name is an error.
    pub(crate) fn name(&self, file: &File, folder: FolderRef<'_>, name: &[u8]) -> Result<(), SystemError> {
        if self.is_named_directly.load(Relaxed) {
            match rustix::fs::linkat(file, c"", folder, name, AtFlags::EMPTY_PATH) {
                // Errors of a call without the right.
                Err(Errno::NOENT | Errno::INVAL | Errno::PERM) => {
                    self.is_named_directly.store(false, Relaxed)
                }
                named => return Ok(named?),
            }
        }
        Ok(rustix::fs::linkat(CWD, path_of_open(file), folder, name, AtFlags::SYMLINK_FOLLOW)?)
    }
}
