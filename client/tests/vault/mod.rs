//! A vault in memory, behind the same trait as a real appliance: it opens every block, computes every name itself and
//! refuses a commit of which anything is missing. Faults are planted by the tests.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its own part")]

use larder_client::{ClientError, NoAnswer, Past, Remote};
use larder_format::{
    ChunkId, ChunkRef, Hash,
    block::{BLOCK_PLAIN_BYTES_AIM, Decoder, Encoder, Header, OpenBlock},
    ledger::{Head, Role},
    tree::{
        Kind, Node, Reference, Totals,
        read::{self, OneChunk},
    },
    wire::{
        Commit, Identity, Neighbours, Problem, PushStart, PushWelcome, Receipt, Received, SnapshotInfo,
        UPLOAD_BYTES_MAX,
    },
};
use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

#[derive(Default)]
pub struct Vault {
    pub chunks: Mutex<HashMap<ChunkId, Vec<u8>>>,
    pub snapshots: Mutex<Vec<(Commit, Receipt)>>,
    pub requests: AtomicU64,
    pub uploaded_chunks: AtomicU64,
    pub uploaded_bytes: AtomicU64,
    pub largest_upload: AtomicU64,
    /// Uploads after this many fail as if the connection had broken.
    pub breaks_after: Mutex<Option<u64>>,
    /// Fetches after this many fail as if the connection had broken.
    pub fetches_until_break: Mutex<Option<u64>>,
    /// Fetches after this many are refused, as without any disk.
    pub fetches_until_no_disk: Mutex<Option<u64>>,
    /// So many commits find that the power went just before, and with it everything that was taken in.
    pub power_cuts: AtomicU64,
    /// Bytes of chunks that were fetched.
    pub fetched_bytes: AtomicU64,
    /// Chunks that come back with a flipped bit.
    pub rotten: Mutex<Vec<ChunkId>>,
}

impl Vault {
    pub fn chunk(&self, chunk: &ChunkRef) -> Vec<u8> {
        self.chunks.lock().unwrap()[&chunk.id].clone()
    }

    pub fn newest_root(&self) -> ChunkRef {
        self.snapshots.lock().unwrap().last().unwrap().0.root
    }

    /// Takes a tree as it is, without any of the checks.
    pub fn plant(&self, root: ChunkRef, totals: Totals) {
        let (push, origin, zone, contents, moved) = ("0".into(), None, None, vec![], false);
        let commit =
            Commit { push, root, totals, skipped: 0, device_time_ms: 0, origin, zone, contents, moved };
        let head = Head::EMPTY;
        let receipt = Receipt {
            source: String::new(),
            snapshot: 0,
            head,
            disks: vec![],
            degraded: vec![],
            signed: None,
        };
        self.snapshots.lock().unwrap().push((commit, receipt));
    }

    /// Uploaded chunks since the last call.
    pub fn take_uploaded(&self) -> u64 {
        self.uploaded_chunks.swap(0, Relaxed)
    }

    /// Every chunk that the tree names, and what its files add up to.
    fn check(&self, root: &ChunkRef) -> Result<Totals, ChunkId> {
        let chunks = self.chunks.lock().unwrap();
        let mut todo = vec![Reference::Node(*root)];
        let mut totals = Totals::default();
        while let Some(reference) = todo.pop() {
            let chunk = reference.chunk();
            let bytes = chunks.get(&chunk.id).ok_or(chunk.id)?;
            assert_eq!(bytes.len(), chunk.len as usize);
            match reference {
                Reference::Node(_) => {
                    let node = read::node(&OneChunk(bytes), &chunk).unwrap();
                    todo.extend(node.references());
                    let Node::Leaf { entries, .. } = node else { continue };
                    for entry in entries.iter().filter(|entry| !entry.name.is_empty()) {
                        match &entry.kind {
                            Kind::Directory { .. } => totals.directories += 1,
                            Kind::File { size, .. } => {
                                (totals.files, totals.bytes) = (totals.files + 1, totals.bytes + size)
                            }
                            _ => totals.files += 1,
                        }
                    }
                }
                Reference::List(_) => {
                    let (pieces, _) = read::covering(&OneChunk(bytes), &chunk).unwrap();
                    todo.extend(pieces.iter().filter_map(Reference::of));
                }
                Reference::Bytes(_) => {}
            }
        }
        Ok(totals)
    }
}

/// Counts one request; fails where none is left.
fn break_if_due(left: &Mutex<Option<u64>>) -> Result<(), ClientError> {
    let Some(left) = &mut *left.lock().unwrap() else { return Ok(()) };
    let broken = || ClientError::Unreachable {
        address: "memory".into(),
        why: NoAnswer::BrokenOff,
        cause: "planted".into(),
    };
    *left = left.checked_sub(1).ok_or_else(broken)?;
    Ok(())
}

pub fn problem(code: &str) -> ClientError {
    let text = String::new;
    let (what, meaning, remedy, details) = (text(), text(), text(), text());
    ClientError::Refused(Box::new(Problem { code: code.into(), what, meaning, remedy, details }))
}

impl Remote for Vault {
    fn identity(&self) -> Result<Identity, ClientError> {
        Ok(Identity {
            signed: None,
            device: "laptop".into(),
            role: Role::Admin,
            sees: None,
            appliance: "larder".into(),
            vault: "00112233".into(),
            head: Head::EMPTY,
            version: "0".into(),
            features: vec![],
        })
    }

