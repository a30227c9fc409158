//! Pairing: a window that the owner opens at the box, and the two requests of a computer that has the code.
//!
//! The caller has proven in TLS to have a key that nobody knows yet. Not here: the exchange (`larder_trust`), windows and
//! tries (`state::pairing`).

use super::auth::{BoxOwner, KeyHolder};
use super::{Refusal, State};
use crate::edge::random::random;
use crate::state::pairing::{Granted, NoPairing};
use axum::Json;
use axum::http::StatusCode;
use larder_format::ledger::{Role, is_plain_name};
use larder_format::wire::{Identity, PairingAnswer, PairingBegin, PairingProof};
use larder_trust::PairingKeys;
use serde::{Deserialize, Serialize};

/// A message of the exchange has 33 bytes.
const MESSAGE_BYTES_MAX: usize = 256;

/// Asks for a window.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowWish {
    pub(crate) device: String,
    pub(crate) role: Role,
}

/// An open window.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OpenedWindow {
    /// To be typed at the computer.
    pub(crate) code: String,
    /// For so many seconds.
    pub(crate) open_s: u64,
}

pub(crate) async fn open_window(
    _: BoxOwner,
    appliance: State,
    Json(wish): Json<WindowWish>,
) -> Result<Json<OpenedWindow>, Refusal> {
    let WindowWish { device, role } = wish;
    if !is_plain_name(&device) {
        return Err(Refusal::invalid("a device's name has letters, digits, `-`, `_` and `.` only"));
    }
    let now_s = appliance.clock.powered_on_s();
    let opened = appliance.pairing.open(now_s, Granted { device, role }, random());
    let (code, open_s) = opened.map_err(|why| refusal(&why))?;
    Ok(Json(OpenedWindow { code, open_s }))
}

pub(crate) async fn begin(
    KeyHolder(key): KeyHolder,
    appliance: State,
    Json(begin): Json<PairingBegin>,
) -> Result<Json<PairingAnswer>, Refusal> {
    let message = message_of(&begin.message).ok_or_else(|| refusal(&NoPairing::Garbled))?;
    let keys = PairingKeys { device: key, appliance: appliance.box_key.public() };
    let answered = appliance.pairing.answer(appliance.clock.powered_on_s(), keys, &message);
    let answered = answered.map_err(|why| refusal(&why))?;
    Ok(Json(PairingAnswer {
        message: answered.message.iter().map(|byte| format!("{byte:02x}")).collect(),
        proof: answered.proof,
        device: answered.granted.device,
        role: answered.granted.role,
    }))
}

pub(crate) async fn confirm(
    KeyHolder(key): KeyHolder,
    appliance: State,
    Json(shown): Json<PairingProof>,
) -> Result<Json<Identity>, Refusal> {
    let confirmed = appliance.pairing.confirm(appliance.clock.powered_on_s(), key, &shown.proof);
    let Granted { device, role } = confirmed.map_err(|why| refusal(&why))?;
    let named = device.clone();
    appliance.blocking(move |appliance| appliance.take_key(named, role, &key)).await??;
    tracing::info!(device, ?role, "a computer was paired");
    Ok(Json(super::about::identity(&appliance, device, role)))
}

fn message_of(hex: &str) -> Option<Vec<u8>> {
    if hex.len() > 2 * MESSAGE_BYTES_MAX || !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
}

fn refusal(why: &NoPairing) -> Refusal {
    let again = "Open a new window with `larderd pair` on the appliance, and type the code that it shows.";
    let nothing = "Nothing changed: this computer is not paired by this.";
    let told =
        |code, what: &str, remedy: &str| Refusal::new(StatusCode::FORBIDDEN, code, [what, nothing, remedy]);
    match why {
        NoPairing::Closed => told("no_pairing", "The appliance does not pair with anybody now.", again),
        NoPairing::Garbled => {
            told("no_pairing", "This is no message of a pairing.", "Update Larder on both ends.")
        }
        NoPairing::WrongCode(0) => {
            told("wrong_code", "The code was another one, and that was the last try.", again)
        }
        NoPairing::WrongCode(left) => {
            let what = format!("The code was another one; {left} more can be tried.");
            told("wrong_code", &what, "Look at the code once more, and try again.")
        }
        NoPairing::Locked(left_s) => {
            let what = format!(
                "Too many wrong codes were tried: the appliance pairs with nobody for {} minutes.",
                left_s.div_ceil(60)
            );
            told(
                "pairing_locked",
                &what,
                "If it was not you, somebody in your network guesses. Try again later.",
            )
        }
    }
}
