//! What one device, or the appliance itself, asks of the vault: the only way in for everything that a device causes.
//!
//! Taking in is written in `take`, reading in `core` and `past`; here is the handle that carries the scope to both. Not
//! here: who may hold which scope (the agent).

use crate::core::Core;
use crate::core::scope::Scope;
use crate::ledger::view::Fact;
use crate::packs::place::Fetch;
use crate::past::browse::{self, Difference, Lookup, Run};
use crate::take::{commit, receive};
use crate::vault::Vault;
use crate::{Committed, Found, Result};
use larder_format::ledger::{Snapshot, Stamp};
use larder_format::tree::read::{Visitor, Walked};
use larder_format::tree::{Node, Piece};
use larder_format::wire::{Neighbours, Received};
use larder_format::{ChunkId, ChunkRef};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// The vault as one asker may use it.
#[derive(Clone, Copy)]
pub struct By<'a> {
    pub(crate) core: &'a Core,
    scope: &'a Scope,
}

impl Vault {
    /// The vault as `scope` may use it.
    pub fn by<'a>(&'a self, scope: &'a Scope) -> By<'a> {
        By { core: &self.core, scope }
    }
}

impl<'a> By<'a> {
    /// Those of `ids` that the vault does not hold, or not whole, in order. The others stay until the device's next commit, for
    /// a day at least.
    pub fn missing(&self, ids: &[ChunkId]) -> Vec<ChunkId> {
        receive::missing(self.core, self.scope, ids)
    }

    /// Takes in an upload of blocks. What it returns proves that the names were computed here.
    ///
    /// # Errors
    /// `Refused` for anything that is no block, `Full`, `Disk`. What came before the error is kept.
    pub fn receive(&self, upload: &[u8]) -> Result<Received> {
        receive::receive(self.core, self.scope, upload)
    }

    /// Makes a snapshot exist. The same push twice is one snapshot.
    ///
    /// # Errors
    /// `NotYours` for a source of another device, `Missing` when the tree is not complete, `Refused` when it breaks rules,
    /// `Full`, `Disk`.
    pub fn commit(&self, snapshot: Snapshot, stamp: Stamp) -> Result<Committed> {
        commit::commit(self.core, self.scope, snapshot, stamp)
    }

    /// The bytes of a chunk, hashed again.
    ///
    /// # Errors
    /// `Damaged` when no disk has them whole, or at all; `Disk` when none answers.
    pub fn read(&self, chunk: &ChunkRef) -> Result<Vec<u8>> {
        self.core.read(chunk)
    }

    /// Reads and checks one directory node.
    ///
    /// # Errors
    /// As `read`, or `Refused` when the chunk is no node.
    pub fn read_node(&self, node: &ChunkRef) -> Result<Node> {
        self.core.read_node(node)
    }

    /// In which order to read these chunks; each block once. What the vault does not hold is left out, so that one
    /// lost piece does not keep a whole folder from its owner.
    pub fn plan_fetch(&self, ids: &[ChunkId]) -> Vec<Fetch> {
        self.core.plan_fetch(ids)
    }

    /// Where each of these chunks lies, as a number: the same one for chunks of one block, and in the order in which blocks
    /// are read; `NOWHERE` for what the index does not know. A sweep may move chunks, so it is an order and no promise.
    pub fn places(&self, ids: &[ChunkId]) -> Vec<u64> {
        self.core.places(ids)
    }

    /// The bytes of one step of a plan: a block with the wanted chunks, and maybe some of their neighbours.
    ///
    /// # Errors
    /// `Damaged` when no disk has it whole; `Disk` when none answers.
    pub fn fetch(&self, step: &Fetch, neighbours: Neighbours) -> Result<Vec<u8>> {
        self.core.fetch(step, neighbours)
    }

    /// The same for whoever did not get what they asked for at first: each chunk is named by its bytes before it is sent,
    /// so that another disk is asked where the first one has something else in its place.
    ///
    /// # Errors
    /// `Damaged` when no disk has it whole; `Disk` when none answers.
    pub fn fetch_proven(&self, step: &Fetch) -> Result<Vec<u8>> {
        self.core.fetch_proven(step)
    }

    /// What `path` leads to in a snapshot; the empty path is the pushed folder itself.
    ///
    /// # Errors
    /// As `read_node`.
    pub fn look_up(&self, root: &ChunkRef, path: &[u8]) -> Result<Lookup> {
        browse::look_up(self.core, root, path)
    }

    /// The entries of a folder, in the order of their names, one node in memory at a time.
    pub fn entries(&self, top: ChunkRef) -> impl Iterator<Item = Result<Found>> + 'a {
        browse::entries(self.core, top)
    }

    /// Every version of one path, oldest first. Snapshots before its first appearance are not a run.
    ///
    /// # Errors
    /// As `read_node`.
    pub fn versions(&self, facts: &[Arc<Fact>], path: &[u8]) -> Result<Vec<Run>> {
        browse::versions(self.core, facts, path)
    }

    /// Compares two trees entry by entry, in memory that does not grow with them.
    ///
    /// # Errors
    /// As `read_node`, or what `visitor` returns.
    pub fn compare(
        &self,
        before: ChunkRef,
        after: ChunkRef,
        visitor: &mut dyn Visitor<crate::StoreError>,
    ) -> Result<Walked> {
        browse::compare(self.core, before, after, visitor)
    }

    /// Tells `each` every path that differs, in the order of a walk. Folders count as changed only by their own
    /// attributes; what is in them is told by itself. `go_on` is asked before each node is read, since folders that name
    /// each other twice have no end that anybody would live to see. Returns whether it came to the end.
    ///
    /// # Errors
    /// As `read_node`, or what `each` returns.
    pub fn diff(
        &self,
        before: ChunkRef,
        after: ChunkRef,
        go_on: &dyn Fn() -> bool,
        each: &mut dyn FnMut(Difference) -> Result<()>,
    ) -> Result<bool> {
        browse::diff(self.core, before, after, go_on, each)
    }

    /// Hands the bytes of a file over, piece by piece, from `range`; holes as zeros.
    ///
    /// # Errors
    /// As `read`, or what `each` returns.
    pub fn file_bytes(
        &self,
        pieces: &[Piece],
        range: Range<u64>,
        each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<()> {
        browse::file_bytes(self.core, pieces, range, each)
    }
}
