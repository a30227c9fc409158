//! Entering packs into the index that it does not know: after it was lost, or a power cut took its newest part. Then, once
//! for each start, looking whether everything that is kept is there: what a disk lost with the power that it had confirmed
//! is missed by nobody else. And sealing full chapters of the ledger.
//!
//! Pushes and restores go on meanwhile and enter what they need themselves.

use crate::appliance::Appliance;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks while nothing waits.
const REST: Duration = Duration::from_secs(5);

/// Enters packs until the agent stops.
pub(crate) async fn run(appliance: Arc<Appliance>, mut stop: watch::Receiver<bool>) {
    let mut is_looked_through = false;
    loop {
        let left = appliance.blocking(|appliance| appliance.vault.index_pending()).await;
        let is_whole = left.is_ok_and(|left| left == 0);
        if is_whole && !is_looked_through {
            is_looked_through = look_for_loss(&appliance, stop.clone()).await;
        }
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

/// Returns whether it could be seen.
async fn look_for_loss(appliance: &Arc<Appliance>, stop: watch::Receiver<bool>) -> bool {
    let looked = appliance.blocking(move |appliance| appliance.vault.look_for_loss(&|| !*stop.borrow()));
    match looked.await {
        Ok(Ok(pieces)) => pieces.is_some(),
        Ok(Err(error)) | Err(error) => {
            tracing::warn!(%error, "what is lost could not be written down");
            true
        }
    }
}
