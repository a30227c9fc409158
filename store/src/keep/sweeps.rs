//! The two sweeps, one step at a time: the sweep by rule, and the hurried sweep of chunks without a snapshot.
//!
//! Both share one state, since two mark phases at once would hold every mark twice in memory. A new disk may hold trees
//! invisible to the current mark phase, so both then begin anew.

use crate::Result;
use crate::core::{Core, MarkProof};
use crate::keep::letting_go::{self, Swept};
use crate::keep::unfinished::Unfinished;
use crate::keep::{sweep, unlink};
use larder_format::ledger::WallStamp;

/// Sweeps under way.
#[derive(Default)]
pub(crate) struct Sweeps {
    by_rule: Option<sweep::SweepRound>,
    /// Immediate release for want of room.
    unfinished: Unfinished,
    /// Disks arrived by the last step.
    disks_come: u64,
}

impl Sweeps {
    /// Begins anew after the arrival of a disk since the last step.
    fn heed(&mut self, proof: &MarkProof) {
        if self.disks_come != proof.disks_come {
            *self = Self { disks_come: proof.disks_come, ..Self::default() };
        }
    }

    /// Whether a step of the sweep of unfinished uploads has a reason to begin.
    pub(crate) fn is_short_of_room(&mut self, core: &Core, now: WallStamp) -> bool {
        self.heed(&core.mark_proof.lock());
        self.unfinished.is_wanted(core, now)
    }

    /// Does one piece of work: looks up about `chunks_max` chunks, writes one pack, or lets go of a few.
    pub(crate) fn step(&mut self, core: &Core, now: WallStamp, chunks_max: u64) -> Result<Swept> {
        let mut proof = core.mark_proof.lock();
        self.heed(&proof);
        let mark = core.ledger().at(now);
        let is_settled = core.pins().turn(now.powered_on_s);
        if let Some(why) = letting_go::sweep_waits(core, &mark, is_settled) {
            self.by_rule = None;
            return Ok(Swept { waits: Some(why), ..Swept::default() });
        }
        // The other sweep may look for chunks freed by this sweep.
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

    /// Makes room, one piece at a time: looks up about `chunks_max` chunks, lets go of a few packs, or unlinks their
    /// files. Needs no trusted clock and does not wait for a hold, since no chunk ever kept is touched.
    pub(crate) fn unfinished_step(&mut self, core: &Core, now: WallStamp, chunks_max: u64) -> Result<Swept> {
        // A disk arriving meanwhile waits.
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
