//! Writing the ledger: one entry at a time, each after the one before it is known.
//!
//! An entry names the one before it, so two that are written at once, or one that is written after another of which nobody
//! knows whether it exists, would be two pasts. Not here: files (`files`), what entries mean (`view`).

use super::files;
use super::view::Access;
use crate::vault::Vault;
use crate::{Result, StoreError};
use larder_format::ledger::{Event, Head, Stamp};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

/// Nobody else writes an entry while this lives.
pub(crate) struct Alone<'a> {
    _commits: MutexGuard<'a, ()>,
}

impl Vault {
    /// Writes any other event into the ledger; returns the new head.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub fn append(&self, stamp: Stamp, event: Event) -> Result<Head> {
        self.append_alone(&self.alone()?, stamp, event)
    }

    /// From now on nobody else writes an entry, and whatever entry exists is known: one that failed on one disk may exist
    /// on another, and the next one would take its number.
    pub(crate) fn alone(&self) -> Result<Alone<'_>> {
        let alone = Alone { _commits: self.commits.lock().unwrap_or_else(PoisonError::into_inner) };
        self.settle_ledger()?;
        Ok(alone)
    }

    /// Reads the ledger again if it is unknown whether the last entry exists.
    fn settle_ledger(&self) -> Result<()> {
        if self.ledger_uncertain.load(Ordering::SeqCst) {
            self.load_ledger_again()?;
            self.ledger_uncertain.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Reads the ledger from the disks that are here. What only a disk that is away has stays known, as a gap: written
    /// without it, the next entry would take the place of one that was confirmed, and the two disks tell two stories.
    pub(crate) fn load_ledger_again(&self) -> Result<()> {
        let here = files::load(&self.members)?;
        let mut view = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
        let head = view.head.sequence;
        let is_known = |gap: &u64| *gap <= head && !view.unread.contains(gap);
        if here.head.sequence >= head && !here.unread.iter().any(is_known) {
            *view = here;
        } else {
            let all = self.members.all();
            for number in head + 1..=here.head.sequence {
                match files::read(&all, number)? {
                    Some((entry, hash)) => view.apply(entry, hash),
                    None => view.unread.push(number),
                }
            }
            let elsewhere = here.head.sequence + 1..=view.head.sequence;
            let gaps: BTreeSet<_> =
                here.gaps.into_iter().chain(elsewhere).chain(view.unread.clone()).collect();
            view.gaps = gaps.into_iter().collect();
        }
        drop(view);
        self.obey_sweeps();
        Ok(())
    }

    /// Refuses to write into disks that a newer Larder has changed in ways that this one does not understand.
    ///
    /// # Errors
    /// `ReadOnly`.
    pub(crate) fn require_own_format(&self) -> Result<()> {
        match self.access() {
            Access::ReadOnly { since } => Err(StoreError::ReadOnly { since }),
            Access::Full | Access::KeepEverything { .. } => Ok(()),
        }
    }

    /// What this version may do with the disks as they are.
    pub fn access(&self) -> Access {
        let of_packs = self.catalog.newer_packs().map_or(Access::Full, |since| Access::ReadOnly { since });
        self.ledger().access().max(of_packs)
    }

    pub(crate) fn append_alone(&self, _alone: &Alone<'_>, stamp: Stamp, event: Event) -> Result<Head> {
        self.require_own_format()?;
        let written = files::append(&self.members, &self.ledger(), stamp, event);
        let (entry, hash) = written.inspect_err(|_| self.ledger_uncertain.store(true, Ordering::SeqCst))?;
        let mut view = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
        view.apply(entry, hash);
        Ok(view.head)
    }
}
