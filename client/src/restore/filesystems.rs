//! The filesystems of a restore, and whether every write arrived there.
//!
//! A write only reaches this computer's memory. A quota, a full share or a failing stick shows when memory is written
//! out, after the last file has its name. Without a question at the end, a restore would be called complete although
//! nothing may be left tomorrow.

use crate::{
    ClientError, NotWritten,
    platform::{FolderRef, OpenFolder, SystemError},
};
use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

/// An open folder for each filesystem. The folder must be open before the first write: the system tells an open
/// folder only of errors after its opening.
#[derive(Default)]
pub(crate) struct Filesystems {
    known: Mutex<Vec<(u64, Arc<OpenFolder>)>>,
    /// The first error; the system tells each only once.
    failed: Mutex<Option<SystemError>>,
}

/// Pause between two flushes. Waiting for every write at the end would make a restore half as long again, and a small
/// restore ends within a longer pause.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

impl Filesystems {
    /// Notes the filesystem `device` of `folder`.
    pub(crate) fn note(&self, device: u64, folder: FolderRef<'_>) -> Result<(), SystemError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.iter().all(|(other, _)| *other != device) {
            known.push((device, Arc::new(folder.keep()?)));
        }
        Ok(())
    }

    /// Brings the writes so far to the disk, again and again, until `over` is dropped.
    pub(crate) fn flush_until(&self, over: &Receiver<()>) {
        while over.recv_timeout(FLUSH_EVERY) == Err(RecvTimeoutError::Timeout) {
            self.flush();
        }
    }

    fn flush(&self) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Each filesystem is asked, also after an error of another: the others hold files as well.
        for (_, folder) in known {
            if let Err(error) = folder.sync_filesystem() {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    }

    /// Waits until every write is on its disk.
    pub(crate) fn settle(self, target: &Path) -> Result<(), ClientError> {
        self.flush();
        let failed = self.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.map_or(Ok(()), |error| {
            let why = NotWritten::Unsure { cause: error.to_string() };
            Err(ClientError::Unwritten { path: target.to_owned(), why })
        })
    }
}
