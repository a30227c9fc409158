//! Where each chunk lies, in sled: the one module that knows sled, and all of it disposable.
//!
//! One sled entry per chunk would cost 139 MB at a million chunks, so entries are gathered: the key is a bucket (the
//! first 18 bits of the id), the value its records of 14 bytes (8 bytes of id, pack number, slot). A record is a
//! hint; the pack's own table confirms it (`packs`).
//!
//! Most questions are about chunks that are new. A filter in memory answers those, at a byte for each chunk, so that a
//! first push need not look into sled for every file.
//!
//! sled's damage is rarely announced: a truncated file opens without an error and with entries gone. So the index
//! proves itself: per pack it says how many records there must be, and opening counts them. Every error, panic or
//! disagreement ends in `Broken`, and the vault makes a new index from the packs' tables (docs/why/002-sled.md).

use fastbloom::BloomFilter;
use larder_format::{ChunkId, Hash};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

const BUCKET_BITS: u32 = 18;
const RECORD_BYTES: usize = 14;
/// Measured: 16 MiB cost 56 to 74 MB of memory at 5 million chunks, and more cache does not make it faster.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// With 8 bits for each chunk and 4 looked at, 2 of 100 new chunks are still looked for in sled.
const FILTER_BITS: usize = 8;
const FILTER_HASHES: u32 = 4;
/// 1 MiB: enough for a million chunks before it is made anew.
const FILTER_CHUNKS_MIN: usize = 1 << 20;
/// A change of layout starts a new index instead of migrating one.
const LAYOUT: &[u8] = b"larder index 1";

/// The index failed or contradicts itself. Nothing is lost: make a new one.
#[derive(Debug, thiserror::Error)]
#[error("the index is broken: {0}")]
pub(crate) struct Broken(String);

impl Broken {
    /// Not by itself, but somebody has a reason to replace it.
    pub(crate) fn because(why: &str) -> Self {
        Self(why.to_owned())
    }
}

impl From<sled::Error> for Broken {
    fn from(error: sled::Error) -> Self {
        Self(error.to_string())
    }
}

/// Where the index lives.
#[derive(Debug, Clone)]
pub enum IndexPlace {
    /// In a folder on a real filesystem.
    Folder(PathBuf),
    /// In memory, made anew from the packs at each start: for simulated disks, and when no folder can be written.
    Memory,
}

/// A place where a chunk may lie.
pub(crate) type Hint = (u32, u16);

pub(crate) enum Index {
    Sled(SledIndex),
    Memory(MemoryIndex),
}

pub(crate) struct SledIndex {
    db: sled::Db,
    packs: sled::Tree,
    file: PathBuf,
    filter: Filter,
}

/// Knows of a chunk for sure that it is not in the index.
struct Filter {
    bits: BloomFilter,
    chunks: usize,
    chunks_max: usize,
}

impl Filter {
    /// Empty, for `chunks` and a quarter more.
    fn with_room_for(chunks: usize) -> Self {
        let chunks_max = (chunks + chunks / 4).max(FILTER_CHUNKS_MIN);
        let bits = BloomFilter::with_num_bits(chunks_max * FILTER_BITS).hashes(FILTER_HASHES);
        Self { bits, chunks: 0, chunks_max }
    }

    /// `id` is the part of a chunk's id that a record has. It is a hash already and need not be hashed again.
    fn insert(&mut self, id: [u8; 8]) {
        self.chunks += 1;
        self.bits.insert_hash(u64::from_le_bytes(id));
    }

    fn may_have(&self, id: [u8; 8]) -> bool {
        self.bits.contains_hash(u64::from_le_bytes(id))
    }
}

#[derive(Default)]
pub(crate) struct MemoryIndex {
    hints: HashMap<[u8; 10], Vec<Hint>>,
    packs: BTreeMap<u32, Hash>,
}

impl Index {
    /// Opens the index of `vault`, or an empty one. `Broken` when what is there cannot be used.
    pub(crate) fn open(place: &IndexPlace, vault: &[u8; 16]) -> Result<Self, Broken> {
        match place {
            IndexPlace::Memory => Ok(Self::Memory(MemoryIndex::default())),
            IndexPlace::Folder(folder) => guarded(|| SledIndex::open(folder, vault)).map(Self::Sled),
        }
    }

    /// Gives up a broken index. Dropping a database that panicked would run its code again, so it is forgotten.
    pub(crate) fn abandon(self) {
        std::mem::forget(self);
    }

