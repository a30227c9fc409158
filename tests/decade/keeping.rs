//! Retention, held against true time: whatever the box's clock says and whatever is pushed, what the rule promises
//! stays.
//!
//! Not here: letting go (`letting_go`).

use crate::clock::{Clock, DAY_MS};
use larder_store::retention::{Rule, Verdict, judge};
use larder_store::{SnapshotRecord, Vault};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// When a snapshot was really made.
#[derive(Debug, Clone, Copy)]
struct Made {
    true_ms: i64,
    /// The box's clock was right.
    is_dated: bool,
}

/// What was promised about time.
#[derive(Default)]
pub(crate) struct Keeping {
    made: BTreeMap<u128, Made>,
    /// The latest date until which a snapshot was promised to be kept, by a box whose clock was right.
    promised_until: BTreeMap<u128, i64>,
    pub(crate) judged: u64,
}

impl Keeping {
    /// A push was acknowledged just now.
    pub(crate) fn made(&mut self, push: u128, clock: &Clock) {
        let made = Made { true_ms: clock.now_ms(), is_dated: clock.is_right() };
        self.made.entry(push).or_insert(made);
    }

    /// Judges every source as the box would now; returns the numbers of those that may go.
    ///
    /// # Errors
    /// A snapshot that the rule would let go of although it is promised.
    pub(crate) fn check(
        &mut self,
        vault: &Vault,
        clock: &Clock,
        rule: &Rule,
    ) -> Result<BTreeSet<u64>, String> {
        let view = vault.ledger().clone();
        let now = view.at(clock.stamp(view.newest.map(|stamp| stamp.time_ms)));
        let mut may_go = BTreeSet::new();
        for (source, records) in &view.sources {
            let moments: Vec<_> = records.iter().map(|record| record.moment()).collect();
            let verdicts = judge(&moments, rule, &now, false);
            let gone = verdicts.iter().filter(|verdict| verdict.reasons.is_empty());
            may_go.extend(gone.map(|verdict| verdict.sequence));
            self.judged += verdicts.len() as u64;
            for (position, (record, verdict)) in records.iter().zip(&verdicts).enumerate() {
                let is_newest = records.len() - position <= rule.newest as usize;
                self.check_one(record, verdict, (clock, rule, is_newest)).map_err(|why| {
                    format!(
                        "retention lets go of snapshot {} of {source} (clock: {now:?}): {why}",
                        record.sequence
                    )
                })?;
            }
            self.check_days(records, &verdicts, (clock, rule))
                .map_err(|why| format!("retention of {source} (clock: {now:?}): {why}"))?;
        }
        Ok(may_go)
    }

    fn check_one(
        &mut self,
        record: &SnapshotRecord,
        verdict: &Verdict,
        (clock, rule, is_newest): (&Clock, &Rule, bool),
    ) -> Result<(), String> {
        let push = u128::from_be_bytes(record.snapshot.push);
        let Some(made) = self.made.get(&push) else { return Ok(()) };
        let age_ms = clock.now_ms() - made.true_ms;
        if verdict.reasons.is_empty() {
            if is_newest {
                return Err("it is one of the newest".to_owned());
            }
            if age_ms < i64::from(rule.everything_days) * DAY_MS {
                return Err(format!("it is {} days old", age_ms / DAY_MS));
            }
            if self.promised_until.get(&push).is_some_and(|until| clock.now_ms() < *until) {
                return Err("it was promised to be kept longer".to_owned());
            }
        }
        if clock.is_right() && made.is_dated {
            let until = verdict.kept_until.map_or(i64::MAX, |until| until.as_millisecond());
            let known = self.promised_until.entry(push).or_insert(until);
            *known = until.max(*known);
        }
        Ok(())
    }

    /// The first and the last of each true day.
    fn check_days(
        &self,
        records: &[Arc<SnapshotRecord>],
        verdicts: &[Verdict],
        (clock, rule): (&Clock, &Rule),
    ) -> Result<(), String> {
        let mut days: BTreeMap<i64, Vec<(usize, Made)>> = BTreeMap::new();
        for (position, record) in records.iter().enumerate() {
            if let Some(made) = self.made.get(&u128::from_be_bytes(record.snapshot.push)) {
                days.entry(made.true_ms.div_euclid(DAY_MS)).or_default().push((position, *made));
            }
        }
        for (day, made) in &days {
            let is_over = *day < clock.now_ms().div_euclid(DAY_MS);
            let is_young = clock.now_ms() - day * DAY_MS < i64::from(rule.daily_days) * DAY_MS;
            if !(is_over && is_young && made.iter().all(|(_, made)| made.is_dated)) {
                continue;
            }
            for (position, _) in [made.first(), made.last()].into_iter().flatten() {
                if verdicts[*position].reasons.is_empty() {
                    let sequence = records[*position].sequence;
                    return Err(format!(
                        "it lets go of {sequence}, first or last of a day within {} days",
                        rule.daily_days
                    ));
                }
            }
        }
        Ok(())
    }
}
