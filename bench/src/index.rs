//! The vault's answers to a push: new chunks, known chunks, and receipt.

use crate::{Amount, HotPath, Work};
use larder_format::{ChunkId, Hash, block::Encoder, ledger::WallStamp};
use larder_store::{
    IndexPlace, Options, Scope, Vault,
    disk::{Disk, MemoryDisk},
};
use std::{hint::black_box, path::Path, sync::Arc};

const CHUNKS: u32 = 40_000;
const BLOCK_CHUNKS: u32 = 1000;
const ASKED: u32 = 20_000;

/// The question "which are missing?" for new chunks only.
pub(crate) const ASK_NEW: HotPath =
    HotPath { name: "ask-new", amount: Amount::Items(ASKED as u64), prepare: ask_new };
/// The same question for known chunks only.
pub(crate) const ASK_KNOWN: HotPath =
    HotPath { name: "ask-known", amount: Amount::Items(ASKED as u64), prepare: ask_known };
/// Small chunks arrive, are verified, packed, sealed and entered into the index of a new vault.
pub(crate) const RECEIVE: HotPath =
    HotPath { name: "receive", amount: Amount::Items(CHUNKS as u64), prepare: receive };

/// Blocks of `count` small chunks, each different from every chunk before.
pub fn small_chunks(from: u32, count: u32) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new();
    let starts = (from..from + count).step_by(BLOCK_CHUNKS as usize);
    starts
        .map(|start| {
            let numbers = start..(start + BLOCK_CHUNKS).min(from + count);
            let chunks: Vec<u8> = numbers.clone().flat_map(chunk).collect();
            encoder.encode(&chunks, numbers.map(|_| CHUNK_BYTES).collect())
        })
        .collect()
}

const CHUNK_BYTES: u32 = 24;

fn chunk(number: u32) -> [u8; CHUNK_BYTES as usize] {
    let mut bytes = *b"a small chunk, no. ....\n";
    bytes[19..23].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// The name of the chunk `number` of `small_chunks`.
pub fn id(number: u32) -> ChunkId {
    Hash::of(&chunk(number))
}

/// Opens the vault on `disk` with the index in `folder`.
///
/// # Panics
/// When the vault does not open.
pub fn open(disk: Arc<dyn Disk>, folder: &Path) -> Vault {
    let mut names = 0u128;
    let options = Options {
        disks: vec![disk],
        index: IndexPlace::Folder(folder.join("index")),
        random: Box::new(move || {
            names += 1;
            names.to_le_bytes()
        }),
        reserve_bytes: 0,
        stamp: WallStamp { time_ms: 0, trusted: true, powered_on_s: 0 },
    };
    Vault::open(options).expect("a vault opens").0
}

fn filled(blocks: &[Vec<u8>]) -> (tempfile::TempDir, Vault) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let vault = open(Arc::new(MemoryDisk::new()), folder.path());
    for block in blocks {
        vault.by(&Scope::appliance()).receive(block).expect("blocks of our own");
    }
    vault.seal_all().expect("memory takes all");
    (folder, vault)
}

fn receive() -> Work {
    let blocks = small_chunks(0, CHUNKS);
    Box::new(move || drop(black_box(filled(&blocks))))
}

fn ask(ids: Vec<ChunkId>) -> Work {
    let (folder, vault) = filled(&small_chunks(0, CHUNKS));
    Box::new(move || {
        black_box(&folder);
        black_box(vault.by(&Scope::appliance()).missing(&ids));
    })
}

fn ask_new() -> Work {
    ask((CHUNKS..CHUNKS + ASKED).map(id).collect())
}

fn ask_known() -> Work {
    ask((0..ASKED).map(id).collect())
}
