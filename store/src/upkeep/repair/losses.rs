//! Records of the chunks lost with a pack, in the quarantine of every disk.
//!
//! A loss must not be forgotten with the agent's memory: a device does not expect to send a chunk a second time. A
//! record names only the first thousand files, but every lost piece.

use crate::Result;
use crate::disk::{Disk, quarantine, read_whole, write_whole};
use crate::disks::members::Members;
use larder_format::care::{self, Losses, LostFile};
use larder_format::layout::{self, QUARANTINE, unfinished};
use larder_format::{ChunkId, Hash};
use std::collections::HashSet;
use std::io;

/// Files named in one record, so the record stays small.
pub(crate) const FILES_NAMED_MAX: usize = 1000;

/// Losses of one pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) chunks: HashSet<ChunkId>,
    pub(crate) files: Vec<LostFile>,
}

/// Records the losses of a pack on every healthy disk.
pub(crate) fn write(members: &Members, name: &Hash, lost: &Lost) -> Result<()> {
    members.on_each(&path_of(name), |member| write_on(member.disk.as_ref(), name, lost)).map(drop)
}

/// Records the losses of a pack on one disk.
pub(crate) fn write_on(disk: &dyn Disk, name: &Hash, lost: &Lost) -> io::Result<()> {
    let mut pieces: Vec<_> = lost.chunks.iter().copied().collect();
    pieces.sort();
    let bytes = care::encode(&Losses { files: lost.files.clone(), pieces });
    let path = path_of(name);
    // A repair begun anew after a power cut knows better than the first repair.
    quarantine::set_aside(disk, &path)?;
    write_whole(disk, unfinished::LOSSES, &path, &bytes)
}

fn path_of(name: &Hash) -> String {
    layout::losses(name)
}

/// Every record on every readable disk.
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
