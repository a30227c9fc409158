//! Every bit of a small vault is flipped, one at a time.

use crate::workload;
use harness::model::{Mark, Model};
use harness::plain;
use larder_store::disk::MemoryDisk;
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
