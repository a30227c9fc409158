//! What a start, a change of disks or a new reading of the ledger could make the box forget: then a backup would be called
//! complete that is not.

use crate::byzantine_disk::{ByzantineDisk, NEWEST_ONLY};
use crate::letting_go::{Kept, SHORT, mark_offsite, packs};
use harness::plain::{self, Files, files, push, restore, stamp};
use larder_format::block::Encoder;
use larder_format::ledger::{DiskRole, Event, Snapshot};
use larder_format::wire::Neighbours;
use larder_store::disk::{Disk, MemoryDisk};
use larder_store::{MemberState, StoreError, Vault};
use std::sync::Arc;

fn arc(disk: &MemoryDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn fill(vault: &Vault) {
    while vault.catch_up(u64::MAX).expect("there is room") > 0 {}
}

fn docs() -> Files {
    let lines = |seed: u8| -> Vec<u8> { (0..2500u32).map(|n| (n % 241) as u8 ^ seed).collect() };
    files([("a.bin", &lines(1)), ("b.bin", &lines(2)), ("c/d.bin", &lines(3))])
}

/// Nothing changed since `before`, so a device sends nothing and only asks for the next snapshot.
fn nothing_changed(vault: &Vault, before: &Snapshot) -> Result<(), StoreError> {
    let next = Snapshot { push: [77; 16], ..before.clone() };
    vault.by(&plain::APPLIANCE).commit(next, stamp(90)).map(drop)
}

fn newest(vault: &Vault) -> Snapshot {
    vault.ledger().snapshots("laptop/docs").last().expect("it was pushed").snapshot.clone()
}

/// A backup on these disks, with an index that knows of it, and the box is off.
fn pushed(disks: Vec<Arc<dyn Disk>>) -> tempfile::TempDir {
    let index = tempfile::tempdir().expect("a temporary folder");
    let vault = plain::open_indexed(disks, index.path()).expect("opens");
    push(&vault, "laptop/docs", &docs(), 1, stamp(1)).expect("a push");
    vault.flush_index();
    index
}

fn remove_packs(disk: &MemoryDisk) {
    packs(disk).iter().for_each(|pack| disk.remove(pack).expect("it was there"));
}

/// A check of the filesystem moved a folder of packs away while the box was off: the backup that rests on it is not called
/// complete, the loss is told and named, and the next push brings it back.
#[test]
fn a_pack_that_vanished_while_the_box_was_off_is_missed() {
    let disk = MemoryDisk::new();
    let index = pushed(vec![arc(&disk)]);
    remove_packs(&disk);
    let vault = plain::open_indexed(vec![arc(&disk)], index.path()).expect("opens");
    let again = nothing_changed(&vault, &newest(&vault));
    assert!(matches!(again, Err(StoreError::Missing { .. })), "it must not be called complete: {again:?}");
    assert!(vault.unreadable_packs() > 0, "the owner hears of it");
    let id = vault.disks()[0].id.clone();
    vault.scrub(&id, u64::MAX, stamp(2)).expect("a scrub");
    assert!(!vault.lost_files().is_empty(), "what was lost is named");
    let pushed = (0..4).any(|_| push(&vault, "laptop/docs", &docs(), 2, stamp(3)).is_ok());
    assert!(pushed, "a push brings it back");
    assert_eq!((vault.unreadable_packs(), vault.damaged_chunks()), (0, 0));
    assert!(restore(&vault, newest(&vault).root).is_ok_and(|found| found == docs()));
}

/// The same where another disk may have it: nothing is given up, and it comes back with that disk.
#[test]
fn a_pack_that_only_a_disk_that_is_away_has_is_waited_for() {
    let (here, away) = (MemoryDisk::new(), MemoryDisk::new());
    let index = pushed(vec![arc(&here), arc(&away)]);
    remove_packs(&here);
    let vault = plain::open_indexed(vec![arc(&here)], index.path()).expect("opens");
    let again = nothing_changed(&vault, &newest(&vault));
    assert!(matches!(again, Err(StoreError::Missing { .. })), "it must not be called complete: {again:?}");
    let id = vault.disks().into_iter().find(|disk| disk.state == MemberState::Healthy).expect("one is").id;
    vault.scrub(&id, u64::MAX, stamp(2)).expect("a scrub");
    assert_eq!(vault.lost_files(), [], "the other disk has it");
    vault.attach(arc(&away), stamp(3)).expect("ours");
    fill(&vault);
    assert_eq!(packs(&here), packs(&away));
    nothing_changed(&vault, &newest(&vault)).expect("all is there again");
}

/// A disk hides a folder of packs from whoever lists it, and a new one takes its place: the new one is not called complete.
#[test]
fn a_folder_that_cannot_be_listed_is_not_forgotten_with_a_new_disk() {
    let (dying, new) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = plain::open(vec![arc(&dying)]).expect("opens");
    push(&vault, "laptop/docs", &docs(), 1, stamp(1)).expect("a push");
    drop(vault);
    let hides = ByzantineDisk::new(&dying);
    let folder = packs(&dying).pop_first().expect("one push, one pack");
    hides.hide(folder.rsplit_once('/').expect("in a folder").0);
    let vault = plain::open(vec![hides.arc()]).expect("opens");
    assert!(vault.unreadable_packs() > 0);
    let id = vault.adopt(arc(&new), [9; 16], DiskRole::Home, stamp(2)).expect("taken in");
    let _ = vault.catch_up(u64::MAX);
    assert!(vault.unreadable_packs() > 0, "it still is hidden");
    vault.note_complete(&id, stamp(3)).expect("written or not");
    let noted = vault.disks().into_iter().find(|disk| disk.id == id).expect("it is there");
    assert_eq!(noted.complete, None, "nobody knows that it has all");
    let old = vault.disks()[0].id.clone();
    assert!(vault.begin_forgetting(&old, true, stamp(4)).is_err(), "the old one is still needed");
}

/// A complete disk that hides a folder of packs is not believed when it comes back, and is again once it shows all.
#[test]
fn a_complete_disk_is_believed_again_when_it_shows_all_its_folders() {
    let disk = MemoryDisk::new();
    let vault = plain::open(vec![arc(&disk)]).expect("opens");
    push(&vault, "laptop/docs", &docs(), 1, stamp(1)).expect("a push");
    let id = vault.disks()[0].id.clone();
    vault.note_complete(&id, stamp(2)).expect("written");
    drop(vault);
    let hides = ByzantineDisk::new(&disk);
    let folder = packs(&disk).pop_first().expect("one push, one pack");
    hides.hide(folder.rsplit_once('/').expect("in a folder").0);
    let vault = plain::open(vec![hides.arc()]).expect("opens");
    for (comes, shows_all) in [(hides.arc(), false), (arc(&disk), true)] {
        assert!(vault.unreadable_packs() > 0, "a folder is hidden");
        vault.detach(&id);
        vault.attach(comes, stamp(3)).expect("ours");
        assert_eq!(vault.unreadable_packs() == 0, shows_all);
    }
}

/// A disk was filled from a dying one that could not give all of it, and is alone after the next start: nothing that it
/// lacks is called complete.
#[test]
fn what_a_new_disk_was_filled_without_is_remembered_over_a_restart() {
    let (dying, new) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = plain::open(vec![arc(&dying)]).expect("opens");
    push(&vault, "laptop/docs", &docs(), 1, stamp(1)).expect("a push");
    dying.scramble(&packs(&dying).pop_first().expect("one push, one pack"), 200..260, 7);
    vault.adopt(arc(&new), [9; 16], DiskRole::Home, stamp(2)).expect("taken in");
    fill(&vault);
    drop(vault);
    let vault = plain::open(vec![arc(&new.after_power_cut(0))]).expect("opens");
    assert!(vault.damaged_chunks() > 0, "the owner hears of it");
    let again = nothing_changed(&vault, &newest(&vault));
    assert!(matches!(again, Err(StoreError::Missing { .. })), "it must not be called complete: {again:?}");
}

/// The dying disk is gone for good: it can be let go of, and what only it had is named.
#[test]
fn a_disk_that_is_gone_for_good_can_be_let_go_of() {
    let (dying, new) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = plain::open(vec![arc(&dying)]).expect("opens");
    push(&vault, "laptop/docs", &docs(), 1, stamp(1)).expect("a push");
    dying.scramble(&packs(&dying).pop_first().expect("one push, one pack"), 200..260, 7);
    let id = vault.adopt(arc(&new), [9; 16], DiskRole::Home, stamp(2)).expect("taken in");
    fill(&vault);
    let old = vault.disks()[0].id.clone();
    assert!(vault.begin_forgetting(&old, true, stamp(3)).is_err(), "as long as it is here it may give more");
    vault.detach(&old);
    assert!(vault.begin_forgetting(&old, false, stamp(3)).is_err(), "it may come back");
    vault.begin_forgetting(&old, true, stamp(3)).expect("it is gone");
    vault.retire(&old, stamp(100)).expect("it is gone");
    vault.scrub(&id, u64::MAX, stamp(101)).expect("a scrub");
    assert!(!vault.lost_files().is_empty(), "what was lost is named");
    let pushed = (0..4).any(|_| push(&vault, "laptop/docs", &docs(), 2, stamp(102)).is_ok());
    assert!(pushed, "a push brings it back");
    assert_eq!((vault.unreadable_packs(), vault.damaged_chunks()), (0, 0));
}

/// Two backups are on a disk that is away, another one was made without them, and the ledger is read again: the two stay
/// known.
#[test]
fn what_only_a_disk_that_is_away_has_stays_known_when_the_other_one_is_replugged() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = plain::open(vec![arc(&first), arc(&second)]).expect("opens");
    let ids: Vec<_> = vault.disks().into_iter().map(|disk| disk.id).collect();
    push(&vault, "laptop/docs", &docs(), 1, stamp(1)).expect("a push");
    vault.detach(&ids[0]);
    for number in 2..4u8 {
        let files = files([("a.txt", &[number; 900])]);
        push(&vault, "laptop/docs", &files, number.into(), stamp(number.into())).expect("a push");
    }
    vault.detach(&ids[1]);
    vault.attach(arc(&first), stamp(5)).expect("ours");
    fill(&vault);
    push(&vault, "laptop/docs", &files([("b.txt", &[4; 900])]), 4, stamp(6)).expect("a push");
    let before: Vec<_> =
        vault.ledger().snapshots("laptop/docs").iter().map(|record| record.sequence).collect();
    assert_eq!(before.len(), 4);
    vault.detach(&ids[0]);
    vault.attach(arc(&first), stamp(7)).expect("ours");
    let after: Vec<_> =
        vault.ledger().snapshots("laptop/docs").iter().map(|record| record.sequence).collect();
    assert_eq!(after, before);
    vault.attach(arc(&second), stamp(8)).expect("ours");
    fill(&vault);
    assert!(vault.ledger().gaps.is_empty());
    assert_eq!(vault.ledger().snapshots("laptop/docs").len(), 4);
    assert_eq!(packs(&first), packs(&second));
}

