//! The sweep: gives back the room of chunks that no kept snapshot names, a little at a time.
//!
//! One round walks every kept snapshot and marks what it names, weighs each pack, writes anew what is worth it, and
//! then lets go of the packs in which nothing is needed any more. That last step alone excludes commits, and only takes
//! place if nothing was committed since the walk; everything else runs beside pushes and restores. The order is what
//! keeps promises: new packs durable and proven, then the entry that names the old ones, then a while, then a later walk
//! that finds everything that is kept without them, and only then are files removed. A power cut anywhere leaves either
//! the old packs or the new ones, or both.
//! Not here: which snapshots go (`prune`), what pushes rely on (`pins`), what goes at once where room is short (`unfinished`).

use crate::Result;
use crate::care::unless_held;
use crate::clock::Mark;
use crate::disk::Disk;
use crate::ingest::Growing;
use crate::ledger::append::Alone;
use crate::ledger::view::Access;
use crate::members::{Member, MemberState};
use crate::merge::{Copied, Weighed, Worth};
use crate::packs;
use crate::pins::Pins;
use crate::unfinished::Unfinished;
use crate::vault::Vault;
use crate::walk::Walk;
use larder_format::ledger::{Event, SWEPT_PER_ENTRY_MAX, Stamp};
use larder_format::{Hash, care};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError, RwLockWriteGuard, TryLockError};

/// Merged packs after which the old ones are let go of before more are written: a round that is broken off leaves both.
const MERGED_BETWEEN: usize = 16;
/// Looking at a pack's table takes about as long as looking up so many chunks.
const TABLE_COSTS: u64 = 50;

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

/// The round under way, and what earlier ones have shown.
#[derive(Default)]
pub(crate) struct Sweep {
    pub(crate) round: Option<Round>,
    /// What goes at once, since room is short.
    pub(crate) unfinished: Unfinished,
    /// When the last walk began that found everything, in seconds that the appliance had lived.
    pub(crate) proven_s: Option<u64>,
}

pub(crate) struct Round {
    walk: Walk,
    begun: Mark,
    /// What had been given up when it began.
    lost_before: HashSet<Hash>,
    /// Packs from this number on came later: what the walk found before may lie in them as well by now.
    packs_below: u32,
    /// How often the index had been thrown away.
    anew: u64,
    /// The least room on any disk when it began.
    free: u64,
    /// Packs that have still to be weighed; none as long as the walk has not ended.
    unweighed: Option<Vec<(u32, Hash, u64)>>,
    worth: Worth,
    /// Packs to be written anew.
    to_merge: Option<Vec<Weighed>>,
    /// Packs merged since some were let go of last.
    merged: usize,
    /// Packs in which nothing is needed, or nothing that is not also in a new one.
    spare: Vec<u32>,
    copied: Copied,
}

/// No commit is being checked or written, no pack is open, nothing is repaired, and nobody is being told what is held.
pub(crate) struct Exclusive<'a> {
    alone: Alone<'a>,
    _no_packs: MutexGuard<'a, Growing>,
    _no_repairs: MutexGuard<'a, BTreeMap<String, care::Round>>,
    _no_commits: RwLockWriteGuard<'a, ()>,
}

impl Vault {
    /// Does a piece of the work: looks up about `chunks_max` chunks, or writes one pack, or lets go of some.
    ///
    /// # Errors
    /// `NotFound` or `Damaged` when a kept snapshot is not whole, and then nothing is freed; `Full` or `Disk`. The next
    /// step begins a new round.
    pub fn sweep_step(&self, now: Stamp, chunks_max: u64) -> Result<Swept> {
        let mut sweep = self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = self.ledger().at(now);
        let is_settled = self.pins().turn(now.powered_on_s);
        if let Some(why) = self.sweep_waits(&mark, is_settled) {
            sweep.round = None;
            return Ok(Swept { waits: Some(why), ..Swept::default() });
        }
        // What it still looks for may be what this sweep frees.
        sweep.unfinished.give_up();
        self.take_back_what_was_let_go_in_vain();
        let files_removed = self.remove_some(&mark, sweep.proven_s)?;
        if files_removed > 0 {
            return Ok(Swept { is_under_way: true, files_removed, ..Swept::default() });
        }
        let begun = sweep.round.take().filter(|round| round.anew == self.catalog.times_anew());
        let mut round = begun.unwrap_or_else(|| self.begin_round(mark));
        let swept = self.go_on(&mut round, now, chunks_max)?;
        if round.unweighed.is_some() && round.anew == self.catalog.times_anew() {
            sweep.proven_s = sweep.proven_s.max(Some(round.begun.lived_s));
        }
        if swept.is_under_way {
            sweep.round = Some(round);
        }
        Ok(swept)
    }

    /// Why nothing may be freed at this moment, in words.
    pub(crate) fn sweep_waits(&self, now: &Mark, is_settled: bool) -> Option<String> {
        // What one source has on hold is kept, and so found by the walk.
        if let Some((_, hold)) = self.ledger().holds_in_force(now).find(|(_, hold)| hold.source.is_none()) {
            return Some(format!("history is on hold: {}", hold.reason));
        }
        let in_doubt = self.why_in_doubt();
        in_doubt.or_else(|| (!is_settled).then(|| "the appliance has just started".to_owned()))
    }

