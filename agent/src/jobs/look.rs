//! Looking after the disks every few seconds: departed disks are detached, arrived disks are attached.
//!
//! Beside each connected disk lies a socket for `larderd`'s own commands: whichever disk is pulled, the remaining
//! sockets still answer.

use super::{Job, Rest, Wake};
use crate::edge::http::sockets::Sockets;
use crate::event::AgentEvent;
use crate::state::Appliance;
use larder_format::ledger::WallStamp;
use std::sync::Arc;
use std::time::Duration;

/// A departed disk is told within ten seconds: two looks must fit in, and one look at the whole picture.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Looks after the disks and the sockets beside them.
#[derive(Default)]
pub(crate) struct LookJob {
    pub(crate) sockets: Sockets,
}

impl Job for LookJob {
    const NAME: &'static str = "look";

    const FIRST: Rest = Rest::NONE.or_until(Wake::DisksChanged);
    const AFTER_PANIC: Rest = Rest::of(LOOK_EVERY).or_until(Wake::DisksChanged);

    /// The sockets stay: the owner needs commands most when a disk makes the agent misbehave.
    fn after_panic(self) -> Self {
        self
    }

    fn step(&mut self, agent: &Arc<Appliance>, _: WallStamp) -> Rest {
        // Also before the look, which one strange disk may end with a panic each time.
        self.sockets.follow(agent);
        if agent.look_at_disks() {
            agent.tell(AgentEvent::DisksChanged);
        }
        self.sockets.follow(agent);
        Rest::of(LOOK_EVERY).or_until(Wake::DisksChanged)
    }
}
