//! Reads that fail for a while, with every byte still on the disk: a cable, a weak power supply, a bridge that hangs.
//! Nothing is given up for that, and what an earlier version gave up so comes back by itself.

use crate::letting_go::packs;
use crate::repair::{SHARD, find, noise, open, quarantined, scrub};
use harness::plain::{self, Files, files, push, restore, stamp};
use larder_format::Hash;
use larder_format::care::{self, Losses, LostFile};
use larder_format::pack::{FOOTER_BYTES, Footer, Table};
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, On, Planned, Schedule, When};
use larder_store::{DamagedSnapshot, MemberState, StoreError, Vault};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many hours apart two failed attempts count.
const ATTEMPT_HOURS: u64 = 8;

/// A little of it changes from one backup to the next.
fn day(number: u8) -> Files {
    files([
        ("always.txt", &noise(1, 3000)),
        ("a.txt", &noise(100 + u64::from(number), 900)),
        ("b/c.txt", &noise(200 + u64::from(number), 900)),
    ])
}

/// Four backups, each with a pack of its own and its sidecar, by their numbers; and the box is off.
fn lived(disks: &[MemoryDisk]) -> BTreeMap<u64, Files> {
    let vault = open(disks);
    let pushed = (1..5).map(|number| {
        let files = day(number);
        let committed = push(&vault, "laptop/docs", &files, number.into(), stamp(number.into()));
        (committed.expect("a push").record.sequence, files)
    });
    let pushed = pushed.collect();
    vault.write_parity(u64::MAX).expect("parity");
    pushed
}

fn reads(when: When) -> Planned {
    Planned { on: On::Reads, when, fault: Fault::Error }
}

/// Everything is there, nothing is called lost or damaged, and the next rounds say so.
fn check_all_is_well(vault: &Vault, kept: &BTreeMap<u64, Files>, context: &str) {
    let rounds = scrub(vault);
    let is_clean = |round: &care::Round| (round.damaged, round.left, round.lost) == (0, 0, 0);
    assert!(rounds.iter().all(is_clean), "{context}: {rounds:?}");
    let records = vault.ledger().snapshots("laptop/docs").to_vec();
    assert_eq!(records.len(), kept.len(), "{context}");
    for record in records {
        let found = restore(vault, record.snapshot.root);
        let found = found
            .unwrap_or_else(|error| panic!("{context}: {} is not given back: {error:?}", record.sequence));
        assert!(found == kept[&record.sequence], "{context}: {} gives other bytes", record.sequence);
    }
    assert_eq!(vault.lost_files(), [], "{context}");
    assert_eq!(vault.damaged_snapshots(), [], "{context}");
    assert_eq!((vault.damaged_chunks(), vault.unreadable_packs()), (0, 0), "{context}");
    assert!(vault.scrubs().iter().all(|disk| disk.suspected == 0), "{context}");
    assert_eq!(vault.audit().expect("an audit").damaged, [""; 0], "{context}");
}

/// A restore of everything and two rounds, for two days if `goes_on`; whatever fails fails.
fn use_it(vault: &Vault, hour: u64) {
    let records = vault.ledger().snapshots("laptop/docs").to_vec();
    records.iter().for_each(|record| drop(restore(vault, record.snapshot.root)));
    let disks: Vec<_> = vault.disks().into_iter().map(|disk| disk.id).collect();
    for disk in disks.iter().chain(&disks) {
        let _ = vault.scrub(disk, u64::MAX, stamp(hour));
    }
    let _ = vault.look_for_loss(&|| true);
    let _ = vault.search_quarantines(u64::MAX);
    let _ = vault.read_suspects_again(stamp(hour));
}

/// The reads of one disk fail from some moment on and its writes work, whatever is done with it meanwhile. After a new start
/// with a disk that answers all is as before.
#[test]
fn a_disk_whose_reads_fail_gives_nothing_up() {
    let whole = MemoryDisk::new();
    let kept = lived(std::slice::from_ref(&whole));
    let mut spells = 0;
    for first in (0..400).step_by(3) {
        let disk = FaultyDisk::new(whole.after_clean_stop(), Schedule::new(0, [reads(When::From(first))]));
        let Ok(vault) = plain::open(vec![Arc::new(disk.clone())]) else { continue };
        // Long enough for any number of attempts.
        (0..8).for_each(|time| use_it(&vault, 10 + time * ATTEMPT_HOURS));
        drop(vault);
        assert!(disk.fired());
        let context = format!("reads fail from {first} on");
        let after = disk.below().after_clean_stop();
        assert_eq!(quarantined(&after), 0, "{context}");
        check_all_is_well(&open(&[after]), &kept, &context);
        spells += 1;
    }
    println!("{spells} spells of failed reads: 0 lost");
    assert!(spells > 80);
}

