//! What keeps each snapshot: rule, hold and label together.
//!
//! Whoever prunes and whoever promises must ask here alone: a label that only one of them knows would be a promise that is
//! not kept. Not here: the rule by itself (`retention`), what a label says (`labels`).

use super::{LedgerView, SnapshotRecord};
use crate::ledger::clock::TrustedTime;
use crate::ledger::labels::Label;
use crate::ledger::retention::{Reason, Rule, Verdict, judge};
use jiff::Timestamp;
use std::sync::Arc;

impl LedgerView {
    /// The label that keeps a snapshot at `now`.
    pub fn label(&self, sequence: u64, now: &TrustedTime) -> Option<&Label> {
        self.labels.get(&sequence).filter(|label| label.keeps(now))
    }

    /// The words of a label, whether or not the label keeps its snapshot; none without words.
    pub fn label_words(&self, sequence: u64) -> Option<&str> {
        self.labels.get(&sequence).map(|label| label.text.as_str()).filter(|text| !text.is_empty())
    }

    /// When a label with some words ended, in milliseconds since 1970; none for a label that keeps its snapshot, or without
    /// words.
    pub fn ended_label(&self, sequence: u64, now: &TrustedTime) -> Option<(&str, i64)> {
        let label = self.labels.get(&sequence).filter(|label| !label.keeps(now) && !label.text.is_empty())?;
        Some((&label.text, label.until_ms()?))
    }

    /// Labels that keep a snapshot at `now`, by the number of the snapshot.
    pub fn labels_in_force<'a>(
        &'a self,
        now: &TrustedTime,
    ) -> impl Iterator<Item = (u64, &'a Label)> + use<'a> {
        let now = *now;
        self.labels.iter().filter(move |(_, label)| label.keeps(&now)).map(|(number, label)| (*number, label))
    }

    /// Judges the snapshots of one source, all of them and the oldest first, by rule, holds and labels.
    pub fn judge(&self, records: &[Arc<SnapshotRecord>], rule: &Rule, now: &TrustedTime) -> Vec<Verdict> {
        let moments: Vec<_> = records.iter().map(|record| record.moment()).collect();
        let on_hold = records.first().is_some_and(|record| self.is_on_hold(&record.snapshot.source, now));
        let mut verdicts = judge(&moments, rule, now, on_hold);
        for verdict in &mut verdicts {
            let Some(label) = self.label(verdict.sequence, now) else { continue };
            verdict.reasons.push(Reason::Label);
            let until = label.until_ms().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            verdict.kept_until = verdict.kept_until.zip(until).map(|(rule, label)| rule.max(label));
        }
        verdicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::ledger::{Entry, Event, Snapshot, WallStamp};
    use larder_format::tree::Totals;
    use larder_format::{ChunkRef, Hash};

    const HOUR_S: i64 = 3600;
    const DAY_S: i64 = 24 * HOUR_S;
    const SHORT: Rule =
        Rule { everything_days: 1, daily_days: 1, weekly_days: 1, monthly_days: Some(1), newest: 1 };

    fn at_ms(seconds: i64) -> i64 {
        1_780_000_000_000 + seconds * 1000
    }

    fn stamp(seconds: i64) -> WallStamp {
        WallStamp { time_ms: at_ms(seconds), trusted: true, powered_on_s: seconds.unsigned_abs() }
    }

    /// One snapshot an hour, a short rule, and a label on one of them.
    #[test]
    fn a_label_is_a_reason_and_a_date() {
        let mut view = LedgerView::new();
        let add = |view: &mut LedgerView, second: i64, event: Event| {
            let sequence = view.head.sequence + 1;
            let entry = Entry { sequence, previous: Hash::ZERO, stamp: stamp(second), event };
            view.apply(entry, Hash::ZERO);
            sequence
        };
        let push = |number: u8| {
            let root = ChunkRef { id: Hash::ZERO, len: 0 };
            Event::Snapshot(Snapshot::new("a/b", [number; 16], root, Totals::default()))
        };
        let numbers: Vec<_> = (0..5).map(|n| add(&mut view, i64::from(n) * HOUR_S, push(n))).collect();
        let until_ms = Some(at_ms(100 * DAY_S));
        add(&mut view, DAY_S, Event::Labelled { snapshot: numbers[2], label: String::new(), until_ms });
        let judged = |view: &LedgerView, second: i64| {
            let now = view.at(stamp(second));
            let verdicts = view.judge(view.snapshots("a/b"), &SHORT, &now);
            verdicts.into_iter().find(|verdict| verdict.sequence == numbers[2]).unwrap()
        };
        let verdict = judged(&view, 50 * DAY_S);
        assert_eq!(verdict.reasons, [Reason::Label]);
        assert_eq!(verdict.kept_until.map(Timestamp::as_millisecond), until_ms);
        assert!(judged(&view, 101 * DAY_S).reasons.is_empty());
        add(
            &mut view,
            51 * DAY_S,
            Event::Labelled { snapshot: numbers[2], label: String::new(), until_ms: None },
        );
        assert_eq!(judged(&view, 101 * DAY_S).kept_until, None, "no end");
    }
}
