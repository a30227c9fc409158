//! The one moment in which packs may go: everybody who could come to need one, or bring one back, is kept out.

use crate::Result;
use crate::core::writing::Alone;
use crate::core::{Core, GrowingGuard};
use crate::locks::{MutexGuard, WriteGuard, rank};
use larder_format::care;
use std::collections::BTreeMap;

/// No commit is being checked or written, no pack is open, nothing is repaired, and nobody is being told what is held.
pub(crate) struct Exclusive<'a> {
    pub(crate) alone: Alone<'a>,
    _no_packs: GrowingGuard<'a>,
    _no_repairs: MutexGuard<'a, BTreeMap<String, care::Round>, { rank::ROUNDS }>,
    _no_commits: WriteGuard<'a, (), { rank::SWEEPING }>,
}

impl Core {
    /// Excludes everybody who could come to need a pack, or bring one back; nothing while one of them is busy: whoever waited
    /// for them would keep others waiting behind.
    pub(crate) fn exclusively(&self) -> Result<Option<Exclusive<'_>>> {
        let Some(no_commits) = self.sweeping.try_write() else { return Ok(None) };
        // A repair that is under way would bring a pack back that goes now.
        let Some(no_repairs) = self.maintenance.rounds.try_lock() else { return Ok(None) };
        // What is sealed from here on carries the next salt, so it cannot be called like a pack that goes now.
        let no_packs = self.seal_and_hold()?;
        let alone = self.alone()?;
        Ok(Some(Exclusive { alone, _no_packs: no_packs, _no_repairs: no_repairs, _no_commits: no_commits }))
    }
}
