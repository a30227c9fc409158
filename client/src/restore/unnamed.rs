//! New files that have no name until they are whole; where the filesystem cannot make such, a file grows beside.
//!
//! A file that grows under another name takes two changes of its folder, one to make it and one to rename it; a file
//! without a name takes one, and a restore that breaks off leaves nothing behind. To give it its name never takes
//! somebody else's, so this is only for restores that replace nothing.

use super::options::Existing;
use rustix::{
    fd::{AsRawFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
};
use std::{
    ffi::CStr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// Whether that works here; from the first time that something does not, it is not tried again.
pub(crate) struct Unnamed {
    is_possible: AtomicBool,
    /// Naming an open file directly takes a right that often only root has. By way of /proc, which costs two walks
    /// along a path more for each file, anybody can.
    is_named_directly: AtomicBool,
}

impl Unnamed {
    pub(crate) fn new(existing: Existing) -> Self {
        let can_name = std::path::Path::new("/proc/self/fd").exists();
        Self {
            is_possible: AtomicBool::new(existing == Existing::Keep && can_name),
            is_named_directly: AtomicBool::new(true),
        }
    }

    /// A new file, and whether it has no name: elsewhere it lies in `folder` under the name `beside`. Nobody else can
    /// open a file without a name, so that one has its permissions from the start, as far as the umask lets them be.
    pub(crate) fn create(
        &self,
        folder: BorrowedFd<'_>,
        beside: &CStr,
        permissions: u16,
    ) -> rustix::io::Result<(OwnedFd, bool)> {
        let for_its_owner = Mode::RUSR | Mode::WUSR;
        if self.is_possible.load(Relaxed) {
            let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(u32::from(permissions & 0o777)) | for_its_owner;
            match rustix::fs::openat(folder, c".", flags, mode) {
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                    self.is_possible.store(false, Relaxed)
                }
                made => return Ok((made?, true)),
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok((rustix::fs::openat(folder, beside, flags, for_its_owner)?, false))
    }

    /// Gives it its name. A name that is taken is an error.
    pub(crate) fn name(
        &self,
        file: BorrowedFd<'_>,
        folder: BorrowedFd<'_>,
        name: &CStr,
    ) -> rustix::io::Result<()> {
        if self.is_named_directly.load(Relaxed) {
            match rustix::fs::linkat(file, c"", folder, name, AtFlags::EMPTY_PATH) {
                // What it is called when the right is lacking.
                Err(Errno::NOENT | Errno::INVAL | Errno::PERM) => {
                    self.is_named_directly.store(false, Relaxed)
                }
                named => return named,
            }
        }
        let open_file = format!("/proc/self/fd/{}", file.as_raw_fd());
        rustix::fs::linkat(CWD, open_file, folder, name, AtFlags::SYMLINK_FOLLOW)
    }
}
