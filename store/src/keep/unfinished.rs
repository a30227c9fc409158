//! Room for pushes on a full disk: frees uploaded chunks without a snapshot at once.
//!
//! A push larger than the disk would otherwise keep every device out until the push's pins run out. Unpinned packs go
//! first: packs of earlier runs, whose devices ask again at their commit. Only after a refusal go uploads beyond a
//! device's share, then uploads of devices idle for a day, the longest idle first. Uploads of the last day within the
//! share stay.
//!
//! The ordinary sweep needs a day of grace, this sweep does not, since no promise covers chunks without a snapshot. A
//! commit looks up every named chunk while holding off this sweep (`sweeping`): the commit finds the chunk, or asks the
//! device. A later pack cannot take the name of a freed pack, since the later salt is higher. A second mark phase,
//! begun after the first has ended, must also find no needed chunk in these packs. Not here: a device's pins (`pins`),
//! a device's limit (`share`), partly needed packs (`sweep`).

use crate::core::{Core, Exclusive};
use crate::disk::Disk;
use crate::keep::letting_go::{self, Swept};
use crate::keep::mark::Walk;
use crate::keep::unlink;
use crate::packs::pins::{Holder, PINNED_S, Pins};
use crate::{Result, StoreError};
use larder_format::ledger::WallStamp;
use larder_format::pack::PACK_BYTES_AIM;
use larder_format::{Hash, layout};
use std::collections::{BTreeMap, HashSet};

/// Room freed beyond the reserve: a day's backup of most computers, so a push is refused at most once.
const ROOM_AIM_BYTES: u64 = 16 * PACK_BYTES_AIM;

/// Packs freed by one entry; leftovers of a power cut wait for a day like any pack.
const PACKS_AT_ONCE: usize = 64;

/// After a round without result, a refusal starts the next round only after this multiple of the round's duration.
/// Otherwise each refusal would read all folders of all snapshots again.
const IN_VAIN_TIMES: u64 = 10;

/// Minimum wait after a round without result.
const IN_VAIN_S_MIN: u64 = 30;

/// Wait after a round without result when no push was refused.
const IN_VAIN_UNASKED_S: u64 = 24 * 3600;

/// A round left alone for so long starts anew: packs freed since the start would still be looked for.
const ROUND_S_MAX: u64 = 24 * 3600;

/// The current round, and the last round if without result.
#[derive(Default)]
pub(crate) struct Unfinished {
    round: Option<UnfinishedRound>,
    in_vain: Option<InVain>,
}

/// End and duration of a round without result.
#[derive(Clone, Copy)]
struct InVain {
    ended_s: u64,
    took_s: u64,
}

struct UnfinishedRound {
    walk: Walk,
    begun_s: u64,
    /// Packs without a needed chunk after the first mark phase; `None` before the phase has ended.
    unneeded: Option<HashSet<u32>>,
    /// Packs from this number on are newer: a push may be about to name their chunks.
    packs_below: u32,
    /// Number of index rebuilds at the start.
    anew: u64,
    are_parts_cleared: bool,
    /// Packs let go of whose files still exist.
    to_remove: Vec<Hash>,
    has_freed: bool,
}

impl Unfinished {
    /// Ends the round; files not yet removed wait for a day like files of any pack.
    pub(crate) fn give_up(&mut self) {
        self.round = None;
    }

    /// Whether a step has a reason to begin: a push was refused for want of room, or the next push would be.
    pub(crate) fn is_wanted(&self, core: &Core, now: WallStamp) -> bool {
        let is_over = |wait_s: &dyn Fn(InVain) -> u64| {
            self.in_vain
                .is_none_or(|in_vain| now.powered_on_s >= in_vain.ended_s.saturating_add(wait_s(in_vain)))
        };
        if core.pins().is_refused() {
            return is_over(&|InVain { took_s, .. }| took_s.saturating_mul(IN_VAIN_TIMES).max(IN_VAIN_S_MIN));
        }
        let is_low =
            core.members.tightest().is_some_and(|(_, free)| free < core.reserve_bytes + PACK_BYTES_AIM);
        is_low && is_over(&|_| IN_VAIN_UNASKED_S)
    }

