//! The caller and the caller's rights: one extractor for each role, and each yields the scope that the store asks
//! for.
//!
//! A handler reaches the vault's content only with a scope, and scopes are made only here, so a route whose handler
//! names no role does not compile. The key that a caller proved in TLS is looked up by its hash in the ledger. Not here: the
//! proof (`tls`), whose source is whose (`larder_store::Scope`).

use super::Refusal;
use super::closing::and_close;
use crate::state::Appliance;
use crate::state::pairing::key_name;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use larder_format::ledger::Sees;
use larder_store::Scope;
use larder_trust::PublicKey;
use std::sync::Arc;

/// The owner's name at the box, in the place of a device's name.
const OWNER: &str = "owner";

/// The key that a caller proved to have in TLS, known or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProvenKey(pub(crate) PublicKey);

/// A recognised caller.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// By a key in the ledger.
    Device(Scope),
    /// By the local socket: its file's permissions were the check.
    Owner,
}

impl Caller {
    /// The caller's name in the agent's own lists.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Device(scope) => name_of(scope),
            Self::Owner => OWNER,
        }
    }
}

/// Any recognised caller.
#[derive(Debug)]
pub(crate) struct Paired(pub(crate) Scope);

/// A caller who may send.
#[derive(Debug)]
pub(crate) struct Pusher(pub(crate) Scope);

/// A caller who may see some of the past.
#[derive(Debug)]
pub(crate) struct PastReader(pub(crate) Scope);

/// The holder of the box. A key of the role `admin` is not enough.
#[derive(Debug)]
pub(crate) struct BoxOwner;

/// The caller's name in messages and in the agent's own lists.
pub(crate) fn name_of(scope: &Scope) -> &str {
    scope.device_name().unwrap_or(OWNER)
}

/// May see some of the past.
pub(crate) fn may_read(scope: &Scope) -> bool {
    *scope.sees() != Sees::Nothing
}

/// Finds the caller by the key proven in TLS. An unknown caller's request goes on: some routes need no known one.
pub(crate) async fn by_key(
    State(appliance): State<Arc<Appliance>>,
    mut request: Request,
    next: Next,
) -> Response {
    let key = request.extensions().get::<ProvenKey>().map(|key| key_name(&key.0));
    let pairing = key.and_then(|key| appliance.vault.ledger().pairings.get(&key).cloned());
    let is_known = pairing.is_some();
    if let Some(pairing) = pairing {
        appliance.key_uses.note(pairing.key, appliance.stamp().time_ms);
        request.extensions_mut().insert(Caller::Device(Scope::device(&pairing)));
    }
    let response = next.run(request).await;
    // Left open, a few hundred connections without any key would keep every other device out.
    if is_known { response } else { and_close(response) }
}

/// The local socket: its file's permissions were the check.
pub(crate) async fn as_owner(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Caller::Owner);
    next.run(request).await
}

fn caller(parts: &Parts) -> Result<&Caller, Refusal> {
    parts.extensions.get::<Caller>().ok_or_else(Refusal::unauthorized)
}

fn scope(parts: &Parts) -> Result<Scope, Refusal> {
    Ok(match caller(parts)? {
        Caller::Device(scope) => scope.clone(),
        Caller::Owner => Scope::appliance(),
    })
}

impl<S: Sync> FromRequestParts<S> for ProvenKey {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().copied().ok_or_else(Refusal::unauthorized)
    }
}

impl<S: Sync> FromRequestParts<S> for Paired {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        scope(parts).map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Pusher {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let why = "this key may only look into backups, not add any";
        let scope = scope(parts)?;
        if scope.role().may_push() { Ok(Self(scope)) } else { Err(Refusal::forbidden(why)) }
    }
}

impl<S: Sync> FromRequestParts<S> for PastReader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let why = "this key may only add backups, not look into them";
        let scope = scope(parts)?;
        if may_read(&scope) { Ok(Self(scope)) } else { Err(Refusal::forbidden(why)) }
    }
}

impl<S: Sync> FromRequestParts<S> for BoxOwner {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        match caller(parts)? {
            Caller::Owner => Ok(Self),
            Caller::Device(_) => Err(Refusal::forbidden("this is for whoever holds the appliance alone")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::Hash;
    use larder_format::ledger::{Pairing, Role};

    fn parts(caller: Option<Caller>) -> Parts {
        let (mut parts, ()) = axum::http::Request::new(()).into_parts();
        caller.map(|caller| parts.extensions.insert(caller));
        parts
    }

    /// The extractors that let the caller in: any, push, read, owner.
    fn let_in(caller: Option<Caller>) -> [bool; 4] {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut parts = parts(caller);
        runtime.block_on(async {
            [
                Paired::from_request_parts(&mut parts, &()).await.is_ok(),
                Pusher::from_request_parts(&mut parts, &()).await.is_ok(),
                PastReader::from_request_parts(&mut parts, &()).await.is_ok(),
                BoxOwner::from_request_parts(&mut parts, &()).await.is_ok(),
            ]
        })
    }

    /// A device called like the owner is no owner.
    #[test]
    fn each_role_opens_its_own_routes() {
        let device = |role| {
            let sees = Sees::usual(role);
            let pairing = Pairing { device: "owner".to_owned(), role, key: Hash::ZERO, sees };
            Some(Caller::Device(Scope::device(&pairing)))
        };
        assert_eq!(let_in(None), [false; 4]);
        assert_eq!(let_in(device(Role::Push)), [true, true, false, false]);
        assert_eq!(let_in(device(Role::User)), [true, true, true, false]);
        assert_eq!(let_in(device(Role::Read)), [true, false, true, false]);
        assert_eq!(let_in(device(Role::Admin)), [true, true, true, false]);
        assert_eq!(let_in(Some(Caller::Owner)), [true; 4]);
    }
}