    /// Why nobody can tell at this moment what is needed, in words.
    pub(crate) fn why_in_doubt(&self) -> Option<String> {
        if !self.ledger().gaps.is_empty() {
            return Some("the ledger has gaps, so nobody knows what is needed".to_owned());
        }
        if self.access() != Access::Full {
            return Some("a newer Larder has written what this one does not know".to_owned());
        }
        if self.members.all().iter().any(|member| !member.is_healthy() && member.is_missed()) {
            return Some("a disk lacks something, failed or is away".to_owned());
        }
        // What is below a lost folder looks like nothing that anybody needs, and the disk may have the folder.
        let is_away = |member: &Member| member.state() == MemberState::Away;
        if self.damaged_chunks() > 0 && self.members.all().iter().any(|member| is_away(member)) {
            return Some("something is lost that a disk which is away may have".to_owned());
        }
        (self.catalog.pending_count() > 0).then(|| "the index is being made anew".to_owned())
    }

    fn go_on(&self, round: &mut Round, now: Stamp, chunks_max: u64) -> Result<Swept> {
        let under_way = Ok(Swept { is_under_way: true, ..Swept::default() });
        round.walk.take_in(&self.ledger());
        if !round.walk.go_on(self, chunks_max)? {
            return under_way;
        }
        if round.unweighed.is_none() {
            self.catalog.packs.damage.miss_only(round.walk.missed(), &round.lost_before);
        }
        let below = round.packs_below;
        let of_the_walk =
            || self.catalog.packs.with_lengths().into_iter().filter(|(pack, ..)| *pack < below).collect();
        let unweighed = round.unweighed.get_or_insert_with(of_the_walk);
        if !unweighed.is_empty() {
            for pack in unweighed.drain(unweighed.len().saturating_sub(packs_at_once(chunks_max))..) {
                let is_needed =
                    |slot| round.walk.marks().has((pack.0, slot)) || self.pins().has((pack.0, slot));
                let (all_pinned, any_pinned) = {
                    let pins = self.pins();
                    (pins.has_pack(pack.0), pins.has_any(pack.0))
                };
                if all_pinned || self.is_doubtful(pack.0, &pack.1) {
                    // A push is about to name what is in it, or nobody can tell what is, or not all can be copied.
                } else if round.walk.marks().has_any(pack.0) || any_pinned {
                    round.worth.weigh(&self.members, pack, is_needed);
                } else {
                    round.spare.push(pack.0);
                }
            }
            return under_way;
        }
        let to_merge = round.to_merge.get_or_insert_with(|| std::mem::take(&mut round.worth).into_packs());
        if let Some(next) = to_merge.last() {
            if round.merged >= MERGED_BETWEEN {
                let swept = self.let_go_of_packs(round, now)?;
                // Busy: more is merged meanwhile, and it is tried again.
                round.merged = 0;
                return Ok(Swept { is_under_way: true, ..swept });
            }
            if self.has_room_to_merge(next.len, round.free) {
                let walk = &round.walk;
                let is_needed = |at| walk.marks().has(at) || self.pins().has(at);
                let merged = self.merge_some(to_merge, is_needed, &mut round.copied)?;
                round.merged += merged.len().max(1);
                round.spare.extend(merged);
            } else {
                // On a full disk only what costs no room is done.
                to_merge.clear();
            }
            return under_way;
        }
        self.let_go_of_packs(round, now)
    }

    /// Whether nobody can tell what is in the pack, or not all of it can be read.
    pub(crate) fn is_doubtful(&self, pack: u32, name: &Hash) -> bool {
        self.catalog.unreadable().contains(name) || self.catalog.packs.damage.is_in(pack)
    }

    fn begin_round(&self, mark: Mark) -> Round {
        Round {
            walk: Walk::begin(&self.ledger(), &mark),
            begun: mark,
            lost_before: self.catalog.packs.damage.given_up(),
            packs_below: self.catalog.packs.next_number(),
            anew: self.catalog.times_anew(),
            free: self.members.free(),
            unweighed: None,
            worth: Worth::default(),
            to_merge: None,
            merged: 0,
            spare: Vec::new(),
            copied: Copied::default(),
        }
    }

    /// Pushes keep their room as long as they have any; on a disk that is full for them the reserve is there for this
    /// among others, but not all of it. `free_before` was the room when the round began.
    fn has_room_to_merge(&self, bytes: u64, free_before: u64) -> bool {
        let pack = larder_format::pack::PACK_BYTES_AIM;
        let free = self.members.free();
        let for_pushes = self.reserve_bytes + pack;
        let to_be_left = if free >= for_pushes {
            for_pushes.saturating_add(free_before / 4)
        } else {
            self.reserve_bytes / 2
        };
        free >= to_be_left.saturating_add(bytes.max(pack))
    }

