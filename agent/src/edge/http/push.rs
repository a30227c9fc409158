//! Push: ask what is missing, send the chunks, commit. There is no other verb here, and none that takes away.

use super::auth::{Pusher, name_of};
use super::extract::PathParts;
use super::{Refusal, State};
use crate::event::AgentEvent;
use crate::state::Appliance;
use crate::state::activity::{Busy, Traffic};
use crate::state::upload_memory::UploadPlace;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use larder_format::ledger::{
    ORIGIN_BYTES_MAX, Snapshot, ZONE_BYTES_MAX, composed, is_source_name, is_visible,
};
use larder_format::wire::{
    CONTENTS_MAX, Commit, IDS_MAX, Origin, PushStart, PushWelcome, Receipt, Received, UPLOAD_BYTES_MAX,
    decode_ids, encode_ids,
};
use larder_store::{FolderClaim, KnownSource, StoreError};
use std::time::Duration;

/// A commit with the largest number of hashes of files, at the usual length of paths.
const COMMIT_BYTES_MAX: usize = 256 * 1024;
/// A start with the longest origin, each byte of it escaped.
const START_BYTES_MAX: usize = 256 * 1024;
/// A sender silent for so long has gone away.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// A slower sender holds memory while other senders wait.
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
    // Waits before reading: unread bytes wait in the sender, not in our memory.
    let device = name_of(&scope).to_owned();
    let place = appliance.upload_memory.place(&device, len).await;
    if appliance.activity.begins(Traffic::Push, &device, appliance.stamp().powered_on_s) {
        appliance.tell(AgentEvent::PushStarted { device: device.clone() });
    }
    let _busy = Busy::with(&appliance.activity.receiving);
    let bytes = read_upload(body, len, &place).await?;
    let opened = place.open().await;
    let received = appliance.blocking(move |appliance| {
        let received = appliance.vault.by(&scope).receive(&bytes);
        drop((bytes, opened));
        received
    });
    let received = received.await?.inspect_err(|error| note_refusal(&appliance, &device, error))?;
    appliance.activity.refusals.brought(&device);
    Ok(Json(received))
}

/// A push of another folder under the source's name is refused here, before a byte was sent.
pub(crate) async fn start(
    Pusher(scope): Pusher,
    appliance: State,
    PathParts((device, name)): PathParts<(String, String)>,
    body: Body,
) -> Result<Json<PushWelcome>, Refusal> {
    let source = pushed_source(&device, &name)?;
    scope.require_own(&source)?;
    let bytes = read_body(body, START_BYTES_MAX).await?;
    let PushStart { origin, moved } = serde_json::from_slice(&bytes).map_err(Refusal::invalid)?;
    require_sound(origin.as_ref())?;
    let KnownSource { snapshots, is_same_folder } =
        appliance.vault.by(&scope).may_push(&source, origin.as_ref(), claim(moved), appliance.stamp())?;
    let room_bytes = appliance.blocking(|appliance| appliance.vault.room_for_uploads()).await?;
    Ok(Json(PushWelcome { snapshots, is_same_folder, room_bytes }))
}

/// The source's full name, as the ledger writes it.
pub(super) fn source_of(device: &str, name: &str) -> Result<String, Refusal> {
    let source = format!("{device}/{}", composed(name));
    if is_source_name(&source) {
        return Ok(source);
    }
    Err(Refusal::invalid("a source's name is 1 to 255 bytes of visible text without a slash"))
}

/// The same for a source that a push may begin.
fn pushed_source(device: &str, name: &str) -> Result<String, Refusal> {
    let source = source_of(device, name)?;
    if is_visible(&source) {
        return Ok(source);
    }
    Err(Refusal::invalid("the source's name has a character that nobody sees; name it with --source"))
}

fn claim(moved: bool) -> FolderClaim {
    if moved { FolderClaim::Moved } else { FolderClaim::Same }
}

