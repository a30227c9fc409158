//! Figures for several parts of a report.

use super::facts::Facts;
use jiff::Timestamp;
use larder_format::ledger::WallStamp;
use larder_store::{MemberState, MemberView, ScrubView};

const GIB: f64 = 1_073_741_824.0;

/// The disk with the least room among the disks that take backups, and its room: every such disk takes every backup.
/// Without a disk that tells its room there is none to speak of; the disk's own condition reports the trouble.
pub(super) fn fullest<'a>(facts: &'a Facts<'_>) -> Option<(&'a MemberView, u64)> {
    let disks = facts.disks.iter().map(|(disk, _)| disk);
    let healthy = disks.filter(|disk| disk.state == MemberState::Healthy);
    healthy.filter_map(|disk| Some((disk, disk.space?.free))).min_by_key(|(_, free_bytes)| *free_bytes)
}

/// Files repaired in the present round and in the round before.
pub(super) fn repaired(disk: &ScrubView) -> u64 {
    disk.round.repaired + disk.last.map_or(0, |(_, found)| found.repaired)
}

pub(super) fn moment(stamp: WallStamp) -> Option<Timestamp> {
    Timestamp::from_millisecond(stamp.time_ms).ok()
}

pub(super) fn gib(bytes: u64) -> f64 {
    round(bytes as f64 / GIB)
}

/// Three decimals: a dashboard shows two, and more would change with every byte.
pub(super) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
