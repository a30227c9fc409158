//! The vault: its disks as disks join, are filled, leave and fail.

use crate::disk::Disk;
use crate::disks::member::{MemberState, MemberView};
use crate::membership::{arrival, resync, standing};
use crate::packs::index::IndexPlace;
use crate::vault::Vault;
use crate::{Attached, Result};
use larder_format::ledger::{DiskId, DiskRole, WallStamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Vault {
    /// The disks in their present state.
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
    /// `Foreign` for any other disk, for a copy of a present disk, and for a disk with a contradicting ledger; no
    /// byte is written to such a disk. `Disk` when the disk does not answer.
    pub fn attach(&self, disk: Arc<dyn Disk>, stamp: WallStamp) -> Result<Attached> {
        arrival::attach(&self.core, disk, stamp)
    }

    /// Takes in a new, empty disk, or takes a known disk back, on the word of a person: earlier failures are
    /// forgotten. Returns its id. `new_id` is random and names a disk without a name.
    ///
    /// # Errors
    /// As `attach`.
    pub fn adopt(
        &self,
        disk: Arc<dyn Disk>,
        new_id: DiskId,
        role: DiskRole,
        stamp: WallStamp,
    ) -> Result<String> {
        arrival::adopt(&self.core, disk, new_id, role, stamp)
    }

    /// Tries again to write to a disk that took no write on joining and is not held to be bad: one hiccup of the only disk
    /// must not stop backups until a person comes.
    pub fn try_again(&self, id: &str) {
        arrival::try_again(&self.core, id)
    }

    /// The disk is gone, or must be opened anew: no call reaches the disk any more.
    pub fn detach(&self, id: &str) {
        standing::detach(&self.core, id)
    }

    /// The index's disk is away, or the index is to lie elsewhere: the index is built anew there.
    pub fn move_index(&self, place: IndexPlace) {
        arrival::move_index(&self.core, place)
    }

    /// From now on a full disk steps aside for new backups as long as so many disks take them. Without this call a full
    /// disk stops new backups.
    pub fn set_copies(&self, copies: usize) {
        self.core.copies.store(copies, Ordering::Relaxed);
    }

    /// Looks whether full disks have room again for everything that they lack; `catch_up` fills those that have.
    ///
    /// # Errors
    /// `Disk`.
    pub fn look_at_full_disks(&self) -> Result<()> {
        resync::look_at_full(&self.core)
    }

    /// Brings files to incomplete disks, until about `bytes_max` are copied. Returns how many are still lacking; full disks
    /// are left as they are.
    ///
    /// # Errors
    /// `Full` when a disk has no room for the lacking files; `Disk` when a disk fails. Other disks are not affected.
    pub fn catch_up(&self, bytes_max: u64) -> Result<u64> {
        resync::catch_up(&self.core, bytes_max)
    }

    /// Brings a disk up to date and detaches the disk, so that the disk may be unplugged.
    ///
    /// # Errors
    /// `Foreign` when no other healthy disk would be left; `Full` or `Disk` when the resync could not finish.
    pub fn release(&self, id: &str, stamp: WallStamp) -> Result<()> {
        standing::release(&self.core, id, stamp)
    }

    /// Notes in the ledger that a disk is complete up to here.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub fn note_complete(&self, id: &str, stamp: WallStamp) -> Result<()> {
        standing::note_complete(&self.core, id, stamp)
    }

    /// Notes that a disk failed although connected. Returns whether a person has to look at the disk now.
    ///
    /// # Errors
    /// `Full` or `Disk`; the disk is then distrusted all the same, until the next start.
    pub fn distrust(&self, id: &str, stamp: WallStamp) -> Result<bool> {
        standing::distrust(&self.core, id, stamp)
    }

    /// Begins to let a disk go for good. `with_what_it_has`: the disk is away and will never come back, and chunks held
    /// by no other disk are given up.
    ///
    /// # Errors
    /// `Foreign`, in words, while another disk is not healthy and complete.
    pub fn begin_forgetting(&self, id: &str, with_what_it_has: bool, stamp: WallStamp) -> Result<()> {
        standing::begin_forgetting(&self.core, id, with_what_it_has, stamp)
    }

    /// Takes a retirement back.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub fn keep_disk(&self, id: &str, stamp: WallStamp) -> Result<()> {
        standing::keep_disk(&self.core, id, stamp)
    }

    /// Ends a disk's membership. The content stays on the disk.
    ///
    /// # Errors
    /// `Waits` before `FORGET_DELAY_S` have passed since `begin_forgetting`; otherwise as there.
    pub fn retire(&self, id: &str, stamp: WallStamp) -> Result<()> {
        standing::retire(&self.core, id, stamp)
    }

    /// Enters every unlisted disk into the ledger: disks of vaults older than such entries, and a disk adopted when no
    /// disk could take the entry.
    pub fn enter_disks(&self, stamp: WallStamp) {
        standing::enter_disks(&self.core, stamp)
    }
}
