//! What the state of each disk means: its report, its conditions, and when the lamp says that it may be unplugged.

use super::causes::{Found, raise};
use super::facts::Facts;
use super::pace::elapsed_s;
use super::{gib, round};
use crate::phrase::counted;
use crate::report::{DiskReport, Level, VaultReport};
use jiff::Timestamp;
use larder_format::ledger::Stamp;
use larder_store::{MemberState, MemberView};
use std::collections::BTreeSet;

/// The lamp says it once and stays dark for a moment after it; then it speaks of the whole again.
const UNPLUG_FOR_MS: i64 = 10_000;
const DAY_S: u64 = 86_400;

/// Which disks were already said to be ready for unplugging.
#[derive(Debug, Default)]
pub(super) struct Unplug {
    ready: BTreeSet<String>,
    until_ms: i64,
}

impl Unplug {
    /// Whether the lamp is to say now that a disk may be unplugged.
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

/// An offsite disk that is filled, or any that somebody let go of.
fn may_unplug(disk: &MemberView, facts: &Facts<'_>) -> bool {
    (disk.offsite && disk.state == MemberState::Healthy) || facts.shelf.released.contains(&disk.id)
}

pub(super) fn report(disk: &MemberView, flush: &str, facts: &Facts<'_>) -> DiskReport {
    let (total, free) = disk.space.map_or((0, 0), |space| (space.total, space.free));
    let used_bytes = total.saturating_sub(free);
    let scrub = facts.scrubs.iter().find(|scrub| scrub.disk == disk.id);
    let is_proven = scrub.is_some_and(|scrub| {
        scrub.round.damaged == 0 && scrub.last.is_some_and(|(_, found)| found.damaged == 0)
    });
    // Read from end to end, and all of it was as it should be.
    let good = if is_proven { "fine" } else { "unknown" };
    let (state, health) = match disk.state {
        MemberState::Healthy => ("healthy", good),
        MemberState::Behind(_) => ("behind", good),
        MemberState::Failed(_) => ("failed", "suspect"),
        MemberState::Suspect(_) => ("suspect", "suspect"),
        MemberState::Forked => ("forked", "unknown"),
        MemberState::Away if facts.shelf.released.contains(&disk.id) => ("released", "unknown"),
        MemberState::Away | MemberState::Retired => ("away", "unknown"),
    };
    DiskReport {
        id: disk.id[..8].to_owned(),
        path: disk.path.clone(),
        present: disk.space.is_some(),
        used_bytes,
        free_bytes: free,
        free_gib: gib(free),
        used_percent: if total == 0 { 0.0 } else { round(used_bytes as f64 * 100.0 / total as f64) },
        health: health.to_owned(),
        flush: flush.to_owned(),
        behind: if let MemberState::Behind(entries) = disk.state { entries } else { 0 },
        role: if disk.offsite { "offsite" } else { "home" }.to_owned(),
        state: state.to_owned(),
        may_unplug: may_unplug(disk, facts),
        complete: disk.complete.and_then(moment),
        leaving: disk.leaving.is_some(),
    }
}

fn moment(stamp: Stamp) -> Option<Timestamp> {
    Timestamp::from_millisecond(stamp.time_ms).ok()
}

pub(super) fn conditions(facts: &Facts<'_>, vault: &VaultReport, found: &mut Found) {
    let before = found.len();
    for (disk, _) in &facts.disks {
        let level = if vault.copies == 0 { (Level::Alarm, 1) } else { (Level::NeedsYou, 4) };
        let words = match &disk.state {
            state if state.is_read_only() => Some((level, read_only(disk))),
            MemberState::Failed(_) => Some((level, failed(disk))),
            MemberState::Suspect(_) => Some((level, suspect(disk))),
            MemberState::Away if disk.offsite && vault.copies > 0 => {
                overdue(disk, facts).map(|words| ((Level::NeedsYou, 4), words))
            }
            MemberState::Away => Some((level, away(disk, facts))),
            MemberState::Behind(files) => Some(((Level::NeedsYou, 4), behind(disk, *files))),
            MemberState::Forked => Some(((Level::NeedsYou, 4), forked(disk))),
            // Unknown is never fine. The next look at it finds out what is wrong.
            MemberState::Healthy if disk.space.is_none() => Some(((Level::NeedsYou, 4), silent(disk))),
            MemberState::Healthy | MemberState::Retired => None,
        };
        if let Some((level, [what, meaning, remedy])) = words {
            raise(found, facts, level, &format!("disk {}", disk.id), [&what, &meaning, &remedy]);
        }
        if disk.leaving.is_some() {
            let [what, meaning, remedy] = leaving(disk);
            raise(
                found,
                facts,
                (Level::NeedsYou, 4),
                &format!("leaving {}", disk.id),
                [&what, &meaning, &remedy],
            );
        }
    }
    for (path, why) in &facts.shelf.strangers {
        let what = format!("The disk that is connected at {path} is not used: {why}.");
        let words = [
            &*what,
            "Nothing on it was touched. The other disks are not affected.",
            "Connect the disk that belongs there, or see what `larderd disks` says of it.",
        ];
        raise(found, facts, (Level::NeedsYou, 4), &format!("stranger {path}"), words);
    }
    if found.len() == before && vault.copies < vault.copies_wanted {
        let copies = counted(vault.copies, "copy", "copies");
        let are = if vault.copies == 1 { "is" } else { "are" };
        let what = format!("There {are} {copies} of your backups, not {}.", vault.copies_wanted);
        let words =
            [&*what, "If the disks that are left fail, backups are lost.", "Connect another backup disk."];
        raise(found, facts, (Level::NeedsYou, 4), "copies", words);
    }
}

fn failed(disk: &MemberView) -> [String; 3] {
    [
        format!("The backup disk at {} failed.", disk.path),
        "It is opened and read anew. Until it has caught up, new backups go to the other disks alone."
            .to_owned(),
        "Check its cable and power. If it was once only, this heals itself.".to_owned(),
    ]
}

/// The system does this to a filesystem that is damaged. It is no question of cables, and no restart mends it.
fn read_only(disk: &MemberView) -> [String; 3] {
    [
        format!("The backup disk at {} can only be read: the system stopped writing to it.", disk.path),
        "What it holds can be given back; nothing new is written to it.".to_owned(),
        "Restore what only it has. Then stop the agent, unmount the disk, have its filesystem checked (`e2fsck`) and mount \
         it again. If it comes again, replace the disk."
            .to_owned(),
    ]
}

fn silent(disk: &MemberView) -> [String; 3] {
    [
        format!("The backup disk at {} does not say how much room it has.", disk.path),
        "What it holds is not affected as far as anybody knows; new backups may be refused.".to_owned(),
        "Check its cable and power. If it was once only, this heals itself.".to_owned(),
    ]
}

fn suspect(disk: &MemberView) -> [String; 3] {
    let folder = disk.path.strip_suffix("/larder").unwrap_or(&disk.path);
    [
        format!("The backup disk at {} failed more than once.", disk.path),
        "Nothing more is written to it; what it already holds may still be readable.".to_owned(),
        format!(
            "Check its cable and power. If you trust it again: `larderd adopt {folder}`; if not, replace it. \
             A restart does not help."
        ),
    ]
}

fn away(disk: &MemberView, facts: &Facts<'_>) -> [String; 3] {
    let (what, remedy) = if facts.shelf.released.contains(&disk.id) {
        ("was let go of and may be unplugged", "Unplug it, and connect it again whenever you like.")
    } else {
        ("is not connected", "Connect it again; nothing else is needed.")
    };
    [
        format!("The backup disk at {} {what}.", disk.path),
        "What it holds stays on it. New backups go to the other disks alone; it catches up when it is back."
            .to_owned(),
        format!("{remedy} If it will never come back: `larderd forget {}`.", &disk.id[..8]),
    ]
}

/// An offsite disk that should have been at home by now.
fn overdue(disk: &MemberView, facts: &Facts<'_>) -> Option<[String; 3]> {
    let limit_s = facts.settings.vault.offsite_overdue.duration().as_secs();
    let age_s = disk.complete.map(|since| elapsed_s(&since, &facts.stamp));
    if age_s.is_some_and(|age| age <= limit_s) {
        return None;
    }
    let days = |age_s: u64| counted(age_s / DAY_S, "day", "days");
    let when =
        age_s.map_or("never been filled".to_owned(), |age| format!("not been filled for {}", days(age)));
    Some([
        format!("The offsite disk {} has {when}.", &disk.id[..8]),
        "What it holds stays on it; what came since then is only at home.".to_owned(),
        "Bring it home and connect it; the lamp says when you may unplug it again.".to_owned(),
    ])
}

fn behind(disk: &MemberView, files: u64) -> [String; 3] {
    let older = if disk.is_older_copy {
        " It is an older copy of itself: it once had more than it has now."
    } else {
        ""
    };
    let files = counted(files, "file", "files");
    [
        format!("The backup disk at {} lacks {files} that the others have.{older}", disk.path),
        "It is being filled. Until it has everything, new backups go to the other disks alone.".to_owned(),
        "Nothing, this heals itself. If the number does not fall, see whether the disk has room.".to_owned(),
    ]
}

fn forked(disk: &MemberView) -> [String; 3] {
    [
        format!(
            "The backup disk at {} has another past than the others: it was used apart from them.",
            disk.path
        ),
        "It is left as it is and not written to. What is on the others is not affected.".to_owned(),
        "What only it has can be read with `larder rescue`; then empty it and adopt it anew.".to_owned(),
    ]
}

fn leaving(disk: &MemberView) -> [String; 3] {
    [
        format!("Somebody at the box asked to forget the backup disk at {}.", disk.path),
        "After 72 hours it no longer counts as a copy. What is on it stays on it.".to_owned(),
        format!("If it was not you: `larderd forget {} --undo`.", &disk.id[..8]),
    ]
}

#[cfg(test)]
mod tests;
