//! Connections: how many there are at once, and how long a caller may stay unknown.
//!
//! A connection belongs to a stranger until a request with a good key came over it. Strangers have a few places of
//! their own, and seconds: when one more comes, the longest-standing stranger goes. So a caller with open connections
//! and no request, or half a request, keeps no key holder out. A device has only a part of the places for known
//! callers. Not here: what a caller speaks (`tls`), who a caller is (`auth`).

use super::Refusal;
use super::auth::{Caller, ProvenKey};
use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use larder_trust::PublicKey;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Connections of known devices at once. Each costs some 20 KiB idle, and up to `BUFFER_BYTES_MAX` in use.
const KNOWN_MAX: usize = 256;
/// Of one device. A push with three restores beside it uses some twenty.
const KNOWN_OF_DEVICE_MAX: usize = 64;
/// Connections of strangers at once, below 6 MiB with their headers.
const STRANGERS_MAX: usize = 128;
/// A stranger has so long to speak, however many more come; newcomers wait at the door meanwhile.
const STRANGER_FOR_MIN: Duration = Duration::from_millis(100);
/// A stranger is known, or answered, by then.
const STRANGER_FOR: Duration = Duration::from_secs(10);
/// A caller without a request's headers by then is not a client of ours.
const HEADERS_WITHIN: Duration = Duration::from_secs(20);
/// Our own requests have less than 1 KiB of headers.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// Bytes waiting in a connection on their way in or out. A larger buffer makes nothing faster, and there are many
/// connections.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// After being asked to stop, answers under way get so long to finish.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Every connected caller.
#[derive(Default)]
struct Crowd {
    /// The oldest first.
    strangers: Mutex<VecDeque<Stranger>>,
    known: Mutex<BTreeMap<String, usize>>,
}

struct Stranger {
    since: Instant,
    /// Rings when this stranger has to make room for a newcomer.
    leave: Arc<Notify>,
}

impl Crowd {
    fn strangers(&self) -> MutexGuard<'_, VecDeque<Stranger>> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is a place for one more stranger; with too many strangers the oldest goes.
    async fn has_place(&self) {
        loop {
            let oldest_ends = {
                let mut strangers = self.strangers();
                let oldest = strangers.front().filter(|_| strangers.len() >= STRANGERS_MAX);
                let Some(ends) = oldest.map(|oldest| oldest.since + STRANGER_FOR_MIN) else { return };
                if ends <= Instant::now() {
                    strangers.pop_front().into_iter().for_each(|oldest| oldest.leave.notify_one());
                    return;
                }
                ends
            };
            tokio::time::sleep_until(oldest_ends).await;
        }
    }

    fn enter(self: &Arc<Self>) -> Guest {
        let leave = Arc::new(Notify::new());
        self.strangers().push_back(Stranger { since: Instant::now(), leave: leave.clone() });
        Guest(Arc::new(ConnectionPlace { crowd: self.clone(), leave, device: OnceLock::new() }))
    }

    fn forget_stranger(&self, leave: &Arc<Notify>) {
        self.strangers().retain(|stranger| !Arc::ptr_eq(&stranger.leave, leave));
    }
}

/// One connection, as its requests know it.
#[derive(Clone)]
struct Guest(Arc<ConnectionPlace>);

struct ConnectionPlace {
    crowd: Arc<Crowd>,
    leave: Arc<Notify>,
    /// Owner of the connection, once known.
    device: OnceLock<String>,
}

impl Guest {
    /// A request with a good key came. Refused when the device, or the devices together, have too many connections.
    fn is_of(&self, device: &str) -> Result<(), Refusal> {
        let ConnectionPlace { crowd, leave, device: known } = &*self.0;
        if known.get().is_some() {
            return Ok(());
        }
        {
            let mut counts = crowd.known();
            let all: usize = counts.values().sum();
            let own = counts.entry(device.to_owned()).or_default();
            if all >= KNOWN_MAX || *own >= KNOWN_OF_DEVICE_MAX {
                return Err(Refusal::crowded());
            }
            // Requests of one connection come one after the other, so no other request was faster.
            if known.set(device.to_owned()).is_ok() {
                *own += 1;
            }
        }
        crowd.forget_stranger(leave);
        Ok(())
    }

