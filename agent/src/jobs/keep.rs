//! Letting go: once a day what the rule no longer keeps, and then, a little at a time, the freed room.
//!
//! Pushes and restores come first: during a push the sweep takes one step a second. Without a reliable clock nothing
//! goes, and the job tries again an hour later. Not here: what goes (`larder_store`), room for a refused push
//! (`room`).

use super::{Job, Rest, after_waiting};
use crate::state::Appliance;
use larder_format::ledger::WallStamp;
use larder_store::{StoreError, Swept};
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at whether the sweep may begin; also before the first look, since a start is no moment for
/// deleting.
const REST: Duration = Duration::from_secs(3600);
/// From one round of letting go to the next.
const ROUNDS_APART: Duration = Duration::from_secs(24 * 3600);
/// Between two steps of a sweep while a push, a restore or a repair is under way.
const GIVE_WAY: Duration = Duration::from_secs(1);
/// Chunks looked up in one step: well below a second even on a small board, so that a stop has not long to wait.
const STEP_CHUNKS: u64 = 5_000;

/// Lets go.
#[derive(Default)]
pub(crate) struct KeepJob {
    phase: Phase,
}

/// Where a round stands when the next step begins.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It begins.
    #[default]
    Begins,
    /// Its prune is under way.
    Prunes,
    /// Its sweep is under way.
    Sweeps,
    /// The round is over; the next round begins after so long.
    IsOver(Duration),
}

impl Job for KeepJob {
    const NAME: &'static str = "keep";
    const FIRST: Rest = Rest::of(REST);
    const AFTER_PANIC: Rest = Rest::of(REST);

    /// The sweep follows a prune in any case, and a sweep that panics does not come every minute.
    fn after_panic(self) -> Self {
        let phase = match self.phase {
            Phase::Prunes => Phase::Sweeps,
            Phase::Begins | Phase::Sweeps => Phase::IsOver(ROUNDS_APART),
            Phase::IsOver(left) => Phase::IsOver(left),
        };
        Self { phase }
    }

    fn step(&mut self, agent: &Arc<Appliance>, now: WallStamp) -> Rest {
        match self.phase {
            Phase::IsOver(left) => {
                remove(agent, now);
                self.wait(left)
            }
            Phase::Begins | Phase::Prunes => {
                self.phase = Phase::Prunes;
                prune(agent);
                self.phase = Phase::Sweeps;
                self.sweep(agent, now)
            }
            Phase::Sweeps => self.sweep(agent, now),
        }
    }
}

impl KeepJob {
    /// Rests for an hour of the time until the next round.
    fn wait(&mut self, until_round: Duration) -> Rest {
        let left = until_round.saturating_sub(REST);
        self.phase = if left.is_zero() { Phase::Begins } else { Phase::IsOver(left) };
        Rest::of(until_round.min(REST))
    }

    /// A step of the sweep.
    fn sweep(&mut self, agent: &Appliance, now: WallStamp) -> Rest {
        let swept = {
            let _alone = agent.sweeping.blocking_lock();
            agent.vault.sweep_step(after_waiting(agent, now), STEP_CHUNKS)
        };
        self.after(swept, agent.activity.is_busy())
    }

    fn after(&mut self, swept: Result<Swept, StoreError>, is_busy: bool) -> Rest {
        match swept {
            Err(error) => {
                tracing::warn!(%error, "the sweep stopped; it begins anew");
                self.wait(ROUNDS_APART)
            }
            Ok(Swept { is_under_way: true, gives_way, .. }) => {
                self.phase = Phase::Sweeps;
                if is_busy || gives_way { Rest::of(GIVE_WAY) } else { Rest::NONE }
            }
            Ok(Swept { waits: Some(why), .. }) => {
                tracing::info!(why, "the sweep waits");
                self.wait(REST)
            }
            Ok(Swept { packs, bytes, .. }) => {
                tracing::info!(packs, bytes, "a sweep has ended");
                self.wait(ROUNDS_APART)
            }
        }
    }
}

fn prune(agent: &Appliance) {
    // The sweep follows all the same: on a full disk the sweep makes room for the entry of a prune.
    if let Err(error) = agent.prune_as_wished(false) {
        tracing::warn!(%error, "nothing could be let go of; it is tried again");
    }
}

/// A disk may have come for an hour, and would otherwise carry swept packs for ever.
fn remove(agent: &Appliance, now: WallStamp) {
    if let Err(error) = agent.vault.remove_swept(now) {
        tracing::warn!(%error, "what was swept could not be removed; it is tried again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample;

    /// Lives for so long with an unused appliance; returns the hour of each round's beginning.
    fn hours_of_rounds(job: &mut KeepJob, hours: u64) -> Vec<u64> {
        let folder = tempfile::tempdir().expect("a folder");
        let agent = sample::appliance(folder.path());
        let start = agent.stamp();
        let (mut lived, mut rounds) = (KeepJob::FIRST.length, Vec::new());
        while lived < Duration::from_secs(hours * 3600) {
            if job.phase == Phase::Begins {
                rounds.push(lived.as_secs() / 3600);
            }
            let lived_ms = i64::try_from(lived.as_millis()).expect("a few days");
            let now = WallStamp {
                time_ms: start.time_ms + lived_ms,
                powered_on_s: start.powered_on_s + lived.as_secs(),
                ..start
            };
            lived += job.step(&agent, now).length.max(Duration::from_secs(1));
        }
        rounds
    }

    #[test]
    fn a_round_comes_an_hour_after_the_start_and_then_once_a_day() {
        let rounds = hours_of_rounds(&mut KeepJob::default(), 80);
        // The sweep of the first round waits for an hour: just after a start it could not see the work under way.
        assert_eq!(rounds, [1, 2, 26, 50, 74]);
    }

    #[test]
    fn a_sweep_that_has_to_wait_is_tried_again_an_hour_later_and_a_failed_one_a_day_later() {
        let mut job = KeepJob::default();
        let waits = Swept { waits: Some("a disk lags".to_owned()), ..Swept::default() };
        assert_eq!(job.after(Ok(waits), false), Rest::of(REST));
        assert_eq!(job.phase, Phase::Begins);
        let failed = StoreError::Waits { why: "a test".to_owned() };
        assert_eq!(job.after(Err(failed), false), Rest::of(REST));
        assert_eq!(job.phase, Phase::IsOver(ROUNDS_APART - REST));
    }

    #[test]
    fn a_panic_in_a_prune_keeps_no_sweep_from_running_and_one_in_a_sweep_waits_a_day() {
        let after = |phase| KeepJob { phase }.after_panic().phase;
        assert_eq!(after(Phase::Prunes), Phase::Sweeps);
        assert_eq!(after(Phase::Sweeps), Phase::IsOver(ROUNDS_APART));
        assert_eq!(after(Phase::IsOver(REST)), Phase::IsOver(REST));
    }

    #[test]
    fn a_sweep_under_way_gives_way_to_pushes_and_to_repairs() {
        let mut job = KeepJob::default();
        let under_way = |gives_way| Ok(Swept { is_under_way: true, gives_way, ..Swept::default() });
        assert_eq!(job.after(under_way(false), false), Rest::NONE);
        assert_eq!(job.after(under_way(true), false), Rest::of(GIVE_WAY));
        assert_eq!(job.after(under_way(false), true), Rest::of(GIVE_WAY));
        assert_eq!(job.phase, Phase::Sweeps);
    }
}
