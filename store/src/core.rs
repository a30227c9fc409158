//! What is kept, and who may touch it when: the disks, the ledger, the catalogue of packs, packs that grow, and every lock.
//!
//! Everything above (`take`, `past`, `keep`, `upkeep`) is a function of a `Core`; nothing below knows it. Not here: what a
//! device may ask for (`vault::by`), what any of it is good for.

use crate::core::maintenance::Maintenance;
use crate::disks::identity::Identity;
use crate::disks::member::Member;
use crate::disks::members::Members;
use crate::ledger::clock::Lifetime;
use crate::ledger::view::LedgerView;
use crate::locks::{Mutex, MutexGuard, ReadGuard, RwLock, rank};
use crate::packs::catalog::Catalog;
use crate::packs::growing::Growing;
use crate::packs::pins::Pins;
use crate::packs::trouble::Trouble;
pub(crate) use exclusive::Exclusive;
use std::sync::Condvar;
use std::sync::atomic::AtomicBool;

mod access;
mod exclusive;
mod growing;
pub(crate) mod lacking;
pub(crate) mod maintenance;
mod reading;
pub(crate) mod scope;
pub(crate) mod watchlist;
mod writing;

/// The ledger, read.
pub(crate) type LedgerGuard<'a> = ReadGuard<'a, LedgerView, { rank::LEDGER }>;
/// Pins, held.
pub(crate) type PinsGuard<'a> = MutexGuard<'a, Pins, { rank::PINS }>;
/// Packs that grow, held.
pub(crate) type GrowingGuard<'a> = MutexGuard<'a, Growing, { rank::GROWING }>;

/// Everything that is kept. Shared by threads; every call may block on the disk.
pub(crate) struct Core {
    pub(crate) members: Members,
    pub(crate) catalog: Catalog,
    pub(crate) maintenance: Maintenance,
    pub(crate) id: [u8; 16],
    pub(crate) ledger: RwLock<LedgerView, { rank::LEDGER }>,
    /// One commit at a time: an entry names the one before it.
    pub(crate) commits: Mutex<(), { rank::COMMITS }>,
    pub(crate) ledger_uncertain: AtomicBool,
    growing: Mutex<Growing, { rank::GROWING }>,
    sealed: Condvar,
    pub(crate) reserve_bytes: u64,
    /// What the ledger and all looks at the clock since the start say of time.
    pub(crate) lifetime: Mutex<Lifetime, { rank::LIFETIME }>,
    /// Held for writing while packs are let go of, so that nobody is told of a chunk in one of them meanwhile.
    pub(crate) sweeping: RwLock<(), { rank::SWEEPING }>,
    /// What pushes under way rely on, for each device.
    pins: Mutex<Pins, { rank::PINS }>,
    /// Held during a step of a sweep: what it has shown, as long as no disk brings anything new.
    pub(crate) mark_proof: Mutex<MarkProof, { rank::MARK_PROOF }>,
}

/// What mark phases have shown of the disks that are here.
#[derive(Debug, Default)]
pub(crate) struct MarkProof {
    /// Rises with each disk that comes: a mark phase that began before could not see what the disk holds.
    pub(crate) disks_come: u64,
    /// When the last mark phase began that found everything, in seconds that the appliance had lived.
    pub(crate) proven_s: Option<u64>,
}

impl Core {
    /// What these disks, this catalogue and this ledger are together.
    pub(crate) fn new(
        id: [u8; 16],
        reserve_bytes: u64,
        members: Members,
        catalog: Catalog,
        ledger: LedgerView,
    ) -> Self {
        Self {
            members,
            catalog,
            maintenance: Maintenance::default(),
            id,
            lifetime: Mutex::new(ledger.lifetime),
            ledger: RwLock::new(ledger),
            sweeping: RwLock::default(),
            pins: Mutex::default(),
            mark_proof: Mutex::default(),
            commits: Mutex::new(()),
            ledger_uncertain: AtomicBool::new(false),
            growing: Mutex::default(),
            sealed: Condvar::new(),
            reserve_bytes,
        }
    }

    /// What is wrong with chunks, packs and disks.
    pub(crate) fn trouble(&self) -> &Trouble {
        &self.catalog.packs.trouble
    }

    pub(crate) fn identity_of(&self, member: &Member) -> Identity {
        Identity { vault: self.id, disk: member.key }
    }

    /// The ledger as it stands; keep the guard only briefly, a commit waits for it.
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
