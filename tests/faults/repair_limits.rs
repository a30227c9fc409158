//! Damage beyond what can be repaired: what is whole lives on, what is lost is named, remembered and asked for; and the
//! largest burst that must heal, on a real disk.

use crate::repair::{SHARD, day, find, noise, open, pushed, quarantined, ruin, scrub};
use harness::plain::{self, Files, files, push, restore, stamp};
use larder_format::block::Encoder;
use larder_format::ledger::Snapshot;
use larder_format::tree::{Entry, Kind, Node, Owner, Piece, Time, Totals};
use larder_format::{ChunkRef, Hash};
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, On, Plan, Planned, RealDisk, Schedule, When};
use larder_store::{StoreError, Vault};
use std::fs::{self, OpenOptions};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Two small files and a folder, each in blocks of their own, in one pack with something large.
fn mixed() -> Files {
    files([
        ("a.txt", &noise(5, 600)),
        ("b/photo.jpg", &noise(6, 90_000)),
        ("b/c/song.ogg", &noise(7, 90_000)),
    ])
}

fn push_until_complete(vault: &Vault, files: &Files, number: u128) -> u64 {
    match push(vault, "laptop/docs", files, number, stamp(5)) {
        Err(StoreError::Missing { .. }) => {
            push(vault, "laptop/docs", files, number, stamp(5))
                .expect("what was missing is sent")
                .record
                .sequence
        }
        pushed => pushed.expect("a push").record.sequence,
    }
}

/// More is damaged than can be repaired: every file that is whole comes back, every other is named with its version,
/// also after a restart, and the next push from a device that still has it heals it.
#[test]
fn what_is_lost_is_named_remembered_and_brought_back() {
    let whole = MemoryDisk::new();
    let vault = open(std::slice::from_ref(&whole));
    let number = push(&vault, "laptop/docs", &mixed(), 1, stamp(1)).expect("a push").record.sequence;
    vault.write_parity(u64::MAX).expect("parity");
    drop(vault);
    let (pack, len) = find(&whole, ".pack");
    let mut lost_in_all = 0;
    for at in (0..len - 9 * SHARD).step_by(7 * 1024) {
        let disk = whole.after_power_cut(0);
        let vault = open(std::slice::from_ref(&disk));
        ruin(&disk, &pack, at, 9 * SHARD);
        let context = format!("nine shards from {at}");
        let rounds = scrub(&vault);
        assert_eq!((rounds[0].damaged, rounds[0].repaired), (1, 0), "{context}");
        assert!(rounds[0].lost > 0, "{context}");
        let named = vault.lost_files();
        check_against_names(
            &vault,
            number,
            &named.iter().map(|f| f.path.clone()).collect::<Vec<_>>(),
            &context,
        );
        assert!(named.iter().all(|file| (file.source.as_str(), file.snapshot) == ("laptop/docs", number)));
        drop(vault);
        let vault = open(std::slice::from_ref(&disk));
        assert_eq!(vault.lost_files(), named, "{context}: forgotten at the restart");
        assert!(vault.damaged_chunks() as u64 >= rounds[0].lost, "{context}");
        assert!(scrub(&vault).iter().all(|round| round.damaged == 0), "{context}: it was set aside");
        lost_in_all += named.len();

        push_until_complete(&vault, &mixed(), 2);
        let first = vault.ledger().snapshots("laptop/docs")[0].snapshot.root;
        assert!(restore(&vault, first).is_ok_and(|found| found == mixed()), "{context}: not healed");
        assert_eq!((vault.lost_files().len(), vault.damaged_chunks()), (0, 0), "{context}: healed is healed");
        drop(vault);
        let vault = open(std::slice::from_ref(&disk));
        assert_eq!((vault.lost_files().len(), vault.damaged_chunks()), (0, 0), "{context}: and stays so");
    }
    println!("{lost_in_all} lost files named, each brought back");
    assert!(lost_in_all > 20);
}

