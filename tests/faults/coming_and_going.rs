//! Disks that leave and come back while the vault is open, and disks that are not what they seem.

use crate::days::{Promises, live, live_on, one_more_day, try_one_more_day};
use crate::names::put_file;
use harness::plain::{self, files, push, restore, stamp};
use larder_format::ledger::{DiskRole, Entry, Event, Newer, Without};
use larder_format::{Hash, layout};
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, On, Plan, Planned, RealDisk, Schedule, When};
use larder_store::{Access, MemberState, StoreError, Vault};
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;

fn arc(disk: &MemoryDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn open(disks: &[&MemoryDisk]) -> Vault {
    plain::open(disks.iter().map(|disk| arc(disk)).collect()).expect("opens")
}

fn states(vault: &Vault) -> Vec<MemberState> {
    vault.disks().into_iter().map(|disk| disk.state).collect()
}

fn fill(vault: &Vault) {
    while vault.catch_up(1).expect("there is room") > 0 {}
}

/// Each disk alone gives everything back.
fn check_each(promises: &Promises, disks: &[&MemoryDisk], context: &str) {
    for (number, disk) in disks.iter().enumerate() {
        promises.check(vec![arc(&disk.after_power_cut(0))], &format!("{context}, disk {number} alone"));
    }
}

/// A disk may be pulled at any moment: nothing acknowledged is lost, and it catches up when it is back.
#[test]
fn a_disk_pulled_at_any_moment_comes_back_whole() {
    let counting = Arc::new(FaultyDisk::new(MemoryDisk::new(), None));
    live(vec![arc(&MemoryDisk::new()), counting.clone()]);
    let mut pulled = 0;
    for at in 0..counting.operations() {
        for (seed, is_first) in [(0, false), (1, true), (2, false)] {
            let (stays, leaves) = (MemoryDisk::new(), MemoryDisk::new());
            let faulty = Arc::new(FaultyDisk::new(leaves.clone(), Some(Plan { at, fault: Fault::PowerCut })));
            let order: Vec<Arc<dyn Disk>> =
                if is_first { vec![faulty.clone(), arc(&stays)] } else { vec![arc(&stays), faulty.clone()] };
            // Joining the vault is the one step that needs every disk.
            let Ok(vault) = plain::open(order) else { continue };
            let mut promises = live_on(&vault);
            assert!(faulty.fired());
            let id = vault.disks()[usize::from(!is_first)].id.clone();
            let committed = one_more_day(&vault, &mut promises);
            assert_eq!(
                committed.degraded,
                std::slice::from_ref(&id),
                "operation {at}: the receipt names the disk"
            );
            vault.detach(&id);
            let back = leaves.after_power_cut(seed);
            let attached = vault.attach(arc(&back), stamp(60)).expect("it is one of ours");
            assert!(!attached.is_older_copy, "operation {at}");
            fill(&vault);
            assert_eq!(states(&vault), [MemberState::Healthy, MemberState::Healthy], "operation {at}");
            assert_eq!(one_more_day(&vault, &mut promises).degraded, [""; 0]);
            drop(vault);
            check_each(&promises, &[&stays, &back], &format!("pulled at operation {at}, seed {seed}"));
            pulled += 1;
        }
    }
    assert!(pulled > 100);
    println!("a disk pulled {pulled} times and put back: 0 lost, 0 behind");
}

/// A disk whose sync failed is opened anew, and the system's cache still shows what is nowhere: none of it is believed.
#[test]
fn a_disk_whose_sync_failed_is_filled_anew() {
    let mut failed = 0;
    for at in 0.. {
        let (stays, fails) = (MemoryDisk::new(), MemoryDisk::new());
        let sync = Planned { on: On::Syncs, when: When::At(at), fault: Fault::SyncLost };
        let faulty = FaultyDisk::new(fails.clone(), Schedule::new(0, [sync]));
        // Joining the vault is the one step that needs every disk.
        let Ok(vault) = plain::open(vec![arc(&stays), Arc::new(faulty.clone())]) else { continue };
        let mut promises = live_on(&vault);
        if !faulty.fired() {
            break;
        }
        let id = vault.disks()[1].id.clone();
        vault.detach(&id);
        // After a failed sync of names a filesystem can only be read until it is mounted again, and forgets its cache then.
        let of_names = faulty.story().iter().any(|fired| fired.operation != "sync");
        let fails = if of_names { fails.after_power_cut(at) } else { fails };
        vault.attach(arc(&fails), stamp(60)).expect("it is one of ours");
        fill(&vault);
        assert_eq!(states(&vault), [MemberState::Healthy, MemberState::Healthy], "sync {at}");
        assert_eq!(one_more_day(&vault, &mut promises).degraded, [""; 0]);
        drop(vault);
        check_each(&promises, &[&stays, &fails], &format!("sync {at} failed"));
        failed += 1;
    }
    println!("{failed} failed syncs of a disk that was opened anew: 0 lost");
    assert!(failed > 20);
}

/// A vault on a single disk of which one sync failed.
struct FailedSync {
    at: u64,
    disk: MemoryDisk,
    faulty: FaultyDisk,
    vault: Vault,
    promises: Promises,
}

/// A few days with each of the syncs failing in turn, as far as the vault opens at all.
fn each_failed_sync() -> impl Iterator<Item = FailedSync> {
    let lived = |at| {
        let disk = MemoryDisk::new();
        let sync = Planned { on: On::Syncs, when: When::At(at), fault: Fault::SyncLost };
        let faulty = FaultyDisk::new(disk.clone(), Schedule::new(0, [sync]));
        let Ok(vault) = plain::open(vec![Arc::new(faulty.clone())]) else { return Some(None) };
        let promises = live_on(&vault);
        faulty.fired().then_some(Some(FailedSync { at, disk, faulty, vault, promises }))
    };
    (0..).map_while(lived).flatten()
}

/// The system lets nobody write to the only disk any more: what it holds can be had at once, and after a mount all goes on.
#[test]
fn the_only_disk_that_became_read_only_gives_back_what_it_holds() {
    let mut read_only = 0;
    for FailedSync { at, disk, faulty, vault, mut promises } in each_failed_sync() {
        if faulty.story().iter().all(|fired| fired.operation == "sync") {
            continue;
        }
        let id = vault.disks()[0].id.clone();
        vault.detach(&id);
        vault.attach(Arc::new(faulty), stamp(60)).expect("it can be read");
        assert!(matches!(states(&vault)[..], [MemberState::Suspect(_)]), "sync {at}");
        promises.check_on(&vault, &format!("sync {at}, read-only"));
        vault.detach(&id);
        let mounted = disk.after_power_cut(at);
        vault.attach(arc(&mounted), stamp(61)).expect("it is ours");
        fill(&vault);
        one_more_day(&vault, &mut promises);
        drop(vault);
        check_each(&promises, &[&mounted], &format!("sync {at}, mounted again"));
        read_only += 1;
    }
    println!("{read_only} disks that became read-only: 0 lost");
    assert!(read_only > 10);
}

/// The only disk is pulled and put back: no receipt was wrong, and backups go on.
#[test]
fn the_only_disk_comes_back_too() {
    let counting = Arc::new(FaultyDisk::new(MemoryDisk::new(), None));
    live(vec![counting.clone()]);
    for at in 0..counting.operations() {
        let leaves = MemoryDisk::new();
        let faulty = FaultyDisk::new(leaves.clone(), Some(Plan { at, fault: Fault::PowerCut }));
        let Ok(vault) = plain::open(vec![Arc::new(faulty)]) else { continue };
        let mut promises = live_on(&vault);
        let id = vault.disks()[0].id.clone();
        vault.detach(&id);
        assert_eq!(states(&vault), [MemberState::Away]);
        let back = leaves.after_power_cut(at);
        vault.attach(arc(&back), stamp(60)).expect("it is ours");
        fill(&vault);
        one_more_day(&vault, &mut promises);
        drop(vault);
        check_each(&promises, &[&back], &format!("pulled at operation {at}"));
    }
}

/// The sync of the newest entry fails on the only disk, and its cache still shows it: nobody was told of that entry, so it
/// leaves no hole in the ledger.
#[test]
fn an_entry_that_nobody_confirmed_leaves_no_gap() {
    let mut failed = 0;
    for FailedSync { at, disk, vault, mut promises, .. } in each_failed_sync() {
        let id = vault.disks()[0].id.clone();
        // What the agent does with a disk that failed; there is nobody who could write that down.
        let _ = vault.distrust(&id, stamp(59));
        vault.detach(&id);
        vault.attach(arc(&disk), stamp(60)).expect("ours");
        fill(&vault);
        assert_eq!(vault.ledger().gaps, [0; 0], "sync {at}");
        one_more_day(&vault, &mut promises);
        drop(vault);
        check_each(&promises, &[&disk], &format!("sync {at} failed"));
        failed += 1;
    }
    assert!(failed > 20);
}

/// A disk that knows what only a newer Larder understands is taken in, and from then on the vault is only read: what is
/// written beside it could contradict what nobody here understands.
#[test]
fn a_disk_that_was_used_by_a_newer_larder_makes_the_vault_read_only() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let promises = live(vec![arc(&first), arc(&second)]);
    let vault = open(&[&first, &second]);
    let id = vault.disks()[1].id.clone();
    vault.detach(&id);
    let head = vault.ledger().head;
    let (newest, previous) = (head.sequence + 1, head.hash);
    let newer = Newer { since: 9, kind: 1000, without: Without::ReadOnly, payload: vec![1] };
    let entry = Entry { sequence: newest, previous, stamp: stamp(55), event: Event::Newer(newer) };
    put_file(&second, &layout::entry(newest), &entry.encode().0);
    vault.attach(arc(&second), stamp(60)).expect("it is one of ours");
    let head = vault.ledger().head.sequence;
    assert_eq!((head, vault.access()), (newest, Access::ReadOnly { since: 9 }));
    promises.check_on(&vault, "with what a newer Larder wrote");
    let refused = push(&vault, "laptop/diary", &files([("note", b"one more")]), 991, stamp(61));
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
}

