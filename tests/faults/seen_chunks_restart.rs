//! Whatever the box forgets by a crash, or another box did with the disks, a key is given what its device brought. After a
//! clean stop nothing need be found out.

use crate::seen_chunks::{all, find_owners, given, names, of_laptop, of_phone, push_in_two_packs, user};
use harness::plain::{self, Files, Push, device_of, files, push, stamp};
use larder_format::wire::Neighbours;
use larder_format::{ChunkId, Hash};
use larder_store::Vault;
use larder_store::disk::{Disk, MemoryDisk};
use std::path::Path;
use std::sync::Arc;

/// With the index in a folder, so that what each device brought is written down.
fn open(disks: &[&MemoryDisk], folder: &Path) -> Vault {
    let disks = disks.iter().map(|disk| Arc::new((*disk).clone()) as Arc<dyn Disk>).collect();
    plain::open_indexed(disks, folder).expect("opens")
}

/// The device is given all of `wanted`, before the table is found out and after, and after that nothing of the phone alone.
fn check(vault: &Vault, device: &str, wanted: &[ChunkId], what: &str) {
    let come = |names: &[ChunkId]| given(vault, &user(device), names, Neighbours::Welcome);
    assert_eq!(come(wanted), all(wanted), "{what}: before the table is found out");
    find_owners(vault);
    assert_eq!(come(wanted), all(wanted), "{what}: after the table is found out");
    let picture = Hash::of(b"a picture of the phone");
    assert!(device == "phone" || come(&[picture]).is_empty(), "{what}");
}

/// More chunks than an opening looks up at once.
fn many() -> Files {
    (0..12_000).map(|n| (format!("{n:05}"), format!("file {n}").into_bytes())).collect()
}

#[test]
fn a_clean_stop_saves_the_walk_and_a_crash_does_not() {
    let (disk, folder) = (MemoryDisk::new(), tempfile::tempdir().expect("a folder"));
    let vault = open(&[&disk], folder.path());
    push(&vault, "laptop/docs", &many(), 1, stamp(1)).expect("a backup");
    push(&vault, "phone/dcim", &of_phone(), 2, stamp(1)).expect("a backup");
    find_owners(&vault);
    let laptops = names(&vault, &many());
    vault.stop();
    drop(vault);
    for after in ["a clean stop", "a crash", "a second crash"] {
        let vault = open(&[&disk], folder.path());
        let is_walk_due = vault.find_owners_step(1).expect("the disk is there");
        assert_eq!(is_walk_due, after != "a clean stop", "{after}");
        // What is in the file is known all the while.
        assert_eq!(Push::ask(&vault, device_of("laptop"), &many()).missing.len(), 0, "{after}");
        check(&vault, "laptop", &laptops, after);
    }
}

/// The laptop's pack is given up after the phone sent the same files, and the box is killed before the walk that is due.
#[test]
fn a_crash_after_a_pack_was_given_up_loses_no_bit_for_good() {
    let (disk, folder) = (MemoryDisk::new(), tempfile::tempdir().expect("a folder"));
    let vault = open(&[&disk], folder.path());
    let (lost, pieces) = push_in_two_packs(&vault, &disk);
    find_owners(&vault);
    vault.stop();
    drop(vault);
    lost.iter().for_each(|pack| disk.remove(pack).expect("it was there"));
    let vault = open(&[&disk], folder.path());
    let mut phones = of_phone();
    phones.extend(of_laptop());
    let pushed = (0..4).any(|_| push(&vault, "phone/all", &phones, 2, stamp(1)).is_ok());
    assert!(pushed, "what is lost is asked for");
    find_owners(&vault);
    let id = vault.disks()[0].id.clone();
    // Twice: what cannot be read is tried again before it is given up.
    for hour in [2, 30] {
        vault.scrub(&id, u64::MAX, stamp(hour)).expect("a scrub");
    }
    drop(vault);
    check(&open(&[&disk], folder.path()), "laptop", &pieces, "after the crash");
}

