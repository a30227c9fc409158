//! Keeping and letting go, as the agent asks the vault: rule, prunes, holds, snapshots set aside, and the clock.
//!
//! The settings' rule is compared with the ledger's at each start. A longer rule holds at once; a shorter rule waits,
//! and is shown everywhere meanwhile, so a changed file never shortens a promise in silence. Not here: what goes and
//! when (`larder_store`), who may ask (`edge::http`).

use crate::decide::promise;
use crate::decide::words::rules::rule_in_words;
use crate::event::AgentEvent;
use crate::state::Appliance;
use larder_format::ledger::{Event, WallStamp};
use larder_store::prune::PrunePlan;
use larder_store::{LabelWish, Labelling, LetGoOf, RuleInForce, Scope, StoreError, Vault};
use std::sync::PoisonError;

/// A plan is made anew when something was backed up just then; more often than this in a row is no chance.
const PLANS_MAX: usize = 10;

/// The wish that computations skip a snapshot, or stop skipping it.
pub(crate) struct SetAside {
    pub(crate) snapshot: u64,
    /// Why, in the owner's words; none ends it.
    pub(crate) why: Option<String>,
}

/// Writes the wish down and returns the snapshot's source. None without a snapshot of this number, or without a mark
/// to end.
pub(crate) fn set_aside(
    vault: &Vault,
    now: WallStamp,
    wish: &SetAside,
) -> Result<Option<String>, StoreError> {
    let snapshot = wish.snapshot;
    let (source, is_aside) = {
        let view = vault.ledger();
        let record = view.sources.values().flatten().find(|record| record.sequence == snapshot);
        (record.map(|record| record.snapshot.source.clone()), view.is_set_aside(snapshot))
    };
    let event = match &wish.why {
        Some(why) => Event::SetAside { snapshot, why: why.clone() },
        None if is_aside => Event::SetAsideCleared { snapshot },
        None => return Ok(None),
    };
    if source.is_some() {
        vault.append(now, event)?;
    }
    Ok(source)
}

impl Appliance {
    /// Writes the settings' rule into the ledger unless the ledger's newest rule is the same.
    pub(crate) fn set_rule(&self) -> Result<RuleInForce, StoreError> {
        let wished = promise::rule(&self.settings.retention);
        if self.vault.ledger().rule_wished() != Some(&wished) {
            let rule = rule_in_words(&wished);
            self.vault.append(self.stamp(), Event::RetentionSet(wished))?;
            tracing::info!(rule, "the rule of the settings was written down");
        }
        Ok(self.rule_now())
    }

    /// The snapshots that no rule keeps. They go, except in a dry run or under a lock.
    pub(crate) fn prune_as_wished(&self, dry_run: bool) -> Result<PrunePlan, StoreError> {
        let mut plans = 0;
        loop {
            let now = self.stamp();
            let plan = self.vault.plan_prune(now);
            plans += 1;
            if dry_run || plan.locked.is_some() || plan.snapshots.is_empty() {
                return Ok(plan);
            }
            match self.vault.prune(&plan, now) {
                Ok(()) => {
                    tracing::info!(snapshots = plan.snapshots.len(), "old snapshots were let go of");
                    // The counts of their sources include files that cannot be had back any more.
                    let mut history = self.history.write().unwrap_or_else(PoisonError::into_inner);
                    plan.snapshots.iter().for_each(|going| history.forget(&going.source));
                    return Ok(plan);
                }
                Err(StoreError::Waits { .. }) if plans < PLANS_MAX => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets go of what a source has so far, 72 hours from now.
    pub(crate) fn let_go_of(&self, wish: &LetGoOf) -> Result<(), StoreError> {
        self.vault.let_go_of(wish, self.stamp())?;
        self.tell(AgentEvent::KeepingChanged);
        Ok(())
    }

    /// Takes that back, as far as nothing went yet.
    pub(crate) fn keep_source(&self, source: &str) -> Result<(), StoreError> {
        self.vault.keep_source(source, self.stamp())?;
        self.tell(AgentEvent::KeepingChanged);
        Ok(())
    }

    /// Has a snapshot stay, on behalf of `scope`.
    pub(crate) fn label(&self, scope: &Scope, wish: &LabelWish) -> Result<Labelling, StoreError> {
        let said = self.vault.by(scope).label(wish, self.stamp())?;
        self.tell(AgentEvent::KeepingChanged);
        Ok(said)
    }

    /// Has a label end, three days later at the earliest; false without a label.
    pub(crate) fn end_label(&self, snapshot: u64, until_ms: Option<i64>) -> Result<bool, StoreError> {
        let is_known = self.vault.end_label(snapshot, until_ms, self.stamp())?;
        self.tell(AgentEvent::KeepingChanged);
        Ok(is_known)
    }

    /// Puts a source, or everything, on hold; returns the number of the hold.
    pub(crate) fn set_hold(&self, source: Option<String>, reason: String) -> Result<u64, StoreError> {
        let head = self.vault.append(self.stamp(), Event::HoldSet { source, reason })?;
        self.tell(AgentEvent::KeepingChanged);
        Ok(head.sequence)
    }

    /// Ends a hold, some days later; false without a hold of this number.
    pub(crate) fn clear_hold(&self, hold: u64) -> Result<bool, StoreError> {
        let is_known = self.vault.ledger().holds.get(&hold).is_some_and(|hold| hold.cleared.is_none());
        if is_known {
            self.vault.append(self.stamp(), Event::HoldCleared { sequence: hold })?;
            self.tell(AgentEvent::KeepingChanged);
        }
        Ok(is_known)
    }

    /// Sets a snapshot aside, or ends that; false without a snapshot of this number, or without a mark to end.
    pub(crate) fn set_aside(&self, wish: &SetAside) -> Result<bool, StoreError> {
        let source = set_aside(&self.vault, self.stamp(), wish)?;
        if let Some(source) = &source {
            // The source's counts are outdated.
            self.history.write().unwrap_or_else(PoisonError::into_inner).forget(source);
            self.tell(AgentEvent::KeepingChanged);
        }
        Ok(source.is_some())
    }

    /// Takes a person's word that the clock is right now.
    pub(crate) fn confirm_clock(&self) -> Result<WallStamp, StoreError> {
        let now = self.stamp();
        self.vault.confirm_clock(now)?;
        self.tell(AgentEvent::KeepingChanged);
        Ok(now)
    }
}
