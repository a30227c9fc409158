//! The outbox: what the broker still has to be told, decided without network or clock.
//!
//! The client library forgets messages when a connection breaks (measured: 156 of 200), so nothing counts as told
//! until the broker has acknowledged it here. Two kinds of mail, because they fail differently:
//!
//! - A *state* has one slot per topic and the last value wins: an old value is worth nothing, so states never queue.
//! - An *event* happened once and must not get lost, so events queue, up to a limit; beyond it the oldest goes.
//!
//! Not here: sockets, packet formats, waiting (`link`), what is worth telling (`topics`, `discovery`).

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::topics::Shown;

/// Messages on their way at once. Well below the client's queue, so that handing over never has to wait; more
/// would only make the repetition after a broken connection longer.
pub(crate) const WINDOW_MESSAGES: usize = 32;

/// One message to hand to the client, always with acknowledgement (QoS 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Full topic.
    pub(crate) topic: String,
    /// Text; empty removes a retained topic.
    pub(crate) text: String,
    /// Whether the broker keeps it for later subscribers.
    pub(crate) retain: bool,
    kind: Kind,
}

/// What a letter is, once its topic and text are taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    State,
    /// The number restores the order after a broken connection.
    Event(u64),
}

/// What the broker made of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Taken, also when nobody was listening.
    Taken,
    /// Not taken and never will be as it is: forbidden topic, quota, size.
    Refused,
}

/// One state topic.
#[derive(Debug)]
struct Slot {
    /// Order of first appearance: availability before discovery before states, on every connect.
    rank: u64,
    text: String,
    /// Still to be sent; its topic is in `waiting` exactly once.
    due: bool,
    /// A letter is on its way. A second one waits for its end, so that the order on one topic is never in doubt.
    travels: bool,
}

/// Counters for the owner, none of which ever goes down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Events given up because the spool was full.
    pub(crate) dropped: u64,
    /// Messages that the broker did not want.
    pub(crate) refused: u64,
}

/// All mail of one appliance.
#[derive(Debug)]
pub(crate) struct Outbox {
    slots: HashMap<String, Slot>,
    ranks: u64,
    waiting: VecDeque<String>,
    events: VecDeque<(u64, String, String)>,
    events_told: u64,
    events_max: usize,
    /// Handed to the client, which has not named the packet id yet.
    handed_over: VecDeque<Letter>,
    /// By packet id: on the wire, not acknowledged.
    on_wire: BTreeMap<u16, Letter>,
    losses: Losses,
}

impl Outbox {
    /// An empty outbox that keeps at most `events_max` events (at least one) while no broker takes them.
    pub(crate) fn new(events_max: usize) -> Outbox {
        Outbox {
            slots: HashMap::new(),
            ranks: 0,
            waiting: VecDeque::new(),
            events: VecDeque::new(),
            events_told: 0,
            events_max: events_max.max(1),
            handed_over: VecDeque::new(),
            on_wire: BTreeMap::new(),
            losses: Losses::default(),
        }
    }

    /// Shows `text` at a retained topic. Showing the same again sends nothing; empty text removes the topic.
    pub(crate) fn show(&mut self, topic: &str, text: String) {
        if let Some(slot) = self.slots.get_mut(topic) {
            if slot.text != text {
                slot.text = text;
                self.make_due(topic);
            }
            return;
        }
        self.ranks += 1;
        self.slots.insert(topic.to_owned(), Slot { rank: self.ranks, text, due: false, travels: false });
        self.make_due(topic);
    }

    /// Like `show`, ahead of everything else that waits: the farewell must not stand behind a full spool.
    pub(crate) fn show_first(&mut self, topic: &str, text: String) {
        self.show(topic, text);
        if let Some(place) = self.waiting.iter().position(|waiting| waiting == topic) {
            self.waiting.remove(place);
            self.waiting.push_front(topic.to_owned());
        }
    }

