//! Sweep: frees the room of chunks without a kept snapshot, a little at a time.
//!
//! One round runs the mark phase over every kept snapshot, weighs each pack, repacks where worthwhile, and then lets go
//! of the packs without a needed chunk. Only the last step excludes commits, and only runs without a commit since the
//! mark phase; the rest runs beside pushes and restores. The order keeps the promises: new packs durable and proven,
//! then the entry naming the old packs, then a wait, then a later mark phase proving every kept snapshot whole without
//! the old packs, and only then the unlink. A power cut anywhere leaves the old packs, the new packs, or both. Not
//! here: the choice of snapshots (`prune`), pins of pushes (`pins`), immediate release on a full disk (`unfinished`).

use crate::Result;
use crate::core::Core;
use crate::keep::letting_go::{Swept, sweep_away};
use crate::keep::mark::Walk;
use crate::keep::repack::{self, Copied, Weighed, Worth};
use crate::ledger::clock::TrustedTime;
use crate::packs::pins::Pins;
use larder_format::Hash;
use larder_format::ledger::WallStamp;
use larder_format::pack::PACK_BYTES_AIM;
use std::collections::HashSet;

/// Packs repacked before the old packs are let go of and more are written: an aborted round leaves both.
const MERGED_BETWEEN: usize = 16;

pub(crate) struct SweepRound {
    walk: Walk,
    begun: TrustedTime,
    /// Chunks given up before the round began.
    lost_before: HashSet<Hash>,
    /// Packs from this number on are newer: a chunk found earlier by the mark phase may lie there too by now.
    packs_below: u32,
    /// Number of index rebuilds at the start.
    anew: u64,
    /// The least room on any disk at the start.
    free: u64,
    /// Packs still to be weighed; `None` until the mark phase has ended.
    unweighed: Option<Vec<(u32, Hash, u64)>>,
    worth: Worth,
    /// Packs to repack.
    to_merge: Option<Vec<Weighed>>,
    /// Packs repacked since the last release.
    merged: usize,
    /// Packs without a needed chunk, or with every needed chunk also in a new pack.
    spare: Vec<u32>,
    copied: Copied,
}

/// Continues a round.
pub(crate) fn go_on(core: &Core, round: &mut SweepRound, now: WallStamp, chunks_max: u64) -> Result<Swept> {
    let under_way = Ok(Swept { is_under_way: true, ..Swept::default() });
    round.walk.take_in(&core.ledger());
    if !round.walk.go_on(core, chunks_max)? {
        return under_way;
    }
    if round.unweighed.is_none() {
        core.trouble().miss_only(round.walk.missed(), &round.lost_before);
    }
    let below = round.packs_below;
    let of_the_walk =
        || core.catalog.packs.with_lengths().into_iter().filter(|(pack, ..)| *pack < below).collect();
    let unweighed = round.unweighed.get_or_insert_with(of_the_walk);
    if !unweighed.is_empty() {
        for pack in unweighed.drain(unweighed.len().saturating_sub(repack::packs_at_once(chunks_max))..) {
            let is_needed = |slot| round.walk.marks().has((pack.0, slot)) || core.pins().has((pack.0, slot));
            let (all_pinned, any_pinned) = {
                let pins = core.pins();
                (pins.has_pack(pack.0), pins.has_any(pack.0))
            };
            if all_pinned || core.is_doubtful(pack.0, &pack.1) {
                // A push is about to name the pack's chunks, or the contents are unknown, or a part cannot be copied.
            } else if round.walk.marks().has_any(pack.0) || any_pinned {
                round.worth.weigh(&core.members, pack, is_needed);
            } else {
                round.spare.push(pack.0);
            }
        }
        return under_way;
    }
    let to_merge = round.to_merge.get_or_insert_with(|| std::mem::take(&mut round.worth).into_packs());
    if let Some(next) = to_merge.last() {
        if round.merged >= MERGED_BETWEEN {
            let swept = let_go_of_packs(core, round, now)?;
            // Busy: more is repacked meanwhile, and the release tried again.
            round.merged = 0;
            return Ok(Swept { is_under_way: true, ..swept });
        }
        if has_room_to_merge(core, next.len, round.free) {
            let walk = &round.walk;
            let is_needed = |at| walk.marks().has(at) || core.pins().has(at);
            let merged = repack::merge_some(core, to_merge, is_needed, PACK_BYTES_AIM, &mut round.copied)?;
            round.merged += merged.len().max(1);
            round.spare.extend(merged);
        } else {
            // On a full disk only steps without a cost in room are taken.
            to_merge.clear();
        }
        return under_way;
    }
    let_go_of_packs(core, round, now)
}

/// Begins a round at `mark`.
pub(crate) fn begin_round(core: &Core, mark: TrustedTime) -> SweepRound {
    SweepRound {
        walk: Walk::begin(&core.ledger(), &mark),
        begun: mark,
        lost_before: core.trouble().given_up(),
        packs_below: core.catalog.packs.next_number(),
        anew: core.catalog.times_anew(),
        free: core.members.free(),
        unweighed: None,
        worth: Worth::default(),
        to_merge: None,
        merged: 0,
        spare: Vec::new(),
        copied: Copied::default(),
    }
}

/// Pushes keep their room while any is left; on a disk full for pushes a repack may use the reserve, but not the whole.
/// `free_before` was the room when the round began.
fn has_room_to_merge(core: &Core, bytes: u64, free_before: u64) -> bool {
    let free = core.members.free();
    let for_pushes = core.kept_free_bytes();
    let to_be_left =
        if free >= for_pushes { for_pushes.saturating_add(free_before / 4) } else { core.reserve_bytes / 2 };
    free >= to_be_left.saturating_add(bytes.max(PACK_BYTES_AIM))
}

/// The only place where this sweep lets go of packs.
fn let_go_of_packs(core: &Core, round: &mut SweepRound, now: WallStamp) -> Result<Swept> {
    let later = Ok(Swept { is_under_way: true, gives_way: true, ..Swept::default() });
    let Some(exclusive) = core.exclusively()? else { return later };
    if round.walk.is_behind(&core.ledger()) {
        return later;
    }
    // The next round sees the current state.
    if round.anew != core.catalog.times_anew() || !round.copied.is_whole(core) {
        round.to_merge = None;
        return Ok(Swept::default());
    }
    let spare = {
        let pins = core.pins();
        let may_go: HashSet<u32> =
            round.spare.iter().filter(|number| round.may_go(**number, &pins)).copied().collect();
        let all = core.catalog.packs.with_lengths().into_iter();
        all.filter(|(number, ..)| may_go.contains(number)).collect::<Vec<_>>()
    };
    if spare.is_empty() {
        return Ok(Swept::default());
    }
    round.copied.pass_on_owners(core, &spare);
    sweep_away(core, &exclusive, &spare, now)
}

impl SweepRound {
    /// Whether the index of the look-ups is still in use.
    pub(crate) fn is_of_use(&self, core: &Core) -> bool {
        self.anew == core.catalog.times_anew()
    }

    /// Start of the round in seconds of the appliance's life, once the mark phase has found every kept snapshot whole.
    pub(crate) fn proven_s(&self, core: &Core) -> Option<u64> {
        (self.unweighed.is_some() && self.is_of_use(core)).then_some(self.begun.lived_s)
    }

    /// Whether every needed chunk of the pack also lies in a new pack.
    fn may_go(&self, pack: u32, pins: &Pins) -> bool {
        !pins.has_pack(pack)
            && self
                .walk
                .marks()
                .of(pack)
                .chain(pins.of(pack))
                .all(|slot| self.copied.places.has((pack, slot)))
    }
}
