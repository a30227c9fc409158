//! Making room: as soon as a push was refused because the disk is full, what unfinished uploads hold is let go of.
//!
//! One push that is larger than the disk would otherwise keep every other computer out until the daily round, and longer. It
//! does not rest between its steps as letting go does, since somebody waits for the room. Not here: what may go
//! (`larder_store`), what the rule no longer keeps (`letting_go`).

use crate::state::Appliance;
use larder_store::Swept;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks whether the next push would be refused.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// Before a step is tried again that somebody was in the way of.
const GIVE_WAY: Duration = Duration::from_millis(200);
/// Chunks looked up in one step: well below a second even on a small board, so that a stop has not long to wait.
const STEP_CHUNKS: u64 = 5_000;

/// Makes room whenever it is wanted, until the agent stops.
pub(crate) async fn run(appliance: Arc<Appliance>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = appliance.room_wanted.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let is_short =
            appliance.blocking(|appliance| appliance.vault.is_short_of_room(appliance.stamp())).await;
        if matches!(is_short, Ok(true)) {
            make_room(&appliance, &stop).await;
        }
    }
}

/// A step of a round; nothing where no room can be made at this moment.
async fn step(appliance: &Arc<Appliance>) -> Option<Swept> {
    let step = |appliance: &Appliance| appliance.vault.sweep_unfinished_step(appliance.stamp(), STEP_CHUNKS);
    match appliance.blocking(step).await {
        Ok(Ok(Swept { waits: Some(why), .. })) => {
            tracing::warn!(why, "the disk is full, and no room can be made at this moment");
            None
        }
        Ok(Ok(swept)) => Some(swept),
        Ok(Err(error)) | Err(error) => {
            tracing::warn!(%error, "no room could be made; it is tried again when a push is refused");
            None
        }
    }
}

/// One round.
async fn make_room(appliance: &Arc<Appliance>, stop: &watch::Receiver<bool>) {
    // Two sweeps would break off each other's rounds again and again.
    let _alone = appliance.sweeping.lock().await;
    let (mut packs, mut bytes) = (0, 0);
    while !*stop.borrow() {
        let Some(swept) = step(appliance).await else { return };
        (packs, bytes) = (packs + swept.packs, bytes + swept.bytes);
        if !swept.is_under_way {
            break;
        }
        if swept.gives_way {
            tokio::time::sleep(GIVE_WAY).await;
        }
    }
    tracing::info!(packs, bytes, "what unfinished uploads held was let go of, since room was short");
    if packs > 0 {
        // Nobody has been refused since.
        appliance.activity.refused_full.store(0, Ordering::SeqCst);
    }
}
