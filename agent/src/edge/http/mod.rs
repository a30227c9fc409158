//! The HTTP interface: one port for devices, one local socket for the owner at the box.
//!
//! Routes and rules: docs/protocol.md. There is no route that deletes, overwrites or shortens. Not here: what
//! the answers mean (`larder_store`), how health is decided (`decide`), how many may ask at once (`connections`).

mod about;
pub(crate) mod acknowledge;
mod auth;
mod closing;
mod connections;
pub(crate) mod control;
pub(crate) mod disks;
mod entries;
mod extract;
mod find;
mod interface;
pub(crate) mod labels;
mod lamp;
pub(crate) mod letting_go;
mod listing;
#[cfg(test)]
mod openapi;
pub(crate) mod pairing;
mod problem;
mod push;
mod read;
#[cfg(test)]
mod roles;
mod snapshots;
pub(crate) mod sockets;
pub(crate) mod space;
mod stream;
mod tls;
mod when;
mod wishes;

pub(crate) use problem::Refusal;

use crate::state::Appliance;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use interface::Interface;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

/// The machine-readable interface description. A test makes it from the wire types (`openapi`).
const OPENAPI: &str = include_str!("openapi.json");

type State = axum::extract::State<Arc<Appliance>>;

fn routes() -> Interface {
    let source = "/v1/sources/{device}/{name}";
    // A body of megabytes for each caller without a known key would fill the memory of a small box.
    let of_strangers = DefaultBodyLimit::max(pairing::BODY_BYTES_MAX);
    Interface::default()
        .get("/v1/health", about::health)
        .get("/v1/openapi.json", || async { ([("content-type", "application/json")], OPENAPI) })
        .get("/v1/me", about::me)
        .post("/v1/pair", pairing::begin.layer(of_strangers))
        .post("/v1/pair/confirm", pairing::confirm.layer(of_strangers))
        .get("/v1/ledger/{number}", about::entry)
        .get("/v1/ledger/{number}/links", about::links)
        .post("/v1/ledger/standing", about::standing)
        .get("/v1/status", about::status)
        .get("/v1/answers", read::answers)
        .post("/v1/chunks/missing", push::missing)
        .post("/v1/chunks", push::upload)
        .post("/v1/chunks/places", read::places)
        .post("/v1/chunks/fetch", read::fetch)
        .get("/v1/find", find::find)
        .get("/v1/sources", read::sources)
        .get(&format!("{source}/snapshots"), read::snapshots)
        .post(&format!("{source}/snapshots"), push::commit)
        .post(&format!("{source}/start"), push::start)
        .get(&format!("{source}/snapshots/{{when}}"), read::snapshot)
        .get(&format!("{source}/snapshots/{{when}}/list"), listing::list)
        .get(&format!("{source}/snapshots/{{when}}/file"), read::file)
        .post(&format!("{source}/snapshots/{{when}}/keep"), labels::keep)
        .get(&format!("{source}/expect"), wishes::expectation)
        .post(&format!("{source}/expect"), wishes::expect)
        .post(&format!("{source}/retire"), wishes::retire)
        .get(&format!("{source}/versions"), read::versions)
        .get(&format!("{source}/diff"), read::diff)
        .get(&format!("{source}/retention"), read::retention)
}

/// Routes of the local socket only: keys and the index belong to the holder of the box.
fn control_routes() -> Interface {
    routes()
        .post("/v1/control/pair", pairing::open_window)
        .get("/v1/control/keys", control::keys)
        .post("/v1/control/revoke", control::revoke)
        .post("/v1/control/rebuild-index", control::rebuild_index)
        .get("/v1/control/scrub", control::scrub_status)
        .post("/v1/control/scrub", control::start_scrub)
        .get("/v1/control/disks", disks::list)
        .get("/v1/control/space", space::space)
        .post("/v1/control/disks/adopt", disks::adopt)
        .post("/v1/control/disks/release", disks::release)
        .post("/v1/control/disks/forget", disks::forget)
        .post("/v1/control/acknowledge", acknowledge::acknowledge)
        .post("/v1/control/set-aside", control::set_aside)
        .post("/v1/control/prune", letting_go::prune)
        .post("/v1/control/let-go", letting_go::let_go)
        .post("/v1/control/keep", labels::keep_at_the_box)
        .post("/v1/control/unkeep", labels::unkeep)
        .post("/v1/control/hold", letting_go::hold)
        .post("/v1/control/unhold", letting_go::unhold)
        .post("/v1/control/confirm-clock", letting_go::confirm_clock)
}

/// The routes, and a refusal in words for any other request.
fn refusing(interface: Interface) -> Router<Arc<Appliance>> {
    interface
        .into_router()
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_verb)
}

/// Serves devices until `stop` turns true, then lets running answers finish.
pub(crate) async fn serve(appliance: Arc<Appliance>, listener: TcpListener, stop: watch::Receiver<bool>) {
    let recognise = axum::middleware::from_fn_with_state(appliance.clone(), auth::by_key);
    let app = refusing(routes()).layer(axum::middleware::from_fn(connections::admit)).layer(recognise);
    let tls = larder_trust::server_config(&appliance.box_key);
    let app = app.with_state(appliance.clone());
    let (plain, for_browsers) = (lamp::for_plain(appliance.clone()), lamp::for_browsers(appliance.clone()));
    let door = tls::NetworkDoor { listener, tls, appliance, app, plain, for_browsers };
    connections::accept_loop(door, stop).await;
}

/// Serves the owner at the box: a process that may open the socket file is trusted like a root shell.
pub(crate) async fn serve_control(
    appliance: Arc<Appliance>,
    listener: UnixListener,
    stop: watch::Receiver<bool>,
) {
    let recognise = axum::middleware::from_fn(auth::as_owner);
    let app =
        refusing(control_routes()).layer(axum::middleware::from_fn(connections::admit)).layer(recognise);
    connections::accept_loop(sockets::OwnersDoor { listener, app: app.with_state(appliance) }, stop).await;
}
