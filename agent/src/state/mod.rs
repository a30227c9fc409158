//! The shared state of the agent's parts: vault, clock, settings, present work.
//!
//! Any task may use the state. A call to the vault blocks on a disk, so it goes through `blocking`. Not here: who
//! wakes whom (`run`), the meaning (`decide`).

pub(crate) mod activity;
pub(crate) mod daily_wishes;
mod disks;
pub(crate) mod gather;
pub(crate) mod history;
pub(crate) mod keeping;
pub(crate) mod key_uses;
pub(crate) mod opening;
pub(crate) mod pairing;
pub(crate) mod registry;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod signer;
pub(crate) mod turns;
pub(crate) mod upload_memory;
mod witness;

use crate::edge::clock::Clock;
use crate::edge::disks::FOLDER;
use crate::event::AgentEvent;
use crate::report::Report;
use crate::state::activity::Activity;
use crate::state::daily_wishes::DailyWishes;
use crate::state::history::History;
use crate::state::key_uses::KeyUses;
use crate::state::opening::Opening;
use crate::state::pairing::PairingWindows;
use crate::state::registry::DiskRegistry;
use crate::state::signer::HeadSigner;
use crate::state::turns::Turns;
use crate::state::upload_memory::UploadMemory;
use larder_firmware_config::Settings;
use larder_format::statement::vault_name;
use larder_format::{Hash, layout};
use larder_store::{NameIndex, StoreError, Vault};
use larder_trust::{BrowserIdentity, SecretKey};
use std::sync::{Arc, RwLock};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinError;

/// Restores that read at the same time, as many listings, and as many look-ups; each holds a few opened blocks.
const READS_MAX: usize = 4;
/// A look-up that takes longer breaks off: a pattern of 4 KiB against millions of names would hold a place for hours.
const LOOK_UP_MAX_S: u64 = 60;
/// Of these for one device: a restore asks for three answers at once.
const READS_OF_DEVICE_MAX: usize = 3;

/// The agent's shared state.
pub(crate) struct Appliance {
    pub(crate) vault: Vault,
    pub(crate) registry: DiskRegistry,
    /// Wakes the look at the disks.
    pub(crate) disks_changed: Notify,
    /// Wakes the job that makes room.
    pub(crate) room_wanted: Notify,
    /// Held during a step of a sweep, and during a whole round of making room.
    pub(crate) sweeping: Arc<tokio::sync::Mutex<()>>,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) history: RwLock<History>,
    pub(crate) activity: Activity,
    /// When each key was last used.
    pub(crate) key_uses: KeyUses,
    /// The key by which computers know this appliance.
    pub(crate) box_key: SecretKey,
    /// Signs with that key.
    pub(crate) signer: HeadSigner,
    /// What browsers see in its place.
    pub(crate) browser_identity: BrowserIdentity,
    pub(crate) pairing: PairingWindows,
    pub(crate) wishes: DailyWishes,
    /// Told whenever keys are ended.
    keys_ended: watch::Sender<()>,
    pub(crate) upload_memory: Arc<UploadMemory>,
    pub(crate) fetches: Turns,
    pub(crate) listings: Turns,
    /// Apart from the listings, which last as long as their reader likes.
    look_ups: Turns,
    pub(crate) report: watch::Receiver<Arc<Report>>,
    events: mpsc::Sender<AgentEvent>,
    stop: watch::Receiver<bool>,
}

/// The queues between an appliance and its loop.
pub(crate) struct Wires {
    /// The newest report.
    pub(crate) report: watch::Receiver<Arc<Report>>,
    /// Events are told here.
    pub(crate) events: mpsc::Sender<AgentEvent>,
    /// Turns true when the agent ends.
    pub(crate) stop: watch::Receiver<bool>,
}

impl Appliance {
    pub(crate) fn new(opening: Opening, settings: Settings, wires: Wires) -> Self {
        let Opening { vault, registry, clock, box_key, browser_identity, .. } = opening;
        let Wires { report, events, stop } = wires;
        let upload_bytes = usize::try_from(settings.network.upload_memory_bytes).unwrap_or(usize::MAX);
        let key_uses = KeyUses::load(&registry.primary().join(FOLDER));
        let name = vault_name(&vault.id()).expect("a vault is called by 16 bytes in hex");
        let signer = HeadSigner::new(box_key.clone(), name);
        let turns = || Turns::new(READS_MAX, READS_OF_DEVICE_MAX);
        Self {
            vault,
            registry,
            disks_changed: Notify::new(),
            room_wanted: Notify::new(),
            sweeping: Arc::default(),
            clock,
            history: RwLock::default(),
            activity: Activity::default(),
            key_uses,
            box_key,
            signer,
            browser_identity,
            pairing: PairingWindows::default(),
            wishes: DailyWishes::default(),
            keys_ended: watch::Sender::new(()),
            upload_memory: Arc::new(UploadMemory::new(upload_bytes)),
            fetches: turns(),
            listings: turns(),
            look_ups: turns(),
            report,
            events,
            stop,
            settings,
        }
    }

