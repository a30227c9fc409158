//! Words on a source: how long it may be silent, that it is retired, and at the box that its past is let go of.
//!
//! A key that pushes may ask for more attention to its own sources and never for less: a thief holds such a key, and
//! the lamp is the one thing that tells of the theft. Not here: what the words mean later (`ledger::wishes`).

use crate::core::Core;
use crate::core::scope::Scope;
use crate::{Result, StoreError};
use larder_format::ledger::{Event, Expect, Role, WallStamp};

/// A rhythm for a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RhythmWish {
    /// `DEVICE/NAME`.
    pub source: String,
    /// How long the source may be silent.
    pub expect: Expect,
    /// Seconds that the settings allow to every source.
    pub default_s: u64,
}

/// The answer to a word on a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It holds, or held before.
    Done,
    /// Only a key of the role `admin`, or the box itself, may say so.
    NeedsAdmin,
}

/// Whether a source is expected to push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Career {
    /// No longer, after 72 hours.
    Retired,
    /// As ever.
    Active,
}

pub(crate) fn expect(core: &Core, scope: &Scope, wish: &RhythmWish, stamp: WallStamp) -> Result<Said> {
    let RhythmWish { source, expect, default_s } = wish;
    let may_tighten = scope.role().may_push() && scope.require_own(source).is_ok();
    // Before the source is looked up: who may say nothing of it does not hear whether it is there.
    if scope.role() != Role::Admin && !may_tighten {
        return Ok(Said::NeedsAdmin);
    }
    require_source(core, source)?;
    let now = core.ledger().wish(source).expect;
    if scope.role() != Role::Admin && !expect.is_no_looser_than(now, *default_s) {
        return Ok(Said::NeedsAdmin);
    }
    if now != *expect {
        core.append(stamp, Event::SourceExpected { source: source.clone(), expect: *expect })?;
    }
    Ok(Said::Done)
}

pub(crate) fn retire(
    core: &Core,
    scope: &Scope,
    source: &str,
    career: Career,
    stamp: WallStamp,
) -> Result<Said> {
    if scope.role() != Role::Admin {
        return Ok(Said::NeedsAdmin);
    }
    require_source(core, source)?;
    let is_retired = core.ledger().wish(source).retired.is_some();
    let source = source.to_owned();
    match career {
        Career::Retired if !is_retired => core.append(stamp, Event::SourceRetired { source })?,
        Career::Active if is_retired => core.append(stamp, Event::SourceReturned { source })?,
        Career::Retired | Career::Active => return Ok(Said::Done),
    };
    Ok(Said::Done)
}

/// The wish to let go of what a source has so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetGoOf {
    /// `DEVICE/NAME`.
    pub source: String,
    /// Only what arrived before this moment, in milliseconds since 1970.
    pub before_ms: Option<i64>,
}

pub(crate) fn let_go_of(core: &Core, wish: &LetGoOf, stamp: WallStamp) -> Result<()> {
    let LetGoOf { source, before_ms } = wish;
    require_source(core, source)?;
    if core.ledger().wish(source).let_go.is_some_and(|known| known.before_ms == *before_ms) {
        // Done with what it covered, the wish is one for what came since.
        // What has a label does not go, and must not keep the wish open.
        let is_done = {
            let view = core.ledger();
            let now = view.at(stamp);
            view.letting_go(source).all(|record| view.label(record.sequence, &now).is_some())
        };
        if !is_done {
            return Ok(());
        }
        core.append(stamp, Event::SourceKept { source: source.clone() })?;
    }
    core.append(stamp, Event::SourceLetGo { source: source.clone(), before_ms: *before_ms }).map(drop)
}

pub(crate) fn keep(core: &Core, source: &str, stamp: WallStamp) -> Result<()> {
    if core.ledger().wish(source).let_go.is_none() {
        return Err(StoreError::NotFound { what: format!("wish to let go of {source}") });
    }
    core.append(stamp, Event::SourceKept { source: source.to_owned() }).map(drop)
}

fn require_source(core: &Core, source: &str) -> Result<()> {
    if core.ledger().snapshots(source).is_empty() {
        return Err(StoreError::no_source(source));
    }
    Ok(())
}
