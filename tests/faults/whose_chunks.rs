//! A device learns nothing of what another device keeps, and takes nothing of it: not by guessing names, not by citing them, and
//! not by way of a lost index. What it costs is wire, and never room.

use harness::plain::{self, Files, Push, device_of, files, restore, stamp};
use larder_format::block::Encoder;
use larder_format::{ChunkId, Hash};
use larder_store::disk::MemoryDisk;
use larder_store::{Committed, Result, StoreError, Vault};
use std::sync::Arc;

const LAPTOP: &str = "laptop/docs";
const PHONE: &str = "phone/docs";

fn open(disk: &MemoryDisk) -> Vault {
    plain::open(vec![Arc::new(disk.clone())]).expect("opens")
}

fn secret() -> Files {
    files([("pin.txt", b"the PIN is 4711"), ("other.txt", b"something else")])
}

fn ask(vault: &Vault, source: &str, files: &Files) -> Push {
    Push::ask(vault, device_of(source), files)
}

fn push(vault: &Vault, source: &str, files: &Files, number: u128) -> Result<Committed> {
    plain::push(vault, source, files, number, stamp(1))
}

/// How many chunks of `files` the device of `source` would have to send.
fn asked_for(vault: &Vault, source: &str, files: &Files) -> usize {
    ask(vault, source, files).missing.len()
}

fn is_missing(committed: &Result<Committed>) -> bool {
    matches!(committed, Err(StoreError::Missing { .. }))
}

/// Bytes of all packs.
fn packed(disk: &MemoryDisk) -> u64 {
    disk.files().iter().filter(|(path, _)| path.contains("pack")).map(|(_, len)| len).sum()
}

/// A thousand guesses at another device's PIN get a thousand times the same answer.
#[test]
fn a_guess_at_another_device_s_file_learns_nothing() {
    let disk = MemoryDisk::new();
    let vault = open(&disk);
    push(&vault, LAPTOP, &secret(), 1).expect("a backup");
    let guesses: Vec<ChunkId> =
        (4000..5000).map(|pin| Hash::of(format!("the PIN is {pin}").as_bytes())).collect();
    assert_eq!(vault.by(&device_of(PHONE)).missing(&guesses), guesses);
    let own = vault.by(&device_of(LAPTOP)).missing(&guesses);
    assert_eq!(own.len(), 999, "its own device need not send it again");
}

/// The same while the chunk is not in a sealed pack yet.
#[test]
fn a_guess_at_an_upload_under_way_learns_nothing() {
    let vault = open(&MemoryDisk::new());
    let begun = ask(&vault, LAPTOP, &secret());
    begun.send(&vault, |_| Ok(())).expect("sent");
    assert_eq!(asked_for(&vault, LAPTOP, &secret()), 0);
    assert_eq!(asked_for(&vault, PHONE, &secret()), begun.names.len());
    // Neither does the commit tell.
    assert!(is_missing(&ask(&vault, PHONE, &secret()).commit(&vault, PHONE, 1, stamp(1))));
    begun.commit(&vault, LAPTOP, 2, stamp(1)).expect("its own");
}

/// Who cites a chunk that another device brought would read it out of the own snapshot.
#[test]
fn a_tree_cites_only_what_its_device_brought() {
    let vault = open(&MemoryDisk::new());
    push(&vault, LAPTOP, &secret(), 1).expect("a backup");
    let theft = ask(&vault, PHONE, &secret());
    assert!(is_missing(&theft.commit(&vault, PHONE, 2, stamp(1))), "not even the root is its own");
    // All folders are its own, and the bytes of a file are not.
    let names: Vec<_> = theft.names.clone();
    for (name, bytes) in names.iter().zip(&theft.missing) {
        if !bytes.starts_with(b"the PIN") {
            let len = u32::try_from(bytes.len()).expect("short");
            assert_eq!(*name, Hash::of(bytes));
            vault.by(&device_of(PHONE)).receive(&Encoder::new().encode(bytes, vec![len])).expect("taken in");
        }
    }
    let refused = theft.commit(&vault, PHONE, 2, stamp(1));
    assert!(matches!(refused, Err(StoreError::Missing { count: 1, .. })), "{refused:?}");
    assert_eq!(vault.ledger().snapshots(PHONE).len(), 0);
    // Whoever has the file sends it, and has a backup.
    theft.send(&vault, |_| Ok(())).expect("sent");
    let made = theft.commit(&vault, PHONE, 2, stamp(1)).expect("its own by now");
    assert_eq!(restore(&vault, made.record.snapshot.root).expect("restored"), secret());
}

