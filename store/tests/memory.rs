//! What large and hostile trees cost in memory, measured at the process: its peak before and after.
//!
//! One test at a time holds the process, since a peak belongs to all threads. Blocks lie in a real folder, or the
//! simulated disk would be most of what is measured. Not here: that the answers are right (`larder-format`, `tests/faults`).

#![cfg(target_os = "linux")]

use larder_format::ChunkRef;
use larder_format::block::Encoder;
use larder_format::ledger::{Snapshot, WallStamp};
use larder_format::tree::{Entry, Kind, Made, Node, NodeBuilder, Owner, Time, Totals};
use larder_store::disk::RealDisk;
use larder_store::{IndexPlace, Options, Scope, Vault};
use std::fs;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

const MIB: u64 = 1024 * 1024;
/// Plain bytes of one block of small chunks.
const BLOCK_BYTES: usize = 256 * 1024;
/// Entries of a large folder.
const ENTRIES: u64 = 100_000;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Peak of memory in use since the last call of `forget_peak`, in bytes.
fn peak() -> u64 {
    status("VmHWM:")
}

fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("it has this field");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Has the peak begin anew at what is in use now.
fn forget_peak() -> u64 {
    fs::write("/proc/self/clear_refs", "5").expect("one's own peak can be forgotten");
    status("VmRSS:")
}

/// How much `work` raised the peak.
fn raises_peak_by<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = forget_peak();
    let done = work();
    (peak().saturating_sub(before), done)
}

struct Home {
    vault: Vault,
    waiting: Vec<Vec<u8>>,
    waiting_bytes: usize,
    encoder: Encoder,
    pushes: u8,
    _folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let options = Options {
            disks: vec![Arc::new(RealDisk::open(&folder.path().join("disk")).expect("opens"))],
            index: IndexPlace::Folder(folder.path().join("index")),
            random: Box::new(|| [7; 16]),
            reserve_bytes: 0,
            stamp: stamp(0),
        };
        let (vault, _) = Vault::open(options).expect("opens");
        Self {
            vault,
            waiting: Vec::new(),
            waiting_bytes: 0,
            encoder: Encoder::new(),
            pushes: 0,
            _folder: folder,
        }
    }

    fn keep(&mut self, chunk: Vec<u8>) -> ChunkRef {
        let named = ChunkRef::to(&chunk);
        self.waiting_bytes += chunk.len();
        self.waiting.push(chunk);
        if self.waiting_bytes >= BLOCK_BYTES || self.waiting.len() >= 1000 {
            self.send();
        }
        named
    }

    fn send(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let chunks = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let lengths = chunks.iter().map(|chunk| u32::try_from(chunk.len()).expect("short")).collect();
        self.vault
            .by(&Scope::appliance())
            .receive(&self.encoder.encode(&chunks.concat(), lengths))
            .expect("taken in");
    }

    fn folder(&mut self, entries: impl Iterator<Item = (Vec<u8>, u16, Kind)>) -> (ChunkRef, Totals) {
        let mut builder = NodeBuilder::new();
        let mut keep = |made: Made| {
            self.keep(made);
            Ok::<(), ()>(())
        };
        for (name, mode, kind) in entries {
            builder.push(entry(name, mode, kind), &owner(), &mut keep).expect("kept");
        }
        builder.finish(&mut keep).expect("kept")
    }

    /// A root over this folder, sent and ready to be committed.
    fn snapshot(&mut self, node: ChunkRef, totals: Totals) -> Snapshot {
        let (root, _) = self.folder([(Vec::new(), 0o755, Kind::Directory { node, totals })].into_iter());
        self.send();
        self.vault.seal_all().expect("sealed");
        self.pushes += 1;
        let (source, push) = ("laptop/docs".to_owned(), [self.pushes; 16]);
        Snapshot::new(source, push, root, totals)
    }

    fn commit(&self, snapshot: Snapshot) {
        self.vault.by(&Scope::appliance()).commit(snapshot, stamp(u64::from(self.pushes))).expect("complete");
    }
}

fn stamp(hours: u64) -> WallStamp {
    let time_ms = 1_780_000_000_000 + i64::try_from(hours).expect("few") * 3_600_000;
    WallStamp { time_ms, trusted: true, powered_on_s: hours * 3600 }
}

fn entry(name: Vec<u8>, mode: u16, kind: Kind) -> Entry {
    let modified = Time { seconds: 1_700_000_000, nanos: 0 };
    Entry { name, owner: 0, mode, modified, hard_link: 0, xattrs: Vec::new(), kind }
}

fn owner() -> Owner {
    Owner { uid: 1000, gid: 1000, user: "ada".to_owned(), group: "ada".to_owned() }
}

/// One length, so that the order of names is that of numbers.
fn name(number: u64) -> Vec<u8> {
    format!("IMG_{number:07}.jpg").into_bytes()
}

