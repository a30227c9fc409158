//! The errors of a push and a restore without room or without a disk; and the blocks in which chunks go out.

use super::*;
use crate::core::scope::Scope;
use crate::disk::MemoryDisk;
use crate::{MemberState, StoreError};
use larder_format::ChunkId;
use larder_format::ChunkRef;
use larder_format::block::{Decoder, Encoder, OpenBlock};
use larder_format::wire::{NOWHERE, Neighbours};

const SCOPE: Scope = Scope::appliance();
const RESERVE_BYTES: u64 = 1 << 20;

fn stamp() -> WallStamp {
    WallStamp { time_ms: 1_790_000_000_000, trusted: true, powered_on_s: 1 }
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

/// Copies a folder with its whole content, as a start finds the folder after the agent was killed.
#[allow(clippy::disallowed_methods, reason = "looks at sled's own files behind its back")]
fn copied(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for item in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if item.file_type().unwrap().is_dir() {
            copied(&item.path(), &to.join(item.file_name()));
        } else {
            std::fs::copy(item.path(), to.join(item.file_name())).unwrap();
        }
    }
}

/// The chunk tables of all packs were read once after the index was lost. An agent killed soon afterwards does not read the
/// tables again.
#[test]
fn what_was_read_from_the_lists_is_written_out() {
    let disk = MemoryDisk::new();
    let vault = vault_on(disk.clone());
    vault.by(&Scope::appliance()).receive(&upload()).unwrap();
    vault.seal_all().unwrap();
    drop(vault);
    let top = tempfile::tempdir().unwrap();
    let open = |index: &str| {
        let index = IndexPlace::Folder(top.path().join(index));
        let (disks, random) = (vec![Arc::new(disk.clone()) as Arc<dyn Disk>], Box::new(|| [7; 16]));
        Vault::open(Options { disks, index, random, reserve_bytes: 0, stamp: stamp() }).unwrap().0
    };
    let vault = open("index");
    assert_eq!(vault.index_pending(), 0);
    copied(&top.path().join("index"), &top.path().join("killed"));
    let place = IndexPlace::Folder(top.path().join("killed"));
    let index = crate::packs::index::Index::open(&place, &vault.core.id).unwrap();
    assert_eq!(index.packs().len(), 1);
}

/// One block of an upload.
fn upload() -> Vec<u8> {
    Encoder::new().encode_one(b"piece", Hash::of(b"piece")).concat()
}

/// An owner who reads "the disk is full" buys a larger disk, although the disk was only pulled.
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
        vault.core.members.all()[0].set_state(state.clone());
        let refused = vault.by(&SCOPE).receive(&upload()).expect_err("there is no disk");
        assert!(matches!(refused, StoreError::Disk { .. }), "{state:?}: {refused:?}");
    }
    let vault = vault_on(MemoryDisk::new());
    let id = vault.disks()[0].id.clone();
    vault.detach(&id);
    let refused = vault.by(&SCOPE).receive(&upload()).expect_err("it was pulled");
    assert!(matches!(refused, StoreError::Disk { .. }), "{refused:?}");
}

/// The disk is gone before any check: the disk counts as healthy and does not answer.
#[test]
fn a_disk_that_does_not_answer_is_not_called_full() {
    let vault = vault_on(MemoryDisk::new());
    vault.core.members.all()[0].disk.take();
    let refused = vault.by(&SCOPE).receive(&upload()).expect_err("it does not answer");
    assert!(matches!(refused, StoreError::Disk { .. }), "{refused:?}");
}

#[test]
fn a_full_disk_says_so() {
    let disk = MemoryDisk::new();
    let vault = vault_on(disk.clone());
    disk.limit(RESERVE_BYTES);
    let refused = vault.by(&SCOPE).receive(&upload()).expect_err("there is no room");
    assert!(matches!(refused, StoreError::Full { missing_mib: 1.., .. }), "{refused:?}");
}