    /// Continues the round, or begins a round.
    pub(crate) fn step(&mut self, core: &Core, now: WallStamp, chunks_max: u64) -> Result<Swept> {
        let is_of_use = |round: &UnfinishedRound| {
            round.anew == core.catalog.times_anew()
                && now.powered_on_s < round.begun_s.saturating_add(ROUND_S_MAX)
        };
        let begun = self.round.take().filter(is_of_use);
        let mut round = begun.unwrap_or_else(|| begin(core, now));
        let swept = go_on(core, &mut round, now, chunks_max)?;
        if swept.is_under_way {
            self.round = Some(round);
        } else {
            let ended_s = now.powered_on_s;
            let in_vain = InVain { ended_s, took_s: ended_s.saturating_sub(round.begun_s) };
            self.in_vain = (!round.has_freed).then_some(in_vain);
            core.pins().end_refusal();
        }
        Ok(swept)
    }
}

/// A pack without a chunk needed by a kept snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    number: u32,
    name: Hash,
    len: u64,
}

/// Wanted room, and the limits of a plan.
struct Shortage {
    wanted_bytes: u64,
    /// A push was refused: only then do the devices' shares matter.
    is_refused: bool,
    /// History is on hold, and unpinned packs may belong to snapshots let go of before.
    spares_unpinned: bool,
    /// Room left for the uploads of all devices together.
    room_bytes: u64,
}

/// Packs to free, in order: the plan is a testable value, and the only source of removals.
fn plan(candidates: &[Candidate], pins: &Pins, shortage: &Shortage) -> Vec<Candidate> {
    let order = if shortage.is_refused { given_up(candidates, pins, shortage) } else { Vec::new() };
    let mut ranked: Vec<(usize, Candidate)> =
        candidates.iter().filter_map(|pack| Some((rank(*pack, pins, &order, shortage)?, *pack))).collect();
    ranked.sort_by_key(|(rank, pack)| (*rank, pack.number));
    let mut bytes = 0;
    let is_wanted = |(_, pack): &(usize, Candidate)| {
        let is_wanted = bytes < shortage.wanted_bytes;
        bytes += pack.len;
        is_wanted
    };
    ranked.into_iter().take_while(is_wanted).map(|(_, pack)| pack).collect()
}

/// Devices losing their pins, in order.
fn given_up<'a>(candidates: &[Candidate], pins: &'a Pins, shortage: &Shortage) -> Vec<&'a Holder> {
    // Counted here and not on receipt: a commit of one small file names none of the rest.
    let mut brought: BTreeMap<&Holder, u64> = BTreeMap::new();
    for (holder, bytes) in candidates.iter().flat_map(|pack| pins.holders(pack.number)) {
        *brought.entry(holder).or_default() += bytes;
    }
    let mut order = Vec::new();
    for (holder, bytes) in brought.into_iter().filter(|(holder, _)| matches!(holder, Holder::Device(_))) {
        let standing = pins.standing(holder);
        let is_above = standing.is_above_share(bytes, shortage.room_bytes);
        if is_above || standing.idle_s >= PINNED_S {
            order.push(((!is_above, std::cmp::Reverse(standing.idle_s)), holder));
        }
    }
    order.sort_by_key(|(key, _)| *key);
    order.into_iter().map(|(_, holder)| holder).collect()
}

/// Number of devices to give up before the pack may go; `None` where the pack must stay.
fn rank(pack: Candidate, pins: &Pins, order: &[&Holder], shortage: &Shortage) -> Option<usize> {
    let (mut rank, mut is_pinned) = (0, false);
    for (holder, _) in pins.holders(pack.number) {
        is_pinned = true;
        rank = rank.max(match holder {
            Holder::EarlierRun => 0,
            Holder::Appliance => return None,
            Holder::Device(_) => 1 + order.iter().position(|given_up| *given_up == holder)?,
        });
    }
    (is_pinned || !shortage.spares_unpinned).then_some(rank)
}

fn begin(core: &Core, now: WallStamp) -> UnfinishedRound {
    let view = core.ledger();
    UnfinishedRound {
        walk: Walk::begin(&view, &view.at(now)),
        begun_s: now.powered_on_s,
        unneeded: None,
        packs_below: 0,
        anew: core.catalog.times_anew(),
        are_parts_cleared: false,
        to_remove: Vec::new(),
        has_freed: false,
    }
}

