//! The two sweeps, one step at a time: of what the rule lets go of, and in a hurry of what no snapshot came to name.
//!
//! They share one state, since both at once would mark everything twice in memory. A disk that comes may hold trees that no
//! mark phase under way could see, so both begin anew then.

use crate::Result;
use crate::core::{Core, MarkProof};
use crate::keep::letting_go::{self, Swept};
use crate::keep::unfinished::Unfinished;
use crate::keep::{sweep, unlink};
use larder_format::ledger::Stamp;

/// What is under way.
#[derive(Default)]
pub(crate) struct Sweeps {
    by_rule: Option<sweep::Round>,
    /// What goes at once, since room is short.
    unfinished: Unfinished,
    /// Disks that had come when the last step was made.
    disks_come: u64,
}

impl Sweeps {
    /// Begins anew if a disk came since the last step.
    fn heed(&mut self, proof: &MarkProof) {
        if self.disks_come != proof.disks_come {
            *self = Self { disks_come: proof.disks_come, ..Self::default() };
        }
    }

    /// Whether a step of the sweep of unfinished uploads has a reason to begin.
    pub(crate) fn is_short_of_room(&mut self, core: &Core, now: Stamp) -> bool {
        self.heed(&core.mark_proof.lock());
        self.unfinished.is_wanted(core, now)
    }

    /// Does a piece of the work: looks up about `chunks_max` chunks, or writes one pack, or lets go of some.
    pub(crate) fn step(&mut self, core: &Core, now: Stamp, chunks_max: u64) -> Result<Swept> {
        let mut proof = core.mark_proof.lock();
        self.heed(&proof);
        let mark = core.ledger().at(now);
        let is_settled = core.pins().turn(now.powered_on_s);
        if let Some(why) = letting_go::sweep_waits(core, &mark, is_settled) {
            self.by_rule = None;
            return Ok(Swept { waits: Some(why), ..Swept::default() });
        }
        // What it still looks for may be what this sweep frees.
        self.unfinished.give_up();
        letting_go::take_back_what_was_let_go_in_vain(core);
        let files_removed = unlink::remove_some(core, &mark, proof.proven_s)?;
        if files_removed > 0 {
            return Ok(Swept { is_under_way: true, files_removed, ..Swept::default() });
        }
        let begun = self.by_rule.take().filter(|round| round.is_of_use(core));
        let mut round = begun.unwrap_or_else(|| sweep::begin_round(core, mark));
        let swept = sweep::go_on(core, &mut round, now, chunks_max)?;
        proof.proven_s = proof.proven_s.max(round.proven_s(core));
        if swept.is_under_way {
            self.by_rule = Some(round);
        }
        Ok(swept)
    }

    /// Does a piece of making room: looks up about `chunks_max` chunks, or lets go of some packs, or removes their files. It
    /// needs no clock that can be relied on and does not wait for a hold, since it touches nothing that was ever kept.
    pub(crate) fn unfinished_step(&mut self, core: &Core, now: Stamp, chunks_max: u64) -> Result<Swept> {
        // A disk that comes meanwhile waits.
        let proof = core.mark_proof.lock();
        self.heed(&proof);
        core.pins().turn(now.powered_on_s);
        if let Some(why) = core.why_in_doubt() {
            self.unfinished.give_up();
            return Ok(Swept { waits: Some(why), ..Swept::default() });
        }
        letting_go::take_back_what_was_let_go_in_vain(core);
        self.by_rule = None;
        self.unfinished.step(core, now, chunks_max)
    }
}