    /// Moves a broken index aside, so that the next `open` starts an empty one.
    pub(crate) fn discard(place: &IndexPlace) -> std::io::Result<()> {
        let IndexPlace::Folder(folder) = place else { return Ok(()) };
        let aside = folder.with_extension("broken");
        // Only the newest broken index is kept, for support.
        if aside.exists() {
            std::fs::remove_dir_all(&aside)?;
        }
        if folder.exists() { std::fs::rename(folder, aside) } else { Ok(()) }
    }

    /// Packs whose chunks are all in the index, by number.
    pub(crate) fn packs(&self) -> Result<BTreeMap<u32, Hash>, Broken> {
        match self {
            Self::Memory(index) => Ok(index.packs.clone()),
            Self::Sled(index) => guarded(|| index.packs()),
        }
    }

    /// Adds packs. They must be durable already: the index may be ahead of nothing.
    pub(crate) fn insert(&mut self, records: Records) -> Result<(), Broken> {
        match self {
            Self::Sled(index) => guarded(|| index.insert(records)),
            Self::Memory(index) => {
                for (key, record) in records.entries {
                    let mut prefix = [key[0], key[1], 0, 0, 0, 0, 0, 0, 0, 0];
                    prefix[2..].copy_from_slice(&record[..8]);
                    let hints = index.hints.entry(prefix).or_default();
                    if !hints.contains(&hint(&record)) {
                        hints.push(hint(&record));
                    }
                }
                index.packs.extend(records.packs.into_iter().map(|(number, name, _)| (number, name)));
                Ok(())
            }
        }
    }

    /// Places where the chunk may lie, newest pack last.
    pub(crate) fn hints(&self, id: &ChunkId) -> Result<Vec<Hint>, Broken> {
        match self {
            Self::Memory(index) => Ok(index.hints.get(&prefix(id)).cloned().unwrap_or_default()),
            Self::Sled(index) if !index.filter.may_have(part(id)) => Ok(Vec::new()),
            Self::Sled(index) => guarded(|| {
                let bucket = index.db.get(key(id))?;
                let records = bucket.as_deref().unwrap_or_default().chunks_exact(RECORD_BYTES);
                Ok(records.filter(|record| record[..8] == part(id)).map(hint).collect())
            }),
        }
    }

    /// Makes what was inserted durable. Not needed for safety, only to spare work at the next start.
    pub(crate) fn flush(&self) -> Result<(), Broken> {
        let Self::Sled(index) = self else { return Ok(()) };
        guarded(|| {
            index.db.flush()?;
            // sled's flush leaves the bytes in the system's cache (measured: 59 of 60 power cuts lost them).
            let synced = std::fs::File::open(&index.file).and_then(|file| file.sync_all());
            synced.map_err(|error| Broken(error.to_string()))
        })
    }
}

