//! Requests of one device, or of the appliance itself: the only way in for calls on behalf of a device.
//!
//! Taking in is written in `take`, reading in `core` and `past`; here is the handle that carries the scope to both. Not
//! here: the choice of scope (the agent).

use crate::core::Core;
use crate::core::scope::Scope;
use crate::keep::labels::{self, LabelWish, Labelling};
use crate::keep::sources::{self, Career, RhythmWish, Said};
use crate::ledger::view::SnapshotRecord;
use crate::packs::place::Fetch;
use crate::past::browse::{self, Difference, ListedBelow, ListedFolder, Lookup, Run};
use crate::past::names::{self, NameIndex, NameQuery, NamesFound};
use crate::past::standing::{self, SnapshotFate};
use crate::take::folder::{self, FolderClaim, KnownSource};
use crate::take::share;
use crate::take::{commit, receive};
use crate::vault::Vault;
use crate::{Committed, Found, Result, StoreError};
use larder_format::ledger::{Origin, Snapshot, WallStamp};
use larder_format::tree::read::{OpenComparison, Visitor, Walked};
use larder_format::tree::{Node, Piece};
use larder_format::wire::{Neighbours, Received};
use larder_format::{ChunkId, ChunkRef};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// The vault within the rights of one asker.
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
    /// The `ids` that the vault does not hold whole, in order. The other chunks stay until the device's next commit, for a
    /// day at least.
    pub fn missing(&self, ids: &[ChunkId]) -> Vec<ChunkId> {
        receive::missing(self.core, self.scope, ids)
    }

    /// Takes in an upload of blocks. The result proves that the names were computed here.
    ///
    /// # Errors
    /// `Refused` for anything but a block, `Full`, `Disk`. Blocks before the error are kept.
    pub fn receive(&self, upload: &[u8]) -> Result<Received> {
        receive::receive(self.core, self.scope, upload)
    }

    /// Looks, before a byte is sent, whether a push from the folder `pushed` may become a snapshot of `source`.
    ///
    /// # Errors
    /// `NotYours` for a source of another device, `OtherFolder` where another folder is known, `TooManySources` or
    /// `TooManySnapshots` beyond the device's share.
    pub fn may_push(
        &self,
        source: &str,
        pushed: Option<&Origin>,
        claim: FolderClaim,
        now: WallStamp,
    ) -> Result<KnownSource> {
        self.scope.require_own(source)?;
        share::require(&self.core.ledger(), source, now)?;
        folder::require_same(&self.core.ledger(), source, pushed, claim)
    }

    /// Makes a snapshot exist. The same push twice is one snapshot.
    ///
    /// # Errors
    /// `NotYours` for a source of another device, `OtherFolder` for another folder than the source's, `Missing` when the
    /// tree is not complete, `Refused` when the tree breaks rules, `Full`, `Disk`.
    pub fn commit(&self, snapshot: Snapshot, stamp: WallStamp) -> Result<Committed> {
        self.commit_claiming(snapshot, FolderClaim::Same, stamp)
    }

    /// The same, with the device's word on the folder.
    ///
    /// # Errors
    /// As `commit`; `OtherFolder` not for a folder that moved.
    pub fn commit_claiming(
        &self,
        snapshot: Snapshot,
        claim: FolderClaim,
        stamp: WallStamp,
    ) -> Result<Committed> {
        commit::commit(self.core, self.scope, commit::Wanted { snapshot, claim }, stamp)
    }

    /// Says how long a source may be silent. A key that only pushes may say so of its own sources, and only shorten it.
    ///
    /// # Errors
    /// `NotFound` for a source without snapshots; `Full`, `Disk`.
    pub fn expect(&self, wish: &RhythmWish, stamp: WallStamp) -> Result<Said> {
        sources::expect(self.core, self.scope, wish, stamp)
    }

    /// Retires a source, in force after 72 hours, or takes that back.
    ///
    /// # Errors
    /// As `expect`.
    pub fn retire(&self, source: &str, career: Career, stamp: WallStamp) -> Result<Said> {
        sources::retire(self.core, self.scope, source, career, stamp)
    }

    /// Has a snapshot stay whatever the rule says, for as long as `wish` says or longer.
    ///
    /// # Errors
    /// `NotFound` for a snapshot that is not kept; `Full`, `Disk`.
    pub fn label(&self, wish: &LabelWish, stamp: WallStamp) -> Result<Labelling> {
        labels::label(self.core, self.scope, wish, stamp)
    }

    /// What became of snapshots of the asking device, by their numbers; cheapest where these rise.
    pub fn fates(&self, snapshots: &[u64]) -> Vec<SnapshotFate> {
        standing::fates(self.core, self.scope, snapshots)
    }

    /// Kept snapshots of a source, oldest first; at least one.
    ///
    /// # Errors
    /// `NotFound` for a source without snapshots, and for one that the asker may not see.
    pub fn snapshots(&self, source: &str) -> Result<Vec<Arc<SnapshotRecord>>> {
        self.scope.require_visible(source)?;
        let records = self.core.ledger().snapshots(source).to_vec();
        if records.is_empty() { Err(StoreError::no_source(source)) } else { Ok(records) }
    }

    /// Names of the sources that the asker may see.
    pub fn sources(&self) -> Vec<String> {
        self.core.ledger().sources.keys().filter(|source| self.scope.may_see(source)).cloned().collect()
    }

    /// The bytes of a chunk, hashed again.
    ///
    /// # Errors
    /// `Damaged` when no disk has the chunk whole, or at all; `Disk` when none answers.
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

    /// The order of reads for these chunks; each block once. Missing chunks are left out: a single
    /// lost chunk must not keep a whole folder from its owner. So are chunks that no device brought that the asker may see.
    pub fn plan_fetch(&self, ids: &[ChunkId]) -> Vec<Fetch> {
        self.core.plan_fetch(self.scope, ids)
    }

    /// The place of each chunk as a number: equal for chunks of one block, and rising in the order of reads; `NOWHERE` for
    /// a chunk unknown to the index, or not to be seen by the asker. A sweep may move chunks, so the number is an order and
    /// no promise. For an asker that does not see everything the numbers count the blocks of this question.
    pub fn places(&self, ids: &[ChunkId]) -> Vec<u64> {
        self.core.places(self.scope, ids)
    }

    /// The bytes of one step of a plan: a block with the wanted chunks, and maybe neighbours.
    ///
    /// # Errors
    /// `Damaged` when no disk has the block whole; `Disk` when none answers.
    pub fn fetch(&self, step: &Fetch, neighbours: Neighbours) -> Result<Vec<u8>> {
        self.core.fetch(self.scope, step, neighbours)
    }

    /// The same for a reader whose first fetch failed: each chunk is hashed before sending, so that another disk is asked
    /// where the first disk holds other bytes in the chunk's place.
    ///
    /// # Errors
    /// `Damaged` when no disk has the chunk whole; `Disk` when none answers.
    pub fn fetch_proven(&self, step: &Fetch) -> Result<Vec<u8>> {
        self.core.fetch_proven(step)
    }

    /// The target of `path` in a snapshot; the empty path is the pushed folder itself.
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
    pub fn versions(&self, records: &[Arc<SnapshotRecord>], path: &[u8]) -> Result<Vec<Run>> {
        browse::versions(self.core, records, path)
    }

    /// Goes on with a comparison, in memory independent of the trees' size.
    ///
    /// # Errors
    /// As `read_node`, or the error of `visitor`.
    pub fn compare(
        &self,
        comparison: &mut OpenComparison,
        visitor: &mut dyn Visitor<StoreError>,
    ) -> Result<Walked> {
        comparison.go_on(self.core, visitor)
    }

    /// Tells `each` every path that differs, in the order of a walk. Folders count as changed only by their own
    /// attributes; each changed entry inside is told separately. `go_on` is asked before each node is read, since
    /// folders that name each other twice would make a walk of exponential length. `each` breaks when nobody wants more.
    /// Returns whether the walk came to the end.
    ///
    /// # Errors
    /// As `read_node`.
    pub fn diff(
        &self,
        before: ChunkRef,
        after: ChunkRef,
        go_on: &dyn Fn() -> bool,
        each: &mut dyn FnMut(Difference) -> ControlFlow<()>,
    ) -> Result<bool> {
        browse::diff(self.core, before, after, go_on, each)
    }

    /// Hands everything below a folder, down to a level, to `each`, with paths from that folder on: the entries of a
    /// folder, then those of each sub-folder. A damaged folder is counted, and the rest goes on. `go_on` and `each` as for `diff`.
    ///
    /// # Errors
    /// As `read_node`, but for `Damaged`.
    pub fn list_below(
        &self,
        folder: ListedFolder,
        go_on: &dyn Fn() -> bool,
        each: &mut dyn FnMut(&[u8], &Found) -> ControlFlow<()>,
    ) -> Result<ListedBelow> {
        browse::list_below(self.core, folder, go_on, each)
    }

    /// Paths of `source` whose names match, over all kept snapshots that `index` knows.
    ///
    /// # Errors
    /// `NotFound` for a source that the asker may not see; `Disk` when the index cannot be read.
    pub fn find_names(&self, index: &NameIndex, source: &str, query: &NameQuery<'_>) -> Result<NamesFound> {
        self.scope.require_visible(source)?;
        let records = self.core.ledger().looked_at(source);
        names::find(index, &records, query)
    }

    /// Hands the bytes of a file over, piece by piece, from `range`; holes as zeros. `each` breaks when nobody wants more.
    /// Returns whether every byte was handed over.
    ///
    /// # Errors
    /// As `read`.
    pub fn file_bytes(
        &self,
        pieces: &[Piece],
        range: Range<u64>,
        each: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<bool> {
        browse::file_bytes(self.core, pieces, range, each)
    }
}
