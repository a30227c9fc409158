//! Taking in what a device sends: what is missing, blocks, and the commit, in the order that keeps promises.
//!
//! The order of a commit, which is the whole point: packs sealed and durable, then the tree checked to be complete, then the
//! ledger entry, and its rename is the moment at which the snapshot exists. The index follows whenever it likes. Whatever a
//! device is told here is pinned for it. Not here: opening blocks and growing packs (`ingest`), what a device holds (`pins`).

use crate::by::By;
use crate::check;
use crate::ingest::{self, OpenPack};
use crate::pins::Holder;
use crate::vault::{Committed, Vault};
use crate::{Result, StoreError};
use larder_format::block::Decoder;
use larder_format::ledger::{Event, Snapshot, Stamp};
use larder_format::pack::PACK_BYTES_AIM;
use larder_format::{ChunkId, Hash, wire};
use std::sync::PoisonError;

/// Room that a device above its share must leave: a pack of the others.
const LEFT_TO_OTHERS_BYTES: u64 = PACK_BYTES_AIM;

impl By<'_> {
    /// Those of `ids` that the vault does not hold, or not whole, in order. The others stay until the device's next commit, for
    /// a day at least.
    pub fn missing(&self, ids: &[ChunkId]) -> Vec<ChunkId> {
        let By { vault, scope } = self;
        let missing = vault.growing().not_held(ids, &scope.holder);
        // Whoever is told that a chunk is held need not send it, so it has to stay until their commit.
        let _no_sweep = vault.sweeping.read().unwrap_or_else(PoisonError::into_inner);
        let mut held = Vec::new();
        let missing = vault.catalog.not_held(&vault.members, missing, &mut held);
        vault.pins().note(&scope.holder, &held);
        missing
    }

    /// Takes in an upload of blocks. What it returns proves that the names were computed here.
    ///
    /// # Errors
    /// `Refused` for anything that is no block, `Full`, `Disk`. What came before the error is kept.
    pub fn receive(&self, upload: &[u8]) -> Result<wire::Received> {
        self.vault.require_own_format()?;
        let mut decoder = Decoder::new();
        let mut names = blake3::Hasher::new();
        let mut chunks = 0;
        let mut rest = upload;
        while !rest.is_empty() {
            let verified;
            (verified, rest) = ingest::verify(&mut decoder, rest)?;
            for name in &verified.names {
                names.update(&name.0);
            }
            chunks += verified.names.len() as u64;
            if !self.missing(&verified.names).is_empty() {
                let taken = self.vault.take(&verified, &self.scope.holder);
                taken.map_err(|error| self.refused(error))?;
            }
        }
        Ok(wire::Received { chunks, names: Hash(*names.finalize().as_bytes()) })
    }

    /// Makes a snapshot exist. The same push twice is one snapshot.
    ///
    /// # Errors
    /// `NotYours` for a source of another device, `Missing` when the tree is not complete, `Refused` when it breaks rules,
    /// `Full`, `Disk`.
    pub fn commit(&self, snapshot: Snapshot, stamp: Stamp) -> Result<Committed> {
        self.scope.require_own(&snapshot.source)?;
        let committed = self.vault.commit(snapshot, stamp).map_err(|error| self.refused(error))?;
        let mut pins = self.vault.pins();
        pins.see(stamp.powered_on_s);
        pins.committed(&self.scope.holder);
        Ok(committed)
    }

    /// Takes note of a refusal for want of room, and adds what unfinished uploads hold: the room that may come back.
    fn refused(&self, error: StoreError) -> StoreError {
        let StoreError::Full { disk, missing_mib, .. } = error else { return error };
        let mut pins = self.vault.pins();
        pins.note_refusal();
        let (sent, others) = pins.unfinished_bytes(&self.scope.holder);
        StoreError::Full { disk, missing_mib, sent_mib: sent >> 20, others_mib: others >> 20 }
    }
}

impl Vault {
    fn take(&self, block: &ingest::Verified<'_>, holder: &Holder) -> Result<()> {
        let mut growing = self.growing();
        // Looked at again after each sealing: others may have filled the next pack meanwhile.
        while growing.open.as_ref().is_some_and(|pack| pack.is_full(block.names.len())) {
            growing = self.seal(growing)?;
        }
        if growing.open.is_none() {
            let room_bytes = self.room_for_uploads();
            let is_above = self.pins().is_above_share(holder, room_bytes);
            let to_be_left = if is_above { LEFT_TO_OTHERS_BYTES } else { 0 };
            self.require_room(PACK_BYTES_AIM + to_be_left)?;
            growing.open = Some(OpenPack::create(&self.members, self.catalog.packs.salt())?);
        }
        let pack = growing.open.as_mut().expect("just opened");
        if let Err(error) = pack.append(&self.members, block.bytes, &block.names) {
            // After a failed write nobody knows what the part holds. Its chunks will be asked for again.
            if let Some(pack) = growing.open.take() {
                pack.abandon(&self.members);
            }
            growing.brought.clear();
            return Err(error);
        }
        let bytes = block.bytes.len() as u64;
        growing.brought(holder, bytes);
        // The disk is not asked while anybody waits for the pins.
        let is_beginning = self.pins().is_beginning(holder);
        let room_bytes = if is_beginning { self.room_for_uploads() } else { 0 };
        self.pins().received(holder, bytes, room_bytes);
        Ok(())
    }

    /// Bytes that uploads can still bring before they are refused.
    pub(crate) fn room_for_uploads(&self) -> u64 {
        self.members.free().saturating_sub(self.reserve_bytes + PACK_BYTES_AIM)
    }

    fn require_room(&self, bytes: u64) -> Result<()> {
        // Where no healthy disk says how much room it has, that is what is wrong, and a larger one would not help.
        let (disk, free) = self.members.tightest().ok_or_else(|| self.members.none_left("open"))?;
        let wanted = self.reserve_bytes + bytes;
        if free >= wanted { Ok(()) } else { Err(StoreError::full(disk, wanted - free)) }
    }

    fn commit(&self, snapshot: Snapshot, stamp: Stamp) -> Result<Committed> {
        if let Some(known) = self.committed(&snapshot.push)? {
            return Ok(known);
        }
        self.require_own_format()?;
        self.seal_all()?;
        self.look_for_vanished(stamp);
        // With damage about, what was complete once need not be now: then all is looked at, and the device is asked
        // for what it still has.
        let is_sound = self.damaged_chunks() == 0
            && self.unreadable_packs() == 0
            && !self.catalog.packs.damage.is_any_gone_without();
        // What is found complete now must still be there when the entry is written.
        let _no_sweep = self.sweeping.read().unwrap_or_else(PoisonError::into_inner);
        let parent = self.ledger().snapshots(&snapshot.source).last().map(|fact| fact.snapshot.root);
        let parent = parent.filter(|_| is_sound);
        check::complete(self, &snapshot, parent)?;
        let push = snapshot.push;
        // An entry that failed may exist after all: asked again, it must not become a second snapshot.
        let alone = self.alone()?;
        if let Some(known) = self.committed(&push)? {
            return Ok(known);
        }
        // Only here: whoever committed meanwhile is the parent.
        let parent = self.ledger().snapshots(&snapshot.source).last().map(|fact| fact.sequence);
        self.append_alone(&alone, stamp, Event::Snapshot(Snapshot { parent, ..snapshot }))?;
        let committed = self.committed(&push)?.expect("it was just applied");
        Ok(Committed { is_new: true, ..committed })
    }
}
