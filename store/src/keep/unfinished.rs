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
//! begun after the first has ended, must also find no needed chunk in these packs. Where whole packs are not enough,
//! partly needed packs are rewritten, and their files go only after a further mark phase found every kept snapshot
//! whole without them. Not here: a device's pins (`pins`), a device's limit (`share`), the choice (`plan`), the rewrite
//! (`mixed`).

mod plan;

use crate::core::{Core, Exclusive};
use crate::disk::Disk;
use crate::keep::letting_go::{self, Swept};
use crate::keep::mark::Walk;
use crate::keep::mixed::{Needed, Rewrite, Unnamed};
use crate::keep::{repack, unlink};
use crate::packs::marks::Marks;
use crate::packs::pins::Holder;
use crate::{Result, StoreError};
use larder_format::ledger::WallStamp;
use larder_format::pack::PACK_BYTES_AIM;
use larder_format::{Hash, layout};
use plan::{Candidate, Shortage, given_up, plan};

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
    phase: RoomPhase,
    /// Packs from this number on are newer: a push may be about to name their chunks.
    packs_below: u32,
    /// Number of index rebuilds at the start.
    anew: u64,
    are_parts_cleared: bool,
    /// Packs let go of whose files still exist.
    to_remove: Vec<Hash>,
    has_freed: bool,
    /// Every mixed pack worth a rewrite was rewritten: a further look at all tables would find none.
    is_all_rewritten: bool,
}

/// What follows the mark phase under way.
enum RoomPhase {
    /// The first mark phase. Its end proves that nothing needs the given packs, rewritten and let go of before.
    First { rewritten: Vec<Hash> },
    /// The second, with the marks of the first: packs without a needed chunk go.
    Second(Marks),
    /// Mixed packs: bytes are counted by device, to know whom to give up.
    Counting(Marks, Unnamed),
    /// Mixed packs are rewritten.
    Rewriting(KeptByRewrite, Rewrite),
}

impl Default for RoomPhase {
    fn default() -> Self {
        Self::First { rewritten: Vec::new() }
    }
}

/// What a rewrite has to keep beside the second mark phase's marks.
struct KeptByRewrite {
    /// Marks of the first mark phase.
    marks: Marks,
    /// Devices whose pins no longer count.
    given_up: Vec<Holder>,
    /// Whether chunks without a pin stay.
    spares_unpinned: bool,
}

