//! Ending what a power cut interrupted in a repair, before anybody looks which packs there are.

use crate::disk::hash::hash_off_disk;
use crate::disk::quarantine::{
    clear, is_given_up_no_longer, is_there, move_to_quarantine, packs_in_quarantine, quarantined,
};
use crate::disk::{Disk, make_folders};
use crate::disks::member::{Member, MemberState};
use crate::disks::members::Members;
use crate::ledger::clock::Mark;
use crate::upkeep::repair::mend::{self, Mended};
use crate::upkeep::repair::place::put_in_place;
use crate::upkeep::repair::watched::Unanswered;
use crate::{Result, StoreError};
use larder_format::Hash;
use larder_format::layout::{self, QUARANTINE};
use std::collections::HashMap;

/// Packs that were given up are looked at while the vault opens until so many bytes were read, some seconds on a slow disk;
/// the rest is looked at while it runs (`quarantine_search`).
const GIVEN_UP_AT_ONCE_BYTES: u64 = 256 * 1024 * 1024;

/// Ends what a power cut interrupted. Called before anybody looks which packs there are.
/// Packs that were swept stay gone.
pub(crate) fn finish(members: &Members, swept: &HashMap<Hash, Mark>) {
    for member in members.all().iter().filter(|member| member.state() == MemberState::Healthy) {
        if let Err(error) = finish_on(members, member, swept) {
            // The vault opens without; the next scrub finds the pack missing and begins anew.
            tracing::warn!(%error, disk = member.disk.name(), "a repair could not be ended");
        }
    }
}

fn finish_on(members: &Members, member: &Member, swept: &HashMap<Hash, Mark>) -> Result<()> {
    let disk = member.disk.as_ref();
    let failed = |source| member.failed(layout::OPEN, source);
    for item in disk.list(layout::OPEN).map_err(failed)? {
        let Some(name) = layout::mended_pack_name(&item.name) else { continue };
        let mended = layout::mended_pack(&name);
        let is_wanted = !is_there(disk, &layout::pack(&name)).map_err(failed)? && !swept.contains_key(&name);
        let unanswered = Unanswered::default();
        let waiting = if is_wanted { unanswered.open(disk, &mended) } else { None };
        if waiting.is_some_and(|file| hash_off_disk(file.as_ref()) == Some(name)) {
            put_in_place(disk, &name).map_err(failed)?;
            tracing::info!(disk = disk.name(), pack = %name, "a repair was ended");
        } else if unanswered.any() {
            // It may be the only whole copy. From there it is read again by the next repair.
            make_folders(disk, QUARANTINE)
                .and_then(|()| move_to_quarantine(disk, &mended, &layout::set_aside_pack(&name)))
                .map_err(failed)?;
        } else {
            clear(disk, &mended).map_err(failed)?;
        }
    }
    finish_moved_aside(members, member, swept)
}

/// Packs that were moved aside, and whose whole copy did not survive: made again. So are those that were given up, if they
/// can be by now: what could not be read then may be whole.
fn finish_moved_aside(members: &Members, member: &Member, swept: &HashMap<Hash, Mark>) -> Result<()> {
    let disk = member.disk.as_ref();
    let failed = |source| member.failed(QUARANTINE, source);
    let mut left_bytes = GIVEN_UP_AT_ONCE_BYTES;
    for name in packs_in_quarantine(disk).map_err(failed)? {
        if swept.contains_key(&name) || is_there(disk, &layout::pack(&name)).map_err(failed)? {
            continue;
        }
        let is_given_up = !quarantined(disk, &layout::set_aside_losses(&name)).map_err(failed)?.is_empty();
        if is_given_up {
            let copies = quarantined(disk, &layout::set_aside_pack(&name)).map_err(failed)?;
            let bytes = copies.iter().map(|(_, len)| len).sum::<u64>();
            let Some(left) = left_bytes.checked_sub(bytes) else { continue };
            left_bytes = left;
        }
        match mend::mend(members, member, &name, 0) {
            Ok(Mended::Whole) => {
                tracing::info!(disk = disk.name(), pack = %name, is_given_up, "a repair was made again");
                is_given_up_no_longer(disk, &name).map_err(failed)?;
            }
            // The next one may be smaller.
            Ok(_) | Err(StoreError::Full { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
