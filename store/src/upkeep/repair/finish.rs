//! Finishes a repair interrupted by a power cut, before the packs are listed.

use crate::disk::hash::hash_off_disk;
use crate::disk::quarantine::{
    is_given_up_no_longer, is_there, move_to_quarantine, packs_in_quarantine, quarantined,
};
use crate::disk::{Disk, make_folders, remove_if_there};
use crate::disks::member::{Member, MemberState};
use crate::disks::members::Members;
use crate::ledger::clock::TrustedTime;
use crate::upkeep::repair::mend::{self, Mended};
use crate::upkeep::repair::place::put_in_place;
use crate::upkeep::repair::watched::Unanswered;
use crate::{Result, StoreError};
use larder_format::Hash;
use larder_format::layout::{self, QUARANTINE};
use std::collections::HashMap;

/// Packs given up are read while the vault opens, up to this many bytes, a few seconds on a slow disk; the rest is read
/// while the vault runs (`quarantine_search`).
const GIVEN_UP_AT_ONCE_BYTES: u64 = 256 * 1024 * 1024;

/// Finishes interrupted repairs. Called before the packs are listed. Swept packs stay gone.
pub(crate) fn finish(members: &Members, swept: &HashMap<Hash, TrustedTime>) {
    for member in members.all().iter().filter(|member| member.state() == MemberState::Healthy) {
        if let Err(error) = finish_on(members, member, swept) {
            // The vault opens without the pack; the next scrub misses the pack and begins anew.
            tracing::warn!(%error, disk = member.disk.name(), "a repair could not be ended");
        }
    }
}

fn finish_on(members: &Members, member: &Member, swept: &HashMap<Hash, TrustedTime>) -> Result<()> {
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
            // Perhaps the only whole copy. The next repair reads the copy there again.
            make_folders(disk, QUARANTINE)
                .and_then(|()| move_to_quarantine(disk, &mended, &layout::set_aside_pack(&name)))
                .map_err(failed)?;
        } else {
            remove_if_there(disk, &mended).map_err(failed)?;
        }
    }
    finish_moved_aside(members, member, swept)
}

/// Rebuilds packs moved aside without a surviving whole copy, and packs given up, where possible by now: a pack
/// unreadable then may be whole.
fn finish_moved_aside(members: &Members, member: &Member, swept: &HashMap<Hash, TrustedTime>) -> Result<()> {
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
            // The next pack may be smaller.
            Ok(_) | Err(StoreError::Full { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
