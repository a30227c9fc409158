//! States to be shown at retained topics. An old value is worth nothing, so states never queue: one slot per topic,
//! and the last value wins.

use super::super::topics::Shown;
use std::collections::{HashMap, HashSet, VecDeque};

/// One state topic.
#[derive(Debug)]
struct StateTopic {
    /// Order of first appearance: availability before discovery before states, on every connect.
    rank: u64,
    text: String,
    /// Still to be sent; its topic is in `waiting` exactly once.
    due: bool,
    /// A message is on its way. The next message waits for its end, so the order on one topic is never in doubt.
    travels: bool,
}

/// The states of one appliance.
#[derive(Debug, Default)]
pub(super) struct States {
    topics: HashMap<String, StateTopic>,
    ranks: u64,
    /// Due topics, in the order of sending.
    waiting: VecDeque<String>,
}

impl States {
    /// Shows `text` at a retained topic. Showing the same again sends nothing; empty text removes the topic.
    pub(super) fn show(&mut self, topic: &str, text: String) {
        if let Some(state) = self.topics.get_mut(topic) {
            if state.text != text {
                state.text = text;
                self.make_due(topic);
            }
            return;
        }
        self.ranks += 1;
        let state = StateTopic { rank: self.ranks, text, due: false, travels: false };
        self.topics.insert(topic.to_owned(), state);
        self.make_due(topic);
    }

    /// Like `show`, ahead of every other state.
    pub(super) fn show_first(&mut self, topic: &str, text: String) {
        self.show(topic, text);
        if let Some(place) = self.waiting.iter().position(|waiting| waiting == topic) {
            self.waiting.remove(place);
            self.waiting.push_front(topic.to_owned());
        }
    }

    /// Shows exactly `wanted`: any further topic is removed, except `always`.
    pub(super) fn show_only(&mut self, wanted: Vec<Shown>, always: &str) {
        let kept: HashSet<&str> = wanted.iter().map(|(topic, _)| topic.as_str()).collect();
        let gone = |(topic, state): &(&String, &StateTopic)| {
            *topic != always && !kept.contains(topic.as_str()) && !state.text.is_empty()
        };
        let gone: Vec<String> = self.topics.iter().filter(gone).map(|(topic, _)| topic.clone()).collect();
        for topic in gone {
            self.show(&topic, String::new());
        }
        for (topic, text) in wanted {
            self.show(&topic, text);
        }
    }

    /// Whether `topic` is shown at present.
    pub(super) fn shows(&self, topic: &str) -> bool {
        self.topics.get(topic).is_some_and(|state| !state.text.is_empty())
    }

    /// The text shown at `topic`.
    pub(super) fn text_of(&self, topic: &str) -> Option<&str> {
        self.topics.get(topic).map(|state| state.text.as_str())
    }

    /// A shown topic is due again.
    pub(super) fn show_again(&mut self, topic: &str) {
        self.make_due(topic);
    }

    /// Everything shown is due again, in order of first appearance.
    pub(super) fn show_all_again(&mut self) {
        let mut topics: Vec<(u64, String)> =
            self.topics.iter().map(|(topic, state)| (state.rank, topic.clone())).collect();
        topics.sort_unstable();
        self.waiting = topics.into_iter().map(|(_, topic)| topic).collect();
        self.topics.values_mut().for_each(|state| state.due = true);
    }

    /// Topic and text to send next.
    pub(super) fn next(&mut self) -> Option<Shown> {
        let topics = &self.topics;
        let ready = |topic: &String| topics.get(topic).is_some_and(|state| !state.travels);
        let place = self.waiting.iter().position(ready)?;
        let topic = self.waiting.remove(place)?;
        let state = self.topics.get_mut(&topic)?;
        (state.due, state.travels) = (false, true);
        Some((topic, state.text.clone()))
    }

    /// The last result of `next` was not sent: the topic waits again, in front.
    pub(super) fn take_back(&mut self, topic: String) {
        if let Some(state) = self.topics.get_mut(&topic) {
            state.travels = false;
            if !std::mem::replace(&mut state.due, true) {
                self.waiting.push_front(topic);
            }
        }
    }

    /// A sent state may not have arrived: the topic waits again.
    pub(super) fn lost(&mut self, topic: &str) {
        if let Some(state) = self.topics.get_mut(topic) {
            state.travels = false;
        }
        self.make_due(topic);
    }

    /// A message came to its end. A refused state stays refused until its text changes or the connection is new: a
    /// repetition would only be refused again.
    pub(super) fn settle(&mut self, topic: &str) {
        let Some(state) = self.topics.get_mut(topic) else { return };
        state.travels = false;
        if state.text.is_empty() && !state.due {
            self.topics.remove(topic);
        }
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn make_due(&mut self, topic: &str) {
        if let Some(state) = self.topics.get_mut(topic)
            && !state.due
        {
            state.due = true;
            self.waiting.push_back(topic.to_owned());
        }
    }
}
