//! TrustedTime phase: walks every kept snapshot and marks each named chunk.
//!
//! Each node is read once, so a thousand snapshots cost hardly more than their differences. Every copy of a chunk is
//! marked: a copy made to heal damage must not be taken for a spare. An unreadable or missing chunk ends the mark phase
//! with an error, since the chunks below stay unknown. Not here: removal of unmarked chunks (`sweep`).

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
    // Two sets: a file with the bytes of a node shares one chunk with the node, marked before the node's folder is
    // walked. Marked when queued for reading: a node named ten thousand times must not be queued as often.
    nodes: Marks,
    lists: Marks,
    /// Snapshots whose trees are not walked yet.
    roots: Vec<ChunkRef>,
    rest: DepthFirst,
    /// Chunks given up once and not found; looked for together at the end.
    lost: Vec<ChunkId>,
    /// Every chunk given up and named by a kept snapshot.
    missed: HashSet<ChunkId>,
    /// Snapshots up to this number are included.
    up_to: u64,
    looked_up: u64,
}

impl Walk {
    /// Begins with every kept snapshot and the snapshots let go of lately.
    pub(crate) fn begin(view: &LedgerView, now: &clock::TrustedTime) -> Self {
        let mut walk = Self::default();
        let lately = view.let_go.iter().filter(|gone| !gone.at.is_past(PRUNE_GRACE_S, now));
        walk.roots.extend(lately.flat_map(|gone| &gone.records).map(|record| record.snapshot.root));
        walk.take_in(view);
        walk
    }

    /// Includes snapshots committed since; returns whether there are any.
    pub(crate) fn take_in(&mut self, view: &LedgerView) -> bool {
        let before = self.roots.len();
        for records in view.sources.values() {
            let new = records.partition_point(|record| record.sequence <= self.up_to);
            self.roots.extend(records[new..].iter().map(|record| record.snapshot.root));
        }
        self.up_to = view.head.sequence;
        self.roots.len() > before
    }

    /// Whether a newer snapshot is not included yet.
    pub(crate) fn is_behind(&self, view: &LedgerView) -> bool {
        let newest =
            view.sources.values().filter_map(|records| records.last()).map(|record| record.sequence).max();
        newest.is_some_and(|newest| newest > self.up_to)
    }

    /// Looks up about `chunks_max` chunks more. Returns whether every chunk is marked.
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

    /// A chunk given up may have come again, with a misread a moment ago or a gap in the index. The chunks below were
    /// not walked, so nothing may be freed.
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

    /// Chunks given up and named by a kept snapshot, known at the end of the mark phase.
    pub(crate) fn missed(&self) -> &HashSet<ChunkId> {
        &self.missed
    }

    pub(crate) fn marks(&self) -> &Marks {
        &self.live
    }

    pub(crate) fn into_marks(self) -> Marks {
        self.live
    }

    fn read(&mut self, core: &Core, unread: Unread) -> Result<()> {
        // Counted too, or a node naming only known chunks would cost a step nothing.
        self.looked_up += 1;
        let mut rest = std::mem::take(&mut self.rest);
        let read = rest.read(core, unread, &mut |reference| self.reference(core, reference));
        self.rest = rest;
        read
    }

    /// Marks a chunk named by a tree; returns whether to walk the chunk in turn.
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

    /// Marks every copy of a chunk; returns the places: none for a chunk given up and not returned. A chunk with a
    /// place and a failed read ends the mark phase, since the chunks below are needed.
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
            // An index without the chunk is not believed: a chunk forgotten by the index must not be freed.
            places.extend(catalog.find(&core.members, &[*id]).into_iter().map(|(place, _)| place));
        }
        if places.is_empty() {
            // Owner and devices must hear of the loss, unless an absent disk has the chunk.
            if !catalog.packs.trouble.is_any_gone_without() {
                catalog.packs.trouble.note_absent(*id);
            }
            return Err(StoreError::NotFound { what: format!("piece {} of a kept backup", id.short()) });
        }
        let places: Vec<_> = places.into_iter().map(|place| (place.pack, place.slot)).collect();
        places.iter().for_each(|at| self.live.set(*at));
        // A copy whose list is unreadable just now may be the only whole copy.
        hints.into_iter().for_each(|at| self.live.set(at));
        Ok(places)
    }
}

/// Whether the chunk was named as lost. Chunks reachable only from there cannot be restored either, and a push bringing
/// the chunk again is asked for the rest.
fn is_given_up(core: &Core, id: &ChunkId) -> bool {
    core.trouble().is_given_up(id)
}