/// Packs on an absent disk are neither called damaged nor counted as damaged after the disk's return.
#[test]
fn a_disk_that_is_gone_has_lost_nothing() {
    let disk = MemoryDisk::new();
    let vault = vault_on(disk.clone());
    vault.by(&SCOPE).receive(&upload()).expect("there is room");
    vault.seal_all().expect("there is room");
    let piece = ChunkRef::to(b"piece");
    let plan = vault.core.plan_fetch(&SCOPE, &[piece.id]);
    vault.require_readable().expect("the disk is there");
    // No check has run yet: the disk counts as healthy.
    let members = vault.core.members.all();
    let slot = &members[0].disk;
    slot.take();
    vault.require_readable().expect("nobody has read yet");
    let is_gone = |error: StoreError| assert!(matches!(error, StoreError::Disk { .. }), "{error:?}");
    is_gone(vault.core.fetch(&SCOPE, &plan[0], Neighbours::Unwanted).expect_err("it does not answer"));
    is_gone(vault.core.fetch_proven(&plan[0]).expect_err("it does not answer"));
    is_gone(vault.core.read(&piece).expect_err("it does not answer"));
    is_gone(vault.require_readable().expect_err("the next one is told at once"));
    assert_eq!(vault.core.plan_fetch(&SCOPE, &[piece.id]), []);
    slot.put(Arc::new(disk));
    vault.require_readable().expect("it is back");
    assert_eq!(vault.by(&SCOPE).missing(&[piece.id]), [], "it is not asked for again");
    assert_eq!(vault.core.read(&piece).expect("it is there"), b"piece");
    let lost = vault.core.read(&ChunkRef::to(b"a piece that no disk has")).expect_err("it is lost");
    assert!(matches!(lost, StoreError::Damaged { .. }), "{lost:?}");
}

/// As many chunks as `names`, in one block.
fn receive(vault: &Vault, names: std::ops::Range<u32>) -> Vec<ChunkId> {
    let chunks: Vec<[u8; 4]> = names.map(u32::to_le_bytes).collect();
    vault
        .by(&SCOPE)
        .receive(&Encoder::new().encode(&chunks.concat(), vec![4; chunks.len()]))
        .expect("there is room");
    chunks.iter().map(|chunk| Hash::of(chunk)).collect()
}

/// A restore fetches neighbouring chunks together, so the answer must tell which chunks share a block.
#[test]
fn places_tell_what_lies_together() {
    let vault = vault_on(MemoryDisk::new());
    let (first, second) = (receive(&vault, 0..3), receive(&vault, 3..5));
    vault.seal_all().expect("there is room");
    let names = [second[0], first[2], Hash::ZERO, first[0], second[1], first[2]];
    let [a, b, nowhere, c, d, e] = vault.core.places(&SCOPE, &names)[..] else {
        panic!("one place for each")
    };
    assert!(a == d && b == c && b == e && b < a && a < nowhere && nowhere == NOWHERE);
}

#[test]
fn neighbours_come_along_where_they_are_welcome_and_not_too_many() {
    let vault = vault_on(MemoryDisk::new());
    let (few, many) = (receive(&vault, 0..16), receive(&vault, 16..33));
    vault.seal_all().expect("there is room");
    let comes_with = |name: &ChunkId, neighbours| {
        let [step] = &vault.core.plan_fetch(&SCOPE, &[*name])[..] else { panic!("one block") };
        let block = vault.core.fetch(&SCOPE, step, neighbours).expect("it is there");
        let (_, block) = OpenBlock::read(&mut Decoder::new(), &block).expect("a block");
        assert!(block.chunk(name).is_some());
        block.chunks.len()
    };
    assert_eq!(comes_with(&few[7], Neighbours::Unwanted), 1);
    assert_eq!(comes_with(&few[7], Neighbours::Welcome), 16);
    assert_eq!(comes_with(&many[7], Neighbours::Welcome), 1);
}

