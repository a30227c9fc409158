//! The effects of time on a disk without writes: bits flip, sectors go bad, files vanish, disks are copied.
//!
//! No function here is a call of `Disk`: the changes happen without the caller's knowledge. Not here: power cuts
//! (`cut`), faults of single calls (`FaultyDisk`).

use super::{MediumState, MemoryDisk, Name};
use crate::disk::Dice;
use std::ops::Range;
use std::sync::{Arc, Mutex};

impl MemoryDisk {
    /// Flips one bit of a file, as rot does. Returns whether the byte exists.
    pub fn flip(&self, path: &str, at: usize, bit: u8) -> bool {
        self.change_bytes(path, at..at.saturating_add(1), |byte, _| *byte ^= 1 << bit)
    }

    /// Puts other bytes in the place of `range`, as a stray write does. Returns whether any byte changed.
    pub fn scramble(&self, path: &str, range: Range<usize>, seed: u64) -> bool {
        self.change_bytes(path, range, |byte, at| {
            // Never the former byte.
            *byte ^= Dice::of(seed, at).roll().to_le_bytes()[0] | 1;
        })
    }

    /// From now on every read that touches `range` of the file fails. Returns whether the file exists.
    pub fn make_unreadable(&self, path: &str, range: Range<usize>) -> bool {
        let mut state = self.state();
        let Ok(inode) = state.file(path) else { return false };
        state.inodes[inode].unreadable.push(range);
        true
    }

    /// The whole file can be read again, as after a better cable.
    pub fn make_readable(&self, path: &str) {
        let mut state = self.state();
        if let Ok(inode) = state.file(path) {
            state.inodes[inode].unreadable.clear();
        }
    }

    /// Removes a file for good, as a damaged folder does. Returns whether the file existed.
    pub fn lose(&self, path: &str) -> bool {
        let mut state = self.state();
        let Ok(Some(Name::File(_))) = state.name(path) else { return false };
        let done = state.change(path, None).is_ok();
        state.write_back_names();
        state.count_used();
        done
    }

    /// Every cached write reaches the medium, as happens within a minute anyway: bytes dropped by a failed sync stay
    /// lost.
    pub fn write_back(&self) {
        self.state().write_back();
    }

    /// The disk as found after an orderly unmount. The copy shares no state with this disk, so a later test can swap
    /// the disk for this image.
    pub fn after_clean_stop(&self) -> Self {
        let mut state = self.state().clone();
        state.write_back();
        for inode in &mut state.inodes {
            inode.current = inode.durable.clone();
            inode.has_lost = false;
        }
        for folder in state.folders.values_mut() {
            folder.current.clone_from(&folder.durable);
        }
        state.count_used();
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Every file with its length, in order of their paths.
    pub fn files(&self) -> Vec<(String, u64)> {
        let state = self.state();
        let mut found = Vec::new();
        for (folder, names) in &state.folders {
            for (name, at) in &names.current {
                if let Name::File(inode) = at {
                    let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                    found.push((path, state.inodes[*inode].current.len() as u64));
                }
            }
        }
        found.sort();
        found
    }

    fn change_bytes(&self, path: &str, range: Range<usize>, change: impl Fn(&mut u8, u64)) -> bool {
        let mut state = self.state();
        let Ok(inode) = state.file(path) else { return false };
        let inode = &mut state.inodes[inode];
        let mut any = false;
        for bytes in [&mut inode.current, &mut inode.durable] {
            let range = range.start..range.end.min(bytes.len());
            if !range.is_empty() {
                let start = range.start;
                for (at, byte) in Arc::make_mut(bytes)[range].iter_mut().enumerate() {
                    change(byte, (start + at) as u64);
                }
                any = true;
            }
        }
        // Two equal copies would be equal again, each with bytes of its own.
        if inode.pending.is_empty() && inode.current == inode.durable {
            inode.durable = inode.current.clone();
        }
        any
    }
}

impl MediumState {
    fn write_back(&mut self) {
        self.inodes.iter_mut().for_each(super::Inode::write_back);
        self.write_back_names();
    }

    fn write_back_names(&mut self) {
        self.folders.values_mut().for_each(super::Folder::write_back);
    }
}
