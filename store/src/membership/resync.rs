//! Resync: a disk without some packs or ledger entries gets the files from the remaining disks, one by one.
//!
//! A disk lags when new, after an absence, and after a power cut between two disks. Until complete, the disk is read
//! but not written to, so its contents are always a past once whole. Packs come first and entries in their order, as in
//! a push: after a cut, no entry names an absent pack. Not here: damage inside a present pack.

use crate::core::Core;
use crate::core::lacking::Lacking;
use crate::disk::quarantine::set_aside;
use crate::disk::{self, Disk, folder_of, make_folders, remove_if_there, sync_file, sync_names, write_whole};
use crate::disks::member::Member;
use crate::keep::unlink;
use crate::ledger::entry_files::whole_entry;
use crate::packs::reader;
use crate::upkeep::repair::losses::{self, Lost};
use crate::upkeep::repair::mend::{self, Mended};
use crate::{Result, StoreError};
use larder_format::Hash;
use larder_format::layout::{self, unfinished};
use larder_format::pack::PACK_BYTES_AIM;
use std::io;
use std::sync::atomic::Ordering;

const STEP_BYTES: usize = 1 << 20;

/// Left free beside the reserve by a full disk that is filled again: a disk that takes one pack and is full again would be
/// told each time.
const ROOM_TO_COME_BACK_BYTES: u64 = 4 * PACK_BYTES_AIM;

/// Packs possibly new since the last copies; pushes wait while these are copied.
const PACKS_COPIED_IN_HOLD: usize = 4;

/// Copies missing files to lagging disks, until about `bytes_max` are copied. Returns the number still missing. Full disks
/// are left as they are.
pub(crate) fn catch_up(core: &Core, bytes_max: u64) -> Result<u64> {
    core.require_own_format()?;
    let all = core.members.all();
    let behind = all.iter().filter(|member| member.is_behind() && !member.is_full());
    let left: Vec<Result<u64>> = behind.map(|member| catch_up_one(core, member, bytes_max)).collect();
    left.into_iter().sum()
}

pub(crate) fn catch_up_one(core: &Core, member: &Member, bytes_max: u64) -> Result<u64> {
    let _alone = member.filling.lock();
    let left = match fill(core, member, bytes_max) {
        Err(StoreError::Full { .. }) if unlink::make_room_on(core, member)? > 0 => {
            fill(core, member, bytes_max)
        }
        left => left,
    };
    // Where the copy of this disk is wanted, each attempt may find room.
    let copies = core.copies.load(Ordering::Relaxed);
    if matches!(left, Err(StoreError::Full { .. })) && core.members.count_healthy() >= copies.max(1) {
        member.note_full(true);
    }
    left
}