/// What a disk lost while it was the only one is there again as soon as the other one comes, not only after a restart.
#[test]
fn a_disk_that_comes_gives_back_what_the_other_lost() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let promises = live(vec![arc(&first), arc(&second)]);
    let files = first.files().into_iter().map(|(path, _)| path);
    let kept: Vec<_> = files.filter(|path| path.ends_with(".pack") || path.ends_with("2.entry")).collect();
    assert!(kept.iter().any(|path| path.ends_with(".entry")) && kept.len() > 3, "{kept:?}");
    for lost in kept {
        let damaged = first.after_clean_stop();
        damaged.remove(&lost).expect("it was there");
        let vault = open(&[&damaged]);
        vault.attach(arc(&second.after_clean_stop()), stamp(60)).expect("it is ours");
        promises.check_on(&vault, &format!("without {lost}"));
        fill(&vault);
        assert_eq!(states(&vault), [MemberState::Healthy, MemberState::Healthy], "without {lost}");
        assert!(damaged.open(&lost).is_ok(), "{lost} is there again");
        drop(vault);
        check_each(&promises, &[&damaged], &format!("without {lost} for a while"));
    }
}

/// A disk that is being filled when the one with everything dies goes on alone; what only that one had is asked for anew,
/// and the other is not forgotten.
#[test]
fn a_disk_that_is_left_half_filled_vouches_for_nothing_it_lacks() {
    let (full, filled) = (MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(vec![arc(&full)]);
    let vault = open(&[&full]);
    for _ in 0..6 {
        one_more_day(&vault, &mut promises);
    }
    vault.adopt(arc(&filled), [9; 16], DiskRole::Home, stamp(50)).expect("taken in");
    vault.catch_up(1).expect("there is room");
    let id = vault.disks()[0].id.clone();
    vault.detach(&id);
    while vault.catch_up(u64::MAX).expect("nothing is to be had") > 0 {}
    let newest = vault.ledger().snapshots("laptop/diary").last().expect("it was pushed").snapshot.clone();
    let same = plain::snapshot("laptop/diary", 990, newest.root, newest.totals);
    match vault.by(&plain::APPLIANCE).commit(same, stamp(60)) {
        Err(StoreError::Missing { .. }) => {}
        Ok(_) => {
            assert!(restore(&vault, newest.root).is_ok(), "a receipt for what is not there");
        }
        other => panic!("{other:?}"),
    }
    let stays = vault.begin_forgetting(&id, false, stamp(61)).expect_err("it has what the other one lacks");
    assert!(stays.to_string().contains("has to stay"), "{stays}");
    vault.attach(arc(&full), stamp(62)).expect("it is ours");
    fill(&vault);
    assert_eq!(states(&vault), [MemberState::Healthy, MemberState::Healthy]);
    drop(vault);
    check_each(&promises, &[&filled], "filled in the end");
}

/// Both disks drop out, one after the other and at any moment, and the one that lacks the newest backup comes back first:
/// the box goes on with it, and the other one is still welcome.
#[test]
fn disks_that_drop_out_one_after_the_other_tell_one_story() {
    let (mut gone_on, mut at) = (0, 0);
    loop {
        let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
        let faulty = FaultyDisk::new(second.clone(), Some(Plan { at, fault: Fault::PowerCut }));
        at += 1;
        // Joining the vault is the one step that needs every disk.
        let Ok(vault) = plain::open(vec![arc(&first), Arc::new(faulty.clone())]) else { continue };
        let mut promises = live_on(&vault);
        let ids: Vec<_> = vault.disks().into_iter().map(|disk| disk.id).collect();
        vault.detach(&ids[0]);
        if faulty.fired() {
            continue;
        }
        let alone = (0..3).map_while(|_| try_one_more_day(&vault, &mut promises).ok()).last();
        vault.detach(&ids[1]);
        vault.attach(arc(&first), stamp(60)).expect("it is ours");
        fill(&vault);
        let context = format!("dropped at operation {}, {} backups on it alone", at - 1, promises.len());
        if let Some(alone) = alone {
            let same = vault.by(&plain::APPLIANCE).commit(alone.record.snapshot.clone(), stamp(61));
            assert!(same.is_err(), "{context}: a receipt that no disk here stands for");
        }
        let degraded = one_more_day(&vault, &mut promises).degraded;
        assert_eq!(degraded, ids[1..], "{context}");
        let second = second.after_power_cut(at);
        vault.attach(arc(&second), stamp(62)).unwrap_or_else(|error| panic!("{context}: {error}"));
        fill(&vault);
        assert_eq!(states(&vault), [MemberState::Healthy, MemberState::Healthy], "{context}");
        assert_eq!(vault.ledger().gaps, [0; 0], "{context}");
        assert_eq!(one_more_day(&vault, &mut promises).degraded, [""; 0], "{context}");
        drop(vault);
        check_each(&promises, &[&first, &second], &context);
        gone_on += 1;
        if !faulty.fired() {
            break;
        }
    }
    println!("{gone_on} times both dropped out, and the older one came back first: 0 lost");
    assert!(gone_on > 30);
}

/// One hiccup of the only disk, just when it comes back, stops no backups: it can be read at once, and is tried again.
#[test]
fn the_only_disk_is_tried_again_after_a_hiccup() {
    let disk = MemoryDisk::new();
    let mut promises = live(vec![arc(&disk)]);
    let vault = open(&[&disk]);
    let id = vault.disks()[0].id.clone();
    vault.detach(&id);
    let once = Planned { on: On::Changes, when: When::At(0), fault: Fault::Error };
    let faulty = FaultyDisk::new(disk.clone(), Schedule::new(0, [once]));
    vault.attach(Arc::new(faulty.clone()), stamp(60)).expect("it is ours");
    assert!(faulty.fired());
    assert!(matches!(states(&vault)[..], [MemberState::Suspect(_)]));
    promises.check_on(&vault, "read while nobody can write");
    vault.try_again(&id);
    assert_eq!(states(&vault), [MemberState::Healthy]);
    one_more_day(&vault, &mut promises);
    drop(vault);
    check_each(&promises, &[&disk], "after a hiccup");
}

/// An entry that was written behind a damaged one is on every disk once the damaged one is whole again.
#[test]
fn an_entry_behind_a_healed_one_is_on_both_disks() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(vec![arc(&first), arc(&second)]);
    let head = open(&[&second]).ledger().head.sequence;
    let newest = format!("ledger/000000/{head:012}.entry");
    assert!(first.flip(&newest, 30, 1));
    let vault = open(&[&first]);
    assert_eq!(vault.ledger().gaps, [head]);
    one_more_day(&vault, &mut promises);
    vault.attach(arc(&second), stamp(60)).expect("it is ours");
    fill(&vault);
    assert_eq!(vault.ledger().gaps, [0; 0]);
    assert_eq!(states(&vault), [MemberState::Healthy, MemberState::Healthy]);
    drop(vault);
    check_each(&promises, &[&first, &second], "an entry healed");
}

