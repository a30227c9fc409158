//! The only time at which packs may go: every thread that could come to need a pack, or bring a pack back, is
//! excluded.

use crate::Result;
use crate::core::writing::Alone;
use crate::core::{Core, GrowingGuard};
use crate::locks::{MutexGuard, WriteGuard, rank};
use larder_format::care;
use std::collections::BTreeMap;

/// No commit is being checked or written, no pack is open, no repair runs, and no device is being told of held chunks.
pub(crate) struct Exclusive<'a> {
    pub(crate) alone: Alone<'a>,
    _no_packs: GrowingGuard<'a>,
    _no_repairs: MutexGuard<'a, BTreeMap<String, care::Round>, { rank::ROUNDS }>,
    _no_commits: WriteGuard<'a, (), { rank::SWEEPING }>,
}

impl Core {
    /// Excludes every thread that could come to need a pack, or bring a pack back; `None` while such a thread is busy,
    /// since waiting here would block later callers.
    pub(crate) fn exclusively(&self) -> Result<Option<Exclusive<'_>>> {
        let Some(no_commits) = self.sweeping.try_write() else { return Ok(None) };
        // A running repair would bring back a pack that goes now.
        let Some(no_repairs) = self.maintenance.rounds.try_lock() else { return Ok(None) };
        // Packs sealed from here on carry the next salt, so no new pack gets the name of a pack that goes now.
        let no_packs = self.seal_and_hold()?;
        let alone = self.alone()?;
        Ok(Some(Exclusive { alone, _no_packs: no_packs, _no_repairs: no_repairs, _no_commits: no_commits }))
    }
}
