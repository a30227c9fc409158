//! The local cache: the knowledge of the last push, so that the next push opens only changed files.
//!
//! The cache is a file for each source. The file holds a record for each folder and, at its end, an index of 16 bytes
//! a folder. A record is read when its folder comes up, so memory does not grow with the tree. Every record and the
//! index carry a checksum: a damaged record counts as missing, and a missing record only means that a folder is read
//! again. No wrong snapshot can come of the cache, since the appliance refuses a tree with a missing part.
//!
//! A push without any change leaves the file alone; any other push writes a new file beside and renames the new file.
//! Not here: the content of a record (`record`), and the use of records (`walker`).

mod record;

pub(crate) use record::{CachedEntry, Fingerprint, Folded, KnownEntry, RecordReader, RecordWriter};

use crate::platform::{read_at, read_exact_at};
use larder_format::Hash;
use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

const MAGIC: &[u8; 8] = b"LRDRCCH1";
const FRAME_BYTES: usize = 4 + CHECK_BYTES;
const CHECK_BYTES: usize = 16;
const FOOTER_BYTES: usize = 8 + 8 + CHECK_BYTES + 8;
const SLOT_BYTES: usize = 16;
/// No record is larger: a larger claim is damage, not a reason to allocate.
const RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Names a folder, or a part of a very large folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FolderKey(u64);

impl FolderKey {
    pub(crate) fn root(path: &[u8]) -> Self {
        Self::from(blake3::hash(path))
    }

    pub(crate) fn child(self, name: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0.to_le_bytes()).update(name);
        Self::from(hasher.finalize())
    }

    /// Part `number` of a folder that does not fit a record; a slash cannot be part of a name.
    pub(crate) fn part(self, number: u32) -> Self {
        self.child(&[&b"/"[..], &number.to_le_bytes()].concat())
    }

    fn from(hash: blake3::Hash) -> Self {
        let (first, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
        Self(u64::from_le_bytes(*first))
    }
}

#[derive(Debug, Clone, Copy)]
struct IndexSlot {
    key: FolderKey,
    offset: u64,
}

/// The cache of the last push.
struct OldCache {
    file: File,
    slots: Vec<IndexSlot>,
    /// A bit for each slot: whether this push found the folder unchanged.
    kept: Vec<AtomicU64>,
}

/// The cache that this push writes.
struct NewCache {
    file: BufWriter<tempfile::NamedTempFile>,
    slots: Vec<IndexSlot>,
    offset: u64,
}

/// The cache of a source, open for a push.
pub(crate) struct Cache {
    path: Option<PathBuf>,
    old: Option<OldCache>,
    fresh: Mutex<Option<NewCache>>,
}

impl Cache {
    /// Opens the cache at `path`; a damaged cache counts as empty.
    pub(crate) fn open(path: PathBuf) -> Self {
        let old = OldCache::open(&path).ok().flatten();
        Self { path: Some(path), old, fresh: Mutex::new(None) }
    }

    /// The cache at `path` for a walk whose findings are not kept.
    pub(crate) fn open_unchanging(path: &Path) -> Self {
        Self { path: None, old: OldCache::open(path).ok().flatten(), fresh: Mutex::new(None) }
    }

    /// An empty cache; findings of the push are still kept.
    pub(crate) fn open_empty(path: PathBuf) -> Self {
        Self { path: Some(path), old: None, fresh: Mutex::new(None) }
    }

    /// Knows nothing and keeps nothing.
    pub(crate) fn none() -> Self {
        Self { path: None, old: None, fresh: Mutex::new(None) }
    }

    /// Whether the last push had a folder called `key`.
    pub(crate) fn knows(&self, key: FolderKey) -> bool {
        self.old.as_ref().is_some_and(|old| old.position(key).is_some())
    }

    /// Reads the record called `key` into `record`; false when there is none.
    pub(crate) fn read(&self, key: FolderKey, record: &mut Vec<u8>) -> bool {
        self.old.as_ref().is_some_and(|old| old.read(key, record).is_some())
    }

    /// Keeps the record called `key` unchanged.
    pub(crate) fn keep(&self, key: FolderKey) {
        if let Some(old) = &self.old
            && let Some(slot) = old.position(key)
        {
            old.kept[slot / 64].fetch_or(1 << (slot % 64), Relaxed);
        }
    }

    /// Adds a new record. A failed write costs time at the next push, so the failure stops nothing.
    pub(crate) fn put(&self, key: FolderKey, record: &[u8]) {
        let Some(path) = &self.path else { return };
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.is_none() {
            *fresh = NewCache::create(path).ok();
        }
        let failed = fresh.as_mut().is_some_and(|fresh| fresh.put(key, record).is_err());
        if failed {
            *fresh = None;
        }
    }

