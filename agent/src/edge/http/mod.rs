//! The HTTP interface: one port for devices, one local socket for the owner at the box.
//!
//! Routes and rules: docs/protocol.md. There is no route that deletes, overwrites or shortens. Connections are
//! counted and must send their headers in time, so idle ones cost little. TLS goes where `serve_one` takes a stream.
//! Not here: what the answers mean (`larder_store`), how health is decided (`decide`).

mod about;
mod auth;
pub(crate) mod control;
pub(crate) mod disks;
mod entries;
mod extract;
pub(crate) mod letting_go;
mod problem;
mod push;
mod read;
mod stream;
mod when;

pub(crate) use problem::Refusal;

use crate::appliance::Appliance;
use axum::Router;
use axum::routing::{get, post};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};

/// Connections at once. Each idle one costs some 20 KiB, so 256 of them stay below 6 MiB.
const CONNECTIONS_MAX: usize = 256;
/// Whoever has not sent a request's headers by then is not a client of ours.
const HEADERS_WITHIN: Duration = Duration::from_secs(20);
/// A peer that takes nothing of what is sent to it for so long has gone away.
const UNANSWERED_MS: u32 = 60_000;
/// After being asked to stop, answers under way get so long to finish.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// The machine-readable interface description.
const OPENAPI: &str = include_str!("openapi.json");

type State = axum::extract::State<Arc<Appliance>>;

fn routes() -> Router<Arc<Appliance>> {
    let source = "/v1/sources/{device}/{name}";
    Router::new()
        .route("/v1/health", get(about::health))
        .route("/v1/openapi.json", get(|| async { ([("content-type", "application/json")], OPENAPI) }))
        .route("/v1/me", get(about::me))
        .route("/v1/ledger/{number}", get(about::entry))
        .route("/v1/status", get(about::status))
        .route("/v1/answers", get(read::answers))
        .route("/v1/chunks/missing", post(push::missing))
        .route("/v1/chunks", post(push::upload))
        .route("/v1/chunks/places", post(read::places))
        .route("/v1/chunks/fetch", post(read::fetch))
        .route("/v1/sources", get(read::sources))
        .route(&format!("{source}/snapshots"), get(read::snapshots).post(push::commit))
        .route(&format!("{source}/snapshots/{{when}}"), get(read::snapshot))
        .route(&format!("{source}/snapshots/{{when}}/list"), get(read::list))
        .route(&format!("{source}/snapshots/{{when}}/file"), get(read::file))
        .route(&format!("{source}/versions"), get(read::versions))
        .route(&format!("{source}/diff"), get(read::diff))
        .route(&format!("{source}/retention"), get(read::retention))
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_verb)
}

/// Routes that only the local socket has: making keys and replacing the index belong to whoever holds the box.
fn control_routes() -> Router<Arc<Appliance>> {
    routes()
        .route("/v1/control/tokens", post(control::make_token))
        .route("/v1/control/keys", get(control::keys))
        .route("/v1/control/revoke", post(control::revoke))
        .route("/v1/control/rebuild-index", post(control::rebuild_index))
        .route("/v1/control/scrub", get(control::scrub_status).post(control::start_scrub))
        .route("/v1/control/disks", get(disks::list))
        .route("/v1/control/disks/adopt", post(disks::adopt))
        .route("/v1/control/disks/release", post(disks::release))
        .route("/v1/control/disks/forget", post(disks::forget))
        .route("/v1/control/set-aside", post(control::set_aside))
        .route("/v1/control/prune", post(letting_go::prune))
        .route("/v1/control/hold", post(letting_go::hold))
        .route("/v1/control/unhold", post(letting_go::unhold))
        .route("/v1/control/confirm-clock", post(letting_go::confirm_clock))
}

/// Serves devices until `stop` turns true, then lets running answers finish.
pub(crate) async fn serve(appliance: Arc<Appliance>, listener: TcpListener, stop: watch::Receiver<bool>) {
    let app = routes().layer(axum::middleware::from_fn_with_state(appliance.clone(), auth::by_token));
    let accept = || async {
        let (stream, _) = listener.accept().await?;
        // Answers are small and come one by one; waiting to fill a packet would only delay them.
        stream.set_nodelay(true)?;
        // Whoever asks and takes no answer holds a place that others wait for.
        rustix::net::sockopt::set_tcp_user_timeout(&stream, UNANSWERED_MS)?;
        Ok(stream)
    };
    accept_loop(app.with_state(appliance), accept, stop).await;
}

/// Serves the owner at the box: whoever may open the socket file is trusted like a root shell.
pub(crate) async fn serve_control(
    appliance: Arc<Appliance>,
    listener: UnixListener,
    stop: watch::Receiver<bool>,
) {
    let app = control_routes().layer(axum::middleware::from_fn(auth::as_owner));
    let accept = || async { listener.accept().await.map(|(stream, _)| stream) };
    accept_loop(app.with_state(appliance), accept, stop).await;
}

async fn accept_loop<S, F>(app: Router, accept: impl Fn() -> F, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = std::io::Result<S>>,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
            accept().await.map(|stream| (place, stream))
        };
        let (place, stream) = tokio::select! {
            accepted = next => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file handles, most likely: without a pause this would spin.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = asked_to_stop(&mut stop) => break,
        };
        let connection = serve_one(app.clone(), stream, &graceful);
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
    if tokio::time::timeout(DRAIN_WITHIN, graceful.shutdown()).await.is_err() {
        tracing::info!("some answers did not finish in time; clients will ask again");
    }
}

/// Without the value that `wait_for` lends out, which may not be kept while waiting for something else.
async fn asked_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn serve_one<S>(app: Router, stream: S, graceful: &GracefulShutdown) -> impl Future<Output = ()> + use<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let watched = graceful.watch(connection);
    async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}
