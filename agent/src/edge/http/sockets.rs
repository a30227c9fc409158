//! A socket for `larderd`'s own commands in the service's runtime folder and beside each connected disk: whichever disk
//! is pulled, the remaining sockets still answer.

use super::connections::{Door, OpenedStream, never};
use super::serve_control;
use crate::edge::control;
use crate::state::Appliance;
use axum::Router;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// One socket: whoever may open its file is the owner.
pub(super) struct OwnersDoor {
    pub(super) listener: UnixListener,
    pub(super) app: Router,
}

impl Door for OwnersDoor {
    type Accepted = UnixStream;
    type Spoken = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Option<IpAddr>)> {
        self.listener.accept().await.map(|(stream, _)| (stream, None))
    }

    /// At once: only the owner comes this way.
    async fn first_byte(&self, _: &UnixStream) -> io::Result<Option<u8>> {
        Ok(None)
    }

    async fn open(&self, stream: UnixStream, _: Option<u8>) -> io::Result<OpenedStream<UnixStream>> {
        Ok(OpenedStream { stream, app: self.app.clone(), key: None, until: never() })
    }
}

/// The sockets, each by its folder.
#[derive(Default)]
pub(crate) struct Sockets {
    open: BTreeMap<PathBuf, watch::Sender<bool>>,
    tasks: JoinSet<()>,
}

impl Sockets {
    /// Opens sockets on new disks, and closes the sockets of departed disks.
    pub(crate) fn follow(&mut self, appliance: &Arc<Appliance>) {
        let mut here = appliance.registry.paths();
        here.extend(control::runtime_folder());
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
                    self.tasks.spawn(serve_control(appliance.clone(), listener, stopped));
                    self.open.insert(path, stop);
                }
                // A disk without room for a socket can still be restored from, and another disk may have a socket.
                Err(error) => tracing::debug!(%error, path = %path.display(), "no socket for commands here"),
            }
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// Whether commands can reach the agent.
    pub(crate) fn is_reachable(&self) -> bool {
        !self.open.is_empty()
    }

    /// Closes every socket, and waits for the answers under way.
    pub(crate) async fn close(mut self) {
        for (path, stop) in &self.open {
            stop.send_replace(true);
            control::remove(path);
        }
        while self.tasks.join_next().await.is_some() {}
    }
}
