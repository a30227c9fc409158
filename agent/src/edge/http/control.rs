//! What only the local socket may ask: keys for devices, and a new index.

use super::{Refusal, State};
use axum::Json;
use larder_format::ledger::{Role, is_plain_name};
use serde::{Deserialize, Serialize};

/// Asks for a key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    pub(crate) device: String,
    pub(crate) role: Role,
}

/// The one time that the secret is shown.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) token: String,
}

pub(crate) async fn make_token(appliance: State, Json(new): Json<NewToken>) -> Result<Json<Token>, Refusal> {
    let NewToken { device, role } = new;
    if !is_plain_name(&device) {
        return Err(Refusal::invalid("a device's name has letters, digits, `-`, `_` and `.` only"));
    }
    let token = appliance.blocking(move |appliance| appliance.make_key(device, role)).await??;
    Ok(Json(Token { token }))
}

pub(crate) async fn rebuild_index(appliance: State) -> Result<Json<serde_json::Value>, Refusal> {
    let started = std::time::Instant::now();
    appliance.blocking(|appliance| appliance.vault.rebuild_index()).await?;
    Ok(Json(serde_json::json!({ "seconds": started.elapsed().as_secs_f64() })))
}
