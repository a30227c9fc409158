//! The kept state with the locks: the disks, the ledger, the catalogue of packs, and growing packs.
//!
//! Every module above (`take`, `past`, `keep`, `upkeep`) is a function of a `Core`; no module below knows `Core`. Not here:
//! what a device may ask for (`vault::by`), the use of any part.

use crate::core::maintenance::Maintenance;
use crate::disks::identity::Identity;
use crate::disks::member::Member;
use crate::disks::members::Members;
use crate::ledger::clock::Lifetime;
use crate::ledger::view::LedgerView;
use crate::locks::{Mutex, MutexGuard, ReadGuard, RwLock, rank};
use crate::packs::catalog::Catalog;
use crate::packs::growing::Growing;
use crate::packs::owners::Owners;
use crate::packs::pins::Pins;
use crate::packs::trouble::Troubles;
pub(crate) use exclusive::Exclusive;
use std::sync::Condvar;
use std::sync::atomic::{AtomicBool, AtomicUsize};

mod access;
mod exclusive;
mod growing;
pub(crate) mod lacking;
pub(crate) mod maintenance;
mod reading;
pub(crate) mod scope;
pub(crate) mod watchlist;
pub(crate) mod whose;
mod writing;

/// The ledger, read.
pub(crate) type LedgerGuard<'a> = ReadGuard<'a, LedgerView, { rank::LEDGER }>;
/// Pins, held.
pub(crate) type PinsGuard<'a> = MutexGuard<'a, Pins, { rank::PINS }>;
/// The table of what each device brought, held.
pub(crate) type OwnersGuard<'a> = MutexGuard<'a, Owners, { rank::OWNERS }>;
/// Growing packs, held.
pub(crate) type GrowingGuard<'a> = MutexGuard<'a, Growing, { rank::GROWING }>;

/// The kept state. Shared by threads; every call may block on the disk.
pub(crate) struct Core {
    pub(crate) members: Members,
    pub(crate) catalog: Catalog,
    pub(crate) maintenance: Maintenance,
    pub(crate) id: [u8; 16],
    pub(crate) ledger: RwLock<LedgerView, { rank::LEDGER }>,
    /// One commit at a time: an entry names the entry before.
    pub(crate) commits: Mutex<(), { rank::COMMITS }>,
    pub(crate) ledger_uncertain: AtomicBool,
    growing: Mutex<Growing, { rank::GROWING }>,
    sealed: Condvar,
    pub(crate) reserve_bytes: u64,
    /// Disks that must take each new backup: with fewer, a full disk stops new backups.
    pub(crate) copies: AtomicUsize,
    /// Time as known from the ledger and all clock readings since the start.
    pub(crate) lifetime: Mutex<Lifetime, { rank::LIFETIME }>,
    /// Held for writing while packs are removed, so that no device is told meanwhile of a chunk in such a pack.
    pub(crate) sweeping: RwLock<(), { rank::SWEEPING }>,
    /// Pinned chunks and packs of pushes under way, for each device.
    pins: Mutex<Pins, { rank::PINS }>,
    /// What each device brought itself.
    owners: Mutex<Owners, { rank::OWNERS }>,
    /// One block at a time is written anew, since each takes some megabytes.
    pub(crate) parting: Mutex<(), { rank::POOL }>,
    /// Held during a step of a sweep: the last mark phase's result, valid as long as no disk brings new packs.
    pub(crate) mark_proof: Mutex<MarkProof, { rank::MARK_PROOF }>,
}

/// Result of mark phases over the disks that are here.
#[derive(Debug, Default)]
pub(crate) struct MarkProof {
    /// Rises with each disk that joins: an earlier mark phase could not see the content of the disk.
    pub(crate) disks_come: u64,
    /// Start of the last mark phase that found every chunk, in seconds of the appliance's life.
    pub(crate) proven_s: Option<u64>,
}

impl Core {
    /// Joins these disks, this catalogue and this ledger.
    pub(crate) fn new(
        id: [u8; 16],
        reserve_bytes: u64,
        members: Members,
        catalog: Catalog,
        ledger: LedgerView,
    ) -> Self {
        Self {
            members,
            maintenance: Maintenance::default(),
            id,
            lifetime: Mutex::new(ledger.lifetime),
            owners: Mutex::new(catalog.open_owners(ledger.head)),
            ledger: RwLock::new(ledger),
            sweeping: RwLock::default(),
            pins: Mutex::default(),
            parting: Mutex::default(),
            mark_proof: Mutex::default(),
            catalog,
            commits: Mutex::new(()),
            ledger_uncertain: AtomicBool::new(false),
            growing: Mutex::default(),
            sealed: Condvar::new(),
            reserve_bytes,
            copies: AtomicUsize::new(usize::MAX),
        }
    }

    /// Known damage of chunks, packs and disks.
    pub(crate) fn trouble(&self) -> &Troubles {
        &self.catalog.packs.trouble
    }

    pub(crate) fn identity_of(&self, member: &Member) -> Identity {
        Identity { vault: self.id, disk: member.key }
    }

    /// The present ledger; keep the guard only briefly, a commit waits for the lock.
    pub(crate) fn ledger(&self) -> LedgerGuard<'_> {
        self.ledger.read()
    }

    pub(crate) fn pins(&self) -> PinsGuard<'_> {
        self.pins.lock()
    }

    pub(crate) fn growing(&self) -> GrowingGuard<'_> {
        self.growing.lock()
    }
}