/// A pack was merged, and rots beyond repair while the files of the old ones are still there: what they have of it is used.
#[test]
fn a_merged_pack_that_rots_is_made_good_from_the_old_ones() {
    let disk = MemoryDisk::new();
    let vault = plain::open(vec![arc(&disk)]).expect("opens");
    let mut kept = Kept { hour: 1, ..Kept::default() };
    vault.append(stamp(1), Event::RetentionSet(SHORT)).expect("written");
    for number in 0..10 {
        let files = files([("always.txt", &[200; 650]), ("a.txt", &[number; 600])]);
        let sequence = push(&vault, "laptop/docs", &files, number.into(), stamp(kept.hour)).expect("a push");
        kept.snapshots.insert(sequence.record.sequence, files);
        kept.wait(&vault, 24);
    }
    let old = packs(&disk);
    let mut swept = 0;
    for _ in 0..500 {
        let step = vault.sweep_step(stamp(kept.hour), 20).expect("a step");
        swept += step.packs;
        if swept > 0 {
            break;
        }
        kept.wait(&vault, if step.is_under_way { 0 } else { 25 });
    }
    assert!(swept > 0, "the test must see packs let go of");
    let new: Vec<_> = packs(&disk).difference(&old).cloned().collect();
    assert!(!new.is_empty(), "one must have been written anew");
    for pack in new {
        let len = disk.open(&pack).and_then(|file| file.len()).expect("it is there");
        disk.scramble(&pack, 0..usize::try_from(len).expect("short"), 7);
    }
    let id = vault.disks()[0].id.clone();
    vault.scrub(&id, u64::MAX, stamp(kept.hour)).expect("a scrub");
    assert_eq!((vault.lost_files(), vault.damaged_chunks()), (vec![], 0));
    kept.check(&vault, "after the scrub");
    for _ in 0..4 {
        kept.wait(&vault, 3 * 24);
        let _ = kept.sweep(&vault);
    }
    kept.check(&vault, "after the old files went");
}

