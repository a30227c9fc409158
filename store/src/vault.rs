//! The vault: what the agent asks of the store, in the order that keeps promises.
//!
//! The order of a commit, which is the whole point: packs sealed and durable, then the tree checked to be complete,
//! then the ledger entry, and its rename is the moment at which the snapshot exists. The index follows whenever it
//! likes. Not here: HTTP, devices, time (a `Stamp` comes in).

use crate::care::Care;
use crate::catalog::Catalog;
use crate::check;
use crate::clock::Lifetime;
use crate::disk::Disk;
use crate::identity::Identity;
use crate::index::IndexPlace;
use crate::ingest::{self, Growing, OpenPack};
use crate::ledger;
use crate::ledger_view::{Fact, LedgerView};
use crate::members::{Member, MemberState, MemberView, Members};
use crate::relied::Relied;
use crate::sweep::Sweep;
use crate::{Result, StoreError, repair};
use larder_format::block::Decoder;
use larder_format::ledger::{Event, Head, Snapshot, Stamp};
use larder_format::{ChunkId, Hash, wire};
use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// Everything that opening a vault needs from outside.
pub struct Options {
    /// The disks, each a complete copy.
    pub disks: Vec<Arc<dyn Disk>>,
    /// Where the index lives.
    pub index: IndexPlace,
    /// Random names: for a new vault and for disks that join.
    pub random: Box<dyn FnMut() -> [u8; 16]>,
    /// Bytes that are left free on every disk, so that ledger and sweep still work on a full one.
    pub reserve_bytes: u64,
    /// Now, for the first entry of a new vault.
    pub stamp: Stamp,
}

/// What opening found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Opened {
    /// The index was missing or broken and has been made anew.
    pub index_rebuilt: bool,
    /// Unfinished packs whose content was brought back.
    pub salvaged_packs: usize,
}

/// A snapshot that exists.
#[derive(Debug, Clone)]
pub struct Committed {
    /// What was committed.
    pub fact: Arc<Fact>,
    /// The ledger's head when it was answered.
    pub head: Head,
    /// Disks that hold it, by id.
    pub disks: Vec<String>,
    /// Disks that should hold it and do not.
    pub degraded: Vec<String>,
    /// False when the same push had been committed before.
    pub is_new: bool,
}

/// Everything that is kept. Shared by threads; every call may block on the disk.
pub struct Vault {
    pub(crate) members: Members,
    pub(crate) catalog: Catalog,
    pub(crate) care: Care,
    pub(crate) id: [u8; 16],
    pub(crate) ledger: RwLock<LedgerView>,
    /// One commit at a time: an entry names the one before it.
    pub(crate) commits: Mutex<()>,
    pub(crate) ledger_uncertain: AtomicBool,
    growing: Mutex<Growing>,
    sealed: Condvar,
    pub(crate) reserve_bytes: u64,
    /// What the ledger and all looks at the clock since the start say of time.
    pub(crate) lifetime: Mutex<Lifetime>,
    /// Held for writing while packs are let go of, so that nobody is told of a chunk in one of them meanwhile.
    pub(crate) sweeping: RwLock<()>,
    /// What pushes under way rely on.
    pub(crate) relied: Mutex<Relied>,
    /// The sweep under way.
    pub(crate) sweep: Mutex<Sweep>,
}

/// What a disk may lack so that opening waits until it has it: what a power cut between two disks leaves.
const CAUGHT_UP_AT_ONCE_BYTES: u64 = 256 * 1024 * 1024;

impl Vault {
    /// Opens the vault on these disks, or makes one on empty ones; brings back what a killed agent left.
    ///
    /// # Errors
    /// `Foreign` for disks of different vaults; `Disk` or `Full` when a disk does not do its part.
    pub fn open(options: Options) -> Result<(Self, Opened)> {
        let Options { disks, index, mut random, reserve_bytes, stamp } = options;
        let new_vault = random();
        let (members, id) = Members::open(disks, new_vault, random)?;
        let ledger = ledger::load(&members)?;
        repair::finish(&members, &ledger.swept);
        members.settle(&ledger.disks)?;
        let is_new = ledger.head == Head::EMPTY && ledger.gaps.is_empty();
        if is_new {
            members.require_nothing_kept()?;
        }
        let (catalog, index_rebuilt) = Catalog::open((index, id), &members, &ledger)?;
        let vault = Self {
            members,
            catalog,
            care: Care::default(),
            id,
            lifetime: Mutex::new(ledger.lifetime),
            ledger: RwLock::new(ledger),
            sweeping: RwLock::default(),
            relied: Mutex::default(),
            sweep: Mutex::default(),
            commits: Mutex::new(()),
            ledger_uncertain: AtomicBool::new(false),
            growing: Mutex::default(),
            sealed: Condvar::new(),
            reserve_bytes,
        };
        vault.remember_lost();
        if let Err(error) = vault.catch_up(CAUGHT_UP_AT_ONCE_BYTES) {
            tracing::warn!(%error, "a disk could not catch up yet");
        }
        let salvaged_packs = vault.salvage()?;
        if is_new {
            vault.append(stamp, Event::VaultCreated { vault: id })?;
        }
        vault.enter_disks(stamp);
        Ok((vault, Opened { index_rebuilt, salvaged_packs }))
    }

