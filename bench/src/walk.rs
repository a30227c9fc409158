//! A push of many small files, without the network: to an appliance made of a vault in memory.

use crate::{Amount, HotPath, Work, index, text};
use larder_client::{ClientError, Past, PushOptions, Remote, TransferProgress, push};
use larder_format::{
    ChunkId,
    ledger::{Snapshot, WallStamp},
    wire::{Commit, Identity, Neighbours, PushStart, PushWelcome, Receipt, Received, SnapshotInfo},
};
use larder_store::{Scope, StoreError, Vault, disk::MemoryDisk};
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

const FOLDERS: u64 = 100;
const FILES: u64 = 3000;

/// No file changed since the last push.
pub(crate) const UNCHANGED: HotPath =
    HotPath { name: "push-unchanged", amount: Amount::Items(FILES), prepare: unchanged };
/// Every file is new.
pub(crate) const FIRST: HotPath =
    HotPath { name: "push-first", amount: Amount::Items(FILES), prepare: first };

/// A vault asked directly.
struct InMemory(Vault);

fn trouble(error: &StoreError) -> ClientError {
    ClientError::Damaged(error.to_string())
}

impl Remote for InMemory {
    fn identity(&self) -> Result<Identity, ClientError> {
        Err(ClientError::Usage("a benchmark has no identity".to_owned()))
    }

    fn start(&self, _: &str, _: &PushStart) -> Result<PushWelcome, ClientError> {
        Err(ClientError::Usage("a benchmark has no sources".to_owned()))
    }

    fn missing(&self, names: &[ChunkId]) -> Result<Vec<ChunkId>, ClientError> {
        Ok(self.0.by(&Scope::appliance()).missing(names))
    }

    fn upload(&self, blocks: &[&[u8]]) -> Result<Received, ClientError> {
        self.0.by(&Scope::appliance()).receive(&blocks.concat()).map_err(|error| trouble(&error))
    }

    fn commit(&self, source: &str, commit: &Commit) -> Result<Receipt, ClientError> {
        let push = u128::from_str_radix(&commit.push, 16).expect("hex digits").to_be_bytes();
        let Commit { root, totals, skipped, device_time_ms, .. } = *commit;
        let snapshot = Snapshot { skipped, device_time_ms, ..Snapshot::new(source, push, root, totals) };
        let stamp = WallStamp { time_ms: 0, trusted: true, powered_on_s: 0 };
        let done = self.0.by(&Scope::appliance()).commit(snapshot, stamp).map_err(|error| trouble(&error))?;
        Ok(Receipt {
            source: source.to_owned(),
            snapshot: done.record.sequence,
            head: done.head,
            disks: done.disks,
            degraded: done.degraded,
            signed: None,
        })
    }
}

impl Past for InMemory {
    fn fetch(&self, _: &[ChunkId], _: Neighbours, _: &mut dyn FnMut(&[u8])) -> Result<(), ClientError> {
        Err(ClientError::Usage("this benchmark does not read".to_owned()))
    }

    fn places(&self, _: &[ChunkId]) -> Result<Vec<u64>, ClientError> {
        Err(ClientError::Usage("this benchmark does not read".to_owned()))
    }

    fn snapshot(&self, _: &str, _: &str) -> Result<SnapshotInfo, ClientError> {
        Err(ClientError::Usage("this benchmark does not read".to_owned()))
    }
}

fn fill(folder: &Path) {
    for number in 0..FILES {
        let below = folder.join((number % FOLDERS).to_string());
        fs::create_dir_all(&below).expect("a folder");
        let len = usize::try_from(500 + number * 7 % 9000).expect("small");
        fs::write(below.join(format!("file{number}.c")), text(number, len)).expect("a file");
    }
}

/// An hour ahead, so the new files count as not racily clean and the cache may be used.
fn in_an_hour() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000)
}

fn push_to(vault: &InMemory, folder: &Path, cache: Option<&Path>) {
    let options =
        PushOptions { clock: in_an_hour, cache: cache.map(Path::to_owned), ..PushOptions::default() };
    push(vault, "bench/files", folder, &options, &TransferProgress::default()).expect("a push");
}

fn new_vault(folder: &Path) -> InMemory {
    InMemory(index::open(Arc::new(MemoryDisk::new()), folder))
}

fn unchanged() -> Work {
    let place = tempfile::tempdir().expect("a temporary folder");
    let (files, cache) = (place.path().join("files"), place.path().join("cache/source"));
    fs::create_dir_all(place.path().join("cache")).expect("a folder");
    fill(&files);
    let vault = new_vault(place.path());
    push_to(&vault, &files, Some(&cache));
    Box::new(move || push_to(&vault, &place.path().join("files"), Some(&cache)))
}

fn first() -> Work {
    let place = tempfile::tempdir().expect("a temporary folder");
    fill(&place.path().join("files"));
    Box::new(move || {
        let index = tempfile::tempdir().expect("a temporary folder");
        push_to(&new_vault(index.path()), &place.path().join("files"), None);
    })
}
