//! What may come between while a disk is filled, or comes while others write: it must not count before it has everything,
//! and no receipt may name it for what it lacks.

use crate::byzantine_disk::{ByzantineDisk, NEWEST_ONLY, day};
use crate::days::{live_on, one_more_day};
use crate::letting_go::{mark_offsite, packs};
use harness::plain::{self, Files, Hours, files, push, restore, stamp};
use larder_format::ledger::{DiskChange, DiskEvent, DiskRole, Event};
use larder_store::disk::{Disk, MemoryDisk};
use larder_store::{MemberState, StoreError, Vault};
use std::sync::{Arc, mpsc};
use std::time::Duration;

fn arc(disk: &MemoryDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn fill(vault: &Vault) {
    while vault.catch_up(u64::MAX).expect("there is room") > 0 {}
}

/// Somebody lets go of a disk while it is being filled anyway: the two do not write into each other's files.
#[test]
fn two_who_fill_the_same_disk_do_not_meet() {
    let (old, new) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = Arc::new(plain::open(vec![arc(&old)]).expect("opens"));
    for number in 1..6u8 {
        push(&vault, "laptop/docs", &files([("a.txt", &[number; 900])]), number.into(), stamp(number.into()))
            .expect("a push");
    }
    let filled = ByzantineDisk::new(&new);
    vault.adopt(filled.arc(), [9; 16], DiskRole::Home, stamp(9)).expect("taken in");
    let (done, other) = mpsc::channel();
    let weak = Arc::downgrade(&vault);
    filled.at_next(".pack", move || {
        let vault = weak.upgrade().expect("it is open");
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || {
            let left = vault.catch_up(u64::MAX);
            ended.send(()).ok();
            done.send(left).ok();
        });
        // Whoever waits for us cannot end; whoever does not, ends in a moment.
        let _ = end.recv_timeout(Duration::from_millis(300));
    });
    fill(&vault);
    other.recv().expect("it ends").expect("it has nothing left to do");
    assert!(filled.has_done());
    assert_eq!(vault.disks()[1].state, MemberState::Healthy);
    assert_eq!(vault.audit().expect("an audit").damaged, [""; 0]);
    assert_eq!(packs(&new), packs(&old));
}

/// The only disk with a backup is pulled while the other one is filled: asked again, the same push gets no receipt from
/// the disk that lacks it.
#[test]
fn a_receipt_names_no_disk_that_lacks_the_backup() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = plain::open(vec![arc(&first), arc(&second)]).expect("opens");
    let mut promises = live_on(&vault);
    let ids: Vec<_> = vault.disks().into_iter().map(|disk| disk.id).collect();
    vault.detach(&ids[1]);
    let confirmed = one_more_day(&vault, &mut promises).record.snapshot.clone();
    vault.attach(arc(&second), stamp(60)).expect("ours");
    assert!(matches!(vault.disks()[1].state, MemberState::Behind(_)));
    vault.detach(&ids[0]);
    fill(&vault);
    let again = vault.by(&plain::APPLIANCE).commit(confirmed.clone(), stamp(61));
    assert!(again.is_err(), "the disk that is here does not have it: {:?}", again.map(|c| c.disks));
    one_more_day(&vault, &mut promises);
    vault.attach(arc(&first), stamp(62)).expect("ours");
    fill(&vault);
    let again = vault.by(&plain::APPLIANCE).commit(confirmed, stamp(63)).expect("both have it");
    assert_eq!((again.disks.len(), again.degraded.len(), again.is_new), (2, 0, false));
    drop(vault);
    for disk in [&first, &second] {
        promises.check(vec![arc(&disk.after_power_cut(0))], "one disk alone");
    }
}

/// A new disk that was filled from a dying one, on which a pack can no longer be copied: the vault on both, the new disk, and
/// what was pushed.
fn filled_from_a_dying_one() -> (Vault, MemoryDisk, Files) {
    let (dying, new) = (MemoryDisk::new(), MemoryDisk::new());
    let lines = |seed: u8| -> Vec<u8> { (0..2500u32).map(|n| (n % 241) as u8 ^ seed).collect() };
    let before: Files = files([("a.bin", &lines(1)), ("b.bin", &lines(2)), ("c/d.bin", &lines(3))]);
    let vault = plain::open(vec![arc(&dying)]).expect("opens");
    push(&vault, "laptop/docs", &before, 1, stamp(1)).expect("a push");
    let pack = packs(&dying).pop_first().expect("one push, one pack");
    // In the first block: the others are whole.
    dying.scramble(&pack, 200..260, 7);
    vault.adopt(arc(&new), [9; 16], DiskRole::Home, stamp(2)).expect("taken in");
    fill(&vault);
    assert_eq!(vault.disks()[1].state, MemberState::Healthy);
    (vault, new, before)
}

