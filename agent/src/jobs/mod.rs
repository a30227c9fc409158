//! Jobs: work that goes on by itself, one kind per file, each a little at a time.
//!
//! A job does one step and says how long to rest. The loop around the steps is the same for every job, so the loop
//! stands here once: resting, waking, the end of the agent, and a panic in a step. A step is called with the moment,
//! so a test lives through a month without waiting. Not here: the list of jobs at a start (`run`).

pub(crate) mod fill;
pub(crate) mod index;
pub(crate) mod keep;
pub(crate) mod look;
pub(crate) mod names;
pub(crate) mod owners;
pub(crate) mod room;
pub(crate) mod scrub;

use crate::state::Appliance;
use larder_format::ledger::WallStamp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Rest after a panic in a step. Without the rest a step with a sure panic would fill the log and a processor.
const AFTER_PANIC: Duration = Duration::from_secs(60);

/// Work that goes on by itself until the agent ends. The default is a job before its first step.
pub(crate) trait Job: Default + Send + 'static {
    /// For the log.
    const NAME: &'static str;
    /// Comes before the first step of a new job.
    const FIRST: Rest = Rest::NONE;

    /// Comes after a panic in a step.
    const AFTER_PANIC: Rest = Rest::of(AFTER_PANIC);

    /// The job that goes on after a panic in a step of this one, whose state may be half changed.
    fn after_panic(self) -> Self {
        Self::default()
    }

    /// Does a little and says how long to rest. May block on a disk, for seconds at most: a stop waits for its end.
    fn step(&mut self, agent: &Arc<Appliance>, now: WallStamp) -> Rest;
}

/// How long a job rests, and what ends the rest early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rest {
    length: Duration,
    wake: Option<Wake>,
}

impl Rest {
    /// The next step follows at once.
    pub(crate) const NONE: Self = Self::of(Duration::ZERO);

    pub(crate) const fn of(length: Duration) -> Self {
        Self { length, wake: None }
    }

    /// The same rest, ended early by `wake`.
    pub(crate) const fn or_until(self, wake: Wake) -> Self {
        Self { wake: Some(wake), ..self }
    }
}

/// The early end of a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A command of the owner changed the disks in use.
    DisksChanged,
    /// A push was refused for want of room.
    RoomWanted,
    /// The owner wants disks read back.
    ScrubWanted,
}

impl Wake {
    fn bell(self, agent: &Appliance) -> &Notify {
        match self {
            Self::DisksChanged => &agent.disks_changed,
            Self::RoomWanted => &agent.room_wanted,
            Self::ScrubWanted => &agent.activity.scrub_wanted.came,
        }
    }
}

/// Runs a job until the agent ends, and gives the job back then.
pub(crate) async fn run<J: Job>(mut job: J, agent: Arc<Appliance>, mut stop: watch::Receiver<bool>) -> J {
    let mut rest = J::FIRST;
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return job,
            () = take(rest, &agent) => {}
        }
        let blocking_agent = Arc::clone(&agent);
        let stepped = tokio::task::spawn_blocking(move || {
            let stepped =
                catch_unwind(AssertUnwindSafe(|| job.step(&blocking_agent, blocking_agent.stamp())));
            match stepped {
                Ok(rest) => (job, rest),
                Err(_) => {
                    tracing::error!(job = J::NAME, "a step of a job ended badly; it is tried again");
                    (job.after_panic(), J::AFTER_PANIC)
                }
            }
        });
        (job, rest) = stepped.await.unwrap_or_else(|error| {
            tracing::error!(%error, job = J::NAME, "a step of a job did not end; the job begins anew");
            (J::default(), J::AFTER_PANIC)
        });
    }
}

/// The moment after a wait that may have been long: never before `now`.
fn after_waiting(agent: &Appliance, now: WallStamp) -> WallStamp {
    let later = agent.stamp();
    if later.powered_on_s > now.powered_on_s { later } else { now }
}

async fn take(rest: Rest, agent: &Appliance) {
    let Some(wake) = rest.wake else { return tokio::time::sleep(rest.length).await };
    tokio::select! {
        () = wake.bell(agent).notified() => {}
        () = tokio::time::sleep(rest.length) => {}
    }
}

#[cfg(test)]
mod tests;
