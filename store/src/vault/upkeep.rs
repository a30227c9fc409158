//! The vault: maintenance of the disks.

use crate::Result;
use crate::ledger::view::SnapshotRecord;
use crate::packs::pins::UnfinishedUpload;
use crate::past::names::{self, NameIndex, NamesBudget};
use crate::upkeep::audit::{self, Audit};
use crate::upkeep::repair::lost::{self, DamagedSnapshot};
use crate::upkeep::repair::{quarantine_search, suspects};
use crate::upkeep::scrub::{self, ScrubView};
use crate::upkeep::usage::{self, UsageView};
use crate::upkeep::{chapters, parity};
use crate::vault::Vault;
use larder_format::care::{LostFile, Round};
use larder_format::ledger::WallStamp;
use std::path::PathBuf;
use std::sync::Arc;

impl Vault {
    /// Makes missing sidecars of packs, on every disk, until packs of about `bytes_max` were read. Returns how many
    /// packs still lack a sidecar.
    ///
    /// # Errors
    /// `Full` when a disk has no room for sidecars; `Disk` when a disk fails. Other disks are not affected.
    pub fn write_parity(&self, bytes_max: u64) -> Result<u64> {
        parity::write_parity(&self.core, bytes_max)
    }

    /// Reads every pack and every ledger entry on every disk and checks each bit against its hash.
    ///
    /// # Errors
    /// Only when a disk cannot even be listed; damage is part of the result.
    pub fn audit(&self) -> Result<Audit> {
        audit::audit(&self.core)
    }

    /// The room on every disk, by what takes it. Lists every folder of the disks and reads no file.
    pub fn usage(&self) -> Vec<UsageView> {
        usage::usage(&self.core)
    }

    /// The index of names of this vault in `folder`.
    pub fn name_index(&self, folder: PathBuf) -> NameIndex {
        NameIndex::new(folder, self.core.id)
    }

    /// Tells `index` what the oldest untold snapshot of `source` changed. Returns whether more are left.
    ///
    /// # Errors
    /// `Disk` when a node cannot be read, or the index not be written.
    pub fn tell_names(&self, index: &NameIndex, source: &str, budget: &NamesBudget<'_>) -> Result<bool> {
        let records = self.core.ledger().looked_at(source);
        names::tell_next(&self.core, index, &records, budget)
    }

    /// Whether each disk that takes backups has `bytes` free beside the reserve and what an upload needs.
    pub fn has_room_beside_uploads(&self, bytes: u64) -> bool {
        self.core.members.free() >= bytes.saturating_add(self.core.kept_free_bytes())
    }

    /// Bytes, packed as they are kept, that uploads can still bring; `None` where no disk tells its room.
    pub fn room_for_uploads(&self) -> Option<u64> {
        self.core.told_room_for_uploads()
    }

    /// What devices have sent since their last commit and no snapshot names yet, since the start of the agent.
    pub fn unfinished_uploads(&self) -> Vec<UnfinishedUpload> {
        self.core.pins().unfinished_uploads()
    }

    /// Bytes left free on every disk before an upload is refused: the reserve, with which ledger and sweep still work on a
    /// full disk, and a pack that an upload may fill.
    pub fn kept_free_bytes(&self) -> u64 {
        self.core.kept_free_bytes()
    }

    /// Versions of files that cannot be given back whole, as far as scrubs found out: at most ten thousand.
    pub fn lost_files(&self) -> Vec<LostFile> {
        lost::lost_files(&self.core)
    }

    /// Every kept snapshot that cannot be restored whole, in the order of sources and numbers, as of the last check. A
    /// healed snapshot stays in the list until the next check.
    pub fn damaged_snapshots(&self) -> Vec<DamagedSnapshot> {
        lost::damaged_snapshots(&self.core)
    }

    /// Numbers of the `records`, rising, that cannot be restored whole, as of the last check.
    pub fn damaged_among(&self, records: &[Arc<SnapshotRecord>]) -> Vec<u64> {
        lost::damaged_among(&self.core, records)
    }

    /// Whether every kept snapshot was checked since the start, and every disk answered.
    pub fn is_surveyed(&self) -> bool {
        lost::is_surveyed(&self.core)
    }

    /// Whether a missing chunk of a damaged snapshot has come back, so that the next check may find the snapshot
    /// whole.
    pub fn has_what_was_missed(&self) -> bool {
        lost::has_what_was_missed(&self.core)
    }

    /// Looks through every kept snapshot for chunks that no pack holds although no removal was recorded: after a disk that
    /// lied about flushing, or a file deleted by hand. Such a chunk is named and remembered, and asked for at the next
    /// push. Returns the number of chunks; `None` without a certain result, because the index is being made anew or a disk
    /// does not answer.
    ///
    /// # Errors
    /// `Disk` when the loss could not be written down; the loss is remembered until the next start.
    pub fn look_for_loss(&self, go_on: &dyn Fn() -> bool) -> Result<Option<usize>> {
        lost::look_for_loss(&self.core, go_on)
    }

    /// Checks the damaged snapshots again. Returns whether the check came to its end.
    pub fn look_at_damaged(&self, go_on: &dyn Fn() -> bool) -> bool {
        lost::look_at_damaged(&self.core, go_on)
    }

    /// Looks into the quarantine of every disk, as after a start, until about `bytes_max` are read. Returns whether a
    /// part is left.
    ///
    /// # Errors
    /// `Disk` when a disk cannot be listed, or does not take a recovered file.
    pub fn search_quarantines(&self, bytes_max: u64) -> Result<bool> {
        quarantine_search::search_quarantines(&self.core, bytes_max)
    }

    /// Retries failed reads of disks, once an hour: packs, folders of packs, and entries of the ledger. Returns whether the
    /// retry took place.
    ///
    /// # Errors
    /// `Disk` when a disk fails or gives nothing.
    pub fn read_suspects_again(&self, now: WallStamp) -> Result<bool> {
        suspects::read_suspects_again(&self.core, now)
    }

    /// Seals one chapter on one disk, where a folder of the ledger is full. Returns whether there may be more to seal.
    ///
    /// # Errors
    /// `Full` or `Disk`; a chapter only spares a later start its time.
    pub fn seal_chapter(&self) -> Result<bool> {
        chapters::seal_chapter(&self.core)
    }

    /// State of each disk's scrub: as of the last finished step, while a step runs.
    pub fn scrubs(&self) -> Vec<ScrubView> {
        scrub::scrubs(&self.core)
    }

    /// Begins a round on a disk, however far the last round came. `disk` is its random name.
    ///
    /// # Errors
    /// `Disk` when the disk fails.
    pub fn begin_scrub(&self, disk: &str, stamp: WallStamp) -> Result<()> {
        scrub::begin_scrub(&self.core, disk, stamp)
    }

    /// Reads on, until about `bytes_max` are read, and repairs damage. A new round begins with a look into the
    /// quarantine; a finished round is written into the ledger. Returns the round after this step.
    ///
    /// # Errors
    /// `Disk` when the disk cannot be listed or fails during a repair. Damage is no error.
    pub fn scrub(&self, disk: &str, bytes_max: u64, stamp: WallStamp) -> Result<Round> {
        scrub::scrub(&self.core, disk, bytes_max, stamp)
    }

    /// Packs without a readable table on any disk.
    pub fn unreadable_packs(&self) -> usize {
        self.core.unreadable_packs()
    }

    /// Chunks damaged on every disk and not brought again by a push.
    pub fn damaged_chunks(&self) -> usize {
        self.core.damaged_chunks()
    }
}
