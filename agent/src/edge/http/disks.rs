//! Questions about disks on the local socket only: the list, taking a disk in, letting a disk go.
//!
//! Forgetting a disk makes the past smaller by a copy. So the request takes the box itself, waits for three days
//! while the lamp shows it, and can be taken back meanwhile. No route here removes a byte from any disk.

use super::auth::BoxOwner;
use super::{Refusal, State};
use crate::report::{Condition, ConditionCode, DiskReport, DiskState};
use crate::state::Appliance;
use axum::Json;
use larder_format::ledger::DiskRole;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A look at the disks takes less.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

/// Every disk, and the conditions of disks.
#[derive(Debug, Serialize)]
pub(crate) struct Disks {
    disks: Vec<DiskReport>,
    conditions: Vec<Condition>,
}

pub(crate) async fn list(_: BoxOwner, appliance: State) -> Json<Disks> {
    let report = appliance.report.borrow().clone();
    let conditions = report.health.conditions.iter().filter(|condition| {
        use ConditionCode::{DiskHealth, DiskMissing, FilesAtRisk, LittleRoom};
        matches!(condition.code, FilesAtRisk | DiskMissing | LittleRoom | DiskHealth)
    });
    Json(Disks { disks: report.disks.clone(), conditions: conditions.cloned().collect() })
}

/// Asks to take a disk in.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Adopt {
    pub(crate) path: PathBuf,
    pub(crate) offsite: bool,
}

/// Names one disk by its path or the first digits of its id.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiskChoice {
    pub(crate) disk: String,
    /// Take the forgetting back.
    #[serde(default)]
    pub(crate) undo: bool,
    /// The disk is gone for good, and with the disk its only copies.
    #[serde(default)]
    pub(crate) gone: bool,
}

/// The chosen disk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Meant {
    pub(crate) id: String,
}

fn meant(appliance: &Appliance, name: &str) -> Result<String, Refusal> {
    let id = appliance.disk_named(name)?;
    id.ok_or_else(|| Refusal::not_found(&format!("disk called \"{name}\""), "`larderd disks` lists them."))
}

pub(crate) async fn adopt(
    _: BoxOwner,
    appliance: State,
    Json(adopt): Json<Adopt>,
) -> Result<Json<Meant>, Refusal> {
    if !adopt.path.is_absolute() {
        return Err(Refusal::invalid("the path must be a whole one, beginning with `/`"));
    }
    let id = appliance
        .blocking(move |appliance| appliance.adopt(&adopt.path, DiskRole::of(adopt.offsite)))
        .await??;
    // Known already, where it comes back after a failure.
    let is_in_use = |disk: &DiskReport| {
        id.starts_with(&disk.id)
            && matches!(disk.state, DiskState::Healthy | DiskState::Behind | DiskState::Full)
    };
    shown(&appliance, |disks| disks.iter().any(is_in_use)).await;
    Ok(Json(Meant { id }))
}

/// Waits until the report shows what the owner did, or a moment: whoever asks `larderd disks` next must not read of a
/// healthy disk that was let go of.
async fn shown(appliance: &Appliance, is_so: impl Fn(&[DiskReport]) -> bool) {
    let mut report = appliance.report.clone();
    appliance.disks_changed.notify_one();
    // A disk that hangs holds up the report, and not the answer.
    let _ = tokio::time::timeout(SHOWN_WITHIN, report.wait_for(|report| is_so(&report.disks))).await;
}

pub(crate) async fn release(
    _: BoxOwner,
    appliance: State,
    Json(which): Json<DiskChoice>,
) -> Result<Json<Meant>, Refusal> {
    let id = meant(&appliance, &which.disk)?;
    let released = id.clone();
    appliance.blocking(move |appliance| appliance.release(&released)).await??;
    let is_released = |disk: &DiskReport| id.starts_with(&disk.id) && disk.state == DiskState::Released;
    shown(&appliance, |disks| disks.iter().any(is_released)).await;
    Ok(Json(Meant { id }))
}

pub(crate) async fn forget(
    _: BoxOwner,
    appliance: State,
    Json(which): Json<DiskChoice>,
) -> Result<Json<Meant>, Refusal> {
    let id = meant(&appliance, &which.disk)?;
    let named = id.clone();
    let told = appliance.blocking(move |appliance| match which.undo {
        true => appliance.vault.keep_disk(&named, appliance.stamp()),
        false => appliance.vault.begin_forgetting(&named, which.gone, appliance.stamp()),
    });
    told.await??;
    appliance.disks_changed.notify_one();
    Ok(Json(Meant { id }))
}
