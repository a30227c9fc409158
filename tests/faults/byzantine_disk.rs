//! A disk that is not what it says, at a moment that the test chooses: it keeps other bytes than it was given, or
//! something happens just when a file is made on it.
//!
//! `FaultyDisk` counts operations; here the name of the file decides. For copies that must be proven before anybody
//! relies on them.

use harness::plain::{self, Files, Hours, files, push, restore, stamp};
use larder_format::ledger::{Event, Rule};
use larder_store::disk::{Disk, DiskFile, Item, MemoryDisk, Space};
use larder_store::{MemberState, Vault};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Deed = Box<dyn FnOnce() + Send>;

#[derive(Clone)]
pub(crate) struct ByzantineDisk {
    below: MemoryDisk,
    /// Whether what is written now gets a wrong bit.
    bends: Arc<AtomicBool>,
    /// What happens when the next file is made, or gets a name, that ends so.
    at_next: Arc<Mutex<Option<(&'static str, Deed)>>>,
    /// A folder that cannot be listed.
    hidden: Arc<Mutex<Option<String>>>,
    /// Whether no ledger entry gets its name.
    refuses_entries: Arc<AtomicBool>,
    /// Whether nothing can be removed.
    refuses_removals: Arc<AtomicBool>,
}

impl ByzantineDisk {
    pub(crate) fn new(below: &MemoryDisk) -> Self {
        Self {
            below: below.clone(),
            bends: Arc::default(),
            at_next: Arc::default(),
            hidden: Arc::default(),
            refuses_entries: Arc::default(),
            refuses_removals: Arc::default(),
        }
    }

    pub(crate) fn arc(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// Does `deed` when the next file is made, or gets a name, that ends so.
    pub(crate) fn at_next(&self, end: &'static str, deed: impl FnOnce() + Send + 'static) {
        *self.at_next.lock().unwrap_or_else(PoisonError::into_inner) = Some((end, Box::new(deed)));
    }

    /// From now on no ledger entry gets its name, or each does again.
    pub(crate) fn refuse_entries(&self, refuses: bool) {
        self.refuses_entries.store(refuses, Ordering::SeqCst);
    }

    /// From now on nothing can be removed.
    pub(crate) fn refuse_removals(&self) {
        self.refuses_removals.store(true, Ordering::SeqCst);
    }

    /// From now on nobody can list this folder.
    pub(crate) fn hide(&self, folder: &str) {
        *self.hidden.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.to_owned());
    }

