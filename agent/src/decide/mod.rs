//! The meaning of the facts: facts in, one report and the actions out. No I/O, no clock: the moment is one of the
//! facts.
//!
//! Facts become causes (`conditions`), causes have codes and keys (`causes`), and words come last (`words`).

mod actions;
mod causes;
mod conditions;
mod disks;
pub(crate) mod events;
pub(crate) mod facts;
mod figures;
mod growth;
mod memory;
pub(crate) mod pace;
pub(crate) mod promise;
pub(crate) mod rhythm;
pub(crate) mod words;

pub(crate) use actions::Action;
pub(crate) use memory::Memory;

use self::facts::{BrokerFacts, Facts, RegistryView, SourceFacts};
use self::figures::{fullest, gib, moment, repaired};
use crate::report::{
    Condition, Doing, HeadReport, Health, Level, NextToGo, PairingReport, PairingState, ProofReport,
    PushResult, Report, RetentionReport, SignedParts, SourceReport, SystemReport, VaultReport, source_id,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_firmware_config::Settings;
use larder_format::ledger::{Head, Origin, WallStamp};
use larder_panel::Rhythm;
use larder_store::clock::ClockVerdict;
use larder_store::{Access, MemberState, RuleInForce};
use std::collections::BTreeMap;

/// One report, and the actions that follow from the change since the last report.
pub(crate) fn report(facts: &Facts<'_>, memory: &mut Memory) -> (Report, Vec<Action>) {
    let vault = vault_report(facts, memory);
    let causes = conditions::find(facts, &vault);
    let in_words = |cause: &causes::Cause| {
        words::condition(cause, memory.since(cause).unwrap_or(facts.now), memory.is_acknowledged(cause))
    };
    let conditions: Vec<_> = causes.iter().map(in_words).collect();
    let mut actions = memory.changes(&causes, &conditions, facts.now);
    memory.saw_retained(facts);
    let level = conditions.iter().map(Condition::open_level).max().unwrap_or(Level::Fine);
    let doing = match (facts.receiving, facts.restoring) {
        (1.., _) => Doing::Receiving,
        (_, 1..) => Doing::Restoring,
        _ => Doing::Idle,
    };
    let lamp = rhythm(&conditions, doing, facts, memory);
    actions.extend(memory.light(lamp));
    actions.extend(memory.flush(facts.stamp));
    actions.extend(memory.remember(facts));
    let report = Report {
        health: Health { level, conditions, doing, lamp },
        vault,
        retention: retention_report(facts),
        proof: proof_report(facts),
        head: HeadReport {
            sequence: facts.head.sequence,
            hash: facts.head.hash.to_string(),
            time: facts.head_time_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            signed: facts.head_signed.clone(),
            answers: facts.retained.map(|(retained, _)| retained),
            is_withheld: memory.is_head_withheld(),
        },
        pairing: facts.pairing.clone(),
        system: facts.system.clone(),
        disks: facts.disks.iter().map(|(disk, flush)| disks::report(disk, *flush, facts)).collect(),
        sources: facts.sources.iter().map(|source| source_report(source, facts)).collect(),
    };
    (report, actions)
}

/// The report before the first look: starting, and nothing else.
pub(crate) fn starting(settings: &Settings, system: SystemReport, now: Timestamp) -> Report {
    let facts = Facts {
        now,
        zone: TimeZone::UTC,
        settings,
        sources: Vec::new(),
        disks: Vec::new(),
        registry: RegistryView::default(),
        is_paired: false,
        pairing: PairingReport::default(),
        head: Head::EMPTY,
        head_time_ms: None,
        head_signed: SignedParts::default(),
        retained: None,
        gaps: 0,
        access: Access::Full,
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
        stamp: WallStamp::default(),
        lived_s: 0,
        refused: BTreeMap::new(),
        kept_free_bytes: 0,
        system,
        broker: BrokerFacts::default(),
    };
    let (report, _) = report(&facts, &mut Memory::default());
    Report {
        health: Health {
            level: Level::NeedsYou,
            conditions: Vec::new(),
            doing: Doing::Starting,
            lamp: Rhythm::Starting,
        },
        ..report
    }
}

/// The worst that the owner has not seen wins. An open window and identify come before "needs you": the owner at the box waits
/// for the sign that the box has heard, and a window that nobody asked for must be seen.
fn rhythm(conditions: &[Condition], doing: Doing, facts: &Facts<'_>, memory: &mut Memory) -> Rhythm {
    let may_unplug = memory.may_unplug(facts);
    match conditions.iter().find(|condition| !condition.acknowledged) {
        Some(worst) if worst.level == Level::Alarm => Rhythm::Alarm,
        _ if facts.pairing.state == PairingState::Open => Rhythm::Pairing,
        _ if memory.is_identifying(facts.now) => Rhythm::Identify,
        Some(worst) => Rhythm::needs_you(worst.code.number()),
        None if may_unplug => Rhythm::MayUnplug,
        None if doing == Doing::Starting => Rhythm::Starting,
        None if doing != Doing::Idle => Rhythm::Busy,
        // Seen is not mended, and of nothing nothing comes back: the lamp must not say that it could.
        None if !conditions.is_empty() || facts.sources.is_empty() => Rhythm::Quiet,
        None => Rhythm::Ready,
    }
}

fn vault_report(facts: &Facts<'_>, memory: &mut Memory) -> VaultReport {
    let free_bytes = fullest(facts).map(|(_, free_bytes)| free_bytes);
    // A device may claim any number of files, and a sum that overflows would stop the box.
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
        days_left: memory.days_left(facts, free_bytes),
    }
}

