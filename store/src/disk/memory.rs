//! A disk in memory that knows which of its bytes and names would survive a power cut.
//!
//! Every write and every change of a name stays pending until it is synced. `after_power_cut` gives the disk that a
//! machine would find when it comes back: what was synced, and of the rest whatever a seed decides - nothing, some
//! of the writes in any order, the last one torn. Bytes and names are lost apart from each other, as on ext4.

use super::{Disk, DiskFile, Item, Space, folder_of};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// A simulated disk; clones share one state.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Default)]
struct State {
    inodes: Vec<Inode>,
    folders: BTreeMap<String, Folder>,
    /// Bytes that all files together may have; none for no limit.
    capacity: Option<u64>,
}

#[derive(Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
    current: Vec<u8>,
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

    /// From now on the disk holds at most so many bytes.
    pub fn limit(&self, capacity: u64) {
        self.state().capacity = Some(capacity);
    }

    /// The disk as a machine finds it that lost its power now. The same seed loses the same things.
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut state = self.state().clone();
        let kept = dice.mood();
        for inode in &mut state.inodes {
            let mut bytes = std::mem::take(&mut inode.durable);
            for (at, mut write) in inode.pending.drain(..) {
                match dice.fate(kept) {
                    Fate::Lost => continue,
                    Fate::Torn => write.truncate(dice.below(write.len())),
                    Fate::Kept => {}
                }
                // A write behind a lost one leaves zeros where the lost one was.
                if bytes.len() < at + write.len() {
                    bytes.resize(at + write.len(), 0);
                }
                bytes[at..at + write.len()].copy_from_slice(&write);
            }
            inode.current.clone_from(&bytes);
            inode.durable = bytes;
        }
        for folder in state.folders.values_mut() {
            for (name, change) in std::mem::take(&mut folder.pending) {
                if matches!(dice.fate(kept), Fate::Kept) {
                    apply(&mut folder.durable, name, change);
                }
            }
            folder.current.clone_from(&folder.durable);
        }
        // A folder whose own name was lost is gone with everything in it.
        let named = |path: &str| {
            let mut rest = path;
            while !rest.is_empty() {
                let (parent, name) = (folder_of(rest), rest.rsplit('/').next().unwrap_or_default());
                if state.folders.get(parent).is_none_or(|f| f.current.get(name) != Some(&Name::Folder)) {
                    return false;
                }
                rest = parent;
            }
            true
        };
        let lost: Vec<_> = state.folders.keys().filter(|path| !named(path)).cloned().collect();
        lost.iter().for_each(|path| drop(state.folders.remove(path)));
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Changes one bit of a file, as rot does.
    pub fn flip(&self, path: &str, at: usize, bit: u8) {
        let mut state = self.state();
        if let Ok(inode) = state.file(path) {
            let Inode { current, durable, .. } = &mut state.inodes[inode];
            for byte in [current, durable].into_iter().filter_map(|bytes| bytes.get_mut(at)) {
                *byte ^= 1 << bit;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
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

    fn used(&self) -> u64 {
        let names = self.folders.values().flat_map(|folder| folder.current.values());
        let bytes =
            |name: &Name| if let Name::File(inode) = name { self.inodes[*inode].current.len() } else { 0 };
        names.map(|name| bytes(name) as u64).sum()
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
        let mut state = self.state();
        if state.name(path)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change(path, Some(Name::File(inode)))?;
        Ok(Box::new(MemoryFile { disk: self.clone(), inode }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.state().file(path)?;
        Ok(Box::new(MemoryFile { disk: self.clone(), inode }))
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
        state.file(path)?;
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
        let folder = state.folder(path)?;
        folder.durable.clone_from(&folder.current);
        folder.pending.clear();
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
        Ok(Space { total, free: total.saturating_sub(state.used()) })
    }

    fn name(&self) -> String {
        "memory".to_owned()
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    inode: usize,
}

impl DiskFile for MemoryFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        if state.capacity.is_some_and(|capacity| state.used() + bytes.len() as u64 > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = &mut state.inodes[self.inode];
        inode.pending.push((inode.current.len(), bytes.to_vec()));
        inode.current.extend_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state();
        let bytes = &state.inodes[self.inode].current;
        let from = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let found = bytes.get(from..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let inode = &mut state.inodes[self.inode];
        inode.durable.clone_from(&inode.current);
        inode.pending.clear();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().inodes[self.inode].current.len() as u64)
    }
}

/// How much of what is pending survives.
#[derive(Clone, Copy)]
enum Mood {
    Everything,
    Nothing,
    Some,
}

enum Fate {
    Kept,
    Lost,
    Torn,
}

/// Numbers that depend on nothing but the seed (SplitMix64, Steele, Lea and Flood 2014).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit as u64).max(1)).expect("below a usize")
    }

    fn mood(&mut self) -> Mood {
        match self.below(4) {
            0 => Mood::Everything,
            1 => Mood::Nothing,
            _ => Mood::Some,
        }
    }

    fn fate(&mut self, mood: Mood) -> Fate {
        match (mood, self.below(5)) {
            (Mood::Everything, _) | (Mood::Some, 0 | 1) => Fate::Kept,
            (Mood::Some, 2) => Fate::Torn,
            (Mood::Nothing, _) | (Mood::Some, _) => Fate::Lost,
        }
    }
}
