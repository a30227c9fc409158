//! Backups by themselves: the timers and services of the system, and what this computer remembers of each.
//!
//! The owner's wishes lie in a file of our own for each scheduled folder. A timer or service only says "run the push called so",
//! so that another system needs a `Scheduler` and nothing else. Not here: the words of `larder schedule` (`owner`), and
//! the push itself.

mod last_push;
mod metered;
mod scheduled;
mod systemd;
mod times;
mod units;
mod waits;

pub(crate) use last_push::{LastPush, LastPushes, PushOutcome};
pub(crate) use metered::{MeteredLine, is_metered};
pub(crate) use scheduled::{ScheduledPush, ScheduledPushes};
pub(crate) use systemd::Systemd;
pub(crate) use times::{Every, PushTimes, TimeOfDay};
pub(crate) use units::UnitScope;
pub(crate) use waits::{BELIEVED, PowerAndLine, WaitsFor};

use crate::ClientError;
use jiff::Timestamp;
use std::path::PathBuf;

/// The part of the system that starts programs at times.
pub(crate) trait Scheduler {
    /// Has the push run at its times, or all the time, from now on, also after a restart of the computer.
    ///
    /// # Errors
    /// `Local` where the scheduler refuses or is missing.
    fn install(&self, job: &PushJob) -> Result<(), ClientError>;

    /// Ends the push called `name`; nothing happens where there is no such push.
    ///
    /// # Errors
    /// As `install`.
    fn remove(&self, name: &str) -> Result<(), ClientError>;

    /// What the scheduler knows of the push called `name`.
    ///
    /// # Errors
    /// As `install`.
    fn state(&self, name: &str) -> Result<JobState, ClientError>;

    /// Has pushes run also while the account is logged out.
    fn run_logged_out(&self) -> LoggedOut;
}

/// A push for the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PushJob {
    /// Letters, digits, `-`, `_` and `.` only.
    pub(crate) name: String,
    /// Words for lists of timers.
    pub(crate) about: String,
    /// Path of this program.
    pub(crate) program: PathBuf,
    pub(crate) start: ScheduledStart,
    pub(crate) power: PowerWish,
    /// Variables that lead to the owner's files.
    pub(crate) variables: Vec<(String, String)>,
}

/// When a push runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScheduledStart {
    At(PushTimes),
    /// All the time: changes travel within seconds.
    Watching,
}

impl ScheduledStart {
    /// The times in words.
    pub(crate) fn in_words(self) -> String {
        match self {
            Self::At(times) => times.in_words(),
            Self::Watching => "within seconds of a change".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PowerWish {
    /// Wait for the mains.
    Mains,
    Any,
}

/// What a scheduler knows of a push.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct JobState {
    /// Whether the timer, or the watch, runs.
    pub(crate) is_active: bool,
    /// Whether the watch failed and is started again after a pause.
    pub(crate) is_retrying: bool,
    pub(crate) next: Option<Timestamp>,
    /// Whether the last time was passed over for want of the mains.
    pub(crate) waits_for_mains: bool,
}

/// Whether pushes run while the account is logged out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LoggedOut {
    Runs,
    /// Only while somebody is logged in, because of this.
    Waits(String),
}
