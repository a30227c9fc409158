//! Connections: how many there are at once, and how long a caller may stay unknown.
//!
//! A connection belongs to a stranger until a request with a good key came over it. Strangers have a few places of
//! their own, and seconds: when one more comes, the longest-standing stranger of the address with the most goes. Who has
//! not sent a byte waits apart from who has, since a client of ours speaks at once. So a caller with open connections and
//! no request, or half a request, keeps no key holder out. Newcomers of every address come through one queue, so no
//! newcomer waits in it for a place. A device has only a part of the places for known callers. Not here: what a caller
//! speaks (`tls`), who a caller is (`auth`).

use super::Refusal;
use super::auth::{Caller, ProvenKey};
use super::closing::and_close;
use crate::edge::stop::asked_to_stop;
use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use larder_trust::PublicKey;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
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
/// Connections that never sent a byte, at once. Each costs a socket and a task of some KiB. A client of ours sends its
/// first bytes right behind the connection, so it has spoken long before as many more came from its address.
const SILENT_MAX: usize = 512;
/// Connections of strangers who have spoken, at once, below 6 MiB with their headers.
const SPEAKING_MAX: usize = 128;
/// A stranger who has spoken has so long to prove a key, however many more come from the same address: a handshake takes
/// some round trips. Those who have spoken after it wait meanwhile.
const SPEAKING_FOR_MIN: Duration = Duration::from_millis(100);
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
struct Crowd {
    /// Strangers without a byte so far.
    silent: Strangers,
    /// Strangers who have spoken.
    speaking: Strangers,
    known: Mutex<BTreeMap<String, usize>>,
}

/// Places for strangers.
struct Strangers {
    max: usize,
    /// The longest-standing first.
    inside: Mutex<VecDeque<Stranger>>,
}

struct Stranger {
    since: Instant,
    /// None for a socket of the box itself.
    address: Option<IpAddr>,
    /// Rings when this stranger has to make room for a newcomer.
    leave: Arc<Notify>,
}

impl Strangers {
    fn new(max: usize) -> Self {
        Self { max, inside: <_>::default() }
    }

    /// Takes a stranger in, in the place of another where there are too many: of the longest-standing one of the address
    /// with the most.
    fn enter(&self, address: Option<IpAddr>, leave: &Arc<Notify>) {
        // Without a shortest stay nobody waits.
        let _ = self.try_enter(address, leave, Duration::ZERO);
    }

    /// Waits for a place. A stranger stays for `for_min`, however many more come from the same address.
    async fn wait(&self, address: Option<IpAddr>, leave: &Arc<Notify>, for_min: Duration) {
        while let Err(ask_again) = self.try_enter(address, leave, for_min) {
            tokio::time::sleep_until(ask_again).await;
        }
    }

    /// # Errors
    ///
    /// When no other address has more than the newcomer's, and the one to go has not had its time: when to ask again.
    fn try_enter(
        &self,
        address: Option<IpAddr>,
        leave: &Arc<Notify>,
        for_min: Duration,
    ) -> Result<(), Instant> {
        let (mut inside, now) = (lock(&self.inside), Instant::now());
        if inside.len() >= self.max {
            let mut counts = BTreeMap::<_, (usize, usize)>::new();
            for (place, stranger) in inside.iter().enumerate() {
                counts.entry(stranger.address).or_insert((0, place)).0 += 1;
            }
            let own = counts.get(&address).map_or(0, |(count, _)| *count);
            // Of many addresses with as many each, the longest-standing goes: whoever has hundreds of addresses must not choose who.
            let most = counts.into_values().max_by_key(|(count, place)| (*count, Reverse(*place)));
            if let Some((count, place)) = most {
                let ends = inside[place].since + for_min;
                if own == count && ends > now {
                    return Err(ends);
                }
                inside.remove(place).into_iter().for_each(|stranger| stranger.leave.notify_one());
            }
        }
        inside.push_back(Stranger { since: now, address, leave: Arc::clone(leave) });
        Ok(())
    }

