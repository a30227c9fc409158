//! Records of what was lost with a pack, in the quarantine of every disk.
//!
//! What is lost must not be forgotten with the memory of the agent: a device believes that it need not send again what it
//! sent once. Only the first thousand files are named in a record; the pieces are all there.

use crate::Result;
use crate::disk::{Disk, quarantine, read_whole, write_whole};
use crate::disks::members::Members;
use larder_format::care::{self, Losses, LostFile};
use larder_format::layout::{self, QUARANTINE, unfinished};
use larder_format::{ChunkId, Hash};
use std::collections::HashSet;
use std::io;

/// Files that are named in one record, which stays small.
pub(crate) const FILES_NAMED_MAX: usize = 1000;

/// What was lost with one pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) chunks: HashSet<ChunkId>,
    pub(crate) files: Vec<LostFile>,
}

/// Writes down what was lost with a pack, on every healthy disk.
pub(crate) fn write(members: &Members, name: &Hash, lost: &Lost) -> Result<()> {
    members.on_each(&path_of(name), |member| write_on(member.disk.as_ref(), name, lost)).map(drop)
}

/// The same on one disk.
pub(crate) fn write_on(disk: &dyn Disk, name: &Hash, lost: &Lost) -> io::Result<()> {
    let mut pieces: Vec<_> = lost.chunks.iter().copied().collect();
    pieces.sort();
    let bytes = care::encode(&Losses { files: lost.files.clone(), pieces });
    let path = path_of(name);
    // A repair that was begun anew after a power cut knows better than the first one.
    quarantine::set_aside(disk, &path)?;
    write_whole(disk, unfinished::LOSSES, &path, &bytes)
}

fn path_of(name: &Hash) -> String {
    layout::losses(name)
}

/// All records of all disks.
pub(crate) fn read_all(members: &Members) -> Lost {
    let mut lost = Lost::default();
    for member in members.all().iter().filter(|member| member.is_readable()) {
        let disk = member.disk.as_ref();
        for item in disk.list(QUARANTINE).unwrap_or_default() {
            if !item.is_folder && layout::is_losses(&item.name) {
                match read_one(disk, &layout::quarantined(&item.name)) {
                    Some(record) => {
                        lost.chunks.extend(record.pieces);
                        lost.files.extend(record.files);
                    }
                    None => tracing::warn!(
                        disk = disk.name(),
                        record = item.name,
                        "a record of losses is damaged"
                    ),
                }
            }
        }
    }
    lost
}

fn read_one(disk: &dyn Disk, path: &str) -> Option<Losses> {
    care::decode(&read_whole(disk, path, care::CARE_BYTES_MAX as u64).ok()?).ok()
}