/// One of two disks was in another box, where the laptop pushed; the box is killed before the walk that is due.
#[test]
fn a_crash_after_a_disk_arrived_loses_no_bit_for_good() {
    let (stays, travels) = (MemoryDisk::named("stays"), MemoryDisk::named("travels"));
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let [here, elsewhere] = folders.each_ref().map(tempfile::TempDir::path);
    let vault = open(&[&stays, &travels], here);
    push(&vault, "phone/dcim", &of_phone(), 1, stamp(1)).expect("a backup");
    find_owners(&vault);
    vault.stop();
    drop(vault);
    let vault = open(&[&travels], elsewhere);
    push(&vault, "laptop/docs", &of_laptop(), 2, stamp(2)).expect("a backup");
    let laptops = names(&vault, &of_laptop());
    vault.stop();
    drop(vault);
    let vault = open(&[&stays], here);
    vault.attach(Arc::new(travels.clone()), stamp(3)).expect("it is one of ours");
    drop(vault);
    check(&open(&[&stays, &travels], here), "laptop", &laptops, "after the crash");
}

/// A box that stopped cleanly finds its disk with snapshots of another box: its own table does not know them.
#[test]
fn a_disk_that_was_in_another_box_meanwhile_is_walked() {
    let disk = MemoryDisk::new();
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let [here, elsewhere] = folders.each_ref().map(tempfile::TempDir::path);
    let vault = open(&[&disk], here);
    push(&vault, "phone/dcim", &of_phone(), 1, stamp(1)).expect("a backup");
    find_owners(&vault);
    vault.stop();
    drop(vault);
    let vault = open(&[&disk], elsewhere);
    push(&vault, "laptop/docs", &of_laptop(), 2, stamp(2)).expect("a backup");
    let laptops = names(&vault, &of_laptop());
    vault.stop();
    drop(vault);
    check(&open(&[&disk], here), "laptop", &laptops, "back in the first box");
}

/// What the laptop had sent before is the phone's too by its push; the box is killed between the entry and the file.
#[test]
fn a_kill_after_a_commit_loses_no_claim_for_good() {
    let (disk, folder) = (MemoryDisk::new(), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("index.owners");
    let vault = open(&[&disk], folder.path());
    push(&vault, "laptop/docs", &of_laptop(), 1, stamp(1)).expect("a backup");
    find_owners(&vault);
    vault.stop();
    drop(vault);
    let vault = open(&[&disk], folder.path());
    let before = std::fs::read(&file).expect("it is there");
    push(&vault, "phone/copy", &of_laptop(), 2, stamp(2)).expect("a backup");
    let phones = names(&vault, &of_laptop());
    drop(vault);
    let after = std::fs::read(&file).expect("it is there");
    assert!(after.len() > before.len(), "the claims are written down");
    // The file is not synced with each change: a power cut leaves any beginning of it.
    for len in (0..after.len()).step_by(7).chain([before.len()]) {
        std::fs::write(&file, if len == before.len() { &before[..] } else { &after[..len] })
            .expect("written");
        check(&open(&[&disk], folder.path()), "phone", &phones, &format!("{len} bytes of the file"));
    }
}

/// No snapshot names what was sent and not committed: its bits are in the file alone, and outlive crashes there.
#[test]
fn what_was_told_before_a_crash_is_known_after_it() {
    let (disk, folder) = (MemoryDisk::new(), tempfile::tempdir().expect("a folder"));
    let vault = open(&[&disk], folder.path());
    let begun = Push::ask(&vault, device_of("laptop/docs"), &files([("a", b"not committed")]));
    begun.send(&vault, Vault::seal_all).expect("sent");
    drop(vault);
    for after in ["a crash", "a second crash"] {
        let vault = open(&[&disk], folder.path());
        find_owners(&vault);
        let again = Push::ask(&vault, device_of("laptop/docs"), &files([("a", b"not committed")]));
        assert_eq!(again.missing.len(), 0, "{after}");
    }
}
