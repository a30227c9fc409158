//! The power goes, or the disk fails or is full, at each operation of a repair.

use crate::repair::{SHARD, day, find, open, pushed, quarantined, ruin, scrub};
use harness::plain::{self, restore, stamp};
use larder_store::Vault;
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, Plan};
use std::sync::Arc;

fn scrub_first(vault: &Vault) {
    let disk = vault.disks()[0].id.clone();
    let _ = vault.scrub(&disk, u64::MAX, stamp(2));
}

/// Repairs on a disk that fails as planned. The fault counts from the moment when the scrub begins.
fn repair_with(below: &MemoryDisk, others: &[MemoryDisk], plan: Option<(u64, Fault)>) -> Option<u64> {
    let others = || others.iter().map(|disk| Arc::new(disk.clone()) as Arc<dyn Disk>);
    // Opening changes the disk too; how often is counted first.
    let counting = Arc::new(FaultyDisk::new(below.after_power_cut(0), None));
    drop(
        plain::open([counting.clone() as Arc<dyn Disk>].into_iter().chain(others()).collect())
            .expect("opens"),
    );
    let opening = counting.operations();
    let plan = plan.map(|(at, fault)| Plan { at: opening + at, fault });
    let disk = Arc::new(FaultyDisk::new(below.clone(), plan));
    let vault =
        plain::open([disk.clone() as Arc<dyn Disk>].into_iter().chain(others()).collect()).expect("opens");
    scrub_first(&vault);
    (plan.is_none() || disk.fired()).then(|| disk.operations() - opening)
}

fn whole_vault(disks: &[MemoryDisk], context: &str) {
    let vault = open(disks);
    let root = vault.ledger().snapshots("laptop/docs")[0].snapshot.root;
    let rounds = scrub(&vault);
    assert!(rounds.iter().all(|round| round.lost == 0), "{context}: {rounds:?}");
    assert!(restore(&vault, root).is_ok_and(|found| found == day()), "{context}: not everything came back");
    assert_eq!(vault.audit().expect("an audit").damaged, [""; 0], "{context}");
    assert_eq!(vault.lost_files(), [], "{context}");
}

fn cut_at_each_operation(damaged: &MemoryDisk, others: &[MemoryDisk], what: &str) {
    let operations = repair_with(&damaged.after_power_cut(0), others, None).expect("no fault");
    assert!(operations > 10, "{what}: {operations} operations");
    let mut states = 0;
    for at in 0..operations {
        let disk = damaged.after_power_cut(0);
        repair_with(&disk, others, Some((at, Fault::PowerCut))).expect("the planned fault happens");
        for seed in 0..12 {
            let found = disk.after_power_cut(seed * 1009 + at);
            let all: Vec<_> = [found].into_iter().chain(others.iter().cloned()).collect();
            whole_vault(&all, &format!("{what}: power cut at operation {at}, seed {seed}"));
            states += 1;
        }
    }
    println!("{what}: {states} power cuts over {operations} operations: all healed");
}

/// You can pull the plug at any moment of a repair, on a box with one disk.
#[test]
fn pulling_the_plug_during_a_repair_from_parity_harms_nothing() {
    let disk = MemoryDisk::new();
    drop(pushed(std::slice::from_ref(&disk)));
    let (pack, _) = find(&disk, ".pack");
    ruin(&disk, &pack, 3 * SHARD, 2 * SHARD);
    cut_at_each_operation(&disk, &[], "from parity");
}

/// And with two.
#[test]
fn pulling_the_plug_during_a_repair_from_the_second_disk_harms_nothing() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    drop(pushed(&[first.clone(), second.clone()]));
    let (pack, len) = find(&first, ".pack");
    let (sidecar, sidecar_len) = find(&first, ".parity");
    ruin(&first, &pack, 0, len);
    ruin(&first, &sidecar, 0, sidecar_len);
    first.flip("ledger/000000/000000000001.entry", 30, 1);
    cut_at_each_operation(&first, &[second], "from the second disk");
}

/// The disk's own name is written anew; the power may go at each operation of that, too.
#[test]
fn pulling_the_plug_while_the_disk_gets_its_name_back_harms_nothing() {
    let whole = MemoryDisk::new();
    let (vault, _) = pushed(std::slice::from_ref(&whole));
    scrub_first(&vault);
    drop(vault);
    whole.flip("disk.json", 30, 1);
    let counting = Arc::new(FaultyDisk::new(whole.after_power_cut(0), None));
    drop(plain::open(vec![counting.clone()]).expect("it has a second copy"));
    for at in 0..counting.operations() {
        let disk = whole.after_power_cut(0);
        let plan = Plan { at, fault: Fault::PowerCut };
        let _ = plain::open(vec![Arc::new(FaultyDisk::new(disk.clone(), Some(plan)))]);
        for seed in 0..12 {
            let found = disk.after_power_cut(seed * 31 + at);
            whole_vault(std::slice::from_ref(&found), &format!("operation {at}, seed {seed}"));
            assert!(quarantined(&found) <= 2);
        }
    }
}

/// A disk that is full, or fails once, while it repairs: nothing is worse than before, and the next scrub heals.
#[test]
fn a_full_or_failing_disk_during_a_repair_makes_nothing_worse() {
    let whole = MemoryDisk::new();
    drop(pushed(std::slice::from_ref(&whole)));
    let (pack, _) = find(&whole, ".pack");
    ruin(&whole, &pack, 3 * SHARD, 2 * SHARD);
    let operations = repair_with(&whole.after_power_cut(0), &[], None).expect("no fault");
    for fault in [Fault::Full, Fault::Error] {
        for at in 0..operations {
            let disk = whole.after_power_cut(0);
            repair_with(&disk, &[], Some((at, fault))).expect("the planned fault happens");
            whole_vault(&[disk.after_power_cut(at)], &format!("{fault:?} at operation {at}"));
        }
    }
}

/// No room at all for the whole pack: it stays where it is, and heals once there is room.
#[test]
fn without_room_the_damaged_pack_stays_until_there_is_some() {
    let disk = MemoryDisk::new();
    let (vault, root) = pushed(std::slice::from_ref(&disk));
    let (pack, len) = find(&disk, ".pack");
    disk.flip(&pack, 5000, 1);
    let space = disk.space().expect("space");
    let used = space.total - space.free;
    disk.limit(used + len as u64 / 2);
    let rounds = scrub(&vault);
    assert_eq!((rounds[0].damaged, rounds[0].left, rounds[0].repaired), (1, 1, 0));
    disk.limit(used + 3 * len as u64);
    let rounds = scrub(&vault);
    assert_eq!((rounds[0].damaged, rounds[0].left, rounds[0].repaired), (1, 0, 1));
    assert!(restore(&vault, root).is_ok_and(|found| found == day()));
}
