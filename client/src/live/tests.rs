//! A folder pushed into memory by hand, and then changed in every way.

use super::*;
use crate::DefaultExcludes;
use larder_format::{
    ChunkId,
    block::Encoder,
    tree::{Entry, Made, NodeBuilder, Owner, Piece, Time, Totals},
    wire::{Neighbours, SnapshotInfo},
};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Chunks by name; how often any was asked for.
#[derive(Default)]
struct Memory {
    chunks: HashMap<ChunkId, Vec<u8>>,
    asked: AtomicU64,
}

impl Memory {
    fn keep(&mut self, bytes: &[u8]) -> ChunkRef {
        let chunk = ChunkRef::to(bytes);
        self.chunks.insert(chunk.id, bytes.to_vec());
        chunk
    }

    /// The node of a folder with these entries.
    fn folder(&mut self, entries: Vec<(Entry, Owner)>) -> (ChunkRef, Totals) {
        let (mut builder, mut made) = (NodeBuilder::new(), Vec::new());
        let mut keep = |node: Made| {
            made.push(node.to_vec());
            Ok::<_, ()>(())
        };
        for (entry, owner) in entries {
            builder.push(entry, &owner, &mut keep).unwrap();
        }
        let finished = builder.finish(&mut keep).unwrap();
        for node in &made {
            self.keep(node);
        }
        finished
    }

    /// Takes in a folder as it is.
    fn take_in(&mut self, path: &Path) -> (ChunkRef, Totals) {
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let entries =
            names.iter().map(|name| self.entry(&path.join(name), name.as_encoded_bytes())).collect();
        self.folder(entries)
    }

    fn entry(&mut self, path: &Path, name: &[u8]) -> (Entry, Owner) {
        let status = fs::symlink_metadata(path).unwrap();
        let kind = if status.is_dir() {
            let (node, totals) = self.take_in(path);
            Kind::Directory { node, totals }
        } else if status.is_symlink() {
            Kind::Symlink(fs::read_link(path).unwrap().into_os_string().into_encoded_bytes())
        } else {
            let bytes = fs::read(path).unwrap();
            let pieces = if bytes.is_empty() { Vec::new() } else { vec![Piece::Chunk(self.keep(&bytes))] };
            Kind::File { size: bytes.len() as u64, pieces }
        };
        let modified = Time { seconds: status.mtime(), nanos: u32::try_from(status.mtime_nsec()).unwrap() };
        let mode = u16::try_from(status.mode() & 0o7777).unwrap();
        let owner = Owner { uid: status.uid(), gid: status.gid(), user: String::new(), group: String::new() };
        let name = name.to_vec();
        (Entry { name, owner: 0, mode, modified, hard_link: 0, xattrs: Vec::new(), kind }, owner)
    }

    fn pushed(&mut self, path: &Path) -> ChunkRef {
        let (mut root, owner) = self.entry(path, b"");
        root.name = Vec::new();
        self.folder(vec![(root, owner)]).0
    }
}

impl Past for Memory {
    fn fetch(
        &self,
        names: &[ChunkId],
        _: Neighbours,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ClientError> {
        self.asked.fetch_add(1, Relaxed);
        for bytes in names.iter().filter_map(|name| self.chunks.get(name)) {
            each(&Encoder::new().encode(bytes, vec![u32::try_from(bytes.len()).unwrap()]));
        }
        Ok(())
    }

    fn places(&self, _: &[ChunkId]) -> Result<Vec<u64>, ClientError> {
        Err(ClientError::Usage("not in this test".into()))
    }

    fn snapshot(&self, _: &str, _: &str) -> Result<SnapshotInfo, ClientError> {
        Err(ClientError::Usage("not in this test".into()))
    }
}

struct Home {
    folder: tempfile::TempDir,
    memory: Memory,
    root: ChunkRef,
    options: PushOptions,
    look: ContentLook,
}

/// Writes a file, with an old time of change.
fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    touch(&path, 1_700_000_000);
}

fn touch(path: &Path, seconds: u64) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    fs::File::open(path).unwrap().set_times(fs::FileTimes::new().set_modified(time)).unwrap();
}

impl Home {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, content)| write(folder.path(), name, content));
        let mut memory = Memory::default();
        let root = memory.pushed(folder.path());
        Self { folder, memory, root, options: PushOptions::default(), look: ContentLook::WhereUnsure }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn compared(&self, path: &str) -> (BTreeMap<String, ChangeKind>, LiveEnd) {
        let mut found = BTreeMap::new();
        let wish =
            LiveWish { root: self.root, path: path.as_bytes(), options: &self.options, look: self.look };
        let folder = self.path(path);
        let end = compare_live::<ClientError>(
            &self.memory,
            &folder,
            &wish,
            &TransferProgress::default(),
            &mut |change| {
                assert!(found.insert(change.path, change.change).is_none(), "told once");
                Ok(())
            },
        );
        (found, end.unwrap())
    }

    fn check(&self, expect: &[(&str, ChangeKind)]) {
        let (found, end) = self.compared("");
        let expect: BTreeMap<_, _> =
            expect.iter().map(|(path, change)| ((*path).to_owned(), change.clone())).collect();
        assert_eq!(found, expect);
        assert_eq!((end.changes, end.skipped.count, end.damaged.count), (expect.len() as u64, 0, 0));
    }
}

