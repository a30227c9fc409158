//! The appliance about itself: the caller, its health, and its record of the past at one point.

use super::auth::{Paired, name_of};
use super::extract::PathParts;
use super::{Refusal, State};
use crate::report::Report;
use crate::state::Appliance;
use axum::Json;
use larder_format::ledger::{Head, Role, Sees};
use larder_format::wire::{FEATURES, Identity};
use std::sync::Arc;
use std::time::Duration;

/// How long a question about the state waits for the loop to have seen the newest ledger entry.
const LOOKED_WITHIN: Duration = Duration::from_secs(1);
pub(crate) async fn health(appliance: State) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "level": appliance.report.borrow().health.level }))
}

pub(crate) async fn me(Paired(scope): Paired, appliance: State) -> Json<Identity> {
    Json(identity(&appliance, name_of(&scope).to_owned(), scope.role(), scope.sees().clone()))
}

/// What a device is told of itself and of the appliance.
pub(super) fn identity(appliance: &Appliance, device: String, role: Role, sees: Sees) -> Identity {
    Identity {
        device,
        role,
        sees: Some(sees),
        appliance: appliance.settings.appliance.name.clone(),
        vault: appliance.vault.id(),
        head: appliance.vault.ledger().head,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features: FEATURES.map(str::to_owned).to_vec(),
    }
}

/// A device that saw this entry compares: an old disk put back has another entry by now, or none.
pub(crate) async fn entry(
    _: Paired,
    appliance: State,
    PathParts(number): PathParts<u64>,
) -> Result<Json<Head>, Refusal> {
    let hash = appliance.blocking(move |appliance| appliance.vault.entry_hash(number)).await?;
    let hash = hash.ok_or_else(|| {
        Refusal::not_found(&format!("entry {number} in the ledger"), "`larder status` shows the newest one.")
    })?;
    Ok(Json(Head { sequence: number, hash }))
}

pub(crate) async fn status(Paired(scope): Paired, appliance: State) -> Json<serde_json::Value> {
    let head = appliance.vault.ledger().head.sequence;
    let mut reports = appliance.report.clone();
    // A caller right after a push wants to hear of that push; the loop needs a moment to look.
    let newest = reports.wait_for(|report| report.head.sequence >= head);
    let _ = tokio::time::timeout(LOOKED_WITHIN, newest).await;
    let report: Arc<Report> = appliance.report.borrow().clone();
    let value = if scope.sees_everything() {
        serde_json::to_value(&*report)
    } else {
        // A key hears of its own sources, of those that it may see, and whether the box needs a person. Figures of the
        // whole vault would tell how much the others have.
        let is_told = |source: &str| scope.may_see(source) || scope.require_own(source).is_ok();
        serde_json::to_value(serde_json::json!({
            "health": report.health.without_names(&is_told),
            "retention": { "promise": report.retention.promise },
            "sources": report.sources.iter().filter(|source| is_told(&source.source)).collect::<Vec<_>>(),
        }))
    };
    Json(value.expect("plain values encode"))
}