pub(crate) async fn commit(
    Pusher(scope): Pusher,
    appliance: State,
    PathParts((device, name)): PathParts<(String, String)>,
    body: Body,
) -> Result<(StatusCode, Json<Receipt>), Refusal> {
    let source = pushed_source(&device, &name)?;
    // The store asks once more; here the question spares a caller without the right the body.
    scope.require_own(&source)?;
    let bytes = read_body(body, COMMIT_BYTES_MAX).await?;
    let commit: Commit = serde_json::from_slice(&bytes).map_err(Refusal::invalid)?;
    let push = push_id(&commit.push).ok_or_else(|| Refusal::invalid("`push` must be 32 hex digits"))?;
    let claim = claim(commit.moved);
    let snapshot = snapshot(source, push, commit)?;
    let _busy = Busy::with(&appliance.activity.receiving);
    let (committed, signed) = appliance
        .blocking(move |appliance| {
            let committed = appliance.vault.by(&scope).commit_claiming(snapshot, claim, appliance.stamp())?;
            let signed = appliance.signed_receipt(&committed.record);
            Ok((committed, signed))
        })
        .await?
        .inspect_err(|error| note_refusal(&appliance, &device, error))?;
    appliance.activity.refusals.kept(&device);
    appliance.activity.ends(Traffic::Push, &device);
    let status = if committed.is_new { StatusCode::CREATED } else { StatusCode::OK };
    if committed.is_new {
        let Snapshot { source, totals, skipped, .. } = &committed.record.snapshot;
        let snapshot = committed.record.sequence;
        tracing::info!(
            source,
            snapshot,
            files = totals.files,
            bytes = totals.bytes,
            skipped,
            "a backup was made"
        );
        appliance.tell(AgentEvent::Committed(committed.record.clone()));
    }
    let (head, signed) = signed.unzip();
    let receipt = Receipt {
        source: committed.record.snapshot.source.clone(),
        snapshot: committed.record.sequence,
        // Without its entry's hash a receipt is worth less, and the backup is as good.
        head: head.unwrap_or(committed.head),
        signed,
        disks: committed.disks,
        degraded: committed.degraded,
    };
    Ok((status, Json(receipt)))
}

/// The id of a push, from exactly 32 hex digits: a number's parser would take a sign, too.
fn push_id(text: &str) -> Option<[u8; 16]> {
    let is_hex = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
}

/// The commit that a device asks for, within the bounds of a ledger entry. The appliance knows the parent itself.
fn snapshot(source: String, push: [u8; 16], commit: Commit) -> Result<Snapshot, Refusal> {
    let Commit { root, totals, skipped, device_time_ms, origin, zone, contents, .. } = commit;
    require_sound(origin.as_ref())?;
    let path_bytes: usize = contents.iter().map(|content| content.path.len()).sum();
    if zone.as_ref().is_some_and(|zone| zone.len() > ZONE_BYTES_MAX)
        || contents.len() > CONTENTS_MAX
        || path_bytes > ORIGIN_BYTES_MAX
    {
        return Err(Refusal::invalid("`zone` or `contents` is longer than a snapshot may say"));
    }
    let known = Snapshot::new(source, push, root, totals);
    Ok(Snapshot { skipped, device_time_ms, origin, zone, contents, ..known })
}

/// An origin within the bounds of a ledger entry.
fn require_sound(origin: Option<&Origin>) -> Result<(), Refusal> {
    if origin.is_some_and(|Origin { computer, path }| computer.len() + path.len() > ORIGIN_BYTES_MAX) {
        return Err(Refusal::invalid("`origin` is longer than a snapshot may say"));
    }
    Ok(())
}

/// Has room made soon, if room was lacking.
fn note_refusal(appliance: &Appliance, device: &str, error: &StoreError) {
    if let StoreError::Full { .. } = error {
        appliance.activity.refusals.refused(device, appliance.clock.powered_on_s());
        appliance.room_wanted.notify_one();
    }
}

/// Reads an upload as long as no other upload needs the memory more.
async fn read_upload(body: Body, len: usize, place: &UploadPlace) -> Result<Bytes, Refusal> {
    let note = |bytes| place.arrived(bytes);
    tokio::select! {
        read = read_noting(body, len, &note) => read,
        () = place.is_ended() => Err(Refusal::gave_way()),
    }
}

/// Reads a body of at most `max` bytes from a sender that keeps sending.
pub(crate) async fn read_body(body: Body, max: usize) -> Result<Bytes, Refusal> {
    read_noting(body, max, &|_| ()).await
}

/// The same, and tells `note` of each arrival of bytes.
async fn read_noting(body: Body, max: usize, note: &(impl Fn(usize) + Sync)) -> Result<Bytes, Refusal> {
    let within = SILENCE_MAX + Duration::from_secs(max as u64 / BYTES_PER_SECOND_MIN);
    let read = tokio::time::timeout(within, read_all(body, max, note));
    read.await.unwrap_or_else(|_| Err(Refusal::too_slow()))
}

async fn read_all(mut body: Body, max: usize, note: &(impl Fn(usize) + Sync)) -> Result<Bytes, Refusal> {
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
        note(part.len());
    }
}