    /// The one moment in which packs go.
    fn let_go_of_packs(&self, round: &mut Round, now: Stamp) -> Result<Swept> {
        let later = Ok(Swept { is_under_way: true, gives_way: true, ..Swept::default() });
        let Some(exclusive) = self.exclusively()? else { return later };
        if round.walk.is_behind(&self.ledger()) {
            return later;
        }
        // An old pack does not go for the sake of a new one that went bad since. The next round sees what there is.
        let known = &self.catalog.packs;
        let is_whole = |name| known.number(name).is_some_and(|pack| !known.damage.is_in(pack));
        if round.anew != self.catalog.times_anew() || !round.copied.packs.iter().all(is_whole) {
            round.to_merge = None;
            return Ok(Swept::default());
        }
        let spare = {
            let pins = self.pins();
            let may_go: HashSet<u32> =
                round.spare.iter().filter(|number| round.may_go(**number, &pins)).copied().collect();
            let all = self.catalog.packs.with_lengths().into_iter();
            all.filter(|(number, ..)| may_go.contains(number)).collect::<Vec<_>>()
        };
        if spare.is_empty() {
            return Ok(Swept::default());
        }
        self.sweep_away(&exclusive, &spare, now)
    }

    /// Excludes everybody who could come to need a pack, or bring one back; nothing while one of them is busy: whoever waited
    /// for them would keep others waiting behind.
    pub(crate) fn exclusively(&self) -> Result<Option<Exclusive<'_>>> {
        let no_commits = match self.sweeping.try_write() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Ok(held) => held,
        };
        // A repair that is under way would bring a pack back that goes now.
        let Some(no_repairs) = unless_held(&self.care.rounds) else { return Ok(None) };
        // What is sealed from here on carries the next salt, so it cannot be called like a pack that goes now.
        let no_packs = self.seal_and_hold()?;
        let alone = self.alone()?;
        Ok(Some(Exclusive { alone, _no_packs: no_packs, _no_repairs: no_repairs, _no_commits: no_commits }))
    }

    /// Names the packs in the ledger; nobody finds anything in them any more. Their files stay.
    pub(crate) fn sweep_away(
        &self,
        exclusive: &Exclusive<'_>,
        packs: &[(u32, Hash, u64)],
        now: Stamp,
    ) -> Result<Swept> {
        let numbers: Vec<_> = packs.iter().map(|(number, ..)| *number).collect();
        let seconds = u32::try_from(now.powered_on_s).unwrap_or(u32::MAX);
        let salt = seconds.max(self.catalog.packs.salt().saturating_add(1));
        // First of all: should the entry come to exist and its writing fail, nobody may rely on these packs any more.
        self.catalog.forget(&numbers);
        self.catalog.packs.raise_salt(salt);
        for part in packs.chunks(SWEPT_PER_ENTRY_MAX) {
            let names = part.iter().map(|(_, name, _)| *name).collect();
            self.append_alone(&exclusive.alone, now, Event::Swept { packs: names, salt })?;
        }
        let bytes = packs.iter().map(|(.., len)| len).sum();
        Ok(Swept { packs: packs.len() as u64, bytes, ..Swept::default() })
    }

    /// Packs whose entry was not written after all belong to the vault as before.
    pub(crate) fn take_back_what_was_let_go_in_vain(&self) {
        if self.ledger_uncertain.load(Ordering::SeqCst) {
            return;
        }
        let left = self.catalog.packs.left_to_sweep();
        let in_vain: Vec<_> = {
            let view = self.ledger();
            left.into_iter().filter(|name| !view.swept.contains_key(name)).collect()
        };
        for name in in_vain {
            let all = self.members.all();
            let lengths = all.iter().filter(|member| member.is_readable());
            let mut lengths = lengths
                .filter_map(|member| member.disk.open(&packs::path(&name)).and_then(|file| file.len()).ok());
            self.catalog.packs.no_longer_left(&name);
            if let Some(len) = lengths.next() {
                self.catalog.enter_repaired(&self.members, &name, len);
            }
        }
    }
}

impl Vault {
    /// Whether the pack was swept, so that nothing may bring it back.
    pub(crate) fn is_let_go(&self, name: &Hash) -> bool {
        self.ledger().swept.contains_key(name) || self.catalog.packs.is_left_to_sweep(name)
    }

    /// Drops what the ledger says was swept: it may have come with a disk that knows more, or with an entry of which
    /// nobody knew whether it exists.
    pub(crate) fn obey_sweeps(&self) {
        let view = self.ledger();
        self.catalog.packs.raise_salt(view.salt);
        let known = self.catalog.packs.all().into_iter();
        let gone: Vec<_> =
            known.filter(|(_, name)| view.swept.contains_key(name)).map(|(number, _)| number).collect();
        drop(view);
        self.catalog.forget(&gone);
    }
}

impl Round {
    /// Whether nothing in the pack is needed that does not also lie in a new one.
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

fn packs_at_once(chunks_max: u64) -> usize {
    usize::try_from(chunks_max / TABLE_COSTS).unwrap_or(usize::MAX).max(1)
}
