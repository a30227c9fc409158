//! The HTTP interface: one port for devices, one local socket for the owner at the box.
//!
//! Routes and rules: docs/protocol.md. There is no route that deletes, overwrites or shortens. Not here: what
//! the answers mean (`larder_store`), how health is decided (`decide`), how many may ask at once (`connections`).

mod about;
mod auth;
mod connections;
pub(crate) mod control;
pub(crate) mod disks;
mod entries;
mod extract;
pub(crate) mod letting_go;
mod problem;
mod push;
mod read;
mod stream;
pub(crate) mod turns;
pub(crate) mod upload_memory;
mod when;

pub(crate) use problem::Refusal;

use crate::appliance::Appliance;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

/// A peer that takes nothing of what is sent to it for so long has gone away.
const UNANSWERED_MS: u32 = 60_000;

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
        .route("/v1/control/prune", post(letting_go::prune))
        .route("/v1/control/hold", post(letting_go::hold))
        .route("/v1/control/unhold", post(letting_go::unhold))
        .route("/v1/control/confirm-clock", post(letting_go::confirm_clock))
}

/// Serves devices until `stop` turns true, then lets running answers finish.
pub(crate) async fn serve(appliance: Arc<Appliance>, listener: TcpListener, stop: watch::Receiver<bool>) {
    let recognise = axum::middleware::from_fn_with_state(appliance.clone(), auth::by_token);
    let app = routes().layer(axum::middleware::from_fn(connections::admit)).layer(recognise);
    let accept = || async {
        let (stream, _) = listener.accept().await?;
        // Answers are small and come one by one; waiting to fill a packet would only delay them.
        stream.set_nodelay(true)?;
        // Whoever asks and takes no answer holds a place that others wait for.
        rustix::net::sockopt::set_tcp_user_timeout(&stream, UNANSWERED_MS)?;
        Ok(stream)
    };
    connections::accept_loop(app.with_state(appliance), accept, stop).await;
}

/// Serves the owner at the box: whoever may open the socket file is trusted like a root shell.
pub(crate) async fn serve_control(
    appliance: Arc<Appliance>,
    listener: UnixListener,
    stop: watch::Receiver<bool>,
) {
    let recognise = axum::middleware::from_fn(auth::as_owner);
    let app = control_routes().layer(axum::middleware::from_fn(connections::admit)).layer(recognise);
    let accept = || async { listener.accept().await.map(|(stream, _)| stream) };
    connections::accept_loop(app.with_state(appliance), accept, stop).await;
}