/// Every file either comes back with its own bytes or is named, itself or by a folder above it.
fn check_against_names(vault: &Vault, number: u64, named: &[String], context: &str) {
    let records = vault.ledger().snapshots("laptop/docs").to_vec();
    let record = records.iter().find(|record| record.sequence == number).expect("it is kept");
    for (path, bytes) in &mixed() {
        let is_named = named.iter().any(|name| {
            name == path || name == "/" || (name.ends_with('/') && path.starts_with(name.as_str()))
        });
        match read_file(vault, record.snapshot.root, path) {
            Ok(found) => {
                assert_eq!(&found, bytes, "{context}: {path} gives other bytes");
                assert!(!is_named, "{context}: {path} is named and whole");
            }
            Err(_) => assert!(is_named, "{context}: {path} is lost and not named; {named:?} are"),
        }
    }
}

pub(crate) fn read_file(vault: &Vault, root: ChunkRef, path: &str) -> Result<Vec<u8>, StoreError> {
    // The first entry of a root is the folder that was pushed.
    let top = vault.by(&plain::APPLIANCE).look_up(&root, b"")?;
    let Some(Kind::Directory { .. }) = top.map(|found| found.entry.kind) else { panic!("a folder") };
    let Some(found) = vault.by(&plain::APPLIANCE).look_up(&root, path.as_bytes())? else {
        panic!("{path} is not there")
    };
    let Kind::File { size, pieces } = found.entry.kind else { panic!("{path} is no file") };
    let mut bytes = Vec::new();
    vault.by(&plain::APPLIANCE).file_bytes(&pieces, 0..size, &mut |part| {
        bytes.extend_from_slice(part);
        ControlFlow::Continue(())
    })?;
    Ok(bytes)
}

/// The power may go at each operation while a pack is given up: a file is lost only if it was, and always named.
#[test]
fn pulling_the_plug_while_a_pack_is_given_up_loses_nothing_more() {
    let whole = MemoryDisk::new();
    let vault = open(std::slice::from_ref(&whole));
    let number = push(&vault, "laptop/docs", &mixed(), 1, stamp(1)).expect("a push").record.sequence;
    vault.write_parity(u64::MAX).expect("parity");
    drop(vault);
    let (pack, _) = find(&whole, ".pack");
    ruin(&whole, &pack, 40_000, 9 * SHARD);
    let counting = Arc::new(FaultyDisk::new(whole.after_power_cut(0), None));
    let vault = plain::open(vec![counting.clone()]).expect("opens");
    let opening = counting.operations();
    scrub(&vault);
    let named: Vec<_> = vault.lost_files().into_iter().map(|file| file.path).collect();
    assert_eq!(named.len(), 1, "one of the two large files");
    let operations = counting.operations() - opening;
    for at in 0..operations {
        let disk = whole.after_power_cut(0);
        let plan = Plan { at: opening + at, fault: Fault::PowerCut };
        let faulty = Arc::new(FaultyDisk::new(disk.clone(), Some(plan)));
        let vault = plain::open(vec![faulty.clone()]).expect("opens");
        let id = vault.disks()[0].id.clone();
        let _ = vault.scrub(&id, u64::MAX, stamp(2));
        assert!(faulty.fired());
        for seed in 0..4 {
            let context = format!("power cut at {at}, seed {seed}");
            let vault = open(&[disk.after_power_cut(seed * 101 + at)]);
            scrub(&vault);
            let found: Vec<_> = vault.lost_files().into_iter().map(|file| file.path).collect();
            assert_eq!(found, named, "{context}");
            check_against_names(&vault, number, &found, &context);
            push_until_complete(&vault, &mixed(), 2);
            let first = vault.ledger().snapshots("laptop/docs")[0].snapshot.root;
            assert!(restore(&vault, first).is_ok_and(|found| found == mixed()), "{context}");
        }
    }
    println!("{operations} operations while a pack is given up: nothing more is lost at any of them");
}

