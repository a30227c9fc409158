//! Reading: sources, snapshots, versions, differences and the bytes of files. Not here: lists of folders (`listing`).

use super::auth::{PastReader, name_of};
use super::entries::{change_info, source_info, version_info};
use super::extract::{PathParts, Query};
use super::push::read_body;
use super::snapshots::PageQuery;
use super::stream::stream;
use super::when::now_in;
use super::{Refusal, State, snapshots, wishes};
use crate::decide::words::{answers, rules};
use crate::event::AgentEvent;
use crate::report::SourceAnswers;
use crate::state::Appliance;
use crate::state::activity::Traffic;
use axum::Json;
use axum::body::Body;
use axum::http::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use larder_format::ledger::composed;
use larder_format::tree::Kind;
use larder_format::wire::{
    BLOCKS_TYPE, IDS_MAX, Neighbours, OLDER_HEADER, PLACES_TYPE, SnapshotInfo, SourceInfo, VersionInfo,
    decode_ids, encode_places, escape_name, unescape_name,
};
use larder_store::{Found, StoreError};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub(crate) struct ZoneQuery {
    pub(super) zone: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct PathQuery {
    #[serde(default)]
    path: String,
    zone: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct DiffQuery {
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    zone: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct SourceQuery {
    source: Option<String>,
    zone: Option<String>,
}

type SourcePath = PathParts<(String, String)>;
pub(super) type SnapshotPath = PathParts<(String, String, String)>;

pub(crate) async fn sources(
    PastReader(scope): PastReader,
    appliance: State,
) -> Result<Json<Vec<SourceInfo>>, Refusal> {
    let by = appliance.vault.by(&scope);
    let info = |source: &String| {
        let records = by.snapshots(source).ok()?;
        source_info(snapshots::infos(&appliance, source, &records), wishes::expected_of(&appliance, source))
    };
    Ok(Json(by.sources().iter().filter_map(info).collect()))
}

pub(crate) async fn snapshots(
    PastReader(scope): PastReader,
    appliance: State,
    PathParts((device, name)): SourcePath,
    Query(page): Query<PageQuery>,
) -> Result<([(&'static str, String); 1], Json<Vec<SnapshotInfo>>), Refusal> {
    let (source, records) = snapshots::of(&appliance, &scope, &device, &name)?;
    let positions = page.positions(&records);
    let older = positions.start.to_string();
    Ok(([(OLDER_HEADER, older)], Json(snapshots::infos_of(&appliance, &source, &records, positions))))
}

pub(crate) async fn snapshot(
    PastReader(scope): PastReader,
    appliance: State,
    PathParts((device, name, when)): SnapshotPath,
    Query(query): Query<ZoneQuery>,
) -> Result<Json<SnapshotInfo>, Refusal> {
    let now = now_in(query.zone.as_deref())?;
    let (source, records) = snapshots::of(&appliance, &scope, &device, &name)?;
    let wanted = snapshots::resolve(&appliance, &scope, &records, &when, &now)?.sequence;
    let position = records.partition_point(|record| record.sequence < wanted);
    let found = snapshots::infos_of(&appliance, &source, &records, position..position + 1).pop();
    found.map(Json).ok_or_else(|| no_path("that snapshot"))
}

pub(crate) async fn versions(
    PastReader(scope): PastReader,
    appliance: State,
    PathParts((device, name)): SourcePath,
    Query(query): Query<PathQuery>,
) -> Result<Json<Vec<VersionInfo>>, Refusal> {
    let records = snapshots::looked_at(&appliance, &scope, &device, &name)?;
    let path = path_bytes(&query.path)?;
    let by = scope.clone();
    let runs =
        appliance.looking_up(name_of(&scope), move |it| it.vault.by(&by).versions(&records, &path)).await??;
    if runs.is_empty() {
        let what = format!("file {} in any snapshot of this source", query.path);
        return Err(Refusal::not_found(&what, "`larder ls` shows what there is."));
    }
    Ok(Json(runs.iter().map(version_info).collect()))
}

pub(crate) async fn diff(
    PastReader(scope): PastReader,
    appliance: State,
    PathParts((device, name)): SourcePath,
    Query(query): Query<DiffQuery>,
) -> Result<Response, Refusal> {
    let now = now_in(query.zone.as_deref())?;
    let records = snapshots::looked_at(&appliance, &scope, &device, &name)?;
    let (from, to) = (
        snapshots::resolve(&appliance, &scope, &records, &query.from, &now)?.snapshot.root,
        snapshots::resolve(&appliance, &scope, &records, &query.to, &now)?.snapshot.root,
    );
    let turn = appliance.listings.take(name_of(&scope));
    let body = stream(&appliance, turn, move |appliance, reader| {
        appliance.vault.by(&scope).diff(from, to, &|| reader.is_there(), &mut |difference| {
            let mut line = serde_json::to_vec(&change_info(&difference)).expect("plain values encode");
            line.push(b'\n');
            reader.take(line.into())
        })
    });
    Ok(([(CONTENT_TYPE, "application/jsonl")], body).into_response())
}

pub(crate) async fn file(
    PastReader(scope): PastReader,
    appliance: State,
    PathParts((device, name, when)): SnapshotPath,
    Query(query): Query<PathQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let now = now_in(query.zone.as_deref())?;
    let (_, records) = snapshots::of(&appliance, &scope, &device, &name)?;
    let root = snapshots::resolve(&appliance, &scope, &records, &when, &now)?.snapshot.root;
    let path = path_bytes(&query.path)?;
    let by = scope.clone();
    let found =
        appliance.looking_up(name_of(&scope), move |it| it.vault.by(&by).look_up(&root, &path)).await??;
    let Some(Found { entry, .. }) = found else { return Err(no_path(&query.path)) };
    let Kind::File { size, pieces } = entry.kind else {
        return Err(Refusal::not_found(
            "file by that name: it is something else",
            "`larder ls` shows what it is.",
        ));
    };
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok()).map(|text| byte_range(text, size));
    let (status, range) = match range {
        None => (StatusCode::OK, 0..size),
        Some(Some(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(None) => {
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(CONTENT_RANGE, format!("bytes */{size}"))])
                .into_response());
        }
    };
    let shown = range.clone();
    tell_of_restore(&appliance, name_of(&scope));
    let turn = appliance.fetches.take(name_of(&scope));
    let body = stream(&appliance, turn, move |appliance, reader| {
        let mut hand_over = |bytes: &[u8]| reader.take(Bytes::copy_from_slice(bytes));
        appliance.vault.by(&scope).file_bytes(&pieces, range, &mut hand_over)
    });
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert("content-length", HeaderValue::from(shown.end - shown.start));
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{size}", shown.start, shown.end - 1);
        headers.extend(HeaderValue::from_str(&text).ok().map(|value| (CONTENT_RANGE, value)));
    }
    Ok(response)
}

fn tell_of_restore(appliance: &Appliance, device: &str) {
    if appliance.activity.begins(Traffic::Restore, device, appliance.stamp().powered_on_s) {
        tracing::info!(device, "a restore began");
        appliance.tell(AgentEvent::Restored { device: device.to_owned() });
    }
}

pub(crate) async fn places(
    PastReader(scope): PastReader,
    appliance: State,
    body: Body,
) -> Result<Response, Refusal> {
    let ids = decode_ids(&read_body(body, IDS_MAX * 32).await?).map_err(Refusal::invalid)?;
    let by = scope.clone();
    let places = appliance.looking_up(name_of(&scope), move |it| it.vault.by(&by).places(&ids)).await?;
    Ok(([(CONTENT_TYPE, PLACES_TYPE)], encode_places(places)).into_response())
}

#[derive(Deserialize)]
pub(crate) struct FetchQuery {
    #[serde(default)]
    neighbours: Neighbours,
}

pub(crate) async fn fetch(
    PastReader(scope): PastReader,
    appliance: State,
    Query(query): Query<FetchQuery>,
    body: Body,
) -> Result<Response, Refusal> {
    let ids = decode_ids(&read_body(body, IDS_MAX * 32).await?).map_err(Refusal::invalid)?;
    // An empty answer means that the wished chunks are lost.
    appliance.looking_up(name_of(&scope), |it| it.vault.require_readable()).await??;
    tell_of_restore(&appliance, name_of(&scope));
    let turn = appliance.fetches.take(name_of(&scope));
    let body = stream(&appliance, turn, move |appliance, reader| {
        let by = appliance.vault.by(&scope);
        let plan = by.plan_fetch(&ids);
        if plan.is_empty() {
            appliance.vault.require_answering()?;
        }
        // A reader without the wished chunk asks for less and less, and in the end for the chunk alone.
        let is_asked_again = ids.len() == 1;
        for step in &plan {
            match if is_asked_again { by.fetch_proven(step) } else { by.fetch(step, query.neighbours) } {
                Ok(block) => {
                    if reader.take(block.into()).is_break() {
                        return Ok(false);
                    }
                }
                // The reader notices the missing chunk; the remaining chunks must not suffer.
                Err(StoreError::Damaged { chunk, cause }) => {
                    tracing::error!(%chunk, cause, "a stored piece is damaged on every disk");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    });
    Ok(([(CONTENT_TYPE, BLOCKS_TYPE)], body).into_response())
}

pub(crate) async fn answers(
    PastReader(scope): PastReader,
    appliance: State,
    Query(query): Query<SourceQuery>,
) -> Result<Json<Vec<SourceAnswers>>, Refusal> {
    let zone = now_in(query.zone.as_deref())?.time_zone().clone();
    let seen = appliance.vault.by(&scope).sources();
    let view = appliance.vault.ledger();
    let wanted = query.source.as_deref().map(composed);
    let wanted = |source: &&String| wanted.as_ref().is_none_or(|wanted| *source == wanted);
    let all: Vec<_> = seen
        .iter()
        .filter(wanted)
        .map(|source| SourceAnswers {
            source: source.clone(),
            answers: answers::of(&appliance.source_facts(&view, source), &zone),
        })
        .collect();
    match (all.is_empty(), query.source) {
        (true, Some(source)) => Err(snapshots::no_source(&source)),
        _ => Ok(Json(all)),
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Retention {
    rule: String,
    promise: String,
    snapshots: Vec<SnapshotInfo>,
}

pub(crate) async fn retention(
    PastReader(scope): PastReader,
    appliance: State,
    PathParts((device, name)): SourcePath,
) -> Result<Json<Retention>, Refusal> {
    let (source, records) = snapshots::of(&appliance, &scope, &device, &name)?;
    let snapshots = snapshots::infos(&appliance, &source, &records);
    let rule = appliance.rule_now().rule;
    Ok(Json(Retention {
        rule: rules::rule_in_words(&rule),
        promise: rules::promise_in_words(&rule),
        snapshots,
    }))
}

pub(super) fn path_bytes(text: &str) -> Result<Vec<u8>, Refusal> {
    unescape_name(text)
        .ok_or_else(|| Refusal::invalid("a backslash in a path is written `\\\\`, other bytes `\\xNN`"))
}

pub(super) fn no_path(path: &str) -> Refusal {
    let what = format!("`{}` in that snapshot", escape_name(path.as_bytes()));
    Refusal::not_found(&what, "`larder ls` shows what is there, `larder versions` when it was.")
}

/// One range of `bytes=A-B`, `bytes=A-` or `bytes=-N`; none outside the file.
fn byte_range(text: &str, size: u64) -> Option<std::ops::Range<u64>> {
    let (from, to) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let range = match (from.trim(), to.trim()) {
        ("", last) => size.saturating_sub(last.parse().ok()?)..size,
        (from, "") => from.parse().ok()?..size,
        (from, to) => from.parse().ok()?..to.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::byte_range;

    #[test]
    fn ranges_stay_inside_the_file() {
        let check = |given: &str, expect| assert_eq!(byte_range(given, 100), expect, "{given}");
        check("bytes=0-9", Some(0..10));
        check("bytes=90-", Some(90..100));
        check("bytes=-5", Some(95..100));
        check("bytes=50-500", Some(50..100));
        check("bytes=-500", Some(0..100));
        for bad in ["bytes=100-", "bytes=9-3", "items=0-1", "bytes=a-b", "bytes=", "bytes=0-1,5-9"] {
            check(bad, None);
        }
    }
}
