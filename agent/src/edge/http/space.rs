//! What takes the room on the disks, on the local socket only: names of sources and devices are for the owner of the box.

use super::State;
use super::auth::BoxOwner;
use crate::state::Appliance;
use axum::Json;
use jiff::Timestamp;
use larder_store::{DiskUsage, PRUNE_GRACE_S, StoreError, UNLINK_GRACE_S, UsageView};
use serde::{Deserialize, Serialize};

/// Everything that takes room, in bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SpaceReport {
    pub(crate) disks: Vec<DiskSpace>,
    /// Left free on each disk: what letting go needs on a full one, and the pack that an upload begins.
    pub(crate) reserve_bytes: u64,
    pub(crate) unfinished: Vec<UnfinishedPush>,
    /// What was let go of and still lies on the disks.
    pub(crate) let_go: Vec<PendingRoom>,
    pub(crate) sources: Vec<SourceSize>,
}

/// One disk. Without figures: absent, or not answering.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DiskSpace {
    pub(crate) disk: String,
    pub(crate) path: String,
    #[serde(flatten)]
    pub(crate) room: Option<DiskRoom>,
}

/// The parts add up to the size of the filesystem.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DiskRoom {
    pub(crate) total_bytes: u64,
    pub(crate) free_bytes: u64,
    pub(crate) packs_bytes: u64,
    pub(crate) parity_bytes: u64,
    pub(crate) open_bytes: u64,
    pub(crate) quarantine_bytes: u64,
    /// Ledger, index and the small files beside them.
    pub(crate) records_bytes: u64,
    /// Files of others, and what the filesystem takes for itself.
    pub(crate) other_bytes: u64,
}

/// What a computer has sent and no backup names yet.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UnfinishedPush {
    pub(crate) device: String,
    pub(crate) bytes: u64,
}

/// Snapshots that were let go of together, until their room is free.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PendingRoom {
    pub(crate) snapshots: usize,
    pub(crate) why: String,
    /// The earliest moment at which their room is free.
    pub(crate) free_from: Option<Timestamp>,
}

/// A source, by the size of its newest backup: backups share what did not change, so their sizes do not add up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SourceSize {
    pub(crate) source: String,
    pub(crate) snapshots: usize,
    pub(crate) newest_bytes: u64,
}

pub(crate) async fn space(_: BoxOwner, appliance: State) -> Result<Json<SpaceReport>, super::Refusal> {
    let report = appliance.blocking(|appliance| Ok::<_, StoreError>(space_of(appliance))).await??;
    Ok(Json(report))
}

fn space_of(appliance: &Appliance) -> SpaceReport {
    let vault = &appliance.vault;
    let unfinished = vault.unfinished_uploads().into_iter();
    let unfinished = unfinished.map(|upload| UnfinishedPush { device: upload.device, bytes: upload.bytes });
    let disks = vault.usage().into_iter().map(DiskSpace::from).collect();
    let now = appliance.stamp();
    let view = vault.ledger();
    let waits_s = PRUNE_GRACE_S + UNLINK_GRACE_S;
    let now = view.at(now);
    let pending = view.let_go.iter().filter(|gone| gone.at.age_s(&now) <= waits_s);
    let let_go = pending.map(|gone| PendingRoom {
        snapshots: gone.snapshots.len(),
        why: gone.why.clone(),
        free_from: Timestamp::from_millisecond(gone.at.stamp.time_ms + waits_s * 1000).ok(),
    });
    let sources = view.sources.iter().filter_map(|(source, records)| {
        let newest_bytes = records.last()?.snapshot.totals.bytes;
        Some(SourceSize { source: source.clone(), snapshots: records.len(), newest_bytes })
    });
    SpaceReport {
        disks,
        reserve_bytes: vault.kept_free_bytes(),
        unfinished: unfinished.collect(),
        let_go: let_go.collect(),
        sources: sources.collect(),
    }
}

impl From<UsageView> for DiskSpace {
    fn from(view: UsageView) -> Self {
        let room = view.usage.map(|(space, usage)| {
            let DiskUsage { packs, parity, open, quarantine, ledger, index, other } = usage;
            let ours = packs + parity + open + quarantine + ledger + index + other;
            DiskRoom {
                total_bytes: space.total,
                free_bytes: space.free,
                packs_bytes: packs,
                parity_bytes: parity,
                open_bytes: open,
                quarantine_bytes: quarantine,
                records_bytes: ledger + index + other,
                other_bytes: space.total.saturating_sub(space.free).saturating_sub(ours),
            }
        });
        Self { disk: view.disk, path: view.path, room }
    }
}