    fn forget(&self, leave: &Arc<Notify>) {
        lock(&self.inside).retain(|stranger| !Arc::ptr_eq(&stranger.leave, leave));
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            silent: Strangers::new(SILENT_MAX),
            speaking: Strangers::new(SPEAKING_MAX),
            known: <_>::default(),
        }
    }
}

impl Crowd {
    /// Somebody connected from `address`.
    fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Guest {
        let leave = Arc::default();
        self.silent.enter(address, &leave);
        Guest(Arc::new(ConnectionPlace { crowd: Arc::clone(self), address, leave, device: OnceLock::new() }))
    }

    fn forget_stranger(&self, leave: &Arc<Notify>) {
        self.silent.forget(leave);
        self.speaking.forget(leave);
    }
}

/// One connection, as its requests know it.
#[derive(Clone)]
struct Guest(Arc<ConnectionPlace>);

struct ConnectionPlace {
    crowd: Arc<Crowd>,
    address: Option<IpAddr>,
    leave: Arc<Notify>,
    /// Owner of the connection, once known.
    device: OnceLock<String>,
}

impl Guest {
    /// Waits for a place among the strangers who have spoken. The place among the silent is held meanwhile.
    async fn speaks(&self) {
        let ConnectionPlace { crowd, address, leave, .. } = &*self.0;
        crowd.speaking.wait(*address, leave, SPEAKING_FOR_MIN).await;
        crowd.silent.forget(leave);
    }