/// A pack and its sidecar vanish, on the only disk: everything in it is named.
#[test]
fn a_pack_that_vanished_without_a_trace_is_named_file_by_file() {
    let disk = MemoryDisk::new();
    let (vault, _) = pushed(std::slice::from_ref(&disk));
    disk.remove(&find(&disk, ".parity").0).expect("remove");
    disk.remove(&find(&disk, ".pack").0).expect("remove");
    let rounds = scrub(&vault);
    assert_eq!((rounds[0].damaged, rounds[0].repaired), (1, 0));
    let named: Vec<_> = vault.lost_files().into_iter().map(|file| file.path).collect();
    // The root itself was in there, so the whole snapshot is.
    assert_eq!(named, ["/"]);
    push_until_complete(&vault, &day(), 2);
    assert_eq!(vault.lost_files(), []);
    assert_eq!(quarantined(&disk), 1, "the record of what was lost");
}

/// A pack that was given up came again from a device; when that one is damaged, it is repaired like any other.
#[test]
fn a_pack_that_came_again_is_looked_after_like_any_other() {
    let disks = [MemoryDisk::new(), MemoryDisk::new()];
    let (vault, root) = pushed(&disks);
    for disk in &disks {
        disk.remove(&find(disk, ".parity").0).expect("remove");
        disk.remove(&find(disk, ".pack").0).expect("remove");
    }
    scrub(&vault);
    push_until_complete(&vault, &day(), 2);
    let (again, len) = find(&disks[0], ".pack");
    ruin(&disks[0], &again, len / 2, 40);
    let rounds = scrub(&vault);
    assert_eq!((rounds[0].damaged, rounds[0].repaired), (1, 1));
    assert!(restore(&vault, root).is_ok_and(|found| found == day()));
    assert_eq!(vault.audit().expect("an audit").damaged, [""; 0]);
}

/// A disk misread something once: a scrub that finds all of it whole ends the alarm.
#[test]
fn a_hiccup_is_no_damage_for_ever() {
    let disk = MemoryDisk::new();
    let (vault, root) = pushed(std::slice::from_ref(&disk));
    drop(vault);
    let mut hurt = 0;
    for at in 0.. {
        let once = Planned { on: On::Reads, when: When::At(at), fault: Fault::Error };
        let faulty = FaultyDisk::new(disk.after_clean_stop(), Schedule::new(0, [once]));
        let Ok(vault) = plain::open(vec![Arc::new(faulty.clone())]) else { continue };
        let _ = restore(&vault, root);
        if !faulty.fired() {
            break;
        }
        hurt += usize::from(vault.damaged_chunks() + vault.unreadable_packs() > 0);
        scrub(&vault);
        assert_eq!((vault.damaged_chunks(), vault.unreadable_packs()), (0, 0), "misread at {at}");
        assert!(restore(&vault, root).is_ok_and(|found| found == day()), "misread at {at}");
    }
    assert!(hurt > 3, "the test must meet damage: {hurt}");
}

/// A repair leaves half of the reserve free, for the ledger and for restores: without room beside it the damaged pack stays
/// in its place, and the next round tries again.
#[test]
fn a_repair_leaves_half_of_the_reserve_free() {
    const RESERVE_BYTES: u64 = 10 << 20;
    let disks = [MemoryDisk::new(), MemoryDisk::new()];
    let (vault, root) = pushed(&disks);
    drop(vault);
    let (pack, len) = find(&disks[0], ".pack");
    ruin(&disks[0], &pack, len / 2, 40);
    let both = disks.iter().map(|disk| Arc::new(disk.clone()) as Arc<dyn Disk>).collect();
    let vault = plain::open_with_reserve(both, RESERVE_BYTES).expect("opens");
    let used: u64 = disks[0].files().iter().map(|(_, len)| len).sum();
    disks[0].limit(used + RESERVE_BYTES / 2 + len as u64 / 2);
    let round = &scrub(&vault)[0];
    assert_eq!((round.damaged, round.repaired, round.left), (1, 0, 1));
    assert!(disks[0].open(&pack).is_ok() && quarantined(&disks[0]) == 0, "it is not set aside");
    disks[0].limit(u64::MAX);
    let round = &scrub(&vault)[0];
    assert_eq!((round.damaged, round.repaired, round.left), (1, 1, 0));
    assert!(restore(&vault, root).is_ok_and(|found| found == day()));
    assert_eq!(vault.audit().expect("an audit").damaged, [""; 0]);
}

