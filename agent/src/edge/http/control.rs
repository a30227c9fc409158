//! What only the local socket may ask: keys for devices, their end, and a new index.

use super::{Refusal, State};
use axum::Json;
use larder_format::ledger::{Pairing, Role, is_plain_name};
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

/// A key that is in force.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) device: String,
    pub(crate) role: Role,
    /// The first digits of its hash; the key itself is not kept.
    pub(crate) key: String,
}

impl From<Pairing> for Key {
    fn from(pairing: Pairing) -> Self {
        Self { device: pairing.device, role: pairing.role, key: pairing.key.short() }
    }
}

/// Which keys are to end: all of a device, or one of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoked {
    pub(crate) device: String,
    /// As `Key::key`; every key of the device where there is none.
    pub(crate) key: Option<String>,
}

pub(crate) async fn keys(appliance: State) -> Json<Vec<Key>> {
    Json(appliance.keys().into_iter().map(Key::from).collect())
}

pub(crate) async fn revoke(
    appliance: State,
    Json(revoked): Json<Revoked>,
) -> Result<Json<Vec<Key>>, Refusal> {
    let Revoked { device, key } = revoked;
    let what = format!(
        "key of {device}{}",
        key.as_ref().map(|key| format!(" that begins with {key}")).unwrap_or_default()
    );
    let is_meant = move |pairing: &Pairing| {
        pairing.device == device && key.as_ref().is_none_or(|key| pairing.key.short() == *key)
    };
    let ended = appliance.blocking(move |appliance| appliance.end_keys(is_meant)).await??;
    if ended.is_empty() {
        return Err(Refusal::not_found(&what, "`larderd keys` lists what there is."));
    }
    Ok(Json(ended.into_iter().map(Key::from).collect()))
}

pub(crate) async fn rebuild_index(appliance: State) -> Result<Json<serde_json::Value>, Refusal> {
    let started = std::time::Instant::now();
    appliance.blocking(|appliance| appliance.vault.rebuild_index()).await?;
    Ok(Json(serde_json::json!({ "seconds": started.elapsed().as_secs_f64() })))
}
