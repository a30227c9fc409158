//! What a caller without a key is told: how the appliance is, and how to talk to it. No key and no password is ever taken here,
//! and no name of a backup told.

use super::about::health;
use super::closing::and_close;
use super::problem::Refusal;
use super::{State, problem};
use crate::decide::words::level_sentence;
use crate::state::Appliance;
use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use std::sync::Arc;

/// For callers who do not encrypt.
pub(super) fn for_plain(appliance: Arc<Appliance>) -> Router {
    refusing_with(encrypted_only, appliance)
}

/// For browsers, which have no key to show.
pub(super) fn for_browsers(appliance: Arc<Appliance>) -> Router {
    refusing_with(async || Refusal::unauthorized(), appliance)
}

fn refusing_with<T: 'static>(refusal: impl Handler<T, Arc<Appliance>>, appliance: Arc<Appliance>) -> Router {
    Router::new()
        .route("/", get(lamp))
        .route("/v1/health", get(health))
        .fallback(refusal)
        .method_not_allowed_fallback(problem::no_such_verb)
        .layer(from_fn(answered_once))
        .with_state(appliance)
}

/// The lamp as a sentence, for whoever types the address into a browser.
async fn lamp(appliance: State) -> String {
    let name = &appliance.settings.appliance.name;
    let lamp = level_sentence(appliance.report.borrow().health.level);
    format!(
        "This is the backup appliance \"{name}\". {lamp}\n\
         It talks to paired computers only, over encrypted connections: `larder status` on one of them says more.\n\
         To pair a computer, run `larderd pair --device NAME` on the appliance, or hold its button for three seconds.\n"
    )
}

async fn encrypted_only(uri: Uri) -> Refusal {
    let what = format!("{} is answered over encrypted connections only.", uri.path());
    // A computer that was paired before there was encryption asks like this, and its pairing opens nothing any more.
    let remedy = "Install the newest `larder` on this computer. Then run `larderd pair` on the appliance and `larder pair ADDRESS \
                  --replace` here, and type the code.";
    let nothing = "Nothing was looked at, and nothing changed.";
    Refusal::new(StatusCode::UPGRADE_REQUIRED, "encrypted_only", [&what, nothing, remedy])
}

/// Nobody becomes known here, so a connection that stays would only take a place.
async fn answered_once(request: Request, next: Next) -> Response {
    and_close(next.run(request).await)
}
