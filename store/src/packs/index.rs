//! The place of each chunk: a table in memory that answers, and sled, the table's store.
//!
//! Every pack ends with a table of its chunks' names, so the index could be read from the packs; on a spinning disk the
//! read takes a seek for each of ten thousand. sled keeps the first four bytes of each name by pack, in one file, read
//! from front to back at the start. No lookup goes to sled afterwards. This is the one module that knows sled.
//!
//! sled's damage is rarely announced: a truncated file opens without an error and with entries gone. So sled's values are
//! believed pack by pack, each proven by a hash; an unproven pack is read from the disk again. An error or a panic of sled
//! costs no more: the table in memory stays right, and sled's files are moved aside (docs/why/002-sled.md). A hang is
//! ended by the service's watchdog, and a marker tells the next start. A hint is confirmed by the pack's own table
//! (`registry`).

use crate::packs::index::part::{PackInParts, PackNames, Part, part_key, prefix};
use crate::packs::index::table::{HintTable, PlacesUsedUp};
use larder_format::{ChunkId, Hash};
use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) mod part;
mod table;

/// sled is read once from front to back and then only written to. sled keeps 16,384 pages whatever this limit says.
const CACHE_BYTES: u64 = 1024 * 1024;

/// Chunks read or written before sled is closed and opened again: sled keeps every passing chunk in memory, 40 MB at ten
/// million chunks, and opening takes some milliseconds.
const CHUNKS_PER_OPENING: usize = 1_000_000;

/// A change of layout starts a new index instead of migrating the old index.
const LAYOUT: &[u8] = b"larder index 2";

/// sled failed or contradicts itself. No chunk is lost.
#[derive(Debug, thiserror::Error)]
#[error("the index is broken: {0}")]
pub(crate) struct Broken(String);

