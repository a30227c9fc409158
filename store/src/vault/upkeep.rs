//! The vault: looking after what is kept.

use crate::Result;
use crate::ledger::view::Fact;
use crate::upkeep::audit::{self, Audit};
use crate::upkeep::repair::lost::{self, DamagedSnapshot};
use crate::upkeep::repair::{quarantine_search, suspects};
use crate::upkeep::scrub::{self, ScrubView};
use crate::upkeep::{chapters, parity};
use crate::vault::Vault;
use larder_format::care::{LostFile, Round};
use larder_format::ledger::Stamp;
use std::sync::Arc;

impl Vault {
    /// Makes sidecars for packs that lack one, on every disk, until packs of about `bytes_max` were read. Returns how
    /// many still lack one.
    ///
    /// # Errors
    /// `Full` when a disk has no room for them; `Disk` when one fails. Other disks are not affected.
    pub fn write_parity(&self, bytes_max: u64) -> Result<u64> {
        parity::write_parity(&self.core, bytes_max)
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

    /// Packs that no disk gives whole enough to find anything in them.
    pub fn unreadable_packs(&self) -> usize {
        self.core.unreadable_packs()
    }

    /// Chunks that were found damaged on every disk and that no push has brought again.
    pub fn damaged_chunks(&self) -> usize {
        self.core.damaged_chunks()
    }
}
