//! Folders: making nodes and reading them.

use crate::{Amount, HotPath, Work};
use larder_format::{
    ChunkRef, Hash,
    tree::{
        Entry, Kind, Made, NodeBuilder, Owner, Piece, Time,
        read::{OneChunk, node},
    },
};
use std::hint::black_box;

const ENTRIES: u32 = 20_000;

/// Makes the nodes of a large folder.
pub(crate) const BUILD: HotPath =
    HotPath { name: "tree-build", amount: Amount::Items(ENTRIES as u64), prepare: build };
/// Reads the nodes of a large folder.
pub(crate) const READ: HotPath =
    HotPath { name: "tree-read", amount: Amount::Items(ENTRIES as u64), prepare: read };

fn entries() -> Vec<Entry> {
    let entry = |number: u32| {
        let chunk = ChunkRef { id: Hash::of(&number.to_le_bytes()), len: 4000 + number % 1000 };
        Entry {
            name: format!("IMG_{number:06}.jpg").into(),
            owner: 0,
            mode: 0o644,
            modified: Time { seconds: 1_700_000_000 + i64::from(number), nanos: 123_456_789 },
            hard_link: 0,
            xattrs: Vec::new(),
            kind: Kind::File { size: chunk.len.into(), pieces: vec![Piece::Chunk(chunk)] },
        }
    };
    (0..ENTRIES).map(entry).collect()
}

fn nodes(entries: &[Entry]) -> Vec<Made> {
    let owner = Owner { uid: 1000, gid: 1000, user: "ada".into(), group: "ada".into() };
    let mut nodes = Vec::new();
    let mut keep = |made: Made| {
        nodes.push(made);
        Ok::<(), ()>(())
    };
    let mut builder = NodeBuilder::new();
    for entry in entries {
        builder.push(entry.clone(), &owner, &mut keep).expect("memory takes all");
    }
    builder.finish(&mut keep).expect("memory takes all");
    nodes
}

fn build() -> Work {
    let entries = entries();
    Box::new(move || drop(black_box(nodes(&entries))))
}

fn read() -> Work {
    let nodes = nodes(&entries());
    let decode = |bytes: &Made| {
        // A name would have to be hashed, and it is the reading that is measured.
        let any = ChunkRef { id: Hash::ZERO, len: 0 };
        node(&OneChunk(bytes), &any).expect("just made")
    };
    Box::new(move || nodes.iter().for_each(|node| drop(black_box(decode(node)))))
}
