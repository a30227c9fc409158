//! The connection to the broker: one try after the other, for as long as the agent lives.
//!
//! Two tasks, because a network that does not take a message must not hold up whoever has the next one. The
//! *session* (`session`) passes on what happens. The *link* owns the rest and never waits for the session.
//! Every try gets a new session: after an error the library's own queues hold leftovers that collide with later
//! messages, and the outbox knows better what is missing.
//!
//! Not here: opening a connection (`transport`), waiting messages (`outbox`), commands and other incoming messages
//! (`incoming`).

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use rumqttc::Outgoing;
use rumqttc::v5::Event;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, LastWill, Login, Packet, PubAck, PubAckReason};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::discovery::{self, Identity};
use super::head_witness::HeadWitness;
use super::incoming::{Inbound, spread};
use super::outbox::BrokerAnswer;
use super::reason::{BrokerTrouble, reason};
use super::session::{Introduction, PACKET_BYTES_MAX, RequestQueue, disconnected};
use super::settings::BrokerSettings;
use super::system_pace::SystemPace;
use super::topics::{OFFLINE, ONLINE, is_whole};
use super::{SUPPORTED, Shared, transport, troubles};
use crate::event::MqttCommand;
use crate::report::Report;

/// Headroom of a packet beyond topic and text: header, packet id, properties.
const PACKET_EXTRA_BYTES: usize = 64;
/// The session's queue. Above the window of 32 with room for subscriptions and answers, so that handing over a
/// message never has to wait.
const QUEUE_MESSAGES: usize = 96;
/// Events between session and link.
const EVENTS_MAX: usize = 64;
/// The session does not notice when a broker stops reading while we write; then the pings stop too.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// A connection that lived this long was sound, and the next pause is short again.
const SOUND_AFTER: Duration = Duration::from_secs(30);

/// How one connection ended.
enum End {
    Stopped,
    Broken,
}

/// How waiting for a try ended.
enum Standby {
    Stopped,
    Ready,
}

/// Connects, and connects again, until it is asked to stop.
pub(super) async fn run(
    settings: BrokerSettings,
    shared: Arc<Shared>,
    latest: watch::Receiver<Option<Arc<Report>>>,
    commands: mpsc::Sender<MqttCommand>,
    mut stop_asked: watch::Receiver<bool>,
) {
    // First, so that availability leads after every reconnect too.
    shared.outbox().show(&shared.topics.availability(), ONLINE.to_owned());
    let witness = HeadWitness::new(settings.head_owner.clone(), settings.is_own_broker);
    let inbound = Inbound::new(Arc::clone(&shared), commands, &settings.uid, witness);
    let mut link = BrokerLink { settings, shared, latest, inbound, system: SystemPace::default() };
    let mut pauses = pauses(&link.settings.uid);
    loop {
        if matches!(link.dates_can_be_judged(&mut stop_asked).await, Standby::Stopped) {
            return;
        }
        let started = Instant::now();
        if matches!(link.connection(&mut stop_asked).await, End::Stopped) {
            return;
        }
        if started.elapsed() > SOUND_AFTER {
            pauses = self::pauses(&link.settings.uid);
        }
        tokio::select! {
            () = sleep(pauses.next().unwrap_or(SILENCE_MAX)) => {}
            () = stop_requested(&mut stop_asked) => return,
        }
    }
}

/// Pauses between tries: 0.5 s to 1 s at first, 15 s to 30 s in the end. Spread differently for each appliance: a
/// house full of devices must not storm a returning broker.
fn pauses(uid: &str) -> impl Iterator<Item = Duration> + use<> {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(15))
        .without_max_times()
        .with_jitter()
        .with_jitter_seed(spread(uid))
        .build()
}

