//! A disk in memory that knows which of its bytes and names would survive a power cut.
//!
//! Every write and every change of a name stays pending until its sync. `after_power_cut` gives the disk after a
//! restart of the machine: every synced byte, and of the rest as much as a seed decides (`cut`). Bytes dropped by a
//! failed sync show until then, as in the system's cache, and are on no medium (`forget`). The effects of time on a
//! disk are in `medium`. Not here: calls that fail (`FaultyDisk`).

mod cut;
mod medium;

use super::{Dice, Disk, DiskFile, Item, Space, folder_of};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

/// A simulated disk; clones share one state.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<MediumState>>,
}

#[derive(Clone, Default)]
struct MediumState {
    inodes: Vec<Inode>,
    folders: BTreeMap<String, Folder>,
    /// Limit of the bytes in files; none for no limit.
    capacity: Option<u64>,
    /// Bytes in files.
    used: u64,
    /// For messages; none for "memory".
    name: Option<Arc<str>>,
}

/// Bytes are shared between the two states of a file, and between disks, until a write.
#[derive(Clone, Default)]
struct Inode {
    durable: Arc<Vec<u8>>,
    pending: Vec<(usize, Vec<u8>)>,
    current: Arc<Vec<u8>>,
    /// A failed sync dropped bytes: `current` shows the bytes, and no later sync makes them durable.
    has_lost: bool,
    unreadable: Vec<Range<usize>>,
}

#[derive(Clone, Default)]
struct Folder {
    durable: BTreeMap<String, Name>,
    pending: Vec<(String, Option<Name>)>,
    current: BTreeMap<String, Name>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    File(usize),
    Folder,
}

impl MemoryDisk {
    /// An empty disk without limits.
    pub fn new() -> Self {
        let disk = Self::default();
        disk.state().folders.insert(String::new(), Folder::default());
        disk
    }

    /// An empty disk with `name` in messages.
    pub fn named(name: &str) -> Self {
        let disk = Self::new();
        disk.state().name = Some(name.into());
        disk
    }

    /// From now on the disk holds at most so many bytes.
    pub fn limit(&self, capacity: u64) {
        self.state().capacity = Some(capacity);
    }

    /// The disk after a power loss at this moment. The same seed loses the same bytes.
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let mut state = self.state().clone();
        cut::lose_unsynced(&mut state, Dice::new(seed));
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Drops the unsynced names of a folder, as the system does when a sync fails: lists go on showing the names.
    pub(super) fn forget_names(&self, path: &str) {
        if let Ok(folder) = self.state().folder(path) {
            folder.pending.clear();
        }
    }

    pub(super) fn make_file(&self, path: &str) -> io::Result<MemoryFile> {
        let mut state = self.state();
        if state.name(path)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change(path, Some(Name::File(inode)))?;
        Ok(MemoryFile { disk: self.clone(), inode })
    }

    pub(super) fn open_file(&self, path: &str) -> io::Result<MemoryFile> {
        let inode = self.state().file(path)?;
        Ok(MemoryFile { disk: self.clone(), inode })
    }

    fn state(&self) -> MutexGuard<'_, MediumState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inode {
    fn write_back(&mut self) {
        if self.has_lost {
            let bytes = Arc::make_mut(&mut self.durable);
            self.pending.iter().for_each(|(at, write)| overlay(bytes, *at, write));
        } else {
            self.durable = self.current.clone();
        }
        self.pending.clear();
    }
}

impl Folder {
    fn write_back(&mut self) {
        for (name, change) in std::mem::take(&mut self.pending) {
            apply(&mut self.durable, name, change);
        }
    }
}

/// Writes `write` at `at`. Bytes between the end and `at` were lost, and show as zeros.
fn overlay(bytes: &mut Vec<u8>, at: usize, write: &[u8]) {
    if bytes.len() < at + write.len() {
        bytes.resize(at + write.len(), 0);
    }
    bytes[at..at + write.len()].copy_from_slice(write);
}

