//! What is really lost is known by every snapshot that needs it, and by every version, until it is back; and nothing is
//! called lost that is there.

use crate::letting_go::{Kept, packs};
use crate::repair::{noise, open, scrub};
use harness::plain::{self, Files, files, push, restore, stamp};
use larder_format::ledger::Event;
use larder_store::disk::{Disk, MemoryDisk};
use larder_store::{IndexPlace, Vault};
use std::collections::{BTreeMap, BTreeSet};

/// Everything in it is another from one backup to the next, or nearly.
fn day(number: u8) -> Files {
    files([
        ("always.txt", &noise(1, 600)),
        ("a.txt", &noise(100 + u64::from(number), 900)),
        ("b/c.txt", &noise(200 + u64::from(number), 900)),
        ("b/d/e.txt", &noise(u64::from(number / 2), 900)),
    ])
}

/// So many backups, by number: what each holds, and the packs that came with it.
fn lived(vault: &Vault, disk: &MemoryDisk, count: u8) -> BTreeMap<u64, (Files, BTreeSet<String>)> {
    let backup = |number: u8| {
        let before = packs(disk);
        let files = day(number);
        let now = stamp(number.into());
        let sequence =
            push(vault, "laptop/docs", &files, number.into(), now).expect("a push").record.sequence;
        (sequence, (files, packs(disk).difference(&before).cloned().collect()))
    };
    (1..=count).map(backup).collect()
}

/// Numbers of the snapshots that a restore does not give back whole.
fn not_given_back(vault: &Vault) -> Vec<u64> {
    let records = vault.ledger().snapshots("laptop/docs").to_vec();
    let broken = records.iter().filter(|record| restore(vault, record.snapshot.root).is_err());
    broken.map(|record| record.sequence).collect()
}

fn said_to_be_damaged(vault: &Vault) -> Vec<u64> {
    vault.damaged_snapshots().into_iter().map(|one| one.snapshot).collect()
}

fn push_until_complete(vault: &Vault, files: &Files, number: u128) {
    let pushed = (0..6).any(|_| push(vault, "laptop/docs", files, number, stamp(50)).is_ok());
    assert!(pushed, "what was missing is sent");
}

/// Packs of four of six backups are gone. Each of them is named, also after a restart, and after a push brought one of them
/// back the others still are.
#[test]
fn every_backup_that_needs_a_lost_pack_is_named_until_it_is_whole_again() {
    let disk = MemoryDisk::new();
    let vault = open(std::slice::from_ref(&disk));
    let kept = lived(&vault, &disk, 6);
    drop(vault);
    let numbers: Vec<_> = kept.keys().copied().collect();
    for number in &numbers[2..] {
        kept[number].1.iter().for_each(|pack| disk.remove(pack).expect("it was there"));
    }
    let mut lost = numbers[2..].to_vec();
    for time in 0..=lost.len() {
        // A look after the start, and a round on another one, find the same.
        let vault = open(std::slice::from_ref(&disk));
        vault.look_for_loss(&|| true).expect("looked").expect("seen");
        assert_eq!(
            (not_given_back(&vault), said_to_be_damaged(&vault)),
            (lost.clone(), lost.clone()),
            "{time}"
        );
        let named: BTreeSet<_> = vault.lost_files().into_iter().map(|file| file.snapshot).collect();
        assert!(named.iter().eq(&lost), "time {time}: {named:?} are named");
        drop(vault);
        let vault = open(std::slice::from_ref(&disk));
        scrub(&vault);
        assert_eq!(said_to_be_damaged(&vault), lost, "time {time}, after a round");
        if let Some(number) = lost.pop() {
            push_until_complete(&vault, &kept[&number].0, 100 + u128::from(number));
            assert!(vault.has_what_was_missed());
            assert!(vault.look_at_damaged(&|| true));
            assert_eq!((not_given_back(&vault), said_to_be_damaged(&vault)), (lost.clone(), lost.clone()));
            scrub(&vault);
            assert_eq!(said_to_be_damaged(&vault), lost, "time {time}, after the push and a round");
        }
    }
}

