//! Labels: a snapshot stays whatever the rule says. Over the network that is only ever made longer; an end is a word at the
//! box. Who may say so is asked in the store. Not here: what a label keeps (`larder_store`).

use super::auth::{BoxOwner, Paired, PastReader};
use super::extract::{PathParts, Query};
use super::push::read_body;
use super::read::{SnapshotPath, ZoneQuery};
use super::when::now_in;
use super::wishes::require_few_wishes;
use super::{Refusal, State, snapshots};
use crate::state::Appliance;
use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use jiff::Timestamp;
use larder_format::ledger::{LABEL_BYTES_MAX, is_visible, label};
use larder_format::wire::{KeepWish, SnapshotInfo};
use larder_store::{LABELS_MAX, LabelWish, Labelling, Scope};
use serde::{Deserialize, Serialize};

/// A wish has a label and a date.
const WISH_BYTES_MAX: usize = 4096;
const NOT_KEPT: &str = "Nothing changed: each snapshot is kept as before.";

pub(super) async fn keep(
    PastReader(scope): PastReader,
    appliance: State,
    PathParts((device, name, when)): SnapshotPath,
    Query(query): Query<ZoneQuery>,
    body: Body,
) -> Result<Json<SnapshotInfo>, Refusal> {
    let now = now_in(query.zone.as_deref())?;
    let wish: KeepWish =
        serde_json::from_slice(&read_body(body, WISH_BYTES_MAX).await?).map_err(Refusal::invalid)?;
    let (_, records) = snapshots::of(&appliance, &scope, &device, &name)?;
    let snapshot = snapshots::resolve(&appliance, &scope, &records, &when, &now)?.sequence;
    labelled(&appliance, scope, snapshot, &wish).await.map(Json)
}

/// A wish at the box, for a snapshot by its number.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeepRequest {
    pub(crate) snapshot: u64,
    pub(crate) label: Option<String>,
    pub(crate) until: Option<Timestamp>,
}

pub(crate) async fn keep_at_the_box(
    _: BoxOwner,
    Paired(scope): Paired,
    appliance: State,
    Json(KeepRequest { snapshot, label, until }): Json<KeepRequest>,
) -> Result<Json<SnapshotInfo>, Refusal> {
    let wish = KeepWish { label, until: until.map(|until| until.to_string()) };
    labelled(&appliance, scope, snapshot, &wish).await.map(Json)
}

/// A label's end at the box.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnkeepRequest {
    pub(crate) snapshot: u64,
    /// Not beyond then; none for no longer at all.
    pub(crate) until: Option<Timestamp>,
}

pub(crate) async fn unkeep(
    _: BoxOwner,
    appliance: State,
    Json(UnkeepRequest { snapshot, until }): Json<UnkeepRequest>,
) -> Result<Json<SnapshotInfo>, Refusal> {
    let until_ms = until.map(Timestamp::as_millisecond);
    if !appliance.blocking(move |appliance| appliance.end_label(snapshot, until_ms)).await?? {
        let what = format!("snapshot {snapshot} that the owner keeps");
        return Err(Refusal::not_found(&what, "`larder snapshots SOURCE` says why each is kept."));
    }
    info(&appliance, snapshot).map(Json)
}

async fn labelled(
    appliance: &State,
    scope: Scope,
    snapshot: u64,
    wish: &KeepWish,
) -> Result<SnapshotInfo, Refusal> {
    let wish = LabelWish { snapshot, text: words(wish)?, until_ms: until_ms(appliance, wish)? };
    require_few_wishes(appliance, &scope)?;
    match appliance.blocking(move |appliance| appliance.label(&scope, &wish)).await?? {
        Labelling::Done => info(appliance, snapshot),
        Labelling::NeedsAdmin => {
            Err(Refusal::forbidden("keeping a snapshot for longer needs a key of the role admin"))
        }
        Labelling::Taken { by } => {
            let what = format!("Snapshot {by} of this source has that label already.");
            let remedy = "Take other words: a label names one snapshot.";
            Err(Refusal::new(StatusCode::CONFLICT, "label_taken", [&what, NOT_KEPT, remedy]))
        }
        Labelling::TooMany => {
            let what = format!("{LABELS_MAX} snapshots are kept like this already.");
            let remedy = "`larderd unkeep` on the appliance ends one.";
            Err(Refusal::new(StatusCode::CONFLICT, "too_many_labels", [&what, NOT_KEPT, remedy]))
        }
    }
}

/// The words of the label; empty without any.
fn words(wish: &KeepWish) -> Result<String, Refusal> {
    wish.label.as_deref().map_or(Ok(String::new()), |text| {
        label(text).filter(|words| is_visible(words)).ok_or_else(|| {
            Refusal::invalid(format!(
                "a label is at most {LABEL_BYTES_MAX} bytes of visible text, without quotes, and not written like a date, a \
                 time, or a snapshot number"
            ))
        })
    })
}

/// The end as a date; none for ever.
fn until_ms(appliance: &Appliance, wish: &KeepWish) -> Result<Option<i64>, Refusal> {
    let Some(text) = &wish.until else { return Ok(None) };
    let until = text.parse::<Timestamp>().map_err(Refusal::invalid)?.as_millisecond();
    if until <= appliance.stamp().time_ms {
        return Err(Refusal::invalid("that moment is past by the appliance's clock"));
    }
    Ok(Some(until))
}

fn info(appliance: &Appliance, snapshot: u64) -> Result<SnapshotInfo, Refusal> {
    let records = {
        let view = appliance.vault.ledger();
        let is_there = |records: &&Vec<_>| snapshots::position(records, snapshot).is_some();
        view.sources.values().find(is_there).cloned().unwrap_or_default()
    };
    let place = snapshots::position(&records, snapshot).zip(records.first());
    let info = place.and_then(|(position, first)| {
        let source = first.snapshot.source.clone();
        snapshots::infos_of(appliance, &source, &records, position..position + 1).pop()
    });
    let missing = || {
        Refusal::not_found(
            &format!("snapshot {snapshot}"),
            "`larder snapshots SOURCE` lists them by their numbers.",
        )
    };
    info.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_read_or_refused() {
        let of = |text: &str| words(&KeepWish { label: Some(text.to_owned()), until: None });
        assert_eq!(of(" before  the move ").unwrap(), "before the move");
        assert_eq!(words(&KeepWish::default()).unwrap(), "");
        for bad in ["", "yesterday", "12", "a\"b"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