impl KeptByRewrite {
    fn needed<'a>(&'a self, second: &'a Marks) -> Needed<'a> {
        let spares_unpinned = self.spares_unpinned;
        Needed { marks: [&self.marks, second], given_up: &self.given_up, spares_unpinned }
    }
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
        let is_low = core.members.tightest().is_some_and(|(_, free)| free < core.kept_free_bytes());
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

fn begin(core: &Core, now: WallStamp) -> UnfinishedRound {
    let view = core.ledger();
    UnfinishedRound {
        walk: Walk::begin(&view, &view.at(now)),
        begun_s: now.powered_on_s,
        phase: RoomPhase::default(),
        packs_below: 0,
        anew: core.catalog.times_anew(),
        are_parts_cleared: false,
        to_remove: Vec::new(),
        has_freed: false,
        is_all_rewritten: false,
    }
}

fn under_way() -> Swept {
    Swept { is_under_way: true, ..Swept::default() }
}

/// Other work is in the way.
fn later() -> Swept {
    Swept { gives_way: true, ..under_way() }
}

fn go_on(core: &Core, round: &mut UnfinishedRound, now: WallStamp, chunks_max: u64) -> Result<Swept> {
    if !round.to_remove.is_empty() {
        if !unlink::remove_now(core, &round.to_remove)? {
            return Ok(later());
        }
        let files_removed = std::mem::take(&mut round.to_remove).len() as u64;
        return Ok(Swept { files_removed, ..under_way() });
    }
    if !round.are_parts_cleared {
        let Some(exclusive) = core.exclusively()? else { return Ok(later()) };
        round.has_freed |= clear_parts(core, &exclusive)?;
        round.are_parts_cleared = true;
        // The pack last filled by the refused push was sealed just now.
        round.packs_below = core.catalog.packs.next_number();
        return Ok(under_way());
    }
    round.walk.take_in(&core.ledger());
    if !round.walk.go_on(core, chunks_max)? {
        return Ok(under_way());
    }
    let packs_max = repack::packs_at_once(chunks_max);
    match std::mem::take(&mut round.phase) {
        RoomPhase::First { rewritten } if !rewritten.is_empty() => {
            round.to_remove = rewritten;
            Ok(under_way())
        }
        RoomPhase::First { .. } => {
            let unneeded = unneeded(core, round, |pack| round.walk.marks().has_any(pack));
            if planned_now(core, &unneeded, now).is_empty() && !is_rewrite_wanted(core, round) {
                return Ok(Swept::default());
            }
            round.phase = RoomPhase::Second(walk_anew(core, round, now));
            Ok(under_way())
        }
        RoomPhase::Second(marks) => let_go_of_whole(core, round, marks, now),
        RoomPhase::Counting(marks, mut unnamed) => {
            round.phase = if unnamed.go_on(core, [&marks, round.walk.marks()], packs_max) {
                RoomPhase::Rewriting(kept(core, now, marks, &unnamed), Rewrite::of(older(core, round)))
            } else {
                RoomPhase::Counting(marks, unnamed)
            };
            Ok(under_way())
        }
        RoomPhase::Rewriting(kept, mut rewrite) => {
            if rewrite.go_on(core, &kept.needed(round.walk.marks()), packs_max)? {
                return let_go_of_rewritten(core, round, kept, rewrite, now);
            }
            round.phase = RoomPhase::Rewriting(kept, rewrite);
            Ok(under_way())
        }
    }
}

/// Begins the next mark phase. Returns the marks of the last.
fn walk_anew(core: &Core, round: &mut UnfinishedRound, now: WallStamp) -> Marks {
    let view = core.ledger();
    std::mem::replace(&mut round.walk, Walk::begin(&view, &view.at(now))).into_marks()
}

/// `None` while other work is in the way, or the marks lack a newer snapshot.
fn exclusively<'a>(core: &'a Core, round: &UnfinishedRound) -> Result<Option<Exclusive<'a>>> {
    let is_behind = || round.walk.is_behind(&core.ledger()) || round.anew != core.catalog.times_anew();
    Ok(core.exclusively()?.filter(|_| !is_behind()))
}

/// Lets go of packs without a needed chunk; where none is left and room is still wanted, mixed packs follow.
fn let_go_of_whole(core: &Core, round: &mut UnfinishedRound, first: Marks, now: WallStamp) -> Result<Swept> {
    let Some(exclusive) = exclusively(core, round)? else {
        round.phase = RoomPhase::Second(first);
        return Ok(later());
    };
    // Planned anew: since the first phase a device may have asked for or committed a chunk of these packs.
    let is_needed = |pack| first.has_any(pack) || round.walk.marks().has_any(pack);
    let mut packs = planned_now(core, &unneeded(core, round, is_needed), now);
    packs.truncate(PACKS_AT_ONCE);
    if packs.is_empty() && is_rewrite_wanted(core, round) {
        round.phase = RoomPhase::Counting(first, Unnamed::of(older(core, round)));
        return Ok(under_way());
    }
    if packs.is_empty() {
        return Ok(Swept::default());
    }
    let named: Vec<_> = packs.iter().map(|pack| (pack.number, pack.name, pack.len)).collect();
    let swept = letting_go::sweep_away(core, &exclusive, &named, now)?;
    core.pins().forget(&packs.iter().map(|pack| pack.number).collect(), |_| true);
    round.to_remove = packs.iter().map(|pack| pack.name).collect();
    round.has_freed = true;
    round.phase = RoomPhase::Second(first);
    Ok(Swept { is_under_way: true, ..swept })
}

