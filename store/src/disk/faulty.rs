//! A simulated disk whose operations fail as scheduled, with a count of operations.
//!
//! An unfired fault proves nothing, so `fired` and `story` tell what really happened. Disks of one box share
//! its power: a cut takes every disk at the same moment. With `beside` the disks share count and schedule as well.
//! Not here: the losses of a power cut and rot (`MemoryDisk`), schedules as text (`schedule`).

mod schedule;

pub use schedule::{Fault, On, Plan, Planned, Schedule, When};

use super::memory::MemoryFile;
use super::{Dice, Disk, DiskFile, Item, MemoryDisk, Space};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk with scheduled faults. Without any fault the disk only counts.
#[derive(Clone)]
pub struct FaultyDisk {
    below: MemoryDisk,
    faults: Arc<Mutex<Faults>>,
    /// Of the whole box.
    is_off: Arc<AtomicBool>,
    /// The filesystem gave up, and only lets itself be read.
    is_read_only: Arc<AtomicBool>,
}

/// A fired fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// Number of the operation among all of this disk.
    pub number: u64,
    /// The operation.
    pub operation: &'static str,
    /// Its file or folder.
    pub path: String,
    /// The fault.
    pub fault: Fault,
}

impl Fired {
    /// The same fault at the same operation, without chance.
    pub fn planned(&self) -> Planned {
        Planned { on: On::All, when: When::At(self.number), fault: self.fault }
    }
}

impl fmt::Display for Fired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at operation {}: {} {}", self.fault, self.number, self.operation, self.path)
    }
}

#[derive(Default)]
struct Faults {
    schedule: Schedule,
    /// For each fault of the schedule: the count of matching operations so far.
    seen: Vec<u64>,
    /// Number of operations.
    asked: u64,
    /// Number of operations that change the disk.
    operations: u64,
    fired: Vec<Fired>,
    is_dead: bool,
}

/// Effect of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FaultKind {
    Change,
    Sync,
    Read,
}

impl On {
    fn is_about(self, kind: FaultKind) -> bool {
        match self {
            Self::All => true,
            Self::Changes => kind != FaultKind::Read,
            Self::Syncs => kind == FaultKind::Sync,
            Self::Reads => kind == FaultKind::Read,
        }
    }
}

impl Fault {
    /// A fault that cannot happen to an operation of this kind does not fire there, or counts would lie.
    fn can_strike(self, kind: FaultKind, operation: &str) -> bool {
        match self {
            Self::Rot | Self::Elsewhere => operation == "read",
            Self::SyncLies => kind == FaultKind::Sync,
            Self::Full => kind != FaultKind::Read,
            _ => true,
        }
    }
}

impl Faults {
    fn step(&mut self, kind: FaultKind, operation: &'static str, path: &str) -> (Option<Fault>, Dice) {
        let number = self.asked;
        self.asked += 1;
        self.operations += u64::from(kind != FaultKind::Read);
        let mut dice = Dice::of(self.schedule.seed, number);
        if self.is_dead {
            return (Some(Fault::Dies), dice);
        }
        let mut struck = None;
        for (planned, seen) in self.schedule.faults.iter().zip(&mut self.seen) {
            if planned.on.is_about(kind) {
                let is_now = planned.when.is_now(*seen, &mut dice);
                *seen += 1;
                if is_now && struck.is_none() && planned.fault.can_strike(kind, operation) {
                    struck = Some(planned.fault);
                }
            }
        }
        if let Some(fault) = struck {
            self.is_dead |= fault == Fault::Dies;
            self.fired.push(Fired { number, operation, path: path.to_owned(), fault });
        }
        (struck, dice)
    }
}

impl FaultyDisk {
    /// A disk with scheduled faults: none, one `Plan`, or a whole `Schedule`.
    pub fn new(below: MemoryDisk, schedule: impl Into<Schedule>) -> Self {
        let schedule = schedule.into();
        let seen = vec![0; schedule.faults.len()];
        let faults = Arc::new(Mutex::new(Faults { schedule, seen, ..Faults::default() }));
        Self { below, faults, is_off: Arc::default(), is_read_only: Arc::default() }
    }

    /// Another disk in the same box: both share the count, and each fault of the schedule strikes but once.
    pub fn beside(&self, below: MemoryDisk) -> Self {
        Self { below, is_read_only: Arc::default(), ..self.clone() }
    }

    /// Another disk in the same box, with faults of its own.
    pub fn on_same_power(&self, below: MemoryDisk) -> Self {
        Self { is_off: self.is_off.clone(), ..Self::new(below, None) }
    }

    /// One fault more, counted from now on.
    pub fn plan(&self, planned: Planned) {
        let mut faults = self.faults();
        faults.schedule.faults.push(planned);
        faults.seen.push(0);
    }