    /// Brings back what an agent that was killed had taken in and not sealed.
    fn salvage(&self) -> Result<usize> {
        let salvaged = match ingest::salvage(&self.members, &self.catalog) {
            // It was promised to nobody and waits where it is; what is kept can be restored meanwhile.
            Err(StoreError::Full { .. }) => Vec::new(),
            salvaged => salvaged?,
        };
        salvaged.iter().for_each(|pack| self.enter(pack));
        Ok(salvaged.len())
    }

    /// Random name of the vault, in hex.
    pub fn id(&self) -> String {
        crate::identity::hex(&self.id)
    }

    pub(crate) fn identity_of(&self, member: &Member) -> Identity {
        Identity { vault: self.id, disk: member.key }
    }

    /// The ledger as it stands; keep the guard only briefly, a commit waits for it.
    pub fn ledger(&self) -> RwLockReadGuard<'_, LedgerView> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hash of one entry of the ledger, as the first disk has it that has it whole.
    pub fn entry_hash(&self, sequence: u64) -> Option<Hash> {
        let head = self.ledger().head;
        if sequence == head.sequence {
            return Some(head.hash);
        }
        let all = self.members.all();
        all.iter()
            .filter(|member| member.is_readable())
            .find_map(|member| ledger::hash_on(member.disk.as_ref(), sequence))
    }

    /// The disks as they stand.
    pub fn disks(&self) -> Vec<MemberView> {
        self.members.views(&self.ledger().disks)
    }

    /// How far each disk can be trusted; asks no disk.
    pub fn disk_states(&self) -> Vec<MemberState> {
        self.members.all().iter().map(|member| member.state()).collect()
    }

    /// Bytes that the packs take on one disk.
    pub fn stored_bytes(&self) -> u64 {
        self.catalog.packs.bytes()
    }

    /// Makes the index anew from the packs, as after any damage.
    pub fn rebuild_index(&self) {
        self.catalog.start_anew(&self.members);
        while self.index_pending() > 0 {}
    }

    /// Enters some packs into the index that it does not know yet, as after it was lost. Returns how many are left.
    pub fn index_pending(&self) -> usize {
        self.catalog.enter_and_keep(&self.members)
    }

    /// Writes the index out; only spares work at the next start.
    pub fn flush_index(&self) {
        self.catalog.flush();
    }

    /// Those of `ids` that the vault does not hold, or not whole, in order.
    pub fn missing(&self, ids: &[ChunkId]) -> Vec<ChunkId> {
        let missing = {
            let growing = self.growing();
            ids.iter().filter(|id| !growing.holds(id)).copied().collect()
        };
        // Whoever is told that a chunk is held need not send it, so it has to stay until their commit.
        let _no_sweep = self.sweeping.read().unwrap_or_else(PoisonError::into_inner);
        let mut held = Vec::new();
        let missing = self.catalog.not_held(&self.members, missing, &mut held);
        self.relied.lock().unwrap_or_else(PoisonError::into_inner).note(&held);
        missing
    }

    /// Takes a new pack into the catalogue. A push under way relies on all of it.
    pub(crate) fn enter(&self, pack: &ingest::Sealed) {
        let number = self.catalog.enter(pack);
        self.relied.lock().unwrap_or_else(PoisonError::into_inner).note_pack(number);
    }

    /// The same for a pack that did not grow where pushes see it: a disk that came meanwhile does not have it.
    pub(crate) fn enter_made_apart(&self, pack: &ingest::Sealed) {
        // A disk comes while nothing grows: it is either counted with this pack, or noted here.
        let _growing = self.growing();
        self.enter(pack);
        for (position, member) in self.members.all().iter().enumerate() {
            if member.is_healthy() && !pack.on.contains(&position) {
                member.misses_pack();
            }
        }
    }

