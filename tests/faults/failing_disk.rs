//! One operation fails, with an I/O error or for want of room; the box goes on, then starts anew.

use crate::workload::live;
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, Plan};
use std::sync::Arc;

fn operations() -> u64 {
    let disk = Arc::new(FaultyDisk::new(MemoryDisk::new(), None));
    live(vec![disk.clone()]);
    disk.operations()
}

/// An error at any moment costs no finished backup, and no receipt is given for what is not safe.
#[test]
fn a_disk_that_fails_once_never_makes_a_receipt_lie() {
    for fault in [Fault::Error, Fault::Full] {
        for at in 0..operations() {
            let below = MemoryDisk::new();
            let disk = Arc::new(FaultyDisk::new(below.clone(), Some(Plan { at, fault })));
            let promises = live(vec![disk.clone()]);
            assert!(disk.fired());
            // What was acknowledged must be on the disk itself, not only in the system's cache.
            for seed in 0..4 {
                let after: Arc<dyn Disk> = Arc::new(below.after_power_cut(seed));
                promises.check(vec![after], &format!("{fault:?} at operation {at}, then power cut {seed}"));
            }
        }
    }
}

/// With two disks, one that fails at any moment stops no backup.
#[test]
fn a_second_disk_carries_on_alone() {
    for at in (0..operations()).step_by(2) {
        let (failing, other) = (MemoryDisk::new(), MemoryDisk::new());
        let faulty = FaultyDisk::new(failing.clone(), Some(Plan { at, fault: Fault::PowerCut }));
        let promises = live(vec![Arc::new(faulty), Arc::new(other.clone())]);
        // Joining the vault is the one step that needs every disk.
        let joined = failing.open("disk.json").is_ok();
        assert!(promises.len() == 4 || !joined, "a push stopped although one disk was fine (operation {at})");
        if promises.len() == 4 {
            promises.check(vec![Arc::new(other)], &format!("the first disk died at operation {at}"));
        }
    }
}