/// A disk that was being filled begins no past of its own when the one with the past is late.
#[test]
fn a_disk_without_a_ledger_begins_no_other_past() {
    let (full, filled) = (MemoryDisk::new(), MemoryDisk::new());
    live(vec![arc(&full)]);
    let vault = open(&[&full]);
    vault.adopt(arc(&filled), [9; 16], DiskRole::Home, stamp(50)).expect("taken in");
    vault.catch_up(1).expect("there is room");
    drop(vault);
    let alone = plain::open(vec![arc(&filled)]);
    assert!(matches!(alone, Err(StoreError::Foreign { .. })), "it must not begin anew");
    let vault = open(&[&full, &filled]);
    fill(&vault);
    assert_eq!(states(&vault), [MemberState::Healthy, MemberState::Healthy]);
}

/// Counting anew what is known of the ledger makes no disk whole that lacks packs.
#[test]
fn a_disk_that_lacks_packs_stays_behind_when_the_ledger_is_read_again() {
    let (full, lacking) = (MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(vec![arc(&full), arc(&lacking)]);
    let lost = lacking.files().into_iter().map(|(path, _)| path).find(|path| path.ends_with(".pack"));
    lacking.remove(&lost.expect("a pack")).expect("removed");
    let faulty = FaultyDisk::new(full.clone(), None);
    let vault = plain::open(vec![Arc::new(faulty)]).expect("opens");
    vault.attach(arc(&lacking), stamp(60)).expect("it is ours");
    assert!(matches!(states(&vault)[1], MemberState::Behind(_)));
    full.limit(0);
    let hold = Event::HoldSet { source: None, reason: "x".to_owned() };
    assert!(vault.append(stamp(61), hold.clone()).is_err(), "there is no room");
    full.limit(u64::MAX);
    vault.append(stamp(62), hold).expect("there is room");
    assert!(matches!(states(&vault)[1], MemberState::Behind(_)), "{:?}", states(&vault));
    fill(&vault);
    one_more_day(&vault, &mut promises);
    drop(vault);
    check_each(&promises, &[&lacking], "it was filled");
}

/// An entry that one disk has and the other had no room for exists: the next one does not take its number.
#[test]
fn an_entry_that_failed_on_one_disk_begins_no_other_past() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(vec![arc(&first), arc(&second)]);
    for full in [&first, &second] {
        let vault = open(&[&first, &second]);
        let hold = |reason: &str| Event::HoldSet { source: None, reason: reason.to_owned() };
        full.limit(0);
        assert!(vault.append(stamp(61), hold("there is no room")).is_err());
        full.limit(u64::MAX);
        vault.append(stamp(62), hold("there is room")).expect("written");
        fill(&vault);
        one_more_day(&vault, &mut promises);
        drop(vault);
        assert_eq!(states(&open(&[&first, &second])), [MemberState::Healthy, MemberState::Healthy]);
        check_each(&promises, &[&first, &second], "an entry on one of two");
    }
}

