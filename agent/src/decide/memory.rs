//! The memory from one report to the next, so that a change is told once.

use super::actions::Action;
use super::causes::Cause;
use super::disks::Unplug;
use super::facts::{Facts, RetainedStanding};
use super::growth::Growth;
use crate::report::{
    Condition, Happened, Happening, Level, Remembered, RememberedCondition, RetainedHead, SeenCondition,
    StoredSample,
};
use jiff::Timestamp;
use larder_format::ledger::WallStamp;
use larder_panel::Rhythm;
use std::collections::{BTreeMap, BTreeSet};

const IDENTIFY_FOR_MS: i64 = 60_000;
/// So long after a start a condition of the earlier run may still come back, as the same one: a broker is missed only after
/// two minutes, and damage is known only when every snapshot was walked.
const MET_WITHIN_S: i64 = 600;
/// How often the index is written out; only spares work after a power cut.
const FLUSH_EVERY_S: u64 = 30;

/// Earlier decisions.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// First sight of each present condition, and whether the owner has seen it, by its key.
    conditions: BTreeMap<String, RememberedCondition>,
    /// How bad each present condition is at this moment.
    present: BTreeMap<String, SeenCondition>,
    /// Conditions of an earlier run that this run has not met yet.
    unmet: BTreeSet<String>,
    /// End of waiting for those.
    unmet_until: Option<Timestamp>,
    /// As written down.
    saved: Remembered,
    growth: Growth,
    identify_until_ms: i64,
    unplug: Unplug,
    /// Conditions that came or went, counted since the start.
    changes: u64,
    /// A head found at the broker that the ledger does not have.
    lost_head: Option<RetainedHead>,
    /// The one of which somebody at the box said that the ledger is right without it.
    accepted_head: Option<RetainedHead>,
    lit: Option<Rhythm>,
    /// When the index was written out, in seconds switched on; none before the first report.
    flushed_s: Option<u64>,
}

impl Memory {
    /// A person asked for a sign of this box.
    pub(super) fn identify(&mut self, now: Timestamp) {
        self.identify_until_ms = now.as_millisecond() + IDENTIFY_FOR_MS;
    }

    pub(super) fn is_identifying(&self, now: Timestamp) -> bool {
        now.as_millisecond() < self.identify_until_ms
    }

    /// The permission to unplug is given once more: the owner at the box asked.
    pub(super) fn say_unplug_again(&mut self) {
        self.unplug = Unplug::default();
    }

    pub(super) fn may_unplug(&mut self, facts: &Facts<'_>) -> bool {
        self.unplug.is_said(facts)
    }

    /// The memory of an earlier run.
    pub(crate) fn of(remembered: Remembered) -> Self {
        let unmet = remembered.conditions.keys().cloned().collect();
        let (conditions, growth) = (remembered.conditions.clone(), Growth::of(remembered.growth.clone()));
        Self { conditions, growth, unmet, saved: remembered, ..Self::default() }
    }

    /// Since when a condition has held.
    pub(super) fn since(&self, cause: &Cause) -> Option<Timestamp> {
        self.conditions.get(&cause.key()).map(|condition| condition.since)
    }

    /// Whether the owner has seen a condition, no better than it is now.
    pub(super) fn is_acknowledged(&self, cause: &Cause) -> bool {
        let seen = self.conditions.get(&cause.key()).and_then(|condition| condition.seen);
        seen.is_some_and(|seen| seen.level >= cause.code().level() && seen.weight >= cause.weight())
    }

    /// The owner has seen every present condition up to this level; whether any was new to the owner.
    pub(super) fn acknowledge(&mut self, up_to: Level) -> bool {
        let mut is_news = false;
        for (key, present) in self.present.iter().filter(|(_, present)| present.level <= up_to) {
            if let Some(condition) = self.conditions.get_mut(key) {
                is_news |= condition.seen != Some(*present);
                condition.seen = Some(*present);
            }
        }
        is_news
    }