/// The date of the last scrub is the date of the disk read longest ago: a byte unread on one disk is not proven.
fn proof_report(facts: &Facts<'_>) -> ProofReport {
    let ended = facts.scrubs.iter().map(|disk| disk.last.map(|(stamp, _)| stamp.time_ms));
    let oldest = ended.collect::<Option<Vec<_>>>().and_then(|ended| ended.into_iter().min());
    ProofReport {
        last_scrub: oldest.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        damaged: facts.damaged,
        repaired: facts.scrubs.iter().map(repaired).sum(),
    }
}

fn retention_report(facts: &Facts<'_>) -> RetentionReport {
    let next = facts
        .sources
        .iter()
        .filter_map(|source| source.next_to_go.map(|(snapshot, at)| (at, source, snapshot)))
        .min_by_key(|(at, ..)| *at);
    RetentionReport {
        rule: words::rules::rule_in_words(&facts.rule.rule),
        promise: words::rules::promise_in_words(&facts.rule.rule),
        oldest: facts.sources.iter().filter_map(|source| moment(source.oldest.stamp)).min(),
        next_to_go: next.map(|(at, source, snapshot)| NextToGo {
            at,
            source: source.source.clone(),
            snapshot,
            why: "the rule keeps it at least until then".to_owned(),
        }),
        holds: facts.holds.iter().map(words::hold).collect(),
        shorter: words::rules::shorter_in_words(&facts.rule),
        locked: (facts.clock != ClockVerdict::MayLetGo).then(|| facts.clock.to_string()),
    }
}

fn source_report(source: &SourceFacts, facts: &Facts<'_>) -> SourceReport {
    let snapshot = &source.newest.snapshot;
    let rhythm = rhythm::of(source, facts.settings);
    SourceReport {
        source: source.source.clone(),
        id: source_id(&source.source),
        last_success: moment(source.newest.stamp),
        last_result: if snapshot.skipped == 0 { PushResult::Success } else { PushResult::Partial },
        overdue: rhythm::is_overdue(source, facts),
        expected: words::sources::expected(source, &rhythm),
        standing: rhythm.standing,
        overdue_after_s: rhythm.overdue_after_s,
        folder: source.folder.as_ref().map(Origin::in_words),
        files: snapshot.totals.files,
        bytes: snapshot.totals.bytes,
        gib: gib(snapshot.totals.bytes),
        skipped: snapshot.skipped,
        snapshots: source.snapshots,
        oldest: moment(source.oldest.stamp),
        answers: words::answers::of(source, &facts.zone),
    }
}

#[cfg(test)]
mod tests;
