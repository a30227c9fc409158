//! Entering packs into the index that it does not know: after it was lost, or a power cut took its newest part.
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
    loop {
        let left = appliance.blocking(|appliance| appliance.vault.index_pending()).await;
        let rest = if left.is_ok_and(|left| left > 0) { Duration::ZERO } else { REST };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
