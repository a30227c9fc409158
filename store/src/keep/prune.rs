//! Letting go of snapshots: first a plan that can be printed and refused, then one function that obeys it.
//!
//! The plan is a pure function of ledger and moment; the rule is in the ledger. Obeying it writes tombstones and frees
//! nothing: content goes much later, when the sweep finds that nothing names it. Not here: what the rule keeps
//! (`retention`), whether the clock can be relied on (`clock`), content (`sweep`).

use crate::core::Core;
use crate::ledger::clock::{ClockVerdict, Mark};
use crate::ledger::retention::{judge, why_it_goes};
use crate::ledger::view::{Access, LedgerView};
use crate::{Result, StoreError};
use larder_format::ledger::{Event, Head, PRUNED_PER_ENTRY_MAX, Stamp};
use std::collections::BTreeMap;
use std::fmt;

/// Everything that a prune lets go of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunePlan {
    /// Of the ledger that it was made from; it holds for no other.
    pub head: Head,
    /// Why nothing may be let go of at this moment, whatever the list says.
    pub locked: Option<Lock>,
    /// In the order of their numbers.
    pub snapshots: Vec<Going>,
}

/// Why nothing may be let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// So many entries of the ledger are missing or damaged: one of them may have been a hold, or a longer promise.
    Gaps(usize),
    /// A newer Larder has written what this one does not know: it may be a hold, or a longer promise.
    Newer,
    /// The clock cannot be relied on. It may become right by itself, or a person may vouch for it.
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

/// A snapshot that nothing keeps any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Going {
    /// Its number.
    pub sequence: u64,
    /// Whose it is.
    pub source: String,
    /// When it was committed.
    pub stamp: Stamp,
    /// In words.
    pub why: String,
}

/// What has to go at `now`, as far as `clock` allows it.
pub fn plan(view: &LedgerView, now: &Mark, clock: ClockVerdict) -> PrunePlan {
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
    for (source, facts) in &view.sources {
        let moments: Vec<_> = facts.iter().map(|fact| fact.moment()).collect();
        let verdicts = judge(&moments, &in_force.rule, now, view.is_on_hold(source, now));
        for (fact, _) in facts.iter().zip(verdicts).filter(|(_, verdict)| verdict.reasons.is_empty()) {
            let age_days = fact.mark().age_s(now).div_euclid(24 * 3600);
            plan.snapshots.push(Going {
                sequence: fact.sequence,
                source: source.clone(),
                stamp: fact.stamp,
                why: why_it_goes(&in_force.rule, age_days),
            });
        }
    }
    plan.snapshots.sort_by_key(|going| going.sequence);
    plan
}

/// Takes note of what the clock says, and tells whether it allows that something is let go of. The more often it is
/// asked, the sooner a jump is noticed.
pub(crate) fn look_at_clock(core: &Core, now: Stamp) -> ClockVerdict {
    core.pins().see(now.powered_on_s);
    let newest = core.ledger().newest;
    let mut lifetime = core.lifetime.lock();
    let verdict = lifetime.verdict(now, newest);
    lifetime.observe(now);
    verdict
}

/// Writes down that a person at the box says that the clock is right.
pub(crate) fn confirm_clock(core: &Core, now: Stamp) -> Result<Head> {
    let head = core.append(now, Event::ClockConfirmed)?;
    core.lifetime.lock().confirm(now);
    Ok(head)
}

/// What a prune at `now` would let go of.
pub(crate) fn plan_prune(core: &Core, now: Stamp) -> PrunePlan {
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

/// Obeys a plan: writes the tombstones, durable on return.
pub(crate) fn prune(core: &Core, plan: &PrunePlan, now: Stamp) -> Result<()> {
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
