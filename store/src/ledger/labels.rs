//! Labels: snapshots that the owner keeps, whatever the rule says.
//!
//! A label on a labelled snapshot only makes it stay longer. The end of a label comes from the box alone, and waits for 72
//! hours like everything that makes less. Time is counted by the appliance's own age, never by the date alone: a clock set
//! ahead by a century would end every label. Pure: entries in, facts out. Not here: who may label (`keep::labels`).

use crate::ledger::clock::{SHORTEN_DELAY_S, TrustedTime};
use larder_format::ledger::Event;
use std::collections::BTreeMap;

/// A span that began at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Term {
    since: TrustedTime,
    span_s: i64,
    /// The end as a date, in milliseconds since 1970.
    until_ms: i64,
}

impl Term {
    /// The span from `since` up to a date; part of a second counts as a whole one.
    fn up_to(until_ms: i64, since: TrustedTime) -> Self {
        let span_ms = until_ms.saturating_sub(since.stamp.time_ms);
        Self { since, span_s: span_ms.div_euclid(1000) + i64::from(span_ms.rem_euclid(1000) > 0), until_ms }
    }

    fn left_s(&self, now: &TrustedTime) -> i64 {
        self.span_s.saturating_sub(self.since.age_s(now))
    }
}

/// A label on a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// In the owner's words; empty for a snapshot that only stays.
    pub text: String,
    /// How long it keeps; none for ever.
    term: Option<Term>,
    /// The shorter term that somebody at the box asked for.
    shorter: Option<Term>,
}

impl Label {
    /// Seconds that the label still keeps its snapshot, 0 or less once it does no longer; none for ever.
    fn left_s(&self, now: &TrustedTime) -> Option<i64> {
        let terms = self.term.iter().chain(&self.shorter);
        terms.map(|term| term.left_s(now)).min()
    }

    pub(crate) fn keeps(&self, now: &TrustedTime) -> bool {
        self.left_s(now).is_none_or(|left_s| left_s > 0)
    }

    /// Kept until then, in milliseconds since 1970; none for ever.
    pub fn until_ms(&self) -> Option<i64> {
        self.term.iter().chain(&self.shorter).map(|term| term.until_ms).min()
    }

    /// Seconds until a shorter term comes into force; none without one, and once it is in force.
    pub fn shortens_in_s(&self, now: &TrustedTime) -> Option<u64> {
        let asked = self.shorter?.since;
        u64::try_from(SHORTEN_DELAY_S.saturating_sub(asked.age_s(now))).ok().filter(|left_s| *left_s > 0)
    }

    /// Whether the label says as much already: those words or no others asked for, kept as long, and nobody ending it.
    pub(crate) fn says(&self, text: &str, until_ms: Option<i64>, now: &TrustedTime) -> bool {
        let is_as_long = match (self.until_ms(), until_ms) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(wished)) => own >= wished,
        };
        is_as_long && (text.is_empty() || text == self.text) && self.shortens_in_s(now).is_none()
    }

    /// The same label once more, for longer.
    fn again(&mut self, text: String, until_ms: Option<i64>, mark: TrustedTime) {
        if self.shortens_in_s(&mark).is_some() {
            self.shorter = None;
        }
        let wished = until_ms.map(|until_ms| Term::up_to(until_ms, mark));
        // Counted from now on, so that the longer of two terms stays the longer one whatever the clock does.
        let old = self.left_s(&mark).zip(self.until_ms());
        let old = old.map(|(span_s, until_ms)| Term { since: mark, span_s, until_ms });
        self.term = old.zip(wished).map(|(old, new)| if old.span_s > new.span_s { old } else { new });
        self.shorter = None;
        if !text.is_empty() {
            self.text = text;
        }
    }
}

/// Labels by the number of their snapshot.
pub(crate) type Labels = BTreeMap<u64, Label>;

/// Takes one entry in.
pub(crate) fn apply(labels: &mut Labels, mark: TrustedTime, event: &Event) {
    match event {
        Event::Labelled { snapshot, label: text, until_ms } => {
            match labels.get_mut(snapshot).filter(|label| label.keeps(&mark)) {
                Some(label) => label.again(text.clone(), *until_ms, mark),
                None => {
                    let term = until_ms.map(|until_ms| Term::up_to(until_ms, mark));
                    labels.insert(*snapshot, Label { text: text.clone(), term, shorter: None });
                }
            }
        }
        Event::LabelEnded { snapshot, until_ms } => {
            let Some(label) = labels.get_mut(snapshot) else { return };
            let soonest_ms = mark.stamp.time_ms.saturating_add(SHORTEN_DELAY_S * 1000);
            let asked = Term::up_to(until_ms.map_or(soonest_ms, |until_ms| until_ms.max(soonest_ms)), mark);
            // Asked for once more without a date, the first time counts; a sooner end waits anew, a later date is a longer
            // stay than was asked for.
            let is_later = |known: Term| until_ms.is_some_and(|until_ms| until_ms > known.until_ms);
            if label.shorter.is_none_or(|known| asked.left_s(&mark) < known.left_s(&mark) || is_later(known))
            {
                label.shorter = Some(asked);
            }
        }
        Event::Pruned { snapshots, .. } => {
            for snapshot in snapshots {
                labels.remove(snapshot);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
