//! `larderd scrub`: begins a round on every disk, follows it, and says what was found.
//!
//! The running agent reads; without one it is done here. Whoever stops watching stops nothing.

use super::cli::Which;
use super::commands::{ask, ask_while, settings};
use super::words::Trouble;
use crate::edge::http::control::{DiskScrub, LastScrub, LostName, ScrubStatus, scrub_status_of};
use crate::opening::{Opening, open_vault};
use larder_store::Vault;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

const ROUTE: &str = "/v1/control/scrub";
/// Read between two looks where no agent runs.
const STEP_BYTES: u64 = 64 * 1024 * 1024;
const MIB: f64 = 1_048_576.0;

pub(crate) fn scrub(which: &Which, json: bool) -> Result<ExitCode, Trouble> {
    let folder = settings(which.config.as_deref())?.vault.disks[0].join("larder");
    let progress = Progress::new(!json && std::io::stderr().is_terminal());
    let (before, after) = match ask::<ScrubStatus>(which, ROUTE, None) {
        Ok(before) => {
            let _: ScrubStatus = ask(which, ROUTE, Some(serde_json::json!({})))?;
            (before, follow(which, &progress)?)
        }
        Err(trouble) if trouble.exit == 4 && folder.exists() => here(which, &progress)?,
        Err(trouble) => return Err(trouble),
    };
    progress.end();
    let results = results(&before, &after);
    if json {
        println!(
            "{}",
            serde_json::json!({ "disks": results.iter().map(Outcome::json).collect::<Vec<_>>(), "lost": after.lost })
        );
    } else {
        results.iter().for_each(Outcome::print);
        print_lost(&after.lost);
    }
    Ok(ExitCode::from(exit_code(&results, &after.lost)))
}

fn follow(which: &Which, progress: &Progress) -> Result<ScrubStatus, Trouble> {
    ask_while(which, ROUTE, |status: &ScrubStatus| {
        progress.show(status);
        status.is_running
    })
}

/// Without a running agent: opens the vault and reads.
fn here(which: &Which, progress: &Progress) -> Result<(ScrubStatus, ScrubStatus), Trouble> {
    let Opening { vault, clock, .. } = open_vault(&settings(which.config.as_deref())?)?;
    let stamp = |vault: &Vault| clock.stamp(vault.ledger().newest.map(|stamp| stamp.time_ms));
    let before = scrub_status_of(&vault, true);
    for disk in before.disks.iter().filter(|disk| disk.is_readable) {
        vault.begin_scrub(&disk.id, stamp(&vault))?;
        let ended = |vault: &Vault| {
            vault
                .scrubs()
                .into_iter()
                .find(|view| view.disk == disk.id)
                .is_none_or(|view| view.round.started.is_none())
        };
        while !ended(&vault) {
            vault.scrub(&disk.id, STEP_BYTES, stamp(&vault))?;
            progress.show(&scrub_status_of(&vault, true));
        }
    }
    let after = scrub_status_of(&vault, false);
    Ok((before, after))
}

/// One disk, and the round that ended since the command was given; none if it could not be read to the end.
#[derive(Debug)]
struct Outcome {
    path: String,
    found: Option<LastScrub>,
}

fn results(before: &ScrubStatus, after: &ScrubStatus) -> Vec<Outcome> {
    let before: BTreeMap<_, _> = before.disks.iter().map(|disk| (&disk.id, &disk.last)).collect();
    let result = |disk: &DiskScrub| {
        let is_new = before.get(&disk.id).is_none_or(|before| **before != disk.last);
        Outcome { path: disk.path.clone(), found: disk.last.clone().filter(|_| is_new) }
    };
    after.disks.iter().map(result).collect()
}

impl Outcome {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "path": self.path, "is_finished": self.found.is_some(), "found": self.found })
    }

    fn print(&self) {
        let path = &self.path;
        match &self.found {
            None => {
                println!("{path}: could not be read to the end. Check its cable and power, then try again.")
            }
            Some(LastScrub { bytes, damaged: 0, .. }) => {
                println!("{path}: {:.0} MiB read, everything is as it should be.", *bytes as f64 / MIB);
            }
            Some(LastScrub { bytes, damaged, repaired, .. }) => {
                let mib = *bytes as f64 / MIB;
                println!(
                    "{path}: {mib:.0} MiB read, {damaged} damaged files found, {repaired} of them repaired."
                );
            }
        }
    }
}

/// 6 where damage stays, 1 where a disk was not read, 0 where all is well now.
fn exit_code(results: &[Outcome], lost: &[LostName]) -> u8 {
    let stays =
        results.iter().filter_map(|result| result.found.as_ref()).any(|found| found.damaged > found.repaired);
    match (stays || !lost.is_empty(), results.iter().all(|result| result.found.is_some())) {
        (true, _) => 6,
        (false, false) => 1,
        (false, true) => 0,
    }
}

fn print_lost(lost: &[LostName]) {
    if lost.is_empty() {
        return;
    }
    println!("These files cannot be given back whole in the versions named:");
    for LostName { source, snapshot, path } in lost {
        println!("  {source}@{snapshot}:{path}");
    }
    println!(
        "All other files and versions are whole. Push from the computers that these are from: what they still have heals."
    );
}

/// How far it is, for people who watch.
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
        let per_second = read as f64 / self.started.elapsed().as_secs_f64().max(1.0);
        let left_s = total.saturating_sub(read) as f64 / per_second.max(1.0);
        // Back to the start of the line, and nothing of the last one stays.
        eprint!(
            "\r\x1b[K{:.0} of {:.0} MiB, {:.0} MiB/s, {:.0} min left",
            read as f64 / MIB,
            total as f64 / MIB,
            per_second / MIB,
            left_s / 60.0
        );
        let _ = std::io::stderr().flush();
    }

    fn end(&self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(damaged: u64, repaired: u64, lost: u64) -> Outcome {
        Outcome {
            path: "/disk".to_owned(),
            found: Some(LastScrub { time_ms: 1, bytes: 9, damaged, repaired, lost }),
        }
    }

    #[test]
    fn the_exit_code_tells_whether_damage_stays() {
        let unread = || Outcome { path: "/disk".to_owned(), found: None };
        let lost = || LostName { source: "a/b".to_owned(), snapshot: 2, path: "c".to_owned() };
        let check =
            |results: &[Outcome], lost: &[LostName], expect| assert_eq!(exit_code(results, lost), expect);
        check(&[found(0, 0, 0)], &[], 0);
        check(&[found(2, 2, 0), found(0, 0, 0)], &[], 0);
        check(&[found(2, 1, 0)], &[], 6);
        check(&[found(1, 0, 3)], &[lost()], 6);
        check(&[found(0, 0, 0)], &[lost()], 6);
        check(&[found(0, 0, 0), unread()], &[], 1);
        check(&[found(1, 0, 0), unread()], &[], 6);
    }
}
