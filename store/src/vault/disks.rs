//! The vault: its disks as they come, are filled, leave and fail.

use crate::disk::Disk;
use crate::disks::member::{MemberState, MemberView};
use crate::membership::{arrival, resync, standing};
use crate::packs::index::IndexPlace;
use crate::vault::Vault;
use crate::{Attached, Result};
use larder_format::ledger::{DiskId, DiskRole, Stamp};
use std::sync::Arc;

impl Vault {
    /// The disks as they stand.
    pub fn disks(&self) -> Vec<MemberView> {
        self.core.members.views(&self.ledger().disks)
    }

    /// How far each disk can be trusted; asks no disk.
    pub fn disk_states(&self) -> Vec<MemberState> {
        self.core.members.all().iter().map(|member| member.state()).collect()
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
    pub fn adopt(&self, disk: Arc<dyn Disk>, new_id: DiskId, role: DiskRole, stamp: Stamp) -> Result<String> {
        arrival::adopt(&self.core, disk, new_id, role, stamp)
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
    /// `Waits` before `FORGET_DELAY_S` have passed since `begin_forgetting`; otherwise as there.
    pub fn retire(&self, id: &str, stamp: Stamp) -> Result<()> {
        standing::retire(&self.core, id, stamp)
    }

    /// Enters every disk into the ledger that is not in it: those of vaults that are older than such entries, and one that
    /// was adopted when no disk could take the entry.
    pub fn enter_disks(&self, stamp: Stamp) {
        standing::enter_disks(&self.core, stamp)
    }
}
