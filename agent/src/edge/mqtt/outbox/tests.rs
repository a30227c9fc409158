use super::*;

const ROOMY: usize = 1 << 20;

/// Hands over one message, gives it the packet id and returns its text.
fn send(outbox: &mut Outbox, packet_id: u16) -> Option<String> {
    let message = outbox.next(ROOMY)?;
    outbox.numbered(packet_id);
    Some(message.text)
}

fn drain(outbox: &mut Outbox) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(text) = send(outbox, 1) {
        outbox.answered(1, BrokerAnswer::Taken);
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
    assert_eq!(send(&mut outbox, 8), None, "its first message still travels");
    outbox.answered(7, BrokerAnswer::Taken);
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
    assert_eq!(outbox.undelivered().dropped, 2);
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
    outbox.answered(2, BrokerAnswer::Taken);
    outbox.broken();
    assert_eq!(drain(&mut outbox), ["0", "2", "3", "4", "5"]);
}

#[test]
fn a_message_that_the_client_has_no_room_for_stays_first() {
    let mut outbox = Outbox::new(10);
    outbox.show("a", "1".to_owned());
    outbox.show("b", "2".to_owned());
    for number in ["3", "4"] {
        outbox.tell("event", number.to_owned());
    }
    assert!(outbox.next(ROOMY).is_some());
    outbox.take_back();
    assert_eq!((send(&mut outbox, 1), send(&mut outbox, 2)), (Some("1".to_owned()), Some("2".to_owned())));
    assert!(outbox.next(ROOMY).is_some());
    outbox.take_back();
    for packet_id in [1, 2] {
        outbox.answered(packet_id, BrokerAnswer::Taken);
    }
    assert_eq!(drain(&mut outbox), ["3", "4"]);
}

#[test]
fn a_late_answer_of_an_old_connection_means_nothing() {
    let mut outbox = Outbox::new(10);
    outbox.tell("event", "x".to_owned());
    send(&mut outbox, 5);
    outbox.broken();
    assert_eq!(outbox.answered(5, BrokerAnswer::Taken), None);
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
        assert!(outbox.answered(packet_id, BrokerAnswer::Refused).is_some());
    }
    assert_eq!(outbox.undelivered().refused, 2);
    assert!(outbox.is_empty());
    outbox.show_all_again();
    assert_eq!(drain(&mut outbox), ["x"]);
}

#[test]
fn a_message_that_is_too_long_for_the_broker_is_refused_here() {
    let mut outbox = Outbox::new(10);
    outbox.show("big", "x".repeat(100));
    outbox.show("small", "x".to_owned());
    assert_eq!(outbox.next(50).map(|message| message.topic).as_deref(), Some("small"));
    assert_eq!(outbox.undelivered().refused, 1);
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
                    if let Some(message) = outbox.next(ROOMY) {
                        packet_id = packet_id % 100 + 1;
                        if roll(8) != 0 {
                            outbox.numbered(packet_id);
                            broker.take(packet_id, &message);
                        } else {
                            broker.unanswered.clear();
                            outbox.broken();
                        }
                    }
                }
                7..=8 => {
                    if !broker.unanswered.is_empty() {
                        let any = usize::try_from(roll(broker.unanswered.len() as u64)).unwrap();
                        outbox.answered(broker.unanswered.remove(any), BrokerAnswer::Taken);
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
        while let Some(message) = outbox.next(ROOMY) {
            outbox.numbered(1);
            broker.take(1, &message);
            outbox.answered(1, BrokerAnswer::Taken);
        }
        assert!(outbox.is_empty(), "seed {seed}");
        wanted.retain(|_, text| !text.is_empty());
        assert_eq!(broker.shown, wanted, "seed {seed}");
        let seen = broker.events.len() as u64;
        assert!(told - seen <= outbox.undelivered().dropped, "seed {seed}: seen {seen} of {told}");
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
    fn take(&mut self, packet_id: u16, message: &Message) {
        self.unanswered.push(packet_id);
        if message.retain && message.text.is_empty() {
            self.shown.remove(&message.topic);
        } else if message.retain {
            self.shown.insert(message.topic.clone(), message.text.clone());
        } else {
            let number = message.text.parse().unwrap();
            if !self.events.contains(&number) {
                self.events.push(number);
            }
        }
    }
}
