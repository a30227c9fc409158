//! Pairing: a window that the owner opens at the box, and the two requests of a computer that has the code.
//!
//! The caller has proven in TLS to have a key that nobody knows yet. Not here: the exchange (`larder_trust`), windows and
//! tries (`state::pairing`).

use super::auth::{BoxOwner, ProvenKey};
use super::control::require_device_name;
use super::{Refusal, State};
use crate::edge::random::random;
use crate::event::AgentEvent;
use crate::state::Appliance;
use crate::state::pairing::{Granted, NoPairing, Tried};
use axum::Json;
use axum::http::StatusCode;
use larder_format::ledger::{Role, Sees};
use larder_format::wire::{Identity, PairingAnswer, PairingBegin, PairingProof};
use larder_trust::{PairingKeys, from_hex, to_hex};
use serde::{Deserialize, Serialize};

/// Bodies of strangers: a message of the exchange has 33 bytes, a proof 32.
pub(super) const BODY_BYTES_MAX: usize = 1024;

/// Asks for a window.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowWish {
    pub(crate) device: String,
    pub(crate) role: Role,
    /// The past that the key is to see.
    pub(crate) sees: Sees,
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
    let WindowWish { device, role, sees } = wish;
    require_device_name(&device)?;
    if !sees.fits(role) {
        return Err(Refusal::invalid(format!(
            "a key of the role {} cannot see {}",
            role.word(),
            sees.words()
        )));
    }
    require_known(&appliance, &sees)?;
    let granted = Granted { device: device.clone(), role, sees };
    let opened = appliance.pairing.open(&appliance.stamp(), granted, random());
    let (code, open_s) = opened.map_err(|why| refusal(&why))?;
    appliance.tell(AgentEvent::PairingOpened { device: Some(device), role });
    Ok(Json(OpenedWindow { code, open_s }))
}

pub(crate) async fn begin(
    proven: ProvenKey,
    appliance: State,
    Json(begin): Json<PairingBegin>,
) -> Result<Json<PairingAnswer>, Refusal> {
    let message = from_hex(&begin.message).ok_or_else(|| refusal(&NoPairing::Garbled))?;
    let keys = PairingKeys { device: proven.0, appliance: appliance.box_key.public() };
    let brought = begin.device.as_deref();
    let Tried { answer, has_locked } = appliance.pairing.answer(&appliance.stamp(), keys, &message, brought);
    if has_locked {
        appliance.tell(AgentEvent::PairingLocked);
    }
    let answered = answer.map_err(|why| refusal(&why))?;
    Ok(Json(PairingAnswer {
        message: to_hex(&answered.message),
        proof: answered.proof,
        device: answered.granted.device,
        role: answered.granted.role,
        sees: answered.granted.sees,
    }))
}

/// A mistyped name would be let see nothing, and be noticed on the day of the restore.
fn require_known(appliance: &Appliance, sees: &Sees) -> Result<(), Refusal> {
    let Sees::Devices(names) = sees else { return Ok(()) };
    let view = appliance.vault.ledger();
    match names.iter().find(|name| !view.knows_device(name)) {
        Some(name) => Err(Refusal::not_found(
            &format!("computer called {name}"),
            "`larderd answers` lists what each computer has backed up. Name one of these after --sees, or leave --sees away.",
        )),
        None => Ok(()),
    }
}

pub(crate) async fn confirm(
    proven: ProvenKey,
    appliance: State,
    Json(shown): Json<PairingProof>,
) -> Result<Json<Identity>, Refusal> {
    let is_new = |name: &str| !appliance.vault.ledger().knows_device(name);
    let confirmed = appliance.pairing.confirm(&appliance.stamp(), proven.0, &shown.proof, is_new);
    let granted = confirmed.map_err(|why| refusal(&why))?;
    let Granted { device, role, sees } = granted.clone();
    appliance.blocking(move |appliance| appliance.take_key(granted, &proven.0)).await??;
    tracing::info!(device, ?role, ?sees, "a computer was paired");
    Ok(Json(super::about::identity(&appliance, device, role, sees)))
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
        NoPairing::NameMissing => told(
            "no_name",
            "The appliance pairs with any new computer now, and this one has brought no name that it can have.",
            "Run `larder pair --name NAME` there: at most 64 of a to z, A to Z, 0 to 9, dots, - and _.",
        ),
        NoPairing::NameTaken(name) => told(
            "name_taken",
            &format!("The appliance knows a computer called {name} already."),
            &format!(
                "Run `larder pair --name ANOTHER` with the same code. To go on with what {name} has backed up, run \
                 `sudo larderd pair --device {name}` on the appliance instead."
            ),
        ),
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
