//! One operation fails, with an I/O error, for want of room, or as a sync that gives up what it should have saved; the
//! box goes on, asks again, and starts anew.

use crate::workload::{self, Lived, Workload, check};
use harness::model::Model;
use harness::plain::{self, files, push, restore, stamp};
use larder_format::ledger::Event;
use larder_format::pack::PACK_BYTES_AIM;
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, On, Plan, Planned, Schedule, When};
use larder_store::{MemberState, StoreError};
use std::sync::Arc;

const ALL_KINDS: [On; 4] = [On::All, On::Changes, On::Syncs, On::Reads];

fn live(workload: &Workload, planned: Planned) -> Lived {
    let mut disks: Vec<FaultyDisk> = Vec::new();
    for below in &workload.disks {
        let below = below.after_clean_stop();
        let disk = disks.first().map(|first| first.beside(below.clone()));
        disks.push(disk.unwrap_or_else(|| FaultyDisk::new(below, Schedule::new(0, [planned]))));
    }
    workload.live_on(disks)
}

/// Disks as they are after a power cut, so that only what is really on them counts.
fn after_power_cut(lived: &Lived, seed: u64) -> Vec<Arc<dyn Disk>> {
    let disks = lived.disks.iter().map(|disk| disk.below().after_power_cut(seed));
    disks.map(|disk| Arc::new(disk) as Arc<dyn Disk>).collect()
}

/// An error at any moment, of whatever kind, costs no finished backup, and no receipt is given for what is not safe.
#[test]
fn a_disk_that_fails_once_never_makes_a_receipt_lie() {
    let mut states = 0;
    for workload in workload::all() {
        for fault in [Fault::Error, Fault::ErrorAfter, Fault::Full] {
            for at in 0..workload.operations() {
                let lived = live(&workload, Planned { on: On::Changes, when: When::At(at), fault });
                assert!(lived.disks[0].fired());
                for seed in 0..3 {
                    let context = format!("{}: {fault} at change {at}, then power cut {seed}", workload.name);
                    check(&lived.model, after_power_cut(&lived, seed), &context);
                    states += 1;
                }
            }
        }
    }
    println!("{states} states after one failed operation: 0 lost");
}

/// A read or a listing that fails once harms nothing either.
#[test]
fn a_read_that_fails_once_harms_nothing() {
    let mut states = 0;
    for workload in workload::all() {
        for at in (0..).step_by(2) {
            let lived = live(&workload, Planned { on: On::Reads, when: When::At(at), fault: Fault::Error });
            if !lived.disks[0].fired() {
                break;
            }
            check(&lived.model, after_power_cut(&lived, at), &format!("{}: read {at} failed", workload.name));
            states += 1;
        }
    }
    println!("{states} failed reads: 0 lost");
    assert!(states > 500);
}

/// Lives every workload once for each of its syncs, which fails.
fn for_each_failed_sync(mut look: impl FnMut(&Workload, u64, Lived)) {
    for workload in workload::all() {
        for at in 0.. {
            let lived =
                live(&workload, Planned { on: On::Syncs, when: When::At(at), fault: Fault::SyncLost });
            if !lived.disks[0].fired() {
                break;
            }
            look(&workload, at, lived);
        }
    }
}

/// After a failed sync the system's cache shows what is nowhere, and the next sync says yes: no receipt relies on it,
/// the disk is not written to again, and the files go under a new name.
#[test]
fn a_failed_sync_is_never_tried_again() {
    let (mut states, mut suspect) = (0, 0);
    for_each_failed_sync(|workload, at, lived| {
        suspect += lived.states.iter().filter(|state| matches!(state, MemberState::Failed(_))).count();
        for seed in 0..4 {
            let context = format!("{}: sync {at} failed, then power cut {seed}", workload.name);
            check(&lived.model, after_power_cut(&lived, seed), &context);
            states += 1;
        }
    });
    println!("{states} states after a failed sync: 0 lost");
    assert!(suspect > 50, "a disk whose sync failed is marked: {suspect}");
}

/// The agent is started again after a failed sync, with the machine's cache as it was: nothing is believed because of
/// that.
#[test]
fn starting_again_does_not_cure_a_failed_sync() {
    let mut states = 0;
    for_each_failed_sync(|workload, at, lived| {
        let again = Workload { model: lived.model.clone(), ..workload.clone() };
        let again = again.live_on(lived.disks.clone());
        for seed in 0..4 {
            let context = format!("{}: sync {at} failed, a new start, power cut {seed}", workload.name);
            check(&again.model, after_power_cut(&again, seed), &context);
            states += 1;
        }
    });
    println!("{states} states after a failed sync and a new start: 0 lost");
    assert!(states > 500);
}

/// A disk that is full from some moment on: everything that was confirmed can be restored, and nothing is corrupt.
#[test]
fn a_full_disk_gives_everything_back() {
    for workload in workload::all() {
        for at in 0..workload.operations() {
            let full = Planned { on: On::Changes, when: When::From(at), fault: Fault::Full };
            let lived = live(&workload, full);
            let context = format!("{}: full from change {at} on", workload.name);
            // As long as it is full it can be opened and read, but for a disk that never became part of the vault.
            let disks: Vec<Arc<dyn Disk>> =
                lived.disks.iter().map(|disk| Arc::new(disk.clone()) as Arc<dyn Disk>).collect();
            let first_entry = "ledger/000000/000000000001.entry";
            if lived.disks.iter().all(|disk| disk.below().open(first_entry).is_ok()) {
                let vault = plain::open(disks);
                let vault = vault.unwrap_or_else(|error| panic!("{context}: it does not open: {error:?}"));
                let checked = lived.model.check(&vault, |_| true);
                checked.unwrap_or_else(|error| panic!("{context}: {error}"));
            }
            // Somebody made room.
            check(&lived.model, after_power_cut(&lived, at), &context);
        }
    }
}

