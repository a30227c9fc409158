//! Damage that no disk makes good: the devices are asked for what they still have, and backups go on.

use harness::plain::{self, Files, files, push, restore, stamp};
use larder_format::ledger::Snapshot;
use larder_store::disk::{Disk, Fault, FaultyDisk, Fired, MemoryDisk, On, Planned, Schedule, When};
use larder_store::{StoreError, Vault};
use std::sync::Arc;

fn pack_of(disk: &MemoryDisk) -> (String, u64) {
    let folder = disk.list("packs").expect("list").remove(0).name;
    let pack = disk.list(&format!("packs/{folder}")).expect("list").remove(0);
    (format!("packs/{folder}/{}", pack.name), pack.len)
}

fn day() -> Files {
    files([("a.txt", &[1; 600]), ("b/photo.jpg", &[2; 650])])
}

/// What a device with an empty cache does when the commit says that something is missing.
fn push_as_a_client(vault: &Vault, files: &Files, number: u128) -> u64 {
    match push(vault, "laptop/docs", files, number, stamp(2)) {
        Ok(committed) => committed.record.sequence,
        Err(StoreError::Missing { .. }) => {
            let again =
                push(vault, "laptop/docs", files, number, stamp(2)).expect("what was missing is sent");
            again.record.sequence
        }
        Err(error) => panic!("a push stopped: {error}"),
    }
}

/// A device that still has what was damaged is asked for it, and the next backup is whole again. Backups of a source
/// go on, wherever the damage is: in a file, in a folder's list, in the root.
#[test]
fn the_next_push_brings_back_what_was_damaged() {
    let whole = MemoryDisk::new();
    let vault = plain::open(vec![Arc::new(whole.clone())]).expect("opens");
    push(&vault, "laptop/docs", &day(), 1, stamp(1)).expect("a push");
    drop(vault);
    let (pack, len) = pack_of(&whole);
    let mut found = 0;
    for at in (16..len).step_by(3) {
        let rotten = whole.after_power_cut(0);
        rotten.flip(&pack, usize::try_from(at).expect("short"), 1);
        let Ok(vault) = plain::open(vec![Arc::new(rotten)]) else { continue };
        let first = vault.ledger().snapshots("laptop/docs")[0].clone();
        let is_damaged = restore(&vault, first.snapshot.root).is_err();
        let hurt = vault.damaged_chunks();
        // Damage in the pack's table is another kind: then nothing in it is found, and all of it is missing.
        assert!(!is_damaged || hurt > 0 || vault.unreadable_packs() > 0, "byte {at}: damage goes unnoticed");
        found += u64::from(hurt > 0);
        let mut changed = day();
        changed.insert("c.txt".to_owned(), b"new".to_vec());
        push_as_a_client(&vault, &changed, 2);
        let newest = vault.ledger().snapshots("laptop/docs").last().expect("it was pushed").clone();
        let back = restore(&vault, newest.snapshot.root);
        assert!(back.is_ok_and(|back| back == changed), "byte {at}: the new backup is not whole");
        push_as_a_client(&vault, &day(), 3);
        let back = restore(&vault, first.snapshot.root);
        assert!(back.is_ok_and(|back| back == day()), "byte {at}: the old backup is not whole again");
        assert_eq!(vault.damaged_chunks(), 0, "byte {at}: what came again counts as healed");
    }
    println!("{found} damaged places: each brought back by the next push");
    assert!(found > 100, "the test must meet damage");
}

/// The same device sends the same bytes in the same order, and so the same pack: the damaged one does not stay for that.
#[test]
fn the_same_pack_pushed_again_takes_the_place_of_the_damaged_one() {
    let whole = MemoryDisk::new();
    let vault = plain::open(vec![Arc::new(whole.clone())]).expect("opens");
    let root = push(&vault, "laptop/docs", &day(), 1, stamp(1)).expect("a push").record.snapshot.root;
    drop(vault);
    let (pack, len) = pack_of(&whole);
    for at in (16..len).step_by(5) {
        let rotten = whole.after_power_cut(0);
        // In so many places that all of it is sent again.
        (at..len)
            .step_by(100)
            .for_each(|at| assert!(rotten.flip(&pack, usize::try_from(at).expect("short"), 1)));
        let vault = plain::open(vec![Arc::new(rotten.clone())]).expect("opens");
        let healed = (0..6).any(|number| {
            let pushed = push(&vault, "laptop/docs", &day(), 2 + number, stamp(2));
            pushed.is_ok() && restore(&vault, root).is_ok()
        });
        assert!(healed, "byte {at}: it can be pushed again as often as one likes");
        drop(vault);
        let vault = plain::open(vec![Arc::new(rotten.after_power_cut(0))]).expect("opens");
        assert!(restore(&vault, root).is_ok_and(|back| back == day()), "byte {at}: after a restart");
    }
}

