//! Writing the ledger: one entry at a time, each after the entry before is known.
//!
//! An entry names the entry before, so two concurrent writes, or a write after an entry of unknown fate, would give two
//! pasts. Not here: files (`files`), the meaning of entries (`view`).

use crate::Result;
use crate::core::Core;
use crate::ledger::files;
use crate::locks::{MutexGuard, rank};
use larder_format::ledger::{Event, Head, WallStamp};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// No other thread writes an entry while this guard lives.
pub(crate) struct Alone<'a> {
    _commits: MutexGuard<'a, (), { rank::COMMITS }>,
}

impl Core {
    /// Drops packs that the ledger lists as swept: the record may have come with a disk that knows more, or with an
    /// entry of unknown fate.
    pub(crate) fn obey_sweeps(&self) {
        let view = self.ledger();
        self.catalog.packs.raise_salt(view.salt);
        let known = self.catalog.packs.all().into_iter();
        let gone: Vec<_> =
            known.filter(|(_, name)| view.swept.contains_key(name)).map(|(number, _)| number).collect();
        drop(view);
        self.catalog.forget(&gone);
        self.disown(&gone);
    }

    /// Writes any other event into the ledger; returns the new head.
    ///
    /// # Errors
    /// `Full` or `Disk`.
    pub(crate) fn append(&self, stamp: WallStamp, event: Event) -> Result<Head> {
        self.append_alone(&self.alone()?, stamp, event)
    }

    /// Excludes further writers and settles the fate of the last entry: an entry that failed on one disk may exist on
    /// another, and the next entry would reuse the number.
    pub(crate) fn alone(&self) -> Result<Alone<'_>> {
        let alone = Alone { _commits: self.commits.lock() };
        self.settle_ledger()?;
        Ok(alone)
    }

    /// Reads the ledger again if the fate of the last entry is unknown.
    fn settle_ledger(&self) -> Result<()> {
        if self.ledger_uncertain.load(Ordering::SeqCst) {
            self.load_ledger_again()?;
            self.ledger_uncertain.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Reads the ledger from the disks here. An entry held only by an absent disk stays known, as a gap: without the
    /// gap, the next entry would take the number of a confirmed entry, and the two disks would tell two stories.
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

    pub(crate) fn append_alone(&self, _alone: &Alone<'_>, stamp: WallStamp, event: Event) -> Result<Head> {
        self.require_own_format()?;
        let written = files::append(&self.members, &self.ledger(), stamp, event);
        let (entry, hash) = written.inspect_err(|_| self.ledger_uncertain.store(true, Ordering::SeqCst))?;
        let mut view = self.ledger.write();
        view.apply(entry, hash);
        Ok(view.head)
    }
}