/// The vault opens with one of its disks, names the other, and takes it back later.
#[test]
fn one_of_two_disks_is_enough_to_start() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(vec![arc(&first), arc(&second)]);
    for (here, away) in [(&first, &second), (&second, &first)] {
        let vault = open(&[here]);
        assert_eq!(states(&vault), [MemberState::Healthy, MemberState::Away]);
        let missing = vault.disks()[1].id.clone();
        assert_eq!(one_more_day(&vault, &mut promises).degraded, [missing]);
        vault.attach(arc(away), stamp(70)).expect("it is ours");
        fill(&vault);
        assert_eq!(one_more_day(&vault, &mut promises).degraded, [""; 0]);
    }
    check_each(&promises, &[&first, &second], "each was away once");
}

/// The vault is started with a disk that lags; the one that knows more is connected later.
#[test]
fn a_disk_that_knows_more_is_learned_from() {
    let (ahead, lags) = (MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(vec![arc(&ahead), arc(&lags)]);
    let vault = open(&[&ahead]);
    (0..3).for_each(|_| drop(one_more_day(&vault, &mut promises)));
    drop(vault);
    let vault = open(&[&lags]);
    vault.attach(arc(&ahead), stamp(80)).expect("it is ours");
    fill(&vault);
    assert_eq!(states(&vault), [MemberState::Healthy, MemberState::Healthy]);
    one_more_day(&vault, &mut promises);
    drop(vault);
    check_each(&promises, &[&ahead, &lags], "learned");
}

/// The disk is not taken in, for this reason, and nothing was written to it.
fn check_refused(vault: &Vault, disk: &MemoryDisk, why: &str) {
    let watched = Arc::new(FaultyDisk::new(disk.clone(), None));
    let error = vault.attach(watched.clone(), stamp(90)).expect_err(why);
    assert!(matches!(&error, StoreError::Foreign { what } if what.contains(why)), "{error}");
    assert_eq!(watched.operations(), 0, "{why}: something was written");
}

/// Nothing is written to a disk that is not what the vault knows; the message names it.
#[test]
fn a_disk_that_is_not_ours_is_refused_and_left_alone() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(vec![arc(&first), arc(&second)]);
    let other_vault = MemoryDisk::new();
    live(vec![arc(&other_vault)]);
    // Both were used alone: each has entries that the other knows nothing of.
    let forked = second.after_power_cut(0);
    one_more_day(&open(&[&forked]), &mut Promises::default());
    let copy = first.after_power_cut(0);
    let vault = open(&[&first]);
    one_more_day(&vault, &mut promises);
    check_refused(&vault, &other_vault, "another vault");
    check_refused(&vault, &MemoryDisk::new(), "empty");
    check_refused(&vault, &copy, "a copy of the disk");
    let before = forked.list("ledger/000000").expect("a list").len();
    let error = vault.attach(arc(&forked), stamp(90)).expect_err("a fork");
    assert!(error.to_string().contains("its past is not"), "{error}");
    assert_eq!(forked.list("ledger/000000").expect("a list").len(), before);
    one_more_day(&vault, &mut promises);
}

