//! What everything means: facts in, one report out. No I/O, no clock: the moment is one of the facts.

pub(crate) mod answers;
mod causes;
mod disks;
pub(crate) mod facts;
pub(crate) mod pace;
pub(crate) mod promise;

use self::facts::{BrokerFacts, Facts, ShelfView, SourceFacts};
use crate::report::{
    Condition, Doing, Happening, HeadReport, Health, Level, NextToGo, ProofReport, Report, RetentionReport,
    SourceReport, SystemReport, VaultReport,
};
use jiff::Timestamp;
use larder_firmware_config::Settings;
use larder_format::ledger::{Head, Stamp};
use larder_panel::Rhythm;
use larder_store::clock::ClockVerdict;
use larder_store::{Fact, MemberState, MemberView, RuleInForce, ScrubView};
use std::collections::{BTreeMap, VecDeque};

const GIB: f64 = 1_073_741_824.0;
const IDENTIFY_FOR_MS: i64 = 60_000;

/// What has to be remembered from one report to the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    since: BTreeMap<String, Timestamp>,
    growth: VecDeque<(Timestamp, u64)>,
    identify_until_ms: i64,
    unplug: disks::Unplug,
    happened: u64,
}

impl Memory {
    /// Somebody asked which box this is.
    pub(crate) fn identify(&mut self, now: Timestamp) {
        self.identify_until_ms = now.as_millisecond() + IDENTIFY_FOR_MS;
    }
}

/// One report, and what has to be told about the change from the one before.
pub(crate) fn report(facts: &Facts<'_>, memory: &mut Memory) -> (Report, Vec<Happening>) {
    let vault = vault_report(facts, memory);
    let found = causes::find(facts, &vault);
    let happenings = changes(&found, facts.now, memory);
    let conditions: Vec<_> = found
        .into_iter()
        .map(|(key, condition)| Condition { since: memory.since[&key], ..condition })
        .collect();
    let level = conditions.iter().map(|condition| condition.level).max().unwrap_or(Level::Fine);
    let doing = match (facts.receiving, facts.restoring) {
        (1.., _) => Doing::Receiving,
        (_, 1..) => Doing::Restoring,
        _ => Doing::Idle,
    };
    let identify = facts.now.as_millisecond() < memory.identify_until_ms;
    let may_unplug = memory.unplug.is_said(facts);
    let lamp = rhythm(&conditions, doing, identify, may_unplug);
    let health = Health { level, conditions, doing, lamp: lamp.name().to_owned() };
    let report = Report {
        health,
        vault,
        retention: retention_report(facts),
        proof: proof_report(facts),
        head: HeadReport {
            sequence: facts.head.sequence,
            hash: facts.head.hash.to_string(),
            time: facts.head_time_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        },
        system: facts.system.clone(),
        disks: facts.disks.iter().map(|(disk, flush)| disks::report(disk, flush, facts)).collect(),
        sources: facts.sources.iter().map(|source| source_report(source, facts)).collect(),
    };
    (report, happenings)
}

/// What is shown before anything is known: starting, and nothing else.
pub(crate) fn starting(settings: &Settings, system: SystemReport, now: Timestamp) -> Report {
    let facts = Facts {
        now,
        settings,
        sources: Vec::new(),
        disks: Vec::new(),
        shelf: ShelfView::default(),
        head: Head::EMPTY,
        head_time_ms: None,
        gaps: 0,
        holds: Vec::new(),
        rule: RuleInForce { rule: promise::rule(&settings.retention), shorter: None },
        clock: ClockVerdict::MayLetGo,
        stored_bytes: 0,
        receiving: 0,
        restoring: 0,
        damaged: 0,
        lost_files: Vec::new(),
        damaged_snapshots: Vec::new(),
        scrubs: Vec::new(),
        stamp: Stamp::default(),
        refused_full: 0,
        system,
        broker: BrokerFacts::default(),
    };
    let (report, _) = report(&facts, &mut Memory::default());
    let lamp = Rhythm::Starting.name().to_owned();
    Report {
        health: Health { level: Level::NeedsYou, conditions: Vec::new(), doing: Doing::Starting, lamp },
        ..report
    }
}

