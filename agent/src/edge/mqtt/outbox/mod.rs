//! The outbox: messages that the broker still has to get, decided without network or clock.
//!
//! The client library forgets messages when a connection breaks (measured: 156 of 200), so a message counts as told
//! only once the broker has acknowledged it here. Two kinds of message fail differently: states (`states`) and events
//! (`spool`). Here lies their common part: the way to the client, the wire, and the broker's answer.
//!
//! Not here: sockets, packet formats, waiting (`link`), what is worth telling (`topics`, `discovery`).

mod spool;
mod states;

use self::spool::{Spool, Spooled};
use self::states::States;
use super::topics::Shown;
use std::collections::{BTreeMap, VecDeque};

/// Messages on their way at once. Well below the client's queue, so that handing over never has to wait; more
/// would only make the repetition after a broken connection longer.
pub(crate) const WINDOW_MESSAGES: usize = 32;

/// One message to hand to the client, always with acknowledgement (QoS 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Full topic.
    pub(crate) topic: String,
    /// Text; empty removes a retained topic.
    pub(crate) text: String,
    /// Whether the broker keeps the message for later subscribers.
    pub(crate) retain: bool,
    kind: MessageKind,
}

/// The kind of a message, apart from topic and text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageKind {
    State,
    /// The number restores the order after a broken connection.
    Event(u64),
}

/// The broker's answer to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokerAnswer {
    /// Taken, also without any listener.
    Taken,
    /// Never to be taken as sent: forbidden topic, quota, size.
    Refused,
}

/// Counters for the owner; no counter ever goes down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Undelivered {
    /// Events given up because the spool was full.
    pub(crate) dropped: u64,
    /// Messages refused by the broker.
    pub(crate) refused: u64,
}

/// The messages of one appliance.
#[derive(Debug)]
pub(crate) struct Outbox {
    states: States,
    spool: Spool,
    /// Handed to the client, before the client named the packet id.
    handed_over: VecDeque<Message>,
    /// By packet id: on the wire, not acknowledged.
    on_wire: BTreeMap<u16, Message>,
    refused: u64,
}

impl Outbox {
    /// An empty outbox that keeps at most `events_max` events (at least one) while no broker takes them.
    pub(crate) fn new(events_max: usize) -> Outbox {
        Outbox {
            states: States::default(),
            spool: Spool::new(events_max),
            handed_over: VecDeque::new(),
            on_wire: BTreeMap::new(),
            refused: 0,
        }
    }

    /// Shows `text` at a retained topic. A repetition sends nothing; empty text removes the topic.
    pub(crate) fn show(&mut self, topic: &str, text: String) {
        self.states.show(topic, text);
    }

    /// Like `show`, ahead of every waiting message: the farewell must not stand behind a full spool.
    pub(crate) fn show_first(&mut self, topic: &str, text: String) {
        self.states.show_first(topic, text);
    }

    /// Shows exactly `wanted`: any further topic is removed, except `always`.
    pub(crate) fn show_only(&mut self, wanted: Vec<Shown>, always: &str) {
        self.states.show_only(wanted, always);
    }

    /// Whether `topic` is shown at present.
    pub(crate) fn shows(&self, topic: &str) -> bool {
        self.states.shows(topic)
    }

    /// The text shown at `topic` at present; empty for a topic under removal.
    pub(crate) fn text_of(&self, topic: &str) -> Option<&str> {
        self.states.text_of(topic)
    }

    /// Sends a shown topic once more, though it did not change.
    pub(crate) fn show_again(&mut self, topic: &str) {
        self.states.show_again(topic);
    }

    /// Queues an event; a full spool gives up the oldest waiting event and counts the loss.
    pub(crate) fn tell(&mut self, topic: &str, text: String) {
        self.spool.tell(topic, text);
    }

    /// The next message to hand to the client, if the window has room. Messages above `bytes_max` are refused here: a
    /// broker drops the connection over a longer message, and would do so again after every reconnect.
    pub(crate) fn next(&mut self, bytes_max: usize) -> Option<Message> {
        while self.under_way() < WINDOW_MESSAGES {
            let message = self.next_state().or_else(|| self.next_event())?;
            if message.topic.len() + message.text.len() > bytes_max {
                self.settle(&message, BrokerAnswer::Refused);
                continue;
            }
            self.handed_over.push_back(message.clone());
            return Some(message);
        }
        None
    }

    fn next_state(&mut self) -> Option<Message> {
        let (topic, text) = self.states.next()?;
        Some(Message { topic, text, retain: true, kind: MessageKind::State })
    }

    fn next_event(&mut self) -> Option<Message> {
        let Spooled { number, topic, text } = self.spool.next()?;
        Some(Message { topic, text, retain: false, kind: MessageKind::Event(number) })
    }

    /// The client did not take the last message of `next`: the message waits again, in front.
    pub(crate) fn take_back(&mut self) {
        let Some(Message { topic, text, kind, .. }) = self.handed_over.pop_back() else { return };
        match kind {
            MessageKind::Event(number) => self.spool.put_back(vec![Spooled { number, topic, text }]),
            MessageKind::State => self.states.take_back(topic),
        }
    }

    /// The client named the packet id of the oldest message handed over; ids come in order.
    pub(crate) fn numbered(&mut self, packet_id: u16) {
        if let Some(message) = self.handed_over.pop_front() {
            self.on_wire.insert(packet_id, message);
        }
    }

    /// The broker answered. Returns the topic of a refused message, for the log.
    pub(crate) fn answered(&mut self, packet_id: u16, answer: BrokerAnswer) -> Option<String> {
        let message = self.on_wire.remove(&packet_id)?;
        self.settle(&message, answer);
        (answer == BrokerAnswer::Refused).then_some(message.topic)
    }

    fn settle(&mut self, message: &Message, answer: BrokerAnswer) {
        if answer == BrokerAnswer::Refused {
            self.refused += 1;
        }
        if message.kind == MessageKind::State {
            self.states.settle(&message.topic);
        }
    }

    /// The connection broke: every unacknowledged message waits again, in the old order.
    pub(crate) fn broken(&mut self) {
        let mut events = Vec::new();
        let under_way = std::mem::take(&mut self.on_wire).into_values();
        for Message { topic, text, kind, .. } in under_way.chain(std::mem::take(&mut self.handed_over)) {
            match kind {
                MessageKind::Event(number) => events.push(Spooled { number, topic, text }),
                MessageKind::State => self.states.lost(&topic),
            }
        }
        self.spool.put_back(events);
    }

    /// Every shown topic is due again, in order of first appearance: the broker, or Home Assistant, may have
    /// forgotten.
    pub(crate) fn show_all_again(&mut self) {
        self.states.show_all_again();
    }

    /// Whether the broker has acknowledged every message.
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way() == 0 && self.states.is_empty() && self.spool.len() == 0
    }

    /// Events not yet acknowledged.
    pub(crate) fn spooled(&self) -> u64 {
        let is_event = |message: &&Message| message.kind != MessageKind::State;
        let under_way = self.on_wire.values().chain(&self.handed_over).filter(is_event).count();
        (self.spool.len() + under_way) as u64
    }

    /// The losses so far.
    pub(crate) fn undelivered(&self) -> Undelivered {
        Undelivered { dropped: self.spool.dropped, refused: self.refused }
    }

    fn under_way(&self) -> usize {
        self.handed_over.len() + self.on_wire.len()
    }
}

#[cfg(test)]
mod tests;
