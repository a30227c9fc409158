//! What is called like something else: chunks whose names begin alike, entries of another ledger, reads that fail while
//! the index learns what there is.

use crate::workload;
use harness::plain::{self, files, push, restore, stamp};
use larder_format::Hash;
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, On, Planned, Schedule, When};
use std::collections::HashMap;
use std::sync::Arc;

/// Two contents whose names have the same first 32 bits, which is all that the index keeps of a name.
fn two_that_begin_alike() -> [Vec<u8>; 2] {
    let mut seen = HashMap::new();
    let content = |number: u64| [&number.to_le_bytes()[..], &[7; 100]].concat();
    let (first, second) = (0u64..)
        .find_map(|number| {
            let prefix: [u8; 4] = *Hash::of(&content(number)).0.first_chunk().expect("a hash is longer");
            seen.insert(prefix, number).map(|other| (other, number))
        })
        .expect("after some ten thousand");
    [content(first), content(second)]
}

/// A hint of the index is no proof: who has one of two files is asked for the other, and gets back what was pushed.
#[test]
fn files_whose_names_begin_alike_are_told_apart() {
    let [first, second] = two_that_begin_alike();
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    let pushed = |number: u128, bytes: &[u8]| {
        let files = files([("a.txt", bytes)]);
        let committed = push(&vault, "laptop/docs", &files, number, stamp(1)).expect("a push");
        (committed.record.snapshot.root, files)
    };
    let one = pushed(1, &first);
    let other = Hash::of(&second);
    assert_eq!(vault.by(&plain::APPLIANCE).missing(&[other]), [other]);
    for (root, files) in [one, pushed(2, &second)] {
        assert_eq!(restore(&vault, root).expect("whole"), files);
    }
}

/// An entry of another ledger is whole, has the right number, and is still noticed: it does not follow the one before.
#[test]
fn an_entry_of_another_ledger_is_noticed() {
    let lived = || workload::days_on(1).live(None).disks[0].below().after_clean_stop();
    let (ours, theirs) = (lived(), lived());
    assert_ne!(entry(&ours, 4), entry(&theirs, 4), "two vaults have two pasts");
    put_entry(&ours, 4, &entry(&theirs, 4));
    let vault = plain::open(vec![Arc::new(ours)]).expect("opens");
    assert_eq!(vault.ledger().gaps, [4]);
}

/// An entry that stands under another number is not taken for that one, and what it says does not count twice.
#[test]
fn an_entry_under_another_number_is_noticed() {
    let disk = workload::days_on(1).live(None).disks[0].below().after_clean_stop();
    put_entry(&disk, 4, &entry(&disk, 3));
    let vault = plain::open(vec![Arc::new(disk)]).expect("opens");
    let view = vault.ledger();
    assert_eq!(view.gaps, [4]);
    let numbers: Vec<_> = view.sources.values().flatten().map(|record| record.sequence).collect();
    assert_eq!(numbers.iter().filter(|number| **number == 3).count(), 1, "{numbers:?}");
}

fn entry_path(number: u64) -> String {
    format!("ledger/000000/{number:012}.entry")
}

pub(crate) fn entry(disk: &MemoryDisk, number: u64) -> Vec<u8> {
    bytes_of(disk, &entry_path(number))
}

pub(crate) fn bytes_of(disk: &MemoryDisk, path: &str) -> Vec<u8> {
    let file = disk.open(path).expect("it is there");
    let mut bytes = vec![0; usize::try_from(file.len().expect("its length")).expect("short")];
    file.read_at(0, &mut bytes).expect("read");
    bytes
}

/// Puts other bytes in place of an entry.
fn put_entry(disk: &MemoryDisk, number: u64, bytes: &[u8]) {
    let path = entry_path(number);
    disk.remove(&path).expect("removed");
    put_file(disk, &path, bytes);
}

/// Puts a file where none is.
pub(crate) fn put_file(disk: &MemoryDisk, path: &str, bytes: &[u8]) {
    let (folder, _) = path.rsplit_once('/').expect("a folder");
    disk.make_folder(folder).expect("made");
    disk.create(path).expect("created").append(bytes).expect("written");
}

/// A read fails while the index learns what there is: whoever restores afterwards still gets everything.
#[test]
fn what_the_index_could_not_learn_is_found_all_the_same() {
    let lived = workload::days_on(1).live(None);
    let mut opened = 0;
    for at in 0.. {
        let read = Planned { on: On::Reads, when: When::At(at), fault: Fault::Error };
        let disk = FaultyDisk::new(lived.disks[0].below().after_clean_stop(), Schedule::new(0, [read]));
        let vault = plain::open(vec![Arc::new(disk.clone())]);
        if !disk.fired() {
            break;
        }
        let Ok(vault) = vault else { continue };
        if !vault.ledger().gaps.is_empty() {
            continue;
        }
        lived.model.check(&vault, |_| true).unwrap_or_else(|error| panic!("read {at} failed: {error}"));
        opened += 1;
    }
    println!("{opened} vaults that opened although a read failed: 0 lost");
    assert!(opened > 10);
}