    fn come_to(&self, path: &str) {
        let mut at_next = self.at_next.lock().unwrap_or_else(PoisonError::into_inner);
        let deed = at_next.take_if(|(end, _)| path.ends_with(*end));
        drop(at_next);
        if let Some((_, deed)) = deed {
            // On a thread of its own, as in a box: the thread that came here holds locks.
            std::thread::spawn(deed).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    }

    /// Whether nothing is left that it waits to do.
    pub(crate) fn has_done(&self) -> bool {
        self.at_next.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

struct ByzantineFile(Box<dyn DiskFile>, Arc<AtomicBool>);

impl Disk for ByzantineDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.come_to(path);
        Ok(Box::new(ByzantineFile(self.below.create(path)?, self.bends.clone())))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.below.open(path)
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.come_to(to);
        if to.ends_with(".entry") && self.refuses_entries.load(Ordering::SeqCst) {
            return Err(io::Error::other("it gives up"));
        }
        self.below.publish(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        if self.refuses_removals.load(Ordering::SeqCst) {
            return Err(io::Error::other("it gives up"));
        }
        self.below.remove(path)
    }

    fn make_folder(&self, path: &str) -> io::Result<bool> {
        self.below.make_folder(path)
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        self.below.sync_folder(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<Item>> {
        if self.hidden.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(path) {
            return Err(io::Error::other("one bad block"));
        }
        self.below.list(path)
    }

    fn space(&self) -> io::Result<Space> {
        self.below.space()
    }

    fn name(&self) -> String {
        self.below.name()
    }
}

impl DiskFile for ByzantineFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.1.load(Ordering::SeqCst) && bytes.len() > 100 {
            let mut bent = bytes.to_vec();
            bent[bytes.len() - 1] ^= 1;
            return self.0.append(&bent);
        }
        self.0.append(bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

/// Lets go of all but the newest at once.
pub(crate) const NEWEST_ONLY: Rule =
    Rule { everything_days: 0, daily_days: 0, weekly_days: 0, monthly_days: Some(0), newest: 1 };

pub(crate) fn day(number: u8) -> Files {
    files([("always.txt", &[200; 650]), ("a.txt", &[number; 600]), ("b.txt", &[number ^ 128; 650])])
}

/// What is written anew may lie wrong on the disk: then the old packs stay, and everything kept is whole.
#[test]
fn a_merged_pack_that_does_not_come_back_takes_no_place() {
    let memory = MemoryDisk::new();
    let disk = ByzantineDisk::new(&memory);
    let vault = plain::open(vec![disk.arc()]).expect("opens");
    vault.append(stamp(0), Event::RetentionSet(NEWEST_ONLY)).expect("written");
    let mut hours = Hours::default();
    for number in 1..5u8 {
        let now = hours.pass(&vault, 24);
        push(&vault, "laptop/docs", &day(number), number.into(), now).expect("a push");
    }
    let now = hours.pass(&vault, 1);
    vault.prune(&vault.plan_prune(now), now).expect("obeyed");
    drop(vault);
    // Pushes of this run would keep their packs for a day or two.
    let vault = plain::open(vec![disk.arc()]).expect("opens");
    vault.sweep_step(hours.pass(&vault, 8 * 24), 1000).expect("it waits");
    let now = hours.pass(&vault, 2);
    disk.bends.store(true, Ordering::SeqCst);
    let bent = (0..20).find_map(|_| vault.sweep_step(now, 1000).err());
    assert!(bent.is_some(), "the test must write something anew, and that must be noticed");
    disk.bends.store(false, Ordering::SeqCst);
    drop(vault);
    let vault = plain::open(vec![Arc::new(memory)]).expect("opens");
    let root = vault.ledger().snapshots("laptop/docs")[0].snapshot.root;
    assert_eq!(restore(&vault, root).expect("whole"), day(4));
    assert_eq!(vault.audit().expect("an audit").damaged, [""; 0]);
}

/// A backup is made just while the last pack that a disk lacks is copied: the disk does not count before it has that too.
#[test]
fn a_backup_that_comes_while_a_disk_is_filled_is_on_it_before_it_counts() {
    let (old, new) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = plain::open(vec![Arc::new(old.clone())]).expect("opens");
    push(&vault, "laptop/docs", &day(1), 1, stamp(1)).expect("a push");
    drop(vault);
    // Full, so that opening cannot fill it.
    new.limit(2000);
    let filled = ByzantineDisk::new(&new);
    let vault = Arc::new(plain::open(vec![Arc::new(old), filled.arc()]).expect("opens"));
    assert!(matches!(vault.disks()[1].state, MemberState::Behind(_)));
    new.limit(u64::MAX);
    let meanwhile = Arc::downgrade(&vault);
    let deed = move || {
        let vault: Arc<Vault> = meanwhile.upgrade().expect("it is open");
        let committed = push(&vault, "laptop/docs", &day(2), 2, stamp(2)).expect("a push");
        assert_eq!(committed.degraded.len(), 1, "the receipt names the disk that is being filled");
    };
    filled.at_next("copy.part", deed);
    while vault.catch_up(1 << 20).expect("there is room") > 0 {}
    assert!(filled.has_done(), "it must have come");
    assert_eq!(vault.disks()[1].state, MemberState::Healthy);
    drop(vault);
    let alone = plain::open(vec![Arc::new(new.after_power_cut(0))]).expect("opens");
    let snapshots = alone.ledger().snapshots("laptop/docs").to_vec();
    assert_eq!(snapshots.len(), 2, "the disk alone has every backup");
    for (record, number) in snapshots.iter().zip(1..) {
        assert_eq!(restore(&alone, record.snapshot.root).expect("whole"), day(number));
    }
}
