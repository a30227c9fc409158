//! Questions on the local socket only: keys of devices, their end, a new index, reading the disks back, and setting
//! a snapshot aside.

use super::auth::BoxOwner;
use super::letting_go::REASON_BYTES_MAX;
use super::{Refusal, State};
use crate::state::Appliance;
use crate::state::keeping::SetAside;
use axum::Json;
use jiff::Timestamp;
use larder_format::care::LostFile;
use larder_format::ledger::{Pairing, Role, Sees, is_plain_name};
use larder_store::{DamagedSnapshot, ScrubView, Vault};
use serde::{Deserialize, Serialize};

pub(super) fn require_device_name(name: &str) -> Result<(), Refusal> {
    let wrong = || Refusal::invalid("a device's name has letters, digits, `-`, `_` and `.` only");
    is_plain_name(name).then_some(()).ok_or_else(wrong)
}

/// A key in force.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) device: String,
    pub(crate) role: Role,
    /// The past that the key sees; none from an agent that tells only the role.
    #[serde(default)]
    pub(crate) sees: Option<Sees>,
    /// The first digits of the key's hash; the key itself is not kept.
    pub(crate) key: String,
    /// When it was made.
    #[serde(default)]
    pub(crate) made: Option<Timestamp>,
    /// When it was last used, to the minute; none where that is not known.
    #[serde(default)]
    pub(crate) last_used: Option<Timestamp>,
}

impl Key {
    fn of(appliance: &Appliance, pairing: Pairing) -> Self {
        let moment = |ms| Timestamp::from_millisecond(ms).ok();
        let made = appliance.vault.ledger().key_made(&pairing.key).and_then(|stamp| moment(stamp.time_ms));
        let last_used = appliance.key_uses.last_ms(&pairing.key).and_then(moment);
        let Pairing { device, role, key, sees } = pairing;
        Self { device, role, sees: Some(sees), key: key.short(), made, last_used }
    }
}

/// The keys to end: every key of a device, or one key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoked {
    pub(crate) device: String,
    /// As `Key::key`; every key of the device where there is none.
    pub(crate) key: Option<String>,
}

pub(crate) async fn keys(_: BoxOwner, appliance: State) -> Json<Vec<Key>> {
    Json(appliance.keys().into_iter().map(|pairing| Key::of(&appliance, pairing)).collect())
}

pub(crate) async fn revoke(
    _: BoxOwner,
    appliance: State,
    Json(revoked): Json<Revoked>,
) -> Result<Json<Vec<Key>>, Refusal> {
    let Revoked { device, key } = revoked;
    let what = format!(
        "key of {device}{}",
        key.as_ref().map(|key| format!(" that begins with {key}")).unwrap_or_default()
    );
    let is_one = key.is_some();
    let begins = key.map(|key| key.to_ascii_lowercase());
    let is_meant = move |pairing: &Pairing| {
        let key = pairing.key.to_string();
        pairing.device == device && begins.as_ref().is_none_or(|begins| key.starts_with(begins))
    };
    let ended = appliance.blocking(move |appliance| {
        let meant = appliance.keys().iter().filter(|pairing| is_meant(pairing)).count();
        // Digits end one key; the device's other key may be in use.
        if is_one && meant > 1 {
            return Err(Refusal::ambiguous(&what, meant));
        }
        let told: Vec<_> = appliance.keys().into_iter().filter(&is_meant).collect();
        // What is known of a key goes with the key.
        let told: Vec<_> = told.into_iter().map(|pairing| Key::of(appliance, pairing)).collect();
        if appliance.end_keys(is_meant)?.is_empty() {
            return Err(Refusal::not_found(&what, "`larderd keys` lists what there is."));
        }
        Ok(told)
    });
    Ok(Json(ended.await??))
}

/// How reading the disks back stands.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScrubStatus {
    /// Whether a round on the owner's wish still runs.
    pub(crate) is_running: bool,
    pub(crate) disks: Vec<DiskScrub>,
    /// Lost versions of files; of very many only the first.
    pub(crate) lost: Vec<LostName>,
    /// Every damaged kept snapshot.
    #[serde(default)]
    pub(crate) damaged_snapshots: Vec<DamagedName>,
}

/// The same of one disk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DiskScrub {
    pub(crate) id: String,
    pub(crate) path: String,
    /// False for a failed disk, which is not read.
    pub(crate) is_readable: bool,
    /// Of the present round; zeros between two rounds.
    pub(crate) read_bytes: u64,
    pub(crate) total_bytes: u64,
    pub(crate) damaged: u64,
    pub(crate) repaired: u64,
    /// Unread packs, to be tried again.
    #[serde(default)]
    pub(crate) suspected: u64,
    /// End and findings of the last round.
    pub(crate) last: Option<LastScrub>,
}