/// Ends when a stop was asked for, also when the handle is gone.
async fn stop_requested(stop_asked: &mut watch::Receiver<bool>) {
    // An error means a dropped handle; the tasks are being aborted, and waiting on is all there is to do.
    if stop_asked.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Everything the link knows between connections.
struct BrokerLink {
    settings: BrokerSettings,
    shared: Arc<Shared>,
    latest: watch::Receiver<Option<Arc<Report>>>,
    inbound: Inbound,
    system: SystemPace,
}

/// One connection in use.
struct OpenLine {
    requests: RequestQueue,
    /// Whether the broker has welcomed us; before the welcome, no message is handed to the session.
    up: bool,
    /// When the session last had anything to say.
    heard: Instant,
    /// Longest topic plus text that the broker takes.
    message_bytes_max: usize,
    stopping: bool,
}

impl BrokerLink {
    /// Waits until the clock is set, if the broker's certificate has to be judged by it: a box that wakes up in the past
    /// would call every certificate not valid yet, and one in the future every one expired.
    async fn dates_can_be_judged(&mut self, stop_asked: &mut watch::Receiver<bool>) -> Standby {
        if !self.settings.judges_dates() {
            return Standby::Ready;
        }
        loop {
            let is_set = self.latest.borrow_and_update().as_ref().map(|report| report.system.clock_trusted);
            match is_set {
                Some(true) => return Standby::Ready,
                Some(false) => self.down(Some(troubles::clock_not_set(&self.settings))),
                None => {} // Not known for the first moments.
            }
            tokio::select! {
                Ok(()) = self.latest.changed() => {}
                () = stop_requested(stop_asked) => return Standby::Stopped,
            }
        }
    }

    /// One connection, from the first try to its end.
    async fn connection(&mut self, stop_asked: &mut watch::Receiver<bool>) -> End {
        let (requests, asked) = RequestQueue::new(QUEUE_MESSAGES);
        let (sender, mut events) = mpsc::channel(EVENTS_MAX);
        let mut session = JoinSet::new(); // Dropped on every way out, and the socket with it.
        session.spawn(transport::run(self.settings.clone(), self.introduction(), asked, sender));
        let mut line =
            OpenLine { requests, up: false, heard: Instant::now(), message_bytes_max: 0, stopping: false };
        let trouble = loop {
            let due = self.inbound.due().into_iter().chain(self.system.due).min();
            tokio::select! {
                event = timeout_at(line.heard + SILENCE_MAX, events.recv()) => match event {
                    Ok(Some(Ok(event))) => {
                        line.heard = Instant::now();
                        self.on_event(&mut line, event);
                    }
                    Ok(Some(Err(failure))) => break troubles::of(&failure, &self.settings),
                    Ok(None) => break BrokerTrouble::passing("the connection to the broker ended"),
                    Err(_) => break troubles::silence(&self.settings),
                },
                () = self.shared.news.notified() => {}
                Ok(()) = self.latest.changed(), if line.up => self.take_report(),
                () = until(due) => self.on_time(),
                () = stop_requested(stop_asked), if !line.stopping => {
                    if !line.up {
                        return End::Stopped;
                    }
                    line.stopping = true;
                    self.shared.outbox().show_first(&self.shared.topics.availability(), OFFLINE.to_owned());
                }
            }
            self.hand_over(&line);
            if line.stopping && self.shared.outbox().is_empty() {
                // The session ends by itself once the broker has closed; until then `Outgoing::Disconnect` is awaited.
                let _ = line.requests.disconnect();
                disconnected(&mut events).await;
                self.down(None);
                return End::Stopped;
            }
        };
        self.down(Some(trouble));
        if line.stopping { End::Stopped } else { End::Broken }
    }

    fn introduction(&self) -> Introduction {
        let BrokerSettings { username, password, client_id, .. } = &self.settings;
        let availability = self.shared.topics.availability();
        let login = |name: &String| Login::new(name, password.clone().unwrap_or_default());
        Introduction {
            client_id: client_id.clone(),
            will: LastWill::new(availability, OFFLINE, QoS::AtLeastOnce, true, None),
            login: username.as_ref().map(login),
        }
    }

    fn on_event(&mut self, line: &mut OpenLine, event: Event) {
        match event {
            Event::Incoming(Packet::ConnAck(welcome)) => self.up(line, &welcome),
            Event::Outgoing(Outgoing::Publish(packet_id)) if packet_id != 0 => {
                self.shared.outbox().numbered(packet_id);
            }
            Event::Incoming(Packet::PubAck(answer)) => self.on_answer(&answer),
            Event::Incoming(Packet::Publish(message)) => {
                if let Some(reply) = self.inbound.take(&message) {
                    // Without acknowledgement: an answer that comes an hour later would only confuse.
                    let sent = line.requests.publish(reply.topic, QoS::AtMostOnce, false, reply.text);
                    if sent.is_err() {
                        tracing::warn!(
                            "an answer to a command was lost, the broker takes nothing at present"
                        );
                    }
                }
            }
            Event::Incoming(Packet::SubAck(answer)) => {
                troubles::subscription(&answer).into_iter().for_each(|refusal| self.complain(refusal));
            }
            _ => {}
        }
    }

    /// The broker welcomed us: subscriptions live only as long as a connection, and the broker may have lost its
    /// memory.
    fn up(&mut self, line: &mut OpenLine, welcome: &ConnAck) {
        let limit = welcome.properties.as_ref().and_then(|properties| properties.max_packet_size);
        let limit = usize::try_from(limit.unwrap_or(u32::MAX).min(PACKET_BYTES_MAX)).unwrap_or(usize::MAX);
        (line.up, line.message_bytes_max) = (true, limit.saturating_sub(PACKET_EXTRA_BYTES));
        {
            let mut standing = self.shared.standing();
            (standing.connected, standing.since) = (true, Timestamp::now());
            standing.connects += 1;
        }
        let (host, port, encrypted) = (&self.settings.host, self.settings.port, self.settings.tls.is_some());
        tracing::info!(host, port, encrypted, "connected to the MQTT broker");
        if line.requests.subscribe(self.inbound.filters(Instant::now())).is_err() {
            self.complain("commands cannot be received".to_owned());
        }
        self.take_report();
        self.shared.outbox().show_all_again();
    }

    fn on_answer(&self, answer: &PubAck) {
        let verdict = match answer.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => BrokerAnswer::Taken,
            _ => BrokerAnswer::Refused,
        };
        if let Some(topic) = self.shared.outbox().answered(answer.pkid, verdict) {
            self.complain(format!("the broker refuses the topic {topic}: {}", reason(&answer.reason)));
        }
    }

    fn on_time(&mut self) {
        // First: a head that nothing stood in the way of would otherwise wait for the next report.
        self.inbound.on_time(Instant::now());
        self.take_report();
    }

    /// Puts the newest report into the outbox.
    fn take_report(&mut self) {
        let Some(report) = self.latest.borrow_and_update().clone() else { return };
        let topics = &self.shared.topics;
        let who = Identity {
            node: self.settings.node.clone(),
            uid: self.settings.uid.clone(),
            name: self.settings.name.clone(),
        };
        let mut wanted = discovery::devices(topics, &who, &report, &SUPPORTED.map(|(name, _)| name));
        self.inbound.mind_farewells(&mut wanted);
        wanted.extend(topics.states(&report));
        if !self.inbound.may_show_head(&report.head) {
            let head = topics.state("head");
            wanted.retain(|(topic, _)| *topic != head);
        }
        let system = topics.state("system");
        if let Some((_, text)) = wanted.iter_mut().find(|(topic, _)| *topic == system) {
            *text = self.system.pace(std::mem::take(text), Instant::now());
        }
        let mut outbox = self.shared.outbox();
        if is_whole(&report) {
            outbox.show_only(wanted, &topics.availability());
            drop(outbox);
            self.inbound.saw_whole_report();
        } else {
            wanted.into_iter().for_each(|(topic, text)| outbox.show(&topic, text));
        }
    }

    fn hand_over(&self, line: &OpenLine) {
        if !line.up {
            return;
        }
        let mut outbox = self.shared.outbox();
        let refused = outbox.undelivered().refused;
        while let Some(message) = outbox.next(line.message_bytes_max) {
            let sent = line.requests.publish(message.topic, QoS::AtLeastOnce, message.retain, message.text);
            if sent.is_err() {
                // The queue is full of answers to commands, or the session has just ended.
                outbox.take_back();
                break;
            }
        }
        if outbox.undelivered().refused > refused {
            drop(outbox);
            self.complain(troubles::too_long(line.message_bytes_max));
        }
    }

    fn complain(&self, what: String) {
        tracing::warn!("{what}");
        self.shared.standing().last_error = Some(BrokerTrouble::passing(what));
    }

    fn down(&mut self, trouble: Option<BrokerTrouble>) {
        self.shared.outbox().broken();
        self.inbound.connection_is_down();
        let mut standing = self.shared.standing();
        let was_connected = std::mem::replace(&mut standing.connected, false);
        if was_connected {
            standing.since = Timestamp::now();
        }
        if let Some(trouble) = trouble {
            // Once, not at every try: a broker may be away for a week.
            if was_connected || standing.last_error.as_ref() != Some(&trouble) {
                tracing::warn!("{trouble}");
            }
            standing.last_error = Some(trouble);
        }
    }
}

/// Ends at `due`, or never.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_stay_below_half_a_minute_and_differ_between_appliances() {
        let first: Vec<Duration> = pauses("one").take(20).collect();
        assert!(first[0] >= Duration::from_millis(500) && first[0] < Duration::from_secs(1));
        for pause in &first[10..] {
            assert!(*pause >= Duration::from_secs(15) && *pause <= Duration::from_secs(30), "{pause:?}");
        }
        assert_ne!(first, pauses("two").take(20).collect::<Vec<_>>());
    }
}