/// A newer Larder said on a disk that this one must not touch it: nothing is written there.
#[test]
fn a_disk_of_a_newer_larder_is_left_alone() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    live(vec![arc(&first), arc(&second)]);
    let vault = open(&[&first]);
    let (of, id) = (vault.id(), vault.disks()[1].id.clone());
    let newer = layout::DISK_VERSION + 1;
    let check = Hash::of(format!("{newer} {newer} {of} {id}").as_bytes()).to_string();
    let facts = serde_json::json!({
        "format": newer, "oldest_reader": newer, "vault": of, "disk": id, "check": check,
    });
    for path in ["disk.json", "scrub/disk.json"] {
        second.remove(path).expect("it was there");
        second.create(path).expect("made").append(facts.to_string().as_bytes()).expect("written");
        check_refused(&vault, &second, "a newer Larder");
    }
}

/// A disk is pulled in the middle of a push, and put back: what was unfinished on it takes no room there any more.
#[test]
fn nothing_unfinished_stays_on_a_disk_that_was_pulled() {
    let (stays, leaves) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = open(&[&stays, &leaves]);
    let mut promises = live_on(&vault);
    plain::send(&vault, &files([("a.txt", &[1; 600])]), |_| Ok(())).expect("there is room");
    let unfinished = || leaves.list("open").expect("a list").len();
    assert!(unfinished() > 0, "the test must pull it in the middle of a push");
    let id = vault.disks()[1].id.clone();
    vault.detach(&id);
    vault.attach(arc(&leaves), stamp(60)).expect("it is ours");
    assert_eq!(unfinished(), 0);
    fill(&vault);
    one_more_day(&vault, &mut promises);
    drop(vault);
    check_each(&promises, &[&stays, &leaves], "pulled in the middle of a push");
}

