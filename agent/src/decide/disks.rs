//! The meaning of each disk's state: its report, its causes, and when the lamp permits unplugging.

use super::causes::{Cause, DiskFault, DiskName};
use super::facts::Facts;
use super::figures::{gib, moment, round};
use super::pace::elapsed_s;
use crate::report::{DiskHealth, DiskReport, DiskState, DiskUse, Flush, VaultReport};
use larder_format::ledger::DiskRole;
use larder_store::disk::Space;
use larder_store::{MemberState, MemberView};
use std::collections::BTreeSet;

/// The lamp gives the permission once and stays dark for a moment; then the lamp speaks of the whole again.
const UNPLUG_FOR_MS: i64 = 10_000;

/// Disks already reported as ready for unplugging.
#[derive(Debug, Default)]
pub(super) struct Unplug {
    ready: BTreeSet<String>,
    until_ms: i64,
}

impl Unplug {
    /// Whether the lamp permits unplugging now.
    pub(super) fn is_said(&mut self, facts: &Facts<'_>) -> bool {
        let disks = facts.disks.iter().map(|(disk, _)| disk);
        let ready: BTreeSet<_> =
            disks.filter(|disk| may_unplug(disk, facts)).map(|disk| disk.id.clone()).collect();
        let now_ms = facts.now.as_millisecond();
        if !ready.is_subset(&self.ready) {
            self.until_ms = now_ms + UNPLUG_FOR_MS;
        }
        self.ready = ready;
        now_ms < self.until_ms
    }
}

/// A filled offsite disk, or any released disk.
fn may_unplug(disk: &MemberView, facts: &Facts<'_>) -> bool {
    (disk.role == DiskRole::Offsite && disk.state == MemberState::Healthy)
        || facts.registry.released.contains(&disk.id)
}

fn used(space: Space) -> u64 {
    space.total.saturating_sub(space.free)
}

/// None for a filesystem without any size: of nothing there is no share.
fn used_percent(space: Space) -> Option<f64> {
    (space.total > 0).then(|| round(used(space) as f64 * 100.0 / space.total as f64))
}

pub(super) fn report(disk: &MemberView, flush: Flush, facts: &Facts<'_>) -> DiskReport {
    let scrub = facts.scrubs.iter().find(|scrub| scrub.disk == disk.id);
    let is_proven = scrub.is_some_and(|scrub| {
        scrub.round.damaged == 0 && scrub.last.is_some_and(|(_, found)| found.damaged == 0)
    });
    // Read from end to end, without damage.
    let good = if is_proven { DiskHealth::Fine } else { DiskHealth::Unknown };
    let (state, health) = match disk.state {
        MemberState::Healthy => (DiskState::Healthy, good),
        MemberState::Behind(_) if disk.is_full => (DiskState::Full, good),
        MemberState::Behind(_) => (DiskState::Behind, good),
        MemberState::Failed(_) => (DiskState::Failed, DiskHealth::Suspect),
        MemberState::Suspect(_) => (DiskState::Suspect, DiskHealth::Suspect),
        MemberState::Forked => (DiskState::Forked, DiskHealth::Unknown),
        MemberState::Away if facts.registry.released.contains(&disk.id) => {
            (DiskState::Released, DiskHealth::Unknown)
        }
        MemberState::Away | MemberState::Retired => (DiskState::Away, DiskHealth::Unknown),
    };
    DiskReport {
        id: disk.id[..8].to_owned(),
        path: disk.path.clone(),
        present: disk.space.is_some(),
        used_bytes: disk.space.map(used),
        free_bytes: disk.space.map(|space| space.free),
        free_gib: disk.space.map(|space| gib(space.free)),
        used_percent: disk.space.and_then(used_percent),
        health,
        flush,
        behind: match disk.state {
            MemberState::Healthy => Some(0),
            MemberState::Behind(entries) => Some(entries),
            _ => None,
        },
        role: match disk.role {
            DiskRole::Offsite => DiskUse::Offsite,
            DiskRole::Home => DiskUse::Home,
        },
        state,
        may_unplug: may_unplug(disk, facts),
        complete: disk.complete.and_then(moment),
        leaving: disk.leaving.is_some(),
    }
}

/// The faults of each disk, and then of their number.
pub(super) fn causes(facts: &Facts<'_>, vault: &VaultReport) -> Vec<Cause> {
    let mut found = Vec::new();
    for (disk, _) in &facts.disks {
        let name = || DiskName { id: disk.id.clone(), path: disk.path.clone() };
        if let Some(fault) = fault(disk, facts, vault) {
            found.push(Cause::Disk { disk: name(), fault, is_last: vault.copies == 0 });
        }
        if disk.leaving.is_some() {
            found.push(Cause::Leaving(name()));
        }
    }
    let rejected = facts.registry.rejected.iter();
    found.extend(rejected.map(|(path, why)| Cause::Rejected { path: path.clone(), why: why.clone() }));
    if found.is_empty() && vault.copies < vault.copies_wanted {
        found.push(Cause::FewCopies { copies: vault.copies, wanted: vault.copies_wanted });
    }
    found
}

fn fault(disk: &MemberView, facts: &Facts<'_>, vault: &VaultReport) -> Option<DiskFault> {
    match &disk.state {
        state if state.is_read_only() => Some(DiskFault::ReadOnly),
        MemberState::Failed(_) => Some(DiskFault::Failed),
        MemberState::Suspect(_) => Some(DiskFault::Suspect),
        MemberState::Away if disk.role == DiskRole::Offsite && vault.copies > 0 => {
            offsite_overdue(disk, facts)
        }
        MemberState::Away => {
            Some(DiskFault::Away { is_released: facts.registry.released.contains(&disk.id) })
        }
        MemberState::Behind(_) if disk.is_full => Some(DiskFault::Full),
        MemberState::Behind(files) => {
            Some(DiskFault::Behind { files: *files, is_older_copy: disk.is_older_copy })
        }
        MemberState::Forked => Some(DiskFault::Forked),
        // Unknown is never fine. The next look at the disk finds out what is wrong.
        MemberState::Healthy if disk.space.is_none() => Some(DiskFault::Silent),
        MemberState::Healthy | MemberState::Retired => None,
    }
}

/// An offsite disk late for its return.
fn offsite_overdue(disk: &MemberView, facts: &Facts<'_>) -> Option<DiskFault> {
    let limit_s = facts.settings.vault.offsite_overdue.duration().as_secs();
    let age_s = disk.complete.map(|since| elapsed_s(&since, &facts.stamp));
    age_s.is_none_or(|age| age > limit_s).then_some(DiskFault::OffsiteOverdue { age_s })
}

#[cfg(test)]
mod tests;