/// A folder in which every file was touched: all leaves are new, and each entry has an older self.
#[test]
fn a_commit_of_a_large_changed_folder_takes_little_memory() {
    let _alone = alone();
    let mut home = Home::new();
    for mode in [0o644, 0o600] {
        let empty = Kind::File { size: 0, pieces: Vec::new() };
        let files = (0..ENTRIES).map(|number| (name(number), mode, empty.clone()));
        let (node, totals) = home.folder(files);
        let snapshot = home.snapshot(node, totals);
        let (grown, ()) = raises_peak_by(|| home.commit(snapshot));
        eprintln!("{ENTRIES} files, mode {mode:o}: {:.1} MiB", grown as f64 / MIB as f64);
        assert!(grown < 8 * MIB, "{grown} bytes");
    }
}

#[test]
fn a_commit_of_many_changed_sub_folders_takes_little_memory() {
    let _alone = alone();
    let mut home = Home::new();
    for mode in [0o644, 0o600] {
        let folders: Vec<_> = (0..ENTRIES)
            .map(|number| {
                let fifo = entry(number.to_string().into_bytes(), mode, Kind::Fifo);
                home.keep(Node::Leaf { owners: vec![owner()], entries: vec![fifo] }.encode())
            })
            .collect();
        let of = Totals { files: 1, directories: 0, bytes: 0 };
        let folders = (0..).zip(folders);
        let folders =
            folders.map(|(number, node)| (name(number), 0o755, Kind::Directory { node, totals: of }));
        let (node, totals) = home.folder(folders);
        let snapshot = home.snapshot(node, totals);
        let (grown, ()) = raises_peak_by(|| home.commit(snapshot));
        eprintln!("{ENTRIES} sub-folders, mode {mode:o}: {:.1} MiB", grown as f64 / MIB as f64);
        assert!(grown < 8 * MIB, "{grown} bytes");
    }
}

/// Long names on the way to many folders: a path for each of them would be gigabytes.
#[test]
fn a_path_bomb_is_compared_in_little_memory() {
    let _alone = alone();
    let mut home = Home::new();
    let mut roots = Vec::new();
    for folders in [0, 40_000] {
        let (leaf, totals) = home.folder([(b"f".to_vec(), 0o600, Kind::Fifo)].into_iter());
        let many = (0..folders).map(|number| (name(number), 0o755, Kind::Directory { node: leaf, totals }));
        let (mut node, mut totals) = home.folder(many);
        for level in 0..64u8 {
            let long = vec![b'a' + level % 26; 1000];
            (node, totals) = home.folder([(long, 0o755, Kind::Directory { node, totals })].into_iter());
        }
        let snapshot = home.snapshot(node, totals);
        roots.push(snapshot.root);
        let (grown, ()) = raises_peak_by(|| home.commit(snapshot));
        assert!(grown < 8 * MIB, "{grown} bytes for a commit");
    }
    let mut told = 0;
    let (grown, is_over) = raises_peak_by(|| {
        let mut each = |_| {
            told += 1;
            ControlFlow::Continue(())
        };
        home.vault.by(&Scope::appliance()).diff(roots[0], roots[1], &|| true, &mut each).expect("compared")
    });
    eprintln!("a path bomb: {told} differences, {:.1} MiB", grown as f64 / MIB as f64);
    assert!(is_over && told == 80_000, "{told}");
    assert!(grown < 8 * MIB, "{grown} bytes");
}

/// A run of snapshots is told as one version, whatever else changed between them.
#[test]
fn a_file_in_an_untouched_folder_has_one_version() {
    let _alone = alone();
    let mut home = Home::new();
    let snapshots = 50u32;
    let files: Vec<_> = (0..200).map(|number| (name(number), 0o644, Kind::Fifo)).collect();
    let (mut quiet, of_quiet) = home.folder(files.into_iter());
    for level in ["c", "b", "a"] {
        let folder = (level.into(), 0o755, Kind::Directory { node: quiet, totals: of_quiet });
        quiet = home.folder([folder].into_iter()).0;
    }
    home.send();
    for snapshot in 0..snapshots {
        let busy = [(b"log".to_vec(), 0o644, Kind::CharDevice { major: snapshot, minor: 0 })];
        let (busy, of_busy) = home.folder(busy.into_iter());
        let both = [
            (b"busy".to_vec(), 0o755, Kind::Directory { node: busy, totals: of_busy }),
            (b"quiet".to_vec(), 0o755, Kind::Directory { node: quiet, totals: of_quiet }),
        ];
        let (node, totals) = home.folder(both.into_iter());
        let (root, _) = home.folder([(Vec::new(), 0o755, Kind::Directory { node, totals })].into_iter());
        home.send();
        let mut push = [0; 16];
        push[..4].copy_from_slice(&snapshot.to_le_bytes());
        let source = "laptop/docs".to_owned();
        let snapshot = Snapshot::new(source, push, root, totals);
        home.vault.by(&Scope::appliance()).commit(snapshot, stamp(1)).expect("complete");
    }
    let records = home.vault.ledger().snapshots("laptop/docs").to_vec();
    let runs =
        home.vault.by(&Scope::appliance()).versions(&records, b"quiet/a/b/c/IMG_0000007.jpg").expect("found");
    assert_eq!((runs.len(), runs[0].snapshots), (1, u64::from(snapshots)));
}
