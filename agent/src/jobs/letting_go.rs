//! Letting go: once a day what the rule no longer keeps, and then, a little at a time, the room that it took.
//!
//! Pushes and restores come first: while one is under way a step is taken once a second. Without a clock that can be
//! relied on nothing is let go of, and tried again an hour later. Not here: what goes (`larder_store`).

use crate::appliance::Appliance;
use larder_store::Swept;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks at whether anything has to go; the first one comes after such a rest too, since a start is no
/// moment for deleting.
const REST: Duration = Duration::from_secs(3600);
/// Rests from one round of letting go to the next: about a day.
const RESTS_BETWEEN: u32 = 24;
/// Between two steps of a sweep while a push or a restore is under way.
const GIVE_WAY: Duration = Duration::from_secs(1);
/// Chunks looked up in one step: well below a second even on a small board, so that a stop has not long to wait.
const STEP_CHUNKS: u64 = 5_000;

/// Lets go until the agent stops.
pub(crate) async fn run(appliance: Arc<Appliance>, mut stop: watch::Receiver<bool>) {
    let mut rests = 0;
    let mut wait = REST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if rests == 0 {
            let pruned = appliance.blocking(|appliance| appliance.prune_as_wished(false)).await;
            if let Ok(Err(error)) | Err(error) = pruned {
                tracing::warn!(%error, "nothing could be let go of; it is tried again");
                wait = REST;
                continue;
            }
        }
        wait = match step(&appliance).await {
            Some(soon) if rests == 0 => soon,
            _ => {
                rests = (rests + 1) % RESTS_BETWEEN;
                REST
            }
        };
    }
}

/// A step of the sweep; says when to take the next one, if there is more to do.
async fn step(appliance: &Arc<Appliance>) -> Option<Duration> {
    let swept = appliance.blocking(|appliance| appliance.vault.sweep_step(appliance.stamp(), STEP_CHUNKS));
    match swept.await {
        Ok(Ok(Swept { is_under_way: true, .. })) => {
            let busy = [&appliance.activity.receiving, &appliance.activity.restoring];
            let is_busy = busy.iter().any(|counter| counter.load(Ordering::SeqCst) > 0);
            Some(if is_busy { GIVE_WAY } else { Duration::ZERO })
        }
        Ok(Ok(Swept { waits: Some(why), .. })) => {
            tracing::info!(why, "the sweep waits");
            None
        }
        Ok(Ok(Swept { packs, bytes, .. })) => {
            tracing::info!(packs, bytes, "a sweep has ended");
            None
        }
        Ok(Err(error)) | Err(error) => {
            tracing::warn!(%error, "the sweep stopped; it begins anew");
            None
        }
    }
}
