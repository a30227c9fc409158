//! Incoming messages of MQTT.
//!
//! Five kinds of message, each of them untrusted bytes from outside: a command, the birth of Home Assistant, what somebody
//! else writes to a topic of ours (`overwritten`), what we said last of our ledger (`head_witness`), and, for a few seconds after
//! the first connection, our other retained topics from an earlier life. Retained topics
//! without a present source or disk are removed: no other program ever would, and stale topics stay on dashboards for
//! years. Pure but for the channel to the agent; time comes in. Not here: sockets (`link`).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Publish};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::head_witness::HeadWitness;
use super::last_told::LastTold;
use super::overwritten::{Overwritten, TopicKind};
use super::topics::Shown;
use super::{SUPPORTED, Shared, discovery};
use crate::event::MqttCommand;
use crate::report::HeadReport;

/// How long we listen for our own retained topics. Brokers send them with the subscription, so this is generous.
const LISTEN_FOR_STALE: Duration = Duration::from_secs(5);
/// More stale topics than this are not ours to sort out; without a limit a strange broker could fill the memory.
const STALE_TOPICS_MAX: usize = 1000;
/// Longest payload of a command; a button sends `PRESS`.
const COMMAND_BYTES_MAX: usize = 4096;
/// Between two refused commands in the log; each sender gets its answer all the same.
const REFUSALS_TOLD_APART: Duration = Duration::from_secs(60);
/// Shortest and longest pause between the birth of Home Assistant and our repetition. Every device in the house
/// repeats at that moment.
const BIRTH_PAUSE_MS: std::ops::Range<u64> = 500..3500;

/// An answer to a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) topic: String,
    pub(super) text: String,
}

/// A number that differs between appliances and never changes for one appliance.
pub(super) fn spread(uid: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    hasher.finish()
}

fn listen(topic: String) -> Filter {
    let mut filter = Filter::new(topic, QoS::AtLeastOnce);
    filter.nolocal = true; // We know what we said.
    filter
}

/// The state of incoming messages.
pub(super) struct Inbound {
    shared: Arc<Shared>,
    commands: mpsc::Sender<MqttCommand>,
    birth_pause: Duration,
    /// Due time of repeating every topic for Home Assistant.
    birth_due: Option<Instant>,
    /// End of listening for stale topics. None before the first connection and afterwards.
    stale_until: Option<Instant>,
    is_cleaned: bool,
    /// Our retained topics from an earlier life, with their text.
    found: HashMap<String, String>,
    /// Whether a whole report was seen; before that, every topic would look stale.
    saw_whole: bool,
    overwritten: Overwritten,
    refusal_told: LastTold,
    witness: HeadWitness,
}

impl Inbound {
    pub(super) fn new(
        shared: Arc<Shared>,
        commands: mpsc::Sender<MqttCommand>,
        uid: &str,
        witness: HeadWitness,
    ) -> Inbound {
        let pause_ms = BIRTH_PAUSE_MS.start + spread(uid) % (BIRTH_PAUSE_MS.end - BIRTH_PAUSE_MS.start);
        Inbound {
            shared,
            commands,
            birth_pause: Duration::from_millis(pause_ms),
            birth_due: None,
            stale_until: None,
            is_cleaned: false,
            found: HashMap::new(),
            saw_whole: false,
            overwritten: Overwritten::default(),
            refusal_told: LastTold::default(),
            witness,
        }
    }

    /// Subscriptions for a connection made at `now`.
    pub(super) fn filters(&mut self, now: Instant) -> Vec<Filter> {
        let topics = &self.shared.topics;
        let mut filters = vec![listen(topics.command("+")), listen(topics.birth())];
        // Otherwise a command sent to be retained would look like any other the first time.
        filters[0].preserve_retain = true;
        filters.extend(topics.single().into_iter().chain(topics.outliving()).map(listen));
        if !self.is_cleaned {
            self.stale_until = Some(now + LISTEN_FOR_STALE);
        }
        self.witness.connected(now);
        filters
    }

    /// When `on_time` has to be called next.
    pub(super) fn due(&self) -> Option<Instant> {
        let stale_until = self.stale_until.filter(|_| self.saw_whole);
        let due = self.birth_due.into_iter().chain(stale_until).chain(self.overwritten.due());
        due.chain(self.witness.due()).min()
    }

    /// A report with every disk and source has been shown.
    pub(super) fn saw_whole_report(&mut self) {
        self.saw_whole = true;
    }

    /// The connection is gone, and with the connection any retained topic still to come.
    pub(super) fn connection_is_down(&mut self) {
        self.birth_due = None;
        self.stale_until = None;
        self.witness.connection_is_down();
    }

    /// Whether the head of a report may be shown; what was found at the broker may have to stay there.
    pub(super) fn may_show_head(&mut self, head: &HeadReport) -> bool {
        let may_show = self.witness.may_show(head);
        self.shared.standing().retained_head = self.witness.retained();
        may_show
    }

