//! The mount of one disk of the vault, with the disk present or not.
//!
//! A call to an absent disk fails with `NotConnected`, as with a pulled disk, so callers need no second case. Each
//! mount has a number of its own: a file opened before the disk left is never taken for a file on the returned disk.
//! Not here: which disk may come back (`arrival`).

use crate::disk::{Disk, DiskFile, Item, Space};
use crate::locks::{RwLock, rank};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Slot {
    disk: RwLock<Option<Arc<dyn Disk>>, { rank::SLOT }>,
    /// Present path, or the last.
    name: RwLock<String, { rank::SLOT_NAME }>,
    comings: AtomicU64,
}

impl Slot {
    pub(crate) fn with(disk: Arc<dyn Disk>) -> Self {
        let name = RwLock::new(disk.name());
        Self { disk: RwLock::new(Some(disk)), name, comings: AtomicU64::new(0) }
    }

    /// The slot of a disk last seen at `path`.
    pub(crate) fn empty(path: String) -> Self {
        Self { disk: RwLock::default(), name: RwLock::new(path), comings: AtomicU64::new(0) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.disk.read().is_none()
    }

    /// Changes with each coming and going of the disk.
    pub(crate) fn coming(&self) -> u64 {
        self.comings.load(Ordering::SeqCst)
    }

    pub(crate) fn put(&self, disk: Arc<dyn Disk>) {
        *self.name.write() = disk.name();
        *self.disk.write() = Some(disk);
        self.comings.fetch_add(1, Ordering::SeqCst);
    }

    /// Lets go of the disk; the last call under way closes it.
    pub(crate) fn take(&self) {
        *self.disk.write() = None;
        self.comings.fetch_add(1, Ordering::SeqCst);
    }

    fn there(&self) -> io::Result<Arc<dyn Disk>> {
        let disk = self.disk.read();
        disk.clone().ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the disk is not connected"))
    }
}

impl AsRef<dyn Disk> for Slot {
    fn as_ref(&self) -> &(dyn Disk + 'static) {
        self
    }
}

impl Disk for Slot {
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.there()?.create(path)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.there()?.open(path)
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.there()?.publish(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.there()?.remove(path)
    }

    fn make_folder(&self, path: &str) -> io::Result<bool> {
        self.there()?.make_folder(path)
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        self.there()?.sync_folder(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<Item>> {
        self.there()?.list(path)
    }

    fn space(&self) -> io::Result<Space> {
        self.there()?.space()
    }

    fn name(&self) -> String {
        self.name.read().clone()
    }
}