/// The reads work again after a while: before anybody starts anew, and then for good.
#[test]
fn a_spell_of_failed_reads_that_ends_leaves_nothing_behind() {
    let whole = MemoryDisk::new();
    let kept = lived(std::slice::from_ref(&whole));
    let mut spells = 0;
    for (first, many) in (0..400).step_by(7).flat_map(|first| [2, 9, 40, 170].map(|many| (first, many))) {
        let faults: Vec<_> = (first..first + many).map(|at| reads(When::At(at))).collect();
        let disk = FaultyDisk::new(whole.after_clean_stop(), Schedule::new(0, faults));
        let Ok(vault) = plain::open(vec![Arc::new(disk.clone())]) else { continue };
        let is_over = || disk.story().len() as u64 == many;
        (10..30).take_while(|_| !is_over()).for_each(|hour| use_it(&vault, hour));
        // An hour later what could not be read is looked at again, and then all of the disk.
        use_it(&vault, 32);
        let context = format!("{many} reads fail from {first} on");
        assert_eq!(vault.lost_files(), [], "{context}");
        use_it(&vault, 34);
        // One that failed is opened anew by whoever looks after the disks.
        if vault.disk_states() == [MemberState::Healthy] {
            check_all_is_well(&vault, &kept, &context);
        }
        drop(vault);
        check_all_is_well(
            &open(&[disk.below().after_clean_stop()]),
            &kept,
            &format!("{context}, a new start"),
        );
        spells += u64::from(disk.fired());
    }
    println!("{spells} spells that end: 0 lost");
    assert!(spells > 150);
}

/// One read fails here and there, for weeks.
#[test]
fn reads_that_fail_by_chance_lose_nothing() {
    let whole = MemoryDisk::new();
    let kept = lived(std::slice::from_ref(&whole));
    for seed in 0..60 {
        let one_in = [3, 10, 40][usize::try_from(seed % 3).expect("below 3")];
        let schedule = Schedule::new(seed, [reads(When::OneIn(one_in))]);
        let disk = FaultyDisk::new(whole.after_clean_stop(), schedule);
        let Ok(vault) = plain::open(vec![Arc::new(disk.clone())]) else { continue };
        (0..6).for_each(|time| use_it(&vault, 10 + time * 2));
        drop(vault);
        let context = format!("one read in {one_in}, seed {seed}");
        check_all_is_well(&open(&[disk.below().after_clean_stop()]), &kept, &context);
    }
}

/// The same with two disks, of which one or both do not answer.
#[test]
fn two_disks_whose_reads_fail_give_nothing_up() {
    let whole = [MemoryDisk::new(), MemoryDisk::new()];
    let kept = lived(&whole);
    for first in (0..600).step_by(13) {
        for also_the_other in [false, true] {
            let one =
                FaultyDisk::new(whole[0].after_clean_stop(), Schedule::new(0, [reads(When::From(first))]));
            let other = whole[1].after_clean_stop();
            let other = if also_the_other { one.beside(other) } else { one.on_same_power(other) };
            let disks: Vec<Arc<dyn Disk>> = vec![Arc::new(one.clone()), Arc::new(other.clone())];
            let Ok(vault) = plain::open(disks) else { continue };
            (0..8).for_each(|time| use_it(&vault, 10 + time * ATTEMPT_HOURS));
            drop(vault);
            let context = format!("reads fail from {first} on, on both: {also_the_other}");
            let after = [one.below().after_clean_stop(), other.below().after_clean_stop()];
            let vault = open(&after);
            while vault.catch_up(u64::MAX).expect("there is room") > 0 {}
            check_all_is_well(&vault, &kept, &context);
        }
    }
}

