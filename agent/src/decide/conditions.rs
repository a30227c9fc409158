//! The causes of one moment, worst first.

use super::causes::{Cause, DamageFacts, DiskFault, DiskName};
use super::disks;
use super::facts::{Facts, RetainedStanding, SourceFacts};
use super::figures::{fullest, repaired};
use super::pace::{LATE_AFTER_S, elapsed_s};
use super::rhythm;
use crate::phrase::span;
use crate::report::VaultReport;
use larder_format::ledger::{DiskRole, Scrubbed};
use larder_store::{Access, MemberState, MemberView, ScrubView};

/// A restarting broker is back by then, without a word to the owner.
const BROKER_AWAY_S: i64 = 120;
/// Time to buy a disk.
const DAYS_LEFT_MIN: u64 = 14;

/// Every cause, worst first.
pub(super) fn find(facts: &Facts<'_>, vault: &VaultReport) -> Vec<Cause> {
    let mut found: Vec<Cause> = Vec::new();
    found.extend(ledger_gap(facts));
    let past_lost = past_lost(facts);
    found.extend(matches!(facts.access, Access::ReadOnly { .. }).then_some(Cause::NewerLarder));
    found.extend(damage(facts));
    found.extend(
        facts.scrubs.iter().filter(|disk| disk.suspected > 0).map(|disk| Cause::Unread(name_of(disk))),
    );
    let disks = disks::causes(facts, vault).into_iter();
    // One disk that is not here is one thing to do, and not two.
    found.extend(disks.filter(|cause| !is_told_by(past_lost.as_ref(), cause)));
    found.extend(past_lost);
    found.extend(facts.scrubs.iter().flat_map(|disk| read_back(disk, facts)));
    found.extend(room(facts, vault));
    found.extend(overdue(facts));
    found.extend(facts.sources.iter().filter_map(retiring));
    found.extend(facts.sources.iter().filter_map(letting_go));
    found.extend(facts.sources.iter().flat_map(labels_ending));
    found.extend(facts.rule.shorter.map(|(rule, left_s)| Cause::ShorterRule { rule, left_s }));
    found.extend((!facts.system.clock_trusted).then_some(Cause::ClockNotSet));
    found.extend((facts.system.undervoltage == Some(true)).then_some(Cause::WeakPower));
    found.extend(broker(facts));
    found.sort_by_key(|cause| (std::cmp::Reverse(cause.code().level()), cause.code()));
    found
}

fn name_of(disk: &ScrubView) -> DiskName {
    DiskName { id: disk.disk.clone(), path: disk.path.clone() }
}

fn ledger_gap(facts: &Facts<'_>) -> Option<Cause> {
    let is_away = |disk: &&MemberView| disk.state == MemberState::Away;
    let away_at = facts.disks.iter().map(|(disk, _)| disk).find(is_away).map(|disk| disk.path.clone());
    (facts.gaps > 0).then_some(Cause::LedgerGap { entries: facts.gaps, away_at })
}

/// An entry that the appliance itself called its newest, and that its disks do not have.
fn past_lost(facts: &Facts<'_>) -> Option<Cause> {
    let (said, standing) = facts.retained?;
    if matches!(standing, RetainedStanding::InLedger | RetainedStanding::Unread) {
        return None;
    }
    // An offsite disk is away as a rule, and then explains nothing.
    let is_away = |disk: &&MemberView| disk.state == MemberState::Away && disk.role == DiskRole::Home;
    let away_at = facts.disks.iter().map(|(disk, _)| disk).find(is_away).map(|disk| disk.path.clone());
    Some(Cause::PastLost { said, newest: facts.head.sequence, standing, away_at })
}

fn is_told_by(past_lost: Option<&Cause>, cause: &Cause) -> bool {
    let Some(Cause::PastLost { away_at: Some(path), .. }) = past_lost else { return false };
    matches!(cause, Cause::Disk { disk, fault: DiskFault::Away { .. }, is_last: false } if disk.path == *path)
}