/// A device that takes everything for known, since nothing changed, is told what is damaged, and not that all is well.
#[test]
fn a_device_that_asks_nothing_hears_of_the_damage() {
    let whole = MemoryDisk::new();
    let vault = plain::open(vec![Arc::new(whole.clone())]).expect("opens");
    push(&vault, "laptop/docs", &day(), 1, stamp(1)).expect("a push");
    drop(vault);
    let (pack, len) = pack_of(&whole);
    let mut told = 0;
    for at in (16..len).step_by(7) {
        let rotten = whole.after_power_cut(0);
        rotten.flip(&pack, usize::try_from(at).expect("short"), 1);
        let Ok(vault) = plain::open(vec![Arc::new(rotten)]) else { continue };
        let first = vault.ledger().snapshots("laptop/docs")[0].snapshot.clone();
        let _ = restore(&vault, first.root);
        if vault.damaged_chunks() == 0 {
            continue;
        }
        let same = vault
            .by(&plain::APPLIANCE)
            .commit(plain::snapshot("laptop/docs", 2, first.root, first.totals), stamp(2));
        assert!(matches!(same, Err(StoreError::Missing { .. })), "byte {at}: {same:?}");
        told += 1;
    }
    assert!(told > 40, "the test must meet damage: {told}");
}

/// Two backups of a source, each with a pack of its own: the disk, the first pack and its length, and the second backup.
fn two_backups() -> (MemoryDisk, (String, u64), (Snapshot, Files)) {
    let disk = MemoryDisk::new();
    let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
    push(&vault, "laptop/docs", &day(), 1, stamp(1)).expect("a push");
    let first = pack_of(&disk);
    let mut files = day();
    files.insert("a.txt".to_owned(), vec![3; 600]);
    let second = push(&vault, "laptop/docs", &files, 2, stamp(2)).expect("a push");
    (disk, first, (second.record.snapshot.clone(), files))
}

/// A device on which nothing changed asks nothing. It is told that something is missing, and brings it.
fn is_asked_again(vault: &Vault, (newest, files): &(Snapshot, Files), context: &str) {
    let same = vault
        .by(&plain::APPLIANCE)
        .commit(plain::snapshot("laptop/docs", 3, newest.root, newest.totals), stamp(3));
    assert!(matches!(same, Err(StoreError::Missing { .. })), "{context}: {same:?}");
    push_as_a_client(vault, files, 4);
    assert!(restore(vault, newest.root).is_ok_and(|back| back == *files), "{context}: it is not whole again");
}

/// The list of an older pack is damaged, so nobody finds anything in it: what the newest backup needs of it is asked for.
#[test]
fn what_lies_in_a_pack_with_a_damaged_list_is_asked_for_again() {
    let (whole, (pack, len), newest) = two_backups();
    for at in (len - 64..len).step_by(7) {
        let rotten = whole.after_power_cut(0);
        assert!(rotten.flip(&pack, usize::try_from(at).expect("short"), 1));
        let vault = plain::open(vec![Arc::new(rotten)]).expect("opens");
        is_asked_again(&vault, &newest, &format!("byte {at}"));
        assert_eq!((vault.damaged_chunks(), vault.unreadable_packs()), (0, 1), "byte {at}: nobody is told");
    }
}

/// A folder of packs cannot be listed, so nobody knows which packs there are: the same.
#[test]
fn what_lies_in_a_folder_that_cannot_be_listed_is_asked_for_again() {
    let (whole, (pack, _), newest) = two_backups();
    let (folder, _) = pack.rsplit_once('/').expect("a folder");
    let mut hidden = 0;
    for at in 0.. {
        // Whoever lists a folder asks twice.
        let twice = [at, at + 1].map(|at| Planned { on: On::Reads, when: When::At(at), fault: Fault::Error });
        let disk = FaultyDisk::new(whole.after_clean_stop(), Schedule::new(0, twice));
        let opened = plain::open(vec![Arc::new(disk.clone())]);
        let story = disk.story();
        if story.is_empty() {
            break;
        }
        let is_of_folder = |fired: &Fired| fired.operation == "list" && fired.path == folder;
        if story.len() < 2 || !story.iter().all(is_of_folder) {
            continue;
        }
        let vault = opened.expect("it opens with what it shows");
        is_asked_again(&vault, &newest, &format!("reads {at} and {}", at + 1));
        assert_eq!((vault.damaged_chunks(), vault.unreadable_packs()), (0, 1), "nobody is told");
        hidden += 1;
    }
    assert!(hidden > 0, "the test must hide the folder");
}
