//! Who is asking, and what they may do.
//!
//! A token is looked up by its hash, which the ledger holds; the secret itself is stored nowhere. Guessing is
//! hopeless (256 random bits), so there is nothing to rate-limit here. Mutual TLS will set the same `Caller`.

use super::Refusal;
use crate::appliance::Appliance;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, HeaderValue};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use larder_format::Hash;
use larder_format::ledger::{Pairing, Role};
use std::sync::Arc;

/// A caller that was recognised.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) device: String,
    pub(crate) role: Role,
}

impl Caller {
    /// May see the past.
    pub(crate) fn may_read(&self) -> Result<(), Refusal> {
        match self.role {
            Role::Read | Role::Admin => Ok(()),
            Role::Push => Err(Refusal::forbidden("this key may only add backups, not look into them")),
        }
    }

    /// May send.
    pub(crate) fn may_push(&self) -> Result<(), Refusal> {
        match self.role {
            Role::Push | Role::Admin => Ok(()),
            Role::Read => Err(Refusal::forbidden("this key may only look into backups, not add any")),
        }
    }

    /// May commit to sources of this device.
    pub(crate) fn may_push_to(&self, device: &str) -> Result<(), Refusal> {
        self.may_push()?;
        if self.device == device {
            Ok(())
        } else {
            Err(Refusal::forbidden(&format!("this key belongs to {}, not to {device}", self.device)))
        }
    }
}

/// Finds the caller by the token. A request without one goes on: some routes need none.
pub(crate) async fn by_token(
    State(appliance): State<Arc<Appliance>>,
    mut request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer "));
    let key = token.map(|token| Hash::of(token.trim().as_bytes()));
    let pairing = key.and_then(|key| appliance.vault.ledger().pairings.get(&key).cloned());
    let is_known = pairing.is_some();
    if let Some(Pairing { device, role, .. }) = pairing {
        request.extensions_mut().insert(Caller { device, role });
    }
    let mut response = next.run(request).await;
    if !is_known {
        // Kept open, a few hundred of them without any key would keep everybody else out.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The local socket: its file's permissions were the check.
pub(crate) async fn as_owner(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Caller { device: "owner".to_owned(), role: Role::Admin });
    next.run(request).await
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Refusal::unauthorized)
    }
}
