//! How a restored file gets its name, once it is whole and never before.
//!
//! Where the filesystem can make such, it has no name until then; elsewhere it grows beside under another one.
//! A file that grows under another name takes two changes of its folder, one to make it and one to rename it; a file
//! without a name takes one, and a restore that breaks off leaves nothing behind. To give it its name never takes
//! somebody else's, so this is only for restores that replace nothing.

use super::{
    Existing, Site,
    place::{exists, words},
};
use rustix::{
    fd::{AsRawFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, CWD, Mode, OFlags, RenameFlags},
    io::Errno,
};
use std::{
    ffi::CStr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// Whether that works here; from the first time that it does not, it is not tried again.
pub(crate) struct Unnamed(AtomicBool);

impl Unnamed {
    pub(crate) fn new(existing: Existing) -> Self {
        // The name is given by way of /proc; naming an open file directly takes a right that only root has.
        let can_name = std::path::Path::new("/proc/self/fd").exists();
        Self(AtomicBool::new(existing == Existing::Keep && can_name))
    }

    /// A new file, and whether it has no name: elsewhere it lies in `folder` under the name `beside`.
    pub(crate) fn create(
        &self,
        folder: BorrowedFd<'_>,
        beside: &CStr,
    ) -> rustix::io::Result<(OwnedFd, bool)> {
        let mode = Mode::RUSR | Mode::WUSR;
        if self.0.load(Relaxed) {
            let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
            match rustix::fs::openat(folder, c".", flags, mode) {
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                    self.0.store(false, Relaxed)
                }
                made => return Ok((made?, true)),
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok((rustix::fs::openat(folder, beside, flags, mode)?, false))
    }
}

/// Gives it its name. A name that is taken is an error.
pub(crate) fn name_unnamed(
    file: BorrowedFd<'_>,
    folder: BorrowedFd<'_>,
    name: &CStr,
) -> rustix::io::Result<()> {
    let open_file = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, open_file, folder, name, AtFlags::SYMLINK_FOLLOW)
}

/// Gives what lies under `beside` its name.
pub(crate) fn rename(
    site: &Site<'_>,
    folder: BorrowedFd<'_>,
    beside: &CStr,
    name: &CStr,
) -> Result<(), String> {
    let renamed = match site.existing {
        Existing::Replace => rustix::fs::renameat(folder, beside, folder, name),
        Existing::Keep => {
            match rustix::fs::renameat_with(folder, beside, folder, name, RenameFlags::NOREPLACE) {
                // Not every filesystem can: then look first, which is as good unless somebody races us.
                Err(Errno::INVAL | Errno::NOSYS) if !exists(folder, name) => {
                    rustix::fs::renameat(folder, beside, folder, name)
                }
                Err(Errno::INVAL | Errno::NOSYS) => Err(Errno::EXIST),
                other => other,
            }
        }
    };
    renamed.map_err(words)
}
