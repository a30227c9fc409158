//! Blocks that no disk gives back whole, from the first reading that found it until the next start.
//!
//! Such a chunk counts as one that is not there: a push that still has it is asked for it, and the copy that comes is
//! found before the damaged one. Healed is what has such a copy; the rest is what the owner must hear of.
//! Not here: how damage is found (`packs`), damage on one of several disks, which another one makes good.

use larder_format::ChunkId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Pack number and offset of a block in it.
pub(crate) type BlockAt = (u32, u32);

#[derive(Default)]
pub(crate) struct Damage(Mutex<HashMap<BlockAt, Vec<ChunkId>>>);

impl Damage {
    /// Notes a block and what was in it.
    pub(crate) fn note(&self, block: BlockAt, chunks: Vec<ChunkId>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(block, chunks);
    }

    pub(crate) fn is_known(&self, block: BlockAt) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&block)
    }

    /// Chunks of all damaged blocks.
    pub(crate) fn chunks(&self) -> Vec<ChunkId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().flatten().copied().collect()
    }
}
