//! Filling disks that lag: one that is new, was away, or missed something when the power went.
//!
//! Pushes and restores come first: a little is copied at a time, and less often while they are busy.

use crate::state::Appliance;
use larder_store::MemberState;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Copied in one go: a pack, so that a stop has not long to wait.
const STEP_BYTES: u64 = 64 * 1024 * 1024;
/// Between two looks while no disk lags, or after one could not be filled.
const REST: Duration = Duration::from_secs(5);
/// Between two steps while a push or a restore is under way, or where a step brought nothing: a repair is in its way.
const GIVE_WAY: Duration = Duration::from_secs(1);

/// Fills disks until the agent stops.
pub(crate) async fn run(appliance: Arc<Appliance>, mut stop: watch::Receiver<bool>) {
    let mut lacking = 0;
    loop {
        let rest = step(&appliance, &mut lacking).await;
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Copies a little, and says how long to rest. `lacking` is what was still lacking after the last step.
async fn step(appliance: &Arc<Appliance>, lacking: &mut u64) -> Duration {
    let copied = appliance.blocking(|appliance| {
        let lags = |state| matches!(state, MemberState::Behind(_));
        if appliance.vault.disk_states().into_iter().any(lags) {
            appliance.vault.catch_up(STEP_BYTES)
        } else {
            Ok(0)
        }
    });
    let is_busy = [&appliance.activity.receiving, &appliance.activity.restoring]
        .iter()
        .any(|counter| counter.load(Ordering::SeqCst) > 0);
    match copied.await {
        Ok(Ok(left)) if left > 0 => {
            let is_stuck = std::mem::replace(lacking, left) == left;
            if is_busy || is_stuck { GIVE_WAY } else { Duration::ZERO }
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "a backup disk could not be filled; it is tried again");
            12 * REST
        }
        _ => REST,
    }
}
