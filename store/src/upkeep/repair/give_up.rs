//! Gives up a pack beyond repair: moves whole blocks to a new pack, names and records the missing chunks, and sets the
//! damaged file aside.
//!
//! In this order, so a power cut leaves a chunk twice rather than not at all. A lost chunk counts as absent, so a
//! device still holding the chunk is asked at its next push. A chunk is not called lost while a disk does not answer
//! for the chunk, or while a pack set aside holds the chunk (`quarantine_search`).

use crate::Result;
use crate::core::Core;
use crate::disk::quarantine;
use crate::disks::member::Member;
use crate::packs::reader;
use crate::upkeep::repair::attempts::{self, Patience};
use crate::upkeep::repair::losses::{self, Lost};
use crate::upkeep::repair::lost::{self, Look};
use crate::upkeep::repair::mend::{self, Copies, Mended};
use crate::upkeep::repair::moving::move_whole_blocks;
use crate::upkeep::repair::survey::LossScope;
use crate::upkeep::repair::whole_again;
use larder_format::{Hash, layout};
use std::collections::HashSet;

/// Searches for losses while the index changes, or blocks come back from the quarantine.
const LOOKS_MAX: usize = 4;

/// Gives up a pack not whole on any disk and not restored by parity. Returns the losses; `None` when a disk did not
/// answer, with the pack unchanged.
///
/// # Errors
/// `Full` or `Disk`: the pack is unchanged, damaged and in its place.
pub(crate) fn give_up(core: &Core, member: &Member, name: &Hash, patience: Patience) -> Result<Option<Lost>> {
    let number = core.catalog.packs.number(name);
    let copies = Copies::open(&core.members, member, name);
    // Readers keep using the whole blocks meanwhile; only `held` ignores the pack.
    number.into_iter().for_each(|number| core.trouble().condemn(number));
    let given_up = empty(core, &copies, name, patience);
    if !matches!(given_up, Ok(Some(_))) {
        number.into_iter().for_each(|number| core.trouble().reprieve(number));
    }
    let Some(lost) = given_up? else { return Ok(None) };
    // The move takes a while, and a disk with a whole copy may have come meanwhile.
    if mend::mend(&core.members, member, name, core.reserve_bytes / 2)? == Mended::Whole {
        whole_again::is_whole_again(core, name);
        return Ok(Some(Lost::default()));
    }
    core.trouble().retire(*name);
    attempts::is_suspected_no_longer(core, name);
    // The pack is needed no longer: whole blocks lie elsewhere, and the rest was named.
    if let Some(number) = number {
        core.catalog.retire(number, name, copies.len().unwrap_or(0));
        // The pack's bits go with it, while a chunk of it may lie elsewhere with the bit of another device alone. First, so
        // that no restore meanwhile takes a missing bit for a proof.
        core.owners_are_partial();
        core.disown(&[number]);
    }
    // The remaining disks keep their copies: failed disks are not believed and get no writes.
    for member in core.members.all().iter().filter(|member| member.is_healthy() || member.is_behind()) {
        let disk = member.disk.as_ref();
        quarantine::set_aside(disk, &layout::pack(name))
            .map_err(|source| member.failed(layout::QUARANTINE, source))?;
        quarantine::set_aside(disk, &layout::parity(name))
            .map_err(|source| member.failed(layout::QUARANTINE, source))?;
    }
    Ok(Some(lost))
}

/// Moves whole blocks elsewhere, and records the rest.
fn empty(core: &Core, copies: &Copies, name: &Hash, patience: Patience) -> Result<Option<Lost>> {
    let table = reader::read_table(&core.members, name).ok();
    let candidates: Option<HashSet<_>> = table.map(|table| table.chunks.into_iter().collect());
    let moved = move_whole_blocks(core, |moving| moving.all_of(copies, candidates.as_ref()))?;
    if copies.is_unread() && patience == Patience::Waits {
        return Ok(None);
    }
    // A whole table may belong to a different pack in the place of this pack.
    let trouble = core.trouble();
    let is_all_here = core.members.are_all_here() && !trouble.is_any_gone_without();
    let scope = LossScope {
        candidates: candidates.as_ref().filter(|_| !is_all_here),
        listed: candidates.as_ref(),
        pack: core.catalog.packs.number(name),
    };
    let Some(found) = look_until_steady(core, &scope)? else { return Ok(None) };
    if !found.chunks.is_empty() || !copies.packs.is_empty() {
        losses::write(&core.members, name, &found)?;
    }
    trouble.give_up(found.chunks.iter().copied());
    tracing::error!(pack = %name, moved, lost = found.chunks.len(), "a pack could not be repaired");
    Ok(Some(found))
}

/// Lost chunks; `None` when a disk does not answer.
fn look_until_steady(core: &Core, scope: &LossScope<'_>) -> Result<Option<Lost>> {
    for _ in 0..LOOKS_MAX {
        // A chunk not yet in the index must not be taken for lost.
        core.catalog.enter_pending(&core.members, usize::MAX);
        match lost::find_lost(core, scope, &|| true)? {
            Look::Found(lost) => return Ok(Some(lost)),
            Look::Unfinished => return Ok(None),
            Look::Unsteady => {}
        }
    }
    Ok(None)
}
