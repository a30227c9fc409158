//! Trees that somebody built to keep the agent busy: each is answered at once.

use harness::plain;
use larder_format::block::Encoder;
use larder_format::ledger::Snapshot;
use larder_format::tree::{Child, Kind, Node, Piece, Totals, encode_pieces};
use larder_format::{ChunkRef, FormatError};
use larder_store::disk::MemoryDisk;
use larder_store::{StoreError, Vault};
use std::sync::Arc;

fn keep(vault: &Vault, node: &Node) -> ChunkRef {
    let bytes = node.encode();
    let len = u32::try_from(bytes.len()).expect("small");
    vault.by(&plain::APPLIANCE).receive(&Encoder::new().encode(&bytes, vec![len])).expect("taken in");
    ChunkRef::to(&bytes)
}

fn folder(entries: &[(&str, ChunkRef)], totals: Totals) -> Node {
    let kind = |(name, node): &(_, ChunkRef)| (*name, Kind::Directory { node: *node, totals });
    plain::leaf(&entries.iter().map(kind).collect::<Vec<_>>())
}

fn commit(vault: &Vault, top: ChunkRef, totals: Totals) -> Result<(), StoreError> {
    let root = keep(vault, &folder(&[("", top)], totals));
    let source = "laptop/docs".to_owned();
    let snapshot = Snapshot::new(source, [1; 16], root, totals);
    vault.by(&plain::APPLIANCE).commit(snapshot, plain::stamp(1)).map(drop)
}

/// Sixty small folders that each name the next one twice are 2^60 paths, and sixty looks.
#[test]
fn folders_that_name_each_other_are_looked_at_once() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    let mut node = keep(&vault, &Node::Leaf { owners: Vec::new(), entries: Vec::new() });
    for _ in 0..60 {
        node = keep(&vault, &folder(&[("a", node), ("b", node)], Totals::default()));
    }
    commit(&vault, node, Totals::default()).expect("it is complete");
    assert_eq!(vault.look_for_loss(&|| true).expect("looked"), Some(0));
}

/// Five lists that each name the next one 2000 times are 2000^5 pieces, and five looks.
#[test]
fn lists_that_name_each_other_are_looked_at_once() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    let keep = |bytes: &[u8]| {
        let len = u32::try_from(bytes.len()).expect("small");
        vault.by(&plain::APPLIANCE).receive(&Encoder::new().encode(bytes, vec![len])).expect("taken in");
        ChunkRef::to(bytes)
    };
    let (mut piece, mut size) = (Piece::Chunk(keep(b"x")), 1);
    for _ in 0..5 {
        size *= 2000;
        piece = Piece::More { list: keep(&encode_pieces(&[piece; 2000])), bytes: size };
    }
    let totals = Totals { files: 1, directories: 0, bytes: size };
    let file = Kind::File { size, pieces: vec![piece] };
    let top = keep(&plain::leaf(&[("endless.img", file)]).encode());
    commit(&vault, top, totals).expect("it is complete");
    assert_eq!(vault.look_for_loss(&|| true).expect("looked"), Some(0));
}

/// Branches full of one and the same node would never end.
#[test]
fn a_folder_cannot_name_one_of_its_nodes_twice() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    let mut node = keep(&vault, &Node::Leaf { owners: Vec::new(), entries: Vec::new() });
    for _ in 0..6 {
        let child = |n: u16| Child { last: n.to_be_bytes().to_vec(), node };
        node = keep(&vault, &Node::Branch((0..3000).map(child).collect()));
    }
    let refused = commit(&vault, node, Totals::default());
    assert!(matches!(refused, Err(StoreError::Refused(FormatError::Invalid { .. }))), "{refused:?}");
}

/// Whoever got hold of one computer's key adds nothing to the past of another one; the appliance itself may.
#[test]
fn a_device_commits_to_no_source_of_another_device() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    let docs = plain::files([("a.txt", b"a letter")]);
    let push = |by: larder_store::Scope, number| {
        let asked = plain::Push::ask(&vault, by, &docs);
        asked.send(&vault, |_| Ok(())).expect("there is room");
        asked.commit(&vault, "laptop/docs", number, plain::stamp(1))
    };
    let refused = push(plain::device_of("phone"), 1);
    assert!(
        matches!(&refused, Err(StoreError::NotYours { name, .. }) if name == "laptop/docs"),
        "{refused:?}"
    );
    assert!(vault.ledger().snapshots("laptop/docs").is_empty());
    assert!(push(plain::device_of("laptop"), 2).is_ok());
    assert!(push(plain::APPLIANCE.clone(), 3).is_ok());
}

/// Ids of pushes are chosen by devices: one that repeats the id of another device gets neither its receipt nor the
/// impression of a backup. The same push of the same device stays one snapshot.
#[test]
fn the_id_of_another_push_gives_no_receipt() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    let commit = |source: &str, files: &plain::Files| plain::push(&vault, source, files, 7, plain::stamp(1));
    let (first, second) = (plain::files([("a", b"one")]), plain::files([("a", b"two")]));
    let kept = commit("laptop/docs", &first).expect("a push").record.sequence;
    for (source, files) in [("phone/docs", &first), ("laptop/photos", &first), ("laptop/docs", &second)] {
        let refused = commit(source, files).map(|committed| committed.record.sequence);
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{source}: {refused:?}");
    }
    assert_eq!(commit("laptop/docs", &first).expect("again").record.sequence, kept);
    assert_eq!(vault.ledger().sources.len(), 1);
}
