//! Disks that a newer Larder has used: kinds of entries and packs that this version does not know.
//!
//! Each kind says what may be done without it. Whatever it says, nothing that is there may be called damaged, missing or
//! a hole, and nothing may be let go of that the kind protects.

use crate::days::live;
use crate::names::put_file;
use harness::plain::{self, files, push, restore, stamp};
use larder_format::ledger::{Event, Newer, Without};
use larder_format::pack::{PACK_VERSION, Table, header};
use larder_format::{Hash, layout};
use larder_store::disk::{Disk, MemoryDisk};
use larder_store::prune::Lock;
use larder_store::{Access, StoreError, Vault};
use std::sync::Arc;

fn open(disk: &MemoryDisk) -> Vault {
    plain::open(vec![Arc::new(disk.clone())]).expect("opens")
}

/// A vault with some days of backups, and an entry of a kind that nobody knows yet.
fn with_newer_entry(without: Without) -> MemoryDisk {
    let disk = MemoryDisk::new();
    live(vec![Arc::new(disk.clone())]);
    let newer = Newer { since: 9, kind: 1000, without, payload: b"what nobody knows yet".to_vec() };
    open(&disk).append(stamp(50), Event::Newer(newer)).expect("this version only passes it on");
    disk
}

/// Everything that was backed up before is given back, and nothing is called lost.
fn gives_everything_back(vault: &Vault) {
    let records: Vec<_> = vault.ledger().sources.values().flatten().cloned().collect();
    assert!(records.len() > 2);
    for record in records {
        assert!(!restore(vault, record.snapshot.root).expect("it restores").is_empty());
    }
    assert_eq!((vault.damaged_chunks(), vault.unreadable_packs()), (0, 0));
    assert!(vault.ledger().gaps.is_empty());
}

#[test]
fn a_note_of_a_newer_larder_is_stepped_over() {
    let vault = open(&with_newer_entry(Without::StepOver));
    assert_eq!(vault.access(), Access::Full);
    gives_everything_back(&vault);
    push(&vault, "laptop/new", &files([("letter", b"dear all")]), 900, stamp(60)).expect("a push");
    assert_ne!(vault.plan_prune(stamp(70)).locked, Some(Lock::Newer));
}

#[test]
fn what_a_newer_larder_protects_is_kept_with_everything_else() {
    let vault = open(&with_newer_entry(Without::KeepEverything));
    assert_eq!(vault.access(), Access::KeepEverything { since: 9 });
    gives_everything_back(&vault);
    push(&vault, "laptop/new", &files([("letter", b"dear all")]), 900, stamp(60)).expect("a push");
    let plan = vault.plan_prune(stamp(70));
    assert_eq!(plan.locked, Some(Lock::Newer));
    assert!(matches!(vault.prune(&plan, stamp(70)), Err(StoreError::Waits { .. })));
    let swept = vault.sweep_step(stamp(80), 1000).expect("a step");
    assert!(swept.waits.is_some_and(|why| why.contains("newer")));
}

/// Everything that writes, tried on a vault that may only be read.
fn takes_nothing(vault: &Vault, disk: &MemoryDisk) {
    let head = vault.ledger().head;
    let packs = |disk: &MemoryDisk| disk.list(layout::PACKS).expect("a list").len();
    let before = packs(disk);
    let tried = push(vault, "laptop/new", &files([("letter", b"dear all")]), 900, stamp(60));
    assert!(matches!(tried, Err(StoreError::ReadOnly { .. })), "{tried:?}");
    assert!(matches!(vault.append(stamp(61), Event::ClockConfirmed), Err(StoreError::ReadOnly { .. })));
    assert!(vault.sweep_step(stamp(80), 1000).expect("a step").waits.is_some());
    assert!(matches!(vault.write_parity(u64::MAX), Err(StoreError::ReadOnly { .. })));
    let id = vault.disks()[0].id.clone();
    let round = vault.scrub(&id, u64::MAX, stamp(90)).expect("it reads");
    assert_eq!((round.damaged, round.lost), (0, 0));
    assert_eq!((vault.ledger().head, packs(disk)), (head, before));
}

#[test]
fn what_a_newer_larder_changed_is_only_read() {
    let disk = with_newer_entry(Without::ReadOnly);
    let vault = open(&disk);
    assert_eq!(vault.access(), Access::ReadOnly { since: 9 });
    gives_everything_back(&vault);
    takes_nothing(&vault, &disk);
}

/// A pack as a later version may write it: its own name, and a layout that this version cannot open.
fn newer_pack() -> (String, Vec<u8>) {
    let mut bytes = header(0).to_vec();
    let newer = (PACK_VERSION + 1).to_le_bytes();
    bytes[8..10].copy_from_slice(&newer);
    bytes[10..12].copy_from_slice(&newer);
    bytes.extend(Table::default().encode(bytes.len() as u64));
    (layout::pack(&Hash::of(&bytes)), bytes)
}

#[test]
fn a_pack_of_a_newer_larder_is_no_damage_and_nothing_is_written_beside_it() {
    let disk = MemoryDisk::new();
    live(vec![Arc::new(disk.clone())]);
    let (path, bytes) = newer_pack();
    put_file(&disk, &path, &bytes);
    let vault = open(&disk);
    vault.rebuild_index();
    assert_eq!(vault.access(), Access::ReadOnly { since: PACK_VERSION + 1 });
    gives_everything_back(&vault);
    takes_nothing(&vault, &disk);
    assert_eq!(vault.look_for_loss(&|| true).expect("looks"), None, "nobody knows what lies in the pack");
}

/// The same pack with a flipped bit is what it is: damage, and not a newer Larder.
#[test]
fn a_damaged_pack_does_not_look_like_a_newer_one() {
    let disk = MemoryDisk::new();
    live(vec![Arc::new(disk.clone())]);
    let (path, mut bytes) = newer_pack();
    bytes[20] ^= 1;
    put_file(&disk, &path, &bytes);
    let vault = open(&disk);
    vault.rebuild_index();
    assert_eq!((vault.access(), vault.unreadable_packs()), (Access::Full, 1));
}