/// More of a pack than can be computed cannot be read: it is shown, asked for, and read again, for a day; then it is given up,
/// and when the disk gives it after all, it is whole again.
#[test]
fn what_stays_unreadable_is_given_up_after_a_day_and_taken_back_when_it_can_be_read() {
    let disk = MemoryDisk::new();
    let kept = lived(std::slice::from_ref(&disk));
    let pack = hurt_the_largest_pack(&disk);
    for attempt in 0..4 {
        // A new start each time: attempts are not forgotten, and not hurried by it either.
        let vault = open(std::slice::from_ref(&disk));
        for hour in [0, 1, ATTEMPT_HOURS - 1] {
            let round = scrub_at(&vault, 10 + attempt * ATTEMPT_HOURS + hour);
            if attempt == 3 {
                break;
            }
            assert_eq!((round.left, round.lost), (2, 0), "attempt {attempt}: the pack and its sidecar");
            assert_eq!(vault.scrubs()[0].suspected, 1);
            assert_eq!((vault.lost_files(), quarantined(&disk)), (vec![], 0), "attempt {attempt}");
            assert!(vault.damaged_chunks() > 0, "the owner hears of it");
            let damaged = vault.damaged_snapshots();
            assert!(!damaged.is_empty() && damaged.iter().all(|one| !one.is_lost), "{damaged:?}");
        }
    }
    let vault = open(std::slice::from_ref(&disk));
    assert_eq!(quarantined(&disk), 3, "the pack, its sidecar, and what was lost with it");
    assert!(!vault.lost_files().is_empty() && vault.scrubs()[0].suspected == 0);
    scrub(&vault);
    assert!(vault.damaged_snapshots().iter().all(|one| one.is_lost) && !vault.damaged_snapshots().is_empty());
    let aside = format!("quarantine/{}", pack.rsplit('/').next().expect("a name"));
    disk.make_readable(&aside);
    disk.make_readable(&aside.replace(".pack", ".parity"));
    let round = scrub_at(&vault, 60);
    assert_eq!((round.damaged, round.lost), (0, 0));
    vault.write_parity(u64::MAX).expect("parity");
    check_all_is_well(&vault, &kept, "it can be read again");
    assert!(disk.open(&aside).is_err(), "a second copy would only take room");
    drop(vault);
    check_all_is_well(&open(&[disk.after_power_cut(0)]), &kept, "after a restart");
}

/// Most of what is in it cannot be read, nor what it could be computed from.
fn hurt_the_largest_pack(disk: &MemoryDisk) -> String {
    let (pack, len) = find(disk, ".pack");
    disk.make_unreadable(&pack, 200..len - 44 * table_of(disk, &pack).chunks.len() - 80);
    disk.make_unreadable(&pack.replace(".pack", ".parity"), 0..usize::MAX);
    pack
}

pub(crate) fn scrub_at(vault: &Vault, hour: u64) -> care::Round {
    let disk = vault.disks()[0].id.clone();
    vault.scrub(&disk, u64::MAX, stamp(hour)).expect("a scrub")
}

/// A device is asked for what cannot be read at its next push, not only once it is given up.
#[test]
fn what_cannot_be_read_is_asked_for_at_once() {
    let disk = MemoryDisk::new();
    let kept = lived(std::slice::from_ref(&disk));
    hurt_the_largest_pack(&disk);
    let vault = open(std::slice::from_ref(&disk));
    scrub(&vault);
    for (number, files) in (10u128..).zip(kept.values()) {
        let pushed = (0..3).any(|_| match push(&vault, "laptop/docs", files, number, stamp(6)) {
            Ok(_) => true,
            Err(StoreError::Missing { .. }) => false,
            Err(error) => panic!("{error:?}"),
        });
        assert!(pushed, "what was missing is sent");
    }
    assert_eq!(vault.damaged_chunks(), 0);
    for record in vault.ledger().snapshots("laptop/docs").iter().take(4) {
        assert!(restore(&vault, record.snapshot.root).is_ok_and(|found| found == kept[&record.sequence]));
    }
    assert!(vault.has_what_was_missed());
    assert!(vault.look_at_damaged(&|| true));
    assert_eq!(vault.damaged_snapshots(), []);
}