    /// Ends when a connection has been a stranger's for too long.
    async fn is_unwelcome(&self) {
        tokio::select! {
            () = tokio::time::sleep(STRANGER_FOR) => {}
            () = self.0.leave.notified() => {}
        }
        if self.0.device.get().is_some() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        match self.device.get() {
            None => self.crowd.forget_stranger(&self.leave),
            Some(device) => {
                let mut counts = self.crowd.known();
                if let Some(count) = counts.get_mut(device) {
                    *count -= 1;
                }
                counts.retain(|_, count| *count > 0);
            }
        }
    }
}

/// Gives a connection a place among the known callers at the first request with a recognised caller.
pub(super) async fn admit(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    if let (Some(guest), Some(caller)) = (extensions.get::<Guest>(), extensions.get::<Caller>())
        && let Err(refusal) = guest.is_of(caller.name())
    {
        let mut response = refusal.into_response();
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    next.run(request).await
}

/// A stream on which HTTP is spoken.
pub(super) struct OpenedStream<S> {
    pub(super) stream: S,
    /// The routes for such a stream.
    pub(super) app: Router,
    /// The key that the caller proved to have.
    pub(super) key: Option<PublicKey>,
    /// The connection is cut once this ends, whatever is under way.
    pub(super) until: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// For a connection that nothing cuts.
pub(super) fn never() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(std::future::pending())
}

/// What becomes of an accepted stream before its first request.
pub(super) trait Door: Send + Sync + 'static {
    /// As accepted.
    type Accepted: Send + 'static;
    /// As spoken on.
    type Spoken: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Takes a connection.
    fn accept(&self) -> impl Future<Output = std::io::Result<Self::Accepted>> + Send;

    /// Finds out what the caller speaks. The caller may take its time: the connection has its place already.
    fn open(
        &self,
        accepted: Self::Accepted,
    ) -> impl Future<Output = std::io::Result<OpenedStream<Self::Spoken>>> + Send;
}

/// Serves every connection of `door` until `stop` turns true, then lets running answers finish.
pub(super) async fn accept_loop(door: impl Door, mut stop: watch::Receiver<bool>) {
    let door = Arc::new(door);
    let crowd = Arc::new(Crowd::default());
    let graceful = GracefulShutdown::new();
    loop {
        let next = async {
            crowd.has_place().await;
            door.accept().await
        };
        let stream = tokio::select! {
            accepted = next => match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    // Out of file handles, most likely: without a pause this would spin.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = asked_to_stop(&mut stop) => break,
        };
        let (door, guest, watcher) = (Arc::clone(&door), crowd.enter(), graceful.watcher());
        let (known, mut stop) = (guest.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = serve_one(&*door, stream, known, watcher, &mut stop) => {}
                // The stream is dropped, and so closed.
                () = guest.is_unwelcome() => tracing::debug!("a connection that nobody uses was closed"),
            }
        });
    }
    if tokio::time::timeout(DRAIN_WITHIN, graceful.shutdown()).await.is_err() {
        tracing::info!("some answers did not finish in time; clients will ask again");
    }
}

/// Without the value lent out by `wait_for`, which may not be kept across another wait.
async fn asked_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn serve_one<D: Door>(
    door: &D,
    accepted: D::Accepted,
    guest: Guest,
    watcher: Watcher,
    stop: &mut watch::Receiver<bool>,
) {
    let opened = tokio::select! {
        opened = door.open(accepted) => opened,
        () = asked_to_stop(stop) => return,
    };
    let OpenedStream { stream, app, key, until } = match opened {
        Ok(opened) => opened,
        Err(error) => return tracing::debug!(%error, "a caller speaks something else"),
    };
    let app = TowerToHyperService::new(app);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(guest.clone());
        key.map(|key| request.extensions_mut().insert(ProvenKey(key)));
        app.call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_header_size(HEADERS_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = watcher.watch(connection) => ended,
        // The stream is dropped, and so closed: a key that was ended must not go on reading what it asked for before.
        () = until => Ok(()),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
