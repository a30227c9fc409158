//! Questions about letting go on the local socket only: a prune, a hold, its end, and a word about the clock. No such
//! route is on the network.

use super::auth::BoxOwner;
use super::{Refusal, State};
use crate::state::Appliance;
use axum::Json;
use jiff::Timestamp;
use larder_format::ledger::is_source_name;
use larder_store::LetGoOf;
use larder_store::prune::{Lock, PrunePlan};
use serde::{Deserialize, Serialize};

/// Asks for a prune.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prune {
    /// Only tell, without letting go.
    pub(crate) dry_run: bool,
}

/// The result of a prune.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Pruned {
    /// The reason why no snapshot went, whatever the list says.
    pub(crate) locked: Option<String>,
    /// Whether the clock is the reason: then a person may vouch for the clock.
    pub(crate) is_clock: bool,
    pub(crate) snapshots: Vec<PrunedSnapshot>,
}

/// A snapshot that no rule keeps.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PrunedSnapshot {
    pub(crate) snapshot: u64,
    pub(crate) source: String,
    pub(crate) time: Option<Timestamp>,
    pub(crate) why: String,
}

impl From<PrunePlan> for Pruned {
    fn from(plan: PrunePlan) -> Self {
        let going = |going: larder_store::prune::Going| PrunedSnapshot {
            snapshot: going.sequence,
            source: going.source,
            time: Timestamp::from_millisecond(going.stamp.time_ms).ok(),
            why: going.why,
        };
        let is_clock = matches!(plan.locked, Some(Lock::Clock(_)));
        let locked = plan.locked.map(|lock| lock.to_string());
        Self { locked, is_clock, snapshots: plan.snapshots.into_iter().map(going).collect() }
    }
}

pub(crate) async fn prune(
    _: BoxOwner,
    appliance: State,
    Json(Prune { dry_run }): Json<Prune>,
) -> Result<Json<Pruned>, Refusal> {
    let plan = appliance.blocking(move |appliance| appliance.prune_as_wished(dry_run)).await??;
    Ok(Json(Pruned::from(plan)))
}

/// Asks to let go of what a source has so far, or takes that back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LetGoRequest {
    /// `DEVICE/NAME`.
    pub(crate) source: String,
    /// Only what arrived before this moment.
    pub(crate) before: Option<Timestamp>,
    /// Take it back.
    pub(crate) undo: bool,
}

/// What goes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LetGoAnswer {
    pub(crate) source: String,
    /// Backups that go; none after a wish was taken back.
    pub(crate) snapshots: u64,
    /// Backups of the source that stay.
    pub(crate) stay: u64,
    /// Hours until they go.
    pub(crate) hours: u64,
    /// Backups among those that stay, for their labels alone.
    pub(crate) labelled: u64,
    /// Whether a hold keeps them all the same.
    pub(crate) on_hold: bool,
}

pub(crate) async fn let_go(
    _: BoxOwner,
    appliance: State,
    Json(request): Json<LetGoRequest>,
) -> Result<Json<LetGoAnswer>, Refusal> {
    let LetGoRequest { source, before, undo } = request;
    let name = source.clone();
    let wish = LetGoOf { source: name.clone(), before_ms: before.map(|before| before.as_millisecond()) };
    let wished = move |appliance: &Appliance| {
        if undo { appliance.keep_source(&name) } else { appliance.let_go_of(&wish) }
    };
    appliance.blocking(wished).await??;
    let view = appliance.vault.ledger();
    let all = view.snapshots(&source).len() as u64;
    if all == 0 {
        return Err(Refusal::not_found(&format!("source {source}"), "`larder sources` lists what there is."));
    }
    let facts = appliance.source_facts(&view, &source);
    let (snapshots, left_s) = facts.letting_go.map_or((0, 0), |it| (it.snapshots, it.left_s));
    let (hours, on_hold) = (left_s.div_ceil(3600), facts.on_hold);
    let covered: Vec<_> = view.letting_go(&source).map(|record| record.sequence).collect();
    let labelled = facts.labels.iter().filter(|label| covered.contains(&label.snapshot)).count() as u64;
    Ok(Json(LetGoAnswer { source, snapshots, stay: all - snapshots, hours, labelled, on_hold }))
}

/// Asks for a hold.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewHold {
    /// `DEVICE/NAME`; none for every source.
    pub(crate) source: Option<String>,
    pub(crate) reason: String,
}

/// A hold by its entry's number.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldNumber {
    pub(crate) hold: u64,
}

pub(crate) async fn hold(
    _: BoxOwner,
    appliance: State,
    Json(new): Json<NewHold>,
) -> Result<Json<HoldNumber>, Refusal> {
    let NewHold { source, reason } = new;
    if source.as_deref().is_some_and(|source| !is_source_name(source)) {
        return Err(Refusal::invalid("a source is named DEVICE/NAME"));
    }
    if reason.len() > REASON_BYTES_MAX {
        return Err(Refusal::invalid("the reason is too long"));
    }
    if let Some(source) =
        source.as_ref().filter(|source| appliance.vault.ledger().snapshots(source).is_empty())
    {
        let what = format!("backup of a source {source}");
        return Err(Refusal::not_found(&what, "`larder sources` lists what there is."));
    }
    let hold = appliance.blocking(move |appliance| appliance.set_hold(source, reason)).await??;
    Ok(Json(HoldNumber { hold }))
}

/// A reason is shown on dashboards; a longer reason would go unread there.
pub(super) const REASON_BYTES_MAX: usize = 500;

pub(crate) async fn unhold(
    _: BoxOwner,
    appliance: State,
    Json(HoldNumber { hold }): Json<HoldNumber>,
) -> Result<Json<HoldNumber>, Refusal> {
    if appliance.blocking(move |appliance| appliance.clear_hold(hold)).await?? {
        Ok(Json(HoldNumber { hold }))
    } else {
        Err(Refusal::not_found(&format!("hold {hold}"), "`larder status` lists those that are in force."))
    }
}

pub(crate) async fn confirm_clock(_: BoxOwner, appliance: State) -> Result<Json<serde_json::Value>, Refusal> {
    let stamp = appliance.blocking(|appliance| appliance.confirm_clock()).await??;
    Ok(Json(serde_json::json!({ "time": Timestamp::from_millisecond(stamp.time_ms).ok() })))
}