fn damage(facts: &Facts<'_>) -> Option<Cause> {
    let is_suspected = facts.scrubs.iter().any(|disk| disk.suspected > 0);
    let is_lost = !facts.lost_files.is_empty() || facts.damaged_snapshots.iter().any(|one| one.is_lost);
    // Unread pieces are told disk by disk, and are not lost.
    if !is_lost && (facts.damaged == 0 || is_suspected) {
        return None;
    }
    let mut files: Vec<_> =
        facts.lost_files.iter().map(|file| (file.source.clone(), file.path.clone())).collect();
    // A file with many lost versions is named once.
    files.dedup();
    let snapshots = facts.damaged_snapshots.iter().map(|one| (one.source.clone(), one.snapshot)).collect();
    Some(Cause::Damage(DamageFacts { files, snapshots }))
}

/// Findings of reading a disk back, and whether the reading came in time.
fn read_back(disk: &ScrubView, facts: &Facts<'_>) -> Vec<Cause> {
    let mut found = Vec::new();
    // A loss is an alarm of its own.
    let was_left = |found: &Scrubbed| found.damaged > found.repaired && found.lost == 0;
    let is_left = disk.round.left > 0 || disk.last.is_some_and(|(_, found)| was_left(&found));
    // A suspicion is an alarm of its own too.
    if is_left && disk.suspected == 0 {
        found.push(Cause::Unrepaired(name_of(disk)));
    } else if repaired(disk) > 0 {
        found.push(Cause::Repaired { disk: name_of(disk), files: repaired(disk) });
    }
    // For a disk never read, the first backup counts.
    let first_backup = || facts.sources.iter().map(|source| source.oldest.stamp).min_by_key(|s| s.time_ms);
    let since = disk.last.map(|(stamp, _)| stamp).or_else(first_backup);
    if since.is_some_and(|since| elapsed_s(&since, &facts.stamp) > LATE_AFTER_S) {
        found.push(Cause::NotReadBack(name_of(disk)));
    }
    found
}

fn room(facts: &Facts<'_>, vault: &VaultReport) -> Option<Cause> {
    let (disk, free_bytes) = fullest(facts)?;
    let path = disk.path.clone();
    if !facts.refused.is_empty() || free_bytes <= facts.kept_free_bytes {
        return Some(Cause::Full { path });
    }
    let days = vault.days_left.filter(|days| *days < DAYS_LEFT_MIN)?;
    Some(Cause::NearlyFull { path, days })
}

fn overdue(facts: &Facts<'_>) -> Vec<Cause> {
    if rhythm::is_box_overdue(facts) {
        return vec![Cause::NoBackupYet { is_paired: facts.is_paired }];
    }
    let late = facts.sources.iter().filter(|source| rhythm::is_overdue(source, facts));
    let limit = |source| rhythm::of(source, facts.settings).overdue_after_s.map_or(String::new(), span);
    late.map(|source| Cause::Overdue { source: source.source.clone(), limit: limit(source) }).collect()
}

fn letting_go(source: &SourceFacts) -> Option<Cause> {
    let what = source.letting_go?;
    Some(Cause::LettingGo { source: source.source.clone(), what, on_hold: source.on_hold })
}

fn labels_ending(source: &SourceFacts) -> impl Iterator<Item = Cause> {
    let ending = source.labels.iter().filter(|label| label.shortens_in_s.is_some());
    ending.map(|label| Cause::LabelEnding { source: source.source.clone(), label: label.clone() })
}

fn retiring(source: &SourceFacts) -> Option<Cause> {
    // Nobody waits for a computer without a key: its retirement changes nothing any more.
    if source.is_cut_off {
        return None;
    }
    let left_s = source.retires_in_s.filter(|left_s| *left_s > 0)?;
    Some(Cause::Retiring { source: source.source.clone(), left_s })
}

fn broker(facts: &Facts<'_>) -> Option<Cause> {
    let since = facts.broker.away_since?;
    let error = facts.broker.last_error.clone();
    if facts.broker.is_given_up {
        return Some(Cause::BrokerNotStarted { error });
    }
    let is_away_for_long = facts.now.as_second() - since.as_second() > BROKER_AWAY_S;
    let remedy = facts.broker.remedy.clone();
    (is_away_for_long || facts.broker.is_lasting).then_some(Cause::BrokerAway { error, remedy })
}