    /// Shows exactly `wanted`: topics that are not among them are removed, except `always`.
    pub(crate) fn show_only(&mut self, wanted: Vec<Shown>, always: &str) {
        let kept: HashSet<&str> = wanted.iter().map(|(topic, _)| topic.as_str()).collect();
        let gone = |(topic, slot): &(&String, &Slot)| {
            *topic != always && !kept.contains(topic.as_str()) && !slot.text.is_empty()
        };
        let gone: Vec<String> = self.slots.iter().filter(gone).map(|(topic, _)| topic.clone()).collect();
        for topic in gone {
            self.show(&topic, String::new());
        }
        for (topic, text) in wanted {
            self.show(&topic, text);
        }
    }

    /// Whether `topic` is shown at present.
    pub(crate) fn shows(&self, topic: &str) -> bool {
        self.slots.get(topic).is_some_and(|slot| !slot.text.is_empty())
    }

    /// Queues an event; if the spool is full, the oldest waiting one is given up and counted.
    pub(crate) fn tell(&mut self, topic: &str, text: String) {
        self.events_told += 1;
        self.events.push_back((self.events_told, topic.to_owned(), text));
        self.trim_events();
    }

    /// The next letter to hand to the client, if the window has room. Letters above `bytes_max` are refused here:
    /// a broker drops the connection over one, and would do so again after every reconnect.
    pub(crate) fn next(&mut self, bytes_max: usize) -> Option<Letter> {
        while self.under_way() < WINDOW_MESSAGES {
            let letter = self.next_state().or_else(|| self.next_event())?;
            if letter.topic.len() + letter.text.len() > bytes_max {
                self.settle(letter, Verdict::Refused);
                continue;
            }
            self.handed_over.push_back(letter.clone());
            return Some(letter);
        }
        None
    }

    /// The client did not take the letter that `next` gave last: it waits again, in front.
    pub(crate) fn take_back(&mut self) {
        let Some(letter) = self.handed_over.pop_back() else { return };
        match letter.kind {
            Kind::Event(number) => self.events.push_front((number, letter.topic, letter.text)),
            Kind::State => {
                if let Some(slot) = self.slots.get_mut(&letter.topic) {
                    slot.travels = false;
                    if !std::mem::replace(&mut slot.due, true) {
                        self.waiting.push_front(letter.topic);
                    }
                }
            }
        }
        self.trim_events();
    }

    /// The client named the packet id of the oldest letter handed over; it does so in order.
    pub(crate) fn numbered(&mut self, packet_id: u16) {
        if let Some(letter) = self.handed_over.pop_front() {
            self.on_wire.insert(packet_id, letter);
        }
    }

    /// The broker answered. Returns the topic of a refused letter, for the log.
    pub(crate) fn answered(&mut self, packet_id: u16, verdict: Verdict) -> Option<String> {
        let letter = self.on_wire.remove(&packet_id)?;
        let topic = (verdict == Verdict::Refused).then(|| letter.topic.clone());
        self.settle(letter, verdict);
        topic
    }

    /// The connection broke: whatever is not acknowledged waits again, in its old order.
    pub(crate) fn broken(&mut self) {
        let mut events = BTreeMap::new();
        let under_way = std::mem::take(&mut self.on_wire).into_values();
        for letter in under_way.chain(std::mem::take(&mut self.handed_over)) {
            match letter.kind {
                Kind::Event(number) => {
                    events.insert(number, letter);
                }
                Kind::State => {
                    if let Some(slot) = self.slots.get_mut(&letter.topic) {
                        slot.travels = false;
                    }
                    self.make_due(&letter.topic);
                }
            }
        }
        for (number, letter) in events.into_iter().rev() {
            self.events.push_front((number, letter.topic, letter.text));
        }
        self.trim_events();
    }

    /// Everything shown is due again, in order of first appearance: the broker, or Home Assistant, may have
    /// forgotten it.
    pub(crate) fn show_all_again(&mut self) {
        let mut topics: Vec<(u64, String)> =
            self.slots.iter().map(|(topic, slot)| (slot.rank, topic.clone())).collect();
        topics.sort_unstable();
        self.waiting = topics.into_iter().map(|(_, topic)| topic).collect();
        self.slots.values_mut().for_each(|slot| slot.due = true);
    }