/// An offsite disk visits for an hour, now and then, and never has much room: it is rid of what was swept elsewhere, and
/// takes what is new.
#[test]
fn an_offsite_disk_without_room_is_rid_of_what_was_swept() {
    let (home, offsite) = (MemoryDisk::new(), MemoryDisk::new());
    let both = || vec![arc(&home), arc(&offsite)];
    let mut kept = Kept { hour: 1, ..Kept::default() };
    let vault = plain::open(both()).expect("opens");
    vault.append(stamp(1), Event::RetentionSet(NEWEST_ONLY)).expect("written");
    mark_offsite(&vault, 1);
    drop(vault);
    let vault = plain::open(both()).expect("opens");
    let id = vault.disks()[1].id.clone();
    vault.detach(&id);
    let day = |number: u32| -> Files {
        let bytes: Vec<u8> = (number * 30_000..(number + 1) * 30_000)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        files([("a.bin", &bytes)])
    };
    for number in 1..60u32 {
        kept.wait(&vault, 24);
        push(&vault, "laptop/docs", &day(number), number.into(), stamp(kept.hour)).expect("a push");
        if number % 6 == 0 {
            vault.attach(arc(&offsite), stamp(kept.hour)).expect("ours");
            fill(&vault);
            vault.detach(&id);
        }
        if number == 12 {
            let space = offsite.space().expect("memory");
            let used = space.total - space.free;
            offsite.limit(used + 120_000);
        }
        kept.wait(&vault, 8 * 24);
        kept.prune(&vault).expect("a prune");
        let _ = kept.sweep(&vault);
    }
    vault.attach(arc(&offsite), stamp(kept.hour)).expect("ours");
    fill(&vault);
    drop(vault);
    let alone = plain::open(vec![arc(&offsite.after_power_cut(0))]).expect("opens");
    assert!(
        restore(&alone, newest(&alone).root).is_ok_and(|found| found == day(59)),
        "it has all that is kept"
    );
}