    /// Whether the power of the box is gone.
    pub fn is_off(&self) -> bool {
        self.is_off.load(Ordering::SeqCst)
    }

    /// Operations so far that change the disk.
    pub fn operations(&self) -> u64 {
        self.faults().operations
    }

    /// Whether any scheduled fault happened.
    pub fn fired(&self) -> bool {
        !self.faults().fired.is_empty()
    }

    /// The fired faults, in order.
    pub fn story(&self) -> Vec<Fired> {
        self.faults().fired.clone()
    }

    /// Forgets the fired faults, after a report.
    pub fn forget_story(&self) {
        self.faults().fired.clear();
    }

    /// The disk below, to look at its real content.
    pub fn below(&self) -> &MemoryDisk {
        &self.below
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(
        &self,
        kind: FaultKind,
        operation: &'static str,
        path: &str,
    ) -> io::Result<(Option<Fault>, Dice)> {
        if self.is_off() {
            return Err(broken());
        }
        let step = self.faults().step(kind, operation, path);
        if step.0 == Some(Fault::PowerCut) {
            self.is_off.store(true, Ordering::SeqCst);
        }
        if kind != FaultKind::Read && self.is_read_only.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(step)
    }

    /// Does `action` unless a fault is due.
    fn guarded<T>(
        &self,
        kind: FaultKind,
        operation: &'static str,
        path: &str,
        action: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match self.step(kind, operation, path)?.0 {
            None | Some(Fault::Rot | Fault::Elsewhere | Fault::SyncLies) => action(),
            Some(Fault::ErrorAfter) => {
                action()?;
                Err(broken())
            }
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Error | Fault::PowerCut | Fault::Dies | Fault::SyncLost) => Err(broken()),
        }
    }

    fn file(&self, path: &str, below: MemoryFile) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { below, path: path.to_owned(), disk: self.clone() })
    }
}

fn broken() -> io::Error {
    io::Error::other("a planned fault")
}

impl Disk for FaultyDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.guarded(FaultKind::Change, "create", path, || Ok(self.file(path, self.below.make_file(path)?)))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.guarded(FaultKind::Read, "open", path, || Ok(self.file(path, self.below.open_file(path)?)))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.guarded(FaultKind::Change, "publish", to, || self.below.publish(from, to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.guarded(FaultKind::Change, "remove", path, || self.below.remove(path))
    }

    fn make_folder(&self, path: &str) -> io::Result<bool> {
        self.guarded(FaultKind::Change, "make-folder", path, || self.below.make_folder(path))
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        match self.step(FaultKind::Sync, "sync-folder", path)?.0 {
            None => self.below.sync_folder(path),
            Some(Fault::SyncLies) => Ok(()),
            Some(Fault::SyncLost) => {
                self.below.forget_names(path);
                self.is_read_only.store(true, Ordering::SeqCst);
                Err(broken())
            }
            Some(Fault::ErrorAfter) => self.below.sync_folder(path).and(Err(broken())),
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(_) => Err(broken()),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<Item>> {
        self.guarded(FaultKind::Read, "list", path, || self.below.list(path))
    }

    fn space(&self) -> io::Result<Space> {
        self.guarded(FaultKind::Read, "space", "", || self.below.space())
    }

    fn name(&self) -> String {
        self.below.name()
    }
}

struct FaultyFile {
    below: MemoryFile,
    path: String,
    disk: FaultyDisk,
}

impl DiskFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.disk.step(FaultKind::Change, "append", &self.path)?.0 {
            None => self.below.append(bytes),
            Some(Fault::ErrorAfter) => self.below.append(&bytes[..bytes.len() / 2]).and(Err(broken())),
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(_) => Err(broken()),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (fault, mut dice) = self.disk.step(FaultKind::Read, "read", &self.path)?;
        match fault {
            None => self.below.read_at(offset, buffer),
            Some(Fault::Rot) => {
                self.below.read_at(offset, buffer)?;
                let (at, bit) = (dice.below(buffer.len()), dice.below(8));
                buffer.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
                Ok(())
            }
            Some(Fault::Elsewhere) => {
                self.below.read_at(offset, buffer)?;
                self.below.read_elsewhere(offset, buffer, &mut dice);
                Ok(())
            }
            Some(_) => Err(broken()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.disk.step(FaultKind::Sync, "sync", &self.path)?.0 {
            None => self.below.sync(),
            Some(Fault::SyncLies) => Ok(()),
            Some(Fault::SyncLost) => {
                self.below.forget();
                Err(broken())
            }
            Some(Fault::ErrorAfter) => self.below.sync().and(Err(broken())),
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(_) => Err(broken()),
        }
    }

    fn forget_cached(&self) {
        self.below.forget_cached();
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.guarded(FaultKind::Read, "length", &self.path, || self.below.len())
    }
}