/// The sidecar that a pack could be computed from stays where it is as long as no other one can be made.
#[test]
fn a_sidecar_that_could_not_be_read_is_kept() {
    let disk = MemoryDisk::new();
    let kept = lived(std::slice::from_ref(&disk));
    let (pack, len) = find(&disk, ".pack");
    let (sidecar, sidecar_len) = find(&disk, ".parity");
    disk.make_unreadable(&sidecar, 0..sidecar_len);
    disk.make_unreadable(&pack, 0..len);
    let vault = open(std::slice::from_ref(&disk));
    scrub(&vault);
    disk.make_readable(&sidecar);
    disk.make_readable(&pack);
    disk.make_unreadable(&pack, len / 2..len / 2 + SHARD / 2);
    assert!(disk.open(&sidecar).is_ok());
    let round = scrub_at(&vault, 6);
    assert_eq!((round.damaged, round.repaired), (1, 1), "{round:?}");
    check_all_is_well(&vault, &kept, "it was computed");
}

pub(crate) fn table_of(disk: &MemoryDisk, path: &str) -> Table {
    let bytes = crate::names::bytes_of(disk, path);
    let footer = Footer::decode(&bytes[bytes.len() - FOOTER_BYTES..], bytes.len() as u64).expect("whole");
    let from = usize::try_from(footer.table_offset).expect("short");
    Table::decode(&footer, &bytes[from..from + footer.table_len()]).expect("whole")
}

/// What an earlier version did when the reads of a disk failed for a moment: everything in the quarantine, with a record
/// that calls all of it lost.
fn give_everything_up(disk: &MemoryDisk) {
    disk.make_folder("quarantine").expect("made");
    for path in packs(disk) {
        let name =
            path.rsplit('/').next().and_then(|name| name.strip_suffix(".pack")).expect("a pack").to_owned();
        let pieces = table_of(disk, &path).chunks;
        let file = LostFile { source: "laptop/docs".into(), snapshot: 5, path: "/".into(), piece: pieces[0] };
        let record = care::encode(&Losses { files: vec![file], pieces });
        let sidecar = path.replace(".pack", ".parity");
        disk.publish(&path, &format!("quarantine/{name}.pack")).expect("moved");
        disk.publish(&sidecar, &format!("quarantine/{name}.parity")).expect("moved");
        let path = format!("quarantine/{name}.lost");
        disk.create(&path).and_then(|mut file| file.append(&record)).expect("written");
    }
    disk.write_back();
}

/// A disk that an earlier version left with all its packs in the quarantine and called lost heals by itself at the start.
#[test]
fn what_an_earlier_version_gave_up_comes_back_at_the_start() {
    for disks in [vec![MemoryDisk::new()], vec![MemoryDisk::new(), MemoryDisk::new()]] {
        let kept = lived(&disks);
        disks.iter().for_each(give_everything_up);
        let vault = open(&disks);
        for record in vault.ledger().snapshots("laptop/docs") {
            assert!(restore(&vault, record.snapshot.root).is_ok_and(|found| found == kept[&record.sequence]));
        }
        assert_eq!((vault.lost_files(), vault.damaged_chunks()), (vec![], 0));
        vault.write_parity(u64::MAX).expect("parity");
        check_all_is_well(&vault, &kept, "it was only set aside");
        drop(vault);
        for disk in &disks {
            check_all_is_well(&open(&[disk.after_power_cut(0)]), &kept, "each disk alone, after a power cut");
        }
    }
}

/// The power may go at each operation while that happens.
#[test]
fn pulling_the_plug_while_packs_come_back_loses_nothing() {
    let before = MemoryDisk::new();
    let kept = lived(std::slice::from_ref(&before));
    give_everything_up(&before);
    let counting = FaultyDisk::new(before.after_clean_stop(), None);
    plain::open(vec![Arc::new(counting.clone())]).expect("opens");
    for at in 0..counting.operations() {
        let cut = Planned { on: On::Changes, when: When::At(at), fault: Fault::PowerCut };
        let disk = FaultyDisk::new(before.after_clean_stop(), Schedule::new(0, [cut]));
        let _ = plain::open(vec![Arc::new(disk.clone())]);
        for seed in 0..3 {
            let vault = open(&[disk.below().after_power_cut(seed * 31 + at)]);
            vault.write_parity(u64::MAX).expect("parity");
            check_all_is_well(&vault, &kept, &format!("power cut at {at}, seed {seed}"));
        }
    }
}

