//! Audit: checks every stored bit on every disk.
//!
//! Not here: rounds over weeks with repair (`scrub`).

use crate::Result;
use crate::core::Core;
use crate::disk::Disk;
use crate::disk::hash::hash_of;
use crate::disks::identity;
use crate::ledger::entry_files::whole_entry;
use larder_format::{Hash, layout};
use std::io;

/// Result of reading every byte.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Packs read, on every disk.
    pub packs: u64,
    /// Bytes read, on every disk.
    pub bytes: u64,
    /// Files with changed bytes, as `DISK/PATH`.
    pub damaged: Vec<String>,
}

/// Reads every pack and every ledger entry on every disk and checks each bit against its hash.
pub(crate) fn audit(core: &Core) -> Result<Audit> {
    let mut audit = Audit::default();
    let names: Vec<_> = core.catalog.packs.all().into_iter().map(|(_, name)| name).collect();
    for member in core.members.all().iter().filter(|member| member.is_readable()) {
        let disk = member.disk.as_ref();
        if !identity::is_named(disk) {
            audit.damaged.push(format!("{}/disk.json", disk.name()));
        }
        for name in &names {
            let path = layout::pack(name);
            match hash_file(disk, &path, &mut audit.bytes) {
                Ok(hash) if hash == *name => audit.packs += 1,
                _ => audit.damaged.push(format!("{}/{path}", disk.name())),
            }
        }
        let head = core.ledger().head;
        let damaged = (1..=head.sequence).filter(|sequence| whole_entry(disk, *sequence).is_none());
        audit.damaged.extend(damaged.map(|sequence| format!("{}/{}", disk.name(), layout::entry(sequence))));
    }
    Ok(audit)
}

fn hash_file(disk: &dyn Disk, path: &str, bytes: &mut u64) -> io::Result<Hash> {
    let file = disk.open(path)?;
    let hash = hash_of(file.as_ref())?;
    *bytes += file.len()?;
    Ok(hash)
}
