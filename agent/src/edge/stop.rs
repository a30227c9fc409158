//! The end of the agent, as the tasks at the edges wait for it.

use tokio::sync::watch;

/// Waits until the agent ends. The value that `wait_for` lends out may not be kept across another wait, so none is given.
pub(super) async fn asked_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
