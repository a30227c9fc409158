//! Events that wait for a broker. An event happened once and must not get lost, so events queue, up to a limit; beyond it the
//! oldest goes and is counted.

use std::collections::VecDeque;

/// One event that waits.
#[derive(Debug)]
pub(super) struct Spooled {
    /// Rises from event to event; restores the order after a broken connection.
    pub(super) number: u64,
    pub(super) topic: String,
    pub(super) text: String,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Spool {
    events: VecDeque<Spooled>,
    told: u64,
    events_max: usize,
    /// Events given up because the spool was full.
    pub(super) dropped: u64,
}

impl Spool {
    /// Keeps at most `events_max` events, and at least one.
    pub(super) fn new(events_max: usize) -> Self {
        Self { events: VecDeque::new(), told: 0, events_max: events_max.max(1), dropped: 0 }
    }

    pub(super) fn tell(&mut self, topic: &str, text: String) {
        self.told += 1;
        self.events.push_back(Spooled { number: self.told, topic: topic.to_owned(), text });
        self.trim();
    }

    pub(super) fn next(&mut self) -> Option<Spooled> {
        self.events.pop_front()
    }

    /// Events that were not sent, or may not have arrived, wait again in front, in their order.
    pub(super) fn put_back(&mut self, mut events: Vec<Spooled>) {
        events.sort_unstable_by_key(|event| event.number);
        for event in events.into_iter().rev() {
            self.events.push_front(event);
        }
        self.trim();
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    fn trim(&mut self) {
        while self.events.len() > self.events_max {
            self.events.pop_front();
            self.dropped += 1;
        }
    }
}