/// A large folder has nodes below its top node: each of them is a chunk that may be another device's.
#[test]
fn the_inner_nodes_of_a_large_folder_are_asked_about_too() {
    let vault = open(&MemoryDisk::new());
    let many: Files = (0..6000).map(|n| (format!("a rather long name of a file {n:05}"), vec![])).collect();
    push(&vault, LAPTOP, &many, 1).expect("a backup");
    let theft = ask(&vault, PHONE, &many);
    assert!(theft.names.len() > 3, "the folder has more than one node");
    // The top of the folder and the root come last.
    let top = theft.missing.len() - 2;
    for bytes in &theft.missing[top..] {
        let len = u32::try_from(bytes.len()).expect("short");
        vault.by(&device_of(PHONE)).receive(&Encoder::new().encode(bytes, vec![len])).expect("taken in");
    }
    assert!(is_missing(&theft.commit(&vault, PHONE, 2, stamp(1))));
    theft.send(&vault, |_| Ok(())).expect("sent");
    theft.commit(&vault, PHONE, 2, stamp(1)).expect("its own by now");
}

/// Two devices with the same files send them twice, and the disk keeps them once.
#[test]
fn what_another_device_has_is_sent_and_not_stored_again() {
    let disk = MemoryDisk::new();
    let vault = open(&disk);
    let film: Files = (0..40u8).map(|n| (format!("film {n}"), vec![n; 650])).collect();
    push(&vault, LAPTOP, &film, 1).expect("a backup");
    let before = packed(&disk);
    let begun = ask(&vault, PHONE, &film);
    assert_eq!(begun.missing.len(), begun.names.len(), "everything is asked for");
    begun.send(&vault, |_| Ok(())).expect("sent");
    assert_eq!(asked_for(&vault, PHONE, &film), 0);
    begun.commit(&vault, PHONE, 2, stamp(1)).expect("its own by now");
    assert_eq!(packed(&disk), before);
}

/// A block with one new chunk brings that chunk, and no second copy of the others.
#[test]
fn a_block_that_is_known_in_part_stores_only_the_rest() {
    let disk = MemoryDisk::new();
    let vault = open(&disk);
    let chunk = |seed: u32| {
        let mut bytes = vec![0; 60_000];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    };
    let block = |seeds: std::ops::Range<u32>| {
        let chunks: Vec<_> = seeds.map(chunk).collect();
        let names: Vec<ChunkId> = chunks.iter().map(|chunk| Hash::of(chunk)).collect();
        (Encoder::new().encode(&chunks.concat(), vec![60_000; chunks.len()]), names)
    };
    let ((first, _), (second, names)) = (block(0..10), block(5..11));
    let (laptop, phone) = (device_of(LAPTOP), device_of(PHONE));
    vault.by(&laptop).receive(&first).expect("taken in");
    vault.seal_all().expect("sealed");
    let before = packed(&disk);
    let received = vault.by(&phone).receive(&second).expect("taken in");
    assert_eq!(received.chunks, 6, "each was opened and named here");
    vault.seal_all().expect("sealed");
    let more = packed(&disk) - before;
    assert!((60_000..70_000).contains(&more), "{more} bytes for one new chunk");
    assert_eq!(vault.by(&phone).missing(&names), []);
    assert_eq!(vault.by(&laptop).missing(&names), [names[5]], "the new one is the phone's");
}

