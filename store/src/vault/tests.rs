//! Room for new backups: what a push is told when there is none, and when there is no disk.

use super::*;
use crate::disk::MemoryDisk;
use larder_format::block::Encoder;

const RESERVE_BYTES: u64 = 1 << 20;

fn stamp() -> Stamp {
    Stamp { time_ms: 1_790_000_000_000, trusted: true, powered_on_s: 1 }
}

fn vault_on(disk: impl Disk + 'static) -> Vault {
    let options = Options {
        disks: vec![Arc::new(disk)],
        index: IndexPlace::Memory,
        random: Box::new(|| [7; 16]),
        reserve_bytes: RESERVE_BYTES,
        stamp: stamp(),
    };
    Vault::open(options).expect("it opens").0
}

/// One block of an upload.
fn upload() -> Vec<u8> {
    Encoder::new().encode_one(b"piece", Hash::of(b"piece")).concat()
}

/// Whoever is told that the disk is full buys a larger one, and it was only pulled.
#[test]
fn without_a_healthy_disk_a_push_is_not_told_that_it_is_full() {
    let states = [
        MemberState::Away,
        MemberState::Failed("EIO".to_owned()),
        MemberState::Suspect("EIO".to_owned()),
        MemberState::Behind(3),
    ];
    for state in states {
        let vault = vault_on(MemoryDisk::new());
        vault.members.all()[0].set_state(state.clone());
        let refused = vault.receive(&upload()).expect_err("there is no disk");
        assert!(matches!(refused, StoreError::Disk { .. }), "{state:?}: {refused:?}");
    }
    let vault = vault_on(MemoryDisk::new());
    let id = vault.disks()[0].id.clone();
    vault.detach(&id);
    let refused = vault.receive(&upload()).expect_err("it was pulled");
    assert!(matches!(refused, StoreError::Disk { .. }), "{refused:?}");
}

/// The disk is gone, and nobody has looked yet: it counts as healthy and does not answer.
#[test]
fn a_disk_that_does_not_answer_is_not_called_full() {
    let vault = vault_on(MemoryDisk::new());
    vault.members.all()[0].disk.take();
    let refused = vault.receive(&upload()).expect_err("it does not answer");
    assert!(matches!(refused, StoreError::Disk { .. }), "{refused:?}");
}

#[test]
fn a_full_disk_says_so() {
    let disk = MemoryDisk::new();
    let vault = vault_on(disk.clone());
    disk.limit(RESERVE_BYTES);
    let refused = vault.receive(&upload()).expect_err("there is no room");
    assert!(matches!(refused, StoreError::Full { missing_mib: 1.. }), "{refused:?}");
}
