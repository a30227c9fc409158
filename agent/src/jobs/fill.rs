//! Filling disks that lag: a new disk, a disk that was away, or a disk that missed a file in a power cut.
//!
//! Pushes and restores come first: a little is copied at a time, and less often while they are busy.

use super::{Job, Rest};
use crate::state::Appliance;
use larder_format::ledger::WallStamp;
use larder_store::MemberState;
use std::sync::Arc;
use std::time::Duration;

/// Copied in one go: a pack, so that a stop has not long to wait.
const STEP_BYTES: u64 = 64 * 1024 * 1024;
/// Between two looks while no disk lags.
const REST: Duration = Duration::from_secs(5);
/// After a disk could not be filled.
const AFTER_ERROR: Duration = Duration::from_secs(60);
/// Between two steps while a push or a restore is under way, or after a step without progress: a repair is in the
/// way.
const GIVE_WAY: Duration = Duration::from_secs(1);
/// Looks of `REST` until a full disk is looked at again, ten minutes: its room changes when a pack is let go of, and a
/// look lists all that it has.
const LOOKS_PER_FULL_DISK: u32 = 120;

/// Fills disks.
#[derive(Default)]
pub(crate) struct FillJob {
    /// The lack after the last step.
    lacking: u64,
    /// Looks left until full disks are looked at.
    looks_left: u32,
}

impl Job for FillJob {
    const NAME: &'static str = "fill";

    fn step(&mut self, agent: &Arc<Appliance>, _: WallStamp) -> Rest {
        let lags = |state| matches!(state, MemberState::Behind(_));
        if !agent.vault.disk_states().into_iter().any(lags) {
            return Rest::of(REST);
        }
        self.looks_left = self.looks_left.checked_sub(1).unwrap_or(LOOKS_PER_FULL_DISK);
        if self.looks_left == 0
            && let Err(error) = agent.vault.look_at_full_disks()
        {
            tracing::warn!(%error, "a full backup disk could not be looked at");
        }
        match agent.vault.catch_up(STEP_BYTES) {
            Ok(left) => Rest::of(self.after(left, agent.activity.is_busy())),
            Err(error) => {
                tracing::warn!(%error, "a backup disk could not be filled; it is tried again");
                Rest::of(AFTER_ERROR)
            }
        }
    }
}

impl FillJob {
    /// The rest after a step that left so much lacking.
    fn after(&mut self, left: u64, is_busy: bool) -> Duration {
        let is_stuck = std::mem::replace(&mut self.lacking, left) == left;
        match left {
            0 => REST,
            _ if is_busy || is_stuck => GIVE_WAY,
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_filled_without_rest_unless_somebody_needs_the_box_or_nothing_moves() {
        let mut job = FillJob::default();
        assert_eq!(job.after(9, false), Duration::ZERO);
        assert_eq!(job.after(6, true), GIVE_WAY, "a push is under way");
        assert_eq!(job.after(6, false), GIVE_WAY, "the step brought nothing");
        assert_eq!(job.after(3, false), Duration::ZERO);
        assert_eq!(job.after(0, false), REST);
        assert_eq!(job.after(0, true), REST);
    }
}
