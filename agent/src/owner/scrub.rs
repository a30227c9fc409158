//! `larderd scrub`: begins a round on every disk, follows the round, and reports its findings.
//!
//! The running agent reads; without an agent the command reads by itself. A watcher who leaves stops nothing.

use super::asking::{ask, ask_if_running, ask_while};
use super::output::{hint, say};
use super::which::{Which, settings_of};
use super::words::Trouble;
use crate::edge::http::control::{DamagedName, DiskScrub, LastScrub, LostName, ScrubStatus, scrub_status_of};
use crate::phrase::{causes, counted, size};
use crate::state::opening::{Opening, open_vault};
use larder_format::ledger::WallStamp;
use larder_store::{StoreError, Vault};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

const ROUTE: &str = "/v1/control/scrub";
/// Read between two looks where no agent runs.
const STEP_BYTES: u64 = 64 * 1024 * 1024;

pub(crate) fn scrub(which: &Which, json: bool) -> Result<ExitCode, Trouble> {
    let progress = Progress::new(!json && io::stderr().is_terminal());
    let (before, after) = match ask_if_running::<ScrubStatus>(which, ROUTE, None)? {
        Some(before) => {
            let _: ScrubStatus = ask(which, ROUTE, Some(serde_json::json!({})))?;
            (before, follow(which, &progress)?)
        }
        None => here(which, &progress)?,
    };
    progress.end();
    let results = results(before, &after);
    if json {
        let disks: Vec<_> = results.iter().map(ScrubOutcome::json).collect();
        let ScrubStatus { lost, damaged_snapshots, .. } = &after;
        say(serde_json::json!({ "disks": disks, "lost": lost, "damaged_snapshots": damaged_snapshots }))?;
    } else {
        for result in &results {
            say(result.in_words(&after))?;
        }
        print_damaged(&after)?;
    }
    Ok(ExitCode::from(exit_code(&results, &after)))
}

fn follow(which: &Which, progress: &Progress) -> Result<ScrubStatus, Trouble> {
    ask_while(which, ROUTE, |status: &ScrubStatus| {
        progress.show(status);
        status.is_running
    })
}

/// Without a running agent: opens the vault and reads.
fn here(which: &Which, progress: &Progress) -> Result<(ScrubStatus, ScrubStatus), Trouble> {
    let Opening { vault, clock, .. } = open_vault(&settings_of(which)?)?;
    let stamp = |vault: &Vault| clock.stamp(vault.ledger().newest.map(|stamp| stamp.time_ms));
    let before = scrub_status_of(&vault, true);
    let mut failures = Vec::new();
    for disk in before.disks.iter().filter(|disk| disk.is_readable) {
        let read = read_all(&vault, &disk.id, stamp, progress);
        // A disk's good result must not be hidden by a disk without result.
        failures.extend(read.err().map(|error| format!("{}: {}", disk.path, causes(&error))));
    }
    progress.end();
    failures.iter().for_each(hint);
    let after = scrub_status_of(&vault, false);
    Ok((before, after))
}

/// Reads one disk from end to end.
fn read_all(
    vault: &Vault,
    disk: &str,
    stamp: impl Fn(&Vault) -> WallStamp,
    progress: &Progress,
) -> Result<(), StoreError> {
    vault.begin_scrub(disk, stamp(vault))?;
    let is_running = |vault: &Vault| {
        let view = vault.scrubs().into_iter().find(|view| view.disk == disk);
        view.is_some_and(|view| view.is_readable && view.round.started.is_some())
    };
    while is_running(vault) {
        vault.scrub(disk, STEP_BYTES, stamp(vault))?;
        progress.show(&scrub_status_of(vault, true));
    }
    Ok(())
}

/// One disk, and its round since the command began; none if the disk could not be read to the end.
#[derive(Debug)]
struct ScrubOutcome {
    path: String,
    found: Option<LastScrub>,
}

