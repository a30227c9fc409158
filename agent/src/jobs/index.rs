//! Entering packs into the index that it does not know: after it was lost, or a power cut took its newest part. Then, once
//! for each start, looking whether everything that is kept is there: what a disk lost with the power that it had confirmed
//! is missed by nobody else. Later only at snapshots that were not whole, when something of them came back. And sealing full
//! chapters of the ledger.
//!
//! Pushes and restores go on meanwhile and enter what they need themselves.

use crate::state::Appliance;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks while nothing waits.
const REST: Duration = Duration::from_secs(5);
/// The longest that is waited after a look in which a disk did not answer: each reads every folder that is kept.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(3600);

/// Enters packs until the agent stops.
pub(crate) async fn run(appliance: Arc<Appliance>, mut stop: watch::Receiver<bool>) {
    // From one look to the next that is needed because the one before did not see everything.
    let mut apart = REST;
    let mut looks_left = 0;
    loop {
        let left = appliance.blocking(|appliance| appliance.vault.index_pending()).await;
        let is_whole = left.is_ok_and(|left| left == 0);
        if is_whole && looks_left == 0 {
            if look(&appliance, stop.clone()).await {
                apart = REST;
            } else {
                looks_left = apart.as_secs() / REST.as_secs();
                apart = (2 * apart).min(LOOK_AGAIN_MAX);
            }
        }
        looks_left = looks_left.saturating_sub(1);
        let is_sealed = is_whole && !seal_chapter(&appliance).await;
        let rest = if is_sealed { REST } else { Duration::ZERO };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Returns whether there may be more chapters of the ledger to seal.
async fn seal_chapter(appliance: &Arc<Appliance>) -> bool {
    match appliance.blocking(|appliance| appliance.vault.seal_chapter()).await {
        Ok(Ok(more)) => more,
        Ok(Err(error)) | Err(error) => {
            tracing::warn!(%error, "a chapter of the ledger could not be sealed; starts take longer without it");
            false
        }
    }
}

/// Returns whether there is nothing left to look at.
async fn look(appliance: &Arc<Appliance>, stop: watch::Receiver<bool>) -> bool {
    let looked = appliance.blocking(move |appliance| {
        let (vault, go_on) = (&appliance.vault, || !*stop.borrow());
        if !vault.is_surveyed() {
            return vault.look_for_loss(&go_on).map(|pieces| pieces.is_some());
        }
        Ok(!vault.has_what_was_missed() || vault.look_at_damaged(&go_on))
    });
    match looked.await {
        Ok(Ok(is_seen)) => is_seen,
        Ok(Err(error)) | Err(error) => {
            tracing::warn!(%error, "what is lost could not be written down");
            true
        }
    }
}