    /// Runs blocking work on a disk away from the tasks that must keep answering.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let appliance = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&appliance)).await.map_err(broke_off)
    }

    /// Looks into the past for a device, in one of the few places for look-ups: each look-up holds opened nodes.
    pub(crate) async fn looking_up<T: Send + 'static>(
        self: &Arc<Self>,
        device: &str,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.looking_up_long(device, |appliance, _| work(appliance)).await
    }

    /// The same for work that may take long. The work is to break off once nobody waits for the answer any more: the
    /// callers of a few dropped connections would otherwise hold all places.
    pub(crate) async fn looking_up_long<T: Send + 'static>(
        self: &Arc<Self>,
        device: &str,
        work: impl FnOnce(&Self, &dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.look_ups.take(device).await;
        let (waits, begun_s) = (Arc::new(()), self.clock.powered_on_s());
        let is_awaited = Arc::downgrade(&waits);
        // The place goes along: the work outlives the caller's connection.
        let work = self.blocking(move |appliance| {
            let go_on = || {
                is_awaited.strong_count() > 0
                    && appliance.clock.powered_on_s() <= begun_s + LOOK_UP_MAX_S
                    && !appliance.is_stopping()
            };
            let found = work(appliance, &go_on);
            drop(turn);
            found
        });
        let found = work.await;
        drop(waits);
        found
    }

    /// Writes down what the agent itself counts; at once when `force`.
    pub(crate) fn save_counts(&self, force: bool) {
        self.clock.save(force);
        let is_in_force = |key: &Hash| self.vault.ledger().pairings.contains_key(key);
        let now_ms = (!force).then(|| self.stamp().time_ms);
        self.key_uses.save(&self.registry.primary().join(FOLDER), is_in_force, now_ms);
    }

    /// The index of names, beside the index of chunks.
    pub(crate) fn names(&self) -> NameIndex {
        let of_disk = || self.registry.primary().join(FOLDER);
        let folder = self.settings.vault.index.clone().unwrap_or_else(of_disk);
        self.vault.name_index(folder.join(layout::NAMES))
    }

    /// Whether the agent is about to end, so that long work breaks off.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Tells the loop. With a full queue the event is dropped: the loop looks at the whole box once in a while
    /// anyway, and a push must not wait for the loop.
    pub(crate) fn tell(&self, event: AgentEvent) {
        if self.events.try_send(event).is_err() {
            tracing::warn!("the loop is busy; an event was dropped");
        }
    }
}

/// Work that panicked.
pub(crate) fn broke_off(error: JoinError) -> StoreError {
    StoreError::Disk { path: "the agent's own work".to_owned(), source: std::io::Error::other(error) }
}

/// Whether work of the agent itself broke off: no disk is to blame, and no cable needs a look.
pub(crate) fn is_own_fault(error: &StoreError) -> bool {
    let StoreError::Disk { source, .. } = error else { return false };
    source.get_ref().is_some_and(|cause| cause.is::<JoinError>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    /// Whoever asks and leaves, again and again, must not keep every place for look-ups busy.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_look_up_ends_when_its_asker_leaves() {
        let folder = tempfile::tempdir().expect("a folder");
        let appliance = sample::appliance(folder.path());
        let (begun, begins) = channel();
        let (ended, ends) = channel();
        let asked = Arc::clone(&appliance);
        let asker = tokio::spawn(async move {
            let work = move |_: &Appliance, go_on: &dyn Fn() -> bool| {
                begun.send(go_on()).expect("heard");
                while go_on() {
                    std::thread::yield_now();
                }
                ended.send(()).expect("heard");
            };
            asked.looking_up_long("laptop", work).await
        });
        assert!(begins.recv_timeout(Duration::from_secs(20)).expect("begun"), "it is awaited");
        asker.abort();
        assert!(asker.await.is_err());
        ends.recv_timeout(Duration::from_secs(LOOK_UP_MAX_S / 2))
            .expect("it breaks off before its time is over");
    }
}
