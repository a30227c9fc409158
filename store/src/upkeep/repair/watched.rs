//! Files noting unanswered reads: a byte unreadable at this moment is not lost.
//!
//! A cable, a bridge without power or a system short of memory fails reads of intact bytes. A caller with a damaged
//! pack must know whether the pack was read and is wrong, or was not read. Not here: the consequences (`repair`).

use crate::disk::{Disk, DiskFile, folder_of, is_unanswered};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether any read went unanswered; clones share the answer.
#[derive(Clone, Default)]
pub(crate) struct Unanswered(Arc<AtomicBool>);

impl Unanswered {
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn note(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Passes the result on; an error of an open file always means no answer, unless the error is about the bytes.
    fn watch<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            if is_unanswered(error) {
                self.note();
            }
        })
    }

    /// Names in a folder; none when the folder cannot be listed.
    pub(crate) fn list(&self, disk: &dyn Disk, folder: &str) -> Vec<String> {
        let items = self.watch(disk.list(folder)).unwrap_or_default();
        items.into_iter().map(|item| item.name).collect()
    }

    /// Opens a file, if present. A file listed in its folder and not found on opening counts as unanswered.
    pub(crate) fn open(&self, disk: &dyn Disk, path: &str) -> Option<Box<dyn DiskFile>> {
        match disk.open(path) {
            Ok(below) => Some(Box::new(Watched { below, unanswered: self.clone() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = path.rsplit('/').next().unwrap_or(path);
                if self.list(disk, folder_of(path)).iter().any(|listed| listed == name) {
                    self.note();
                }
                None
            }
            Err(error) => self.watch(Err(error)).ok(),
        }
    }
}

struct Watched {
    below: Box<dyn DiskFile>,
    unanswered: Unanswered,
}

impl DiskFile for Watched {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.below.append(bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.unanswered.watch(self.below.read_at(offset, buffer))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.below.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.unanswered.watch(self.below.len())
    }

    fn forget_cached(&self) {
        self.below.forget_cached();
    }
}
