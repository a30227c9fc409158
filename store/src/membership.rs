//! What is said of the disks, and written into the ledger: that one is complete, failed, may be unplugged, is on its way out
//! or gone for good.
//!
//! Not here: how a disk comes and goes (`attach`), what the ledger knows of each (`known_disks`).

use crate::disk::Disk;
use crate::members::{Member, MemberState, foreign};
use crate::vault::Vault;
use crate::{Result, StoreError};
use larder_format::ledger::{DiskChange, DiskEvent, DiskId, DiskRole, Event, Stamp};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// So many failures, and a person has to look at the disk: one may be a cable, two are a pattern.
pub(crate) const FAILURES_MAX: u32 = 2;

impl Vault {
    /// Brings a disk up to date and lets go of it, so that it may be unplugged.
    ///
    /// # Errors
    /// `Foreign` when no other healthy disk would be left; `Full` or `Disk` when it could not be brought up to date.
    pub fn release(&self, id: &str, stamp: Stamp) -> Result<()> {
        let member = self.member(id)?;
        self.require_others(&member)?;
        while member.is_behind() && self.catch_up_one(&member, u64::MAX)? > 0 {}
        self.require_well(&member)?;
        self.note_complete(id, stamp)?;
        let _growing = self.hold_growing()?;
        let _commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        // What was sealed just now may have been too much for it.
        self.require_well(&member)?;
        self.detach(id);
        Ok(())
    }

    fn require_well(&self, member: &Member) -> Result<()> {
        if member.is_healthy() {
            return Ok(());
        }
        let why = "it does not work well enough to be brought up to date";
        Err(foreign(member.disk.as_ref(), why))
    }

    /// Notes in the ledger that a disk holds everything up to here.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub fn note_complete(&self, id: &str, stamp: Stamp) -> Result<()> {
        let member = self.member(id)?;
        if member.is_healthy() && !self.lacks_what_another_disk_has() {
            self.note(member.key, DiskChange::Complete, stamp)?;
            member.is_older_copy.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Notes that a disk failed although it is connected. Returns whether a person has to look at it now.
    ///
    /// # Errors
    /// `Full` or `Disk`; it is then distrusted all the same, until the next start.
    pub fn distrust(&self, id: &str, stamp: Stamp) -> Result<bool> {
        let member = self.member(id)?;
        let MemberState::Failed(why) = member.state() else { return Ok(false) };
        let is_bad = self.failures_of(&member) + 1 >= FAILURES_MAX;
        if is_bad {
            member.set_state(MemberState::Suspect(why.clone()));
        }
        let noted = self.note(member.key, DiskChange::Failed { why }, stamp);
        if noted.is_err() {
            member.unnoted_failures.fetch_add(1, Ordering::SeqCst);
        }
        noted.map(|()| is_bad)
    }

    /// How often a disk failed since a person last vouched for it.
    pub(crate) fn failures_of(&self, member: &Member) -> u32 {
        let noted = self.ledger().disks.get(&member.key).map_or(0, |known| known.failures);
        noted.saturating_add(member.unnoted_failures.load(Ordering::SeqCst))
    }

    /// Begins to let a disk go for good. `with_what_it_has`: it is away and will never come back, and what only it has is
    /// given up with it.
    ///
    /// # Errors
    /// `Foreign`, in words, while another disk is not healthy and complete.
    pub fn begin_forgetting(&self, id: &str, with_what_it_has: bool, stamp: Stamp) -> Result<()> {
        let member = self.member(id)?;
        self.require_others(&member)?;
        if !with_what_it_has && self.lacks_what_another_disk_has() {
            let why = "the other disks lack something that only it has; connect it, or, if it is gone for good, \
                       `larderd forget DISK --gone`: what only it had is then named as lost";
            return Err(has_to_stay(&member, why));
        }
        self.note(member.key, DiskChange::Leaving, stamp)
    }

    /// Takes that back.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub fn keep_disk(&self, id: &str, stamp: Stamp) -> Result<()> {
        let member = self.member(id)?;
        let (path, offsite) = (member.disk.name(), member.offsite.load(Ordering::SeqCst));
        self.note(member.key, DiskChange::Adopted { path, role: DiskRole::of(offsite) }, stamp)
    }

    /// Ends a disk's membership. What is on it stays as it is.
    ///
    /// # Errors
    /// As `begin_forgetting`.
    pub fn retire(&self, id: &str, stamp: Stamp) -> Result<()> {
        let member = self.member(id)?;
        self.require_others(&member)?;
        self.note(member.key, DiskChange::Retired, stamp)?;
        let was_away = member.state() == MemberState::Away;
        member.set_state(MemberState::Retired);
        self.detach(id);
        if was_away && self.members.are_all_here() {
            self.catalog.wait_no_longer();
        }
        Ok(())
    }

    /// Enters every disk into the ledger that is not in it: those of vaults that are older than such entries, and one that
    /// was adopted when no disk could take the entry.
    pub fn enter_disks(&self, stamp: Stamp) {
        if !self.members.is_any_healthy() {
            return;
        }
        for member in self.members.all().iter().filter(|member| member.is_readable()) {
            if self.ledger().disks.contains_key(&member.key) {
                continue;
            }
            let offsite = member.offsite.load(Ordering::SeqCst);
            let what = DiskChange::Adopted { path: member.disk.name(), role: DiskRole::of(offsite) };
            if let Err(error) = self.note(member.key, what, stamp) {
                tracing::warn!(%error, "a disk could not be entered into the ledger yet");
            }
        }
    }

    fn note(&self, disk: DiskId, what: DiskChange, stamp: Stamp) -> Result<()> {
        self.append(stamp, Event::Disk(DiskEvent { disk, what })).map(drop)
    }

    pub(crate) fn member(&self, id: &str) -> Result<Arc<Member>> {
        let all = self.members.all();
        let found = all.iter().find(|member| member.id == id && member.state() != MemberState::Retired);
        found.cloned().ok_or_else(|| StoreError::NotFound { what: format!("disk {id}") })
    }

    /// Whether there is something that the disks that count do not have, and another one has or may have.
    pub(crate) fn lacks_what_another_disk_has(&self) -> bool {
        self.catalog.packs.damage.is_any_gone_without() || self.catalog.hides_some()
    }

    /// Every other disk that is meant to be here must be healthy, and there must be one.
    fn require_others(&self, member: &Member) -> Result<()> {
        let all = self.members.all();
        let others: Vec<_> = all.iter().filter(|other| other.key != member.key).collect();
        let has_to_stay = |why: &str| has_to_stay(member, why);
        if let Some(bad) = others.iter().find(|other| other.is_missed()) {
            let bad = bad.disk.name();
            return Err(has_to_stay(&format!("the disk at {bad} is away, failed or lacks something")));
        }
        // As long as it is here it may give more of it.
        if member.is_readable() && self.lacks_what_another_disk_has() {
            return Err(has_to_stay("the other disks lack something that only it had"));
        }
        if others.iter().any(|other| other.is_healthy()) {
            return Ok(());
        }
        Err(has_to_stay("no other disk that is connected holds everything"))
    }
}

pub(crate) fn failed_before() -> MemberState {
    MemberState::Suspect("it failed before".to_owned())
}

fn has_to_stay(member: &Member, why: &str) -> StoreError {
    StoreError::Foreign { what: format!("the disk at {} has to stay: {why}", member.disk.name()) }
}
