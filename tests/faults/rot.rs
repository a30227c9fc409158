//! Every bit of a small vault is flipped, one at a time.

use crate::names::bytes_of;
use crate::workload;
use harness::model::{Mark, Model};
use harness::plain::{self, Push, files, push, stamp};
use larder_format::block::{Decoder, Encoder, OpenBlock};
use larder_format::wire::Neighbours;
use larder_store::disk::{Disk, MemoryDisk};
use std::collections::HashSet;
use std::sync::Arc;

/// Some days on so many disks, and nothing that anybody is held to.
fn lived(count: usize) -> (Vec<MemoryDisk>, Model) {
    let lived = workload::days_on(count).live(None);
    let mut model = lived.model;
    lived.ids.iter().for_each(|id| model.disk_may_lack(id, Mark::START));
    (lived.disks.iter().map(|disk| disk.below().after_clean_stop()).collect(), model)
}

/// A flipped bit is always noticed, and no file ever comes back with other bytes than it had.
#[test]
fn every_flipped_byte_is_noticed_and_no_wrong_byte_is_given_back() {
    let (disks, model) = lived(1);
    let mut flips = 0u64;
    for (path, len) in disks[0].files() {
        // Words for whoever finds the disk; nothing is read from them.
        if path == "READ-ME-FIRST.txt" {
            continue;
        }
        for at in 0..len {
            let rotten = disks[0].after_power_cut(0);
            rotten.flip(
                &path,
                usize::try_from(at).expect("short files"),
                u8::try_from(at % 8).expect("below 8"),
            );
            let context = format!("{path} at {at}");
            if path.ends_with("disk.json") {
                // Who the disk is stands on it twice: one copy heals the other, at the start or when a round begins.
                let vault = plain::open(vec![Arc::new(rotten.clone())]).expect("opens");
                vault.begin_scrub(&vault.disks()[0].id, stamp(60)).expect("begun");
                assert!(
                    bytes_of(&rotten, &path) == bytes_of(&disks[0], &path),
                    "{context}: it stays damaged"
                );
                flips += 1;
                continue;
            }
            // A vault that does not open, a gap in the ledger and a complaint of the audit all are noticing.
            if let Ok(vault) = plain::open(vec![Arc::new(rotten)]) {
                let gaps = !vault.ledger().gaps.is_empty();
                model.check(&vault, |_| true).unwrap_or_else(|error| panic!("{context}: {error}"));
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
    let (disks, model) = lived(2);
    for (path, len) in disks[0].files().into_iter().filter(|(path, _)| path.starts_with("packs/")) {
        for at in (0..len).step_by(5) {
            let rotten = disks[0].after_power_cut(0);
            rotten.flip(&path, usize::try_from(at).expect("short files"), 3);
            let vault = plain::open(vec![Arc::new(rotten), Arc::new(disks[1].clone())]).expect("opens");
            let checked =
                model.check(&vault, |_| true).unwrap_or_else(|error| panic!("{path} at {at}: {error}"));
            assert_eq!(checked.excused, 0, "{path} at {at}: the good copy was not used");
        }
    }
}

/// What is sent to a device as it lies on a disk comes from a disk that has it whole.
#[test]
fn a_device_is_sent_what_is_whole() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let open = |first: &MemoryDisk| {
        let disks: Vec<Arc<dyn Disk>> = vec![Arc::new(first.clone()), Arc::new(second.after_power_cut(0))];
        plain::open(disks).expect("opens")
    };
    let vault = plain::open(vec![Arc::new(first.clone()), Arc::new(second.clone())]).expect("opens");
    let files = files([("a.txt", &[1; 650]), ("b.txt", &[2; 650])]);
    let asked = Push::ask(&vault, plain::device_of("laptop"), &files);
    // In one block, as a real client sends what is small.
    let lengths = asked.missing.iter().map(|chunk| u32::try_from(chunk.len()).expect("short")).collect();
    vault
        .by(&plain::device_of("laptop"))
        .receive(&Encoder::new().encode(&asked.missing.concat(), lengths))
        .expect("a block");
    asked.commit(&vault, "laptop/docs", 1, stamp(1)).expect("a push");
    let names = asked.names;
    assert!(names.len() > 1 && vault.by(&plain::APPLIANCE).plan_fetch(&names).len() == 1);
    drop(vault);
    for (path, len) in first.files().into_iter().filter(|(path, _)| path.ends_with(".pack")) {
        for at in (16..len).step_by(5) {
            let rotten = first.after_power_cut(0);
            rotten.flip(&path, usize::try_from(at).expect("short files"), 1);
            // All of a block, which goes out as it lies, and the part of it that each chunk is.
            let each = names.chunks(1).map(|name| (name, Neighbours::Unwanted));
            let with_neighbours = names.chunks(1).map(|name| (name, Neighbours::Welcome));
            let all = std::iter::once((&names[..], Neighbours::Unwanted));
            for (wanted, neighbours) in all.chain(each).chain(with_neighbours) {
                let vault = open(&rotten);
                let mut sent = HashSet::new();
                for step in vault.by(&plain::APPLIANCE).plan_fetch(wanted) {
                    let block =
                        vault.by(&plain::APPLIANCE).fetch(&step, neighbours).expect("the second disk has it");
                    let block =
                        OpenBlock::read(&mut Decoder::new(), &block).map(|(_, block)| block.into_owned());
                    let block = block.unwrap_or_else(|error| panic!("{path} at {at}: {error}"));
                    sent.extend(block.chunks.into_iter().map(|(name, _)| name));
                }
                assert!(wanted.iter().all(|name| sent.contains(name)), "{path} at {at}");
            }
        }
    }
}

/// Parity of a damaged pack would keep the damage for ever.
#[test]
fn a_damaged_pack_gets_no_sidecar() {
    let disk = MemoryDisk::new();
    let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
    push(&vault, "laptop/docs", &files([("a.txt", &[1; 650])]), 1, stamp(1)).expect("a push");
    let path = disk.files().into_iter().map(|(path, _)| path).find(|path| path.ends_with(".pack"));
    let path = path.expect("a pack");
    let sidecars =
        |disk: &MemoryDisk| disk.files().iter().filter(|(path, _)| path.ends_with(".parity")).count();
    let whole = disk.after_clean_stop();
    disk.flip(&path, 100, 1);
    vault.write_parity(u64::MAX).expect("there is room");
    assert_eq!(sidecars(&disk), 0);
    let vault = plain::open(vec![Arc::new(whole.clone())]).expect("opens");
    vault.write_parity(u64::MAX).expect("there is room");
    assert_eq!(sidecars(&whole), 1, "a whole one does");
}