/// The worst wins. Identify comes before "needs you", or a box that needs somebody could never be found.
fn rhythm(conditions: &[Condition], doing: Doing, identify: bool, may_unplug: bool) -> Rhythm {
    match conditions.first() {
        Some(worst) if worst.level == Level::Alarm => Rhythm::Alarm,
        _ if identify => Rhythm::Identify,
        Some(worst) => Rhythm::needs_you(worst.code),
        None if may_unplug => Rhythm::MayUnplug,
        None if doing == Doing::Starting => Rhythm::Starting,
        None if doing != Doing::Idle => Rhythm::Busy,
        None => Rhythm::Ready,
    }
}

fn changes(found: &[(String, Condition)], now: Timestamp, memory: &mut Memory) -> Vec<Happening> {
    let mut happenings = Vec::new();
    let mut tell = |memory: &mut Memory, event_type: &str, key: &str, facts: serde_json::Map<_, _>| {
        memory.happened += 1;
        let id = format!("{}-{}-{key}", now.as_millisecond(), memory.happened);
        happenings.push(Happening { event_type: event_type.to_owned(), id, time: now, facts });
    };
    for (key, condition) in found {
        if !memory.since.contains_key(key) {
            memory.since.insert(key.clone(), now);
            let facts = [("code", condition.code.into()), ("what", condition.what.clone().into())];
            tell(
                memory,
                "condition_raised",
                key,
                facts.map(|(k, v)| (k.to_owned(), v)).into_iter().collect(),
            );
        }
    }
    let gone: Vec<_> =
        memory.since.keys().filter(|key| !found.iter().any(|(k, _)| k == *key)).cloned().collect();
    for key in gone {
        memory.since.remove(&key);
        tell(
            memory,
            "condition_cleared",
            &key,
            [("condition".to_owned(), key.clone().into())].into_iter().collect(),
        );
    }
    happenings
}

fn vault_report(facts: &Facts<'_>, memory: &mut Memory) -> VaultReport {
    let free_bytes = fullest(facts).map(|(_, free_bytes)| free_bytes);
    // What a device claims of its files may be anything, and a sum that overflows would stop the box.
    let sum = |of: fn(&SourceFacts) -> u64| facts.sources.iter().map(of).fold(0, u64::saturating_add);
    let protected_bytes = sum(|source| source.newest.snapshot.totals.bytes);
    let healthy = facts.disks.iter().filter(|(disk, _)| disk.state == MemberState::Healthy).count();
    VaultReport {
        snapshots: sum(|source| source.snapshots),
        files: sum(|source| source.newest.snapshot.totals.files),
        protected_bytes,
        protected_gib: gib(protected_bytes),
        stored_bytes: facts.stored_bytes,
        stored_gib: gib(facts.stored_bytes),
        copies: healthy as u64,
        copies_wanted: facts.settings.vault.copies.into(),
        free_bytes,
        free_gib: free_bytes.map(gib),
        days_left: days_left(facts, free_bytes, memory),
    }
}

/// Of the disks that take backups the one with the least room, and how much that is: all of them take every backup. Without
/// one that says so there is no room to speak of; the disk's own condition says what is wrong.
fn fullest<'a>(facts: &'a Facts<'_>) -> Option<(&'a MemberView, u64)> {
    let disks = facts.disks.iter().map(|(disk, _)| disk);
    let healthy = disks.filter(|disk| disk.state == MemberState::Healthy);
    healthy.filter_map(|disk| Some((disk, disk.space?.free))).min_by_key(|(_, free_bytes)| *free_bytes)
}

