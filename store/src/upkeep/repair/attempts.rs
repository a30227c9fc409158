//! Attempts at unreadable packs: noted on the disk itself, and counted only hours apart.
//!
//! Not here: the retried reads (`suspects`), the give-up (`give_up`).

use crate::core::Core;
use crate::core::watchlist::Watchlist;
use crate::disk::Disk;
use crate::disk::numbered::Numbered;
use crate::disks::identity;
use crate::disks::member::Member;
use crate::ledger::{entry_files, listing};
use crate::packs::place::Fetch;
use crate::packs::reader;
use crate::{Result, StoreError};
use larder_format::Hash;
use larder_format::care::Suspect;
use larder_format::layout::{self, unfinished};
use larder_format::ledger::WallStamp;

/// After so many attempts an unreadable pack counts as damaged.
const ATTEMPTS_MAX: u32 = 4;

/// Entries tried before a disk counts as unanswering.
const ENTRIES_TRIED: usize = 16;

/// Noted chunks of unread blocks, a few megabytes: when a disk answers for nothing in a thousand packs, memory need not
/// hold every name.
const NOTED_CHUNKS_MAX: usize = 100_000;

const NOTES: Numbered = Numbered { ending: ".suspects", part: unfinished::SUSPECTS, bytes_max: 2 << 20 };

/// Notes an unreadable pack and its unread blocks, so devices are asked for the chunks.
pub(crate) fn try_later(core: &Core, member: &Member, name: &Hash, now: WallStamp) -> Result<Patience> {
    if !is_answering(member.disk.as_ref()) {
        let source = std::io::Error::other("it gives nothing at all");
        return Err(StoreError::Disk { path: member.disk.name(), source });
    }
    tracing::error!(disk = member.disk.name(), pack = %name, "a pack could not be read; it is tried again");
    if note_unread(core, member, name, now) {
        return Ok(Patience::AtAnEnd);
    }
    note_unread_blocks(core, name);
    Ok(Patience::Waits)
}

fn note_unread_blocks(core: &Core, name: &Hash) {
    let catalog = &core.catalog;
    let (Some(pack), Ok(table)) = (catalog.packs.number(name), reader::read_table(&core.members, name))
    else {
        return;
    };
    for (number, block) in table.blocks.iter().enumerate() {
        if catalog.packs.trouble.chunks_in_blocks() >= NOTED_CHUNKS_MAX {
            return;
        }
        let first = u16::try_from(block.first_slot).ok().zip(table.chunks_of(number).first().copied());
        let of_block = first.map(|first| Fetch::of_block((pack, block.offset), &[first]));
        // A failed read notes the chunks of the block.
        drop(of_block.map(|step| catalog.packs.fetch_proven(&core.members, &step)));
    }
    // The packs are known now, and are read again without hurry.
    catalog.packs.trouble.take_suspicion();
}

fn with_watchlist<T>(core: &Core, member: &Member, action: impl FnOnce(&mut Watchlist) -> T) -> T {
    let mut lists = core.maintenance.suspects.lock();
    let list = lists
        .entry(member.id.clone())
        .or_insert_with(|| Watchlist { noted: NOTES.read(member.disk.as_ref()), ..Watchlist::default() });
    action(list)
}

/// Notes a failed read of a pack on a disk. Returns whether the attempts suffice.
pub(crate) fn note_unread(core: &Core, member: &Member, pack: &Hash, now: WallStamp) -> bool {
    with_watchlist(core, member, |list| list.failed(*pack, now)) >= ATTEMPTS_MAX
}

/// The pack was read, or was given up.
pub(crate) fn is_suspected_no_longer(core: &Core, pack: &Hash) {
    for member in core.members.all().iter().filter(|member| member.is_readable()) {
        with_watchlist(core, member, |list| {
            let before = list.noted.packs.len();
            list.noted.packs.retain(|suspect| suspect.pack != *pack);
            list.is_changed |= list.noted.packs.len() != before;
        });
    }
}

/// Whether some disk has failed to read the pack in every attempt allowed.
pub(crate) fn was_tried_often_enough(core: &Core, pack: &Hash) -> bool {
    let all = core.members.all();
    let mut readable = all.iter().filter(|member| member.is_readable());
    readable.any(|member| {
        let is_enough = |suspect: &Suspect| suspect.pack == *pack && suspect.attempts >= ATTEMPTS_MAX;
        with_watchlist(core, member, |list| list.noted.packs.iter().any(is_enough))
    })
}

/// Unreadable packs on this disk, to be tried again.
pub(crate) fn suspected_on(core: &Core, member: &Member) -> Vec<Hash> {
    with_watchlist(core, member, |list| list.noted.packs.iter().map(|suspect| suspect.pack).collect())
}

/// Writes new attempts to the disk, if any.
///
/// # Errors
/// `Disk` when the disk fails; a full disk only keeps the older version.
pub(crate) fn save_suspects(core: &Core, member: &Member) -> Result<()> {
    let changed =
        with_watchlist(core, member, |list| std::mem::take(&mut list.is_changed).then(|| list.noted.clone()));
    let Some(noted) = changed else { return Ok(()) };
    match NOTES.write(member.disk.as_ref(), &noted) {
        Ok(()) => Ok(()),
        Err(source) => match member.failed(layout::SCRUB, source) {
            StoreError::Full { .. } => Ok(()),
            error => Err(error),
        },
    }
}

/// Whether the disk returns any expected file, read from the disk and not from the page cache.
pub(crate) fn is_answering(disk: &dyn Disk) -> bool {
    if !identity::is_answering(disk) {
        return false;
    }
    let Ok(mut numbers) = listing::numbers_on(disk) else { return false };
    numbers.sort_unstable();
    let gives = |number: &u64| {
        let path = layout::entry(*number);
        disk.open(&path).iter().for_each(|file| file.forget_cached());
        entry_files::whole_entry(disk, *number).is_some()
    };
    // A disk under resync has no entry yet.
    numbers.is_empty() || numbers.iter().rev().take(ENTRIES_TRIED).any(gives)
}

/// Whether a pack unreadable at this moment is read again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Read again: nothing is given up while a disk does not answer.
    Waits,
    /// Tried often enough: the pack counts as damaged.
    AtAnEnd,
}
