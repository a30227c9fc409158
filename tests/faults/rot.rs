//! Every bit of a small vault is flipped, one at a time.

use crate::workload::live;
use harness::plain;
use larder_store::disk::{Disk, MemoryDisk};
use std::sync::Arc;

fn every_file(disk: &MemoryDisk, folder: &str, found: &mut Vec<(String, u64)>) {
    for item in disk.list(folder).expect("list") {
        let path = if folder.is_empty() { item.name.clone() } else { format!("{folder}/{}", item.name) };
        if item.is_folder { every_file(disk, &path, found) } else { found.push((path, item.len)) }
    }
}

/// A flipped bit is always noticed, and no file ever comes back with other bytes than it had.
#[test]
fn every_flipped_byte_is_noticed_and_no_wrong_byte_is_given_back() {
    let disk = MemoryDisk::new();
    let promises = live(vec![Arc::new(disk.clone())]);
    let mut files = Vec::new();
    every_file(&disk, "", &mut files);
    let mut flips = 0u64;
    for (path, len) in files {
        // Words for whoever finds the disk; nothing is read from them.
        if path == "READ-ME-FIRST.txt" {
            continue;
        }
        for at in 0..len {
            let rotten = disk.after_power_cut(0);
            rotten.flip(
                &path,
                usize::try_from(at).expect("short files"),
                u8::try_from(at % 8).expect("below 8"),
            );
            let context = format!("{path} at {at}");
            // A vault that does not open, a gap in the ledger and a complaint of the audit all are noticing.
            if let Ok(vault) = plain::open(vec![Arc::new(rotten)]) {
                let gaps = !vault.ledger().gaps.is_empty();
                promises.never_lie(&vault, &context);
                let audit = vault.audit().expect("an audit");
                assert!(gaps || !audit.damaged.is_empty(), "{context}: not noticed");
            }
            flips += 1;
        }
    }
    println!("{flips} flipped bytes: all noticed, 0 wrong bytes given back");
    assert!(flips > 3000);
}

/// With a second disk, a rotten first one costs nothing at all.
#[test]
fn the_second_disk_answers_for_a_rotten_first_one() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let promises = live(vec![Arc::new(first.clone()), Arc::new(second.clone())]);
    let mut files = Vec::new();
    every_file(&first, "packs", &mut files);
    for (path, len) in files {
        for at in (0..len).step_by(5) {
            let rotten = first.after_power_cut(0);
            rotten.flip(&path, usize::try_from(at).expect("short files"), 3);
            let vault = plain::open(vec![Arc::new(rotten), Arc::new(second.clone())]).expect("opens");
            assert!(promises.never_lie(&vault, &path), "{path} at {at}: the good copy was not used");
        }
    }
}
