//! Present work, and trouble since the start.

use larder_store::ScrubView;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Between two requests of one push or restore; a request after a longer pause begins another.
const PAUSE_MAX_S: u64 = 300;

/// Counters and marks that any task may set.
#[derive(Default)]
pub(crate) struct Activity {
    pub(crate) receiving: AtomicU64,
    pub(crate) restoring: AtomicU64,
    /// Pushes refused for want of room since the last successful push.
    pub(crate) refused_full: AtomicU64,
    /// Disks to be read back now, on the owner's wish.
    pub(crate) scrub_wanted: ScrubWanted,
    /// When each device last sent, and last fetched, in seconds switched on.
    lately: Mutex<HashMap<(Traffic, String), u64>>,
}

/// What a device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Traffic {
    Push,
    Restore,
}

impl Activity {
    /// Whether a push or a restore is under way, so that background work gives way.
    pub(crate) fn is_busy(&self) -> bool {
        [&self.receiving, &self.restoring].iter().any(|counter| counter.load(Ordering::SeqCst) > 0)
    }

    /// Whether this is the first request of a push or restore, and not one of its thousands: the events of one push
    /// must not crowd the spool of a broker.
    pub(crate) fn begins(&self, traffic: Traffic, device: &str, now_s: u64) -> bool {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let before = lately.insert((traffic, device.to_owned()), now_s);
        before.is_none_or(|before| now_s.saturating_sub(before) > PAUSE_MAX_S)
    }

    /// The device's next request belongs to another push.
    pub(crate) fn ends(&self, traffic: Traffic, device: &str) {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner).remove(&(traffic, device.to_owned()));
    }
}

/// Counts one piece of work during its lifetime.
pub(crate) struct Busy<'a>(&'a AtomicU64);

impl<'a> Busy<'a> {
    pub(crate) fn with(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Disks, by name, that the owner wants read now from end to end.
#[derive(Default)]
pub(crate) struct ScrubWanted {
    disks: Mutex<HashSet<String>>,
    /// Ends a rest: whoever asks waits for the answer.
    pub(crate) came: tokio::sync::Notify,
}

impl ScrubWanted {
    fn disks(&self) -> MutexGuard<'_, HashSet<String>> {
        self.disks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, disk: String) {
        self.disks().insert(disk);
        self.came.notify_one();
    }

    pub(crate) fn has(&self, disk: &str) -> bool {
        self.disks().contains(disk)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.disks().is_empty()
    }

    pub(crate) fn done(&self, disk: &str) {
        self.disks().remove(disk);
    }

    /// A disk that has left is not waited for: the wait would never end.
    pub(crate) fn keep_connected(&self, connected: &[ScrubView]) {
        self.disks().retain(|wanted| connected.iter().any(|view| view.disk == *wanted));
    }
}
