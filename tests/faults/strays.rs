//! Files that are whole and in the wrong place, and files and folders that a disk no longer shows: names are no proof of
//! what lies under them, and one bad spot hides nothing else.

use crate::days::{Promises, live, one_more_day};
use crate::names::{bytes_of, entry, put_file};
use harness::plain::{self, stamp};
use larder_format::block::{Decoder, OpenBlock};
use larder_format::wire::Neighbours;
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, On, Planned, Schedule, When};
use larder_store::{MemberState, Vault};
use std::collections::BTreeSet;
use std::sync::Arc;

fn arc(disk: &MemoryDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn open(disks: &[&MemoryDisk]) -> Vault {
    plain::open(disks.iter().map(|disk| arc(disk)).collect()).expect("opens")
}

fn packs_on(disk: &MemoryDisk) -> Vec<String> {
    let files = disk.files().into_iter().map(|(path, _)| path);
    files.filter(|path| path.starts_with("packs/") && path.ends_with(".pack")).collect()
}

/// A disk that was away, or is new, gets what the other one can still make whole from parity, and counts only then.
#[test]
fn a_disk_is_filled_with_what_parity_gives_back() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let mut promises = live(vec![arc(&first), arc(&second)]);
    let vault = open(&[&first]);
    let before = packs_on(&first);
    one_more_day(&vault, &mut promises);
    while vault.write_parity(u64::MAX).expect("there is room") > 0 {}
    let new = packs_on(&first).into_iter().find(|path| !before.contains(path)).expect("the day made a pack");
    assert!(first.flip(&new, 100, 1));
    vault.attach(arc(&second), stamp(60)).expect("it is ours");
    while vault.catch_up(u64::MAX).expect("there is room") > 0 {}
    assert!(vault.disks().iter().all(|disk| disk.state == MemberState::Healthy));
    assert_eq!(bytes_of(&second, &new).len(), bytes_of(&first, &new).len());
    drop(vault);
    promises.check(vec![arc(&second.after_power_cut(0))], "the disk that was filled, alone");
}

/// One pack stands in the place of another on one disk: the other disk has it, so nobody notices but the scrub.
#[test]
fn a_pack_in_the_place_of_another_hides_nothing() {
    for (number, is_index_new) in [(0, true), (0, false), (1, true), (1, false)] {
        let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
        let promises = live(vec![arc(&first), arc(&second)]);
        let hurt = [&first, &second][number];
        let packs = packs_on(hurt);
        for (wrong, right) in packs.iter().zip(packs.iter().cycle().skip(1)) {
            let swapped = [first.after_clean_stop(), second.after_clean_stop()];
            let context =
                format!("disk {number}: {right} in the place of {wrong}, index made anew: {is_index_new}");
            let vault = (!is_index_new).then(|| open(&[&swapped[0], &swapped[1]]));
            let other = bytes_of(hurt, right);
            swapped[number].remove(wrong).expect("it was there");
            put_file(&swapped[number], wrong, &other);
            let vault = vault.unwrap_or_else(|| open(&[&swapped[0], &swapped[1]]));
            check_answers(&vault, &promises, &context);
            promises.check_on(&vault, &context);
        }
    }
}

/// Whoever asks for chunks gets each of them, if not at first then when it is asked for alone.
fn check_answers(vault: &Vault, promises: &Promises, context: &str) {
    let mut decoder = Decoder::new();
    let names = promises.names(vault);
    for id in &names {
        let id = *id;
        let found = vault.by(&plain::APPLIANCE).plan_fetch(&[id]).iter().any(|step| {
            let block = vault.by(&plain::APPLIANCE).fetch_proven(step).unwrap_or_default();
            OpenBlock::read(&mut decoder, &block).is_ok_and(|(_, open)| open.chunk(&id).is_some())
        });
        assert!(found, "{context}: a chunk is not given back");
    }
    let mut sent = BTreeSet::new();
    for step in vault.by(&plain::APPLIANCE).plan_fetch(&names) {
        let block = vault
            .by(&plain::APPLIANCE)
            .fetch(&step, Neighbours::Unwanted)
            .unwrap_or_else(|error| panic!("{context}: {error:?}"));
        let (_, open) = OpenBlock::read(&mut decoder, &block).expect("a block");
        sent.extend(open.chunks.into_iter().map(|(id, _)| id));
    }
    assert!(names.iter().all(|id| sent.contains(id)), "{context}: another block is sent");
}