/// Whichever packs are gone: what is named is exactly what is not given back, by snapshot, and by file in all its versions.
#[test]
fn what_is_named_is_what_is_not_given_back() {
    let whole = MemoryDisk::new();
    let vault = open(std::slice::from_ref(&whole));
    let mut kept = BTreeMap::new();
    for number in 1..6 {
        // Each chunk in a pack of its own, so that files and folders get lost one by one.
        let (root, totals) = plain::send(&vault, &day(number), Vault::seal_all).expect("a push");
        let snapshot = plain::snapshot("laptop/docs", number.into(), root, totals);
        let committed = vault.by(&plain::APPLIANCE).commit(snapshot, stamp(number.into())).expect("a push");
        kept.insert(committed.record.sequence, day(number));
    }
    drop(vault);
    let all: Vec<_> = packs(&whole).into_iter().collect();
    for lost in 0..all.len() {
        let disk = whole.after_clean_stop();
        for pack in [&all[lost], &all[(lost * 7 + 3) % all.len()]] {
            let _ = disk.remove(pack);
        }
        let vault = open(std::slice::from_ref(&disk));
        vault.look_for_loss(&|| true).expect("looked").expect("seen");
        assert_eq!(said_to_be_damaged(&vault), not_given_back(&vault), "without {lost}");
        let named = vault.lost_files();
        let is_named = |path: &str, versions: &[u64]| {
            named.iter().any(|file| {
                let is_path = file.path == path
                    || file.path == "/"
                    || (file.path.ends_with('/') && path.starts_with(&file.path));
                is_path && versions.contains(&file.snapshot)
            })
        };
        for (number, files) in &kept {
            let record =
                vault.ledger().snapshots("laptop/docs").iter().find(|f| f.sequence == *number).cloned();
            let root = record.expect("it is kept").snapshot.root;
            for (path, bytes) in files {
                let versions: Vec<_> = kept
                    .iter()
                    .filter(|(_, other)| other.get(path) == Some(bytes))
                    .map(|(n, _)| *n)
                    .collect();
                let back = crate::repair_limits::read_file(&vault, root, path);
                let context = format!("without {lost}: {path} of {number}; {named:?}");
                match back {
                    Ok(found) => assert_eq!(&found, bytes, "{context}"),
                    Err(_) => assert!(is_named(path, &versions), "{context}"),
                }
            }
        }
    }
}

/// A pack into which many versions of one file were merged is lost: all of them are known.
#[test]
fn every_version_in_a_merged_pack_that_is_lost_is_known() {
    let disk = MemoryDisk::new();
    let vault = open(std::slice::from_ref(&disk));
    let mut kept = Kept { hour: 1, ..Kept::default() };
    for number in 0..24 {
        let committed =
            push(&vault, "laptop/docs", &day(number), number.into(), stamp(kept.hour)).expect("a push");
        kept.snapshots.insert(committed.record.sequence, day(number));
        kept.wait(&vault, 24);
    }
    let old = packs(&disk);
    // Until the packs of the single backups are gone.
    for _ in 0..6 {
        kept.wait(&vault, 3 * 24);
        kept.sweep(&vault).expect("a sweep");
    }
    drop(vault);
    let merged: Vec<_> = packs(&disk).difference(&old).cloned().collect();
    assert!(!merged.is_empty(), "some were written anew");
    for (number, pack) in merged.iter().enumerate() {
        let disk = disk.after_clean_stop();
        let len = disk.open(pack).and_then(|file| file.len()).expect("it is there");
        let len = usize::try_from(len).expect("short");
        // All of it, or some blocks in its middle.
        let range = if number % 2 == 0 { 0..len } else { len / 3..len / 2 };
        assert!(disk.scramble(pack, range, 7));
        let vault = open(std::slice::from_ref(&disk));
        scrub(&vault);
        let lost = not_given_back(&vault);
        assert!(lost.len() > 4, "many versions lie in it: {lost:?}");
        assert_eq!(said_to_be_damaged(&vault), lost);
        let named: BTreeSet<_> = vault.lost_files().into_iter().map(|file| file.snapshot).collect();
        assert!(named.len() > 4, "{named:?}");
        for (sequence, files) in &kept.snapshots {
            push_until_complete(&vault, files, 100 + u128::from(*sequence));
        }
        vault.look_at_damaged(&|| true);
        assert_eq!((not_given_back(&vault), said_to_be_damaged(&vault)), (vec![], vec![]));
    }
}

/// The list of a folder is lost in one backup: the versions in the others are found, and told apart from those that are not
/// whole.
#[test]
fn versions_go_on_past_a_lost_folder() {
    let disk = MemoryDisk::new();
    let vault = open(std::slice::from_ref(&disk));
    let kept = lived(&vault, &disk, 6);
    drop(vault);
    let numbers: Vec<_> = kept.keys().copied().collect();
    kept[&numbers[2]].1.iter().for_each(|pack| disk.remove(pack).expect("it was there"));
    let vault = open(std::slice::from_ref(&disk));
    let records = vault.ledger().snapshots("laptop/docs").to_vec();
    let runs = vault.by(&plain::APPLIANCE).versions(&records, b"a.txt").expect("told");
    let told: Vec<_> = runs.iter().map(|run| (run.first.sequence, run.is_known, run.is_whole)).collect();
    let is_lost = |number: &u64| *number == numbers[2];
    let expect: Vec<_> = numbers.iter().map(|number| (*number, !is_lost(number), !is_lost(number))).collect();
    assert_eq!(told, expect);
    assert!(runs.iter().all(|run| run.is_known == run.found.is_some()));
    push_until_complete(&vault, &kept[&numbers[2]].0, 100);
    let records = vault.ledger().snapshots("laptop/docs").to_vec();
    let runs = vault.by(&plain::APPLIANCE).versions(&records, b"a.txt").expect("told");
    assert!(runs.iter().all(|run| run.is_known && run.is_whole));
}