impl SledIndex {
    fn open(folder: &Path, vault: &[u8; 16]) -> Result<Self, Broken> {
        let new = !folder.exists();
        // A marker that outlives an open tells that the last one hung, aborted or was killed within it.
        let marker = folder.with_extension("opening");
        if marker.exists() && !new {
            return Err(Broken("the last attempt to open it did not end".to_owned()));
        }
        let io = |error: std::io::Error| Broken(error.to_string());
        std::fs::write(&marker, b"").map_err(io)?;
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).mode(sled::Mode::LowSpace);
        let opened = config.flush_every_ms(None).open().map_err(Broken::from).and_then(|db| {
            let (packs, file) = (db.open_tree("packs")?, folder.join("db"));
            let mut index = Self { packs, db, file, filter: Filter::with_room_for(0) };
            index.prove(vault, new)?;
            Ok(index)
        });
        std::fs::remove_file(&marker).map_err(io)?;
        opened
    }

    /// Belongs to this vault, and holds exactly the records that its packs say.
    fn prove(&mut self, vault: &[u8; 16], new: bool) -> Result<(), Broken> {
        let stamp = [LAYOUT, vault].concat();
        let meta = self.db.open_tree("meta")?;
        if new {
            meta.insert("stamp", stamp)?;
            return Ok(());
        }
        if meta.get("stamp")?.as_deref() != Some(stamp.as_slice()) {
            return Err(Broken("it belongs to another vault or version".to_owned()));
        }
        let mut promised = 0usize;
        for pack in &self.packs {
            let (_, value) = pack?;
            let count = value.get(32..36).and_then(|count| count.try_into().ok()).map(u32::from_be_bytes);
            promised += count.ok_or_else(|| Broken("a pack's record is malformed".to_owned()))? as usize;
        }
        let known = self.packs()?;
        let mut found = 0;
        // Records of a pack that was being inserted when the power went are not promised yet.
        self.fill_filter(promised, |record| found += usize::from(known.contains_key(&hint(record).0)))?;
        if found == promised {
            Ok(())
        } else {
            Err(Broken(format!("{found} records where {promised} must be")))
        }
    }

    /// Makes the filter anew, with room for `chunks` and more; hands every record to `see`.
    fn fill_filter(&mut self, chunks: usize, mut see: impl FnMut(&[u8])) -> Result<(), Broken> {
        let mut filter = Filter::with_room_for(chunks);
        for bucket in self.db.iter() {
            let (_, records) = bucket?;
            if records.len() % RECORD_BYTES != 0 {
                return Err(Broken("a bucket is malformed".to_owned()));
            }
            for record in records.chunks_exact(RECORD_BYTES) {
                filter.insert(*record.first_chunk().expect("a record is longer"));
                see(record);
            }
        }
        self.filter = filter;
        Ok(())
    }

    fn packs(&self) -> Result<BTreeMap<u32, Hash>, Broken> {
        let mut packs = BTreeMap::new();
        for pack in &self.packs {
            let (number, value) = pack?;
            let number = number.as_ref().try_into().map(u32::from_be_bytes);
            let name = value.get(..32).and_then(|name| name.try_into().ok()).map(Hash);
            match (number, name) {
                (Ok(number), Some(name)) => drop(packs.insert(number, name)),
                _ => return Err(Broken("a pack's record is malformed".to_owned())),
            }
        }
        Ok(packs)
    }

    fn insert(&mut self, Records { mut entries, packs }: Records) -> Result<(), Broken> {
        if self.filter.chunks + entries.len() > self.filter.chunks_max {
            self.fill_filter(self.filter.chunks + entries.len(), |_| ())?;
        }
        // Buckets are then touched in order and each once: measured 5 times faster than in order of arrival.
        entries.sort_unstable();
        for bucket in entries.chunk_by(|(a, _), (b, _)| a == b) {
            let key = bucket[0].0;
            let old = self.db.get(key)?;
            let mut records = old.as_deref().unwrap_or_default().to_vec();
            for (_, record) in bucket {
                self.filter.insert(*record.first_chunk().expect("a record is longer"));
                // A pack that was half inserted before a power cut is inserted again.
                if !records.chunks_exact(RECORD_BYTES).any(|known| known == record) {
                    records.extend_from_slice(record);
                }
            }
            self.db.insert(key, records)?;
        }
        for (number, name, count) in packs {
            self.packs.insert(number.to_be_bytes(), [&name.0[..], &count.to_be_bytes()].concat())?;
        }
        Ok(())
    }
}

/// What the index is to know of some packs. Gathered for many, each bucket is touched once for all of them.
#[derive(Default)]
pub(crate) struct Records {
    entries: Vec<([u8; 3], [u8; RECORD_BYTES])>,
    packs: Vec<(u32, Hash, u32)>,
}

impl Records {
    /// Of one pack.
    pub(crate) fn of(number: u32, name: Hash, chunks: &[ChunkId]) -> Self {
        let mut records = Self::default();
        records.add(number, name, chunks);
        records
    }

    /// Adds those of one more.
    pub(crate) fn add(&mut self, number: u32, name: Hash, chunks: &[ChunkId]) {
        let entry = |(slot, id): (u16, &ChunkId)| {
            let mut record = [0; RECORD_BYTES];
            record[..8].copy_from_slice(&part(id));
            record[8..12].copy_from_slice(&number.to_be_bytes());
            record[12..].copy_from_slice(&slot.to_be_bytes());
            (key(id), record)
        };
        self.entries.extend((0u16..).zip(chunks).map(entry));
        self.packs.push((number, name, u32::try_from(chunks.len()).expect("at most PACK_CHUNKS_MAX")));
    }

    /// Chunks in all of them.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Runs sled code; a panic in it is a broken index and nothing worse.
fn guarded<T>(action: impl FnOnce() -> Result<T, Broken>) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(action)).unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Broken(format!("sled panicked: {}", text.unwrap_or("no reason given"))))
    })
}

fn key(id: &ChunkId) -> [u8; 3] {
    let mut key = [id.0[0], id.0[1], id.0[2]];
    key[2] &= 0xff << (24 - BUCKET_BITS);
    key
}

/// What a record keeps of an id; the two bytes before it are told by the bucket.
fn part(id: &ChunkId) -> [u8; 8] {
    let mut part = [0; 8];
    part.copy_from_slice(&id.0[2..10]);
    part
}

fn prefix(id: &ChunkId) -> [u8; 10] {
    let mut prefix = [0; 10];
    prefix.copy_from_slice(&id.0[..10]);
    prefix
}

fn hint(record: &[u8]) -> Hint {
    let number = [record[8], record[9], record[10], record[11]];
    (u32::from_be_bytes(number), u16::from_be_bytes([record[12], record[13]]))
}

#[cfg(test)]
mod tests;
