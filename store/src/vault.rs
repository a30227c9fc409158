//! The vault: the front of the store. One line a call; each is written in the room that it names.
//!
//! Not here: what a device asks for (`by`), HTTP, time (a `Stamp` comes in).

pub(crate) mod by;
mod opening;

use crate::core::Core;
use crate::disk::Disk;
use crate::disks::identity;
use crate::disks::members::{MemberState, MemberView};
use crate::keep::prune::{self, PrunePlan};
use crate::keep::sweeps::Sweeps;
use crate::keep::unlink;
use crate::ledger::clock::ClockVerdict;
use crate::ledger::entry_files;
use crate::ledger::view::{Access, Fact, LedgerView};
use crate::locks::{Mutex, rank};
use crate::membership::{arrival, resync, standing};
use crate::packs::index::IndexPlace;
use crate::upkeep::audit::{self, Audit};
use crate::upkeep::repair::lost::{self, DamagedSnapshot};
use crate::upkeep::repair::{quarantine_search, suspects};
use crate::upkeep::scrub::{self, ScrubView};
use crate::upkeep::{chapters, parity};
use crate::{Attached, Result, Swept};
use larder_format::Hash;
use larder_format::care::{LostFile, Round};
use larder_format::ledger::{DiskId, Event, Head, Stamp};
use std::ops::Deref;
use std::sync::Arc;

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

/// The vault. Shared by threads; every call may block on the disk.
pub struct Vault {
    pub(crate) core: Core,
    /// The sweeps under way.
    sweeps: Mutex<Sweeps, { rank::SWEEPS }>,
}

impl Vault {
    /// Random name of the vault, in hex.
    pub fn id(&self) -> String {
        identity::hex(&self.core.id)
    }

