//! A key that sees some devices is given by name what these devices brought, and nothing beside; and what it may be given it
//! is given, whatever was damaged and whoever sent it again.

use crate::letting_go::packs;
use harness::plain::{self, Files, Push, device_of, files, key, push, stamp};
use larder_format::ChunkId;
use larder_format::block::{Decoder, Encoder, OpenBlock};
use larder_format::ledger::{Role, Sees};
use larder_format::wire::{NOWHERE, Neighbours};
use larder_store::disk::{Disk, MemoryDisk};
use larder_store::{Scope, Vault};
use std::collections::BTreeSet;
use std::sync::Arc;

fn open(disk: &MemoryDisk) -> Vault {
    plain::open(vec![Arc::new(disk.clone())]).expect("opens")
}

/// A key that sees its own device.
pub(crate) fn user(device: &str) -> Scope {
    key(device, Role::User, Sees::usual(Role::User))
}

pub(crate) fn of_laptop() -> Files {
    files([("pin.txt", b"the PIN is 4711"), ("long.bin", &[7; 3000]), ("more/b.txt", b"more of the laptop")])
}

pub(crate) fn of_phone() -> Files {
    files([("dcim/1.jpg", b"a picture of the phone")])
}

pub(crate) fn names(vault: &Vault, files: &Files) -> Vec<ChunkId> {
    Push::ask(vault, device_of("nobody"), files).names
}

/// Everything that comes to a key which asks for these names, neighbours with it.
pub(crate) fn given(
    vault: &Vault,
    by: &Scope,
    names: &[ChunkId],
    neighbours: Neighbours,
) -> BTreeSet<ChunkId> {
    let by = vault.by(by);
    let mut come = BTreeSet::new();
    for step in by.plan_fetch(names) {
        for block in [by.fetch(&step, neighbours), by.fetch_proven(&step)] {
            let block = block.expect("the disk is there");
            let (_, block) = OpenBlock::read(&mut Decoder::new(), &block).expect("a block");
            come.extend(block.chunks.iter().map(|(id, _)| *id));
        }
    }
    come
}

pub(crate) fn all(names: &[ChunkId]) -> BTreeSet<ChunkId> {
    names.iter().copied().collect()
}

pub(crate) fn find_owners(vault: &Vault) {
    while vault.find_owners_step(1000).expect("the disk is there") {}
}

#[test]
fn a_key_is_given_what_its_devices_brought_and_nothing_else() {
    let vault = open(&MemoryDisk::new());
    push(&vault, "laptop/docs", &of_laptop(), 1, stamp(1)).expect("a backup");
    push(&vault, "phone/dcim", &of_phone(), 2, stamp(1)).expect("a backup");
    let (laptops, phones) = (names(&vault, &of_laptop()), names(&vault, &of_phone()));
    let both = [&laptops[..], &phones[..]].concat();
    let two = Sees::Devices(vec!["laptop".to_owned()]);
    for (by, expect) in [
        (user("laptop"), &laptops),
        (user("phone"), &phones),
        (user("new"), &Vec::new()),
        (key("new", Role::User, two.clone()), &laptops),
        (key("phone", Role::Read, two), &both),
        (key("phone", Role::Read, Sees::Everything), &both),
        (key("laptop", Role::Push, Sees::Nothing), &Vec::new()),
        (device_of("new"), &both),
    ] {
        for neighbours in [Neighbours::Welcome, Neighbours::Unwanted] {
            assert_eq!(given(&vault, &by, &both, neighbours), all(expect), "{by:?}");
        }
        let placed = vault.by(&by).places(&both).into_iter().zip(&both);
        let placed: Vec<_> = placed.filter(|(place, _)| *place != NOWHERE).map(|(_, id)| *id).collect();
        assert_eq!(all(&placed), all(expect), "{by:?}");
    }
}

/// Numbers with packs and offsets in them would tell a key how much others keep.
#[test]
fn places_do_not_tell_how_much_others_keep() {
    let vault = open(&MemoryDisk::new());
    for n in 0..10u32 {
        let film = files([("film", &n.to_le_bytes())]);
        push(&vault, &format!("phone/{n}"), &film, u128::from(n), stamp(1)).expect("a backup");
    }
    push(&vault, "laptop/docs", &of_laptop(), 20, stamp(1)).expect("a backup");
    let names = names(&vault, &of_laptop());
    let everything = vault.by(&key("admin", Role::Admin, Sees::Everything)).places(&names);
    let own = vault.by(&user("laptop")).places(&names);
    let blocks: BTreeSet<_> = everything.iter().copied().collect();
    let expected: Vec<_> = everything.iter().map(|place| blocks.range(..place).count() as u64).collect();
    assert!(blocks.len() > 1 && *blocks.first().expect("one") > 10, "{blocks:?}");
    assert_eq!(own, expected, "the same order, counted from nothing");
}

/// A block of another device, of which a part is known, holds the rest as well: that part alone comes.
#[test]
fn the_rest_of_a_block_does_not_come_along() {
    let vault = open(&MemoryDisk::new());
    let chunks: Vec<_> = (0..16u8).map(|n| format!("secret {n:02}").into_bytes()).collect();
    let lengths = vec![9; chunks.len()];
    vault.by(&user("laptop")).receive(&Encoder::new().encode(&chunks.concat(), lengths)).expect("taken in");
    vault.by(&user("phone")).receive(&Encoder::new().encode(&chunks[3], vec![9])).expect("taken in");
    vault.seal_all().expect("there is room");
    let ids: Vec<_> = chunks.iter().map(|chunk| larder_format::Hash::of(chunk)).collect();
    let come = |device: &str, names: &[ChunkId]| given(&vault, &user(device), names, Neighbours::Welcome);
    assert_eq!(come("phone", &ids), all(&ids[3..4]));
    assert_eq!(come("phone", &ids[3..4]), all(&ids[3..4]));
    assert_eq!(come("laptop", &ids[3..4]), all(&ids), "its own neighbours may come");
}

