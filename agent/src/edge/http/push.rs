//! Push: ask what is missing, send it, commit it. There is no other verb here, and none that takes away.

use super::auth::{Pusher, name_of};
use super::extract::Path;
use super::{Refusal, State};
use crate::appliance::{Appliance, Busy, Traffic, UPLOAD_UNIT_BYTES};
use crate::event::Event;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use larder_format::ledger::{Snapshot, is_source_name};
use larder_format::wire::{Commit, IDS_MAX, Receipt, Received, UPLOAD_BYTES_MAX, decode_ids, encode_ids};
use larder_store::StoreError;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Opening an upload takes a decompressed block besides the upload itself.
const UPLOAD_OVERHEAD_BYTES: usize = larder_format::block::BLOCK_PLAIN_BYTES_MAX;
/// A sender that is silent for so long has gone away.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// One that sends less than this in a second holds memory that others wait for.
const BYTES_PER_SECOND_MIN: u64 = 16 * 1024;

pub(crate) async fn missing(Pusher(scope): Pusher, appliance: State, body: Body) -> Result<Vec<u8>, Refusal> {
    let bytes = read_body(body, IDS_MAX * 32).await?;
    let ids = decode_ids(&bytes).map_err(Refusal::invalid)?;
    let missing = appliance.blocking(move |appliance| appliance.vault.by(&scope).missing(&ids)).await?;
    Ok(encode_ids(&missing))
}

pub(crate) async fn upload(
    Pusher(scope): Pusher,
    appliance: State,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Received>, Refusal> {
    let claimed = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let len =
        claimed.filter(|len| *len <= UPLOAD_BYTES_MAX).ok_or_else(|| Refusal::too_large(UPLOAD_BYTES_MAX))?;
    let units = u32::try_from((len + UPLOAD_OVERHEAD_BYTES).div_ceil(UPLOAD_UNIT_BYTES)).unwrap_or(u32::MAX);
    // Waits before reading: what has not been read waits in the sender, not in our memory.
    let _memory = appliance.upload_memory.acquire_many(units).await.map_err(|_| Refusal::too_slow())?;
    let device = name_of(&scope);
    if appliance.activity.begins(Traffic::Push, device, appliance.stamp().powered_on_s) {
        appliance.tell(Event::PushStarted { device: device.to_owned() });
    }
    let _busy = Busy::with(&appliance.activity.receiving);
    let bytes = read_body(body, len).await?;
    let received = appliance.blocking(move |appliance| appliance.vault.by(&scope).receive(&bytes)).await?;
    Ok(Json(received.inspect_err(|error| note_refusal(&appliance, error))?))
}

pub(crate) async fn commit(
    Pusher(scope): Pusher,
    appliance: State,
    Path((device, name)): Path<(String, String)>,
    body: Body,
) -> Result<(StatusCode, Json<Receipt>), Refusal> {
    let source = format!("{device}/{name}");
    if !is_source_name(&source) {
        return Err(Refusal::invalid("a source's name has letters, digits, `-`, `_` and `.` only"));
    }
    // The store asks once more; here it spares whoever may not the body.
    scope.require_own(&source)?;
    let bytes = read_body(body, 64 * 1024).await?;
    let commit: Commit = serde_json::from_slice(&bytes).map_err(Refusal::invalid)?;
    let push = u128::from_str_radix(&commit.push, 16).ok().filter(|_| commit.push.len() == 32);
    let push = push.ok_or_else(|| Refusal::invalid("`push` must be 32 hex digits"))?.to_be_bytes();
    let Commit { root, totals, skipped, device_time_ms, .. } = commit;
    let snapshot = Snapshot { source, push, root, totals, skipped, device_time_ms };
    let _busy = Busy::with(&appliance.activity.receiving);
    let committed = appliance
        .blocking(move |appliance| appliance.vault.by(&scope).commit(snapshot, appliance.stamp()))
        .await?
        .inspect_err(|error| note_refusal(&appliance, error))?;
    appliance.activity.refused_full.store(0, Ordering::SeqCst);
    appliance.activity.ends(Traffic::Push, &device);
    let status = if committed.is_new { StatusCode::CREATED } else { StatusCode::OK };
    if committed.is_new {
        appliance.tell(Event::Committed(committed.fact.clone()));
    }
    let receipt = Receipt {
        source: committed.fact.snapshot.source.clone(),
        snapshot: committed.fact.sequence,
        head: committed.head,
        disks: committed.disks,
        degraded: committed.degraded,
    };
    Ok((status, Json(receipt)))
}

/// Has room made soon, if that is what was lacking.
fn note_refusal(appliance: &Appliance, error: &StoreError) {
    if let StoreError::Full { .. } = error {
        appliance.activity.refused_full.fetch_add(1, Ordering::SeqCst);
        appliance.room_wanted.notify_one();
    }
}

/// Reads a body of at most `max` bytes from a sender that keeps sending.
pub(crate) async fn read_body(body: Body, max: usize) -> Result<Bytes, Refusal> {
    let within = SILENCE_MAX + Duration::from_secs(max as u64 / BYTES_PER_SECOND_MIN);
    tokio::time::timeout(within, read_all(body, max)).await.unwrap_or_else(|_| Err(Refusal::too_slow()))
}

async fn read_all(mut body: Body, max: usize) -> Result<Bytes, Refusal> {
    let mut bytes = bytes::BytesMut::new();
    loop {
        let frame = tokio::time::timeout(SILENCE_MAX, body.frame()).await.map_err(|_| Refusal::too_slow())?;
        let Some(frame) = frame else { return Ok(bytes.freeze()) };
        let frame = frame.map_err(Refusal::invalid)?;
        let Ok(part) = frame.into_data() else { continue };
        if bytes.len() + part.len() > max {
            return Err(Refusal::too_large(max));
        }
        if bytes.is_empty() {
            bytes.reserve(max.min(UPLOAD_BYTES_MAX));
        }
        bytes.extend_from_slice(&part);
    }
}
