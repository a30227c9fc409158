//! Telling the index of names what each new snapshot changed, a snapshot at a time, while nobody pushes or restores.
//!
//! No start and no backup waits for it: without the index `larder find` says that something is missing. Not here: the
//! index itself (`larder_store`).

use super::{Job, Rest};
use crate::state::Appliance;
use larder_format::ledger::WallStamp;
use larder_store::{NameIndex, NamesBudget, SnapshotRecord};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks for new snapshots.
const REST: Duration = Duration::from_secs(10);
/// An hour of looks.
const LOOKS_PER_CHECK: u32 = 360;
/// While a push or a restore is under way: the index reads the same disks.
const GIVE_WAY: Duration = Duration::from_secs(2);
/// After an error: the disk may be away for long.
const AFTER_ERROR: Duration = Duration::from_secs(600);
/// Forty folders, each named twice in its parent, have 2^40 paths.
const FOLDERS_MAX: u64 = 2_000_000;
/// Bytes of nodes read for one snapshot: a folder may have as many entries as its device cares to send.
const NODE_BYTES_MAX: u64 = 4 << 30;
/// Of one source. Ten million names are less than half of it.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Left on the disk beside the reserve, or the index would take the room of the next backup; on a small disk a part of it.
const ROOM_LEFT_BYTES: u64 = 1 << 30;
const ROOM_LEFT_PART: u64 = 32;
/// Names of all sources, and the part of the smallest disk that they may take at most: a few kilobytes of folders that cite
/// each other have paths without end.
const ALL_BYTES_MAX: u64 = 8 << 30;
const ALL_PART: u64 = 64;
/// One device takes a quarter of that, or the others would be found no more.
const DEVICE_PART: u64 = 4;

/// Tells the index.
#[derive(Default)]
pub(crate) struct NamesJob {
    /// The source told last, so that one with many snapshots does not keep the others waiting.
    last: Option<String>,
    /// The newest snapshot of each source that is told whole. A file that needs nothing is not opened every few seconds, or no
    /// disk would ever come to rest.
    told: HashMap<String, u64>,
    /// Looks until every file is opened again: one may have been damaged and removed, or lie on another disk now.
    looks_left: u32,
}

impl Job for NamesJob {
    const NAME: &'static str = "names";
    const FIRST: Rest = Rest::of(REST);

    fn step(&mut self, agent: &Arc<Appliance>, _: WallStamp) -> Rest {
        if agent.activity.is_busy() {
            return Rest::of(GIVE_WAY);
        }
        let disk_bytes = smallest_disk_bytes(agent);
        if !agent.vault.has_room_beside_uploads(ROOM_LEFT_BYTES.min(disk_bytes / ROOM_LEFT_PART)) {
            return Rest::of(AFTER_ERROR);
        }
        let sources = newest_snapshots(agent);
        let index = agent.names();
        if self.looks_left == 0 {
            self.told.clear();
            self.looks_left = LOOKS_PER_CHECK;
            if let Err(error) = index.keep_only(sources.iter().map(|(source, _)| source)) {
                tracing::debug!(%error, "names of sources that are no more could not be removed");
            }
        }
        let behind = self.last.take();
        let after = sources.partition_point(|(source, _)| behind.as_ref().is_some_and(|last| source <= last));
        for (source, newest) in sources[after..].iter().chain(&sources[..after]) {
            if self.told.get(source) == Some(newest) {
                continue;
            }
            let budget = NamesBudget {
                folders_max: FOLDERS_MAX,
                node_bytes_max: NODE_BYTES_MAX,
                file_bytes_max: file_bytes_max(&index, source, &sources, disk_bytes),
                go_on: &|| !agent.is_stopping(),
            };
            match agent.vault.tell_names(&index, source, &budget) {
                Ok(false) => drop(self.told.insert(source.clone(), *newest)),
                Ok(true) => {
                    self.last = Some(source.clone());
                    return Rest::NONE;
                }
                Err(error) => {
                    tracing::warn!(source, %error, "the index of names could not be written; `larder find` misses something");
                    // One source that always fails must not keep the others waiting.
                    self.last = Some(source.clone());
                    return Rest::of(AFTER_ERROR);
                }
            }
        }
        self.looks_left -= 1;
        Rest::of(REST)
    }
}

fn smallest_disk_bytes(agent: &Appliance) -> u64 {
    let disks = agent.vault.disks();
    disks.iter().filter_map(|disk| Some(disk.space?.total)).min().unwrap_or(0)
}

/// Bytes that the names of `source` may take, beside those of the others.
fn file_bytes_max(index: &NameIndex, source: &str, sources: &[(String, u64)], disk_bytes: u64) -> u64 {
    let own = source.split_once('/').map(|(device, _)| device);
    let (mut all, mut of_device) = (0, 0);
    for (other, _) in sources.iter().filter(|(other, _)| other != source) {
        let bytes = index.bytes_of(other);
        all += bytes;
        if other.split_once('/').map(|(device, _)| device) == own {
            of_device += bytes;
        }
    }
    let all_max = ALL_BYTES_MAX.min(disk_bytes / ALL_PART);
    let left = (all_max / DEVICE_PART).saturating_sub(of_device).min(all_max.saturating_sub(all));
    left.min(FILE_BYTES_MAX)
}

/// Each source with the number of its newest snapshot, by name.
fn newest_snapshots(agent: &Appliance) -> Vec<(String, u64)> {
    let view = agent.vault.ledger();
    let newest = |(source, records): (&String, &Vec<Arc<SnapshotRecord>>)| {
        Some((source.clone(), records.last()?.sequence))
    };
    view.sources.iter().filter_map(newest).collect()
}