fn go_on(core: &Core, round: &mut UnfinishedRound, now: WallStamp, chunks_max: u64) -> Result<Swept> {
    let under_way = Swept { is_under_way: true, ..Swept::default() };
    let later = || Swept { gives_way: true, ..under_way.clone() };
    if !round.to_remove.is_empty() {
        if !unlink::remove_now(core, &round.to_remove)? {
            return Ok(later());
        }
        let files_removed = std::mem::take(&mut round.to_remove).len() as u64;
        return Ok(Swept { files_removed, ..under_way });
    }
    if !round.are_parts_cleared {
        let Some(exclusive) = core.exclusively()? else { return Ok(later()) };
        round.has_freed |= clear_parts(core, &exclusive)?;
        round.are_parts_cleared = true;
        // The pack last filled by the refused push was sealed just now.
        round.packs_below = core.catalog.packs.next_number();
        return Ok(under_way);
    }
    round.walk.take_in(&core.ledger());
    if !round.walk.go_on(core, chunks_max)? {
        return Ok(under_way);
    }
    if round.unneeded.is_none() {
        let unneeded = unneeded(core, round);
        if planned_now(core, &unneeded, now).is_empty() {
            return Ok(Swept::default());
        }
        round.unneeded = Some(unneeded.iter().map(|pack| pack.number).collect());
        let view = core.ledger();
        round.walk = Walk::begin(&view, &view.at(now));
        return Ok(under_way);
    }
    let Some(exclusive) = core.exclusively()? else { return Ok(later()) };
    if round.walk.is_behind(&core.ledger()) || round.anew != core.catalog.times_anew() {
        return Ok(under_way);
    }
    let_go_of(core, round, &exclusive, now)
}

fn let_go_of(
    core: &Core,
    round: &mut UnfinishedRound,
    exclusive: &Exclusive<'_>,
    now: WallStamp,
) -> Result<Swept> {
    // Planned anew: since the first phase a device may have asked for or committed a chunk of these packs.
    let mut packs = planned_now(core, &unneeded(core, round), now);
    packs.truncate(PACKS_AT_ONCE);
    if packs.is_empty() {
        return Ok(Swept::default());
    }
    let named: Vec<_> = packs.iter().map(|pack| (pack.number, pack.name, pack.len)).collect();
    let swept = letting_go::sweep_away(core, exclusive, &named, now)?;
    core.pins().forget(&packs.iter().map(|pack| pack.number).collect());
    round.to_remove = packs.iter().map(|pack| pack.name).collect();
    round.has_freed = true;
    Ok(Swept { is_under_way: true, ..swept })
}

/// Packs without a needed chunk in every mark phase so far.
fn unneeded(core: &Core, round: &UnfinishedRound) -> Vec<Candidate> {
    let was_unneeded = |pack| round.unneeded.as_ref().is_none_or(|unneeded| unneeded.contains(&pack));
    let all = core.catalog.packs.with_lengths().into_iter();
    let unneeded = all.filter(|(number, name, _)| {
        *number < round.packs_below
            && was_unneeded(*number)
            && !round.walk.marks().has_any(*number)
            && !core.is_doubtful(*number, name)
    });
    unneeded.map(|(number, name, len)| Candidate { number, name, len }).collect()
}

fn planned_now(core: &Core, unneeded: &[Candidate], now: WallStamp) -> Vec<Candidate> {
    let free = core.members.free();
    let spares_unpinned = {
        let view = core.ledger();
        let now = view.at(now);
        !view.let_go.is_empty() && view.holds_in_force(&now).any(|(_, hold)| hold.source.is_none())
    };
    let room_bytes = core.room_for_uploads();
    let pins = core.pins();
    let wanted_bytes = (core.reserve_bytes + ROOM_AIM_BYTES).saturating_sub(free);
    let shortage = Shortage { wanted_bytes, is_refused: pins.is_refused(), spares_unpinned, room_bytes };
    plan(unneeded, &pins, &shortage)
}