    /// Makes the new records the cache of the next push. Only for a committed push.
    ///
    /// # Errors
    /// Errors of writing the file; the old cache is then still there.
    pub(crate) fn finish(self) -> io::Result<()> {
        let fresh = self.fresh.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = self.path else { return Ok(()) };
        let all_kept = self.old.as_ref().is_some_and(OldCache::all_kept);
        let fresh = match fresh {
            None if all_kept => return Ok(()),
            None => NewCache::create(&path)?,
            Some(fresh) => fresh,
        };
        fresh.finish(self.old.as_ref(), &path)
    }
}

impl OldCache {
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        let Some(body) = len.checked_sub(FOOTER_BYTES as u64) else { return Ok(None) };
        let mut footer = [0; FOOTER_BYTES];
        read_exact_at(&file, &mut footer, body)?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| footer[at + n]));
        let (offset, count) = (number(0), number(8));
        let fits = offset.checked_add(count.saturating_mul(SLOT_BYTES as u64)) == Some(body);
        if footer[FOOTER_BYTES - 8..] != *MAGIC || !fits {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(body - offset).map_err(io::Error::other)?];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)?;
        if check(&bytes) != footer[16..16 + CHECK_BYTES] {
            return Ok(None);
        }
        let word = |bytes: &[u8]| u64::from_le_bytes(std::array::from_fn(|n| bytes[n]));
        let slots: Vec<IndexSlot> = bytes
            .chunks_exact(SLOT_BYTES)
            .map(|slot| IndexSlot { key: FolderKey(word(slot)), offset: word(&slot[8..]) })
            .collect();
        let kept = (0..slots.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Some(Self { file, slots, kept }))
    }

    fn position(&self, key: FolderKey) -> Option<usize> {
        self.slots.binary_search_by_key(&key, |slot| slot.key).ok()
    }

    fn read(&self, key: FolderKey, record: &mut Vec<u8>) -> Option<()> {
        self.read_at(self.slots[self.position(key)?].offset, record)
    }

    /// A single read for most records: frame and record together.
    fn read_at(&self, offset: u64, record: &mut Vec<u8>) -> Option<()> {
        const FIRST_BYTES: usize = 8 * 1024;
        record.resize(FIRST_BYTES, 0);
        let seen = read_at(&self.file, record, offset).ok()?;
        let frame = *record[..seen].first_chunk::<FRAME_BYTES>()?;
        let len = u32::from_le_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
        if len > RECORD_BYTES_MAX {
            return None;
        }
        record.resize(FRAME_BYTES + len, 0);
        if seen < FRAME_BYTES + len {
            read_exact_at(&self.file, &mut record[seen..], offset + seen as u64).ok()?;
        }
        record.drain(..FRAME_BYTES);
        (check(record) == frame[4..]).then_some(())
    }

    fn is_kept(&self, slot: usize) -> bool {
        self.kept[slot / 64].load(Relaxed) & 1 << (slot % 64) != 0
    }

    fn all_kept(&self) -> bool {
        (0..self.slots.len()).all(|slot| self.is_kept(slot))
    }
}

impl NewCache {
    fn create(path: &Path) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let file = tempfile::Builder::new().prefix(".cache-").suffix(".part").tempfile_in(folder)?;
        let mut file = BufWriter::with_capacity(256 * 1024, file);
        file.write_all(MAGIC)?;
        Ok(Self { file, slots: Vec::new(), offset: MAGIC.len() as u64 })
    }

    fn put(&mut self, key: FolderKey, record: &[u8]) -> io::Result<()> {
        let len = u32::try_from(record.len()).map_err(io::Error::other)?;
        self.file.write_all(&len.to_le_bytes())?;
        self.file.write_all(&check(record))?;
        self.file.write_all(record)?;
        self.slots.push(IndexSlot { key, offset: self.offset });
        self.offset += (FRAME_BYTES + record.len()) as u64;
        Ok(())
    }

    fn finish(mut self, old: Option<&OldCache>, path: &Path) -> io::Result<()> {
        self.slots.sort_unstable_by_key(|slot| slot.key);
        let known = self.slots.len();
        if let Some(old) = old {
            let mut record = Vec::new();
            for (number, slot) in old.slots.iter().enumerate().filter(|(number, _)| old.is_kept(*number)) {
                let replaced = self.slots[..known].binary_search_by_key(&slot.key, |new| new.key).is_ok();
                if !replaced && old.read_at(old.slots[number].offset, &mut record).is_some() {
                    self.put(slot.key, &record)?;
                }
            }
        }
        self.slots.sort_unstable_by_key(|slot| slot.key);
        let mut index = Vec::with_capacity(self.slots.len() * SLOT_BYTES);
        for slot in &self.slots {
            index.extend_from_slice(&slot.key.0.to_le_bytes());
            index.extend_from_slice(&slot.offset.to_le_bytes());
        }
        self.file.write_all(&index)?;
        self.file.write_all(&self.offset.to_le_bytes())?;
        self.file.write_all(&(self.slots.len() as u64).to_le_bytes())?;
        self.file.write_all(&check(&index))?;
        self.file.write_all(MAGIC)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Hash::of(bytes).0;
    std::array::from_fn(|n| hash[n])
}

#[cfg(test)]
mod tests;
