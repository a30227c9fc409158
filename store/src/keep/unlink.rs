//! Unlink: removes the files of swept packs, late, and only after a later mark phase found every kept snapshot whole
//! without them.
//!
//! Not here: the choice of packs (`sweep`).

use crate::Result;
use crate::core::Core;
use crate::disk::{folder_of, sync_names};
use crate::disks::member::Member;
use crate::keep::letting_go;
use crate::ledger::clock::TrustedTime;
use crate::packs::on_disk;
use larder_format::ledger::WallStamp;
use larder_format::{Hash, layout};
use std::collections::BTreeSet;
use std::io;

/// Grace between the release of a pack and its unlink, in seconds of the appliance's life: a restore about to open the
/// file still can, and a person noticing a mistake has a day.
pub const UNLINK_GRACE_S: i64 = 24 * 3600;

/// Files removed in one step.
const REMOVED_AT_ONCE: usize = 64;

/// Only removes files already due: between two rounds, for a disk back from an absence and resynced. Returns the number
/// of files removed.
pub(crate) fn remove_swept(core: &Core, now: WallStamp) -> Result<u64> {
    let proof = core.mark_proof.lock();
    let mark = core.ledger().at(now);
    if letting_go::sweep_waits(core, &mark, true).is_some() {
        return Ok(0);
    }
    let mut removed = 0;
    loop {
        match remove_some(core, &mark, proof.proven_s)? {
            0 => return Ok(removed),
            some => removed += some,
        }
    }
}

/// Removes files of packs let go of long enough ago, if a mark phase found every snapshot whole since.
pub(crate) fn remove_some(core: &Core, now: &TrustedTime, proven_s: Option<u64>) -> Result<u64> {
    let ripe: Vec<_> = {
        let view = core.ledger();
        let is_ripe = |name: &Hash| {
            view.swept.get(name).is_some_and(|mark| {
                mark.is_past(UNLINK_GRACE_S, now) && proven_s.is_some_and(|proven| proven > mark.lived_s)
            })
        };
        core.catalog.packs.left_to_sweep().into_iter().filter(is_ripe).take(REMOVED_AT_ONCE).collect()
    };
    Ok(if remove_now(core, &ripe)? { ripe.len() as u64 } else { 0 })
}

/// Removes the files of the given packs, already let go of, and makes the removal durable. Returns false, without a
/// change, during a repair or while a sidecar is made, maybe for a pack to go.
pub(crate) fn remove_now(core: &Core, names: &[Hash]) -> Result<bool> {
    let (Some(_parity), Some(_rounds)) =
        (core.maintenance.parity.try_lock(), core.maintenance.rounds.try_lock())
    else {
        return Ok(false);
    };
    // An absent disk is cleared after its return and resync.
    for member in core.members.all().iter().filter(|member| member.is_healthy()) {
        remove_from(member, names)?;
    }
    names.iter().for_each(|name| core.catalog.packs.no_longer_left(name));
    Ok(true)
}

/// Removes swept packs, already gone from every healthy disk, from a disk without room for the resync: nothing is swept
/// while a disk lags, so the disk would lag for ever. Returns the number of files removed.
pub(crate) fn make_room_on(core: &Core, member: &Member) -> Result<usize> {
    let (Some(_parity), Some(_rounds)) =
        (core.maintenance.parity.try_lock(), core.maintenance.rounds.try_lock())
    else {
        return Ok(0);
    };
    let ripe = removable_from(core, member)?;
    remove_from(member, &ripe)?;
    Ok(ripe.len())
}

/// Swept packs on `member` that are gone from every healthy disk: those disks imply a later mark phase without need of
/// the packs.
pub(crate) fn removable_from(core: &Core, member: &Member) -> Result<Vec<Hash>> {
    let mut ripe: BTreeSet<_> = {
        let view = core.ledger();
        let left = core.catalog.packs.left_to_sweep();
        left.into_iter().filter(|name| view.swept.contains_key(name)).collect()
    };
    let all = core.members.all();
    let healthy: Vec<_> = all.iter().filter(|other| other.is_healthy()).collect();
    if healthy.is_empty() {
        return Ok(Vec::new());
    }
    for other in healthy {
        let there =
            on_disk::names_on(other.disk.as_ref()).map_err(|error| other.failed(layout::PACKS, error))?;
        ripe.retain(|name| !there.contains_key(name));
    }
    let there =
        on_disk::names_on(member.disk.as_ref()).map_err(|error| member.failed(layout::PACKS, error))?;
    ripe.retain(|name| there.contains_key(name));
    Ok(ripe.into_iter().collect())
}

/// Removes packs from one disk, durably. Sidecars first: a sidecar without its pack would look like a loss.
fn remove_from(member: &Member, names: &[Hash]) -> Result<()> {
    remove_files(member, names.iter().map(layout::parity))?;
    remove_files(member, names.iter().map(layout::pack))
}

fn remove_files(member: &Member, paths: impl Iterator<Item = String>) -> Result<()> {
    let disk = member.disk.as_ref();
    let mut folders = BTreeSet::new();
    for path in paths {
        match disk.remove(&path) {
            Ok(()) => drop(folders.insert(folder_of(&path).to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(member.failed(&path, error)),
        }
    }
    let sync = |folder: &String| sync_names(disk, folder).map_err(|error| member.failed(folder, error));
    folders.iter().try_for_each(sync)
}
