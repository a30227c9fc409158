//! Writing the ledger: one entry at a time, each after the one before it is known.
//!
//! An entry names the one before it, so two that are written at once, or one that is written after another of which nobody
//! knows whether it exists, would be two pasts. Not here: files (`files`), what entries mean (`view`).

use crate::Result;
use crate::core::Core;
use crate::ledger::files;
use crate::locks::{MutexGuard, rank};
use larder_format::ledger::{Event, Head, Stamp};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// Nobody else writes an entry while this lives.
pub(crate) struct Alone<'a> {
    _commits: MutexGuard<'a, (), { rank::COMMITS }>,
}

impl Core {
    /// Drops what the ledger says was swept: it may have come with a disk that knows more, or with an entry of which
    /// nobody knew whether it exists.
    pub(crate) fn obey_sweeps(&self) {
        let view = self.ledger();
        self.catalog.packs.raise_salt(view.salt);
        let known = self.catalog.packs.all().into_iter();
        let gone: Vec<_> =
            known.filter(|(_, name)| view.swept.contains_key(name)).map(|(number, _)| number).collect();
        drop(view);
        self.catalog.forget(&gone);
    }

    /// Writes any other event into the ledger; returns the new head.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub(crate) fn append(&self, stamp: Stamp, event: Event) -> Result<Head> {
        self.append_alone(&self.alone()?, stamp, event)
    }

    /// From now on nobody else writes an entry, and whatever entry exists is known: one that failed on one disk may exist
    /// on another, and the next one would take its number.
    pub(crate) fn alone(&self) -> Result<Alone<'_>> {
        let alone = Alone { _commits: self.commits.lock() };
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
        let mut view = self.ledger.write();
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

    pub(crate) fn append_alone(&self, _alone: &Alone<'_>, stamp: Stamp, event: Event) -> Result<Head> {
        self.require_own_format()?;
        let written = files::append(&self.members, &self.ledger(), stamp, event);
        let (entry, hash) = written.inspect_err(|_| self.ledger_uncertain.store(true, Ordering::SeqCst))?;
        let mut view = self.ledger.write();
        view.apply(entry, hash);
        Ok(view.head)
    }
}