/// A dying disk is replaced, and a pack on it can no longer be copied: what a new backup needs of it is asked for again, so
/// that the new disk has it, and what is lost is written down there.
#[test]
fn a_disk_that_was_filled_from_a_dying_one_has_what_its_receipts_say() {
    let (vault, new, before) = filled_from_a_dying_one();
    let mut after = before.clone();
    after.insert("new.txt".to_owned(), b"new".to_vec());
    let committed = (0..3).find_map(|_| match push(&vault, "laptop/docs", &after, 2, stamp(3)) {
        Err(StoreError::Missing { .. }) => None,
        pushed => Some(pushed.expect("a push")),
    });
    let committed = committed.expect("what is missing is sent");
    let named: Vec<_> = vault.disks().into_iter().map(|disk| disk.id).collect();
    assert!(committed.disks.contains(&named[1]));
    let alone = plain::open(vec![arc(&new.after_power_cut(0))]).expect("opens");
    let newest = alone.ledger().snapshots("laptop/docs").last().expect("it was pushed").snapshot.root;
    assert!(
        restore(&alone, newest).is_ok_and(|found| found == after),
        "the new disk alone has what it confirmed"
    );
    drop(alone);
    assert!(vault.scrubs()[1].is_alarmed, "the new disk is read at once");
    vault.scrub(&named[1], u64::MAX, stamp(4)).expect("a scrub");
    assert_eq!(
        vault.audit().expect("an audit").damaged,
        [""; 0],
        "what is whole was saved, the rest set aside"
    );
}

/// The new disk is not called complete, so that nobody takes the dying one away, before what could not be copied was saved
/// in part and the rest named.
#[test]
fn a_disk_that_was_filled_without_a_pack_is_not_called_complete() {
    let (vault, ..) = filled_from_a_dying_one();
    let id = vault.disks()[1].id.clone();
    let is_complete = |hour| {
        vault.note_complete(&id, stamp(hour)).expect("there is room");
        vault.disks()[1].complete.is_some()
    };
    assert!(!is_complete(3), "a pack is not on it");
    vault.scrub(&id, u64::MAX, stamp(4)).expect("a scrub");
    assert!(is_complete(5), "nothing is left to be had");
}

/// A disk that is filled keeps half of its reserve: what does not fit beside it waits until there is room.
#[test]
fn a_disk_that_is_filled_keeps_half_of_its_reserve() {
    const RESERVE_BYTES: u64 = 10 << 20;
    let (old, new) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = plain::open_with_reserve(vec![arc(&old)], RESERVE_BYTES).expect("opens");
    push(&vault, "laptop/docs", &files([("a.txt", &[1; 900])]), 1, stamp(1)).expect("a push");
    vault.adopt(arc(&new), [9; 16], DiskRole::Home, stamp(2)).expect("taken in");
    let used: u64 = new.files().iter().map(|(_, len)| len).sum();
    // A pack would fit, but not beside half of the reserve.
    new.limit(used + RESERVE_BYTES / 2);
    let full = vault.catch_up(u64::MAX);
    assert!(matches!(full, Err(StoreError::Full { missing_mib: 1, .. })), "{full:?}");
    assert!(packs(&new).is_empty() && matches!(vault.disks()[1].state, MemberState::Behind(_)));
    new.limit(u64::MAX);
    fill(&vault);
    assert_eq!(vault.disks()[1].state, MemberState::Healthy);
    assert_eq!(packs(&new), packs(&old));
}

/// A vault on this disk, which failed so often that nothing more is written to it.
fn distrusted(disk: &MemoryDisk) -> (Vault, crate::days::Promises) {
    let vault = plain::open(vec![arc(disk)]).expect("opens");
    let promises = live_on(&vault);
    let id = u128::from_str_radix(&vault.disks()[0].id, 16).expect("an id in hex").to_be_bytes();
    for _ in 0..2 {
        let what = DiskChange::Failed { why: "EIO".to_owned() };
        vault.append(stamp(50), Event::Disk(DiskEvent { disk: id, what })).expect("written");
    }
    drop(vault);
    let vault = plain::open(vec![arc(disk)]).expect("opens");
    assert!(matches!(vault.disks()[0].state, MemberState::Suspect(_)));
    (vault, promises)
}

