//! Chunks that no disk gives back whole: from the first reading that found it, and over restarts once a scrub gave
//! them up.
//!
//! Such a chunk counts as one that is not there: a push that still has it is asked for it, and the copy that comes is
//! found before the damaged one. Healed is what has such a copy; the rest is what the owner must hear of.
//! Not here: how damage is found (`registry`, `scrub`), what makes it good (`repair`).

use crate::locks::{Mutex, MutexGuard, rank};
use crate::packs::place::BlockAt;
use larder_format::ChunkId;
use std::collections::{HashMap, HashSet};

#[derive(Default)]
pub(crate) struct Damage(Mutex<Known, { rank::TROUBLE }>);

#[derive(Default)]
struct Known {
    blocks: HashMap<BlockAt, Vec<ChunkId>>,
    /// Packs whose content is being moved to new ones: a chunk in them counts only where it also lies elsewhere.
    condemned: HashSet<u32>,
    /// Packs that a disk was filled without: what only a disk that is failing or away has is held by no receipt.
    not_to_be_had: HashSet<u32>,
    /// Packs of which a disk did not answer for something: it may all be there.
    unanswered: HashSet<u32>,
    /// Chunks of packs that could not be repaired whole.
    given_up: HashSet<ChunkId>,
    /// Chunks that a kept backup names and that were found nowhere, though nobody saw them go.
    absent: HashSet<ChunkId>,
    /// Something could not be read since the last scrub was told.
    is_suspected: bool,
}

impl Damage {
    fn known(&self) -> MutexGuard<'_, Known, { rank::TROUBLE }> {
        self.0.lock()
    }

    /// Notes a block and what was in it.
    pub(crate) fn note(&self, block: BlockAt, chunks: Vec<ChunkId>) {
        self.known().blocks.insert(block, chunks);
    }

    pub(crate) fn is_known(&self, block: BlockAt) -> bool {
        let known = self.known();
        known.condemned.contains(&block.0)
            || known.not_to_be_had.contains(&block.0)
            || known.blocks.contains_key(&block)
    }

    /// A disk did not answer for something in this pack.
    pub(crate) fn note_unanswered(&self, pack: u32) {
        self.known().unanswered.insert(pack);
    }

    /// Whether what could not be read in this pack was not answered for, since it was opened anew.
    pub(crate) fn is_unanswered(&self, pack: u32) -> bool {
        self.known().unanswered.contains(&pack)
    }

    /// How many chunks lie in blocks that could not be read.
    pub(crate) fn chunks_in_blocks(&self) -> usize {
        self.known().blocks.values().map(Vec::len).sum()
    }

    /// A disk goes on without this pack, since no other one gives it whole.
    pub(crate) fn go_without(&self, pack: u32) {
        self.known().not_to_be_had.insert(pack);
    }

    /// Whether a disk goes on without this pack.
    pub(crate) fn is_gone_without(&self, pack: u32) -> bool {
        self.known().not_to_be_had.contains(&pack)
    }

    /// Whether a disk goes on without any pack.
    pub(crate) fn is_any_gone_without(&self) -> bool {
        !self.known().not_to_be_had.is_empty()
    }

    /// No disk goes on without a pack any more. Returns the numbers of those that some did without.
    pub(crate) fn end_going_without(&self) -> HashSet<u32> {
        std::mem::take(&mut self.known().not_to_be_had)
    }

    /// A kept backup names this chunk, and no pack has it.
    pub(crate) fn note_absent(&self, chunk: ChunkId) {
        self.known().absent.insert(chunk);
    }

    /// Chunks that were given up so far.
    pub(crate) fn given_up(&self) -> HashSet<ChunkId> {
        self.known().given_up.clone()
    }

    /// Forgets those of the chunks in `before` that no kept backup names: nobody can miss them any more.
    pub(crate) fn miss_only(&self, named: &HashSet<ChunkId>, before: &HashSet<ChunkId>) {
        let mut known = self.known();
        known.given_up.retain(|chunk| named.contains(chunk) || !before.contains(chunk));
        known.absent.clear();
    }

    /// Whether anything of the pack is known to be damaged.
    pub(crate) fn is_in(&self, pack: u32) -> bool {
        let known = self.known();
        known.condemned.contains(&pack)
            || known.not_to_be_had.contains(&pack)
            || known.blocks.keys().any(|(of, _)| *of == pack)
    }

    /// Chunks of all damaged blocks, those that were given up, and those that were found nowhere.
    pub(crate) fn chunks(&self) -> HashSet<ChunkId> {
        let known = self.known();
        known.blocks.values().flatten().chain(&known.given_up).chain(&known.absent).copied().collect()
    }

    /// A disk did not give what it should. Where there is one bad sector there are more.
    pub(crate) fn suspect(&self) {
        self.known().is_suspected = true;
    }

    /// Whether a disk is suspected, once for each time that it was.
    pub(crate) fn take_suspicion(&self) -> bool {
        std::mem::take(&mut self.known().is_suspected)
    }

    /// From now on everything in this pack counts as damaged.
    pub(crate) fn condemn(&self, pack: u32) {
        self.known().condemned.insert(pack);
    }

    /// The pack was repaired, or is gone: what was noted of it counts no more.
    pub(crate) fn clear(&self, pack: u32) {
        let mut known = self.known();
        known.condemned.remove(&pack);
        known.not_to_be_had.remove(&pack);
        known.unanswered.remove(&pack);
        known.blocks.retain(|(of, _), _| *of != pack);
    }

    /// The pack could not be emptied: it is as it was.
    pub(crate) fn reprieve(&self, pack: u32) {
        self.known().condemned.remove(&pack);
    }

    /// Whether the chunk is known to be lost.
    pub(crate) fn is_given_up(&self, id: &ChunkId) -> bool {
        self.known().given_up.contains(id)
    }

    /// Remembers chunks as lost. One that a device brings again is held like any other, whatever is remembered.
    pub(crate) fn give_up(&self, chunks: impl IntoIterator<Item = ChunkId>) {
        self.known().given_up.extend(chunks);
    }
}