    fn start(&self, source: &str, start: &PushStart) -> Result<PushWelcome, ClientError> {
        self.requests.fetch_add(1, Relaxed);
        let snapshots = self.snapshots.lock().unwrap();
        let of_source: Vec<_> = snapshots.iter().filter(|(_, receipt)| receipt.source == source).collect();
        let known = of_source.last().and_then(|(commit, _)| commit.origin.as_ref());
        let is_same_folder = match (known, &start.origin) {
            (Some(known), Some(pushed)) => known.is_same_folder(pushed),
            _ => false,
        };
        if known.is_some() && !is_same_folder && !start.moved {
            return Err(problem("other_folder"));
        }
        Ok(PushWelcome { snapshots: of_source.len() as u64, is_same_folder, room_bytes: None })
    }

    fn missing(&self, names: &[ChunkId]) -> Result<Vec<ChunkId>, ClientError> {
        self.requests.fetch_add(1, Relaxed);
        let chunks = self.chunks.lock().unwrap();
        Ok(names.iter().filter(|name| !chunks.contains_key(name)).copied().collect())
    }

    fn upload(&self, blocks: &[&[u8]]) -> Result<Received, ClientError> {
        let blocks = &blocks.concat()[..];
        self.requests.fetch_add(1, Relaxed);
        assert!(blocks.len() <= UPLOAD_BYTES_MAX);
        break_if_due(&self.breaks_after)?;
        let mut decoder = Decoder::new();
        let (mut rest, mut names) = (blocks, Vec::new());
        while !rest.is_empty() {
            let (header, block): (Header, OpenBlock) = OpenBlock::read(&mut decoder, rest).unwrap();
            rest = &rest[header.block_len()..];
            for (id, place) in &block.chunks {
                names.extend_from_slice(&id.0);
                self.chunks.lock().unwrap().insert(*id, block.plain[place.clone()].to_vec());
            }
        }
        let chunks = names.len() as u64 / 32;
        self.uploaded_chunks.fetch_add(chunks, Relaxed);
        self.uploaded_bytes.fetch_add(blocks.len() as u64, Relaxed);
        self.largest_upload.fetch_max(blocks.len() as u64, Relaxed);
        Ok(Received { chunks, names: Hash::of(&names) })
    }

    fn commit(&self, source: &str, commit: &Commit) -> Result<Receipt, ClientError> {
        self.requests.fetch_add(1, Relaxed);
        let mut snapshots = self.snapshots.lock().unwrap();
        if let Some((_, receipt)) = snapshots.iter().find(|(known, _)| known.push == commit.push) {
            return Ok(receipt.clone());
        }
        if self.power_cuts.load(Relaxed) > 0 {
            self.power_cuts.fetch_sub(1, Relaxed);
            self.chunks.lock().unwrap().clear();
        }
        let totals = self.check(&commit.root).map_err(|_| problem("missing_chunks"))?;
        assert_eq!(totals, commit.totals, "the client adds up what is in the tree");
        let snapshot = snapshots.len() as u64 + 1;
        let head = Head { sequence: snapshot, hash: Hash::of(&snapshot.to_le_bytes()) };
        let receipt = Receipt {
            source: source.into(),
            snapshot,
            head,
            disks: vec!["memory".into()],
            degraded: vec![],
            signed: None,
        };
        snapshots.push((commit.clone(), receipt.clone()));
        Ok(receipt)
    }
}

impl Past for Vault {
    fn fetch(
        &self,
        names: &[ChunkId],
        _: Neighbours,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ClientError> {
        self.requests.fetch_add(1, Relaxed);
        break_if_due(&self.fetches_until_break)?;
        break_if_due(&self.fetches_until_no_disk).map_err(|_| problem("failed"))?;
        let (mut encoder, mut plain, mut lengths) = (Encoder::new(), Vec::new(), Vec::new());
        let rotten = self.rotten.lock().unwrap().clone();
        for name in names {
            let chunk = self.chunks.lock().unwrap().get(name).cloned();
            let Some(mut chunk) = chunk else { return Err(problem("not_found")) };
            if rotten.contains(name) {
                chunk[0] ^= 1;
            }
            if !lengths.is_empty() && plain.len() + chunk.len() > BLOCK_PLAIN_BYTES_AIM {
                each(&encoder.encode(&plain, std::mem::take(&mut lengths)));
                plain.clear();
            }
            self.fetched_bytes.fetch_add(chunk.len() as u64, Relaxed);
            lengths.push(u32::try_from(chunk.len()).unwrap());
            plain.append(&mut chunk);
        }
        if !lengths.is_empty() {
            each(&encoder.encode(&plain, lengths));
        }
        Ok(())
    }

    fn places(&self, names: &[ChunkId]) -> Result<Vec<u64>, ClientError> {
        self.requests.fetch_add(1, Relaxed);
        // As if chunks had been pushed in the order of their names.
        Ok(names.iter().map(|name| u64::from_le_bytes(name.0[..8].try_into().unwrap())).collect())
    }

    fn snapshot(&self, source: &str, when: &str) -> Result<SnapshotInfo, ClientError> {
        let snapshots = self.snapshots.lock().unwrap();
        let number = when.parse().unwrap_or(snapshots.len());
        let (commit, receipt) = snapshots.get(number.wrapping_sub(1)).ok_or_else(|| problem("not_found"))?;
        Ok(SnapshotInfo {
            source: source.into(),
            snapshot: receipt.snapshot,
            time: "2026-01-01T00:00:00Z".into(),
            root: commit.root,
            totals: commit.totals,
            skipped: commit.skipped,
            reasons: vec![],
            kept_until: None,
            set_aside: None,
            label: None,
            damaged: false,
            origin: None,
        })
    }
}