/// Two disks that were used apart are opened together: one story is followed, the other is kept as it is.
#[test]
fn forked_disks_are_not_mixed() {
    for followed in [0, 1] {
        let disks = [MemoryDisk::new(), MemoryDisk::new()];
        let mut promises = live(vec![arc(&disks[0]), arc(&disks[1])]);
        let mut apart = Promises::default();
        // More was confirmed on one of them.
        (0..2).for_each(|_| drop(one_more_day(&open(&[&disks[followed]]), &mut promises)));
        let alone = open(&[&disks[1 - followed]]);
        one_more_day(&alone, &mut apart);
        // What the box wrote of itself meanwhile does not count.
        for _ in 0..5 {
            alone
                .append(stamp(70), Event::HoldSet { source: None, reason: "x".to_owned() })
                .expect("written");
        }
        drop(alone);
        let vault = open(&[&disks[0], &disks[1]]);
        assert_eq!(states(&vault)[followed], MemberState::Healthy);
        assert_eq!(states(&vault)[1 - followed], MemberState::Forked);
        assert_eq!(vault.ledger().gaps, [0; 0], "the other story leaves no trace");
        assert_eq!(vault.ledger().snapshots("laptop/diary").len(), 2);
        drop(vault);
        promises.check(vec![arc(&disks[followed])], "the story that was followed");
        apart.check(vec![arc(&disks[1 - followed])], "the story that was not");
    }
}

/// An old image of a disk in its place is told, and filled.
#[test]
fn an_older_copy_of_a_disk_is_told() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(vec![arc(&first), arc(&second)]);
    let image = second.after_power_cut(0);
    let vault = open(&[&first, &second]);
    one_more_day(&vault, &mut promises);
    let id = vault.disks()[1].id.clone();
    vault.detach(&id);
    let attached = vault.attach(arc(&image), stamp(90)).expect("it is ours");
    assert!(attached.is_older_copy && vault.disks()[1].is_older_copy);
    fill(&vault);
    vault.note_complete(&id, stamp(91)).expect("noted");
    // The same while the box was off: the ledger remembers how far it was.
    let later = first.after_power_cut(0);
    drop(vault);
    let old = second.after_power_cut(0);
    let vault = open(&[&later]);
    assert!(vault.attach(arc(&old), stamp(92)).expect("it is ours").is_older_copy);
    fill(&vault);
    drop(vault);
    check_each(&promises, &[&first, &image, &old], "old images were filled");
}

