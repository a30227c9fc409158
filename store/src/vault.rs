//! The vault: the facade of the store. One line a call; the module named in the line has the code.
//!
//! Not here: requests of a device (`by`), HTTP, time (a `WallStamp` comes in).

pub(crate) mod by;
mod disks;
mod opening;
mod upkeep;

use crate::core::Core;
use crate::disk::Disk;
use crate::disks::identity;
use crate::keep::labels;
use crate::keep::prune::{self, PrunePlan};
use crate::keep::sources::{self, LetGoOf};
use crate::keep::sweeps::Sweeps;
use crate::keep::unlink;
use crate::ledger::clock::ClockVerdict;
use crate::ledger::entry_files;
use crate::ledger::view::{Access, LedgerView};
use crate::ledger::walk;
use crate::locks::{Mutex, rank};
use crate::packs::index::IndexPlace;
use crate::past::brought::{self, BroughtWalk};
use crate::{Result, Swept};
use larder_format::Hash;
use larder_format::ledger::{Event, Head, WallStamp};
use std::ops::Deref;
use std::sync::Arc;

/// The outside parts of opening a vault.
pub struct Options {
    /// The disks, each a complete copy.
    pub disks: Vec<Arc<dyn Disk>>,
    /// Where the index lives.
    pub index: IndexPlace,
    /// Random names: for a new vault and for disks that join.
    pub random: Box<dyn FnMut() -> [u8; 16]>,
    /// Bytes left free on every disk, so that ledger and sweep still work on a full disk.
    pub reserve_bytes: u64,
    /// Now, for the first entry of a new vault.
    pub stamp: WallStamp,
}

/// Findings of an opening.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Opened {
    /// The index was missing or broken and has been made anew.
    pub index_rebuilt: bool,
    /// Unfinished packs whose content was brought back.
    pub salvaged_packs: usize,
}

/// The vault. Shared by threads; every call may block on the disk.
pub struct Vault {
    pub(crate) core: Core,
    /// The sweeps under way.
    sweeps: Mutex<Sweeps, { rank::SWEEPS }>,
    /// The walk that finds out anew what each device brought.
    brought: Mutex<BroughtWalk, { rank::OWNERS_WALK }>,
}

impl Vault {
    /// Random name of the vault, in hex.
    pub fn id(&self) -> String {
        identity::hex(&self.core.id)
    }

