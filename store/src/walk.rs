//! Walking through every kept snapshot, and marking each chunk that one of them names.
//!
//! A node that was walked is not walked again, so a thousand snapshots cost hardly more than what differs between them.
//! Every copy of a chunk is marked: one that came to heal another must not be taken for a spare. What cannot be found or
//! read ends the walk with an error, since nobody knows then what else is needed. Not here: what becomes of the rest
//! (`sweep`).

use crate::ledger::view::{LedgerView, PRUNE_GRACE_S};
use crate::marks::{At, Marks};
use crate::vault::Vault;
use crate::{Result, StoreError};
use larder_format::tree::{Kind, Node, Piece, Reference, decode_pieces};
use larder_format::{ChunkId, ChunkRef};
use std::collections::HashSet;

/// Something that names other chunks.
enum Step {
    Node(ChunkRef),
    List(ChunkRef),
}

#[derive(Default)]
pub(crate) struct Walk {
    live: Marks,
    // Kept apart: the bytes of a node, backed up as a file, are one chunk with it, and marked before its folder is walked.
    nodes: Marks,
    lists: Marks,
    rest: Vec<Step>,
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
    pub(crate) fn begin(view: &LedgerView, now: &crate::clock::Mark) -> Self {
        let mut walk = Self::default();
        let lately = view.let_go.iter().filter(|gone| !gone.at.is_past(PRUNE_GRACE_S, now));
        walk.rest.extend(lately.flat_map(|gone| &gone.facts).map(|fact| Step::Node(fact.snapshot.root)));
        walk.take_in(view);
        walk
    }

    /// Takes in snapshots that came since; returns whether there are any.
    pub(crate) fn take_in(&mut self, view: &LedgerView) -> bool {
        let before = self.rest.len();
        for facts in view.sources.values() {
            let new = facts.partition_point(|fact| fact.sequence <= self.up_to);
            self.rest.extend(facts[new..].iter().map(|fact| Step::Node(fact.snapshot.root)));
        }
        self.up_to = view.head.sequence;
        self.rest.len() > before
    }

    /// Whether a snapshot came that it has not taken in.
    pub(crate) fn is_behind(&self, view: &LedgerView) -> bool {
        let newest = view.sources.values().filter_map(|facts| facts.last()).map(|fact| fact.sequence).max();
        newest.is_some_and(|newest| newest > self.up_to)
    }

    /// Looks up about so many chunks more. Returns whether everything is marked.
    pub(crate) fn go_on(&mut self, vault: &Vault, chunks_max: u64) -> Result<bool> {
        let until = self.looked_up + chunks_max;
        while self.looked_up < until {
            match self.rest.pop() {
                None if self.lost.is_empty() => return Ok(true),
                None => self.look_for_lost(vault)?,
                Some(Step::Node(node)) => self.node(vault, &node)?,
                Some(Step::List(list)) => self.list(vault, &list)?,
            }
        }
        Ok(self.rest.is_empty() && self.lost.is_empty())
    }

    /// What was given up may have come again, and was misread a moment ago, or the index has forgotten it. What lies below
    /// it was not walked, so nothing may be freed.
    fn look_for_lost(&mut self, vault: &Vault) -> Result<()> {
        self.lost.sort_unstable();
        self.lost.dedup();
        match vault.catalog.find(&vault.members, &std::mem::take(&mut self.lost)).first() {
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

    fn node(&mut self, vault: &Vault, node: &ChunkRef) -> Result<()> {
        let places = self.mark(vault, &node.id)?;
        if places.iter().any(|at| self.nodes.has(*at)) {
            return Ok(());
        }
        if places.is_empty() {
            return Ok(());
        }
        match vault.read_node(node)? {
            Node::Branch(children) => self.rest.extend(children.iter().map(|child| Step::Node(child.node))),
            Node::Leaf { entries, .. } => {
                for entry in entries {
                    match entry.kind {
                        Kind::Directory { node, .. } => self.rest.push(Step::Node(node)),
                        Kind::File { pieces, .. } => self.pieces(vault, &pieces)?,
                        _ => {}
                    }
                }
            }
        }
        places.into_iter().for_each(|at| self.nodes.set(at));
        Ok(())
    }

    fn list(&mut self, vault: &Vault, list: &ChunkRef) -> Result<()> {
        let places = self.mark(vault, &list.id)?;
        if places.iter().any(|at| self.lists.has(*at)) {
            return Ok(());
        }
        if places.is_empty() {
            return Ok(());
        }
        self.pieces(vault, &decode_pieces(&vault.read(list)?)?)?;
        places.into_iter().for_each(|at| self.lists.set(at));
        Ok(())
    }

    fn pieces(&mut self, vault: &Vault, pieces: &[Piece]) -> Result<()> {
        for reference in pieces.iter().filter_map(Reference::of) {
            match reference {
                Reference::List(list) => self.rest.push(Step::List(list)),
                other => drop(self.mark(vault, &other.chunk().id)?),
            }
        }
        Ok(())
    }

    /// Marks every copy of a chunk; returns where they lie: nowhere when it was given up and has not come again. One that
    /// has a place and cannot be read ends the walk, since what is below it is needed.
    fn mark(&mut self, vault: &Vault, id: &ChunkId) -> Result<Vec<At>> {
        self.looked_up += 1;
        let catalog = &vault.catalog;
        let (hints, mut places) = catalog.every_place(&vault.members, id);
        if places.is_empty() && is_given_up(vault, id) {
            self.lost.push(*id);
            self.missed.insert(*id);
            return Ok(Vec::new());
        }
        if places.is_empty() {
            // An index that has no word of it is not believed: what it forgot must not be freed.
            places.extend(catalog.find(&vault.members, &[*id]).into_iter().map(|(place, _)| place));
        }
        if places.is_empty() {
            // Owner and devices must hear of it, unless a disk that is away has it.
            if !catalog.packs.damage.is_any_gone_without() {
                catalog.packs.damage.note_absent(*id);
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
fn is_given_up(vault: &Vault, id: &ChunkId) -> bool {
    vault.catalog.packs.damage.is_given_up(id)
}