/// Looks whether everything that a full disk lacks fits on the disk by now; such a disk is filled by the next `catch_up`.
/// Until then a full disk stays as it is, a past once whole.
pub(crate) fn look_at_full(core: &Core) -> Result<()> {
    for member in core.members.all().iter().filter(|member| member.is_full()) {
        let _alone = member.filling.lock();
        let lacking = core.lacking(member)?;
        member.recounts(lacking.packs.len() as u64, lacking.files());
        let wanted: u64 = lacking.packs.iter().map(|name| core.catalog.packs.len(name)).sum();
        let len =
            |name: &Hash| member.disk.open(&layout::pack(name)).and_then(|file| file.len()).unwrap_or(0);
        let to_go: u64 = unlink::removable_from(core, member)?.iter().map(len).sum();
        let wanted = wanted.saturating_add(ROOM_TO_COME_BACK_BYTES).saturating_sub(to_go);
        match member.require_room(wanted, core.reserve_bytes) {
            Ok(()) => member.note_full(false),
            Err(StoreError::Full { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn fill(core: &Core, member: &Member, bytes_max: u64) -> Result<u64> {
    let (mut bytes, mut postponed) = (0, Vec::new());
    let mut lacking = core.lacking(member)?;
    while bytes < bytes_max
        && let Some(name) = lacking.packs.pop()
    {
        match copy_pack(core, member, &name)? {
            Some(copied) => bytes += copied,
            None => postponed.push(name),
        }
    }
    lacking.packs.append(&mut postponed);
    // Entries name packs, so every pack comes first.
    if lacking.packs.is_empty() {
        copy_entries(core, member, &lacking.entries)?;
        lacking = rejoin(core, member)?;
    }
    Ok(lacking.files())
}

/// Bytes copied; `None` to be tried again. A pack damaged on every remaining disk is rebuilt from the remains there.
fn copy_pack(core: &Core, member: &Member, name: &Hash) -> Result<Option<u64>> {
    let path = layout::pack(name);
    let mut is_damaged = false;
    for source in core.members.others(member) {
        let Ok(file) = source.disk.open(&path) else { continue };
        let Ok(len) = file.len() else { continue };
        // Half of the reserve, as for a repair: a lagging disk keeps the vault from making room.
        member.require_room(len, core.reserve_bytes / 2)?;
        let copied = copy(file.as_ref(), len, member.disk.as_ref());
        match copied.map_err(|source| member.failed(&path, source))? {
            Some(hash) if hash == *name => {
                publish(member.disk.as_ref(), &path).map_err(|source| member.failed(&path, source))?;
                return Ok(Some(len));
            }
            _ => {
                tracing::error!(disk = source.disk.name(), pack = %name, "this copy of a pack is damaged");
                // The source disk is soon read from end to end, and its damage repaired or named.
                core.trouble().alarm(&source);
                is_damaged = true;
            }
        }
    }
    if is_damaged {
        // No waiting here: a scrub at the end of a round waits for the resync.
        let Some(_no_repairs) = core.maintenance.rounds.try_lock() else { return Ok(None) };
        if mend::mend(&core.members, member, name, core.reserve_bytes / 2)? == Mended::Whole {
            return Ok(Some(core.catalog.packs.len(name)));
        }
    }
    // No disk has a whole copy: waiting would keep this disk from new backups for ever.
    if let Some(number) = core.catalog.packs.number(name) {
        remember_without(core, member, name)?;
        core.trouble().go_without(number);
    }
    Ok(Some(0))
}

/// Records the missing packs on the disk itself: alone after the next start, the disk has no other source.
fn remember_without(core: &Core, member: &Member, name: &Hash) -> Result<()> {
    let Ok(table) = reader::read_table(&core.members, name) else { return Ok(()) };
    let lost = Lost { chunks: table.chunks.into_iter().collect(), files: Vec::new() };
    match losses::write_on(member.disk.as_ref(), name, &lost)
        .map_err(|source| member.failed(layout::QUARANTINE, source))
    {
        // The scrub then finds out.
        Err(StoreError::Full { .. }) => Ok(()),
        written => written,
    }
}

fn copy_entries(core: &Core, member: &Member, sequences: &[u64]) -> Result<()> {
    let disk = member.disk.as_ref();
    for sequence in sequences {
        let path = layout::entry(*sequence);
        let bytes = core.members.others(member).iter().find_map(|o| whole_entry(o.disk.as_ref(), *sequence));
        let Some(bytes) = bytes else { continue };
        let write = || {
            set_aside(disk, &path)?;
            write_whole(disk, unfinished::COPY, &path, &bytes)
        };
        write().map_err(|source| member.failed(&path, source))?;
    }
    Ok(())
}

/// Returns a disk with few or no missing files to the disks written to. Returns the files still missing.
fn rejoin(core: &Core, member: &Member) -> Result<Lacking> {
    // No pack may grow and no entry may come without the disk, between the last look and the moment the disk counts
    // again.
    let _growing = core.seal_and_hold()?;
    let _alone = core.alone()?;
    let mut lacking = core.lacking(member)?;
    if lacking.packs.len() > PACKS_COPIED_IN_HOLD {
        return Ok(lacking);
    }
    if lacking.files() > 0 {
        while let Some(name) = lacking.packs.pop() {
            copy_pack(core, member, &name)?;
        }
        copy_entries(core, member, &lacking.entries)?;
        // A file not copied just now is still missing, and the disk must have every file to count.
        lacking = core.lacking(member)?;
        if lacking.files() > 0 {
            return Ok(lacking);
        }
    }
    core.note_gaps(&lacking);
    if core.trouble().is_any_gone_without() && !core.members.others(member).is_empty() {
        // Read from end to end, so packs not copied are saved in part, or named and recorded.
        core.trouble().alarm(member);
    }
    member.lacks(0, 0);
    tracing::info!(disk = member.disk.name(), "the disk has caught up");
    Ok(lacking)
}

/// Copies a file into `unfinished::COPY`, synced; returns the hash of the written bytes, or `None` for an unreadable file.
fn copy(file: &dyn disk::DiskFile, len: u64, disk: &dyn Disk) -> io::Result<Option<Hash>> {
    remove_if_there(disk, unfinished::COPY)?;
    let mut part = disk.create(unfinished::COPY)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(STEP_BYTES)];
    let mut at = 0;
    while at < len {
        let step = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
        if file.read_at(at, &mut buffer[..step]).is_err() {
            return Ok(None);
        }
        part.append(&buffer[..step])?;
        hasher.update(&buffer[..step]);
        at += step as u64;
    }
    sync_file(part.as_mut())?;
    Ok(Some(Hash(*hasher.finalize().as_bytes())))
}

fn publish(disk: &dyn Disk, path: &str) -> io::Result<()> {
    make_folders(disk, folder_of(path))?;
    match disk.publish(unfinished::COPY, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove_if_there(disk, unfinished::COPY)?
        }
        result => result?,
    }
    sync_names(disk, folder_of(path))
}
