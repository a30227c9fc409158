//! Repair: what a scrub found damaged is made whole again, or given up by name.
//!
//! A pack is taken from another disk if one has it whole (`mend`), else computed from what all disks have left of it
//! and of its parity, and put in its place (`place`). What cannot be had so is taken apart: whole blocks live on in a
//! new pack (`salvage`), and what is missing is named by source and path (`lost`). Damaged bytes go to the
//! quarantine; nothing of them is ever deleted, since a better tool may come, and they are tried again (`quarantine`).
//! What a disk does not answer for is not damaged: it is read again for a day (`suspects`). Not here: finding damage
//! (`scrub`).

mod blocks;
pub(crate) mod lost;
mod mend;
mod place;
mod quarantine;
mod salvage;
mod survey;
mod suspects;
mod watched;

pub(crate) use lost::packs_given_up;
pub(crate) use mend::{Mended, hash, mend, require_room};
pub(crate) use place::{finish, set_aside};
pub(crate) use quarantine::Searches;
pub(crate) use survey::State;
pub(crate) use suspects::Watchlists;

use crate::disk::write_whole;
use crate::ledger::chapters;
use crate::ledger::files::whole_entry;
use crate::members::Member;
use crate::vault::Vault;
use crate::{Result, StoreError, packs, parity};
use larder_format::ledger::Stamp;
use larder_format::{Hash, layout};
use salvage::Patience;
use std::sync::Arc;

const PART: &str = "open/mend.part";

/// What became of something damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As good as before.
    Repaired,
    /// It is as it was; the next round tries again.
    Left,
    /// So many pieces of files are gone.
    Lost(u64),
}

impl Vault {
    /// Makes a damaged or missing pack whole on one disk, or gives it up. One that could not be read is left as it is, until
    /// it was tried often enough.
    ///
    /// # Errors
    /// `Disk` when the disk fails, or gives nothing at all. A full one only leaves the pack as it is.
    pub(crate) fn repair_pack(&self, member: &Member, name: &Hash, now: Stamp) -> Result<Outcome> {
        let outcome = match self.mend_or_give_up(member, name, now) {
            Err(StoreError::Full { missing_mib, .. }) => {
                tracing::error!(pack = %name, missing_mib, "no room to repair a pack");
                return Ok(Outcome::Left);
            }
            outcome => outcome?,
        };
        if outcome == Outcome::Repaired
            && (self.catalog.packs.number(name).is_some() || !self.care.is_retired(name))
        {
            self.is_whole_again(name);
        }
        Ok(outcome)
    }

    fn mend_or_give_up(&self, member: &Member, name: &Hash, now: Stamp) -> Result<Outcome> {
        // Half of the reserve: ledger and restore still work, and content that is whole again is what it is for.
        let patience = match mend(&self.members, member, name, self.reserve_bytes / 2)? {
            Mended::Whole => return Ok(Outcome::Repaired),
            Mended::Damaged => Patience::Waits,
            Mended::Unread => match self.try_later(member, name, now)? {
                Patience::Waits => return Ok(Outcome::Left),
                at_an_end => at_an_end,
            },
        };
        match self.give_up(member, name, patience)?.map(|lost| lost.chunks.len()) {
            // A disk that was read a moment ago does not answer now.
            None => self.try_later(member, name, now).map(|_| Outcome::Left),
            // Everything in it lived on in whole blocks, or nobody's snapshot needs it.
            Some(0) => Ok(Outcome::Repaired),
            Some(lost) => Ok(Outcome::Lost(lost as u64)),
        }
    }

    /// Reads from the new file from now on, and finds what is in it if nobody could before.
    pub(super) fn is_whole_again(&self, name: &Hash) {
        self.is_suspected_no_longer(name);
        let len = |member: &Arc<Member>| {
            member.disk.as_ref().open(&packs::path(name)).and_then(|file| file.len()).ok()
        };
        let len = self.members.all().iter().find_map(len).unwrap_or(0);
        let went_without = self
            .catalog
            .packs
            .number(name)
            .is_some_and(|pack| self.catalog.packs.damage.is_gone_without(pack));
        self.catalog.enter_repaired(&self.members, name, len);
        if went_without {
            // Now there is one to be had, and whoever went without it is filled.
            let lacks_it = |member: &Arc<Member>| member.disk.as_ref().open(&packs::path(name)).is_err();
            let all = self.members.all();
            all.iter().filter(|member| member.is_healthy() && lacks_it(member)).for_each(|m| m.misses_pack());
        }
    }