/// Whoever holds receipts hears of each entry as it lies on the disks now, out of chapters and out of files, and of a removed one that
/// it is gone; memory alone would go on saying that all is well.
#[test]
fn links_are_read_from_the_disks_and_a_removed_entry_is_none() {
    let disk = MemoryDisk::new();
    let vault = vault_on(disk.clone());
    let mut hashes = vec![Hash::ZERO];
    let head = vault.ledger().head.sequence;
    hashes.extend((1..=head).map(|number| vault.entry_hash(number).expect("whole")));
    while hashes.len() <= 1010 {
        hashes.push(vault.append(stamp(), Event::ClockConfirmed).expect("there is room").hash);
    }
    assert_eq!(vault.links(1, 5000), hashes[1..]);
    disk.remove(&larder_format::layout::entry(500)).expect("removed");
    disk.remove(&larder_format::layout::entry(1005)).expect("removed");
    let mut expected = hashes.clone();
    (expected[500], expected[1005]) = (Hash::ZERO, Hash::ZERO);
    assert_eq!(vault.links(1, 5000), expected[1..]);
    assert_eq!(vault.links(998, 8), expected[998..1006], "beginning and ending in between");
    assert_eq!((vault.links(1011, 9), vault.links(u64::MAX, 9), vault.links(5, 0)), (vec![], vec![], vec![]));
    // Another entry in the place of one: whole, and not the one that was written there.
    let foreign = MemoryDisk::new();
    let other = vault_on(foreign.clone());
    while other.ledger().head.sequence < 900 {
        other.append(WallStamp { time_ms: 5, ..stamp() }, Event::ClockConfirmed).expect("there is room");
    }
    let path = larder_format::layout::entry(900);
    let bytes = crate::disk::read_whole(&foreign, &path, 4096).expect("whole");
    disk.remove(&path).expect("removed");
    crate::disk::write_whole(&disk, "open/ledger.part", &path, &bytes).expect("there is room");
    let links = vault.links(899, 3);
    assert_eq!(links, [hashes[899], Hash::ZERO, Hash::ZERO], "it does not follow, and is not followed");
}

/// A device hears what became of its own snapshots, and of nothing else.
#[test]
fn the_fate_of_a_snapshot_is_told_to_its_device_alone() {
    let vault = vault_on(MemoryDisk::new());
    let snapshot = |source: &str, push: u8| {
        let totals = larder_format::tree::Totals { files: 0, directories: 0, bytes: 0 };
        let snapshot =
            larder_format::ledger::Snapshot::new(source, [push; 16], ChunkRef::to(b"root"), totals);
        vault.append(stamp(), Event::Snapshot(snapshot)).expect("there is room")
    };
    let (kept, gone, others) = (snapshot("a/x", 1), snapshot("a/y", 2), snapshot("b/x", 3));
    let snapshots = vec![gone.sequence, others.sequence];
    let pruned = Event::Pruned { snapshots, why: "the rule".to_owned() };
    let entry = vault.append(stamp(), pruned).expect("there is room").sequence;
    let device = |device: &str| {
        let (role, key, sees) =
            (larder_format::ledger::Role::Push, Hash::ZERO, larder_format::ledger::Sees::Nothing);
        Scope::device(&larder_format::ledger::Pairing { device: device.to_owned(), role, key, sees })
    };
    let numbers = [kept.sequence, gone.sequence, others.sequence, entry, 999];
    let told = |name: &str| {
        let fates = vault.by(&device(name)).fates(&numbers);
        fates.into_iter().map(|it| (it.entry, it.is_kept, it.let_go.map(|it| it.0))).collect::<Vec<_>>()
    };
    let nothing = (None, false, None);
    let own =
        [(Some(kept.hash), true, None), (Some(gone.hash), false, Some(entry)), nothing, nothing, nothing];
    assert_eq!(told("a"), own);
    let theirs = [nothing, nothing, (Some(others.hash), false, Some(entry)), nothing, nothing];
    assert_eq!(told("b"), theirs);
}
