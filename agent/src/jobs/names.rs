//! Telling the index of names what each new snapshot changed, a snapshot at a time, while nobody pushes or restores. Devices
//! take turns.
//!
//! No start and no backup waits for it: without the index `larder find` says that something is missing. Not here: the
//! index itself (`larder_store`).

use super::{Job, Rest};
use crate::report::device_of;
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
    /// Number of the last turn of each source, and of each device: neither a source with many snapshots nor a device with
    /// many sources keeps the others waiting.
    turns: HashMap<String, u64>,
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
        self.tell(agent, smallest_disk_bytes(agent))
    }
}

impl NamesJob {
    /// Tells one snapshot, where the smallest disk has room for so many bytes.
    fn tell(&mut self, agent: &Appliance, disk_bytes: u64) -> Rest {
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
        let untold = sources.iter().filter(|(source, newest)| self.told.get(source) != Some(newest));
        let turn = |(source, _): &&(String, u64)| {
            [device_of(source), source].map(|whose| self.turns.get(whose).copied())
        };
        let Some((source, newest)) = untold.min_by_key(turn) else {
            self.looks_left -= 1;
            return Rest::of(REST);
        };
        // Whether or not it can be told: a source that always fails must not keep the others waiting.
        let turn = self.turns.values().max().map_or(0, |last| last + 1);
        self.turns.extend([device_of(source), source].map(|whose| (whose.to_owned(), turn)));
        let budget = NamesBudget {
            folders_max: FOLDERS_MAX,
            node_bytes_max: NODE_BYTES_MAX,
            file_bytes_max: file_bytes_max(&index, source, &sources, disk_bytes),
            go_on: &|| !agent.is_stopping(),
        };
        match agent.vault.tell_names(&index, source, &budget) {
            Ok(has_more) => {
                if !has_more {
                    self.told.insert(source.clone(), *newest);
                }
                Rest::NONE
            }
            Err(error) => {
                tracing::warn!(source, %error, "the index of names could not be written; `larder find` misses something");
                Rest::of(AFTER_ERROR)
            }
        }
    }
}

fn smallest_disk_bytes(agent: &Appliance) -> u64 {
    let disks = agent.vault.disks();
    disks.iter().filter_map(|disk| Some(disk.space?.total)).min().unwrap_or(0)
}

/// Bytes that the names of `source` may take, beside those of the others.
fn file_bytes_max(index: &NameIndex, source: &str, sources: &[(String, u64)], disk_bytes: u64) -> u64 {
    let (mut all, mut of_device) = (0, 0);
    for (other, _) in sources.iter().filter(|(other, _)| other != source) {
        let bytes = index.bytes_of(other);
        all += bytes;
        if device_of(other) == device_of(source) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample;
    use larder_format::block::Encoder;
    use larder_format::ledger::Snapshot;
    use larder_format::tree::{Entry, Kind, Node, Owner, Time, Totals};
    use larder_format::{ChunkRef, Hash};
    use larder_store::Scope;

    fn keep(agent: &Appliance, entries: Vec<(String, Kind)>) -> ChunkRef {
        let owners = vec![Owner { uid: 0, gid: 0, user: String::new(), group: String::new() }];
        let entry = |(name, kind): (String, Kind)| {
            let (name, modified, xattrs) = (name.into_bytes(), Time::default(), Vec::new());
            Entry { name, owner: 0, mode: 0o644, modified, hard_link: 0, xattrs, kind }
        };
        let bytes = Node::Leaf { owners, entries: entries.into_iter().map(entry).collect() }.encode();
        let len = u32::try_from(bytes.len()).expect("small");
        let received = agent.vault.by(&Scope::appliance()).receive(&Encoder::new().encode(&bytes, vec![len]));
        received.expect("taken in");
        ChunkRef::to(&bytes)
    }

    fn directory(node: ChunkRef) -> Kind {
        Kind::Directory { node, totals: Totals::default() }
    }

    fn push(agent: &Appliance, source: &str, node: ChunkRef) {
        let root = keep(agent, vec![(String::new(), directory(node))]);
        let mut push = [0; 16];
        push.copy_from_slice(&Hash::of(format!("{source} {}", root.id).as_bytes()).0[..16]);
        let snapshot = Snapshot::new(source, push, root, Totals::default());
        agent.vault.by(&Scope::appliance()).commit(snapshot, agent.stamp()).expect("complete");
    }

    /// Forty folders that each name the next one twice, by names that hardly shrink.
    fn push_maze(agent: &Appliance, source: &str) {
        let mut node = keep(agent, vec![("file".to_owned(), Kind::Fifo)]);
        for level in 0..40 {
            let name =
                |side: &str| format!("{side}{}", Hash::of(format!("{source} {level} {side}").as_bytes()));
            node = keep(agent, ["a", "b"].map(|side| (name(side), directory(node))).into());
        }
        push(agent, source, node);
    }

    /// Bytes of the names of so many devices with thirty sources of endless names each, and of a part of the disk.
    fn endless_names_of(devices: u32) -> (Vec<u64>, u64) {
        let folder = tempfile::tempdir().unwrap();
        let agent = sample::appliance(folder.path());
        let source = |device: u32, source: u32| format!("{device}/{source}");
        for device in 0..devices {
            (0..30).for_each(|number| push_maze(&agent, &source(device, number)));
        }
        let disk_bytes = 128 << 20;
        let mut job = NamesJob::default();
        while job.tell(&agent, disk_bytes) == Rest::NONE {}
        let index = agent.names();
        let bytes = |device: u32| (0..30).map(|number| index.bytes_of(&source(device, number))).sum::<u64>();
        let of_devices: Vec<_> = (0..devices).map(bytes).collect();
        println!("{of_devices:?} of {}", disk_bytes / ALL_PART);
        (of_devices, disk_bytes / ALL_PART)
    }

    /// A few kilobytes of folders have paths without end. Without its limit a device would take three times its part, and eight devices
    /// with their parts twice the whole. The last block of a file goes beyond, and each file says that something is missing.
    #[test]
    fn endless_names_take_a_part_of_the_disk_and_of_it_a_device_a_part() {
        let (of_one, all_max) = endless_names_of(1);
        let device_max = all_max / DEVICE_PART;
        assert!(of_one[0] > device_max / 2 && of_one[0] < device_max * 3 / 2, "{of_one:?}");
        let (of_eight, all_max) = endless_names_of(8);
        let all: u64 = of_eight.iter().sum();
        assert!(all > all_max / 2 && all < all_max * 3 / 2, "{of_eight:?}");
    }

    /// One device with many sources of endless names, another one with a file.
    #[test]
    fn a_device_with_many_sources_keeps_no_other_devices_names_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let agent = sample::appliance(folder.path());
        (0..5).for_each(|source| push_maze(&agent, &format!("a/{source}")));
        let mut job = NamesJob::default();
        let disk_bytes = 16 << 20;
        job.tell(&agent, disk_bytes);
        push(&agent, "laptop/docs", keep(&agent, vec![("letter.txt".to_owned(), Kind::Fifo)]));
        job.tell(&agent, disk_bytes);
        assert!(job.told.contains_key("laptop/docs"), "{:?}", job.told);
    }
}