/// Removes packs begun and never sealed. No pack is open now, so each `.part` is left from an earlier run without room
/// for the seal, or from a failed removal. Returns whether a file existed.
fn clear_parts(core: &Core, _no_pack_is_open: &Exclusive<'_>) -> Result<bool> {
    let mut is_any = false;
    for member in core.members.all().iter().filter(|member| member.is_healthy()) {
        let failed = |source| -> StoreError { member.failed(layout::OPEN, source) };
        for item in member.disk.list(layout::OPEN).map_err(failed)?.into_iter().filter(|item| !item.is_folder)
        {
            if layout::growing_pack_number(&item.name).is_some() {
                member.disk.remove(&layout::open(&item.name)).map_err(failed)?;
                is_any = true;
            }
        }
    }
    Ok(is_any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> Holder {
        Holder::Device(name.to_owned())
    }

    fn pack(number: u32) -> Candidate {
        Candidate { number, name: Hash::of(&number.to_le_bytes()), len: 10 }
    }

    /// The laptop is above its share and pushes now. The phone was idle for two days, the tablet for an hour; both are
    /// within their shares. Pack 7 has no pins; the appliance itself wrote pack 6.
    fn pins() -> Pins {
        let mut pins = Pins::default();
        for (at_s, name, packs) in [
            (0, "phone", vec![1]),
            (2 * PINNED_S - 3600, "tablet", vec![2]),
            (2 * PINNED_S, "laptop", vec![3, 4, 5]),
        ] {
            pins.received(&device(name), 10 * packs.len() as u64, 40);
            packs.into_iter().for_each(|pack| pins.note_pack(&device(name), pack, 10));
            pins.see(at_s);
        }
        pins.note_pack(&Holder::Appliance, 6, 10);
        pins
    }

    fn planned(pins: &Pins, shortage: &Shortage) -> Vec<u32> {
        let candidates: Vec<_> = (1..8).map(pack).collect();
        plan(&candidates, pins, shortage).iter().map(|pack| pack.number).collect()
    }

    const ALL: Shortage =
        Shortage { wanted_bytes: 1000, is_refused: true, spares_unpinned: false, room_bytes: 0 };

    /// Unpinned packs go first, then devices above their share, then devices idle for a day.
    #[test]
    fn a_push_within_its_share_and_its_day_is_never_given_up() {
        assert_eq!(planned(&pins(), &ALL), [7, 3, 4, 5, 1]);
    }

    #[test]
    fn no_more_goes_than_is_wanted() {
        assert_eq!(planned(&pins(), &Shortage { wanted_bytes: 11, ..ALL }), [7, 3]);
        assert_eq!(planned(&pins(), &Shortage { wanted_bytes: 0, ..ALL }), [] as [u32; 0]);
    }

    #[test]
    fn as_long_as_nobody_is_refused_every_pin_counts() {
        assert_eq!(planned(&pins(), &Shortage { is_refused: false, ..ALL }), [7]);
    }

    /// Unpinned packs may be the content of snapshots let go of before history was put on hold.
    #[test]
    fn a_hold_keeps_what_snapshots_may_have_named() {
        assert_eq!(planned(&pins(), &Shortage { spares_unpinned: true, ..ALL }), [3, 4, 5, 1]);
    }

    #[test]
    fn of_two_devices_above_their_share_the_longer_idle_one_goes_first() {
        let mut pins = pins();
        pins.received(&device("tablet"), 20, 0);
        pins.note_pack(&device("tablet"), 1, 20);
        pins.see(2 * PINNED_S);
        // Pack 1 belongs to the phone as well, so the phone is given up first.
        assert_eq!(planned(&pins, &ALL), [7, 3, 4, 5, 2, 1]);
        pins.note(&device("laptop"), &[]);
        pins.see(2 * PINNED_S + 60);
        assert_eq!(planned(&pins, &ALL), [7, 2, 3, 4, 5, 1]);
    }

    /// A pack shared by two devices stays while either device keeps its pins.
    #[test]
    fn a_pack_stays_for_each_device_that_keeps_its_pins() {
        let mut pins = pins();
        pins.note(&device("tablet"), &[(4, 0)]);
        assert_eq!(planned(&pins, &ALL), [7, 3, 5, 1]);
    }

    /// A small commit after each gigabyte would otherwise make a device appear to hold nothing.
    #[test]
    fn a_commit_that_names_nothing_of_it_changes_no_share() {
        let mut pins = pins();
        pins.committed(&device("laptop"));
        assert_eq!(planned(&pins, &ALL), [7, 3, 4, 5, 1]);
    }
}
