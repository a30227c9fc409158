//! What only the local socket may ask: keys for devices, and a new index.

use super::{Refusal, State};
use crate::edge::random::random_hex;
use axum::Json;
use larder_format::Hash;
use larder_format::ledger::{Event as LedgerEvent, Pairing, Role, is_plain_name};
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
    let token = random_hex::<32>();
    let pairing = Pairing { device, role, key: Hash::of(token.as_bytes()) };
    let append = appliance.blocking(move |appliance| {
        let newest = appliance.vault.ledger().newest.map(|stamp| stamp.time_ms);
        appliance.vault.append(appliance.clock.stamp(newest), LedgerEvent::DevicePaired(pairing))
    });
    append.await??;
    Ok(Json(Token { token }))
}

pub(crate) async fn rebuild_index(appliance: State) -> Result<Json<serde_json::Value>, Refusal> {
    let started = std::time::Instant::now();
    appliance.blocking(|appliance| appliance.vault.rebuild_index()).await?;
    Ok(Json(serde_json::json!({ "seconds": started.elapsed().as_secs_f64() })))
}