/// Lets go of the packs that were rewritten. Their files go after the next mark phase.
fn let_go_of_rewritten(
    core: &Core,
    round: &mut UnfinishedRound,
    kept: KeptByRewrite,
    rewrite: Rewrite,
    now: WallStamp,
) -> Result<Swept> {
    let Some(exclusive) = exclusively(core, round)? else {
        round.phase = RoomPhase::Rewriting(kept, rewrite);
        return Ok(later());
    };
    let spare = rewrite.spare(core, &kept.needed(round.walk.marks()));
    if spare.is_empty() {
        return Ok(Swept::default());
    }
    rewrite.copied().pass_on_owners(core, &spare);
    let swept = letting_go::sweep_away(core, &exclusive, &spare, now)?;
    let numbers = spare.iter().map(|(number, ..)| *number).collect();
    core.pins().forget(&numbers, |holder| kept.given_up.contains(holder));
    walk_anew(core, round, now);
    round.phase = RoomPhase::First { rewritten: spare.into_iter().map(|(_, name, _)| name).collect() };
    round.has_freed = true;
    round.is_all_rewritten = rewrite.is_all_rewritten();
    Ok(Swept { is_under_way: true, ..swept })
}

/// Packs from before the round.
fn older(core: &Core, round: &UnfinishedRound) -> Vec<(u32, Hash, u64)> {
    let all = core.catalog.packs.with_lengths().into_iter();
    all.filter(|(number, ..)| *number < round.packs_below).collect()
}

/// Packs without a needed chunk.
fn unneeded(core: &Core, round: &UnfinishedRound, is_needed: impl Fn(u32) -> bool) -> Vec<Candidate> {
    let unneeded = older(core, round)
        .into_iter()
        .filter(|(number, name, _)| !is_needed(*number) && !core.is_doubtful(*number, name));
    unneeded.map(|(number, name, len)| Candidate { number, name, len }).collect()
}

/// Room still to be freed.
fn wanted_bytes(core: &Core) -> u64 {
    (core.reserve_bytes + ROOM_AIM_BYTES).saturating_sub(core.members.free())
}

/// A rewrite costs writes, so only a refusal is worth one.
fn is_rewrite_wanted(core: &Core, round: &UnfinishedRound) -> bool {
    !round.is_all_rewritten && core.pins().is_refused() && wanted_bytes(core) > 0
}

/// History on hold keeps unpinned packs: these may belong to snapshots let go of before.
fn spares_unpinned(core: &Core, now: WallStamp) -> bool {
    let view = core.ledger();
    let now = view.at(now);
    !view.let_go.is_empty() && view.holds_in_force(&now).any(|(_, hold)| hold.source.is_none())
}

fn kept(core: &Core, now: WallStamp, marks: Marks, unnamed: &Unnamed) -> KeptByRewrite {
    let spares_unpinned = spares_unpinned(core, now);
    let room_bytes = core.room_for_uploads();
    let brought = unnamed.bytes.iter().map(|(holder, bytes)| (holder, *bytes)).collect();
    let given_up = given_up(brought, &core.pins(), room_bytes).into_iter().cloned().collect();
    KeptByRewrite { marks, given_up, spares_unpinned }
}

fn planned_now(core: &Core, unneeded: &[Candidate], now: WallStamp) -> Vec<Candidate> {
    let spares_unpinned = spares_unpinned(core, now);
    let (wanted_bytes, room_bytes) = (wanted_bytes(core), core.room_for_uploads());
    let pins = core.pins();
    plan(
        unneeded,
        &pins,
        &Shortage { wanted_bytes, is_refused: pins.is_refused(), spares_unpinned, room_bytes },
    )
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
