//! A disk around another one that fails where a plan says so, and counts what was asked of it.
//!
//! A plan that never fired proves nothing, so `fired` tells. A failed sync drops what was pending on the disk below
//! only in the sense that matters: the caller was told, and must not rely on a second try.

use super::{Disk, DiskFile, Item, Space};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails with an I/O error; later ones work.
    Error,
    /// The operation fails because there is no room; later ones work.
    Full,
    /// The power goes: this operation and all after it fail.
    PowerCut,
}

/// Which operation fails, counted from 0 over everything that changes the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Number of the operation.
    pub at: u64,
    /// What happens there.
    pub fault: Fault,
}

/// A disk with planned faults. Without a plan it only counts.
pub struct FaultyDisk<D> {
    below: D,
    faults: Arc<Faults>,
}

struct Faults {
    plan: Option<Plan>,
    operations: AtomicU64,
    fired: AtomicBool,
}

impl Faults {
    fn step(&self) -> io::Result<()> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        let Some(plan) = self.plan else { return Ok(()) };
        let now = number == plan.at || (plan.fault == Fault::PowerCut && number > plan.at);
        if !now {
            return Ok(());
        }
        self.fired.store(true, Ordering::SeqCst);
        Err(match plan.fault {
            Fault::Full => io::ErrorKind::StorageFull.into(),
            Fault::Error | Fault::PowerCut => io::Error::other("a planned fault"),
        })
    }
}

impl<D: Disk> FaultyDisk<D> {
    /// Wraps `below`.
    pub fn new(below: D, plan: Option<Plan>) -> Self {
        let faults = Faults { plan, operations: AtomicU64::new(0), fired: AtomicBool::new(false) };
        Self { below, faults: Arc::new(faults) }
    }

    /// Operations so far that change the disk.
    pub fn operations(&self) -> u64 {
        self.faults.operations.load(Ordering::SeqCst)
    }

    /// Whether the planned fault happened.
    pub fn fired(&self) -> bool {
        self.faults.fired.load(Ordering::SeqCst)
    }
}

impl<D: Disk> Disk for FaultyDisk<D> {
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.faults.step()?;
        Ok(Box::new(FaultyFile { below: self.below.create(path)?, faults: self.faults.clone() }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FaultyFile { below: self.below.open(path)?, faults: self.faults.clone() }))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.faults.step()?;
        self.below.publish(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.faults.step()?;
        self.below.remove(path)
    }

    fn make_folder(&self, path: &str) -> io::Result<bool> {
        self.faults.step()?;
        self.below.make_folder(path)
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        self.faults.step()?;
        self.below.sync_folder(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<Item>> {
        self.below.list(path)
    }

    fn space(&self) -> io::Result<Space> {
        self.below.space()
    }

    fn name(&self) -> String {
        self.below.name()
    }
}

struct FaultyFile {
    below: Box<dyn DiskFile>,
    faults: Arc<Faults>,
}

impl DiskFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.faults.step()?;
        self.below.append(bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.below.read_at(offset, buffer)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.faults.step()?;
        self.below.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.below.len()
    }
}