    /// A request with a good key came. Refused when the device, or the devices together, have too many connections.
    fn is_of(&self, device: &str) -> Result<(), Refusal> {
        let ConnectionPlace { crowd, leave, device: known, .. } = &*self.0;
        if known.get().is_some() {
            return Ok(());
        }
        {
            let mut counts = lock(&crowd.known);
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
                let mut counts = lock(&self.crowd.known);
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
        return and_close(refusal.into_response());
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
    type Accepted: Send + Sync + 'static;
    /// As spoken on.
    type Spoken: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Takes a connection, and says from which address it came; None from the box itself.
    fn accept(&self) -> impl Future<Output = std::io::Result<(Self::Accepted, Option<IpAddr>)>> + Send;

    /// Waits for the caller's first byte, where it tells anything; None at the end of the connection.
    fn first_byte(
        &self,
        accepted: &Self::Accepted,
    ) -> impl Future<Output = std::io::Result<Option<u8>>> + Send;

    /// Finds out what the caller speaks, who began with this byte. The caller may take its time: the connection has its
    /// place already.
    fn open(
        &self,
        accepted: Self::Accepted,
        first: Option<u8>,
    ) -> impl Future<Output = std::io::Result<OpenedStream<Self::Spoken>>> + Send;
}

/// Serves every connection of `door` until `stop` turns true, then lets running answers finish.
pub(super) async fn accept_loop(door: impl Door, mut stop: watch::Receiver<bool>) {
    let door = Arc::new(door);
    let crowd = Arc::new(Crowd::default());
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, guest) = tokio::select! {
            accepted = door.accept() => match accepted {
                Ok((stream, address)) => (stream, crowd.enter(address)),
                Err(error) => {
                    // Out of file handles, most likely: without a pause this would spin.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = asked_to_stop(&mut stop) => break,
        };
        let (door, watcher) = (Arc::clone(&door), graceful.watcher());
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

async fn serve_one<D: Door>(
    door: &D,
    accepted: D::Accepted,
    guest: Guest,
    watcher: Watcher,
    stop: &mut watch::Receiver<bool>,
) {
    let opening = async {
        let first = door.first_byte(&accepted).await?;
        guest.speaks().await;
        door.open(accepted, first).await
    };
    let opened = tokio::select! {
        opened = opening => opened,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 168, 1, host]))
    }

    fn inside(strangers: &Strangers) -> Vec<Option<IpAddr>> {
        lock(&strangers.inside).iter().map(|stranger| stranger.address).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_address_with_the_most_makes_room() {
        let strangers = Strangers::new(4);
        let bells = [7, 8, 8, 9].map(|host| (address(host), Arc::default()));
        for (address, leave) in &bells {
            assert!(strangers.try_enter(*address, leave, SPEAKING_FOR_MIN).is_ok());
        }
        let newcomer = strangers.try_enter(address(5), &<_>::default(), SPEAKING_FOR_MIN);
        assert!(newcomer.is_ok(), "no wait for another address");
        assert_eq!(inside(&strangers), [7, 8, 9, 5].map(address));
        bells[1].1.notified().await;
    }

    /// A neighbour with as many addresses as there are places does not end whom it likes.
    #[tokio::test(start_paused = true)]
    async fn of_many_addresses_the_longest_standing_stranger_goes() {
        let strangers = Strangers::new(3);
        for host in [7, 9, 8, 1, 2] {
            strangers.enter(address(host), &<_>::default());
        }
        assert_eq!(inside(&strangers), [8, 1, 2].map(address));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_pushes_its_own_strangers_out_after_their_time_only() {
        let (strangers, since) = (Strangers::new(3), Instant::now());
        let first = Arc::default();
        for (host, leave) in [(8, &first), (8, &<_>::default()), (7, &<_>::default())] {
            assert!(strangers.try_enter(address(host), leave, SPEAKING_FOR_MIN).is_ok());
        }
        let newcomer = strangers.try_enter(address(8), &<_>::default(), SPEAKING_FOR_MIN);
        assert_eq!(newcomer, Err(since + SPEAKING_FOR_MIN));
        assert_eq!(inside(&strangers), [8, 8, 7].map(address));
        strangers.wait(address(8), &<_>::default(), SPEAKING_FOR_MIN).await;
        assert_eq!(inside(&strangers), [8, 7, 8].map(address));
        assert_eq!(Instant::now(), since + SPEAKING_FOR_MIN);
        first.notified().await;
    }

    /// Callers from these addresses, who all say nothing.
    struct Queue {
        callers: Mutex<VecDeque<u8>>,
        /// Rings when nobody is left outside.
        is_empty: Arc<Notify>,
    }

    impl Door for Queue {
        type Accepted = tokio::io::DuplexStream;
        type Spoken = tokio::io::DuplexStream;

        async fn accept(&self) -> std::io::Result<(Self::Accepted, Option<IpAddr>)> {
            let next = lock(&self.callers).pop_front();
            let Some(host) = next else {
                self.is_empty.notify_one();
                return std::future::pending().await;
            };
            Ok((tokio::io::duplex(1).0, address(host)))
        }

        async fn first_byte(&self, _: &Self::Accepted) -> std::io::Result<Option<u8>> {
            std::future::pending().await
        }

        async fn open(
            &self,
            stream: Self::Accepted,
            _: Option<u8>,
        ) -> std::io::Result<OpenedStream<Self::Spoken>> {
            Ok(OpenedStream { stream, app: Router::new(), key: None, until: never() })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_address_holds_up_the_newcomers_of_another() {
        let (is_empty, since) = (Arc::<Notify>::default(), Instant::now());
        let mut callers: VecDeque<u8> = std::iter::repeat_n(2, 3 * SILENT_MAX).collect();
        callers.push_back(1);
        let queue = Queue { callers: Mutex::new(callers), is_empty: Arc::clone(&is_empty) };
        let (stop, stopped) = watch::channel(false);
        let served = tokio::spawn(accept_loop(queue, stopped));
        is_empty.notified().await;
        assert_eq!(Instant::now(), since, "somebody waited");
        stop.send_replace(true);
        served.await.expect("it ends");
    }
}
