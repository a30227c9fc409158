//! New files that have no name until they are whole; where the filesystem cannot make such, a file grows beside.
//!
//! A file that grows under another name takes two changes of its folder, one to make it and one to rename it; a file
//! without a name takes one, and a restore that breaks off leaves nothing behind. To give it its name never takes
//! somebody else's, so this is only for restores that replace nothing.

use super::{error::SystemError, files::path_of_open, folder::FolderRef};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
};
use std::{
    fs::File,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// A new file that is written before it has its name.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) file: File,
    /// Whether the file has no name at all; else it lies under a name beside.
    pub(crate) is_unnamed: bool,
}

/// Makes new files; from the first time that something does not work here, it is not tried again.
pub(crate) struct NewFiles {
    may_be_unnamed: AtomicBool,
    /// Naming an open file directly takes a right that often only root has. By way of /proc, which costs two walks
    /// along a path more for each file, anybody can.
    is_named_directly: AtomicBool,
}

impl NewFiles {
    /// For files whose names are free: they need no name until they are whole.
    pub(crate) fn for_free_names() -> Self {
        let can_name = std::path::Path::new("/proc/self/fd").exists();
        Self { may_be_unnamed: AtomicBool::new(can_name), is_named_directly: AtomicBool::new(true) }
    }

    /// For files that may replace others: giving a name to a file without one never takes a name that is taken.
    pub(crate) fn for_any_names() -> Self {
        Self { may_be_unnamed: AtomicBool::new(false), is_named_directly: AtomicBool::new(true) }
    }

    /// A new file without a name or, where that cannot be, in `folder` under the name `beside`. Nobody else can open a file
    /// without a name, so that one has its `permissions` from the start, as far as the umask lets them be.
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

    /// Gives a file without a name the one that it should have. A name that is taken is an error.
    pub(crate) fn name(&self, file: &File, folder: FolderRef<'_>, name: &[u8]) -> Result<(), SystemError> {
        if self.is_named_directly.load(Relaxed) {
            match rustix::fs::linkat(file, c"", folder, name, AtFlags::EMPTY_PATH) {
                // What it is called when the right is lacking.
                Err(Errno::NOENT | Errno::INVAL | Errno::PERM) => {
                    self.is_named_directly.store(false, Relaxed)
                }
                named => return Ok(named?),
            }
        }
        Ok(rustix::fs::linkat(CWD, path_of_open(file), folder, name, AtFlags::SYMLINK_FOLLOW)?)
    }
}