/// One block of a pack in the quarantine is damaged: whatever lies beside it is used, and only what was in it is lost.
#[test]
fn whole_blocks_in_the_quarantine_are_used() {
    let disk = MemoryDisk::new();
    let kept = lived(std::slice::from_ref(&disk));
    let (pack, _) = find(&disk, ".pack");
    let table = table_of(&disk, &pack);
    // A piece of the file that all backups have. Each chunk is a block of its own here.
    let wanted = Hash::of(&day(1)["always.txt"][..700]);
    let number = table.chunks.iter().position(|chunk| *chunk == wanted).expect("it came with the first");
    let hurt = usize::try_from(table.blocks[number].offset).expect("short") + 100;
    assert!(disk.flip(&pack, hurt, 3));
    disk.remove(&pack.replace(".pack", ".parity")).expect("removed");
    disk.create(&pack.replace(".pack", ".parity")).expect("an empty one is moved with it");
    give_everything_up(&disk);
    let vault = open(std::slice::from_ref(&disk));
    scrub(&vault);
    let lost: Vec<_> = vault.lost_files().into_iter().map(|file| (file.path, file.snapshot)).collect();
    let newest = *kept.keys().max().expect("four");
    assert_eq!(lost, [("always.txt".to_owned(), newest)], "one version, in all backups");
    let damaged: Vec<_> = vault.damaged_snapshots().into_iter().map(|one| one.snapshot).collect();
    assert!(damaged.iter().eq(kept.keys()), "each of them needs it: {damaged:?}");
    let all = |one: &DamagedSnapshot| one.is_lost && one.source == "laptop/docs";
    assert!(vault.damaged_snapshots().iter().all(all));
}

/// A chunk is not lost as long as any pack on the disk has it, wherever that lies and whatever it is called: `larder rescue`
/// would find it.
#[test]
fn nothing_is_lost_as_long_as_a_stray_pack_has_it() {
    let places = [
        "quarantine/NAME.pack",
        "quarantine/NAME.pack.2",
        "quarantine/7",
        "packs/00/NAME.pack",
        "old/NAME.pack",
    ];
    for place in places {
        let disk = MemoryDisk::new();
        let kept = lived(std::slice::from_ref(&disk));
        for path in packs(&disk) {
            // A name that no pack of the vault has.
            let other = Hash::of(path.as_bytes());
            let to = place.replace("NAME", &other.to_string()).replace('7', &other.short());
            crate::names::put_file(&disk, &to, &crate::names::bytes_of(&disk, &path));
            disk.remove(&path).expect("removed");
            disk.remove(&path.replace(".pack", ".parity")).expect("removed");
        }
        let vault = open(std::slice::from_ref(&disk));
        assert_eq!(vault.look_for_loss(&|| true).expect("looked"), None, "{place}: blocks came back");
        assert_eq!(vault.look_for_loss(&|| true).expect("looked"), Some(0), "{place}");
        vault.write_parity(u64::MAX).expect("parity");
        let records = vault.ledger().snapshots("laptop/docs").to_vec();
        for record in records {
            let found = restore(&vault, record.snapshot.root);
            assert!(found.is_ok_and(|found| found == kept[&record.sequence]), "{place}: {}", record.sequence);
        }
        assert_eq!((vault.lost_files(), vault.damaged_snapshots()), (vec![], vec![]), "{place}");
    }
}

/// The record of a pack that is back must not explain its absence later.
#[test]
fn a_pack_that_came_back_and_vanishes_is_missed() {
    let disk = MemoryDisk::new();
    lived(std::slice::from_ref(&disk));
    give_everything_up(&disk);
    let index = tempfile::tempdir().expect("a temporary folder");
    let vault = plain::open_indexed(vec![Arc::new(disk.clone())], index.path()).expect("opens");
    vault.flush_index();
    drop(vault);
    disk.remove(&packs(&disk).pop_first().expect("there are four")).expect("it is there");
    let vault = plain::open_indexed(vec![Arc::new(disk)], index.path()).expect("opens");
    assert!(vault.unreadable_packs() > 0, "the owner hears of it");
    assert!(vault.scrubs()[0].is_alarmed, "and the disk is read");
}
