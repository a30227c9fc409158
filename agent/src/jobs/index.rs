//! Entering unknown packs into the index: after a loss of the index, or after a power cut took its newest part. Then,
//! once for each start, a look whether every kept chunk is there: a confirmed write lost with the power would go
//! unnoticed otherwise. Later looks cover only damaged snapshots, when a lost part came back. And sealing full
//! chapters of the ledger.
//!
//! Pushes and restores go on meanwhile and enter the packs they need.

use super::{Job, Rest};
use crate::state::Appliance;
use larder_format::ledger::WallStamp;
use std::sync::Arc;
use std::time::Duration;

/// Between two steps while nothing waits.
const REST: Duration = Duration::from_secs(5);
/// The longest wait after a look in which a disk did not answer: each look reads every kept folder.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(3600);

/// Enters packs, looks for losses and seals chapters.
#[derive(Default)]
pub(crate) struct IndexJob {
    looks: Looks,
}

impl Job for IndexJob {
    const NAME: &'static str = "index";

    fn step(&mut self, agent: &Arc<Appliance>, _: WallStamp) -> Rest {
        let is_whole = agent.vault.index_pending() == 0;
        if is_whole && self.looks.is_due() {
            self.looks.note(look(agent));
        }
        self.looks.pass();
        if is_whole && !seal_chapter(agent) { Rest::of(REST) } else { Rest::NONE }
    }
}

/// When to look again.
struct Looks {
    /// From an incomplete look to the next look.
    apart: Duration,
    /// Steps until the next look.
    steps_left: u64,
}

impl Default for Looks {
    fn default() -> Self {
        Self { apart: REST, steps_left: 0 }
    }
}

impl Looks {
    fn is_due(&self) -> bool {
        self.steps_left == 0
    }

    /// A look ended, complete or not.
    fn note(&mut self, is_seen: bool) {
        if is_seen {
            self.apart = REST;
        } else {
            self.steps_left = self.apart.as_secs() / REST.as_secs();
            self.apart = (2 * self.apart).min(LOOK_AGAIN_MAX);
        }
    }

    fn pass(&mut self) {
        self.steps_left = self.steps_left.saturating_sub(1);
    }
}

/// Returns whether there may be more chapters of the ledger to seal.
fn seal_chapter(agent: &Appliance) -> bool {
    agent.vault.seal_chapter().unwrap_or_else(|error| {
        tracing::warn!(%error, "a chapter of the ledger could not be sealed; starts take longer without it");
        false
    })
}

/// Returns whether no look is left to do.
fn look(agent: &Appliance) -> bool {
    let (vault, go_on) = (&agent.vault, || !agent.is_stopping());
    let looked = if vault.is_surveyed() {
        Ok(!vault.has_what_was_missed() || vault.look_at_damaged(&go_on))
    } else {
        vault.look_for_loss(&go_on).map(|pieces| pieces.is_some())
    };
    looked.unwrap_or_else(|error| {
        tracing::warn!(%error, "what is lost could not be written down");
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lives until the next look and returns how many steps passed.
    fn steps_until_due(looks: &mut Looks) -> u64 {
        let mut steps = 0;
        while !looks.is_due() {
            looks.pass();
            steps += 1;
        }
        steps
    }

    #[test]
    fn looks_that_see_nothing_come_less_and_less_often_but_once_an_hour() {
        let mut looks = Looks::default();
        assert!(looks.is_due(), "the first look comes with the start");
        let mut waits = Vec::new();
        for _ in 0..14 {
            looks.note(false);
            waits.push(steps_until_due(&mut looks));
        }
        assert_eq!(waits[..4], [1, 2, 4, 8]);
        assert_eq!(waits[13] * REST.as_secs(), LOOK_AGAIN_MAX.as_secs());
        looks.note(true);
        assert!(looks.is_due(), "later looks cost nothing while nothing was missed");
        looks.note(false);
        assert_eq!(steps_until_due(&mut looks), 1);
    }
}
