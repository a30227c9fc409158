//! Reading every disk back by rotation, and making parity for repairs.
//!
//! Pushes and restores come first: one step at a time, and less often while they are busy. How fast otherwise is
//! `decide::pace`; a round on the owner's wish goes on without rests. Not here: reading and repairing
//! (`larder_store`).

use super::{Job, Rest, Wake, after_waiting};
use crate::decide::pace::{FIRST_AFTER, STEP_BYTES, pace};
use crate::state::Appliance;
use larder_format::care::Round;
use larder_format::ledger::WallStamp;
use larder_store::{MemberState, ScrubView, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks while nothing is due.
const REST: Duration = Duration::from_secs(5);
/// Between two steps while a push or a restore is under way.
const GIVE_WAY: Duration = Duration::from_secs(1);
/// After a disk did not let itself be read or written.
const AFTER_ERROR: Duration = Duration::from_secs(60);

/// Reads disks back.
#[derive(Default)]
pub(crate) struct ScrubJob {
    /// No disk is read before its second of the appliance's life.
    not_before_s: HashMap<String, u64>,
    /// Bytes and disks at the time when every pack had its sidecar.
    has_parity: Option<(u64, Vec<MemberState>)>,
    parity_not_before_s: u64,
}

impl Job for ScrubJob {
    const NAME: &'static str = "scrub";

    fn step(&mut self, agent: &Arc<Appliance>, now: WallStamp) -> Rest {
        let mut did = self.write_parity(agent, now) | try_again(agent, now);
        let disks = agent.vault.scrubs();
        agent.activity.scrub_wanted.keep_connected(&disks);
        for disk in disks {
            did |= self.scrub(agent, &disk, after_waiting(agent, now));
        }
        let length = match (did, agent.activity.is_busy()) {
            (true, false) => Duration::ZERO,
            (true, true) => GIVE_WAY,
            (false, _) => REST,
        };
        Rest::of(length).or_until(Wake::ScrubWanted)
    }
}

impl ScrubJob {
    /// Returns whether there was work to do.
    fn write_parity(&mut self, agent: &Appliance, now: WallStamp) -> bool {
        let stands = (agent.vault.stored_bytes(), agent.vault.disk_states());
        let now_s = now.powered_on_s;
        if now_s < self.parity_not_before_s || self.has_parity.as_ref() == Some(&stands) {
            return false;
        }
        match agent.vault.write_parity(STEP_BYTES) {
            Ok(0) => self.has_parity = Some(stands),
            Ok(_) => return true,
            Err(error) => {
                self.parity_not_before_s = now_s.saturating_add(AFTER_ERROR.as_secs());
                match error {
                    // The owner hears of a full disk anyway.
                    StoreError::Full { .. } => tracing::debug!("no room for parity"),
                    error => tracing::warn!(%error, "parity could not be written; it is tried again"),
                }
            }
        }
        false
    }

    fn scrub(&mut self, agent: &Appliance, disk: &ScrubView, now: WallStamp) -> bool {
        let is_wanted = agent.activity.scrub_wanted.has(&disk.disk);
        let pace = pace(disk, &now);
        let is_new = disk.last.is_none() && disk.round.started.is_none();
        let first_s = now.powered_on_s.saturating_add(if is_new { FIRST_AFTER.as_secs() } else { 0 });
        let is_due = *self.not_before_s.entry(disk.disk.clone()).or_insert(first_s) <= now.powered_on_s;
        let is_due = is_wanted || disk.is_alarmed || (is_due && pace.bytes > 0);
        if !disk.is_readable {
            // Otherwise the owner's command would wait for ever.
            agent.activity.scrub_wanted.done(&disk.disk);
            return false;
        }
        if !is_due {
            return false;
        }
        match agent.vault.scrub(&disk.disk, STEP_BYTES, now) {
            Ok(round) => {
                let is_over = agent
                    .vault
                    .scrubs()
                    .iter()
                    .any(|after| after.disk == disk.disk && after.round.started.is_none());
                if is_over {
                    let Round { bytes, damaged, repaired, left, lost, .. } = round;
                    tracing::info!(
                        disk = disk.path,
                        bytes,
                        damaged,
                        repaired,
                        left,
                        lost,
                        "a disk was read from end to end"
                    );
                    agent.activity.scrub_wanted.done(&disk.disk);
                }
                self.not_before_s
                    .insert(disk.disk.clone(), now.powered_on_s.saturating_add(pace.rest.as_secs()));
                is_wanted || pace.rest < REST
            }
            Err(error) => {
                tracing::warn!(%error, disk = disk.path, "a disk could not be read back; it is tried again");
                agent.activity.scrub_wanted.done(&disk.disk);
                self.not_before_s
                    .insert(disk.disk.clone(), now.powered_on_s.saturating_add(AFTER_ERROR.as_secs()));
                false
            }
        }
    }
}

/// Looks after a start, and later once an hour, whether unread or given-up pieces can be had by now. Returns whether
/// there was work to do.
fn try_again(agent: &Appliance, now: WallStamp) -> bool {
    let vault = &agent.vault;
    let tried = vault.read_suspects_again(now).and_then(|_| vault.search_quarantines(STEP_BYTES));
    tried.unwrap_or_else(|error| {
        tracing::warn!(%error, "what could not be read before cannot be read now either");
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample;

    /// Whether the only disk is being read, or was read, after a step so many seconds after the start.
    fn is_read(job: &mut ScrubJob, agent: &Arc<Appliance>, start: WallStamp, seconds: u64) -> bool {
        let now = WallStamp { powered_on_s: start.powered_on_s + seconds, ..start };
        job.step(agent, now);
        let disks = agent.vault.scrubs();
        assert_eq!(disks.len(), 1);
        disks[0].round.started.is_some() || disks[0].last.is_some()
    }

    #[test]
    fn a_new_disk_is_left_alone_for_ten_minutes() {
        let folder = tempfile::tempdir().unwrap();
        let agent = sample::appliance(folder.path());
        let (mut job, start) = (ScrubJob::default(), agent.stamp());
        assert!(!is_read(&mut job, &agent, start, 0));
        assert!(!is_read(&mut job, &agent, start, FIRST_AFTER.as_secs() - 1));
        assert!(is_read(&mut job, &agent, start, FIRST_AFTER.as_secs()));
    }

    #[test]
    fn a_wish_of_the_owner_is_obeyed_at_once_and_ends_with_the_round() {
        let folder = tempfile::tempdir().unwrap();
        let agent = sample::appliance(folder.path());
        let (mut job, start) = (ScrubJob::default(), agent.stamp());
        let disk = agent.vault.scrubs().remove(0).disk;
        agent.activity.scrub_wanted.add(disk.clone());
        assert!(is_read(&mut job, &agent, start, 0));
        for second in 1..60 {
            job.step(&agent, WallStamp { powered_on_s: start.powered_on_s + second, ..start });
        }
        assert!(!agent.activity.scrub_wanted.has(&disk), "nobody waits for ever");
    }
}
