//! How long a request is repeated, and who is told meanwhile.
//!
//! Not here: the requests (`connection`).

use crate::{ClientError, NoAnswer};
use backon::{BlockingRetryable, ExponentialBuilder};
use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

/// Between two attempts.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Pauses of a request together: longer than a box needs after a power cut, half a minute to boot and a minute to
/// wait for disks (`SPIN_UP` in agent/src/run.rs).
const RETRY_FOR: Duration = Duration::from_secs(120);
/// Pauses before the first answer together, for a person who waits.
const FIRST_CONTACT_FOR: Duration = Duration::from_secs(3);

/// Takes the failure, and how long the request will be repeated.
pub(super) type OnOutage = Box<dyn Fn(&ClientError, Duration) + Send + Sync>;

pub(super) struct RequestPatience {
    pub(super) retry_for: Duration,
    /// Whether somebody waits for the first answer and would rather hear of a wrong address.
    pub(super) is_awaited: bool,
    /// Set by the first answer.
    pub(super) is_met: Arc<AtomicBool>,
    /// Called at the first failed request of an outage that is waited out.
    pub(super) on_outage: Option<OnOutage>,
    /// Whether `on_outage` was called for the present outage.
    is_outage_told: AtomicBool,
}

impl RequestPatience {
    pub(super) fn new() -> Self {
        Self {
            retry_for: RETRY_FOR,
            is_awaited: false,
            is_met: Arc::default(),
            on_outage: None,
            is_outage_told: AtomicBool::new(false),
        }
    }

    /// Repeats a request as long as its failure may pass.
    ///
    /// # Errors
    /// The last of `ask`.
    pub(super) fn ask<T>(&self, mut ask: impl FnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSE_MIN)
            .with_max_delay(PAUSE_MAX)
            .with_total_delay(Some(self.retry_for))
            .with_jitter();
        let pauses =
            if self.retry_for.is_zero() { pauses.with_max_times(0) } else { pauses.without_max_times() };
        let paused = Cell::new(Duration::ZERO);
        let asked = || {
            let answer = ask();
            if !matches!(answer, Err(ClientError::Unreachable { .. })) {
                self.is_met.store(true, Relaxed);
                self.is_outage_told.store(false, Relaxed);
            }
            answer
        };
        asked
            .retry(pauses)
            .when(|trouble| trouble.is_passing() && !self.is_first_contact_over(trouble, paused.get()))
            .notify(|trouble, pause| {
                paused.set(paused.get() + pause);
                self.tell_outage(trouble);
            })
            .call()
    }

    /// Whether a person should hear now that nobody answers.
    fn is_first_contact_over(&self, trouble: &ClientError, paused: Duration) -> bool {
        let ClientError::Unreachable { why, .. } = trouble else { return false };
        // A restarting box refuses for a moment; an unknown name stays unknown, and the other causes took their time.
        let may_pass_soon = matches!(why, NoAnswer::NothingListens | NoAnswer::BrokenOff);
        let is_first = self.is_awaited && !self.is_met.load(Relaxed);
        is_first && !(may_pass_soon && paused < FIRST_CONTACT_FOR)
    }

    fn tell_outage(&self, trouble: &ClientError) {
        let is_outage = matches!(trouble, ClientError::Unreachable { .. });
        let is_waited_out = !self.is_awaited || self.is_met.load(Relaxed);
        if let Some(tell) = &self.on_outage
            && is_outage
            && is_waited_out
            && !self.is_outage_told.swap(true, Relaxed)
        {
            tell(trouble, self.retry_for);
        }
    }
}
