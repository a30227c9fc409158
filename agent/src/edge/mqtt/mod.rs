//! The appliance on MQTT: states, events, and a few commands.
//!
//! No call here can hold up a backup: every call returns at once, a dead broker costs one sleeping task, and every
//! queue is bounded. The rest of the agent hands over a whole `Report` and never thinks about topics.
//!
//! No command over MQTT makes the past smaller, and none ever will: a retained message or a replayed recording could
//! otherwise destroy versions. Not here: the truth (`report`), topic names (`topics`), waiting messages (`outbox`),
//! the connection itself (`link`), a broker for homes without one (`broker`).

#[cfg(feature = "broker")]
pub(crate) mod broker;
mod discovery;
mod entities;
mod failure;
mod head_witness;
mod incoming;
mod last_told;
mod link;
mod outbox;
mod overwritten;
mod reason;
#[cfg(test)]
pub(crate) mod sample;
mod session;
mod settings;
mod system_pace;
#[cfg(all(test, feature = "broker"))]
mod tests;
mod tls;
mod topics;
mod transport;
mod troubles;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use self::outbox::Outbox;
use self::topics::Topics;
use crate::event::MqttCommand;
use crate::report::{Happening, Report, RetainedHead};

pub(crate) use self::failure::FileProblem;
pub(crate) use self::head_witness::HeadOwner;
pub(crate) use self::reason::BrokerTrouble;
pub(crate) use self::settings::BrokerSettings;
pub(crate) use self::tls::file_problems;
pub(crate) use self::troubles::file_in_words;

/// Every command by its topic name; Home Assistant gets a button for each.
pub(crate) const SUPPORTED: [(&str, MqttCommand); 2] =
    [("identify", MqttCommand::Identify), ("acknowledge", MqttCommand::Acknowledge)];

/// How things stand with the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MqttState {
    /// Whether a broker is there right now.
    pub(crate) connected: bool,
    /// When `connected` last changed, or when the agent started.
    pub(crate) since: Timestamp,
    /// Connections made since start.
    pub(crate) connects: u64,
    /// Events waiting for a broker, or for its acknowledgement.
    pub(crate) spooled: u64,
    /// Events given up because too many waited.
    pub(crate) dropped: u64,
    /// Messages refused by the broker: forbidden topics, quotas, sizes.
    pub(crate) refused: u64,
    /// The last trouble; stays until the next trouble.
    pub(crate) last_error: Option<BrokerTrouble>,
    /// What the appliance itself said last of its ledger, found at the broker and not overwritten yet.
    pub(crate) retained_head: Option<RetainedHead>,
    /// No further attempt to connect follows.
    pub(crate) is_given_up: bool,
}

impl MqttState {
    /// No broker is there, and none will be.
    pub(crate) fn given_up(why: String, since: Timestamp) -> Self {
        let (connects, spooled, dropped, refused) = (0, 0, 0, 0);
        let last_error = Some(BrokerTrouble::passing(why));
        let (retained_head, is_given_up) = (None, true);
        Self {
            connected: false,
            since,
            connects,
            spooled,
            dropped,
            refused,
            last_error,
            retained_head,
            is_given_up,
        }
    }
}

/// Shared by handle and link. Locked only for moments, never across an `await`.
#[derive(Debug)]
struct Shared {
    outbox: Mutex<Outbox>,
    standing: Mutex<ConnectionState>,
    /// Rings when an event was told.
    news: Notify,
    topics: Topics,
}

/// The link's part of `MqttState`.
#[derive(Debug, Clone)]
struct ConnectionState {
    connected: bool,
    since: Timestamp,
    connects: u64,
    last_error: Option<BrokerTrouble>,
    retained_head: Option<RetainedHead>,
}

impl Shared {
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // Every change of the outbox is whole before the lock is given back, also on a panic elsewhere.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self) -> MutexGuard<'_, ConnectionState> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle. Dropping it without `stop` breaks the connection, and the broker announces our death.
#[derive(Debug)]
pub(crate) struct Mqtt {
    shared: Arc<Shared>,
    reports: watch::Sender<Option<Arc<Report>>>,
    stopping: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Starts the connection to the broker in the background and returns at once.
///
/// Commands come out of `commands`; with a full queue the sender of a command is told that we are busy. Must be
/// called inside a tokio runtime.
pub(crate) fn start(settings: BrokerSettings, commands: mpsc::Sender<MqttCommand>) -> Mqtt {
    let topics = Topics::new(&settings.node, &settings.uid, &settings.discovery_prefix);
    let standing = ConnectionState {
        connected: false,
        since: Timestamp::now(),
        connects: 0,
        last_error: None,
        retained_head: None,
    };
    let shared = Arc::new(Shared {
        outbox: Mutex::new(Outbox::new(settings.spool_events_max)),
        standing: Mutex::new(standing),
        news: Notify::new(),
        topics,
    });
    let (reports, latest) = watch::channel(None);
    let (stopping, stop_asked) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(link::run(settings, Arc::clone(&shared), latest, commands, stop_asked));
    Mqtt { shared, reports, stopping, tasks }
}

impl Mqtt {
    /// Shows `report` from now on. Only topics with a changed text are sent, `system` at most once a minute.
    pub(crate) fn show(&self, report: Arc<Report>) {
        self.reports.send_replace(Some(report));
    }

    /// Tells an event, now or as soon as a broker is there.
    pub(crate) fn tell(&self, happening: &Happening) {
        self.shared.outbox().tell(&self.shared.topics.event(), topics::json(happening));
        self.shared.news.notify_one();
    }

    /// How things stand with the broker.
    pub(crate) fn state(&self) -> MqttState {
        let ConnectionState { connected, since, connects, last_error, retained_head } =
            self.shared.standing().clone();
        let outbox = self.shared.outbox();
        let undelivered = outbox.undelivered();
        MqttState {
            connected,
            since,
            connects,
            spooled: outbox.spooled(),
            dropped: undelivered.dropped,
            refused: undelivered.refused,
            last_error,
            retained_head,
            is_given_up: false,
        }
    }

    /// Says goodbye: `offline` first, then the waiting messages, each with the broker's acknowledgement, then
    /// disconnects. After `deadline` the connection just ends, and the last will says `offline`.
    pub(crate) async fn stop(mut self, deadline: Duration) {
        self.stopping.send_replace(true);
        if tokio::time::timeout(deadline, self.tasks.join_next()).await.is_err() {
            tracing::warn!("the broker did not confirm our goodbye in time; the last will says it for us");
        }
    }
}
