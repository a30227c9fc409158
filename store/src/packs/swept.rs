//! Packs that were swept: no longer in the list, and their files still on a disk for a while.

use super::{Fetch, Packs, Place};
use crate::clock::Mark;
use crate::damage::BlockAt;
use larder_format::{ChunkId, Hash};
use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

impl Packs {
    /// Number, name and length of every pack.
    pub(crate) fn with_lengths(&self) -> Vec<(u32, Hash, u64)> {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        registry.names.iter().map(|(number, name)| (*number, *name, registry.numbers[name].1)).collect()
    }

    /// What a new pack carries, so that it is never called like one that was swept.
    pub(crate) fn salt(&self) -> u32 {
        self.salt.load(Ordering::SeqCst)
    }

    /// From now on new packs carry at least `salt`.
    pub(crate) fn raise_salt(&self, salt: u32) {
        self.salt.fetch_max(salt, Ordering::SeqCst);
    }

    /// Takes packs out of the list, and leaves their files to be removed.
    pub(crate) fn forget(&self, numbers: &[u32]) {
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        for number in numbers {
            let Some(name) = registry.names.remove(number) else { continue };
            let (_, len) = registry.numbers.remove(&name).expect("both name it");
            registry.bytes = registry.bytes.saturating_sub(len);
            registry.swept.insert(name);
        }
        drop(registry);
        // Also closes its files: an open one keeps its room on the disk.
        numbers.iter().for_each(|number| self.reopen(*number));
    }

    /// Takes those of the packs on a disk that were swept out of `there`, and leaves their files to be removed.
    pub(crate) fn leave_to_sweep(&self, there: &mut HashMap<Hash, u64>, swept: &HashMap<Hash, Mark>) {
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        registry.swept.extend(there.keys().filter(|name| swept.contains_key(name)));
        there.retain(|name, _| !swept.contains_key(name));
    }

    /// Names of packs whose files may be removed, in order.
    pub(crate) fn left_to_sweep(&self) -> Vec<Hash> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner).swept.iter().copied().collect()
    }

    pub(crate) fn is_left_to_sweep(&self, name: &Hash) -> bool {
        self.registry.read().unwrap_or_else(PoisonError::into_inner).swept.contains(name)
    }

    /// The file of the pack is not left to be removed any more: it is on no disk, or belongs to the vault again.
    pub(crate) fn no_longer_left(&self, name: &Hash) {
        self.registry.write().unwrap_or_else(PoisonError::into_inner).swept.remove(name);
    }
}

impl Fetch {
    /// Chunks of one block of a pack.
    pub(crate) fn of_block((pack, block): BlockAt, chunks: &[(u16, ChunkId)]) -> Self {
        Self(chunks.iter().map(|(slot, id)| (Place { pack, slot: *slot, block }, *id)).collect())
    }

    /// Where each chunk lies.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.0.iter().map(|(place, _)| *place)
    }

    /// The chunks that it brings.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ChunkId> + '_ {
        self.0.iter().map(|(_, id)| *id)
    }
}
