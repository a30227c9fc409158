//! Looking after the disks: whoever is gone is parted with, whoever came is taken back, each few seconds.
//!
//! Beside each disk that is connected lies a socket for `larderd`'s own commands: whichever disk is pulled, the
//! others still answer.

use crate::appliance::Appliance;
use crate::edge::{control, http};
use crate::event::Event;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

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

/// One socket for commands beside each disk that is connected.
#[derive(Default)]
pub(crate) struct Sockets {
    open: BTreeMap<PathBuf, watch::Sender<bool>>,
    tasks: JoinSet<()>,
}

impl Sockets {
    /// Opens sockets on disks that came, and closes those on disks that left.
    pub(crate) fn follow(&mut self, appliance: &Arc<Appliance>) {
        let here = appliance.shelf.paths();
        self.open.retain(|path, stop| {
            let stays = here.contains(path);
            if !stays {
                control::remove(path);
                stop.send_replace(true);
            }
            stays
        });
        for path in here {
            if self.open.contains_key(&path) {
                continue;
            }
            match control::listen(&path) {
                Ok(listener) => {
                    let (stop, stopped) = watch::channel(false);
                    self.tasks.spawn(http::serve_control(appliance.clone(), listener, stopped));
                    self.open.insert(path, stop);
                }
                // A disk that lets nobody write can still be restored from, and another one may have a socket.
                Err(error) => tracing::debug!(%error, path = %path.display(), "no socket for commands here"),
            }
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// Whether commands can reach the agent.
    pub(crate) fn is_reachable(&self) -> bool {
        !self.open.is_empty()
    }

    async fn close(mut self) {
        for (path, stop) in &self.open {
            stop.send_replace(true);
            control::remove(path);
        }
        while self.tasks.join_next().await.is_some() {}
    }
}
