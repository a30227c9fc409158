//! Trees that no client of ours would make: whoever wrote them, nothing outside the target is touched.

#![allow(clippy::unwrap_used, reason = "in a test, an error is a failure and its text says which")]

mod vault;

use larder_client::{
    Existing, Remote, RestoreOptions, Restored, Selection, TransferProgress, read_file, restore,
};
use larder_format::{
    ChunkRef,
    block::Encoder,
    tree::{Entry, Kind, Node, Owner, Piece, Time, Totals},
};
use std::{collections::BTreeSet, fs, path::Path};
use tempfile::TempDir;
use vault::Vault;

struct Trap {
    folder: TempDir,
    vault: Vault,
}

impl Trap {
    /// A target beside a folder that must stay as it is.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("outside/deep")).unwrap();
        fs::write(folder.path().join("outside/precious"), b"precious").unwrap();
        fs::create_dir(folder.path().join("target")).unwrap();
        Self { folder, vault: Vault::default() }
    }

    fn keep(&self, bytes: &[u8]) -> ChunkRef {
        let block = Encoder::new().encode(bytes, vec![u32::try_from(bytes.len()).unwrap()]);
        self.vault.upload(&[&block]).unwrap();
        ChunkRef::to(bytes)
    }

    fn file(&self, name: &str, content: &[u8]) -> Entry {
        let pieces = vec![Piece::Chunk(self.keep(content))];
        entry(name, Kind::File { size: content.len() as u64, pieces })
    }

    fn folder_of(&self, name: &str, entries: Vec<Entry>) -> Entry {
        let node = self.keep(&Node::Leaf { owners: vec![owner()], entries }.encode());
        entry(name, Kind::Directory { node, totals: Totals::default() })
    }

    /// Restores a root that holds `entries`, and checks that everything outside the target is as before.
    fn spring(&self, entries: Vec<Entry>, existing: Existing) -> Restored {
        let root = self.folder_of("", entries);
        let root = self.keep(&Node::Leaf { owners: vec![owner()], entries: vec![root] }.encode());
        self.vault.plant(root, Totals::default());
        let wanted = Selection { source: "laptop/trap", when: "newest", path: b"" };
        let to = self.folder.path().join("target");
        let restored = restore(
            &self.vault,
            &wanted,
            &to,
            &RestoreOptions { existing, ..RestoreOptions::default() },
            &TransferProgress::default(),
        )
        .unwrap();
        assert_eq!(fs::read(self.folder.path().join("outside/precious")).unwrap(), b"precious");
        assert_eq!(names(&self.folder.path().join("outside")), ["deep", "precious"]);
        assert_eq!(names(&self.folder.path().join("outside/deep")), [""; 0]);
        assert_eq!(names(self.folder.path()), ["outside", "target"]);
        restored
    }
}

fn names(folder: &Path) -> Vec<String> {
    let names: BTreeSet<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.into_iter().collect()
}

fn owner() -> Owner {
    Owner { uid: 0, gid: 0, user: String::new(), group: String::new() }
}

fn entry(name: &str, kind: Kind) -> Entry {
    Entry {
        name: name.into(),
        owner: 0,
        mode: 0o755,
        modified: Time::default(),
        hard_link: 0,
        xattrs: vec![],
        kind,
    }
}

fn symlink(name: &str, target: &str) -> Entry {
    entry(name, Kind::Symlink(target.into()))
}

#[test]
fn names_that_lead_out_cost_their_folder_and_nothing_else() {
    for name in ["..", ".", "../outside/x", "/etc/x", "a/../../outside/x", "x\0y", ""] {
        let trap = Trap::new();
        let bad = trap.folder_of("bad", vec![trap.file(name, b"evil")]);
        let restored = trap.spring(vec![bad, trap.file("good", b"good")], Existing::Replace);
        assert_eq!((restored.files, restored.skipped.count), (1, 1), "{name:?}");
    }
}

#[test]
fn a_symlink_from_the_tree_is_never_walked_through() {
    // Two entries of one name cannot stand in one node, but in two nodes of one folder they can.
    for existing in [Existing::Keep, Existing::Replace] {
        let trap = Trap::new();
        let first = Node::Leaf { owners: vec![owner()], entries: vec![symlink("x", "../../outside")] };
        let evil = trap.folder_of("x", vec![trap.file("precious", b"evil"), trap.file("zz", b"evil")]);
        let second = Node::Leaf { owners: vec![owner()], entries: vec![evil] };
        let child = |last: &str, node: &Node| larder_format::tree::Child {
            last: last.into(),
            node: trap.keep(&node.encode()),
        };
        let branch = Node::Branch(vec![child("w", &first), child("x", &second)]);
        let node = trap.keep(&branch.encode());
        trap.spring(vec![entry("folder", Kind::Directory { node, totals: Totals::default() })], existing);
    }
}