/// One failure heals by itself; a second one waits for a person, also after a restart.
#[test]
fn a_disk_that_fails_again_waits_for_a_person() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(vec![arc(&first), arc(&second)]);
    let operations = {
        let counting = Arc::new(FaultyDisk::new(second.after_power_cut(0), None));
        drop(plain::open(vec![arc(&first.after_power_cut(0)), counting.clone()]));
        counting.operations()
    };
    let failing = |at| -> Arc<dyn Disk> {
        Arc::new(FaultyDisk::new(second.clone(), Some(Plan { at: operations + at, fault: Fault::Error })))
    };
    let vault = plain::open(vec![arc(&first), failing(2)]).expect("opens");
    let id = vault.disks()[1].id.clone();
    one_more_day(&vault, &mut promises);
    assert!(matches!(states(&vault)[1], MemberState::Failed(_)));
    assert!(!vault.distrust(&id, stamp(1)).expect("noted"), "once is no pattern");
    vault.detach(&id);
    vault.attach(failing(30), stamp(2)).expect("ours");
    fill(&vault);
    let mut days = 0;
    while !matches!(states(&vault)[1], MemberState::Failed(_)) {
        one_more_day(&vault, &mut promises);
        days += 1;
        assert!(days < 30, "the second fault never fired");
    }
    assert!(vault.distrust(&id, stamp(3)).expect("noted"), "twice is one");
    let suspect = |vault: &Vault| matches!(vault.disks()[1].state, MemberState::Suspect(_));
    assert!(suspect(&vault));
    vault.detach(&id);
    vault.attach(arc(&second), stamp(3)).expect("ours");
    fill(&vault);
    assert!(suspect(&vault), "a dying disk leaves and comes by itself");
    drop(vault);
    let vault = open(&[&first, &second]);
    assert!(suspect(&vault), "a restart cures nothing");
    one_more_day(&vault, &mut promises);
    vault.detach(&id);
    vault.adopt(arc(&second), [9; 16], DiskRole::Home, stamp(4)).expect("a person says so");
    fill(&vault);
    assert_eq!(states(&vault)[1], MemberState::Healthy);
    drop(vault);
    check_each(&promises, &[&first, &second], "failed twice");
}

/// What the only disk fails at again and again is told, although no disk can note it.
#[test]
fn the_only_disk_that_fails_again_waits_for_a_person() {
    let disk = MemoryDisk::new();
    let mut promises = live(vec![arc(&disk)]);
    let vault = open(&[&disk]);
    let id = vault.disks()[0].id.clone();
    let again = || push(&vault, "laptop/docs", &files([("a.txt", &[5; 900])]), 7000, stamp(60));
    again().expect("a push");
    for failures in 1..=2 {
        vault.detach(&id);
        let counting = FaultyDisk::new(disk.after_clean_stop(), None);
        vault.attach(Arc::new(counting.clone()), stamp(60)).expect("it is ours");
        vault.detach(&id);
        // Whether it can be written to is seen when it comes, and that goes well.
        let later = Planned { on: On::Changes, when: When::From(counting.operations()), fault: Fault::Error };
        let failing = FaultyDisk::new(disk.after_clean_stop(), Schedule::new(0, [later]));
        vault.attach(Arc::new(failing.clone()), stamp(60)).expect("it is ours");
        assert_eq!(states(&vault), [MemberState::Healthy], "failure {failures}");
        try_one_more_day(&vault, &mut promises).expect_err("it fails");
        assert!(failing.fired() && matches!(states(&vault)[..], [MemberState::Failed(_)]));
        again().expect_err("no receipt where no disk stands for it");
        vault.distrust(&id, stamp(61)).expect_err("nobody can write that down");
    }
    let suspect = |vault: &Vault| matches!(vault.disks()[0].state, MemberState::Suspect(_));
    assert!(suspect(&vault));
    vault.try_again(&id);
    assert!(suspect(&vault), "twice is a pattern");
    vault.detach(&id);
    vault.attach(arc(&disk), stamp(62)).expect("it is ours");
    assert!(suspect(&vault), "a dying disk leaves and comes by itself");
    promises.check_on(&vault, "read while nobody may write");
    vault.detach(&id);
    vault.adopt(arc(&disk), [9; 16], DiskRole::Home, stamp(63)).expect("a person says so");
    one_more_day(&vault, &mut promises);
    drop(vault);
    check_each(&promises, &[&disk], "the only one failed twice");
}

