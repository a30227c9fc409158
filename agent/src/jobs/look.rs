//! Looking after the disks: whoever is gone is parted with, whoever came is taken back, each few seconds.
//!
//! Beside each disk that is connected lies a socket for `larderd`'s own commands: whichever disk is pulled, the
//! others still answer.

use crate::edge::http::sockets::Sockets;
use crate::event::Event;
use crate::state::Appliance;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A disk that left is told within ten seconds, so two looks must fit into them, and one at the whole picture.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Looks until the agent stops.
pub(crate) async fn run(appliance: Arc<Appliance>, mut sockets: Sockets, mut stop: watch::Receiver<bool>) {
    loop {
        let changed = appliance.blocking(Appliance::look_at_disks).await;
        if matches!(changed, Ok(true)) {
            appliance.tell(Event::DisksChanged);
        }
        sockets.follow(&appliance);
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = appliance.disks_changed.notified() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    sockets.close().await;
}
