//! Chapters of the ledger: entries and chapters are each made again from the other, and neither is believed where the two
//! disks, or the chain, say otherwise.

use crate::names::{bytes_of, put_file};
use harness::plain::{self, files, push, restore, stamp};
use larder_format::layout;
use larder_format::ledger::Event;
use larder_store::disk::{Disk, MemoryDisk};
use larder_store::{MemberState, Vault};
use std::sync::Arc;

/// Entries of a ledger with two full chapters.
const ENTRIES: u64 = 2100;

fn open(disks: &[&MemoryDisk]) -> Vault {
    plain::open(disks.iter().map(|disk| -> Arc<dyn Disk> { Arc::new((*disk).clone()) }).collect())
        .expect("opens")
}

/// A vault with a backup near the start of its ledger, and two chapters sealed.
fn with_chapters(disks: &[&MemoryDisk]) -> Vault {
    let vault = open(disks);
    push(&vault, "laptop/docs", &files([("letter", b"dear all")]), 1, stamp(1)).expect("a push");
    while vault.ledger().head.sequence < ENTRIES {
        let seconds = vault.ledger().head.sequence + 10;
        vault.append(stamp(seconds), Event::HoldCleared { sequence: 1 }).expect("written");
    }
    while vault.seal_chapter().expect("there is room") {}
    for disk in disks {
        assert!(disk.open(&layout::chapter(1)).is_ok() && disk.open(&layout::chapter(2)).is_err());
    }
    vault
}

fn head_of(disks: &[&MemoryDisk]) -> (u64, usize, Vec<MemberState>) {
    let vault = open(disks);
    let record = vault.ledger().snapshots("laptop/docs")[0].clone();
    assert_eq!(restore(&vault, record.snapshot.root).expect("restores"), files([("letter", b"dear all")]));
    let view = vault.ledger();
    (view.head.sequence, view.gaps.len(), vault.disk_states())
}

fn remove_folder(disk: &MemoryDisk, chapter: u64) {
    let folder = layout::entry_folder(chapter);
    for item in disk.list(&folder).expect("a list") {
        disk.remove(&format!("{folder}/{}", item.name)).expect("removed");
    }
}

#[test]
fn a_ledger_with_chapters_reads_as_one_without() {
    let disk = MemoryDisk::new();
    let head = with_chapters(&[&disk]).ledger().head;
    let opened = open(&[&disk]);
    assert_eq!(opened.ledger().head, head);
    for chapter in [0, 1] {
        disk.remove(&layout::chapter(chapter)).expect("removed");
    }
    assert_eq!(open(&[&disk]).ledger().head, head);
}

#[test]
fn entries_that_a_single_disk_lost_come_back_out_of_a_chapter() {
    let disk = MemoryDisk::new();
    drop(with_chapters(&[&disk]));
    for sequence in [2, 1000, 1999] {
        disk.remove(&layout::entry(sequence)).expect("removed");
    }
    assert_eq!(head_of(&[&disk]), (ENTRIES, 0, vec![MemberState::Healthy]));
    let vault = open(&[&disk]);
    let id = vault.disks()[0].id.clone();
    let round = vault.scrub(&id, u64::MAX, stamp(3000)).expect("reads");
    assert_eq!((round.damaged, round.repaired, round.lost), (3, 3, 0));
    for sequence in [2, 1000, 1999] {
        assert!(disk.open(&layout::entry(sequence)).is_ok(), "{sequence} is back");
    }
}

#[test]
fn a_damaged_chapter_is_passed_by_and_sealed_again() {
    let disk = MemoryDisk::new();
    drop(with_chapters(&[&disk]));
    let path = layout::chapter(1);
    disk.remove(&path).expect("removed");
    put_file(&disk, &path, b"LRDRCHP1 and then nonsense that is no chapter at all, whatever its name says");
    assert_eq!(head_of(&[&disk]), (ENTRIES, 0, vec![MemberState::Healthy]));
    let vault = open(&[&disk]);
    let id = vault.disks()[0].id.clone();
    let round = vault.scrub(&id, u64::MAX, stamp(3000)).expect("reads");
    assert_eq!((round.damaged, round.repaired), (1, 1), "{round:?}");
    drop(vault);
    // The scrub wrote an entry of its own.
    assert_eq!(head_of(&[&disk]), (ENTRIES + 1, 0, vec![MemberState::Healthy]));
    assert!(bytes_of(&disk, &path).len() > 50_000);
}

#[test]
fn a_disk_that_joins_is_given_entries_and_seals_its_own_chapters() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    drop(with_chapters(&[&first]));
    let vault = open(&[&first, &second]);
    while vault.catch_up(u64::MAX).expect("there is room") > 0 {}
    while vault.seal_chapter().expect("there is room") {}
    drop(vault);
    assert!(second.open(&layout::chapter(1)).is_ok());
    // Joining is an entry of its own.
    assert_eq!(head_of(&[&second]), (ENTRIES + 1, 0, vec![MemberState::Healthy, MemberState::Away]));
}

#[test]
fn a_disk_without_a_folder_of_entries_lags() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    drop(with_chapters(&[&first, &second]));
    remove_folder(&second, 1);
    second.remove(&layout::chapter(1)).expect("removed");
    let vault = plain::open(vec![Arc::new(first.clone()), Arc::new(second.clone())]).expect("opens");
    // What a power cut between two disks leaves is brought at once, and this is no more than that.
    assert_eq!(vault.disk_states(), [MemberState::Healthy, MemberState::Healthy]);
    drop(vault);
    assert!(second.open(&layout::entry(1500)).is_ok(), "it was filled again");
}

/// Each of the two alone is right about itself, and what was confirmed by both is followed.
#[test]
fn disks_whose_chapters_differ_are_compared_entry_by_entry() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    drop(with_chapters(&[&first, &second]));
    // An entry that somebody put in the place of another, and a chapter made of it.
    let other = MemoryDisk::new();
    drop(with_chapters(&[&other]));
    let forged = bytes_of(&other, &layout::chapter(1));
    second.remove(&layout::chapter(1)).expect("removed");
    put_file(&second, &layout::chapter(1), &forged);
    let (head, gaps, states) = head_of(&[&first, &second]);
    assert_eq!((head, gaps), (ENTRIES, 0));
    assert!(states.iter().all(|state| *state == MemberState::Healthy), "{states:?}");
}