    /// Takes in an upload of blocks. What it returns proves that the names were computed here.
    ///
    /// # Errors
    /// `Refused` for anything that is no block, `Full`, `Disk`. What came before the error is kept.
    pub fn receive(&self, upload: &[u8]) -> Result<wire::Received> {
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
                self.take(&verified)?;
            }
        }
        Ok(wire::Received { chunks, names: Hash(*names.finalize().as_bytes()) })
    }

    fn take(&self, block: &ingest::Verified<'_>) -> Result<()> {
        let mut growing = self.growing();
        // Looked at again after each sealing: others may have filled the next pack meanwhile.
        while growing.open.as_ref().is_some_and(|pack| pack.is_full(block.names.len())) {
            growing = self.seal(growing)?;
        }
        if growing.open.is_none() {
            self.require_room(larder_format::pack::PACK_BYTES_AIM)?;
            growing.open = Some(OpenPack::create(&self.members, self.catalog.packs.salt())?);
        }
        let pack = growing.open.as_mut().expect("just opened");
        if let Err(error) = pack.append(&self.members, block.bytes, &block.names) {
            // After a failed write nobody knows what the part holds. Its chunks will be asked for again.
            if let Some(pack) = growing.open.take() {
                pack.abandon(&self.members);
            }
            return Err(error);
        }
        Ok(())
    }

    fn require_room(&self, bytes: u64) -> Result<()> {
        let free = self.members.free();
        let wanted = self.reserve_bytes + bytes;
        if free >= wanted {
            return Ok(());
        }
        // Where no healthy disk says how much room it has, that is what is wrong, and a larger one would not help.
        if !self.members.all().iter().any(|member| member.is_healthy() && member.disk.space().is_ok()) {
            return Err(self.members.none_left("open"));
        }
        Err(StoreError::Full { missing_mib: (wanted - free).div_ceil(1 << 20) })
    }

    fn growing(&self) -> MutexGuard<'_, Growing> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals the open pack while others go on; returns with the lock held again.
    fn seal<'a>(&'a self, mut growing: MutexGuard<'a, Growing>) -> Result<MutexGuard<'a, Growing>> {
        let Some(mut pack) = growing.open.take() else { return Ok(growing) };
        let chunks = Arc::new(std::mem::take(&mut pack.chunks));
        growing.sealing.push(chunks.clone());
        drop(growing);
        let sealing = Sealing { vault: self, chunks };
        let sealed = pack.seal(&self.members);
        if let Ok(pack) = &sealed {
            self.enter(pack);
        }
        drop(sealing);
        sealed.map(|_| self.growing())
    }

    /// Makes everything that was received durable and findable.
    ///
    /// # Errors
    /// `Full` or `Disk`; the chunks of the failed pack are then missing again.
    pub fn seal_all(&self) -> Result<()> {
        let mut growing = self.seal(self.growing())?;
        while !growing.sealing.is_empty() {
            growing = self.sealed.wait(growing).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Seals everything, and keeps new packs from being started as long as the result is held.
    pub(crate) fn seal_and_hold(&self) -> Result<MutexGuard<'_, Growing>> {
        let mut growing = self.growing();
        while growing.open.is_some() || !growing.sealing.is_empty() {
            growing = if growing.open.is_some() {
                self.seal(growing)?
            } else {
                self.sealed.wait(growing).unwrap_or_else(PoisonError::into_inner)
            };
        }
        Ok(growing)
    }

    /// Makes a snapshot exist. The same push twice is one snapshot.
    ///
    /// # Errors
    /// `Missing` when the tree is not complete, `Refused` when it breaks rules, `Full`, `Disk`.
    pub fn commit(&self, snapshot: Snapshot, stamp: Stamp) -> Result<Committed> {
        if let Some(known) = self.committed(&snapshot.push)? {
            return Ok(known);
        }
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
        self.append_alone(&alone, stamp, Event::Snapshot(snapshot))?;
        let committed = self.committed(&push)?.expect("it was just applied");
        Ok(Committed { is_new: true, ..committed })
    }

    fn committed(&self, push: &[u8; 16]) -> Result<Option<Committed>> {
        let view = self.ledger();
        let Some(fact) = view.push(push).cloned() else { return Ok(None) };
        let all = self.members.all();
        let ids = |is_meant: fn(&Member) -> bool| -> Vec<String> {
            all.iter().filter(|member| is_meant(member)).map(|member| member.id.clone()).collect()
        };
        let (disks, degraded) = (ids(Member::is_healthy), ids(Member::is_missed));
        // A receipt that no disk stands for would be a lie.
        if disks.is_empty() || view.gaps.contains(&fact.sequence) {
            return Err(self.members.none_left("ledger"));
        }
        Ok(Some(Committed { fact, head: view.head, disks, degraded, is_new: false }))
    }
}

/// A pack that is being sealed. However that ends, nobody waits for it afterwards.
struct Sealing<'a> {
    vault: &'a Vault,
    chunks: Arc<HashSet<ChunkId>>,
}

impl Drop for Sealing<'_> {
    fn drop(&mut self) {
        self.vault.growing().sealing.retain(|other| !Arc::ptr_eq(other, &self.chunks));
        self.vault.sealed.notify_all();
    }
}

#[cfg(test)]
mod tests;