    /// The present ledger; keep the guard only briefly, a commit waits for the lock.
    pub fn ledger(&self) -> impl Deref<Target = LedgerView> + '_ {
        self.core.ledger()
    }

    /// Hash of one entry of the ledger, from the first disk with a whole copy.
    pub fn entry_hash(&self, sequence: u64) -> Option<Hash> {
        let head = self.ledger().head;
        if sequence == head.sequence {
            return Some(head.hash);
        }
        let all = self.core.members.all();
        all.iter()
            .filter(|member| member.is_readable())
            .find_map(|member| entry_files::hash_on(member.disk.as_ref(), sequence))
    }

    /// The hashes of the entries from `first` on, at most `most` of them, as read from the disks now, each checked to follow the
    /// one before it; zero for an entry that is missing or does not follow. Fewer than `most` end with the newest entry.
    pub fn links(&self, first: u64, most: u64) -> Vec<Hash> {
        let last = first.max(1).saturating_add(most).saturating_sub(1);
        walk::links(&self.core.members.all(), first, last.min(self.ledger().head.sequence))
    }

    /// Bytes of the packs on one disk.
    pub fn stored_bytes(&self) -> u64 {
        self.core.catalog.packs.bytes()
    }

    /// Makes the index anew from the packs, as after any damage.
    pub fn rebuild_index(&self) {
        self.core.catalog.start_anew(&self.core.members);
        while self.index_pending() > 0 {}
    }

    /// Enters some unknown packs into the index, as after the loss of the index. Returns how many are left.
    pub fn index_pending(&self) -> usize {
        self.core.catalog.enter_and_keep(&self.core.members)
    }

    /// Whether the index knows every pack.
    pub fn is_index_whole(&self) -> bool {
        self.core.catalog.pending_count() == 0
    }

    /// Finds out what each device brought where that is not known, about `chunks_max` chunks at a time; until then devices are
    /// asked for what they have sent before. Returns whether more is left.
    ///
    /// # Errors
    /// `Disk` when no disk answers.
    pub fn find_owners_step(&self, chunks_max: u64) -> Result<bool> {
        brought::step(&self.core, &mut self.brought.lock(), chunks_max)
    }

    /// Writes the index out; only spares work at the next start.
    pub fn flush_index(&self) {
        self.core.catalog.flush();
        self.core.write_owners();
    }

    /// The last call of a clean stop, after `seal_all`: writes out what spares work at the next start. Without it, the next
    /// start walks the kept snapshots in the background to find out what each device brought.
    pub fn stop(&self) {
        self.core.catalog.flush();
        self.core.stop_owners();
    }

    /// Writes any other event into the ledger; returns the new head.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub fn append(&self, stamp: WallStamp, event: Event) -> Result<Head> {
        self.core.append(stamp, event)
    }

    /// Permissions of this version on the disks in their present state.
    pub fn access(&self) -> Access {
        self.core.access()
    }

    /// Fails at once when there is no disk to read from, before the start of an answer that could only stay empty.
    ///
    /// # Errors
    /// `Disk`.
    pub fn require_readable(&self) -> Result<()> {
        self.core.require_readable()
    }

    /// The same after a search without a result: asks the disks.
    ///
    /// # Errors
    /// `Disk`.
    pub fn require_answering(&self) -> Result<()> {
        self.core.require_answering()
    }

    /// Makes every received chunk durable and findable.
    ///
    /// # Errors
    /// `Full` or `Disk`; the chunks of the failed pack are then missing again.
    pub fn seal_all(&self) -> Result<()> {
        self.core.seal_all()
    }

    /// Only unlinks removable files: between two rounds, for a disk that was away and is resynced. Returns how many files
    /// went.
    ///
    /// # Errors
    /// `Disk`.
    pub fn remove_swept(&self, now: WallStamp) -> Result<u64> {
        unlink::remove_swept(&self.core, now)
    }

    /// Does a piece of the work: looks up about `chunks_max` chunks, or writes one pack, or lets go of some.
    ///
    /// # Errors
    /// `NotFound` or `Damaged` when a kept snapshot is not whole, and then nothing is freed; `Full` or `Disk`. The next
    /// step begins a new round.
    pub fn sweep_step(&self, now: WallStamp, chunks_max: u64) -> Result<Swept> {
        self.sweeps.lock().step(&self.core, now, chunks_max)
    }

    /// Whether `sweep_unfinished_step` has a reason to begin: a push was refused for want of room, or the next push would
    /// be.
    pub fn is_short_of_room(&self, now: WallStamp) -> bool {
        self.sweeps.lock().is_short_of_room(&self.core, now)
    }

    /// Does a piece of making room: looks up about `chunks_max` chunks, or lets go of some packs, or unlinks files. Needs
    /// no trusted clock and does not wait for a hold, since no chunk of a kept snapshot is touched.
    ///
    /// # Errors
    /// `NotFound` or `Damaged` when a kept snapshot is not whole, and then nothing is freed; `Full` or `Disk`. The next
    /// step begins a new round.
    pub fn sweep_unfinished_step(&self, now: WallStamp, chunks_max: u64) -> Result<Swept> {
        self.sweeps.lock().unfinished_step(&self.core, now, chunks_max)
    }

    /// Takes note of a clock reading, and returns whether the clock allows letting go. Frequent readings notice a jump
    /// sooner.
    pub fn look_at_clock(&self, now: WallStamp) -> ClockVerdict {
        prune::look_at_clock(&self.core, now)
    }

    /// Writes down the word of a person at the box that the clock is right.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub fn confirm_clock(&self, now: WallStamp) -> Result<Head> {
        prune::confirm_clock(&self.core, now)
    }

    /// Lets go of what a source has so far, in force after 72 hours; only for a person at the box.
    ///
    /// # Errors
    /// `NotFound` for a source without snapshots; `Full` or `Disk`.
    pub fn let_go_of(&self, wish: &LetGoOf, now: WallStamp) -> Result<()> {
        sources::let_go_of(&self.core, wish, now)
    }

    /// Takes that back, as far as nothing went yet.
    ///
    /// # Errors
    /// `NotFound` without such a wish; `Full` or `Disk`.
    pub fn keep_source(&self, source: &str, now: WallStamp) -> Result<()> {
        sources::keep(&self.core, source, now)
    }

    /// Ends a label, or has it end at a date: in force after 72 hours; only for a person at the box. False without such a
    /// label.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub fn end_label(&self, snapshot: u64, until_ms: Option<i64>, now: WallStamp) -> Result<bool> {
        labels::end(&self.core, snapshot, until_ms, now)
    }

    /// The plan of a prune at `now`.
    pub fn plan_prune(&self, now: WallStamp) -> PrunePlan {
        prune::plan_prune(&self.core, now)
    }

    /// Obeys a plan: writes the tombstones, durable on return.
    ///
    /// # Errors
    /// `Waits` when the plan is locked, or the ledger has grown since; `Full` or `Disk`.
    pub fn prune(&self, plan: &PrunePlan, now: WallStamp) -> Result<()> {
        prune::prune(&self.core, plan, now)
    }
}

#[cfg(test)]
mod tests;