/// The only disk is dying and takes nothing any more: a new one is adopted all the same, and filled from what it still gives.
#[test]
fn the_only_disk_is_replaced_when_it_takes_nothing_any_more() {
    let (dying, new) = (MemoryDisk::new(), MemoryDisk::new());
    let (vault, mut promises) = distrusted(&dying);
    let id = vault.adopt(arc(&new), [9; 16], DiskRole::Home, stamp(60)).expect("taken in");
    fill(&vault);
    vault.enter_disks(stamp(61));
    assert_eq!(vault.disks()[1].state, MemberState::Healthy);
    let committed = one_more_day(&vault, &mut promises);
    assert_eq!(committed.disks, [id]);
    assert_eq!(committed.degraded.len(), 1);
    drop(vault);
    let alone = plain::open(vec![arc(&new.after_power_cut(0))]).expect("opens");
    assert_eq!(alone.disks().len(), 2, "the dying one is still known");
    drop(alone);
    promises.check(vec![arc(&new.after_power_cut(0))], "the new disk alone");
}

/// A person says that the only disk is good again; without that it stays as it is, although it would take something now.
#[test]
fn the_only_disk_is_trusted_again_by_a_word() {
    let disk = MemoryDisk::new();
    let (vault, mut promises) = distrusted(&disk);
    let id = vault.disks()[0].id.clone();
    vault.try_again(&id);
    assert!(matches!(vault.disks()[0].state, MemberState::Suspect(_)), "it came back by itself");
    vault.detach(&id);
    vault.adopt(arc(&disk), [9; 16], DiskRole::Home, stamp(60)).expect("taken back");
    one_more_day(&vault, &mut promises);
    drop(vault);
    let vault = plain::open(vec![arc(&disk)]).expect("opens");
    assert_eq!(vault.disks()[0].state, MemberState::Healthy, "also after a restart");
    drop(vault);
    promises.check(vec![arc(&disk)], "trusted again");
}

/// A disk comes while a sweep writes a pack anew: it does not count before it has that pack too.
#[test]
fn a_disk_that_comes_while_packs_are_merged_gets_the_new_one() {
    let (stays, comes) = (MemoryDisk::new(), MemoryDisk::new());
    let writes = ByzantineDisk::new(&stays);
    let both = || vec![writes.arc(), arc(&comes)];
    let vault = plain::open(both()).expect("opens");
    vault.append(stamp(0), Event::RetentionSet(NEWEST_ONLY)).expect("written");
    let mut hours = Hours::default();
    for number in 1..5u8 {
        let now = hours.pass(&vault, 24);
        push(&vault, "laptop/docs", &day(number), number.into(), now).expect("a push");
    }
    let now = hours.pass(&vault, 1);
    vault.prune(&vault.plan_prune(now), now).expect("obeyed");
    let away = vault.disks()[1].id.clone();
    // So that nobody waits for it.
    mark_offsite(&vault, 1);
    drop(vault);
    // Pushes of this run would keep their packs for a day or two.
    let vault = Arc::new(plain::open(both()).expect("opens"));
    vault.sweep_step(hours.pass(&vault, 8 * 24), 1000).expect("it waits");
    vault.detach(&away);
    let now = hours.pass(&vault, 2);
    let (weak, back) = (Arc::downgrade(&vault), arc(&comes));
    let (came, coming) = mpsc::channel();
    writes.at_next(".pack", move || {
        let vault = weak.upgrade().expect("it is open");
        // From a thread of its own, as in the agent: whoever connects a disk does not wait for a sweep it never began.
        std::thread::spawn(move || came.send(vault.attach(back, stamp(4000)).map(drop)).ok());
    });
    let mut steps = 0;
    while !writes.has_done() {
        vault.sweep_step(now, 1000).expect("a step");
        steps += 1;
        assert!(steps < 50, "the test must see a pack written anew");
    }
    coming.recv().expect("it ends").expect("ours");
    assert!(matches!(vault.disks()[1].state, MemberState::Behind(_)));
    fill(&vault);
    assert_eq!(packs(&comes), packs(&stays), "it has the new pack");
    for _ in 0..6 {
        for _ in 0..20 {
            vault.sweep_step(now, 1000).expect("a step");
        }
        fill(&vault);
    }
    drop(vault);
    for disk in [&stays, &comes] {
        let alone = plain::open(vec![arc(&disk.after_power_cut(0))]).expect("opens");
        let root = alone.ledger().snapshots("laptop/docs")[0].snapshot.root;
        assert!(restore(&alone, root).is_ok_and(|found| found == day(4)), "each alone has what is kept");
    }
}