/// Opens two disks, of which the one called `which` does what `fault` says, and pushes once. Returns whether it did.
fn open_with_a_bad_disk(before: &[MemoryDisk; 2], model: &Model, which: usize, fault: Planned) -> bool {
    let disks = [0, 1].map(|number| {
        let faults = if number == which { vec![fault] } else { Vec::new() };
        FaultyDisk::new(before[number].after_clean_stop(), Schedule::new(0, faults))
    });
    let opened = plain::open(disks.iter().map(|disk| Arc::new(disk.clone()) as _).collect());
    let Some(fired) = disks[which].story().first().cloned() else { return false };
    let context = format!("disk {which}, {:?}, {fired}", fault.when);
    let vault = opened.unwrap_or_else(|error| panic!("{context}: it does not open: {error:?}"));
    model.check(&vault, |_| true).unwrap_or_else(|error| panic!("{context}: {error}"));
    let pushed = push(&vault, "laptop/docs", &files([("a.txt", b"next")]), 77, stamp(77));
    let pushed = pushed.unwrap_or_else(|error| panic!("{context}: no push: {error:?}"));
    let other = plain::open(vec![Arc::new(disks[1 - which].below().after_clean_stop())]);
    let other = other.unwrap_or_else(|error| panic!("{context}: the other alone does not open: {error:?}"));
    assert!(other.ledger().push(&77u128.to_be_bytes()).is_some(), "{context}: {pushed:?}");
    true
}

/// Whatever a dying disk still does and does not do while the vault opens: the other one is enough, and backups go on.
#[test]
fn a_disk_that_dies_while_the_vault_opens_stops_nothing() {
    let lived = workload::days_on(2).live(None);
    let before = [0, 1].map(|number: usize| lived.disks[number].below().after_clean_stop());
    let mut opened = 0;
    for (which, on) in [0, 1].into_iter().flat_map(|which| ALL_KINDS.map(|on| (which, on))) {
        for when in [When::At, When::From] {
            let tried = |at: &u64| {
                let fault = Planned { on, when: when(*at), fault: Fault::Error };
                open_with_a_bad_disk(&before, &lived.model, which, fault)
            };
            opened += (0..).take_while(tried).count();
        }
    }
    println!("{opened} openings with a dying disk: 0 stopped");
    assert!(opened > 100);
}

/// One error of a disk that knows more than the other, just when the vault opens, does not begin another past.
#[test]
fn a_disk_that_knows_more_is_asked_twice() {
    let lived = workload::days_on(2).live(None);
    let [behind, ahead] = [0, 1].map(|number: usize| lived.disks[number].below().after_clean_stop());
    let mut model = lived.model;
    let vault = plain::open(vec![Arc::new(ahead.clone())]).expect("opens");
    let alone = Arc::new(files([("a.txt", b"only here")]));
    let committed = push(&vault, "laptop/docs", &alone, 70, stamp(70)).expect("a push");
    model.confirm(&committed, 70, &alone).expect("a receipt that makes sense");
    drop(vault);
    let before = [behind, ahead];
    let tried = |at: &u64| {
        let fault = Planned { on: On::Reads, when: When::At(*at), fault: Fault::Error };
        open_with_a_bad_disk(&before, &model, 1, fault)
    };
    assert!((0..).take_while(tried).count() > 10);
}

/// With two disks, one that dies at any moment stops no backup once both belong to the vault.
#[test]
fn a_second_disk_carries_on_alone() {
    let joined = Workload { steps: Vec::new(), ..workload::days_on(2) };
    let opening = joined.live(None).disks[0].operations();
    let workload = workload::days_on(2);
    let run = |schedule: Schedule| {
        let disks =
            vec![FaultyDisk::new(MemoryDisk::new(), schedule), FaultyDisk::new(MemoryDisk::new(), None)];
        workload.live_on(disks)
    };
    let operations = run(Schedule::default()).disks[0].operations();
    let mut alone = 0;
    for at in 0..operations {
        let lived = run(Some(Plan { at, fault: Fault::PowerCut }).into());
        // Joining a new vault is the one step that needs every disk.
        if at >= opening {
            assert_eq!(lived.failed, 0, "a push stopped although one disk was fine (operation {at})");
        }
        if lived.failed == 0 {
            let other = Arc::new(lived.disks[1].below().after_power_cut(at));
            check(&lived.model, vec![other], &format!("the first disk died at operation {at}"));
            alone += 1;
        }
    }
    assert!(alone > 40, "the first disk must die in the middle of things: {alone}");
}

/// New data is refused before the reserve is touched, so that there is room left to write a hold and to restore.
#[test]
fn the_reserve_is_not_for_new_backups() {
    const RESERVE_BYTES: u64 = 100 << 20;
    let disk = MemoryDisk::new();
    let vault = plain::open_with_reserve(vec![Arc::new(disk.clone())], RESERVE_BYTES).expect("opens");
    let before = files([("a.txt", b"before")]);
    let root = push(&vault, "laptop/docs", &before, 1, stamp(1)).expect("a push").record.snapshot.root;
    // A pack more would fit, but not beside the reserve.
    disk.limit(RESERVE_BYTES + PACK_BYTES_AIM / 2);
    let refused = push(&vault, "laptop/docs", &files([("a.txt", b"after")]), 2, stamp(2));
    assert!(matches!(refused, Err(StoreError::Full { missing_mib: 1.., .. })), "{refused:?}");
    let hold = Event::HoldSet { source: None, reason: "the disk is full".to_owned() };
    vault.append(stamp(3), hold).expect("there is room for the ledger");
    assert_eq!(restore(&vault, root).expect("whole"), before);
}