/// A table says that several large chunks lie in one block: whoever asks for each of them gets it from the other disk.
#[test]
fn a_table_that_gathers_too_much_stops_no_restore() {
    let (spoiled, whole) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = plain::open(vec![arc(&spoiled), arc(&whole)]).expect("opens");
    let chunks: Vec<Vec<u8>> = (0..3u32)
        .map(|seed| (0..2_200_000u32).map(|n| (n.wrapping_mul(2_654_435_761 + seed) >> 24) as u8).collect())
        .collect();
    for chunk in &chunks {
        let len = u32::try_from(chunk.len()).expect("short");
        vault.by(&plain::APPLIANCE).receive(&Encoder::new().encode(chunk, vec![len])).expect("a block");
    }
    vault.seal_all().expect("sealed");
    drop(vault);
    let ids: Vec<_> = chunks.iter().map(|chunk| larder_format::Hash::of(chunk)).collect();
    let pack = packs(&spoiled).pop_first().expect("one pack");
    let len = spoiled.open(&pack).and_then(|file| file.len()).expect("it is there");
    let table = usize::try_from(len).expect("short") - larder_format::pack::FOOTER_BYTES - 3 * (12 + 32);
    for (block, bit) in [(1, 0), (1, 1), (2, 0), (2, 1)] {
        let spoiled = spoiled.after_clean_stop();
        // The first slot of that block.
        assert!(spoiled.flip(&pack, table + 12 * block + 8, bit));
        let vault = plain::open(vec![arc(&spoiled), arc(&whole)]).expect("opens");
        for step in vault.by(&plain::APPLIANCE).plan_fetch(&ids) {
            let _ = vault.by(&plain::APPLIANCE).fetch(&step, Neighbours::Unwanted);
        }
        for id in &ids {
            let alone = vault.by(&plain::APPLIANCE).plan_fetch(std::slice::from_ref(id));
            assert!(
                alone.iter().any(|step| vault.by(&plain::APPLIANCE).fetch_proven(step).is_ok()),
                "block {block}, bit {bit}"
            );
        }
    }
}

/// The newest pack is gone and no index knew of it, as after a disk lied about flushing: it is found out after the start,
/// named, remembered, and brought back.
#[test]
fn a_backup_that_no_index_knows_is_missed_after_the_start() {
    let disk = MemoryDisk::new();
    let vault = plain::open(vec![arc(&disk)]).expect("opens");
    push(&vault, "laptop/docs", &files([("a.txt", &[1; 900])]), 1, stamp(1)).expect("a push");
    let before = packs(&disk);
    push(&vault, "laptop/docs", &docs(), 2, stamp(2)).expect("a push");
    drop(vault);
    for pack in packs(&disk).difference(&before) {
        disk.remove(pack).expect("it was there");
    }
    let vault = plain::open(vec![arc(&disk)]).expect("opens");
    let id = vault.disks()[0].id.clone();
    vault.detach(&id);
    assert_eq!(vault.look_for_loss(&|| true).expect("nothing"), None, "what is away is not lost");
    assert_eq!((vault.damaged_chunks(), vault.lost_files().len()), (0, 0));
    vault.attach(arc(&disk), stamp(3)).expect("it is ours");
    assert!(vault.look_for_loss(&|| true).expect("written down").expect("seen") > 0);
    assert!(!vault.lost_files().is_empty() && vault.damaged_chunks() > 0, "the owner hears of it");
    assert_eq!(vault.look_for_loss(&|| true).expect("nothing new"), Some(0));
    drop(vault);
    let vault = plain::open(vec![arc(&disk)]).expect("opens");
    assert!(!vault.lost_files().is_empty() && vault.damaged_chunks() > 0, "also after the next start");
    let pushed = (0..4).any(|_| push(&vault, "laptop/docs", &docs(), 3, stamp(3)).is_ok());
    assert!(pushed, "a push brings it back");
    assert_eq!((vault.lost_files(), vault.damaged_chunks()), (vec![], 0));
}