/// A file of one MiB for each seed, each a chunk of its own, as large photos are.
pub(crate) fn push_large(vault: &Vault, seeds: Range<u64>) -> (ChunkRef, Vec<Hash>) {
    let mut encoder = Encoder::new();
    let mut send = |bytes: &[u8]| {
        let len = u32::try_from(bytes.len()).expect("short");
        vault.by(&plain::APPLIANCE).receive(&encoder.encode(bytes, vec![len])).expect("taken in");
        ChunkRef::to(bytes)
    };
    let mut push = [0; 16];
    push[..8].copy_from_slice(&seeds.start.to_le_bytes());
    let chunks: Vec<_> = seeds.map(|seed| send(&noise(seed, 1 << 20))).collect();
    let owner = Owner { uid: 0, gid: 0, user: String::new(), group: String::new() };
    let entry = |name: &[u8], kind| Entry {
        name: name.to_vec(),
        owner: 0,
        mode: 0o755,
        modified: Time::default(),
        hard_link: 0,
        xattrs: Vec::new(),
        kind,
    };
    let size = chunks.iter().map(|chunk| u64::from(chunk.len)).sum();
    let pieces = chunks.iter().copied().map(Piece::Chunk).collect();
    let file = entry(b"film.mkv", Kind::File { size, pieces });
    let folder = send(&Node::Leaf { owners: vec![owner.clone()], entries: vec![file] }.encode());
    let totals = Totals { files: 1, directories: 0, bytes: size };
    let top = entry(b"", Kind::Directory { node: folder, totals });
    let root = send(&Node::Leaf { owners: vec![owner], entries: vec![top] }.encode());
    let source = "laptop/films".to_owned();
    let snapshot = Snapshot::new(source, push, root, totals);
    vault.by(&plain::APPLIANCE).commit(snapshot, stamp(1)).expect("complete");
    (root, chunks.into_iter().map(|chunk| chunk.id).collect())
}

fn packs_in(folder: &Path) -> Vec<PathBuf> {
    let folders =
        fs::read_dir(folder.join("packs")).expect("packs").map(|entry| entry.expect("entry").path());
    let files =
        folders.flat_map(|folder| fs::read_dir(folder).expect("list")).map(|entry| entry.expect("e").path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "pack")).collect()
}

/// A burst of any length up to 4 MiB in a full pack of 64 MiB heals on a single real disk.
#[test]
fn four_mebibytes_in_a_row_heal_on_one_real_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).expect("a disk"));
    let vault = plain::open(vec![disk]).expect("opens");
    let (_, chunks) = push_large(&vault, 0..64);
    vault.write_parity(u64::MAX).expect("parity");
    let pack = packs_in(folder.path()).into_iter().max_by_key(|path| fs::metadata(path).expect("meta").len());
    let pack = pack.expect("a pack");
    let len = fs::metadata(&pack).expect("meta").len();
    for burst in [1, 4097, 1 << 20, 4 << 20] {
        for at in [0, len / 3, len - burst] {
            fs::set_permissions(&pack, fs::Permissions::from_mode(0o644)).expect("rot asks nobody");
            let file = OpenOptions::new().write(true).open(&pack).expect("open");
            file.write_all_at(&vec![0xee; usize::try_from(burst).expect("short")], at).expect("write");
            drop(file);
            let round = &scrub(&vault)[0];
            assert_eq!((round.damaged, round.repaired, round.lost), (1, 1, 0), "{burst} bytes at {at}");
        }
    }
    for chunk in chunks {
        let bytes = vault.by(&plain::APPLIANCE).read(&ChunkRef { id: chunk, len: 1 << 20 }).expect("whole");
        assert_eq!(Hash::of(&bytes), chunk);
    }
    assert_eq!(vault.audit().expect("an audit").damaged, [""; 0]);
}