/// A disk comes while a pack that is damaged on both is taken apart, and lacks the new one: it does not count before it has
/// it, also when the other disk fails just then and the ledger is read again.
#[test]
fn a_disk_that_comes_while_a_pack_is_taken_apart_does_not_count_without_the_new_one() {
    let (stays, comes) = (MemoryDisk::new(), MemoryDisk::new());
    let writes = ByzantineDisk::new(&stays);
    let kept = files([("a.bin", &[1; 900]), ("b.bin", &[2; 800]), ("c/d.bin", &[3; 700])]);
    let vault = plain::open(vec![writes.arc(), arc(&comes)]).expect("opens");
    push(&vault, "laptop/docs", &kept, 1, stamp(1)).expect("a push");
    mark_offsite(&vault, 1);
    let ids: Vec<_> = vault.disks().into_iter().map(|disk| disk.id).collect();
    let vault = Arc::new(vault);
    vault.detach(&ids[1]);
    let pack = packs(&stays).pop_first().expect("one push, one pack");
    assert!([&stays, &comes].into_iter().all(|disk| disk.scramble(&pack, 200..260, 7)));
    let (weak, back) = (Arc::downgrade(&vault), arc(&comes));
    writes.at_next(".pack", move || {
        weak.upgrade().expect("it is open").attach(back, stamp(3)).expect("ours");
    });
    // No further: the entry that ends a round would be lacking as well.
    while !writes.has_done() {
        vault.scrub(&ids[0], 1, stamp(2)).expect("a scrub");
    }
    assert!(matches!(vault.disks()[1].state, MemberState::Behind(_)), "it lacks the new pack");
    writes.refuse_entries(true);
    for _ in 0..2 {
        let told = vault.append(stamp(4), Event::RetentionSet(NEWEST_ONLY));
        assert!(told.is_err(), "no disk has everything");
    }
    writes.refuse_entries(false);
    vault.detach(&ids[0]);
    vault.attach(writes.arc(), stamp(5)).expect("ours");
    fill(&vault);
    assert_eq!(packs(&comes), packs(&stays));
}

/// A disk comes while a pack that could not be repaired is taken apart: what it has whole is not given up.
#[test]
fn a_disk_that_comes_while_a_pack_is_given_up_brings_it_back() {
    let (stays, comes) = (MemoryDisk::new(), MemoryDisk::new());
    let writes = ByzantineDisk::new(&stays);
    let both = || vec![writes.arc(), arc(&comes)];
    let kept = files([("a.bin", &[1; 900]), ("b.bin", &[2; 800]), ("c/d.bin", &[3; 700])]);
    let vault = plain::open(both()).expect("opens");
    let root = push(&vault, "laptop/docs", &kept, 1, stamp(1)).expect("a push").record.snapshot.root;
    mark_offsite(&vault, 1);
    let ids: Vec<_> = vault.disks().into_iter().map(|disk| disk.id).collect();
    let vault = Arc::new(vault);
    vault.detach(&ids[1]);
    stays.scramble(&packs(&stays).pop_first().expect("one push, one pack"), 200..260, 7);
    let (weak, back) = (Arc::downgrade(&vault), arc(&comes));
    writes.at_next(".pack", move || {
        weak.upgrade().expect("it is open").attach(back, stamp(3)).expect("ours");
    });
    vault.scrub(&ids[0], u64::MAX, stamp(2)).expect("a scrub");
    assert!(writes.has_done(), "the test must see a pack taken apart");
    fill(&vault);
    assert!(restore(&vault, root).is_ok_and(|found| found == kept));
    assert_eq!((vault.lost_files(), vault.damaged_chunks()), (vec![], 0));
    assert_eq!(packs(&comes), packs(&stays));
    drop(vault);
    for disk in [&stays, &comes] {
        let alone = plain::open(vec![arc(&disk.after_power_cut(0))]).expect("opens");
        assert!(restore(&alone, root).is_ok_and(|found| found == kept), "each alone has what is kept");
    }
}
