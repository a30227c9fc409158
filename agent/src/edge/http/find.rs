//! Finding names over all time, in every source that the caller may see.

use super::auth::{PastReader, name_of};
use super::entries::time_text;
use super::{Refusal, State};
use axum::Json;
use axum::extract::Query;
use larder_format::ledger::composed;
use larder_format::wire::{FoundName, FoundNames, escape_name};
use larder_store::{NameHit, NameQuery, StoreError};
use serde::Deserialize;

/// Hits of one answer; each may have a path of 32 KiB, escaped.
const HITS_MAX: usize = 1000;
/// A longer name is no name.
const NAME_BYTES_MAX: usize = 4096;

/// What to find.
#[derive(Debug, Deserialize)]
pub(crate) struct FindQuery {
    /// A part of a name, or a pattern.
    name: String,
    /// `DEVICE/NAME`; every source where there is none.
    source: Option<String>,
    /// Hits at most.
    limit: Option<usize>,
    /// Whether only what the newest snapshot of its source does not have.
    #[serde(default)]
    deleted: bool,
}

pub(crate) async fn find(
    PastReader(scope): PastReader,
    appliance: State,
    Query(query): Query<FindQuery>,
) -> Result<Json<FoundNames>, Refusal> {
    if query.name.is_empty() || query.name.len() > NAME_BYTES_MAX {
        return Err(Refusal::invalid("`name` must be a part of a name"));
    }
    let sources: Vec<String> = {
        let wanted = query.source.as_deref().map(composed);
        let is_meant = |source: &String| wanted.as_ref().is_none_or(|wanted| source == wanted);
        appliance.vault.by(&scope).sources().into_iter().filter(is_meant).collect()
    };
    if let Some(source) = query.source.as_ref().filter(|_| sources.is_empty()) {
        return Err(super::snapshots::no_source(source));
    }
    let device = name_of(&scope).to_owned();
    let found = appliance.looking_up_long(&device, move |appliance, go_on| {
        let limit = query.limit.unwrap_or(HITS_MAX).clamp(1, HITS_MAX);
        let mut all = FoundNames { hits: Vec::new(), has_more: false, is_complete: true };
        for source in &sources {
            let left = limit - all.hits.len();
            if left == 0 {
                all.has_more = true;
                break;
            }
            let wanted = NameQuery { typed: &query.name, is_deleted: query.deleted, limit: left, go_on };
            let found = appliance.vault.by(&scope).find_names(&appliance.names(), source, &wanted)?;
            all.hits.extend(found.hits.iter().map(|hit| found_name(source, hit)));
            all.has_more |= found.has_more;
            all.is_complete &= found.is_complete;
        }
        Ok::<_, StoreError>(all)
    });
    Ok(Json(found.await??))
}

fn found_name(source: &str, hit: &NameHit) -> FoundName {
    FoundName {
        source: source.to_owned(),
        path: escape_name(&hit.path),
        is_folder: hit.is_folder,
        first: hit.first.sequence,
        since: time_text(hit.first.stamp.time_ms),
        last: hit.last.sequence,
        until: time_text(hit.last.stamp.time_ms),
        is_there: hit.is_there,
    }
}