fn results(before: ScrubStatus, after: &ScrubStatus) -> Vec<ScrubOutcome> {
    let mut before: BTreeMap<_, _> = before.disks.into_iter().map(|disk| (disk.id.clone(), disk)).collect();
    let result = |disk: &DiskScrub| {
        let is_new = before.remove(&disk.id).is_none_or(|before| before.last != disk.last);
        ScrubOutcome { path: disk.path.clone(), found: disk.last.clone().filter(|_| is_new) }
    };
    let mut results: Vec<_> = after.disks.iter().map(result).collect();
    // A disk pulled meanwhile is not read, and the owner relies on the reading.
    results.extend(before.into_values().map(|disk| ScrubOutcome { path: disk.path, found: None }));
    results
}

impl ScrubOutcome {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "path": self.path, "is_finished": self.found.is_some(), "found": self.found })
    }

    fn in_words(&self, after: &ScrubStatus) -> String {
        let path = &self.path;
        match &self.found {
            None => {
                format!("{path}: could not be read to the end. Check its cable and power, then try again.")
            }
            // Every present file may be whole, and a file that a backup needs may still be missing.
            Some(LastScrub { bytes, damaged: 0, .. }) if is_anything_missing(after) => {
                format!("{path}: {} read, nothing that is on it is damaged.", size(*bytes))
            }
            Some(LastScrub { bytes, damaged: 0, .. }) => {
                format!("{path}: {} read, all of it is as it should be.", size(*bytes))
            }
            Some(LastScrub { bytes, damaged, repaired, .. }) => {
                let read = size(*bytes);
                let damaged = counted(*damaged, "damaged file", "damaged files");
                format!("{path}: {read} read, {damaged} found, {repaired} repaired.")
            }
        }
    }
}

/// Whether a kept file or snapshot cannot be given back.
fn is_anything_missing(after: &ScrubStatus) -> bool {
    let is_suspected = |disk: &DiskScrub| disk.suspected > 0;
    !after.lost.is_empty() || !after.damaged_snapshots.is_empty() || after.disks.iter().any(is_suspected)
}

/// 6 where damage stays or a kept snapshot cannot be given back, 1 where a disk was not read, 0 where all is well
/// now.
fn exit_code(results: &[ScrubOutcome], after: &ScrubStatus) -> u8 {
    let stays =
        results.iter().filter_map(|result| result.found.as_ref()).any(|found| found.damaged > found.repaired);
    match (stays || is_anything_missing(after), results.iter().all(|result| result.found.is_some())) {
        (true, _) => 6,
        (false, false) => 1,
        (false, true) => 0,
    }
}

fn print_damaged(after: &ScrubStatus) -> Result<(), Trouble> {
    for DiskScrub { path, suspected, .. } in after.disks.iter().filter(|disk| disk.suspected > 0) {
        let packs = counted(*suspected, "file", "files");
        say(format_args!(
            "{path}: {packs} could not be read. Nothing is given up: they are read again for a day."
        ))?;
        say("Check the disk's cable and power.")?;
    }
    if !after.damaged_snapshots.is_empty() {
        say("These snapshots cannot be given back whole:")?;
        for DamagedName { source, snapshot, is_lost } in &after.damaged_snapshots {
            let why = if *is_lost { "" } else { "  (could not be read, is tried again)" };
            say(format_args!("  {source}@{snapshot}{why}"))?;
        }
    }
    if !after.lost.is_empty() {
        say("These files cannot be given back whole in the versions named:")?;
        for LostName { source, snapshot, path } in &after.lost {
            say(format_args!("  {source}@{snapshot}:{path}"))?;
        }
    }
    if after.lost.is_empty() && after.damaged_snapshots.is_empty() {
        return Ok(());
    }
    say(
        "All other files and versions are whole. Push from the computers that these are from: what they still have heals.",
    )
}

/// The progress, for people who watch.
struct Progress {
    is_shown: bool,
    started: Instant,
}

impl Progress {
    fn new(is_shown: bool) -> Self {
        Self { is_shown, started: Instant::now() }
    }

