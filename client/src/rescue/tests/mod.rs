//! Rescue from small disks that are made here and damaged in every way of a disk.

mod ledgers;
mod packs;

use super::*;
use crate::{
    PushOptions, Remote, RestoreOptions, Restored, Selection, platform::set_permissions, push, restore,
};
use larder_format::{
    Hash,
    block::{Decoder, OpenBlock},
    ledger::{Entry, Event, Head, Snapshot, WallStamp},
    pack::{self, FOOTER_BYTES, Table},
    wire::{Commit, Identity, Neighbours, PushStart, PushWelcome, Receipt, Received},
};
use std::{collections::BTreeMap, fs, path::Path, sync::Mutex};
use tempfile::TempDir;

/// An appliance that writes each upload as a pack, and each commit as a ledger entry.
struct Writer {
    folder: TempDir,
    head: Mutex<Head>,
}

fn unused() -> ClientError {
    ClientError::Usage("not in this test".into())
}

impl Past for Writer {
    fn fetch(&self, _: &[ChunkId], _: Neighbours, _: &mut dyn FnMut(&[u8])) -> Result<(), ClientError> {
        Err(unused())
    }

    fn places(&self, _: &[ChunkId]) -> Result<Vec<u64>, ClientError> {
        Err(unused())
    }

    fn snapshot(&self, _: &str, _: &str) -> Result<SnapshotInfo, ClientError> {
        Err(unused())
    }
}

impl Remote for Writer {
    fn identity(&self) -> Result<Identity, ClientError> {
        Err(unused())
    }

    fn start(&self, _: &str, _: &PushStart) -> Result<PushWelcome, ClientError> {
        Err(unused())
    }

    fn missing(&self, names: &[ChunkId]) -> Result<Vec<ChunkId>, ClientError> {
        Ok(names.to_vec())
    }

    fn upload(&self, blocks: &[&[u8]]) -> Result<Received, ClientError> {
        let blocks = blocks.concat();
        let (mut table, mut names) = (Table::default(), Vec::new());
        let mut bytes = pack::header(0).to_vec();
        let (mut rest, mut decoder) = (&blocks[..], Decoder::new());
        while !rest.is_empty() {
            let (header, block) = OpenBlock::read(&mut decoder, rest).unwrap();
            block.chunks.iter().for_each(|(id, _)| names.extend_from_slice(&id.0));
            table.push(bytes.len() as u64, header.block_len(), block.chunks.iter().map(|(id, _)| *id));
            bytes.extend_from_slice(&rest[..header.block_len()]);
            rest = &rest[header.block_len()..];
        }
        bytes.extend(table.encode(bytes.len() as u64));
        let name = Hash::of(&bytes).to_string();
        let folder = self.disk().join("larder/packs").join(&name[..2]);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.pack")), bytes).unwrap();
        Ok(Received { chunks: names.len() as u64 / 32, names: Hash::of(&names) })
    }

    fn commit(&self, source: &str, commit: &Commit) -> Result<Receipt, ClientError> {
        let Commit { root, totals, skipped, device_time_ms, .. } = *commit;
        let source = source.to_owned();
        let push = [7; 16];
        let snapshot =
            Snapshot { skipped, device_time_ms, ..Snapshot::new(source.clone(), push, root, totals) };
        let head = self.write(Event::Snapshot(snapshot));
        Ok(Receipt { source, snapshot: head.sequence, head, disks: vec![], degraded: vec![], signed: None })
    }
}

impl Writer {
    fn new() -> Self {
        let writer = Self { folder: tempfile::tempdir().unwrap(), head: Mutex::new(Head::EMPTY) };
        writer.write(Event::VaultCreated { vault: [1; 16] });
        writer
    }

    fn disk(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn entry(&self, number: u64) -> PathBuf {
        self.disk().join(format!("larder/ledger/000000/{number:012}.entry"))
    }

    fn write(&self, event: Event) -> Head {
        let mut head = self.head.lock().unwrap();
        let sequence = head.sequence + 1;
        let stamp = WallStamp {
            time_ms: 1_790_000_000_000 + sequence as i64 * 86_400_000,
            trusted: true,
            powered_on_s: 9,
        };
        let (bytes, hash) = Entry { sequence, previous: head.hash, stamp, event }.encode();
        fs::create_dir_all(self.entry(sequence).parent().unwrap()).unwrap();
        fs::write(self.entry(sequence), bytes).unwrap();
        *head = Head { sequence, hash };
        *head
    }

    /// Pushes two states of a source; returns the files of the second state.
    fn two_pushes(&self) -> BTreeMap<String, Vec<u8>> {
        let files = self.folder.path().join("files");
        fs::create_dir_all(files.join("deep/er")).unwrap();
        let push = || {
            let options = PushOptions { cache: None, ..PushOptions::default() };
            push(self, "laptop/docs", &files, &options, &TransferProgress::default()).unwrap();
        };
        for number in 0..20u32 {
            let seed = Hash::of(&number.to_le_bytes());
            let content = seed.0.repeat(if number % 5 == 0 { 20_000 } else { 40 });
            fs::write(files.join(format!("deep/file{number}")), content).unwrap();
        }
        fs::write(files.join("deep/er/note"), "before").unwrap();
        push();
        fs::write(files.join("deep/er/note"), "after").unwrap();
        push();
        contents(&files)
    }

    fn packs(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.disk().join("larder/packs")).unwrap();
        let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().path()).collect()
    }

    fn copy(&self, name: &str) -> PathBuf {
        let to = self.folder.path().join(name);
        for from in walk(&self.disk()) {
            let path = to.join(from.strip_prefix(self.disk()).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy(from, path).unwrap();
        }
        to
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |path: &Path| path.strip_prefix(folder).unwrap().display().to_string();
    walk(folder).into_iter().map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

fn now() -> Zoned {
    "2027-01-01T00:00:00+00:00[UTC]".parse().unwrap()
}

fn open(disks: &[PathBuf]) -> Rescue {
    let mut rescue = Rescue::open(disks, now()).unwrap();
    rescue.settle(&TransferProgress::local());
    rescue.look_through(&TransferProgress::local());
    rescue
}

fn bring(rescue: &Rescue, source: &str, when: &str) -> (Restored, BTreeMap<String, Vec<u8>>) {
    let target = tempfile::tempdir().unwrap();
    let wanted = Selection { source, when, path: b"" };
    let options = RestoreOptions::default();
    let restored = restore(rescue, &wanted, target.path(), &options, &TransferProgress::local()).unwrap();
    (restored, contents(target.path()))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}