/// A version whose folder is whole and whose bytes are not is told apart too.
#[test]
fn a_version_whose_bytes_are_lost_is_told() {
    let disk = MemoryDisk::new();
    let vault = open(std::slice::from_ref(&disk));
    let mut of_file = Vec::new();
    for number in 1..4u8 {
        let mut all = day(number);
        all.insert("big.bin".to_owned(), noise(u64::from(number) + 40, 1400));
        let before = packs(&disk);
        let (root, totals) = plain::send(&vault, &all, Vault::seal_all).expect("a push");
        of_file.push(packs(&disk).difference(&before).cloned().collect::<Vec<_>>());
        vault
            .by(&plain::APPLIANCE)
            .commit(plain::snapshot("laptop/docs", number.into(), root, totals), stamp(1))
            .expect("a push");
    }
    let wanted = larder_format::Hash::of(&noise(42, 1400)[..700]);
    drop(vault);
    let holds = |path: &&String| crate::unread::table_of(&disk, path).chunks.contains(&wanted);
    let pack = of_file[1].iter().find(holds).expect("it came with the second").clone();
    disk.remove(&pack).expect("it was there");
    let vault = open(std::slice::from_ref(&disk));
    vault.look_for_loss(&|| true).expect("looked").expect("seen");
    let records = vault.ledger().snapshots("laptop/docs").to_vec();
    let whole = |path: &[u8]| -> Vec<_> {
        vault
            .by(&plain::APPLIANCE)
            .versions(&records, path)
            .expect("told")
            .iter()
            .map(|run| (run.is_known, run.is_whole))
            .collect()
    };
    assert_eq!(whole(b"big.bin"), [(true, true), (true, false), (true, true)]);
    assert_eq!(whole(b"a.txt"), [(true, true); 3]);
    assert_eq!(whole(b""), [(true, true), (true, false), (true, true)]);
}

/// The index is thrown away while it is looked for what is lost: an index that is empty for a moment knows of nothing, and
/// nothing is lost for that.
#[test]
fn an_index_that_is_thrown_away_meanwhile_loses_nothing() {
    let disk = MemoryDisk::new();
    let vault = open(std::slice::from_ref(&disk));
    // More packs than are entered at once.
    for number in 0..300u32 {
        let all = files([("a.txt", &number.to_le_bytes())]);
        push(&vault, "laptop/docs", &all, number.into(), stamp(1)).expect("a push");
    }
    let before = disk.files();
    for at in [0, 1, 2, 10, 150] {
        let steps = std::cell::Cell::new(0);
        let throw_away = || {
            if steps.replace(steps.get() + 1) == at {
                vault.move_index(IndexPlace::Memory);
            }
            true
        };
        assert_eq!(vault.look_for_loss(&throw_away).expect("looked"), None, "step {at}");
        assert!(steps.get() > at, "the test must throw it away");
        assert_eq!(
            (vault.damaged_chunks(), vault.lost_files(), vault.damaged_snapshots().len()),
            (0, vec![], 0)
        );
        while vault.index_pending() > 0 {}
    }
    vault.move_index(IndexPlace::Memory);
    assert_eq!(vault.look_for_loss(&|| true).expect("looked"), None, "it is being made anew");
    while vault.index_pending() > 0 {}
    assert_eq!(vault.look_for_loss(&|| true).expect("looked"), Some(0));
    assert_eq!(disk.files(), before, "nothing was written down");
}

/// Nobody is told of a damaged snapshot that was let go of.
#[test]
fn a_damaged_snapshot_that_is_let_go_of_is_not_named() {
    let disk = MemoryDisk::new();
    let vault = open(std::slice::from_ref(&disk));
    let kept = lived(&vault, &disk, 3);
    drop(vault);
    let numbers: Vec<_> = kept.keys().copied().collect();
    for number in &numbers[..2] {
        kept[number].1.iter().for_each(|pack| disk.remove(pack).expect("it was there"));
    }
    let vault = open(std::slice::from_ref(&disk));
    scrub(&vault);
    assert!(said_to_be_damaged(&vault).starts_with(&numbers[..2]));
    let pruned = Event::Pruned { snapshots: vec![numbers[0]], why: "the rule".to_owned() };
    vault.append(stamp(4), pruned).expect("written");
    assert_eq!(said_to_be_damaged(&vault).first(), Some(&numbers[1]));
}