    /// The ledger as it stands; keep the guard only briefly, a commit waits for it.
    pub fn ledger(&self) -> impl Deref<Target = LedgerView> + '_ {
        self.core.ledger()
    }

    /// Hash of one entry of the ledger, as the first disk has it that has it whole.
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

    /// The disks as they stand.
    pub fn disks(&self) -> Vec<MemberView> {
        self.core.members.views(&self.ledger().disks)
    }

    /// How far each disk can be trusted; asks no disk.
    pub fn disk_states(&self) -> Vec<MemberState> {
        self.core.members.all().iter().map(|member| member.state()).collect()
    }

    /// Bytes that the packs take on one disk.
    pub fn stored_bytes(&self) -> u64 {
        self.core.catalog.packs.bytes()
    }

    /// Makes the index anew from the packs, as after any damage.
    pub fn rebuild_index(&self) {
        self.core.catalog.start_anew(&self.core.members);
        while self.index_pending() > 0 {}
    }

    /// Enters some packs into the index that it does not know yet, as after it was lost. Returns how many are left.
    pub fn index_pending(&self) -> usize {
        self.core.catalog.enter_and_keep(&self.core.members)
    }

    /// Writes the index out; only spares work at the next start.
    pub fn flush_index(&self) {
        self.core.catalog.flush();
    }

    /// Writes any other event into the ledger; returns the new head.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub fn append(&self, stamp: Stamp, event: Event) -> Result<Head> {
        self.core.append(stamp, event)
    }

    /// What this version may do with the disks as they are.
    pub fn access(&self) -> Access {
        self.core.access()
    }

    /// Says at once when there is no disk to read from, before an answer is begun that could only stay empty.
    ///
    /// # Errors
    /// `Disk`.
    pub fn require_readable(&self) -> Result<()> {
        self.core.require_readable()
    }

    /// The same for whoever found nothing: asks the disks.
    ///
    /// # Errors
    /// `Disk`.
    pub fn require_answering(&self) -> Result<()> {
        self.core.require_answering()
    }

    /// Packs that no disk gives whole enough to find anything in them.
    pub fn unreadable_packs(&self) -> usize {
        self.core.unreadable_packs()
    }

    /// Chunks that were found damaged on every disk and that no push has brought again.
    pub fn damaged_chunks(&self) -> usize {
        self.core.damaged_chunks()
    }

    /// Makes everything that was received durable and findable.
    ///
    /// # Errors
    /// `Full` or `Disk`; the chunks of the failed pack are then missing again.
    pub fn seal_all(&self) -> Result<()> {
        self.core.seal_all()
    }

    /// Only removes files that may go already: between two rounds, for a disk that was away and has caught up. Returns how
    /// many went.
    ///
    /// # Errors
    /// `Disk`.
    pub fn remove_swept(&self, now: Stamp) -> Result<u64> {
        unlink::remove_swept(&self.core, now)
    }

    /// Does a piece of the work: looks up about `chunks_max` chunks, or writes one pack, or lets go of some.
    ///
    /// # Errors
    /// `NotFound` or `Damaged` when a kept snapshot is not whole, and then nothing is freed; `Full` or `Disk`. The next
    /// step begins a new round.
    pub fn sweep_step(&self, now: Stamp, chunks_max: u64) -> Result<Swept> {
        self.sweeps.lock().step(&self.core, now, chunks_max)
    }

    /// Whether `sweep_unfinished_step` has a reason to begin: somebody was refused for want of room, or the next one would be.
    pub fn is_short_of_room(&self, now: Stamp) -> bool {
        self.sweeps.lock().is_short_of_room(&self.core, now)
    }

    /// Does a piece of making room: looks up about `chunks_max` chunks, or lets go of some packs, or removes their files. It
    /// needs no clock that can be relied on and does not wait for a hold, since it touches nothing that was ever kept.
    ///
    /// # Errors
    /// `NotFound` or `Damaged` when a kept snapshot is not whole, and then nothing is freed; `Full` or `Disk`. The next
    /// step begins a new round.
    pub fn sweep_unfinished_step(&self, now: Stamp, chunks_max: u64) -> Result<Swept> {
        self.sweeps.lock().unfinished_step(&self.core, now, chunks_max)
    }

    /// Takes note of what the clock says, and tells whether it allows that something is let go of. The more often it is
    /// asked, the sooner a jump is noticed.
    pub fn look_at_clock(&self, now: Stamp) -> ClockVerdict {
        prune::look_at_clock(&self.core, now)
    }

    /// Writes down that a person at the box says that the clock is right.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub fn confirm_clock(&self, now: Stamp) -> Result<Head> {
        prune::confirm_clock(&self.core, now)
    }

    /// What a prune at `now` would let go of.
    pub fn plan_prune(&self, now: Stamp) -> PrunePlan {
        prune::plan_prune(&self.core, now)
    }

    /// Obeys a plan: writes the tombstones, durable on return.
    ///
    /// # Errors
    /// `Waits` when the plan is locked, or the ledger has grown since it was made; `Full` or `Disk`.
    pub fn prune(&self, plan: &PrunePlan, now: Stamp) -> Result<()> {
        prune::prune(&self.core, plan, now)
    }

    /// Brings files to disks that lack some, until about `bytes_max` are copied. Returns how many are still lacking.
    ///
    /// # Errors
    /// `Full` when a disk has no room for what it lacks; `Disk` when one fails. Other disks are not affected.
    pub fn catch_up(&self, bytes_max: u64) -> Result<u64> {
        resync::catch_up(&self.core, bytes_max)
    }

    /// Brings a disk up to date and lets go of it, so that it may be unplugged.
    ///
    /// # Errors
    /// `Foreign` when no other healthy disk would be left; `Full` or `Disk` when it could not be brought up to date.
    pub fn release(&self, id: &str, stamp: Stamp) -> Result<()> {
        standing::release(&self.core, id, stamp)
    }

    /// Notes in the ledger that a disk holds everything up to here.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub fn note_complete(&self, id: &str, stamp: Stamp) -> Result<()> {
        standing::note_complete(&self.core, id, stamp)
    }

    /// Notes that a disk failed although it is connected. Returns whether a person has to look at it now.
    ///
    /// # Errors
    /// `Full` or `Disk`; it is then distrusted all the same, until the next start.
    pub fn distrust(&self, id: &str, stamp: Stamp) -> Result<bool> {
        standing::distrust(&self.core, id, stamp)
    }

    /// Begins to let a disk go for good. `with_what_it_has`: it is away and will never come back, and what only it has is
    /// given up with it.
    ///
    /// # Errors
    /// `Foreign`, in words, while another disk is not healthy and complete.
    pub fn begin_forgetting(&self, id: &str, with_what_it_has: bool, stamp: Stamp) -> Result<()> {
        standing::begin_forgetting(&self.core, id, with_what_it_has, stamp)
    }

    /// Takes that back.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub fn keep_disk(&self, id: &str, stamp: Stamp) -> Result<()> {
        standing::keep_disk(&self.core, id, stamp)
    }

    /// Ends a disk's membership. What is on it stays as it is.
    ///
    /// # Errors
    /// As `begin_forgetting`.
    pub fn retire(&self, id: &str, stamp: Stamp) -> Result<()> {
        standing::retire(&self.core, id, stamp)
    }

    /// Enters every disk into the ledger that is not in it: those of vaults that are older than such entries, and one that
    /// was adopted when no disk could take the entry.
    pub fn enter_disks(&self, stamp: Stamp) {
        standing::enter_disks(&self.core, stamp)
    }

    /// Makes sidecars for packs that lack one, on every disk, until packs of about `bytes_max` were read. Returns how
    /// many still lack one.
    ///
    /// # Errors
    /// `Full` when a disk has no room for them; `Disk` when one fails. Other disks are not affected.
    pub fn write_parity(&self, bytes_max: u64) -> Result<u64> {
        parity::write_parity(&self.core, bytes_max)
    }

    /// Takes back a disk of this vault that was away.
    ///
    /// # Errors
    /// `Foreign` for any other disk, for a copy of one that is here, and for one whose ledger tells another story;
    /// nothing is written to such a disk. `Disk` when it does not answer.
    pub fn attach(&self, disk: Arc<dyn Disk>, stamp: Stamp) -> Result<Attached> {
        arrival::attach(&self.core, disk, stamp)
    }

    /// Takes a new, empty disk in, or one that the vault knows back, on the word of a person: what was held against
    /// it is forgotten. Returns its id. `new_id` is random and names a disk that has no name.
    ///
    /// # Errors
    /// As `attach`.
    pub fn adopt(&self, disk: Arc<dyn Disk>, new_id: DiskId, offsite: bool, stamp: Stamp) -> Result<String> {
        arrival::adopt(&self.core, disk, new_id, offsite, stamp)
    }

    /// Tries again to write to a disk that could not be written to when it came, and that is not held to be bad: one hiccup
    /// of the only disk must not stop backups until a person comes.
    pub fn try_again(&self, id: &str) {
        arrival::try_again(&self.core, id)
    }

    /// The disk is gone, or must be opened anew: nothing more is asked of it.
    pub fn detach(&self, id: &str) {
        standing::detach(&self.core, id)
    }

    /// The index's disk is away, or the index is to lie elsewhere: it is made anew there.
    pub fn move_index(&self, place: IndexPlace) {
        arrival::move_index(&self.core, place)
    }

    /// Reads every pack and every ledger entry on every disk and checks each bit against its hash.
    ///
    /// # Errors
    /// Only when a disk cannot even be listed; damage is what it returns.
    pub fn audit(&self) -> Result<Audit> {
        audit::audit(&self.core)
    }

    /// Versions of files that cannot be given back whole, as far as scrubs found out: at most ten thousand.
    pub fn lost_files(&self) -> Vec<LostFile> {
        lost::lost_files(&self.core)
    }

    /// Every kept snapshot that cannot be restored whole, in the order of sources and numbers, as the last look found it.
    /// One stays in the list until the next look after its pieces came back.
    pub fn damaged_snapshots(&self) -> Vec<DamagedSnapshot> {
        lost::damaged_snapshots(&self.core)
    }

    /// Numbers of those of `facts`, rising, that cannot be restored whole, as the last look found it.
    pub fn damaged_among(&self, facts: &[Arc<Fact>]) -> Vec<u64> {
        lost::damaged_among(&self.core, facts)
    }

    /// Whether everything that is kept was looked at since the start, and every disk answered.
    pub fn is_surveyed(&self) -> bool {
        lost::is_surveyed(&self.core)
    }

    /// Whether a piece that a snapshot was not whole for has come back, so that the next look may find it whole.
    pub fn has_what_was_missed(&self) -> bool {
        lost::has_what_was_missed(&self.core)
    }

    /// Looks through everything that is kept for what no pack holds although nobody saw it go: a disk that lied about
    /// flushing, a file that somebody deleted. It is named and remembered, and asked for at the next push. Returns how many
    /// pieces it was; nothing where it could not be seen, because the index is being made anew or a disk does not answer.
    ///
    /// # Errors
    /// `Disk` when it could not be written down; it is remembered until the next start.
    pub fn look_for_loss(&self, go_on: &dyn Fn() -> bool) -> Result<Option<usize>> {
        lost::look_for_loss(&self.core, go_on)
    }

    /// Looks again at the snapshots that were not whole. Returns whether it came to its end.
    pub fn look_at_damaged(&self, go_on: &dyn Fn() -> bool) -> bool {
        lost::look_at_damaged(&self.core, go_on)
    }

    /// Looks into the quarantine of every disk, as after a start, until about `bytes_max` are read. Returns whether
    /// something is left.
    ///
    /// # Errors
    /// `Disk` when a disk cannot be listed, or does not take what comes back.
    pub fn search_quarantines(&self, bytes_max: u64) -> Result<bool> {
        quarantine_search::search_quarantines(&self.core, bytes_max)
    }

    /// Reads again what a disk could not read, once an hour: packs, folders of them, and entries of the ledger. Returns whether
    /// it did.
    ///
    /// # Errors
    /// `Disk` when a disk fails or gives nothing.
    pub fn read_suspects_again(&self, now: Stamp) -> Result<bool> {
        suspects::read_suspects_again(&self.core, now)
    }

    /// Seals one chapter on one disk, where a folder of the ledger is full. Returns whether there may be more to seal.
    ///
    /// # Errors
    /// `Full` or `Disk`; a chapter only spares a later start its time.
    pub fn seal_chapter(&self) -> Result<bool> {
        chapters::seal_chapter(&self.core)
    }

    /// How the scrub of each disk stands: as it was after the last step, while one is under way.
    pub fn scrubs(&self) -> Vec<ScrubView> {
        scrub::scrubs(&self.core)
    }

    /// Begins a round on a disk, whatever was read so far. `disk` is its random name.
    ///
    /// # Errors
    /// `Disk` when it fails.
    pub fn begin_scrub(&self, disk: &str, stamp: Stamp) -> Result<()> {
        scrub::begin_scrub(&self.core, disk, stamp)
    }

    /// Reads on, until about `bytes_max` are read, and repairs what is damaged. A round that is not begun begins, with a
    /// look into the quarantine; one that ends is written into the ledger. Returns the round as it stands then.
    ///
    /// # Errors
    /// `Disk` when the disk cannot be listed or fails while something is repaired. Damage is no error.
    pub fn scrub(&self, disk: &str, bytes_max: u64, stamp: Stamp) -> Result<Round> {
        scrub::scrub(&self.core, disk, bytes_max, stamp)
    }
}

#[cfg(test)]
mod tests;