impl From<sled::Error> for Broken {
    fn from(error: sled::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<PlacesUsedUp> for Broken {
    fn from(_: PlacesUsedUp) -> Self {
        Self("it has counted more chunks than it can number".to_owned())
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

/// A place where a chunk may lie: pack number and slot.
pub(crate) type Hint = (u32, u16);

pub(crate) struct Index {
    table: HintTable,
    packs: BTreeMap<u32, Hash>,
    kept: Option<Kept>,
}

impl Index {
    /// In memory only.
    pub(crate) fn in_memory() -> Self {
        Self { table: HintTable::new(), packs: BTreeMap::new(), kept: None }
    }

    /// Opens the index of `vault` with every proven pack, or an empty index.
    ///
    /// # Errors
    /// When the files cannot be used at all: `discard` them.
    pub(crate) fn open(place: &IndexPlace, vault: &[u8; 16]) -> Result<Self, Broken> {
        let IndexPlace::Folder(folder) = place else { return Ok(Self::in_memory()) };
        guarded(|| {
            let marked = Marked::new(folder)?;
            let mut index = Self::in_memory();
            let mut from = Some(0);
            while let Some(first) = from {
                // The last one is closed before.
                index.kept = None;
                let kept = Kept::open(folder, vault)?;
                let packs;
                (packs, from) = kept.read(first)?;
                index.enter(&packs.iter().collect::<Vec<_>>())?;
                index.kept = Some(kept);
            }
            marked.done()?;
            Ok(index)
        })
    }

    /// Moves sled's files aside, so that the next `open` starts an empty index. Only the newest old index is kept,
    /// for support.
    pub(crate) fn discard(place: &IndexPlace) -> std::io::Result<()> {
        let IndexPlace::Folder(folder) = place else { return Ok(()) };
        let aside = folder.with_extension("broken");
        if aside.exists() {
            std::fs::remove_dir_all(&aside)?;
        }
        if folder.exists() { std::fs::rename(folder, aside) } else { Ok(()) }
    }

    /// Packs in the index, by number.
    pub(crate) fn packs(&self) -> &BTreeMap<u32, Hash> {
        &self.packs
    }

    /// Places where the chunk may lie, newest pack last.
    pub(crate) fn hints(&self, id: &ChunkId) -> impl Iterator<Item = Hint> + '_ {
        self.table.hints(prefix(id))
    }

    /// Adds packs. The packs must be durable already: the index may be ahead of nothing.
    ///
    /// # Errors
    /// Only when the table itself cannot take the packs; then the table must be made anew.
    pub(crate) fn insert(&mut self, packs: &[PackNames]) -> Result<(), Broken> {
        let new: Vec<_> = packs.iter().filter(|pack| !self.packs.contains_key(&pack.number)).collect();
        self.enter(&new)?;
        self.keep(|kept| new.iter().try_for_each(|pack| kept.insert(pack)));
        if self.kept.as_ref().is_some_and(|kept| kept.written.load(Ordering::Relaxed) >= CHUNKS_PER_OPENING) {
            self.reopen();
        }
        Ok(())
    }

    fn reopen(&mut self) {
        let Some(Kept { folder, vault, .. }) = self.kept.take() else { return };
        match guarded(|| Kept::open(&folder, &vault)) {
            Ok(kept) => self.kept = Some(kept),
            Err(broken) => tracing::warn!(%broken, "going on without writing it down; nothing is lost"),
        }
    }

    fn enter(&mut self, packs: &[&PackNames]) -> Result<(), Broken> {
        self.table.insert(packs.iter().map(|pack| (pack.number, &pack.prefixes[..])))?;
        self.packs.extend(packs.iter().map(|pack| (pack.number, pack.name)));
        Ok(())
    }

    /// Takes removed packs out.
    pub(crate) fn remove(&mut self, numbers: &[u32]) {
        if numbers.is_empty() {
            return;
        }
        let gone: HashSet<_> = numbers.iter().copied().collect();
        self.table.remove(|number| gone.contains(&number));
        self.packs.retain(|number, _| !gone.contains(number));
        self.keep(|kept| numbers.iter().try_for_each(|number| kept.remove(*number)));
    }

    /// Makes inserted packs durable. Not needed for safety, only to spare work at the next start.
    pub(crate) fn flush(&mut self) {
        self.keep(Kept::flush);
    }

    /// A failure here is no loss: the table has the packs, and the next start reads every unproven pack from the disk.
    fn keep(&mut self, write: impl FnOnce(&Kept) -> Result<(), Broken>) {
        let Some(kept) = self.kept.take() else { return };
        match guarded(|| write(&kept)) {
            Ok(()) => self.kept = Some(kept),
            Err(broken) => {
                tracing::warn!(%broken, "going on without writing it down; nothing is lost");
                // Dropping a panicked database would run its code again.
                std::mem::forget(kept);
            }
        }
    }
}

/// Tells the next start that this opening did not end, after a hang, an abort or a kill.
struct Marked(PathBuf);

impl Marked {
    fn new(folder: &Path) -> Result<Self, Broken> {
        let marker = folder.with_extension("opening");
        if marker.exists() && folder.exists() {
            return Err(Broken("the last attempt to open it did not end".to_owned()));
        }
        // A file of any kind with the name goes first: opening a FIFO would wait for ever.
        let _ = std::fs::remove_file(&marker);
        std::fs::File::create_new(&marker).map_err(io)?;
        Ok(Self(marker))
    }

    fn done(self) -> Result<(), Broken> {
        std::fs::remove_file(&self.0).map_err(io)
    }
}

/// sled's content: each pack in parts of some thousand chunks, by the numbers of pack and part.
struct Kept {
    db: sled::Db,
    packs: sled::Tree,
    folder: PathBuf,
    vault: [u8; 16],
    /// Chunks written since the opening.
    written: AtomicUsize,
}

/// sled releases its file a moment after the last handle is dropped, on a thread of its own that may be kept waiting.
/// No other process can have the file: the disk itself is locked.
fn open_when_free(config: &sled::Config) -> sled::Result<sled::Db> {
    let is_held = |error: &sled::Error| error.to_string().contains("could not acquire lock");
    let mut tries = (0..2000).map(|_| config.open().inspect_err(|_| std::thread::yield_now()));
    tries.find(|opened| !opened.as_ref().is_err_and(is_held)).unwrap_or_else(|| config.open())
}

/// sled opens any kind of file, and opening a FIFO never ends.
fn require_plain_files(folder: &Path) -> Result<(), Broken> {
    let items = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut kinds = items.filter_map(|item| item.file_type().ok());
    if kinds.all(|kind| kind.is_file() || kind.is_dir()) {
        return Ok(());
    }
    Err(Broken("something in it is no file".to_owned()))
}

impl Kept {
    fn open(folder: &Path, vault: &[u8; 16]) -> Result<Self, Broken> {
        require_plain_files(folder)?;
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).mode(sled::Mode::LowSpace);
        let db = open_when_free(&config.flush_every_ms(None))?;
        let (packs, folder, vault) = (db.open_tree("packs")?, folder.to_owned(), *vault);
        let kept = Self { packs, db, folder, vault, written: AtomicUsize::new(0) };
        let stamp = [LAYOUT, &vault].concat();
        match kept.db.get("stamp")? {
            Some(found) if found == stamp => {}
            // A new index, or the index of an agent killed before the first write. The stamp comes first in sled's
            // log, so packs are never found without the stamp.
            None if kept.packs.is_empty() => drop(kept.db.insert("stamp", stamp)?),
            _ => return Err(Broken("it belongs to another vault or version".to_owned())),
        }
        Ok(kept)
    }

    fn insert(&self, pack: &PackNames) -> Result<(), Broken> {
        for (part, prefixes) in (0u16..).zip(pack.parts()) {
            let key = part_key(pack.number, part);
            self.packs.insert(key, pack.encode(key, prefixes))?;
        }
        self.written.fetch_add(pack.chunks(), Ordering::Relaxed);
        Ok(())
    }

    fn remove(&self, number: u32) -> Result<(), Broken> {
        for part in self.packs.scan_prefix(number.to_be_bytes()).keys() {
            self.packs.remove(part?)?;
        }
        Ok(())
    }

    /// Proven packs from the number `first` on, about `CHUNKS_PER_OPENING` chunks in total, and the number to go on with.
    fn read(&self, first: u32) -> Result<(Vec<PackNames>, Option<u32>), Broken> {
        let mut packs: Vec<PackNames> = Vec::new();
        let mut chunks = 0;
        let mut growing: Option<PackInParts> = None;
        for part in self.packs.range(first.to_be_bytes()..) {
            let (key, value) = part?;
            let Some(part) = Part::decode(&key, &value) else { continue };
            if part.part > 0 {
                growing.iter_mut().for_each(|pack| pack.add(&part));
                continue;
            }
            packs.extend(growing.take().and_then(PackInParts::whole));
            if chunks >= CHUNKS_PER_OPENING {
                return Ok((packs, Some(part.number)));
            }
            chunks += part.chunks;
            growing = Some(PackInParts::starting_with(&part));
        }
        packs.extend(growing.and_then(PackInParts::whole));
        Ok((packs, None))
    }

    fn flush(&self) -> Result<(), Broken> {
        self.db.flush()?;
        // sled's flush leaves the bytes in the system's cache (measured: 59 of 60 power cuts lost the bytes).
        std::fs::File::open(self.folder.join("db")).and_then(|file| file.sync_all()).map_err(io)
    }
}

/// Runs sled code; a panic inside means a broken index and nothing worse.
fn guarded<T>(action: impl FnOnce() -> Result<T, Broken>) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(action)).unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Broken(format!("sled panicked: {}", text.unwrap_or("no reason given"))))
    })
}

fn io(error: std::io::Error) -> Broken {
    Broken(error.to_string())
}

/// A working index at any cost; returns also whether the index had to be started anew.
pub(crate) fn open_index(place: &IndexPlace, vault: &[u8; 16]) -> (Index, bool) {
    let broken = match Index::open(place, vault) {
        Ok(index) => return (index, false),
        Err(broken) => broken,
    };
    tracing::warn!(%broken, "making the index anew; nothing is lost");
    let again = Index::discard(place).ok().and_then(|()| Index::open(place, vault).ok());
    if again.is_none() {
        tracing::error!("no index can be kept here; going on with one in memory");
    }
    (again.unwrap_or_else(Index::in_memory), true)
}

#[cfg(test)]
mod tests;
