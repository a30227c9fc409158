//! Repair of files besides packs: sidecars, entries and chapters of the ledger, and `disk.json`.

use crate::core::Core;
use crate::disk::quarantine::set_aside;
use crate::disk::write_whole;
use crate::disks::identity;
use crate::disks::member::Member;
use crate::ledger::chapters;
use crate::ledger::entry_files::whole_entry;
use crate::upkeep::parity;
use crate::upkeep::repair::Outcome;
use crate::{Result, StoreError};
use larder_format::Hash;
use larder_format::layout::{self, unfinished};

/// Makes a damaged sidecar anew from its pack, and sets the damaged file aside.
///
/// # Errors
/// `Disk` when the disk fails.
pub(crate) fn repair_sidecar(core: &Core, member: &Member, name: &Hash) -> Result<Outcome> {
    let path = layout::parity(name);
    // First: an unreadable pack yields no new sidecar, and then needs the whole parts of the old sidecar.
    let Some(bytes) = parity::sidecar_of(member.disk.as_ref(), name) else { return Ok(Outcome::Left) };
    set_aside(member.disk.as_ref(), &path).map_err(|source| member.failed(&path, source))?;
    match parity::write_sidecar(core, member, name, &bytes) {
        Ok(()) => Ok(Outcome::Repaired),
        Err(StoreError::Full { .. }) => Ok(Outcome::Left),
        Err(error) => Err(error),
    }
}

/// Copies a damaged or missing ledger entry from a different disk, or out of a chapter.
///
/// # Errors
/// `Disk` when the disk fails.
pub(crate) fn repair_entry(core: &Core, member: &Member, sequence: u64) -> Result<Outcome> {
    let path = layout::entry(sequence);
    let others = core.members.others(member);
    let disk = member.disk.as_ref();
    let from_file = others.iter().filter_map(|other| whole_entry(other.disk.as_ref(), sequence));
    let from_chapter = std::iter::once(disk).chain(others.iter().map(|other| other.disk.as_ref()));
    let mut found = from_file.chain(from_chapter.filter_map(|disk| chapters::entry(disk, sequence)));
    let Some(bytes) = found.next() else { return Ok(Outcome::Left) };
    let write = || {
        set_aside(disk, &path)?;
        write_whole(disk, unfinished::MEND, &path, &bytes)
    };
    match write().map_err(|source| member.failed(&path, source)) {
        Err(StoreError::Full { .. }) => Ok(Outcome::Left),
        Err(error) => Err(error),
        Ok(()) => Ok(Outcome::Repaired),
    }
}

/// Sets a damaged chapter aside and seals the chapter anew from its entries.
///
/// # Errors
/// `Disk` when the disk fails.
pub(crate) fn repair_chapter(member: &Member, chapter: u64) -> Result<Outcome> {
    let (disk, path) = (member.disk.as_ref(), layout::chapter(chapter));
    let sealed = set_aside(disk, &path).and_then(|()| chapters::seal(disk, chapter));
    match sealed.map_err(|source| member.failed(&path, source)) {
        Ok(true) => Ok(Outcome::Repaired),
        Ok(false) | Err(StoreError::Full { .. }) => Ok(Outcome::Left),
        Err(error) => Err(error),
    }
}

/// Writes a disk's identity anew: the agent knows the identity since the vault was opened.
///
/// # Errors
/// `Disk` when the disk fails.
pub(crate) fn repair_facts(core: &Core, member: &Member) -> Result<Outcome> {
    let written = identity::keep_copy_of_facts(member.disk.as_ref(), core.identity_of(member))
        .and_then(|()| identity::mend_facts(member.disk.as_ref()));
    match written.map_err(|source| member.failed(layout::DISK_FILE, source)) {
        Err(StoreError::Full { .. }) => Ok(Outcome::Left),
        Err(error) => Err(error),
        Ok(()) => Ok(Outcome::Repaired),
    }
}
