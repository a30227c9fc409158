//! The room on each disk, by what takes it: names and lengths alone, no content is read.
//!
//! Not here: which of it may go (`keep`), what is left of it for uploads (`core::access`).

use crate::core::Core;
use crate::disk::{Disk, Space};
use larder_format::layout;
use std::io;

/// Folders inside each other on a disk of ours; deeper ones are none of ours.
const DEPTH_MAX: usize = 4;

/// The room on one disk, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Packs: everything that was pushed.
    pub packs: u64,
    /// Sidecars of packs, against bad sectors.
    pub parity: u64,
    /// Files that are being written: uploads, copies, repairs.
    pub open: u64,
    /// Damaged files that were set aside.
    pub quarantine: u64,
    /// Ledger entries and chapters.
    pub ledger: u64,
    /// The index and the index of names, where they lie on this disk.
    pub index: u64,
    /// Anything else in the vault's folder.
    pub other: u64,
}

/// One disk with its usage; none where the disk is absent or does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageView {
    /// The disk's id.
    pub disk: String,
    /// Where the owner finds the disk.
    pub path: String,
    /// Size and free room of the filesystem, and our part of it.
    pub usage: Option<(Space, DiskUsage)>,
}

/// Every disk, in the order of the vault.
pub(crate) fn usage(core: &Core) -> Vec<UsageView> {
    let all = core.members.all();
    let view = |member: &crate::disks::member::Member| UsageView {
        disk: member.id.clone(),
        path: member.disk.name(),
        usage: member
            .is_readable()
            .then(|| Some((member.disk.space().ok()?, on_disk(member.disk.as_ref()).ok()?)))
            .flatten(),
    };
    all.iter().map(|member| view(member)).collect()
}

fn on_disk(disk: &dyn Disk) -> io::Result<DiskUsage> {
    let mut usage = DiskUsage::default();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for item in disk.list(&folder)? {
            let path = if folder.is_empty() { item.name } else { format!("{folder}/{}", item.name) };
            if !item.is_folder {
                *usage.part_of(&path) += item.len;
            } else if depth < DEPTH_MAX {
                folders.push((path, depth + 1));
            }
        }
    }
    Ok(usage)
}

impl DiskUsage {
    fn part_of(&mut self, path: &str) -> &mut u64 {
        match path.split('/').next().unwrap_or_default() {
            layout::PACKS if layout::is_parity(path) => &mut self.parity,
            layout::PACKS => &mut self.packs,
            layout::OPEN => &mut self.open,
            layout::QUARANTINE => &mut self.quarantine,
            layout::LEDGER => &mut self.ledger,
            layout::INDEX | layout::NAMES => &mut self.index,
            _ => &mut self.other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    /// A part that is counted twice, or not at all, sends the owner after the wrong thing.
    #[test]
    fn each_file_counts_once_and_where_it_belongs() {
        let disk = MemoryDisk::new();
        let files = [
            ("packs/ab/one.pack", 1),
            ("packs/ab/one.parity", 2),
            ("open/3.part", 4),
            ("quarantine/x.pack", 8),
            ("ledger/000000/000000000001.entry", 16),
            ("index/db", 20),
            ("names/ab.names", 12),
            ("disk.json", 64),
        ];
        for (path, bytes) in files {
            for (end, _) in path.match_indices('/') {
                disk.make_folder(&path[..end]).expect("made");
            }
            disk.create(path).expect("new").append(&vec![0; bytes]).expect("written");
        }
        let expect =
            DiskUsage { packs: 1, parity: 2, open: 4, quarantine: 8, ledger: 16, index: 32, other: 64 };
        assert_eq!(on_disk(&disk).expect("listed"), expect);
    }
}
