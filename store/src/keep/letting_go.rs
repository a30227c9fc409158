//! Release of packs: the obstacles, and the ledger entry naming the packs. The files stay.
//!
//! Not here: the choice of packs (`sweep`, `unfinished`), the unlink (`unlink`).

use crate::Result;
use crate::core::{Core, Exclusive};
use crate::disk::Disk;
use crate::ledger::clock::TrustedTime;
use larder_format::ledger::{Event, SWEPT_PER_ENTRY_MAX, WallStamp};
use larder_format::{Hash, layout};
use std::sync::atomic::Ordering;

/// Result of one step, and whether more is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Whether a further step would continue; otherwise the round has ended.
    pub is_under_way: bool,
    /// Reason for doing nothing at this moment, in words.
    pub waits: Option<String>,
    /// Whether concurrent work was in the way, so the same step is to be tried again a little later.
    pub gives_way: bool,
    /// Packs let go of.
    pub packs: u64,
    /// Bytes in the packs on each disk; the room is free after the unlink.
    pub bytes: u64,
    /// Files removed.
    pub files_removed: u64,
}

/// Reason why nothing may be freed at this moment, in words.
pub(crate) fn sweep_waits(core: &Core, now: &TrustedTime, is_settled: bool) -> Option<String> {
    // A hold on one source keeps its snapshots, so the mark phase finds them.
    if let Some((_, hold)) = core.ledger().holds_in_force(now).find(|(_, hold)| hold.source.is_none()) {
        return Some(format!("history is on hold: {}", hold.reason));
    }
    let in_doubt = core.why_in_doubt();
    in_doubt.or_else(|| (!is_settled).then(|| "the appliance has just started".to_owned()))
}

/// Names the packs in the ledger; reads no longer find chunks there. The files stay.
pub(crate) fn sweep_away(
    core: &Core,
    exclusive: &Exclusive<'_>,
    packs: &[(u32, Hash, u64)],
    now: WallStamp,
) -> Result<Swept> {
    let numbers: Vec<_> = packs.iter().map(|(number, ..)| *number).collect();
    let seconds = u32::try_from(now.powered_on_s).unwrap_or(u32::MAX);
    let salt = seconds.max(core.catalog.packs.salt().saturating_add(1));
    // First of all: the entry may exist despite a failed write, so no push may rely on these packs any more.
    core.catalog.forget(&numbers);
    core.disown(&numbers);
    core.catalog.packs.raise_salt(salt);
    for part in packs.chunks(SWEPT_PER_ENTRY_MAX) {
        let names = part.iter().map(|(_, name, _)| *name).collect();
        core.append_alone(&exclusive.alone, now, Event::Swept { packs: names, salt })?;
    }
    let bytes = packs.iter().map(|(.., len)| len).sum();
    Ok(Swept { packs: packs.len() as u64, bytes, ..Swept::default() })
}

/// Without a written entry, the packs belong to the vault as before.
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