impl MediumState {
    fn folder(&mut self, path: &str) -> io::Result<&mut Folder> {
        self.folders.get_mut(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn name(&mut self, path: &str) -> io::Result<Option<Name>> {
        let name = path.rsplit('/').next().unwrap_or_default();
        Ok(self.folder(folder_of(path))?.current.get(name).copied())
    }

    fn file(&mut self, path: &str) -> io::Result<usize> {
        match self.name(path)? {
            Some(Name::File(inode)) => Ok(inode),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change(&mut self, path: &str, change: Option<Name>) -> io::Result<()> {
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let folder = self.folder(folder_of(path))?;
        apply(&mut folder.current, name.clone(), change);
        folder.pending.push((name, change));
        Ok(())
    }

    fn count_used(&mut self) {
        let names = self.folders.values().flat_map(|folder| folder.current.values());
        let bytes =
            |name: &Name| if let Name::File(inode) = name { self.inodes[*inode].current.len() } else { 0 };
        self.used = names.map(|name| bytes(name) as u64).sum();
    }
}

fn apply(names: &mut BTreeMap<String, Name>, name: String, change: Option<Name>) {
    match change {
        Some(to) => drop(names.insert(name, to)),
        None => drop(names.remove(&name)),
    }
}

impl Disk for MemoryDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.make_file(path)?))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.open_file(path)?))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.file(from)?;
        if state.name(to)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.change(to, Some(Name::File(inode)))?;
        state.change(from, None)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.file(path)?;
        state.used = state.used.saturating_sub(state.inodes[inode].current.len() as u64);
        state.change(path, None)
    }

    fn make_folder(&self, path: &str) -> io::Result<bool> {
        let mut state = self.state();
        match state.name(path)? {
            Some(Name::Folder) => Ok(false),
            Some(Name::File(_)) => Err(io::ErrorKind::AlreadyExists.into()),
            None => {
                state.folders.insert(path.to_owned(), Folder::default());
                state.change(path, Some(Name::Folder)).map(|()| true)
            }
        }
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        state.folder(path)?.write_back();
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<Item>> {
        let state = self.state();
        let Some(folder) = state.folders.get(path) else { return Ok(Vec::new()) };
        let item = |(name, at): (&String, &Name)| Item {
            name: name.clone(),
            is_folder: *at == Name::Folder,
            len: if let Name::File(inode) = at { state.inodes[*inode].current.len() as u64 } else { 0 },
        };
        Ok(folder.current.iter().map(item).collect())
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.state();
        let total = state.capacity.unwrap_or(1 << 40);
        Ok(Space { total, free: total.saturating_sub(state.used) })
    }

    fn name(&self) -> String {
        self.state().name.as_deref().unwrap_or("memory").to_owned()
    }
}

pub(super) struct MemoryFile {
    disk: MemoryDisk,
    inode: usize,
}

impl MemoryFile {
    /// Drops unsynced bytes, as the system does when a sync fails: reads go on showing the bytes.
    pub(super) fn forget(&self) {
        let inode = &mut self.disk.state().inodes[self.inode];
        inode.has_lost |= !inode.pending.is_empty();
        inode.pending.clear();
    }

    /// Bytes of another place: in this file, or in another file of sufficient length.
    pub(super) fn read_elsewhere(&self, offset: u64, buffer: &mut [u8], dice: &mut Dice) {
        let state = self.disk.state();
        let others = 1 + state.inodes.len();
        let wrong = if dice.one_in(2) { self.inode } else { dice.below(others) };
        let bytes = state.inodes.get(wrong).map_or(&[][..], |inode| &inode.current);
        let room = (bytes.len() + 1).saturating_sub(buffer.len());
        let mut from = dice.below(room);
        if wrong == self.inode && from as u64 == offset {
            from = (from + 1) % room.max(1);
        }
        for (byte, found) in buffer.iter_mut().zip(bytes.iter().skip(from).chain(std::iter::repeat(&0))) {
            *byte = *found;
        }
    }
}

impl DiskFile for MemoryFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        if state.capacity.is_some_and(|capacity| state.used + bytes.len() as u64 > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.used += bytes.len() as u64;
        let inode = &mut state.inodes[self.inode];
        inode.pending.push((inode.current.len(), bytes.to_vec()));
        Arc::make_mut(&mut inode.current).extend_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state();
        let inode = &state.inodes[self.inode];
        let from = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let found = inode.current.get(from..).and_then(|rest| rest.get(..buffer.len()));
        let found = found.ok_or(io::ErrorKind::UnexpectedEof)?;
        if inode.unreadable.iter().any(|bad| bad.start < from + buffer.len() && from < bad.end) {
            return Err(io::Error::other("a simulated bad sector"));
        }
        buffer.copy_from_slice(found);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.state().inodes[self.inode].write_back();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().inodes[self.inode].current.len() as u64)
    }
}
