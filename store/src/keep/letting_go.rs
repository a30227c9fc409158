//! Letting go of packs: what stands in its way, and the ledger entry that names them. Their files stay.
//!
//! Not here: which packs go (`sweep`, `unfinished`), when the files go (`unlink`).

use crate::Result;
use crate::core::{Core, Exclusive};
use crate::disk::Disk;
use crate::ledger::clock::Mark;
use larder_format::ledger::{Event, SWEPT_PER_ENTRY_MAX, Stamp};
use larder_format::{Hash, layout};
use std::sync::atomic::Ordering;

/// What one step did, and whether there is more to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Whether another step would go on with something; otherwise a round has ended.
    pub is_under_way: bool,
    /// Why it does nothing at this moment, in words.
    pub waits: Option<String>,
    /// Whether others were in its way, so that the same is to be tried again a little later.
    pub gives_way: bool,
    /// Packs that were let go of.
    pub packs: u64,
    /// Bytes in them on each disk; their room is free when their files are removed.
    pub bytes: u64,
    /// Files that were removed.
    pub files_removed: u64,
}

/// Why nothing may be freed at this moment, in words.
pub(crate) fn sweep_waits(core: &Core, now: &Mark, is_settled: bool) -> Option<String> {
    // What one source has on hold is kept, and so found by the walk.
    if let Some((_, hold)) = core.ledger().holds_in_force(now).find(|(_, hold)| hold.source.is_none()) {
        return Some(format!("history is on hold: {}", hold.reason));
    }
    let in_doubt = core.why_in_doubt();
    in_doubt.or_else(|| (!is_settled).then(|| "the appliance has just started".to_owned()))
}

/// Names the packs in the ledger; nobody finds anything in them any more. Their files stay.
pub(crate) fn sweep_away(
    core: &Core,
    exclusive: &Exclusive<'_>,
    packs: &[(u32, Hash, u64)],
    now: Stamp,
) -> Result<Swept> {
    let numbers: Vec<_> = packs.iter().map(|(number, ..)| *number).collect();
    let seconds = u32::try_from(now.powered_on_s).unwrap_or(u32::MAX);
    let salt = seconds.max(core.catalog.packs.salt().saturating_add(1));
    // First of all: should the entry come to exist and its writing fail, nobody may rely on these packs any more.
    core.catalog.forget(&numbers);
    core.catalog.packs.raise_salt(salt);
    for part in packs.chunks(SWEPT_PER_ENTRY_MAX) {
        let names = part.iter().map(|(_, name, _)| *name).collect();
        core.append_alone(&exclusive.alone, now, Event::Swept { packs: names, salt })?;
    }
    let bytes = packs.iter().map(|(.., len)| len).sum();
    Ok(Swept { packs: packs.len() as u64, bytes, ..Swept::default() })
}

/// Packs whose entry was not written after all belong to the vault as before.
pub(crate) fn take_back_what_was_let_go_in_vain(core: &Core) {
    if core.ledger_uncertain.load(Ordering::SeqCst) {
        return;
    }
    let left = core.catalog.packs.left_to_sweep();
    let in_vain: Vec<_> = {
        let view = core.ledger();
        left.into_iter().filter(|name| !view.swept.contains_key(name)).collect()
    };
    for name in in_vain {
        let all = core.members.all();
        let lengths = all.iter().filter(|member| member.is_readable());
        let mut lengths = lengths
            .filter_map(|member| member.disk.open(&layout::pack(&name)).and_then(|file| file.len()).ok());
        core.catalog.packs.no_longer_left(&name);
        if let Some(len) = lengths.next() {
            core.catalog.enter_repaired(&core.members, &name, len);
        }
    }
}