/// Samples of what is stored, one a day: the growth of the last 30 days.
const GROWTH_DAYS: usize = 31;

/// Days until full at the growth of the last 30 days, less what was let go of; unknown before a whole day was seen, and
/// as long as no disk says how much room it has.
fn days_left(facts: &Facts<'_>, free_bytes: Option<u64>, memory: &mut Memory) -> Option<u64> {
    let days_since = |then: Timestamp| (facts.now.as_second() - then.as_second()) / 86_400;
    if memory.growth.back().is_none_or(|(then, _)| days_since(*then) >= 1) {
        memory.growth.push_back((facts.now, facts.stored_bytes));
    }
    while memory.growth.len() > GROWTH_DAYS {
        memory.growth.pop_front();
    }
    let (since, then) = *memory.growth.front()?;
    let grown = facts.stored_bytes.saturating_sub(then);
    let per_day = grown.checked_div(u64::try_from(days_since(since)).ok()?)?;
    free_bytes?.saturating_sub(facts.settings.vault.reserve_bytes).checked_div(per_day)
}

/// What was read back is what the disk says that was read last: a byte that nobody read on one of them is not proven.
fn proof_report(facts: &Facts<'_>) -> ProofReport {
    let ended = facts.scrubs.iter().map(|disk| disk.last.map(|(stamp, _)| stamp.time_ms));
    let oldest = ended.collect::<Option<Vec<_>>>().and_then(|ended| ended.into_iter().min());
    ProofReport {
        last_drill: None,
        last_scrub: oldest.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        damaged: facts.damaged,
        repaired: facts.scrubs.iter().map(repaired).sum(),
    }
}

/// Files that were repaired in the round that runs and in the one before.
fn repaired(disk: &ScrubView) -> u64 {
    disk.round.repaired + disk.last.map_or(0, |(_, found)| found.repaired)
}

fn retention_report(facts: &Facts<'_>) -> RetentionReport {
    let next = facts
        .sources
        .iter()
        .filter_map(|source| source.next_to_go.map(|(snapshot, at)| (at, source, snapshot)))
        .min_by_key(|(at, ..)| *at);
    RetentionReport {
        rule: promise::rule_in_words(&facts.rule.rule),
        promise: promise::promise_in_words(&facts.rule.rule),
        oldest: facts.sources.iter().filter_map(|source| moment(&source.oldest)).min(),
        next_to_go: next.map(|(at, source, snapshot)| NextToGo {
            at,
            source: source.source.clone(),
            snapshot,
            why: "the rule keeps it at least until then".to_owned(),
        }),
        holds: facts.holds.clone(),
        shorter: promise::shorter_in_words(&facts.rule),
        locked: (facts.clock != ClockVerdict::MayLetGo).then(|| facts.clock.to_string()),
    }
}

fn source_report(source: &SourceFacts, facts: &Facts<'_>) -> SourceReport {
    let snapshot = &source.newest.snapshot;
    SourceReport {
        source: source.source.clone(),
        // Names have no `/`, `#` or `+`, and `@` is in none of them, so the slug is unique.
        id: source.source.replace('/', "@"),
        last_success: moment(&source.newest),
        last_result: if snapshot.skipped == 0 { "success" } else { "partial" }.to_owned(),
        overdue: causes::is_overdue(source, facts),
        files: snapshot.totals.files,
        bytes: snapshot.totals.bytes,
        gib: gib(snapshot.totals.bytes),
        skipped: snapshot.skipped,
        snapshots: source.snapshots,
        oldest: moment(&source.oldest),
        answers: answers::of(source),
    }
}

pub(crate) fn moment(fact: &Fact) -> Option<Timestamp> {
    Timestamp::from_millisecond(fact.stamp.time_ms).ok()
}

fn gib(bytes: u64) -> f64 {
    round(bytes as f64 / GIB)
}

/// Three decimals: a dashboard shows two, and more would change with every byte.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests;
