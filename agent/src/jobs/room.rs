//! Making room: after a push refused for a full disk, the chunks of unfinished uploads are let go of at once.
//!
//! One push larger than the disk would otherwise keep every computer out until the daily round, and longer. The job
//! does not rest between its steps as letting go does, since a push waits for the room. Not here: what may go
//! (`larder_store`), what the rule no longer keeps (`keep`).

use super::{Job, Rest, Wake, after_waiting};
use crate::state::Appliance;
use larder_format::ledger::WallStamp;
use larder_store::Swept;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

/// Until a push is refused, or an hour later: the next push may be refused by then.
const UNTIL_WANTED: Rest = Rest::of(Duration::from_secs(3600)).or_until(Wake::RoomWanted);
/// Before a hindered step is tried again.
const GIVE_WAY: Duration = Duration::from_millis(200);
/// Chunks looked up in one step: well below a second even on a small board, so that a stop has not long to wait.
const STEP_CHUNKS: u64 = 5_000;

/// Makes room on demand.
#[derive(Default)]
pub(crate) struct RoomJob {
    round: Option<RoomRound>,
}

/// A round that is under way.
struct RoomRound {
    packs: u64,
    bytes: u64,
    /// Two sweeps would break off each other's rounds again and again.
    _alone: OwnedMutexGuard<()>,
}

impl Job for RoomJob {
    const NAME: &'static str = "room";
    const FIRST: Rest = UNTIL_WANTED;

    fn step(&mut self, agent: &Arc<Appliance>, now: WallStamp) -> Rest {
        if self.round.is_none() && !agent.vault.is_short_of_room(now) {
            return UNTIL_WANTED;
        }
        let alone = || Arc::clone(&agent.sweeping).blocking_lock_owned();
        let mut round =
            self.round.take().unwrap_or_else(|| RoomRound { packs: 0, bytes: 0, _alone: alone() });
        let Some(swept) = sweep(agent, after_waiting(agent, now)) else { return UNTIL_WANTED };
        round.packs += swept.packs;
        round.bytes += swept.bytes;
        if swept.is_under_way {
            self.round = Some(round);
            return if swept.gives_way { Rest::of(GIVE_WAY) } else { Rest::NONE };
        }
        round.end();
        UNTIL_WANTED
    }
}

impl RoomRound {
    fn end(self) {
        let Self { packs, bytes, .. } = self;
        tracing::info!(packs, bytes, "what unfinished uploads held was let go of, since room was short");
    }
}

/// A step of a round; none where no room can be made at this moment.
fn sweep(agent: &Appliance, now: WallStamp) -> Option<Swept> {
    match agent.vault.sweep_unfinished_step(now, STEP_CHUNKS) {
        Ok(Swept { waits: Some(why), .. }) => {
            tracing::warn!(why, "the disk is full, and no room can be made at this moment");
            None
        }
        Ok(swept) => Some(swept),
        Err(error) => {
            tracing::warn!(%error, "no room could be made; it is tried again when a push is refused");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample;

    #[test]
    fn without_a_lack_of_room_nothing_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let agent = sample::appliance(folder.path());
        let mut job = RoomJob::default();
        assert_eq!(job.step(&agent, agent.stamp()), UNTIL_WANTED);
        assert!(job.round.is_none() && agent.sweeping.try_lock().is_ok());
    }

    /// The daily sweep and the one that makes room would break off each other's rounds.
    #[test]
    fn a_round_keeps_the_daily_sweep_out_until_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let agent =
            sample::appliance_with(folder.path(), |settings| settings.vault.reserve_bytes = u64::MAX / 2);
        let mut job = RoomJob::default();
        let mut rest = job.step(&agent, agent.stamp());
        assert_ne!(rest, UNTIL_WANTED, "the round has a second step");
        while rest != UNTIL_WANTED {
            assert!(agent.sweeping.try_lock().is_err());
            rest = job.step(&agent, agent.stamp());
        }
        assert!(job.round.is_none() && agent.sweeping.try_lock().is_ok());
    }
}