/// A stray file in the ledger's folder is no entry: no alarm, and the next entry gets the next number.
#[test]
fn a_stray_name_in_the_ledger_is_no_entry() {
    for stray in [
        "ledger/000000/000000000050.entry",
        "ledger/000000/000000000012.entry",
        "ledger/000000/800000000005.entry",
        "ledger/800000000/800000000005.entry",
        "ledger/000000/18446744073709551615.entry",
        "ledger/18446744073709551/18446744073709551615.entry",
        "ledger/000000/7.entry",
    ] {
        let disk = MemoryDisk::new();
        let mut promises = live(vec![arc(&disk)]);
        let newest = open(&[&disk]).ledger().head.sequence;
        assert!(newest < 11, "the strays stand behind it");
        let bytes = entry(&disk, 3);
        put_file(&disk, stray, &bytes);
        let vault = open(&[&disk]);
        assert_eq!(vault.ledger().gaps, [0; 0], "{stray}");
        one_more_day(&vault, &mut promises);
        assert_eq!(vault.ledger().head.sequence, newest + 1, "{stray}");
        drop(vault);
        promises.check(vec![arc(&disk)], stray);
    }
}

/// A pack that lies in the folder of others, with or without its own being there.
#[test]
fn a_pack_in_a_strange_folder_harms_nothing() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let promises = live(vec![arc(&first), arc(&second)]);
    for pack in packs_on(&first) {
        for is_gone in [false, true] {
            let hurt = first.after_clean_stop();
            let bytes = bytes_of(&hurt, &pack);
            if is_gone {
                hurt.remove(&pack).expect("it was there");
            }
            let name = pack.rsplit('/').next().expect("a name");
            let strange = if name.starts_with("00") { "packs/01" } else { "packs/00" };
            for folder in [strange, &format!("packs/{}", &name[..1])] {
                let hurt = hurt.after_clean_stop();
                put_file(&hurt, &format!("{folder}/{name}"), &bytes);
                let context = format!("{pack} in {folder}, gone: {is_gone}");
                promises.check(vec![arc(&hurt), arc(&second.after_clean_stop())], &context);
                // Alone it may not give back all, and it still opens.
                let other = if name.starts_with('a') { "b" } else { "a" };
                put_file(&hurt, &format!("{folder}/{other}{}", &name[1..]), &bytes);
                let vault = open(&[&hurt]);
                if !is_gone {
                    let id = vault.disks()[0].id.clone();
                    vault.scrub(&id, u64::MAX, stamp(300)).expect("a scrub");
                    let (_, found) = vault.scrubs()[0].last.expect("a round");
                    assert_eq!((found.damaged, found.repaired), (0, 0), "{context}");
                }
            }
        }
    }
}

/// Who a disk is stands on it twice from the first moment on.
#[test]
fn a_flipped_bit_in_its_name_keeps_no_disk_out() {
    let disk = MemoryDisk::new();
    let promises = live(vec![arc(&disk)]);
    for at in (0..100).step_by(7) {
        let hurt = disk.after_clean_stop();
        assert!(hurt.flip("disk.json", at, 1));
        promises.check(vec![arc(&hurt)], &format!("byte {at}"));
    }
}

/// A copy of a disk takes its place, goes on alone, and then the first one is connected again, with a backup that no other
/// has: nobody is told to empty it.
#[test]
fn a_copy_that_has_more_is_not_called_a_mere_copy() {
    let first = MemoryDisk::new();
    let mut promises = live(vec![arc(&first)]);
    let copy = first.after_clean_stop();
    let vault = open(&[&first]);
    let id = vault.disks()[0].id.clone();
    let only_there = one_more_day(&vault, &mut promises).record.snapshot.clone();
    vault.detach(&id);
    vault.attach(arc(&copy), stamp(60)).expect("it is who it says");
    while vault.catch_up(u64::MAX).expect("nobody is here to copy from") > 0 {}
    one_more_day(&vault, &mut promises);
    assert!(vault.by(&plain::APPLIANCE).commit(only_there, stamp(61)).is_err(), "the copy does not have it");
    let refused = vault.attach(arc(&first), stamp(62)).expect_err("one of them is here").to_string();
    assert!(refused.contains("Do not empty it") && refused.contains("rescue"), "{refused}");
    vault.detach(&id);
    vault.attach(arc(&first), stamp(63)).expect("it is who it says");
    let refused = vault.attach(arc(&copy), stamp(64)).expect_err("one of them is here").to_string();
    assert!(refused.contains("Do not empty it"), "{refused}");
}

/// A disk beside its copy, and one of the two no longer says what is on it: the other one is enough, in either order.
#[test]
fn an_unreadable_copy_stops_nothing() {
    let whole = MemoryDisk::new();
    let promises = live(vec![arc(&whole)]);
    for is_first in [false, true] {
        let once = |when| Planned { on: On::Reads, when, fault: Fault::Error };
        let dying = FaultyDisk::new(whole.after_clean_stop(), Schedule::new(0, [once(When::From(2))]));
        let (dying, whole): (Arc<dyn Disk>, _) = (Arc::new(dying), arc(&whole.after_clean_stop()));
        let both = if is_first { vec![dying, whole] } else { vec![whole, dying] };
        promises.check_on(&plain::open(both).expect("one of them is whole"), "beside a copy that is dying");
    }
}
