//! Trees that were made to take the memory of whoever restores them.
//!
//! Alone in a program: the peak of the whole process counts.

#![allow(clippy::unwrap_used, reason = "in a test, an error is a failure and its text says which")]

mod vault;

use larder_client::{Remote, RestoreOptions, Selection, TransferProgress, restore};
use larder_format::{
    ChunkRef,
    block::Encoder,
    tree::{Entry, Kind, Node, Owner, Piece, Time, Totals},
};
use std::fs;
use vault::Vault;

/// Far above what the restore of any tree takes, far below what these trees took once.
const BYTES_MAX: u64 = 256 << 20;
const LEVELS: usize = 12;
const FOLDERS: usize = 300;
const FILES: usize = 2500;

fn keep(vault: &Vault, bytes: &[u8]) -> ChunkRef {
    let block = Encoder::new().encode(bytes, vec![u32::try_from(bytes.len()).unwrap()]);
    vault.upload(&[&block]).unwrap();
    ChunkRef::to(bytes)
}

/// A node whose entries all belong to an owner with a name of so many bytes. The node holds the name once.
fn node(vault: &Vault, name_bytes: usize, entries: impl Iterator<Item = (String, Kind)>) -> ChunkRef {
    let owner = Owner { uid: 0, gid: 0, user: "u".repeat(name_bytes), group: String::new() };
    let modified = Time::default();
    let entry = |(name, kind): (String, Kind)| Entry {
        name: name.into(),
        owner: 0,
        mode: 0o755,
        modified,
        hard_link: 0,
        xattrs: vec![],
        kind,
    };
    keep(vault, &Node::Leaf { owners: vec![owner], entries: entries.map(entry).collect() }.encode())
}

fn directory(node: ChunkRef) -> Kind {
    Kind::Directory { node, totals: Totals::default() }
}

/// A line of `/proc/self/status`, in bytes.
fn status(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn no_tree_takes_the_memory_of_who_restores_it() {
    let vault = Vault::default();
    let empty = node(&vault, 1, std::iter::empty());
    let mut deep = empty;
    for _ in 0..LEVELS {
        let below = |number: usize| directory(if number == 0 { deep } else { empty });
        deep = node(&vault, 150_000, (0..FOLDERS).map(|number| (format!("{number:03}"), below(number))));
    }
    let chunk = keep(&vault, b"x");
    let file = || Kind::File { size: 1, pieces: vec![Piece::Chunk(chunk)] };
    let files = node(&vault, 200_000, (0..FILES).map(|number| (format!("{number:04}"), file())));
    let both = [("deep".to_owned(), directory(deep)), ("files".to_owned(), directory(files))];
    let folder = node(&vault, 1, both.into_iter());
    let root = node(&vault, 1, std::iter::once((String::new(), directory(folder))));
    vault.plant(root, Totals::default());
    let before = status("VmRSS:");
    let to = tempfile::tempdir().unwrap();
    let wanted = Selection { source: "laptop/trap", when: "newest", path: b"" };
    let options = RestoreOptions::default();
    let restored = restore(&vault, &wanted, to.path(), &options, &TransferProgress::default()).unwrap();
    let taken = status("VmHWM:") - before;
    assert_eq!((restored.files, restored.skipped.count), (FILES as u64, 0));
    assert_eq!(restored.folders, (LEVELS * FOLDERS + 3) as u64);
    assert!(taken < BYTES_MAX, "{} MiB", taken >> 20);
}
