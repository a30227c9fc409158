//! Words on one snapshot: that it stays whatever the rule says, and at the box that it stays no longer for that.
//!
//! What stays for ever takes room for ever, so a key that only pushes has no such word: a thief with one would push garbage
//! and have it kept until the disk is full, and the rule could free nothing. Not here: what a label means (`ledger::labels`).

use crate::core::Core;
use crate::core::scope::Scope;
use crate::{Result, StoreError};
use larder_format::ledger::{Event, Role, WallStamp};

/// Labels in force at once: who leafs through labels still finds one, and whoever has an admin key for an hour has not
/// every snapshot of ten years kept.
pub const LABELS_MAX: usize = 1000;

/// The wish that a snapshot stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelWish {
    /// Number of the snapshot.
    pub snapshot: u64,
    /// In the owner's words, as `larder_format::ledger::label` reads them; empty for no words, or the words so far.
    pub text: String,
    /// Until then, in milliseconds since 1970; none for ever.
    pub until_ms: Option<i64>,
}

/// The answer to the wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelling {
    /// The snapshot stays, at least so long.
    Done,
    /// Only a key of the role `admin`, or the box itself, may say so.
    NeedsAdmin,
    /// Another snapshot of the source has that label.
    Taken {
        /// Its number.
        by: u64,
    },
    /// There are `LABELS_MAX` labels.
    TooMany,
}

pub(crate) fn label(core: &Core, scope: &Scope, wish: &LabelWish, stamp: WallStamp) -> Result<Labelling> {
    let LabelWish { snapshot, text, until_ms } = wish;
    if scope.role() != Role::Admin {
        return Ok(Labelling::NeedsAdmin);
    }
    // Of two wishes at once, each must see the other's label.
    let alone = core.alone()?;
    {
        let view = core.ledger();
        let now = view.at(stamp);
        let mut sources = view.sources.values();
        let Some(records) = sources.find(|all| all.iter().any(|one| one.sequence == *snapshot)) else {
            return Err(StoreError::NotFound { what: format!("snapshot {snapshot}") });
        };
        let has_text = |number: u64| view.label(number, &now).is_some_and(|label| label.text == *text);
        let other = records.iter().map(|one| one.sequence).find(|it| it != snapshot && has_text(*it));
        if let Some(by) = other.filter(|_| !text.is_empty()) {
            return Ok(Labelling::Taken { by });
        }
        match view.label(*snapshot, &now) {
            // The same wish again, after an answer that was lost on the way, is no entry.
            Some(label) if label.says(text, *until_ms, &now) => return Ok(Labelling::Done),
            None if view.labels_in_force(&now).count() >= LABELS_MAX => return Ok(Labelling::TooMany),
            _ => {}
        }
    }
    let event = Event::Labelled { snapshot: *snapshot, label: text.clone(), until_ms: *until_ms };
    core.append_alone(&alone, stamp, event).map(|_| Labelling::Done)
}

pub(crate) fn end(core: &Core, snapshot: u64, until_ms: Option<i64>, stamp: WallStamp) -> Result<bool> {
    let is_there = {
        let view = core.ledger();
        view.label(snapshot, &view.at(stamp)).is_some()
    };
    if is_there {
        core.append(stamp, Event::LabelEnded { snapshot, until_ms })?;
    }
    Ok(is_there)
}
