//! What the parts of the agent share: the vault, the clock, the settings, and what is going on.
//!
//! Everything in here may be used from any task. Whatever touches the vault blocks on a disk, so it goes through
//! `blocking`. Not here: who wakes whom (`run`), what anything means (`decide`).

use crate::edge::clock::Clock;
use crate::event::Event;
use crate::history::History;
use crate::report::Report;
use crate::shelf::Shelf;
use larder_firmware_config::Settings;
use larder_store::{StoreError, Vault};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinError;

/// Memory for uploads is handed out in pieces of this size.
pub(crate) const UPLOAD_UNIT_BYTES: usize = 64 * 1024;
/// Between two requests of one push or restore; after a longer pause the next one begins another.
const PAUSE_MAX_S: u64 = 300;
/// Restores that read at the same time, and as many listings beside them; each holds a few opened blocks.
const FETCHES_MAX: usize = 4;

/// The agent's shared state.
pub(crate) struct Appliance {
    pub(crate) vault: Vault,
    pub(crate) shelf: Shelf,
    /// Wakes whoever looks after the disks.
    pub(crate) disks_changed: Notify,
    /// Wakes whoever makes room for pushes.
    pub(crate) room_wanted: Notify,
    /// Held during a step of a sweep, and during a whole round of one that makes room.
    pub(crate) sweeping: tokio::sync::Mutex<()>,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) history: RwLock<History>,
    pub(crate) activity: Activity,
    /// Pieces of memory that uploads may still take.
    pub(crate) upload_memory: Semaphore,
    pub(crate) fetches: Arc<Semaphore>,
    pub(crate) listings: Arc<Semaphore>,
    pub(crate) report: watch::Receiver<Arc<Report>>,
    events: mpsc::Sender<Event>,
}

/// What is going on right now, and what went wrong since the start.
#[derive(Default)]
pub(crate) struct Activity {
    pub(crate) receiving: AtomicU64,
    pub(crate) restoring: AtomicU64,
    /// Pushes that were refused for want of room since the last one that was not.
    pub(crate) refused_full: AtomicU64,
    /// Disks that are to be read back now, because the owner asked for it.
    pub(crate) scrub_wanted: crate::jobs::scrub::Wanted,
    /// When each device last sent something, and last fetched something, in seconds switched on.
    lately: Mutex<HashMap<(Traffic, String), u64>>,
}

/// What a device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Traffic {
    Push,
    Restore,
}

impl Activity {
    /// Whether this is the first request of a push or restore, and not one of its thousands: the events of one must not push
    /// everything else out of what waits for a broker.
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

/// Counts one as long as it lives.
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

impl Appliance {
    pub(crate) fn new(
        (vault, shelf): (Vault, Shelf),
        settings: Settings,
        clock: Clock,
        report: watch::Receiver<Arc<Report>>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let units =
            usize::try_from(settings.network.upload_memory_bytes).unwrap_or(usize::MAX) / UPLOAD_UNIT_BYTES;
        Self {
            vault,
            shelf,
            disks_changed: Notify::new(),
            room_wanted: Notify::new(),
            sweeping: tokio::sync::Mutex::default(),
            clock,
            history: RwLock::default(),
            activity: Activity::default(),
            upload_memory: Semaphore::new(units.min(Semaphore::MAX_PERMITS)),
            fetches: Arc::new(Semaphore::new(FETCHES_MAX)),
            listings: Arc::new(Semaphore::new(FETCHES_MAX)),
            report,
            events,
            settings,
        }
    }

    /// Runs what blocks on a disk away from the tasks that must keep answering.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let appliance = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&appliance)).await.map_err(broke_off)
    }

    /// Tells the loop. If it is so far behind that the queue is full, the event is dropped: the loop looks at
    /// everything once in a while anyway, and a push must not wait for it.
    pub(crate) fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            tracing::warn!("the loop is busy; an event was dropped");
        }
    }
}

/// Work that panicked.
pub(crate) fn broke_off(error: JoinError) -> StoreError {
    StoreError::Disk { path: "the agent's own work".to_owned(), source: std::io::Error::other(error) }
}

/// Whether work of the agent itself broke off: no disk is to blame, and nobody should look at a cable.
pub(crate) fn is_own_fault(error: &StoreError) -> bool {
    let StoreError::Disk { source, .. } = error else { return false };
    source.get_ref().is_some_and(|cause| cause.is::<JoinError>())
}
