//! Present work, and trouble since the start.

use crate::report::RefusedDevice;
use larder_store::ScrubView;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Between two requests of one push or restore; a request after a longer pause begins another.
const PAUSE_MAX_S: u64 = 300;

/// Counters and marks that any task may set.
#[derive(Default)]
pub(crate) struct Activity {
    pub(crate) receiving: AtomicU64,
    pub(crate) restoring: AtomicU64,
    pub(crate) refusals: Refusals,
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

/// So long after the last refusal a computer that did not come again is waited for no more: it may be sold.
const REFUSED_FOR_S: u64 = 24 * 3600;

/// Computers whose pushes were refused for want of room, until one that brings something succeeds.
///
/// A push without changes succeeds on a full disk, and so does one of another computer: neither says that there is room
/// again.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<String, RefusedDevice>>);

impl Refusals {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, RefusedDevice>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of an earlier run. A count of seconds that was lost begins again, and must not make them wait for years.
    pub(crate) fn take_up(&self, earlier: BTreeMap<String, RefusedDevice>, now_s: u64) {
        let until_now = |(device, how): (String, RefusedDevice)| {
            (device, RefusedDevice { at_s: how.at_s.min(now_s), ..how })
        };
        self.all().extend(earlier.into_iter().map(until_now));
    }

    pub(crate) fn refused(&self, device: &str, at_s: u64) {
        self.all().insert(device.to_owned(), RefusedDevice { at_s, has_brought: false });
    }

    pub(crate) fn brought(&self, device: &str) {
        if let Some(refused) = self.all().get_mut(device) {
            refused.has_brought = true;
        }
    }

    /// A push was kept.
    pub(crate) fn kept(&self, device: &str) {
        self.all().retain(|refused, how| refused != device || !how.has_brought);
    }

    /// Computers that wait for room.
    pub(crate) fn waiting(&self, now_s: u64) -> BTreeMap<String, RefusedDevice> {
        let mut all = self.all();
        all.retain(|_, how| now_s.saturating_sub(how.at_s) < REFUSED_FOR_S);
        all.clone()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// On a full disk a push without changes works, and so does another computer's: the lamp would go out and on.
    #[test]
    fn a_refused_computer_waits_until_it_brought_something() {
        let refusals = Refusals::default();
        refusals.refused("laptop", 10);
        refusals.kept("phone");
        refusals.brought("phone");
        refusals.kept("phone");
        refusals.kept("laptop");
        let is_any = |now_s| !refusals.waiting(now_s).is_empty();
        assert!(is_any(20), "nothing came of it");
        refusals.brought("laptop");
        assert!(is_any(20), "nothing was kept");
        refusals.refused("laptop", 30);
        refusals.kept("laptop");
        assert!(is_any(40), "what was brought before was not all");
        refusals.brought("laptop");
        refusals.kept("laptop");
        assert!(!is_any(40));
        refusals.refused("sold", 50);
        assert!(is_any(50 + REFUSED_FOR_S - 1) && !is_any(50 + REFUSED_FOR_S));
    }

    #[test]
    fn a_refused_computer_waits_over_a_restart() {
        let before = Refusals::default();
        before.refused("laptop", 5000);
        before.refused("phone", 5000);
        before.brought("phone");
        let after = Refusals::default();
        after.take_up(before.waiting(5000), 5010);
        assert_eq!(after.waiting(5010), before.waiting(5000));
        after.kept("phone");
        assert_eq!(after.waiting(5010).into_keys().collect::<Vec<_>>(), ["laptop"]);
        // The count of seconds began anew, on another disk.
        let anew = Refusals::default();
        anew.take_up(before.waiting(5000), 7);
        assert!(!anew.waiting(8).is_empty() && anew.waiting(7 + REFUSED_FOR_S).is_empty());
    }
}
