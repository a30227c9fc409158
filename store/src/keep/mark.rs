//! Walking through every kept snapshot, and marking each chunk that one of them names.
//!
//! A node that was walked is not walked again, so a thousand snapshots cost hardly more than what differs between them.
//! Every copy of a chunk is marked: one that came to heal another must not be taken for a spare. What cannot be found or
//! read ends the walk with an error, since nobody knows then what else is needed. Not here: what becomes of the rest
//! (`sweep`).

use crate::core::Core;
use crate::ledger::clock;
use crate::ledger::view::{LedgerView, PRUNE_GRACE_S};
use crate::packs::marks::{At, Marks};
use crate::{Result, StoreError};
use larder_format::tree::Reference;
use larder_format::tree::read::{DepthFirst, Descend, Unread};
use larder_format::{ChunkId, ChunkRef};
use std::collections::HashSet;

#[derive(Default)]
pub(crate) struct Walk {
    live: Marks,
    // Kept apart: the bytes of a node, backed up as a file, are one chunk with it, and marked before its folder is walked.
    // Marked as soon as they wait to be read: one that is named ten thousand times must not wait as often.
    nodes: Marks,
    lists: Marks,
    /// Snapshots whose trees are still to be walked.
    roots: Vec<ChunkRef>,
    rest: DepthFirst,
    /// What was given up once and was not found; looked for together at the end.
    lost: Vec<ChunkId>,
    /// Everything that was given up and that a kept snapshot names.
    missed: HashSet<ChunkId>,
    /// Snapshots up to this number have been taken in.
    up_to: u64,
    looked_up: u64,
}

impl Walk {
    /// Begins with everything that is kept, and what was let go of lately.
    pub(crate) fn begin(view: &LedgerView, now: &clock::Mark) -> Self {
        let mut walk = Self::default();
        let lately = view.let_go.iter().filter(|gone| !gone.at.is_past(PRUNE_GRACE_S, now));
        walk.roots.extend(lately.flat_map(|gone| &gone.facts).map(|fact| fact.snapshot.root));
        walk.take_in(view);
        walk
    }

    /// Takes in snapshots that came since; returns whether there are any.
    pub(crate) fn take_in(&mut self, view: &LedgerView) -> bool {
        let before = self.roots.len();
        for facts in view.sources.values() {
            let new = facts.partition_point(|fact| fact.sequence <= self.up_to);
            self.roots.extend(facts[new..].iter().map(|fact| fact.snapshot.root));
        }
        self.up_to = view.head.sequence;
        self.roots.len() > before
    }

    /// Whether a snapshot came that it has not taken in.
    pub(crate) fn is_behind(&self, view: &LedgerView) -> bool {
        let newest = view.sources.values().filter_map(|facts| facts.last()).map(|fact| fact.sequence).max();
        newest.is_some_and(|newest| newest > self.up_to)
    }

    /// Looks up about so many chunks more. Returns whether everything is marked.
    pub(crate) fn go_on(&mut self, core: &Core, chunks_max: u64) -> Result<bool> {
        let until = self.looked_up + chunks_max;
        while self.looked_up < until {
            if let Some(unread) = self.rest.pop() {
                self.read(core, unread)?;
            } else if let Some(root) = self.roots.pop() {
                if self.reference(core, &Reference::Node(root))? == Descend::Into {
                    self.rest.push(root);
                }
            } else if self.lost.is_empty() {
                return Ok(true);
            } else {
                self.look_for_lost(core)?;
            }
        }
        Ok(self.rest.is_empty() && self.roots.is_empty() && self.lost.is_empty())
    }

    /// What was given up may have come again, and was misread a moment ago, or the index has forgotten it. What lies below
    /// it was not walked, so nothing may be freed.
    fn look_for_lost(&mut self, core: &Core) -> Result<()> {
        self.lost.sort_unstable();
        self.lost.dedup();
        match core.catalog.find(&core.members, &std::mem::take(&mut self.lost)).first() {
            None => Ok(()),
            Some((_, id)) => {
                let cause = "it was not found at first".to_owned();
                Err(StoreError::Damaged { chunk: *id, cause })
            }
        }
    }

    /// What was given up and is named by something that is kept, once all was walked.
    pub(crate) fn missed(&self) -> &HashSet<ChunkId> {
        &self.missed
    }

    pub(crate) fn marks(&self) -> &Marks {
        &self.live
    }

    fn read(&mut self, core: &Core, unread: Unread) -> Result<()> {
        // Counted too, or a node that names only what was walked before would cost a step nothing.
        self.looked_up += 1;
        let mut rest = std::mem::take(&mut self.rest);
        let read = rest.read(core, unread, &mut |reference| self.reference(core, reference));
        self.rest = rest;
        read
    }

    /// Marks what a tree names; says whether that has to be walked in its turn.
    fn reference(&mut self, core: &Core, reference: &Reference) -> Result<Descend> {
        let places = self.mark(core, &reference.chunk().id)?;
        let walked = match reference {
            Reference::Node(_) => &mut self.nodes,
            Reference::List(_) => &mut self.lists,
            Reference::Bytes(_) => return Ok(Descend::Past),
        };
        if places.is_empty() || places.iter().any(|at| walked.has(*at)) {
            return Ok(Descend::Past);
        }
        places.into_iter().for_each(|at| walked.set(at));
        Ok(Descend::Into)
    }

    /// Marks every copy of a chunk; returns where they lie: nowhere when it was given up and has not come again. One that
    /// has a place and cannot be read ends the walk, since what is below it is needed.
    fn mark(&mut self, core: &Core, id: &ChunkId) -> Result<Vec<At>> {
        self.looked_up += 1;
        let catalog = &core.catalog;
        let (hints, mut places) = catalog.every_place(&core.members, id);
        if places.is_empty() && is_given_up(core, id) {
            self.lost.push(*id);
            self.missed.insert(*id);
            return Ok(Vec::new());
        }
        if places.is_empty() {
            // An index that has no word of it is not believed: what it forgot must not be freed.
            places.extend(catalog.find(&core.members, &[*id]).into_iter().map(|(place, _)| place));
        }
        if places.is_empty() {
            // Owner and devices must hear of it, unless a disk that is away has it.
            if !catalog.packs.trouble.is_any_gone_without() {
                catalog.packs.trouble.note_absent(*id);
            }
            return Err(StoreError::NotFound { what: format!("piece {} of a kept backup", id.short()) });
        }
        let places: Vec<_> = places.into_iter().map(|place| (place.pack, place.slot)).collect();
        places.iter().for_each(|at| self.live.set(*at));
        // A copy whose list could not be read just now may be the only one that is whole.
        hints.into_iter().for_each(|at| self.live.set(at));
        Ok(places)
    }
}

/// Whether the chunk was named as lost. What only it would lead to cannot be restored either, and a push that brings it
/// again is asked for all of that.
fn is_given_up(core: &Core, id: &ChunkId) -> bool {
    core.trouble().is_given_up(id)
}
