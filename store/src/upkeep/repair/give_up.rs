//! What is done with a pack that cannot be made whole: its whole blocks move to a new pack, what is missing then is
//! named and remembered, and the damaged file is set aside.
//!
//! In this order, so that a power cut leaves a chunk twice rather than not at all. What was lost counts as not there,
//! so a device that still has it is asked for it at its next push. Nothing is called lost that a disk did not answer for,
//! or that lies in a pack that was set aside (`quarantine_search`).

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
use crate::upkeep::repair::survey::Scope;
use crate::upkeep::repair::whole_again;
use larder_format::{Hash, layout};
use std::collections::HashSet;

/// How often it is looked what is lost while the index changes, or blocks come back from the quarantine.
const LOOKS_MAX: usize = 4;

/// Gives up a pack that no disk has whole and no parity brings back. Returns what was lost with it; nothing when a disk
/// did not answer for something, and then the pack is as it was.
///
/// # Errors
/// `Full` or `Disk`: the pack is then as it was, damaged and in its place.
pub(crate) fn give_up(core: &Core, member: &Member, name: &Hash, patience: Patience) -> Result<Option<Lost>> {
    let number = core.catalog.packs.number(name);
    let copies = Copies::open(&core.members, member, name);
    // Readers go on using what is whole in it meanwhile; only `held` sees past it.
    number.into_iter().for_each(|number| core.trouble().condemn(number));
    let given_up = empty(core, &copies, name, patience);
    if !matches!(given_up, Ok(Some(_))) {
        number.into_iter().for_each(|number| core.trouble().reprieve(number));
    }
    let Some(lost) = given_up? else { return Ok(None) };
    // Taking it apart takes a while, and a disk that has it whole may have come meanwhile.
    if mend::mend(&core.members, member, name, core.reserve_bytes / 2)? == Mended::Whole {
        whole_again::is_whole_again(core, name);
        return Ok(Some(Lost::default()));
    }
    core.trouble().retire(*name);
    attempts::is_suspected_no_longer(core, name);
    // Nobody lacks it any more: what was whole in it lies elsewhere, and the rest was named.
    if let Some(number) = number {
        core.catalog.retire(number, name, copies.len().unwrap_or(0));
    }
    // The others keep theirs: what is there is not believed, and they are not written to.
    for member in core.members.all().iter().filter(|member| member.is_healthy() || member.is_behind()) {
        let disk = member.disk.as_ref();
        quarantine::set_aside(disk, &layout::pack(name))
            .map_err(|source| member.failed(layout::QUARANTINE, source))?;
        quarantine::set_aside(disk, &layout::parity(name))
            .map_err(|source| member.failed(layout::QUARANTINE, source))?;
    }
    Ok(Some(lost))
}

/// Moves what is whole elsewhere, and writes down what is not.
fn empty(core: &Core, copies: &Copies, name: &Hash, patience: Patience) -> Result<Option<Lost>> {
    let table = reader::read_table(&core.members, name).ok();
    let candidates: Option<HashSet<_>> = table.map(|table| table.chunks.into_iter().collect());
    let moved = move_whole_blocks(core, |moving| moving.all_of(copies, candidates.as_ref()))?;
    if copies.is_unread() && patience == Patience::Waits {
        return Ok(None);
    }
    // A table that is whole may be that of another pack, which stands in the place of this one.
    let trouble = core.trouble();
    let is_all_here = core.members.are_all_here() && !trouble.is_any_gone_without();
    let scope = Scope {
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

/// What is lost; nothing when a disk does not answer for something.
fn look_until_steady(core: &Core, scope: &Scope<'_>) -> Result<Option<Lost>> {
    for _ in 0..LOOKS_MAX {
        // What the index does not know yet must not be taken for lost.
        core.catalog.enter_pending(&core.members, usize::MAX);
        match lost::find_lost(core, scope, &|| true)? {
            Look::Found(lost) => return Ok(Some(lost)),
            Look::Unfinished => return Ok(None),
            Look::Unsteady => {}
        }
    }
    Ok(None)
}