    /// Takes note of what was found at the broker.
    pub(super) fn saw_retained(&mut self, facts: &Facts<'_>) {
        let is_lost = |standing: RetainedStanding| standing != RetainedStanding::InLedger;
        self.lost_head = facts.retained.and_then(|(head, standing)| is_lost(standing).then_some(head));
    }

    /// Somebody at the box has seen that the ledger lacks what it had, and says that this is right: from now on what the
    /// appliance said before may be overwritten.
    pub(super) fn accept_past(&mut self) {
        self.accepted_head = self.lost_head;
    }

    /// Whether what was found at the broker must stay there.
    pub(super) fn is_head_withheld(&self) -> bool {
        self.lost_head.is_some() && self.lost_head != self.accepted_head
    }

    /// Tells of new conditions and of conditions that are over. `conditions` are those of `causes`.
    pub(super) fn changes(
        &mut self,
        causes: &[Cause],
        conditions: &[Condition],
        now: Timestamp,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        self.present.clear();
        for (cause, condition) in causes.iter().zip(conditions) {
            let key = cause.key();
            self.unmet.remove(&key);
            let present = SeenCondition { level: condition.level, weight: cause.weight() };
            self.present.insert(key.clone(), present);
            if !self.conditions.contains_key(&key) {
                self.conditions.insert(key.clone(), RememberedCondition { since: now, seen: None });
                let what = Happened::ConditionRaised { code: condition.code, what: condition.what.clone() };
                actions.push(self.tell(&key, now, what));
            }
        }
        let unmet_until = *self.unmet_until.get_or_insert_with(|| {
            Timestamp::from_second(now.as_second().saturating_add(MET_WITHIN_S)).unwrap_or(now)
        });
        if now >= unmet_until {
            self.unmet.clear();
        }
        let is_over = |key: &&String| !self.present.contains_key(*key) && !self.unmet.contains(*key);
        let gone: Vec<_> = self.conditions.keys().filter(is_over).cloned().collect();
        for key in gone {
            self.conditions.remove(&key);
            actions.push(self.tell(&key, now, Happened::ConditionCleared { condition: key.clone() }));
        }
        actions
    }

    /// What is to be written down, if that has changed.
    pub(super) fn remember(&mut self, facts: &Facts<'_>) -> Option<Action> {
        let Remembered { conditions, growth, refused } = &self.saved;
        if *conditions == self.conditions && growth == self.growth.samples() && *refused == facts.refused {
            return None;
        }
        let (conditions, growth) = (self.conditions.clone(), self.growth.samples().to_vec());
        self.saved = Remembered { conditions, growth, refused: facts.refused.clone() };
        Some(Action::Remember(self.saved.clone()))
    }

    fn tell(&mut self, key: &str, now: Timestamp, what: Happened) -> Action {
        self.changes += 1;
        let id = format!("{}-{}-{key}", now.as_millisecond(), self.changes);
        Action::Tell(Happening { id, time: now, what })
    }

    /// The lamp's new rhythm, if changed.
    pub(super) fn light(&mut self, rhythm: Rhythm) -> Option<Action> {
        let is_new = self.lit.replace(rhythm) != Some(rhythm);
        is_new.then_some(Action::Light(rhythm))
    }

    /// Whether it is time to write the index out.
    pub(super) fn flush(&mut self, now: WallStamp) -> Option<Action> {
        let flushed_s = *self.flushed_s.get_or_insert(now.powered_on_s);
        if now.powered_on_s.saturating_sub(flushed_s) < FLUSH_EVERY_S {
            return None;
        }
        self.flushed_s = Some(now.powered_on_s);
        Some(Action::FlushIndex)
    }

    /// Days until the fullest disk is full; unknown as long as no disk tells its room.
    pub(super) fn days_left(&mut self, facts: &Facts<'_>, free_bytes: Option<u64>) -> Option<u64> {
        let now = StoredSample { at: facts.now, bytes: facts.stored_bytes };
        self.growth.sample(now.at, now.bytes);
        self.growth.days_left(now, free_bytes?.saturating_sub(facts.settings.vault.reserve_bytes))
    }
}
