//! Search of the disks' quarantines for whole packs and blocks.
//!
//! A pack unreadable at its give-up may be readable today, and a block needless then may be the last copy of a chunk
//! lost now. So packs given up are tried again after each start and in each round of a scrub. Before a chunk is called
//! lost, the whole blocks of every pack in a quarantine or elsewhere on the disks are used. A pack comes back as a new
//! file, written and synced like any pack: a file set aside after a failed sync may show bytes not on the disk. Not
//! here: the way into the quarantine (`place`, `give_up`).

use crate::core::Core;
use crate::core::maintenance::{Search, Searches};
use crate::disk::{Disk, quarantine};
use crate::disks::member::Member;
use crate::upkeep::repair::mend::{self, Mended};
use crate::upkeep::repair::strays::fetch_from_strays;
use crate::upkeep::repair::whole_again;
use crate::{Result, StoreError};
use larder_format::Hash;
use larder_format::layout::{self, QUARANTINE};
use std::collections::HashSet;

/// Progress of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Searched {
    /// Bytes read.
    pub(crate) bytes: u64,
    /// Whether the search is over.
    pub(crate) is_over: bool,
}

/// Searches the quarantine of every disk, as after a start, until about `bytes_max` are read. Returns whether more is
/// left.
pub(crate) fn search_quarantines(core: &Core, bytes_max: u64) -> Result<bool> {
    // A running scrub searches the quarantine itself.
    let Some(_no_repairs) = core.maintenance.rounds.try_lock() else { return Ok(false) };
    let mut left = bytes_max;
    for member in core.members.all().iter().filter(|member| member.is_healthy()) {
        let searched = search_quarantine(core, member, left)?;
        left = left.saturating_sub(searched.bytes);
        if !searched.is_over {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Searches one disk's quarantine; the caller keeps repairs away.
pub(crate) fn search_quarantine(core: &Core, member: &Member, bytes_max: u64) -> Result<Searched> {
    let mut bytes = 0;
    let failed = |source| member.failed(QUARANTINE, source);
    begin_search(core, member).map_err(failed)?;
    while let Some(name) = next_unsearched(core, member) {
        if core.is_let_go(&name) {
            continue;
        }
        let disk = member.disk.as_ref();
        let of_it = |begins: String| quarantine::quarantined(disk, &begins);
        bytes +=
            of_it(layout::set_aside_pack(&name)).map_err(failed)?.iter().map(|(_, len)| len).sum::<u64>();
        if core.catalog.packs.number(&name).is_none() {
            bring_back(core, member, &name)?;
        } else if !of_it(layout::set_aside_losses(&name)).map_err(failed)?.is_empty()
            && quarantine::is_there(disk, &layout::pack(&name)).map_err(failed)?
        {
            // A device sent the pack again, its blocks made the same pack, or the disk was filled without the pack at
            // first.
            quarantine::is_given_up_no_longer(disk, &name).map_err(failed)?;
        }
        if bytes >= bytes_max {
            return Ok(Searched { bytes, is_over: false });
        }
    }
    use_blocks(core, member);
    Ok(Searched { bytes, is_over: true })
}

/// Marks the disk's whole quarantine for a new search.
pub(crate) fn search_again(core: &Core, member: &Member) {
    searches(core, |searches| drop(searches.remove(&member.id)));
}

fn searches<T>(core: &Core, action: impl FnOnce(&mut Searches) -> T) -> T {
    action(&mut core.maintenance.searches.lock())
}

fn begin_search(core: &Core, member: &Member) -> std::io::Result<()> {
    if searches(core, |searches| searches.contains_key(&member.id)) {
        return Ok(());
    }
    let disk = member.disk.as_ref();
    let mut packs = quarantine::packs_in_quarantine(disk)?;
    packs.extend(quarantine::records_in_quarantine(disk)?);
    let search = Search { packs: packs.into_iter().collect(), has_blocks: false };
    searches(core, |searches| drop(searches.insert(member.id.clone(), search)));
    Ok(())
}

fn next_unsearched(core: &Core, member: &Member) -> Option<Hash> {
    searches(core, |searches| searches.get_mut(&member.id)?.packs.pop())
}

/// Uses blocks of chunks still lost, once in each search.
fn use_blocks(core: &Core, member: &Member) {
    let had = searches(core, |searches| {
        searches.get_mut(&member.id).is_none_or(|search| std::mem::replace(&mut search.has_blocks, true))
    });
    let lost = if had { HashSet::new() } else { core.lost_chunks() };
    if lost.is_empty() {
        return;
    }
    match fetch_from_strays(core, &lost) {
        Ok(chunks) => tracing::info!(chunks, "blocks of packs that were set aside were used"),
        // Tried again in the next round.
        Err(error) => {
            tracing::warn!(%error, "what is whole in packs that were set aside could not be used")
        }
    }
}

/// Returns a pack given up to the vault, if a rebuild succeeds by now.
fn bring_back(core: &Core, member: &Member, name: &Hash) -> Result<()> {
    match mend::mend(&core.members, member, name, core.reserve_bytes / 2) {
        Ok(Mended::Whole) => {}
        // The next round tries again.
        Ok(_) | Err(StoreError::Full { .. }) => return Ok(()),
        Err(error) => return Err(error),
    }
    whole_again::is_whole_again(core, name);
    quarantine::is_given_up_no_longer(member.disk.as_ref(), name)
        .map_err(|source| member.failed(QUARANTINE, source))?;
    tracing::warn!(disk = member.disk.name(), pack = %name, "a pack that was given up is whole again");
    let lacks_it = |other: &Member| other.disk.as_ref().open(&layout::pack(name)).is_err();
    let all = core.members.all();
    let others = all.iter().filter(|other| other.key != member.key && other.is_healthy());
    others.filter(|other| lacks_it(other)).for_each(|other| other.misses_pack());
    Ok(())
}