    /// Whether the broker has acknowledged everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way() == 0 && self.waiting.is_empty() && self.events.is_empty()
    }

    /// Events not yet acknowledged.
    pub(crate) fn spooled(&self) -> u64 {
        let is_event = |letter: &&Letter| letter.kind != Kind::State;
        let under_way = self.on_wire.values().chain(&self.handed_over).filter(is_event).count();
        (self.events.len() + under_way) as u64
    }

    /// What was lost so far.
    pub(crate) fn losses(&self) -> Losses {
        self.losses
    }

    fn under_way(&self) -> usize {
        self.handed_over.len() + self.on_wire.len()
    }

    fn make_due(&mut self, topic: &str) {
        if let Some(slot) = self.slots.get_mut(topic)
            && !slot.due
        {
            slot.due = true;
            self.waiting.push_back(topic.to_owned());
        }
    }

    fn next_state(&mut self) -> Option<Letter> {
        let slots = &self.slots;
        let ready = |topic: &String| slots.get(topic).is_some_and(|slot| !slot.travels);
        let place = self.waiting.iter().position(ready)?;
        let topic = self.waiting.remove(place)?;
        let slot = self.slots.get_mut(&topic)?;
        (slot.due, slot.travels) = (false, true);
        Some(Letter { text: slot.text.clone(), topic, retain: true, kind: Kind::State })
    }

    fn next_event(&mut self) -> Option<Letter> {
        let (number, topic, text) = self.events.pop_front()?;
        Some(Letter { topic, text, retain: false, kind: Kind::Event(number) })
    }

    /// A letter came to its end. A refused state stays refused until it changes or the connection is new:
    /// asking again at once would only be refused again.
    fn settle(&mut self, letter: Letter, verdict: Verdict) {
        if verdict == Verdict::Refused {
            self.losses.refused += 1;
        }
        if letter.kind != Kind::State {
            return;
        }
        let Some(slot) = self.slots.get_mut(&letter.topic) else { return };
        slot.travels = false;
        if slot.text.is_empty() && !slot.due {
            self.slots.remove(&letter.topic);
        }
    }

    fn trim_events(&mut self) {
        while self.events.len() > self.events_max {
            self.events.pop_front();
            self.losses.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: usize = 1 << 20;

    /// Hands over one letter, gives it the packet id and returns its text.
    fn send(outbox: &mut Outbox, packet_id: u16) -> Option<String> {
        let letter = outbox.next(ROOMY)?;
        outbox.numbered(packet_id);
        Some(letter.text)
    }

    fn drain(outbox: &mut Outbox) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(text) = send(outbox, 1) {
            outbox.answered(1, Verdict::Taken);
            texts.push(text);
        }
        texts
    }

    #[test]
    fn of_a_state_only_the_last_value_is_sent() {
        let mut outbox = Outbox::new(10);
        for text in ["1", "2", "3"] {
            outbox.show("a", text.to_owned());
        }
        assert_eq!(drain(&mut outbox), ["3"]);
        outbox.show("a", "3".to_owned());
        assert_eq!(drain(&mut outbox), [""; 0], "the same value again is no news");
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_state_that_changes_on_its_way_is_sent_again_but_never_twice_at_once() {
        let mut outbox = Outbox::new(10);
        outbox.show("a", "1".to_owned());
        assert_eq!(send(&mut outbox, 7).as_deref(), Some("1"));
        outbox.show("a", "2".to_owned());
        assert_eq!(send(&mut outbox, 8), None, "its first letter still travels");
        outbox.answered(7, Verdict::Taken);
        assert_eq!(drain(&mut outbox), ["2"]);
    }

    #[test]
    fn a_topic_that_is_no_longer_wanted_is_removed_once() {
        let mut outbox = Outbox::new(10);
        let shown = |topics: &[&str]| topics.iter().map(|t| (t.to_string(), format!("at {t}"))).collect();
        outbox.show("availability", "online".to_owned());
        outbox.show_only(shown(&["a", "b"]), "availability");
        assert_eq!(drain(&mut outbox), ["online", "at a", "at b"]);
        outbox.show_only(shown(&["b"]), "availability");
        assert!(!outbox.shows("a") && outbox.shows("b"));
        assert_eq!(drain(&mut outbox), [""]);
        outbox.show_only(shown(&["b"]), "availability");
        outbox.show_all_again();
        assert_eq!(drain(&mut outbox), ["online", "at b"], "what is gone is forgotten");
    }

    #[test]
    fn a_full_spool_gives_up_its_oldest_event_and_counts_it() {
        let mut outbox = Outbox::new(3);
        for number in 0..5 {
            outbox.tell("event", number.to_string());
        }
        assert_eq!(outbox.spooled(), 3);
        assert_eq!(outbox.losses().dropped, 2);
        assert_eq!(drain(&mut outbox), ["2", "3", "4"]);
    }

    #[test]
    fn a_broken_connection_puts_events_back_in_order() {
        let mut outbox = Outbox::new(100);
        for number in 0..6 {
            outbox.tell("event", number.to_string());
        }
        for packet_id in 1..=3 {
            send(&mut outbox, packet_id);
        }
        outbox.next(ROOMY).expect("a fourth, which never gets a packet id");
        outbox.answered(2, Verdict::Taken);
        outbox.broken();
        assert_eq!(drain(&mut outbox), ["0", "2", "3", "4", "5"]);
    }

    #[test]
    fn a_letter_that_the_client_has_no_room_for_stays_first() {
        let mut outbox = Outbox::new(10);
        outbox.show("a", "1".to_owned());
        outbox.show("b", "2".to_owned());
        for number in ["3", "4"] {
            outbox.tell("event", number.to_owned());
        }
        assert!(outbox.next(ROOMY).is_some());
        outbox.take_back();
        assert_eq!(
            (send(&mut outbox, 1), send(&mut outbox, 2)),
            (Some("1".to_owned()), Some("2".to_owned()))
        );
        assert!(outbox.next(ROOMY).is_some());
        outbox.take_back();
        for packet_id in [1, 2] {
            outbox.answered(packet_id, Verdict::Taken);
        }
        assert_eq!(drain(&mut outbox), ["3", "4"]);
    }

    #[test]
    fn a_late_answer_of_an_old_connection_means_nothing() {
        let mut outbox = Outbox::new(10);
        outbox.tell("event", "x".to_owned());
        send(&mut outbox, 5);
        outbox.broken();
        assert_eq!(outbox.answered(5, Verdict::Taken), None);
        outbox.numbered(9);
        assert_eq!(drain(&mut outbox), ["x"]);
    }

    #[test]
    fn the_window_is_never_exceeded() {
        let mut outbox = Outbox::new(1000);
        for number in 0..100 {
            outbox.tell("event", number.to_string());
            outbox.show(&format!("state/{number}"), "x".to_owned());
        }
        let mut under_way = 0;
        while outbox.next(ROOMY).is_some() {
            under_way += 1;
        }
        assert_eq!(under_way, WINDOW_MESSAGES);
    }

    #[test]
    fn what_the_broker_refuses_is_counted_and_not_repeated_until_the_next_connection() {
        let mut outbox = Outbox::new(10);
        outbox.show("forbidden", "x".to_owned());
        outbox.tell("event", "y".to_owned());
        for packet_id in [1, 2] {
            send(&mut outbox, packet_id);
            assert!(outbox.answered(packet_id, Verdict::Refused).is_some());
        }
        assert_eq!(outbox.losses().refused, 2);
        assert!(outbox.is_empty());
        outbox.show_all_again();
        assert_eq!(drain(&mut outbox), ["x"]);
    }

    #[test]
    fn a_letter_that_is_too_long_for_the_broker_is_refused_here() {
        let mut outbox = Outbox::new(10);
        outbox.show("big", "x".repeat(100));
        outbox.show("small", "x".to_owned());
        assert_eq!(outbox.next(50).map(|letter| letter.topic).as_deref(), Some("small"));
        assert_eq!(outbox.losses().refused, 1);
    }

    #[test]
    fn the_farewell_overtakes_everything() {
        let mut outbox = Outbox::new(10);
        outbox.show("availability", "online".to_owned());
        drain(&mut outbox);
        outbox.show("a", "x".to_owned());
        outbox.tell("event", "y".to_owned());
        outbox.show_first("availability", "offline".to_owned());
        assert_eq!(drain(&mut outbox), ["offline", "x", "y"]);
    }

    #[test]
    fn after_a_reconnect_availability_leads() {
        let mut outbox = Outbox::new(10);
        outbox.show("z/availability", "online".to_owned());
        outbox.show("m", "x".to_owned());
        outbox.show("a", "y".to_owned());
        drain(&mut outbox);
        outbox.show("a", "y2".to_owned());
        outbox.show_all_again();
        assert_eq!(drain(&mut outbox), ["online", "x", "y2"]);
    }

    /// A broker that forgets, and answers out of order, at random; whatever happens, in the end it knows every
    /// last value and has seen every event that was not counted as dropped, first sightings in order.
    #[test]
    fn whatever_the_network_does_nothing_is_lost_uncounted() {
        for seed in 1..200_u64 {
            let mut dice = seed;
            let mut roll = move |sides: u64| {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                dice % sides
            };
            let mut outbox = Outbox::new(40);
            let mut broker = Retained::default();
            let mut wanted = BTreeMap::new();
            let (mut told, mut packet_id) = (0_u64, 0_u16);
            for _ in 0..400 {
                match roll(10) {
                    0..=1 => {
                        let topic = format!("state/{}", roll(8));
                        let text = if roll(6) == 0 { String::new() } else { roll(1000).to_string() };
                        outbox.show(&topic, text.clone());
                        wanted.insert(topic, text);
                    }
                    2..=3 => {
                        told += 1;
                        outbox.tell("event", told.to_string());
                    }
                    4..=6 => {
                        if let Some(letter) = outbox.next(ROOMY) {
                            packet_id = packet_id % 100 + 1;
                            if roll(8) != 0 {
                                outbox.numbered(packet_id);
                                broker.take(packet_id, &letter);
                            } else {
                                broker.unanswered.clear();
                                outbox.broken();
                            }
                        }
                    }
                    7..=8 => {
                        if !broker.unanswered.is_empty() {
                            let any = usize::try_from(roll(broker.unanswered.len() as u64)).unwrap();
                            outbox.answered(broker.unanswered.remove(any), Verdict::Taken);
                        }
                    }
                    _ => {
                        broker.unanswered.clear();
                        outbox.broken();
                        if roll(3) == 0 {
                            broker.shown.clear(); // It was restarted and keeps nothing.
                            outbox.show_all_again();
                        }
                    }
                }
                assert!(outbox.under_way() <= WINDOW_MESSAGES);
            }
            outbox.broken();
            broker.unanswered.clear();
            while let Some(letter) = outbox.next(ROOMY) {
                outbox.numbered(1);
                broker.take(1, &letter);
                outbox.answered(1, Verdict::Taken);
            }
            assert!(outbox.is_empty(), "seed {seed}");
            wanted.retain(|_, text| !text.is_empty());
            assert_eq!(broker.shown, wanted, "seed {seed}");
            let seen = broker.events.len() as u64;
            assert!(told - seen <= outbox.losses().dropped, "seed {seed}: seen {seen} of {told}");
            assert!(broker.events.is_sorted(), "seed {seed}: {:?}", broker.events);
        }
    }

    /// A naive broker for the test above.
    #[derive(Default)]
    struct Retained {
        shown: BTreeMap<String, String>,
        events: Vec<u64>,
        unanswered: Vec<u16>,
    }

    impl Retained {
        fn take(&mut self, packet_id: u16, letter: &Letter) {
            self.unanswered.push(packet_id);
            if letter.retain && letter.text.is_empty() {
                self.shown.remove(&letter.topic);
            } else if letter.retain {
                self.shown.insert(letter.topic.clone(), letter.text.clone());
            } else {
                let number = letter.text.parse().unwrap();
                if !self.events.contains(&number) {
                    self.events.push(number);
                }
            }
        }
    }
}
