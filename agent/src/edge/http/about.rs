//! The appliance about itself: the caller, its health, and its record of the past at one point.

use super::auth::{Paired, name_of};
use super::entries::time_text;
use super::extract::PathParts;
use super::push::read_body;
use super::{Refusal, State};
use crate::report::Report;
use crate::state::Appliance;
use crate::state::signer::SignedHead;
use axum::Json;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use larder_format::ledger::{Head, Role, Sees};
use larder_format::wire::{
    EntryWord, FEATURES, Identity, LINKS_MAX, LINKS_TYPE, LetGoWord, ReceiptStanding, STANDINGS_MAX,
    StandingAsked, StandingWord, encode_ids,
};
use larder_store::SnapshotFate;
use std::sync::Arc;
use std::time::Duration;

/// A question about as many snapshots as there may be, with numbers of 20 digits.
const STANDING_BYTES_MAX: usize = 32 * 1024;
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
    let SignedHead { newest, word } = appliance.signed_head();
    Identity {
        device,
        role,
        sees: Some(sees),
        appliance: appliance.settings.appliance.name.clone(),
        vault: appliance.vault.id(),
        head: newest.head,
        signed: Some(word),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features: FEATURES.map(str::to_owned).to_vec(),
    }
}

/// A device that saw this entry compares: an old disk put back has another entry by now, or none. The word on the entry proves to
/// others what the device saw.
pub(crate) async fn entry(
    _: Paired,
    appliance: State,
    PathParts(number): PathParts<u64>,
) -> Result<Json<EntryWord>, Refusal> {
    let hash = appliance.blocking(move |appliance| appliance.vault.entry_hash(number)).await?;
    let hash = hash.ok_or_else(|| {
        Refusal::not_found(&format!("entry {number} in the ledger"), "`larder status` shows the newest one.")
    })?;
    let entry = Head { sequence: number, hash };
    Ok(Json(EntryWord { entry, signed: Some(appliance.signed_entry(entry)) }))
}

/// The hashes of many entries, each read from the disks now.
pub(crate) async fn links(
    Paired(scope): Paired,
    appliance: State,
    PathParts(first): PathParts<u64>,
) -> Result<impl IntoResponse, Refusal> {
    let device = name_of(&scope).to_owned();
    let links =
        appliance.looking_up(&device, move |appliance| appliance.vault.links(first, LINKS_MAX as u64));
    let links = links.await?;
    Ok(([(CONTENT_TYPE, LINKS_TYPE)], encode_ids(&links)))
}

/// What became of snapshots for which the device has receipts.
pub(crate) async fn standing(
    Paired(scope): Paired,
    appliance: State,
    body: Body,
) -> Result<Json<Vec<ReceiptStanding>>, Refusal> {
    let bytes = read_body(body, STANDING_BYTES_MAX).await?;
    let StandingAsked { snapshots } = serde_json::from_slice(&bytes).map_err(Refusal::invalid)?;
    if snapshots.len() > STANDINGS_MAX {
        return Err(Refusal::invalid("`snapshots` names more than 1000"));
    }
    let device = name_of(&scope).to_owned();
    let fates = appliance.looking_up(&device, move |appliance| appliance.vault.by(&scope).fates(&snapshots));
    Ok(Json(fates.await?.into_iter().map(standing_of).collect()))
}

fn standing_of(SnapshotFate { snapshot, entry, is_kept, let_go }: SnapshotFate) -> ReceiptStanding {
    let standing = match &let_go {
        _ if is_kept => StandingWord::Kept,
        Some(_) => StandingWord::LetGo,
        None => StandingWord::Unknown,
    };
    let let_go = let_go.map(|(entry, at, why)| LetGoWord { entry, time: time_text(at.stamp.time_ms), why });
    ReceiptStanding { snapshot, entry, standing, let_go }
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
    let mut value = value.expect("plain values encode");
    // Beside the report and never in it: what the report has goes over MQTT.
    if scope.role() == Role::Admin
        && let Some(open) = appliance.pairing.open_code(&appliance.stamp())
    {
        value["pairing"]["code"] = open.code.into();
    }
    Json(value)
}
