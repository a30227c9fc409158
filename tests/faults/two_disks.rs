//! Two disks: what a power cut leaves between them, a disk that joins, one that was away, one that lost an entry.

use crate::workload::{Promises, live, one_more_day};
use harness::plain;
use larder_store::MemberState;
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, Plan};
use std::sync::Arc;

fn both(first: &MemoryDisk, second: &MemoryDisk) -> Vec<Arc<dyn Disk>> {
    vec![Arc::new(first.clone()), Arc::new(second.clone())]
}

/// Each of the two alone gives everything back.
fn check_each(promises: &Promises, first: &MemoryDisk, second: &MemoryDisk, context: &str) {
    promises.check(both(first, second), context);
    for (name, disk) in [("first", first), ("second", second)] {
        promises.check(vec![Arc::new(disk.after_power_cut(0))], &format!("{context}, the {name} alone"));
    }
}

/// The power goes between two disks: after the next start each of them has everything again.
#[test]
fn a_power_cut_between_two_disks_leaves_neither_behind() {
    let (counting, other) = (Arc::new(FaultyDisk::new(MemoryDisk::new(), None)), MemoryDisk::new());
    live(vec![counting.clone(), Arc::new(other)]);
    let mut states = 0;
    for at in 0..counting.operations() {
        for seed in 0..6 {
            let (cut, other) = (MemoryDisk::new(), MemoryDisk::new());
            let plan = Plan { at, fault: Fault::PowerCut };
            let disk: Arc<dyn Disk> = Arc::new(FaultyDisk::new(cut.clone(), Some(plan)));
            let other_first = seed % 2 == 1;
            let other_disk: Arc<dyn Disk> = Arc::new(other.clone());
            let order = if other_first { vec![other_disk, disk] } else { vec![disk, other_disk] };
            let promises = live(order);
            // The first disk died at once; the other went on for a while and lost its power then.
            let (first, second) = (cut.after_power_cut(seed), other.after_power_cut(seed));
            let context = format!("operation {at}, seed {seed}");
            if first.open("disk.json").is_ok() || second.open("disk.json").is_ok() {
                check_each(&promises, &first, &second, &context);
            }
            states += 1;
        }
    }
    println!("{states} power cuts between two disks: 0 lost, 0 behind");
}

/// A new disk gets everything that is kept, and only then counts.
#[test]
fn a_disk_that_joins_is_filled() {
    let (old, new) = (MemoryDisk::new(), MemoryDisk::new());
    let promises = live(vec![Arc::new(old.clone())]);
    let vault = plain::open(both(&old, &new)).expect("opens");
    while vault.catch_up(1).expect("there is room") > 0 {}
    assert!(vault.disks().iter().all(|disk| disk.state == MemberState::Healthy));
    drop(vault);
    check_each(&promises, &old, &new, "a disk joined");
}

/// While a disk is being filled, pushes go on; in the end it has those too.
#[test]
fn pushes_go_on_while_a_disk_is_filled() {
    let (old, new) = (MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(vec![Arc::new(old.clone())]);
    // The new disk is full until later, so that opening cannot fill it.
    new.limit(2000);
    let vault = plain::open(both(&old, &new)).expect("opens");
    assert!(matches!(vault.disks()[1].state, MemberState::Behind(_)));
    let committed = one_more_day(&vault, &mut promises);
    assert_eq!(committed.degraded, [vault.disks()[1].id.clone()], "the receipt names the disk without it");
    new.limit(u64::MAX);
    while vault.catch_up(1).expect("there is room now") > 0 {}
    let committed = one_more_day(&vault, &mut promises);
    assert_eq!(committed.degraded, [""; 0]);
    drop(vault);
    check_each(&promises, &old, &new, "pushes while a disk was filled");
}

/// A disk that was away for some days catches up by itself.
#[test]
fn a_disk_that_was_away_catches_up() {
    let (stays, leaves) = (MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(both(&stays, &leaves));
    let vault = plain::open(vec![Arc::new(stays.clone())]).expect("opens");
    one_more_day(&vault, &mut promises);
    drop(vault);
    check_each(&promises, &stays, &leaves, "it came back");
}
