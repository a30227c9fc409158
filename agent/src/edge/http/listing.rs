//! Lists of folders, one after the other or with everything below.
//!
//! A folder may have a million entries, so a list is made while the client reads, and is never whole in memory. Not here:
//! reading folders (`larder_store`), the parts of an answer (`stream`).

use super::auth::{PastReader, name_of};
use super::extract::{PathParts, Query};
use super::read::{SnapshotPath, no_path, path_bytes};
use super::stream::{AnswerReader, stream};
use super::when::now_in;
use super::{Refusal, State, snapshots};
use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use larder_format::tree::Kind;
use larder_format::wire::{EntryInfo, LISTING_TYPE, ListingLine, escape_name};
use larder_store::{Found, ListedBelow, ListedFolder};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// Bytes of one part of a long list.
const PART_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default)]
    path: String,
    #[serde(default)]
    recursive: bool,
    /// Levels of a recursive list; all of them without it.
    depth: Option<usize>,
    zone: Option<String>,
}

pub(crate) async fn list(
    PastReader(scope): PastReader,
    appliance: State,
    PathParts((device, name, when)): SnapshotPath,
    Query(query): Query<ListQuery>,
) -> Result<Response, Refusal> {
    let now = now_in(query.zone.as_deref())?;
    let (_, records) = snapshots::of(&appliance, &scope, &device, &name)?;
    let root = snapshots::resolve(&appliance, &scope, &records, &when, &now)?.snapshot.root;
    let path = path_bytes(&query.path)?;
    let (by, wanted) = (scope.clone(), path.clone());
    let found =
        appliance.looking_up(name_of(&scope), move |it| it.vault.by(&by).look_up(&root, &wanted)).await??;
    let found = found.ok_or_else(|| no_path(&query.path))?;
    let Kind::Directory { node, .. } = found.entry.kind else {
        return Ok(if query.recursive {
            one_line(&path, &found)
        } else {
            Json([EntryInfo::of(&found)]).into_response()
        });
    };
    // An unreadable folder is refused at once; later the answer can only break off.
    let by = scope.clone();
    appliance.looking_up(name_of(&scope), move |it| it.vault.by(&by).read_node(&node)).await??;
    let turn = appliance.listings.take(name_of(&scope));
    if query.recursive {
        let folder = ListedFolder { top: node, levels: query.depth.unwrap_or(usize::MAX) };
        let body = stream(&appliance, turn, move |appliance, reader| {
            let mut lines = Lines { part: Vec::new(), reader };
            let mut each = |below: &[u8], found: &Found| {
                let path = if path.is_empty() { below.to_vec() } else { [&path[..], b"/", below].concat() };
                lines.add(&ListingLine::Entry { path: escape_name(&path), entry: EntryInfo::of(found) })
            };
            let end = appliance.vault.by(&scope).list_below(folder, &|| reader.is_there(), &mut each)?;
            Ok(end.is_complete && lines.end(&end).is_continue())
        });
        return Ok(([(CONTENT_TYPE, LISTING_TYPE)], body).into_response());
    }
    let body = stream(&appliance, turn, move |appliance, reader| {
        let mut part = b"[".to_vec();
        for (number, found) in appliance.vault.by(&scope).entries(node).enumerate() {
            part.extend_from_slice(if number == 0 { b"\n" } else { b",\n" });
            write_json(&mut part, &EntryInfo::of(&found?));
            if part.len() >= PART_BYTES && reader.take(std::mem::take(&mut part).into()).is_break() {
                return Ok(false);
            }
        }
        part.extend_from_slice(b"]");
        Ok(reader.take(part.into()).is_continue())
    });
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// The listing of a path that is no folder.
fn one_line(path: &[u8], found: &Found) -> Response {
    let mut lines = Vec::new();
    for line in [
        ListingLine::Entry { path: escape_name(path), entry: EntryInfo::of(found) },
        ListingLine::End { entries: 1, unreadable: 0 },
    ] {
        write_json(&mut lines, &line);
        lines.push(b'\n');
    }
    ([(CONTENT_TYPE, LISTING_TYPE)], lines).into_response()
}

fn write_json(part: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(part, value).expect("plain values encode");
}

/// Lines on the way to the reader.
struct Lines<'a> {
    part: Vec<u8>,
    reader: &'a AnswerReader,
}

impl Lines<'_> {
    fn add(&mut self, line: &ListingLine) -> ControlFlow<()> {
        write_json(&mut self.part, line);
        self.part.push(b'\n');
        if self.part.len() < PART_BYTES {
            return ControlFlow::Continue(());
        }
        self.reader.take(std::mem::take(&mut self.part).into())
    }

    /// The last line tells that the list is whole, and what could not be read for it.
    fn end(mut self, end: &ListedBelow) -> ControlFlow<()> {
        self.add(&ListingLine::End { entries: end.entries, unreadable: end.unreadable })?;
        self.reader.take(self.part.into())
    }
}