use larder_format::wire::ChangeKind::{Added, Attributes, Content, Kind as OtherKind, Removed};

#[test]
fn each_change_is_told_once_and_what_is_the_same_is_not() {
    let mut home = Home::with(&[
        ("a/same", "same"),
        ("a/longer", "1"),
        ("a/other", "1"),
        ("a/touched", "1"),
        ("b/gone/deep/er", "1"),
        ("b/mode", "1"),
        ("c/file", "1"),
        ("d", "1"),
        ("e/was a folder", "1"),
        ("empty", ""),
    ]);
    symlink("a", home.path("link")).unwrap();
    home.root = home.memory.pushed(home.folder.path());
    home.check(&[]);

    write(home.folder.path(), "a/longer", "12");
    fs::write(home.path("a/other"), "2").unwrap();
    touch(&home.path("a/touched"), 1_700_000_001);
    touch(&home.path("empty"), 1_700_000_001);
    fs::remove_dir_all(home.path("b/gone")).unwrap();
    fs::set_permissions(home.path("b/mode"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(home.path("c"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::remove_file(home.path("d")).unwrap();
    write(home.folder.path(), "d/is a folder", "1");
    fs::remove_dir_all(home.path("e")).unwrap();
    write(home.folder.path(), "e", "1");
    write(home.folder.path(), "new/one", "1");
    fs::remove_file(home.path("link")).unwrap();
    symlink("b", home.path("link")).unwrap();
    home.check(&[
        ("a/longer", Content),
        ("a/other", Content),
        ("a/touched", Attributes),
        ("empty", Attributes),
        ("b/gone", Removed),
        ("b/gone/deep", Removed),
        ("b/gone/deep/er", Removed),
        ("b/mode", Attributes),
        ("c", Attributes),
        ("d", OtherKind),
        ("d/is a folder", Added),
        ("e", OtherKind),
        ("e/was a folder", Removed),
        ("link", Content),
        ("new", Added),
        ("new/one", Added),
    ]);
    let (found, _) = home.compared("b");
    assert_eq!(found.keys().collect::<Vec<_>>(), ["gone", "gone/deep", "gone/deep/er", "mode"]);
}

/// Somebody who sets the time back hides a change from every look at times.
#[test]
fn a_change_behind_the_same_time_and_size_is_found_by_reading() {
    let mut home = Home::with(&[("a", "before"), ("b", "same")]);
    write(home.folder.path(), "a", "after!");
    home.check(&[]);
    home.look = ContentLook::Always;
    home.check(&[("a", Content)]);
}

#[test]
fn what_a_push_leaves_out_is_neither_new_nor_deleted() {
    let mut home = Home::with(&[("a.o", "1"), ("cache/x", "1"), ("keep", "1")]);
    write(home.folder.path(), "b.o", "1");
    let tag = "Signature: 8a477f597d28d172789f06886806bc55";
    write(home.folder.path(), "cache/CACHEDIR.TAG", tag);
    home.options.exclude = vec!["*.o".to_owned()];
    home.check(&[("cache/CACHEDIR.TAG", Added)]);
    assert_eq!(home.compared("").1.left_out.by_reason().map(|(_, names)| names.count).sum::<u64>(), 3);
    fs::remove_file(home.path("a.o")).unwrap();
    home.options.default_excludes = DefaultExcludes::None;
    home.check(&[("cache/CACHEDIR.TAG", Added), ("a.o", Removed)]);
}

/// Beside a folder that cannot be read there, everything here would be new.
#[test]
fn a_damaged_folder_of_the_snapshot_is_named_and_makes_nothing_new() {
    let mut home = Home::with(&[("a/x", "1"), ("b/y", "1"), ("c/z", "1")]);
    let (lost, _) = Memory::default().take_in(&home.path("b"));
    home.memory.chunks.remove(&lost.id);
    write(home.folder.path(), "c/new", "1");
    let (found, end) = home.compared("");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [("c/new".to_owned(), Added)]);
    assert_eq!(end.damaged.named.iter().map(|named| named.path.as_str()).collect::<Vec<_>>(), ["b"]);
}

/// Neither the content of files nor more than the nodes is fetched.
#[test]
fn files_are_told_apart_without_fetching_them() {
    let home = Home::with(&[("a", "before"), ("b", "same")]);
    fs::write(home.path("a"), "after!").unwrap();
    home.check(&[("a", Content)]);
    assert!(home.memory.asked.load(Relaxed) <= 3, "{:?}", home.memory.asked);
}

#[test]
fn a_place_that_is_not_there_ends_before_anything_is_told() {
    let home = Home::with(&[("a", "1")]);
    for (path, told) in [("nothing", "no \"nothing\""), ("a", "no folder")] {
        let wish =
            LiveWish { root: home.root, path: path.as_bytes(), options: &home.options, look: home.look };
        let mut each = |_: Change| -> Result<(), ClientError> { panic!("nothing is compared") };
        let error =
            compare_live(&home.memory, home.folder.path(), &wish, &TransferProgress::default(), &mut each)
                .unwrap_err();
        assert!(matches!(&error, ClientError::NotThere { what, .. } if what.contains(told)), "{error:?}");
    }
}
