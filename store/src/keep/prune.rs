//! Prune, the release of snapshots: first a plan to be printed and refused, then one function to execute the plan.
//!
//! The plan is a pure function of ledger and moment; the rule is in the ledger. The execution writes tombstones and
//! frees nothing: content goes much later, when the sweep finds no snapshot naming the content. Not here: the rule
//! (`retention`), trust in the clock (`clock`), content (`sweep`).

use crate::core::Core;
use crate::ledger::clock::{ClockVerdict, TrustedTime};
use crate::ledger::retention::why_it_goes;
use crate::ledger::view::{Access, LedgerView, SnapshotRecord};
use crate::{Result, StoreError};
use larder_format::ledger::{Event, Head, PRUNED_PER_ENTRY_MAX, WallStamp};
use std::collections::BTreeMap;
use std::fmt;

/// Every snapshot let go of by a prune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunePlan {
    /// Head of the ledger at planning; the plan holds for no later head.
    pub head: Head,
    /// Reason why nothing may be let go of at this moment, whatever the list says.
    pub locked: Option<Lock>,
    /// In the order of their numbers.
    pub snapshots: Vec<Going>,
}

/// Reason why nothing may be let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Number of ledger entries missing or damaged: a hold or a longer promise may be among these.
    Gaps(usize),
    /// A newer Larder has written an unknown entry, perhaps a hold or a longer promise.
    Newer,
    /// The clock is not trusted. The clock may become right by itself, or a person may vouch for the time.
    Clock(ClockVerdict),
    /// The ledger has no rule.
    NoRule,
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gaps(1) => f.write_str("1 entry of the ledger is missing or damaged"),
            Self::Gaps(gaps) => write!(f, "{gaps} entries of the ledger are missing or damaged"),
            Self::Newer => f.write_str("a newer Larder has written what this one does not know"),
            Self::Clock(verdict) => verdict.fmt(f),
            Self::NoRule => f.write_str("no rule has been set yet"),
        }
    }
}

/// A snapshot no longer kept by any rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Going {
    /// Number of the snapshot.
    pub sequence: u64,
    /// Source of the snapshot.
    pub source: String,
    /// Time of the commit.
    pub stamp: WallStamp,
    /// In words.
    pub why: String,
}

/// Why a snapshot goes that the rule would keep.
pub const LET_GO_AT_THE_BOX: &str = "somebody at the box let go of this source three days before";

/// Snapshots due at `now`, as far as `clock` allows.
pub fn plan(view: &LedgerView, now: &TrustedTime, clock: ClockVerdict) -> PrunePlan {
    let mut plan = PrunePlan { head: view.head, locked: None, snapshots: Vec::new() };
    if !view.gaps.is_empty() {
        plan.locked = Some(Lock::Gaps(view.gaps.len()));
    } else if view.access() != Access::Full {
        plan.locked = Some(Lock::Newer);
    } else if clock != ClockVerdict::MayLetGo {
        plan.locked = Some(Lock::Clock(clock));
    }
    let Some(in_force) = view.rule(now) else {
        plan.locked.get_or_insert(Lock::NoRule);
        return plan;
    };
    for (source, records) in &view.sources {
        let on_hold = view.is_on_hold(source, now);
        let let_go = view.wish(source).let_go.filter(|wish| !on_hold && wish.left_s(now) == 0);
        let verdicts = view.judge(records, &in_force.rule, now);
        let is_let_go = |record: &SnapshotRecord| {
            let_go.is_some_and(|wish| wish.covers(record.sequence, record.stamp.time_ms))
                && view.label(record.sequence, now).is_none()
        };
        plan.snapshots.extend(records.iter().filter(|record| is_let_go(record)).map(|record| Going {
            sequence: record.sequence,
            source: source.clone(),
            stamp: record.stamp,
            why: LET_GO_AT_THE_BOX.to_owned(),
        }));
        let by_rule = records.iter().zip(verdicts).filter(|(_, verdict)| verdict.reasons.is_empty());
        for (record, _) in by_rule.filter(|(record, _)| !is_let_go(record)) {
            let age_days = record.mark().age_s(now).div_euclid(24 * 3600);
            plan.snapshots.push(Going {
                sequence: record.sequence,
                source: source.clone(),
                stamp: record.stamp,
                why: why_it_goes(&in_force.rule, age_days),
            });
        }
    }
    plan.snapshots.sort_by_key(|going| going.sequence);
    plan
}

/// Reads the clock and returns whether a release is allowed. Frequent calls notice a jump sooner.
pub(crate) fn look_at_clock(core: &Core, now: WallStamp) -> ClockVerdict {
    core.pins().see(now.powered_on_s);
    let newest = core.ledger().newest;
    let mut lifetime = core.lifetime.lock();
    let verdict = lifetime.verdict(now, newest);
    lifetime.observe(now);
    verdict
}

/// Records a person's word at the box on the right time.
pub(crate) fn confirm_clock(core: &Core, now: WallStamp) -> Result<Head> {
    let head = core.append(now, Event::ClockConfirmed)?;
    core.lifetime.lock().confirm(now);
    Ok(head)
}

/// The plan of a prune at `now`.
pub(crate) fn plan_prune(core: &Core, now: WallStamp) -> PrunePlan {
    let clock = look_at_clock(core, now);
    let mut plan = {
        let view = core.ledger();
        plan(&view, &view.at(now), clock)
    };
    if core.access() != Access::Full {
        plan.locked = Some(Lock::Newer);
    }
    plan
}

/// Executes a plan: writes the tombstones, durable on return.
pub(crate) fn prune(core: &Core, plan: &PrunePlan, now: WallStamp) -> Result<()> {
    if let Some(why) = &plan.locked {
        return Err(StoreError::Waits { why: why.to_string() });
    }
    let mut groups: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for going in &plan.snapshots {
        groups.entry(&going.why).or_default().push(going.sequence);
    }
    let alone = core.alone()?;
    // A hold may have been set since, or a longer rule.
    if core.ledger().head != plan.head {
        return Err(StoreError::Waits { why: "something was backed up or set just now".to_owned() });
    }
    for (why, snapshots) in groups {
        for part in snapshots.chunks(PRUNED_PER_ENTRY_MAX) {
            let event = Event::Pruned { snapshots: part.to_vec(), why: why.to_owned() };
            core.append_alone(&alone, now, event)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