    fn show(&self, status: &ScrubStatus) {
        if !self.is_shown {
            return;
        }
        let read: u64 = status.disks.iter().map(|disk| disk.read_bytes).sum();
        let total: u64 = status.disks.iter().map(|disk| disk.total_bytes).sum::<u64>().max(read);
        let per_second = read / self.started.elapsed().as_secs().max(1);
        let left_min = (total - read) / per_second.max(1) / 60;
        let mut out = io::stderr();
        // Back to the start of the line, and the last line is gone.
        let _ = write!(
            out,
            "\r\x1b[K{} of {}, {}/s, {left_min} min left",
            size(read),
            size(total),
            size(per_second),
        );
        let _ = out.flush();
    }

    fn end(&self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(damaged: u64, repaired: u64, lost: u64) -> ScrubOutcome {
        ScrubOutcome {
            path: "/disk".to_owned(),
            found: Some(LastScrub { time_ms: 1, bytes: 9, damaged, repaired, lost }),
        }
    }

    fn status(disks: &[(&str, Option<LastScrub>)]) -> ScrubStatus {
        let disk = |(id, last): &(&str, Option<LastScrub>)| DiskScrub {
            id: (*id).to_owned(),
            path: format!("/{id}"),
            is_readable: true,
            read_bytes: 0,
            total_bytes: 0,
            damaged: 0,
            repaired: 0,
            suspected: 0,
            last: last.clone(),
        };
        let disks = disks.iter().map(disk).collect();
        ScrubStatus { is_running: false, disks, lost: Vec::new(), damaged_snapshots: Vec::new() }
    }

    /// Each disk connected at the command's start is named, whatever became of the disk.
    #[test]
    fn a_disk_that_was_not_read_is_named() {
        let at = |time_ms| Some(LastScrub { time_ms, bytes: 9, damaged: 0, repaired: 0, lost: 0 });
        let before = status(&[("read", at(1)), ("failed", at(1)), ("new", None), ("pulled", at(1))]);
        let after = status(&[("read", at(2)), ("failed", at(1)), ("new", at(2)), ("came", at(1))]);
        let results = results(before, &after);
        let told: Vec<_> = results.iter().map(|result| (&*result.path, result.found.is_some())).collect();
        let expect =
            [("/read", true), ("/failed", false), ("/new", true), ("/came", true), ("/pulled", false)];
        assert_eq!(told, expect);
        assert!(results[4].in_words(&status(&[])).contains("could not be read to the end"));
        assert_eq!(exit_code(&results, &status(&[])), 1);
    }

    #[test]
    fn the_exit_code_tells_whether_damage_stays() {
        let unread = || ScrubOutcome { path: "/disk".to_owned(), found: None };
        let lost = || LostName { source: "a/b".to_owned(), snapshot: 2, path: "c".to_owned() };
        let with = |lost: Vec<LostName>| ScrubStatus { lost, ..status(&[]) };
        let check = |results: &[ScrubOutcome], lost: Vec<LostName>, expect| {
            assert_eq!(exit_code(results, &with(lost)), expect);
        };
        check(&[found(0, 0, 0)], vec![], 0);
        check(&[found(2, 2, 0), found(0, 0, 0)], vec![], 0);
        check(&[found(2, 1, 0)], vec![], 6);
        check(&[found(1, 0, 3)], vec![lost()], 6);
        check(&[found(0, 0, 0)], vec![lost()], 6);
        check(&[found(0, 0, 0), unread()], vec![], 1);
        check(&[found(1, 0, 0), unread()], vec![], 6);
    }

    /// Every file on the disk is whole, and a file that a backup needs is missing or unreadable.
    #[test]
    fn nobody_is_told_that_all_is_well_while_a_backup_is_not_whole() {
        let is_told_so = |after: &ScrubStatus| {
            let words = found(0, 0, 0).in_words(after);
            (exit_code(&[found(0, 0, 0)], after) == 0, words.contains("all of it is as it should be"))
        };
        let mut after = status(&[("disk", None)]);
        assert_eq!(is_told_so(&after), (true, true));
        for is_lost in [true, false] {
            let damaged = DamagedName { source: "a/b".to_owned(), snapshot: 2, is_lost };
            after.damaged_snapshots = vec![damaged];
            assert_eq!(is_told_so(&after), (false, false));
        }
        after.damaged_snapshots.clear();
        after.disks[0].suspected = 1;
        assert_eq!(is_told_so(&after), (false, false));
    }
}
