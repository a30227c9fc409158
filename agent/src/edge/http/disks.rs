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
    shown(&appliance, |disks| disks.iter().any(|disk| is_in_use(disk, &id))).await;
    Ok(Json(Meant { id }))
}

/// Whether `disk` is the disk with the whole id `id` and in use. It may be known already, where it comes back after a failure.
fn is_in_use(disk: &DiskReport, id: &str) -> bool {
    use DiskState::{Behind, Full, Healthy};
    id.starts_with(&disk.id) && matches!(disk.state, Healthy | Behind | Full)
}

/// Whether `disk` is the disk with the whole id `id` and was let go of.
fn is_released(disk: &DiskReport, id: &str) -> bool {
    id.starts_with(&disk.id) && disk.state == DiskState::Released
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
    shown(&appliance, |disks| disks.iter().any(|disk| is_released(disk, &id))).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The report has the first digits of an id, and the routes have all. A mix-up would let every answer wait in vain.
    #[test]
    fn a_disk_of_the_report_is_known_by_its_whole_id() {
        let disk = |state: &str| -> DiskReport {
            let disk = serde_json::json!({
                "id": "00112233", "path": "/srv/a", "present": true, "used_bytes": 1, "free_bytes": 1,
                "free_gib": 0.0, "used_percent": 50.0, "health": "fine", "flush": "trusted", "behind": 0,
                "role": "home", "state": state, "may_unplug": true, "complete": null, "leaving": false,
            });
            serde_json::from_value(disk).expect("a disk")
        };
        let (id, other) = ("00112233445566778899aabbccddeeff", "ff112233445566778899aabbccddeeff");
        assert!(is_in_use(&disk("healthy"), id) && is_in_use(&disk("full"), id));
        assert!(!is_in_use(&disk("healthy"), other) && !is_in_use(&disk("released"), id));
        assert!(is_released(&disk("released"), id));
        assert!(!is_released(&disk("released"), other) && !is_released(&disk("healthy"), id));
    }
}