#[test]
fn a_second_name_never_reaches_another_file() {
    let trap = Trap::new();
    fs::hard_link(trap.folder.path().join("outside/precious"), trap.folder.path().join("target/first"))
        .unwrap();
    let mut first = trap.file("first", b"from the tree");
    let mut second = trap.file("second", b"from the tree");
    (first.hard_link, second.hard_link) = (7, 7);
    trap.spring(vec![first.clone(), second.clone()], Existing::Keep);
    assert!(!trap.folder.path().join("target/second").exists());
    // Replacing replaces the name, not the content that another name shares.
    trap.spring(vec![first, second], Existing::Replace);
    assert_eq!(fs::read(trap.folder.path().join("target/second")).unwrap(), b"from the tree");
}

#[test]
fn a_symlink_and_a_file_in_one_hard_link_group_do_not_mix() {
    let trap = Trap::new();
    let mut link = symlink("a", "../outside/precious");
    let mut file = trap.file("b", b"evil");
    (link.hard_link, file.hard_link) = (9, 9);
    trap.spring(vec![link, file], Existing::Replace);
}

/// A file that was written to during a push has one content under one name and another under the other.
#[test]
fn names_of_one_file_with_different_content_each_keep_their_own() {
    let trap = Trap::new();
    let names = [("a", "before"), ("b", "after"), ("c", "after"), ("d", "before")];
    let entries = names.map(|(name, content)| Entry { hard_link: 5, ..trap.file(name, content.as_bytes()) });
    let restored = trap.spring(entries.to_vec(), Existing::Keep);
    assert_eq!((restored.files, restored.skipped.count), (4, 0));
    let path = |name: &str| trap.folder.path().join("target").join(name);
    for (name, content) in names {
        assert_eq!(fs::read_to_string(path(name)).unwrap(), content, "{name}");
    }
    let inode = |name: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path(name)).unwrap());
    assert_eq!((inode("a"), inode("b")), (inode("d"), inode("c")));
}

#[test]
fn a_list_that_names_itself_deeper_and_deeper_ends() {
    let trap = Trap::new();
    let mut pieces = vec![Piece::Chunk(trap.keep(b"x"))];
    for _ in 0..5000 {
        let list = trap.keep(&larder_format::tree::encode_pieces(&pieces));
        pieces = vec![Piece::More { list, bytes: 1 }];
    }
    trap.spring(vec![entry("deep", Kind::File { size: 1, pieces })], Existing::Keep);
    let mut node = trap.folder_of("d", vec![]);
    for _ in 0..3000 {
        node = trap.folder_of("d", vec![node]);
    }
    let restored = trap.spring(vec![node], Existing::Keep);
    assert_eq!(restored.skipped.count, 1);
    let folder = trap.folder;
    let removal = std::thread::Builder::new().stack_size(256 << 20).spawn(move || drop(folder)).unwrap();
    removal.join().unwrap();
}

/// A folder of a few nodes that lead to each other for ever costs that folder.
#[test]
fn branches_that_lead_deeper_and_deeper_cost_their_folder() {
    let trap = Trap::new();
    let mut node =
        trap.keep(&Node::Leaf { owners: vec![owner()], entries: vec![trap.file("f", b"x")] }.encode());
    for _ in 0..100 {
        let child = larder_format::tree::Child { last: b"f".to_vec(), node };
        node = trap.keep(&Node::Branch(vec![child]).encode());
    }
    let deep = entry("deep", Kind::Directory { node, totals: Totals::default() });
    let restored = trap.spring(vec![deep, trap.file("good", b"good")], Existing::Keep);
    assert_eq!((restored.files, restored.skipped.count, restored.damaged), (1, 1, 1));
}

/// Chunks that are longer than the tree says would fill the memory that is meant for a few of them.
#[test]
fn a_length_that_is_a_lie_costs_the_file() {
    let trap = Trap::new();
    let lie = ChunkRef { len: 1, ..trap.keep(&[7; 1 << 20]) };
    let file = entry("lie", Kind::File { size: 1, pieces: vec![Piece::Chunk(lie)] });
    trap.spring(vec![file], Existing::Keep);
    let wanted = Selection { source: "laptop/trap", when: "newest", path: b"lie" };
    let mut out = Vec::new();
    let read = read_file(&trap.vault, &wanted, &mut out, &TransferProgress::default());
    assert_eq!((read.unwrap_err().exit_code(), out.len()), (6, 0));
}
