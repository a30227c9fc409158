//! The filesystems that a restore writes to, and whether all of it arrived there.
//!
//! A write only reaches this computer's memory. A quota, a full share or a stick that gives up says so when memory is
//! written out, after the last file has its name: whoever does not ask then calls a restore complete of which nothing
//! may be left tomorrow.

use crate::Trouble;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

/// One open folder for each filesystem. It must have been opened before the first write: the system tells an open
/// folder only of errors that came after it was opened.
#[derive(Default)]
pub(crate) struct Filesystems(Mutex<Vec<(u64, OwnedFd)>>);

impl Filesystems {
    /// Notes the filesystem `device`, on which `folder` lies.
    pub(crate) fn note(&self, device: u64, folder: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.iter().all(|(other, _)| *other != device) {
            known.push((device, folder.try_clone_to_owned().map_err(|_| rustix::io::Errno::MFILE)?));
        }
        Ok(())
    }

    /// Waits until everything is on its disk.
    pub(crate) fn settle(self, target: &Path) -> Result<(), Trouble> {
        let known = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Each one is asked, also after one that failed: the others hold files as well.
        let asked: Vec<_> = known.iter().map(|(_, folder)| rustix::fs::syncfs(folder.as_fd())).collect();
        asked.into_iter().collect::<rustix::io::Result<()>>().map_err(|errno| Trouble::Unwritten {
            path: target.to_owned(),
            cause: std::io::Error::from(errno).to_string(),
        })
    }
}