/// A round after its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastScrub {
    /// Milliseconds since 1970.
    pub(crate) time_ms: i64,
    pub(crate) bytes: u64,
    pub(crate) damaged: u64,
    pub(crate) repaired: u64,
    pub(crate) lost: u64,
}

/// A lost file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LostName {
    pub(crate) source: String,
    pub(crate) snapshot: u64,
    pub(crate) path: String,
}

/// A damaged kept snapshot.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DamagedName {
    pub(crate) source: String,
    pub(crate) snapshot: u64,
    /// False for an unreadable snapshot, to be tried again.
    pub(crate) is_lost: bool,
}

/// The vault's view of its scrubs.
pub(crate) fn scrub_status_of(vault: &Vault, is_running: bool) -> ScrubStatus {
    let disk = |view: ScrubView| DiskScrub {
        id: view.disk,
        path: view.path,
        is_readable: view.is_readable,
        read_bytes: view.round.bytes,
        total_bytes: view.round.total,
        damaged: view.round.damaged,
        repaired: view.round.repaired,
        suspected: view.suspected,
        last: view.last.map(|(stamp, found)| LastScrub {
            time_ms: stamp.time_ms,
            bytes: found.bytes,
            damaged: found.damaged,
            repaired: found.repaired,
            lost: found.lost,
        }),
    };
    let lost = vault.lost_files().into_iter();
    let lost = lost.map(|LostFile { source, snapshot, path, .. }| LostName { source, snapshot, path });
    let damaged = vault.damaged_snapshots().into_iter();
    let damaged = damaged.map(|DamagedSnapshot { source, snapshot, is_lost }| DamagedName {
        source,
        snapshot,
        is_lost,
    });
    ScrubStatus {
        is_running,
        disks: vault.scrubs().into_iter().map(disk).collect(),
        lost: lost.collect(),
        damaged_snapshots: damaged.collect(),
    }
}

pub(crate) async fn scrub_status(_: BoxOwner, appliance: State) -> Result<Json<ScrubStatus>, Refusal> {
    let status = appliance.blocking(|appliance| {
        // First: a round that ends in between must not look as if never begun.
        let is_running = !appliance.activity.scrub_wanted.is_empty();
        scrub_status_of(&appliance.vault, is_running)
    });
    Ok(Json(status.await?))
}

/// Begins a round on every disk without a running round. A disk on which no round can begin shows by its last round,
/// still the round before.
pub(crate) async fn start_scrub(_: BoxOwner, appliance: State) -> Result<Json<ScrubStatus>, Refusal> {
    let started = appliance.blocking(|appliance| {
        for disk in appliance.vault.scrubs().into_iter().filter(|disk| disk.is_readable) {
            if appliance.activity.scrub_wanted.has(&disk.disk) {
                continue;
            }
            match appliance.vault.begin_scrub(&disk.disk, appliance.stamp()) {
                Ok(()) => appliance.activity.scrub_wanted.add(disk.disk),
                // Rounds began on other disks, and the caller has to hear of those.
                Err(error) => tracing::warn!(%error, disk = disk.path, "this disk cannot be read back now"),
            }
        }
        scrub_status_of(&appliance.vault, true)
    });
    Ok(Json(started.await?))
}

/// Sets a snapshot aside, or ends that.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aside {
    pub(crate) snapshot: u64,
    /// The reason; none ends the mark.
    pub(crate) why: Option<String>,
}

pub(crate) async fn set_aside(
    _: BoxOwner,
    appliance: State,
    Json(aside): Json<Aside>,
) -> Result<Json<Aside>, Refusal> {
    let Aside { snapshot, why } = aside;
    if why.as_ref().is_some_and(|why| why.len() > REASON_BYTES_MAX) {
        return Err(Refusal::invalid("the reason is too long"));
    }
    let wish = SetAside { snapshot, why: why.clone() };
    if appliance.blocking(move |appliance| appliance.set_aside(&wish)).await?? {
        return Ok(Json(Aside { snapshot, why }));
    }
    let what =
        if why.is_some() { format!("snapshot {snapshot}") } else { format!("snapshot {snapshot} set aside") };
    Err(Refusal::not_found(&what, "`larder snapshots SOURCE` lists them by their numbers."))
}

pub(crate) async fn rebuild_index(_: BoxOwner, appliance: State) -> Result<Json<serde_json::Value>, Refusal> {
    let started = std::time::Instant::now();
    appliance.blocking(|appliance| appliance.vault.rebuild_index()).await?;
    Ok(Json(serde_json::json!({ "seconds": started.elapsed().as_secs_f64() })))
}