    /// A pack that was read whole from a disk: that something in it could not be read before was a hiccup.
    pub(crate) fn clear_of_suspicion(&self, name: &Hash) {
        self.is_suspected_no_longer(name);
        let number = self.catalog.packs.number(name);
        let is_suspected = number.is_some_and(|pack| self.catalog.packs.damage.is_in(pack));
        // One that was given up while its folder could not be read lies in its place all the same.
        let is_back = number.is_none() && self.care.is_retired(name) && !self.is_let_go(name);
        if is_suspected || is_back || self.catalog.unreadable().contains(name) {
            self.is_whole_again(name);
        }
    }

    /// A damaged sidecar is made anew from its pack, and set aside for that.
    ///
    /// # Errors
    /// `Disk` when the disk fails.
    pub(crate) fn repair_sidecar(&self, member: &Member, name: &Hash) -> Result<Outcome> {
        let path = parity::path(name);
        // First: what is whole in it is needed for a pack that does not give another one.
        let Some(bytes) = parity::sidecar_of(member.disk.as_ref(), name) else { return Ok(Outcome::Left) };
        set_aside(member.disk.as_ref(), &path).map_err(|source| member.failed(&path, source))?;
        match self.write_sidecar(member, name, &bytes) {
            Ok(()) => Ok(Outcome::Repaired),
            Err(StoreError::Full { .. }) => Ok(Outcome::Left),
            Err(error) => Err(error),
        }
    }

    /// A damaged or missing ledger entry comes from another disk, or out of a chapter.
    ///
    /// # Errors
    /// `Disk` when the disk fails.
    pub(crate) fn repair_entry(&self, member: &Member, sequence: u64) -> Result<Outcome> {
        let path = layout::entry(sequence);
        let others = self.others(member);
        let disk = member.disk.as_ref();
        let from_file = others.iter().filter_map(|other| whole_entry(other.disk.as_ref(), sequence));
        let from_chapter = std::iter::once(disk).chain(others.iter().map(|other| other.disk.as_ref()));
        let mut found = from_file.chain(from_chapter.filter_map(|disk| chapters::entry(disk, sequence)));
        let Some(bytes) = found.next() else { return Ok(Outcome::Left) };
        let write = || {
            set_aside(disk, &path)?;
            write_whole(disk, PART, &path, &bytes)
        };
        match write().map_err(|source| member.failed(&path, source)) {
            Err(StoreError::Full { .. }) => Ok(Outcome::Left),
            Err(error) => Err(error),
            Ok(()) => Ok(Outcome::Repaired),
        }
    }

    /// A damaged chapter is set aside and sealed anew from its entries.
    ///
    /// # Errors
    /// `Disk` when the disk fails.
    pub(crate) fn repair_chapter(&self, member: &Member, chapter: u64) -> Result<Outcome> {
        let (disk, path) = (member.disk.as_ref(), layout::chapter(chapter));
        let sealed = set_aside(disk, &path).and_then(|()| chapters::seal(disk, chapter));
        match sealed.map_err(|source| member.failed(&path, source)) {
            Ok(true) => Ok(Outcome::Repaired),
            Ok(false) | Err(StoreError::Full { .. }) => Ok(Outcome::Left),
            Err(error) => Err(error),
        }
    }

    /// Who a disk is, written anew: the agent knows it since the vault was opened.
    ///
    /// # Errors
    /// `Disk` when the disk fails.
    pub(crate) fn repair_facts(&self, member: &Member) -> Result<Outcome> {
        let written = crate::identity::keep_copy_of_facts(member.disk.as_ref(), self.identity_of(member))
            .and_then(|()| crate::identity::mend_facts(member.disk.as_ref()));
        match written.map_err(|source| member.failed("disk.json", source)) {
            Err(StoreError::Full { .. }) => Ok(Outcome::Left),
            Err(error) => Err(error),
            Ok(()) => Ok(Outcome::Repaired),
        }
    }
}
