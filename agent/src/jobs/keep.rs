//! Letting go: once a day what the rule no longer keeps, and then, a little at a time, the room that it took.
//!
//! Pushes and restores come first: while one is under way a step is taken once a second. Without a clock that can be
//! relied on nothing is let go of, and tried again an hour later. Not here: what goes (`larder_store`), room for a push that
//! was refused (`room`).

use crate::state::Appliance;
use larder_store::Swept;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks at whether the sweep may begin; the first one comes after such a rest too, since a start is no moment
/// for deleting.
const REST: Duration = Duration::from_secs(3600);
/// From one round of letting go to the next.
const ROUNDS_APART: Duration = Duration::from_secs(24 * 3600);
/// Between two steps of a sweep while a push, a restore or a repair is under way.
const GIVE_WAY: Duration = Duration::from_secs(1);
/// Chunks looked up in one step: well below a second even on a small board, so that a stop has not long to wait.
const STEP_CHUNKS: u64 = 5_000;

/// Lets go until the agent stops.
pub(crate) async fn run(appliance: Arc<Appliance>, mut stop: watch::Receiver<bool>) {
    let mut next = Next::In(REST);
    loop {
        let (wait, left) = match next {
            Next::Soon(wait) => (wait, None),
            Next::In(wait) => (wait.min(REST), Some(wait.saturating_sub(REST))),
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        next = match left {
            Some(left) if !left.is_zero() => {
                remove(&appliance).await;
                Next::In(left)
            }
            Some(_) => {
                prune(&appliance).await;
                step(&appliance).await
            }
            None => step(&appliance).await,
        };
    }
}

/// What comes after a step.
enum Next {
    /// The round goes on.
    Soon(Duration),
    /// A new round begins.
    In(Duration),
}

async fn prune(appliance: &Arc<Appliance>) {
    let pruned = appliance.blocking(|appliance| appliance.prune_as_wished(false)).await;
    // The sweep follows all the same: on a full disk it makes the room that the entry of a prune needs.
    if let Ok(Err(error)) | Err(error) = pruned {
        tracing::warn!(%error, "nothing could be let go of; it is tried again");
    }
}

/// A disk may have come for an hour, and would otherwise carry what was swept for ever.
async fn remove(appliance: &Arc<Appliance>) {
    let removed = appliance.blocking(|appliance| appliance.vault.remove_swept(appliance.stamp())).await;
    if let Ok(Err(error)) | Err(error) = removed {
        tracing::warn!(%error, "what was swept could not be removed; it is tried again");
    }
}

/// A step of the sweep.
async fn step(appliance: &Arc<Appliance>) -> Next {
    let _alone = appliance.sweeping.lock().await;
    let swept = appliance.blocking(|appliance| appliance.vault.sweep_step(appliance.stamp(), STEP_CHUNKS));
    let swept = match swept.await {
        Ok(Ok(swept)) => swept,
        Ok(Err(error)) | Err(error) => {
            tracing::warn!(%error, "the sweep stopped; it begins anew");
            return Next::In(ROUNDS_APART);
        }
    };
    if swept.is_under_way {
        let busy = [&appliance.activity.receiving, &appliance.activity.restoring];
        let is_busy = busy.iter().any(|counter| counter.load(Ordering::SeqCst) > 0);
        return Next::Soon(if is_busy || swept.gives_way { GIVE_WAY } else { Duration::ZERO });
    }
    after_round(swept)
}

/// What comes after a round that has ended, or cannot begin.
fn after_round(swept: Swept) -> Next {
    match swept {
        Swept { waits: Some(why), .. } => {
            tracing::info!(why, "the sweep waits");
            Next::In(REST)
        }
        Swept { packs, bytes, .. } => {
            tracing::info!(packs, bytes, "a sweep has ended");
            Next::In(ROUNDS_APART)
        }
    }
}