/// A push whose files lie in one pack and whose folders in another; returns the pack with the files, and their names.
pub(crate) fn push_in_two_packs(vault: &Vault, disk: &MemoryDisk) -> (BTreeSet<String>, Vec<ChunkId>) {
    let files = of_laptop();
    let is_piece = |chunk: &&Vec<u8>| files.values().any(|file| file.chunks(700).any(|part| part == **chunk));
    let begun = Push::ask(vault, device_of("laptop"), &files);
    let (pieces, nodes): (Vec<_>, Vec<_>) = begun.missing.iter().partition(is_piece);
    pieces.iter().for_each(|chunk| begun.send_one(vault, chunk).expect("sent"));
    vault.seal_all().expect("there is room");
    let first = packs(disk);
    nodes.iter().for_each(|chunk| begun.send_one(vault, chunk).expect("sent"));
    begun.commit(vault, "laptop/docs", 1, stamp(1)).expect("a backup");
    (first, pieces.iter().map(|chunk| larder_format::Hash::of(chunk)).collect())
}

/// The laptop's files are lost, and the phone happens to send the same files: the laptop has its own again by that, before
/// the table is found out and after, and still nothing of the phone's.
#[test]
fn what_another_device_sends_again_is_the_first_one_s_again() {
    for order in ["the scrub before the phone", "the phone before the scrub", "a restart before both"] {
        let disk = MemoryDisk::new();
        let mut vault = open(&disk);
        let (lost, pieces) = push_in_two_packs(&vault, &disk);
        assert!(lost.len() == 1 && pieces.len() > 4, "{order}");
        lost.iter().for_each(|pack| disk.remove(pack).expect("it was there"));
        if order.starts_with("a restart") {
            drop(vault);
            vault = open(&disk);
            find_owners(&vault);
        }
        let id = vault.disks()[0].id.clone();
        let scrub = |hour| vault.scrub(&id, u64::MAX, stamp(hour)).expect("a scrub");
        if !order.starts_with("the phone") {
            // Twice: what cannot be read is tried again before it is given up.
            scrub(2);
            scrub(30);
            find_owners(&vault);
        }
        let mut phones = of_phone();
        phones.extend(of_laptop());
        let pushed = (0..4).any(|_| push(&vault, "phone/all", &phones, 2, stamp(40)).is_ok());
        assert!(pushed, "{order}");
        scrub(50);
        let come = || given(&vault, &user("laptop"), &pieces, Neighbours::Welcome);
        assert_eq!(come(), all(&pieces), "{order}: before the table is found out");
        find_owners(&vault);
        assert_eq!(come(), all(&pieces), "{order}: after the table is found out");
        let picture = [larder_format::Hash::of(b"a picture of the phone")];
        assert!(names(&vault, &of_phone()).contains(&picture[0]));
        assert_eq!(given(&vault, &user("laptop"), &picture, Neighbours::Welcome), all(&[]), "{order}");
        assert_eq!(given(&vault, &user("phone"), &picture, Neighbours::Unwanted), all(&picture), "{order}");
    }
}

/// Between the copy of a pack and the end of the old one the phone sends what is in both: it has it after the old one went.
/// So it has where the old pack cannot be read any more by then: whose its chunks are is found out from the snapshots.
#[test]
fn what_is_sent_while_packs_are_rewritten_stays_the_senders_own() {
    for is_readable in [true, false] {
        sent_while_packs_are_rewritten(is_readable);
    }
}

fn sent_while_packs_are_rewritten(is_readable: bool) {
    let disk = MemoryDisk::new();
    let vault = open(&disk);
    let mut hours = plain::Hours::default();
    let of = |n: u32| files([("a", format!("laptop {n}").as_bytes())]);
    for n in 0..12 {
        let now = hours.pass(&vault, 1);
        push(&vault, &format!("laptop/{n}"), &of(n), u128::from(n), now).expect("a backup");
    }
    let before = packs(&disk);
    let (mut swept, mut is_sent) = (0, false);
    for _ in 0..400 {
        let now = hours.pass(&vault, 1);
        swept += vault.sweep_step(now, 100).expect("a step").packs;
        if !is_sent && packs(&disk).difference(&before).next().is_some() {
            assert_eq!(swept, 0, "the old packs are still there");
            for n in 0..12 {
                push(&vault, &format!("phone/{n}"), &of(n), 100 + u128::from(n), now).expect("a backup");
            }
            is_sent = true;
            if !is_readable {
                // The table stands at the end of a pack.
                let len =
                    |path: &String| disk.files().into_iter().find(|(known, _)| known == path).map(|it| it.1);
                for path in &before {
                    let end = usize::try_from(len(path).expect("it is there")).expect("short");
                    (1..60).for_each(|at| assert!(disk.flip(path, end - at, 3)));
                }
            }
        }
    }
    assert!(is_sent && swept > 4, "small packs were written anew: {swept}");
    find_owners(&vault);
    for n in 0..12 {
        let names = names(&vault, &of(n));
        let come = given(&vault, &user("phone"), &names, Neighbours::Unwanted);
        assert_eq!(come, all(&names), "{n}, readable: {is_readable}");
    }
}
