//! The vault: everything that is kept, opened from its disks, and the packs that grow in it.
//!
//! Not here: what a device asks for (`by`, `take`), the order of a commit (`take`), HTTP, time (a `Stamp` comes in).

use crate::care::Care;
use crate::catalog::Catalog;
use crate::clock::Lifetime;
use crate::disk::Disk;
use crate::identity::Identity;
use crate::index::IndexPlace;
use crate::ingest::{self, Growing, SealingPack};
use crate::ledger;
use crate::ledger::view::{Fact, LedgerView};
use crate::members::{Member, MemberState, MemberView, Members};
use crate::pins::{Holder, Pins};
use crate::sweep::Sweep;
use crate::{Result, StoreError, repair};
use larder_format::ledger::{Event, Head, Stamp};
use larder_format::{ChunkId, Hash};
use std::collections::{BTreeMap, HashSet};
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
    /// What pushes under way rely on, for each device.
    pins: Mutex<Pins>,
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
        let ledger = ledger::files::load(&members)?;
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
            pins: Mutex::default(),
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
        let salvaged_packs = if vault.require_own_format().is_ok() { vault.salvage()? } else { 0 };
        if is_new {
            vault.append(stamp, Event::VaultCreated { vault: id })?;
        }
        vault.enter_disks(stamp);
        Ok((vault, Opened { index_rebuilt, salvaged_packs }))
    }

    /// Brings back what an agent that was killed had taken in and not sealed.
    fn salvage(&self) -> Result<usize> {
        let mut sealed = Vec::new();
        let salvaged = ingest::salvage(&self.members, &self.catalog, &mut sealed);
        let enter = |pack: &ingest::Sealed| {
            self.enter(pack, &BTreeMap::from([(Holder::EarlierRun, pack.len)]));
        };
        sealed.iter().for_each(enter);
        match salvaged {
            // The rest was promised to nobody and waits where it is; what is kept can be restored meanwhile.
            Err(StoreError::Full { .. }) => {}
            salvaged => salvaged?,
        }
        Ok(sealed.len())
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
            .find_map(|member| ledger::files::hash_on(member.disk.as_ref(), sequence))
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

    /// Takes a new pack into the catalogue. Whoever brought bytes to it pins all of it.
    fn enter(&self, pack: &ingest::Sealed, brought: &BTreeMap<Holder, u64>) {
        let number = self.catalog.enter(pack);
        self.pin(number, brought);
    }

    fn pin(&self, pack: u32, brought: &BTreeMap<Holder, u64>) {
        let mut pins = self.pins();
        brought.iter().for_each(|(holder, bytes)| pins.note_pack(holder, pack, *bytes));
    }

    /// The same for a pack that did not grow where pushes see it: a disk that came meanwhile does not have it.
    pub(crate) fn enter_made_apart(&self, pack: &ingest::Sealed) {
        // A disk comes while nothing grows: it is either counted with this pack, or noted here.
        let _growing = self.growing();
        self.enter(pack, &BTreeMap::from([(Holder::Appliance, pack.len)]));
        for (position, member) in self.members.all().iter().enumerate() {
            if member.is_healthy() && !pack.on.contains(&position) {
                member.misses_pack();
            }
        }
    }

    pub(crate) fn pins(&self) -> MutexGuard<'_, Pins> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn growing(&self) -> MutexGuard<'_, Growing> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals the open pack while others go on; returns with the lock held again.
    pub(crate) fn seal<'a>(
        &'a self,
        mut growing: MutexGuard<'a, Growing>,
    ) -> Result<MutexGuard<'a, Growing>> {
        let Some(mut pack) = growing.open.take() else { return Ok(growing) };
        let chunks = Arc::new(std::mem::take(&mut pack.chunks));
        let brought = std::mem::take(&mut growing.brought);
        growing.sealing.push(SealingPack { chunks: chunks.clone(), brought });
        drop(growing);
        let sealing = Sealing { vault: self, chunks };
        let sealed = pack.seal(&self.members)?;
        let number = self.catalog.enter(&sealed);
        let mut growing = self.growing();
        // Together: whoever was told of a chunk in it while it was sealed pins it like those who brought it.
        let brought = sealing.take_out(&mut growing);
        self.pin(number, &brought);
        drop(growing);
        drop(sealing);
        Ok(self.growing())
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

    /// What a push became, if it was committed before.
    pub(crate) fn committed(&self, push: &[u8; 16]) -> Result<Option<Committed>> {
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

impl Sealing<'_> {
    /// Ends it. Returns who brought how much to the pack, or was told of a chunk in it.
    fn take_out(&self, growing: &mut Growing) -> BTreeMap<Holder, u64> {
        let is_it = |pack: &mut SealingPack| Arc::ptr_eq(&pack.chunks, &self.chunks);
        growing.sealing.extract_if(.., is_it).next().map(|pack| pack.brought).unwrap_or_default()
    }
}

impl Drop for Sealing<'_> {
    fn drop(&mut self) {
        self.take_out(&mut self.vault.growing());
        self.vault.sealed.notify_all();
    }
}

#[cfg(test)]
mod tests;