/// A disk is let go of only while another one holds everything, and can be taken back.
#[test]
fn forgetting_a_disk_needs_another_complete_one() {
    let (first, second, third) = (MemoryDisk::new(), MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(vec![arc(&first), arc(&second)]);
    let vault = open(&[&first]);
    let ids: Vec<_> = vault.disks().into_iter().map(|disk| disk.id).collect();
    let away =
        vault.begin_forgetting(&ids[0], false, stamp(1)).expect_err("the other one is away").to_string();
    let [this, other] = [0, 1].map(|disk| vault.disks()[disk].path.clone());
    let blames_the_other =
        format!("the disk at {this} has to stay: the disk at {other} is away, failed or lacks something");
    assert_eq!(away, blames_the_other);
    vault.release(&ids[0], stamp(1)).expect_err("it is the only one here");
    vault.begin_forgetting(&ids[1], false, stamp(1)).expect("this one holds everything");
    assert!(vault.disks()[1].leaving.is_some());
    vault.keep_disk(&ids[1], stamp(2)).expect("taken back");
    assert!(vault.disks()[1].leaving.is_none());
    let early =
        |hours| vault.retire(&ids[1], stamp(hours)).expect_err("three days have not passed").to_string();
    assert!(early(80).ends_with("is forgotten after 72 hours"), "nobody wants it any more");
    vault.begin_forgetting(&ids[1], false, stamp(80)).expect("this one holds everything");
    assert!(early(80 + 71).ends_with("is forgotten after 72 hours"), "it is on its way out");
    vault.detach(&ids[0]);
    assert!(early(80 + 71).ends_with("is forgotten after 72 hours"), "whatever other disks do meanwhile");
    vault.attach(arc(&first), stamp(80 + 71)).expect("ours");
    fill(&vault);
    vault.retire(&ids[1], stamp(80 + 72)).expect("retired");
    assert_eq!(one_more_day(&vault, &mut promises).degraded, [""; 0], "it is not missed");
    let alone =
        vault.begin_forgetting(&ids[0], false, stamp(153)).expect_err("it is the only one").to_string();
    assert!(alone.ends_with("has to stay: no other disk that is connected holds everything"), "{alone}");
    let error = vault.attach(arc(&second), stamp(154)).expect_err("it is retired");
    assert!(error.to_string().contains("retired"), "{error}");
    let adopted = vault.adopt(arc(&third), [7; 16], DiskRole::Offsite, stamp(155)).expect("it is empty");
    fill(&vault);
    vault.release(&adopted, stamp(156)).expect("it is complete");
    assert_eq!(one_more_day(&vault, &mut promises).degraded, [""; 0], "an offsite disk may be away");
    vault.attach(arc(&third), stamp(157)).expect("it is ours");
    fill(&vault);
    drop(vault);
    check_each(&promises, &[&first, &third], "one went, one came");
    plain::open(vec![arc(&second.after_power_cut(0))]).expect("alone it is a whole vault of its day");
}

/// A file that is still open on a disk that left would keep it from being unmounted.
#[test]
fn nothing_stays_open_on_a_disk_that_left() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let real =
        |folder: &TempDir| -> Arc<dyn Disk> { Arc::new(RealDisk::open(folder.path()).expect("a disk")) };
    let vault = plain::open(folders.iter().map(real).collect()).expect("opens");
    let docs = files([("a.txt", b"first")]);
    let pushed = push(&vault, "laptop/docs", &docs, 1, stamp(1)).expect("a push");
    let is_whole = || restore(&vault, pushed.record.snapshot.root).is_ok_and(|found| found == docs);
    assert!(is_whole());
    let open_on = |folder: &TempDir| {
        let open = fs::read_dir("/proc/self/fd").expect("Linux").flatten();
        open.filter_map(|file| fs::read_link(file.path()).ok())
            .filter(|path| {
                path.starts_with(folder.path()) && path.extension().is_some_and(|end| end == "pack")
            })
            .count()
    };
    assert!(open_on(&folders[0]) > 0, "the test must leave a pack open");
    vault.detach(&vault.disks()[0].id);
    assert_eq!(open_on(&folders[0]), 0);
    assert!(is_whole(), "the other disk answers");
}