/// A pack holds the whole bytes of another one: what it held is lost, and named.
#[test]
fn a_pack_in_the_place_of_another_is_a_loss() {
    let disk = MemoryDisk::new();
    let vault = plain::open(vec![arc(&disk)]).expect("opens");
    push(&vault, "laptop/docs", &docs(), 1, stamp(1)).expect("a push");
    let first = packs(&disk).pop_first().expect("one push, one pack");
    push(&vault, "laptop/docs", &files([("a.txt", &[1; 900])]), 2, stamp(2)).expect("a push");
    drop(vault);
    let second = packs(&disk).into_iter().find(|pack| *pack != first).expect("two packs");
    let whole = disk.open(&second).expect("it is there");
    let mut bytes = vec![0; usize::try_from(whole.len().expect("memory")).expect("short")];
    whole.read_at(0, &mut bytes).expect("it is whole");
    disk.remove(&first).expect("it was there");
    let mut file = disk.create(&first).expect("made");
    file.append(&bytes).and_then(|()| file.sync()).expect("written");
    let vault = plain::open(vec![arc(&disk)]).expect("opens");
    let id = vault.disks()[0].id.clone();
    vault.scrub(&id, u64::MAX, stamp(3)).expect("a scrub");
    assert!(!vault.lost_files().is_empty() && vault.damaged_chunks() > 0, "what was lost is named");
}

/// Somebody deletes packs while the box runs: no receipt names a disk that lacks them.
#[test]
fn packs_that_vanish_while_it_runs_are_in_no_receipt() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = plain::open(vec![arc(&first), arc(&second)]).expect("opens");
    push(&vault, "laptop/docs", &docs(), 1, stamp(1)).expect("a push");
    restore(&vault, newest(&vault).root).expect("whole, and its files are open now");
    let ids: Vec<_> = vault.disks().into_iter().map(|disk| disk.id).collect();
    remove_packs(&first);
    let same = newest(&vault);
    let again = vault
        .by(&plain::APPLIANCE)
        .commit(Snapshot { push: [7; 16], ..same.clone() }, stamp(2))
        .expect("one disk has it");
    assert_eq!((again.disks, again.degraded), (vec![ids[1].clone()], vec![ids[0].clone()]));
    fill(&vault);
    assert_eq!(packs(&first), packs(&second));
    [&first, &second].into_iter().for_each(remove_packs);
    let again = vault.by(&plain::APPLIANCE).commit(Snapshot { push: [8; 16], ..same }, stamp(4));
    assert!(matches!(again, Err(StoreError::Missing { .. })), "no disk has it: {again:?}");
    push(&vault, "laptop/docs", &docs(), 2, stamp(5)).expect("it is sent again");
    for disk in [&first, &second] {
        let alone = plain::open(vec![arc(&disk.after_power_cut(0))]).expect("opens");
        assert!(restore(&alone, newest(&alone).root).is_ok_and(|found| found == docs()));
    }
}

/// A restore meets a pack of which nothing is left: the disk is read at once, so that the owner hears of it.
#[test]
fn a_restore_that_meets_a_ruined_pack_raises_the_alarm() {
    let disk = MemoryDisk::new();
    let index = pushed(vec![arc(&disk)]);
    for pack in packs(&disk) {
        let len = disk.open(&pack).and_then(|file| file.len()).expect("it is there");
        disk.scramble(&pack, 0..usize::try_from(len).expect("short"), 7);
    }
    let vault = plain::open_indexed(vec![arc(&disk)], index.path()).expect("opens");
    assert!(restore(&vault, newest(&vault).root).is_err());
    assert!(vault.scrubs()[0].is_alarmed);
}