/// The table is disposable: a start without it asks for nothing that the device's own snapshots hold, and gives nothing of others.
#[test]
fn a_start_without_the_table_finds_it_out() {
    let disk = MemoryDisk::new();
    let vault = open(&disk);
    push(&vault, LAPTOP, &secret(), 1).expect("a backup");
    push(&vault, PHONE, &files([("a", b"of the phone")]), 2).expect("a backup");
    drop(vault);
    let vault = open(&disk);
    while vault.find_owners_step(1).expect("the disk is there") {}
    assert_eq!(asked_for(&vault, LAPTOP, &secret()), 0);
    let theft = ask(&vault, PHONE, &secret());
    assert_eq!(theft.missing.len(), theft.names.len());
    assert!(is_missing(&theft.commit(&vault, PHONE, 3, stamp(1))));
}

/// With more snapshots than an opening looks at: until all is found out, the device sends again, and nothing else happens.
#[test]
fn until_it_is_found_out_a_device_sends_again() {
    let disk = MemoryDisk::new();
    let vault = open(&disk);
    let many: Files = (0..3000).map(|n| (format!("{n:04}"), format!("file {n}").into_bytes())).collect();
    push(&vault, LAPTOP, &many, 1).expect("a backup");
    drop(vault);
    let vault = open(&disk);
    let names = ask(&vault, LAPTOP, &many).names.len();
    let before = asked_for(&vault, LAPTOP, &many);
    assert!(before > 0 && before < names, "{before} of {names} are asked for");
    // Nothing changed: what the last snapshot holds may be cited without a question.
    let again = ask(&vault, LAPTOP, &many);
    again.commit(&vault, LAPTOP, 2, stamp(2)).expect("the same tree");
    // A new source has no last snapshot.
    assert!(is_missing(&again.commit(&vault, "laptop/copy", 3, stamp(2))));
    again.send(&vault, |_| Ok(())).expect("sent again");
    again.commit(&vault, "laptop/copy", 4, stamp(2)).expect("all is there");
    while vault.find_owners_step(500).expect("the disk is there") {}
    assert_eq!(asked_for(&vault, LAPTOP, &many), 0);
}

/// The table is on the disk too: an agent that is killed knows whose chunks are whose, and what of a push had come.
#[test]
fn a_killed_agent_remembers_what_each_device_sent() {
    let disk = MemoryDisk::new();
    let folder = tempfile::tempdir().expect("a folder");
    let indexed = || plain::open_indexed(vec![Arc::new(disk.clone())], folder.path()).expect("opens");
    let vault = indexed();
    push(&vault, PHONE, &files([("a", b"of the phone")]), 1).expect("a backup");
    let begun = ask(&vault, LAPTOP, &secret());
    begun.send(&vault, Vault::seal_all).expect("sent");
    drop(vault);
    let vault = indexed();
    assert_eq!(asked_for(&vault, LAPTOP, &secret()), 0, "what was sealed is not sent again");
    assert_eq!(asked_for(&vault, PHONE, &secret()), begun.names.len());
    assert_eq!(asked_for(&vault, PHONE, &files([("a", b"of the phone")])), 0);
    begun.commit(&vault, LAPTOP, 2, stamp(1)).expect("nothing is missing");
}

/// A sweep writes packs anew: the chunks stay whose they were.
#[test]
fn a_repack_keeps_whose_chunks_are_whose() {
    let disk = MemoryDisk::new();
    let vault = open(&disk);
    let mut hours = plain::Hours::default();
    let of = |device: &str, n: u32| files([("a", format!("{device} {n}").as_bytes())]);
    for n in 0..12 {
        let now = hours.pass(&vault, 1);
        plain::push(&vault, &format!("laptop/{n}"), &of("laptop", n), u128::from(n), now).expect("a backup");
        plain::push(&vault, &format!("phone/{n}"), &of("phone", n), 100 + u128::from(n), now)
            .expect("a backup");
    }
    let mut packs = 0;
    for _ in 0..400 {
        let now = hours.pass(&vault, 1);
        packs += vault.sweep_step(now, 100).expect("a step").packs;
    }
    assert!(packs > 8, "small packs were written anew");
    for n in 0..12 {
        assert_eq!(asked_for(&vault, "laptop/x", &of("laptop", n)), 0, "laptop {n}");
        assert_eq!(asked_for(&vault, "phone/x", &of("phone", n)), 0, "phone {n}");
        let other = ask(&vault, "phone/x", &of("laptop", n));
        assert_eq!(other.missing.len(), other.names.len(), "laptop {n}");
    }
}