    /// Takes one message; returns the answer to a command.
    pub(super) fn take(&mut self, message: &Publish) -> Option<Reply> {
        let topic = std::str::from_utf8(&message.topic).ok()?;
        if let Some(name) = self.shared.topics.command_name(topic) {
            return Some(self.on_command(name, message));
        }
        if topic == self.shared.topics.birth() {
            // A retained birth is old news: we repeated every topic on connecting.
            if !message.retain && message.payload.as_ref() == b"online" {
                self.birth_due = Some(Instant::now() + self.birth_pause);
            }
        } else if topic == self.shared.topics.state("head") && !self.shared.outbox().shows(topic) {
            // Until ours is shown, nothing at its topic is put right or removed: it may be all that proves a lost past.
            if message.retain {
                self.witness.take(&message.payload);
                self.shared.standing().retained_head = self.witness.retained();
            }
        } else if !message.retain {
            // Not what was there before we came, which is put right by showing everything.
            self.on_foreign(topic, &message.payload);
        } else if self.stale_until.is_some() && self.found.len() < STALE_TOPICS_MAX {
            let text = String::from_utf8_lossy(&message.payload).into_owned();
            self.found.insert(topic.to_owned(), text);
        }
        None
    }

    /// Somebody else wrote to a topic of ours.
    fn on_foreign(&mut self, topic: &str, payload: &[u8]) {
        let kind = {
            let outbox = self.shared.outbox();
            match outbox.text_of(topic) {
                Some(text) if text.as_bytes() == payload => return,
                Some(_) => TopicKind::Ours,
                None => TopicKind::Unknown,
            }
        };
        // Before the first whole report a topic may be one that we are about to show.
        if kind == TopicKind::Unknown && (payload.is_empty() || !self.saw_whole) {
            return;
        }
        let now = Instant::now();
        if self.overwritten.note(topic, kind, now) {
            if self.overwritten.is_news(now) {
                tracing::warn!(topic, "somebody else writes to topics of this appliance; they are put right");
            }
            self.put_right(topic);
        }
    }

    fn put_right(&self, topic: &str) {
        let mut outbox = self.shared.outbox();
        if outbox.text_of(topic).is_some() {
            outbox.show_again(topic);
        } else {
            outbox.show(topic, String::new());
        }
    }

    /// Does the due work at `now`.
    pub(super) fn on_time(&mut self, now: Instant) {
        if self.birth_due.is_some_and(|due| due <= now) {
            self.birth_due = None;
            self.shared.outbox().show_all_again();
        }
        self.witness.on_time(now);
        for topic in self.overwritten.take_due(now) {
            self.put_right(&topic);
        }
        if self.saw_whole && self.stale_until.is_some_and(|until| until <= now) {
            self.stale_until = None;
            self.is_cleaned = true;
            self.remove_stale();
        }
    }

    /// Adds to discovery payloads the removal of entities that an earlier version of the agent had.
    pub(super) fn mind_farewells(&self, wanted: &mut [Shown]) {
        for (topic, text) in wanted {
            if let Some(with_farewell) = self.found.get(topic).and_then(|old| discovery::farewell(old, text))
            {
                *text = with_farewell;
            }
        }
    }

    /// Removes found topics that are no longer shown. Discovery of present devices is remembered for
    /// `mind_farewells`, the rest forgotten.
    fn remove_stale(&mut self) {
        let mut outbox = self.shared.outbox();
        self.found.retain(|topic, _| {
            if !outbox.shows(topic) {
                tracing::info!(topic, "removing what an earlier run left on the broker");
                outbox.show(topic, String::new());
                return false;
            }
            self.shared.topics.is_discovery(topic)
        });
    }

    fn on_command(&mut self, name: &str, message: &Publish) -> Reply {
        let outcome = self.obey(name, message);
        if let Err(refusal) = &outcome
            && self.refusal_told.is_news(Instant::now(), REFUSALS_TOLD_APART)
        {
            tracing::warn!(name, refusal, "a command over MQTT was refused");
        }
        let asked: Value = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
        let text =
            json!({ "ok": outcome.is_ok(), "error": outcome.err(), "id": asked.get("id") }).to_string();
        Reply { topic: self.shared.topics.answer(name), text }
    }

    fn obey(&self, name: &str, message: &Publish) -> Result<(), &'static str> {
        if message.retain {
            return Err("a retained command is never obeyed, it would be repeated at every connection");
        }
        if message.payload.len() > COMMAND_BYTES_MAX {
            return Err("this command is too long");
        }
        let known = SUPPORTED.iter().find(|(supported, _)| *supported == name);
        let (_, command) = known.ok_or("there is no such command")?;
        self.commands.try_send(*command).map_err(|_| "the appliance is busy, ask again")
    }
}
