//! Bytes that wait in the broker for its subscribers.
//!
//! The library bounds a subscriber's queue by the number of messages, but has an unbounded queue in front: while a
//! subscriber reads nothing, every message for it piles up there. So each message with a subscriber is counted from
//! its publication until its last copy is gone. A publisher waits for room. A subscriber that reads nothing while
//! messages wait loses its connection and the waiting messages; states are retained, so the next connection finds
//! them. Not here: retained messages (`Retained`).

use async_trait::async_trait;
use bytes::Bytes;
use rmqtt::context::ServerContext;
use rmqtt::hook::{Handler, HookManager, HookResult, Parameter, ReturnType, Type};
use rmqtt::types::{ClientId, From, Id, Publish, QoS};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Messages on their way to every client together, in bytes.
const QUEUED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A subscriber that lags by more than this, and reads nothing, is not waited for.
const LAGS_BYTES_MAX: usize = 1024 * 1024;
/// A subscriber without any progress for so long does not read. The system's own buffers hide a few MiB of silence.
const STALLED_AFTER: Duration = Duration::from_secs(1);
/// How long a publisher waits for room: longer than it takes until silent subscribers are gone.
const ROOM_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks for stalled subscribers while a publisher waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Bytes of a message for each subscriber besides its text.
const COPY_BYTES: usize = 512;
/// Bytes of a user property in each copy besides its text.
const PROPERTY_BYTES: usize = 64;

/// Counts waiting messages, as a hook of the library.
#[derive(Clone)]
pub(super) struct Queued {
    context: ServerContext,
    count: Arc<QueuedCount>,
}

#[derive(Default)]
struct QueuedCount {
    waiting: Mutex<Backlog>,
    /// Rings when a message is gone.
    freed: Notify,
}

#[derive(Default)]
struct Backlog {
    bytes: usize,
    subscribers: HashMap<ClientId, Lag>,
}

/// The backlog of one subscriber. Copies of retained messages leave uncounted, so the figure may be too low, never
/// too high.
struct Lag {
    bytes: usize,
    /// Time of the last progress, or of the beginning of the wait.
    moved: Instant,
    /// Being disconnected.
    is_going: bool,
}

/// A message's text, counted as long as any copy exists.
struct Text {
    text: Vec<u8>,
    charge: usize,
    count: Arc<QueuedCount>,
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.count.waiting().bytes -= self.charge;
        self.count.freed.notify_waiters();
    }
}

impl QueuedCount {
    fn waiting(&self) -> MutexGuard<'_, Backlog> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `bytes` for a message if there is room.
    fn take(&self, bytes: usize) -> bool {
        let mut waiting = self.waiting();
        let has_room = waiting.bytes.saturating_add(bytes) <= QUEUED_BYTES_MAX;
        if has_room {
            waiting.bytes += bytes;
        }
        has_room
    }
}

impl Backlog {
    fn add(&mut self, subscriber: &ClientId, bytes: usize, now: Instant) {
        let new = || Lag { bytes: 0, moved: now, is_going: false };
        let lag = self.subscribers.entry(subscriber.clone()).or_insert_with(new);
        if lag.bytes == 0 {
            lag.moved = now;
        }
        lag.bytes += bytes;
    }

    fn took(&mut self, subscriber: &ClientId, bytes: usize, now: Instant) {
        if let Some(lag) = self.subscribers.get_mut(subscriber) {
            (lag.bytes, lag.moved) = (lag.bytes.saturating_sub(bytes), now);
        }
    }

    /// Subscribers with a lag of more than `bytes` and no progress; each subscriber once.
    fn stalled(&mut self, bytes: usize, now: Instant) -> Vec<ClientId> {
        let is_stalled =
            |lag: &Lag| lag.bytes > bytes && !lag.is_going && now.duration_since(lag.moved) >= STALLED_AFTER;
        let stalled = self.subscribers.iter_mut().filter(|(_, lag)| is_stalled(lag));
        let going = stalled.map(|(subscriber, lag)| {
            lag.is_going = true;
            subscriber.clone()
        });
        going.collect()
    }
}

impl Queued {
    /// Counts from now on.
    pub(super) async fn watch(context: &ServerContext, hooks: &dyn HookManager) {
        let queued = Self { context: context.clone(), count: Arc::default() };
        let register = hooks.register();
        let kinds = [
            Type::MessagePublish,
            Type::MessageDelivered,
            Type::MessageAcked,
            Type::MessageDropped,
            Type::ClientConnected,
            Type::SessionTerminated,
        ];
        for kind in kinds {
            register.add(kind, Box::new(queued.clone())).await;
        }
        register.start().await;
    }

    /// The message with its text counted; none without subscribers.
    async fn published(&self, from: &From, publish: &Publish) -> Option<Publish> {
        let subscribers = self.subscribers(from, publish).await;
        if subscribers.is_empty() {
            return None;
        }
        let charge = publish.payload.len() + subscribers.len().saturating_mul(copy_bytes(publish));
        let mut counted = publish.clone();
        if !self.has_room(charge).await {
            tracing::warn!(topic = %publish.topic, "the built-in MQTT broker has no room for a message");
            // The library drops messages for absent clients; no client has an empty name.
            counted.target_clientid = Some(ClientId::default());
            return Some(counted);
        }
        // A copy: the original is a window into a read buffer and would keep the whole buffer alive.
        let text = Text { text: publish.payload.to_vec(), charge, count: self.count.clone() };
        counted.inner.payload = Bytes::from_owner(text);
        let (now, lag) = (Instant::now(), lag_bytes(publish));
        let stalled = {
            let mut waiting = self.count.waiting();
            subscribers.iter().for_each(|subscriber| waiting.add(subscriber, lag, now));
            waiting.stalled(LAGS_BYTES_MAX, now)
        };
        self.disconnect(stalled);
        Some(counted)
    }

    async fn subscribers(&self, from: &From, publish: &Publish) -> Vec<ClientId> {
        let router = self.context.extends.router().await;
        // A topic that the library cannot match has no subscribers.
        let matches = router.matches(from.id.clone(), &publish.topic).await.unwrap_or_default();
        matches.into_values().flatten().map(|(_, subscriber, ..)| subscriber).collect()
    }

    /// Waits for room, and disconnects silent subscribers meanwhile.
    async fn has_room(&self, bytes: usize) -> bool {
        let until = Instant::now() + ROOM_WITHIN;
        loop {
            let freed = self.count.freed.notified();
            if self.count.take(bytes) {
                return true;
            }
            let now = Instant::now();
            if bytes > QUEUED_BYTES_MAX || now >= until {
                return false;
            }
            let stalled = self.count.waiting().stalled(0, now);
            self.disconnect(stalled);
            let _ = tokio::time::timeout(LOOK_EVERY, freed).await;
        }
    }

    fn disconnect(&self, subscribers: Vec<ClientId>) {
        for subscriber in subscribers {
            tracing::warn!(client = %subscriber, "a client of the built-in MQTT broker takes nothing; it is disconnected");
            let context = self.context.clone();
            // Apart: a silent client needs seconds to notice.
            tokio::spawn(async move {
                let id = Id::from(context.node.id(), subscriber);
                let entry = context.extends.shared().await.entry(id);
                let Ok(mut entry) = entry.try_lock().await else { return };
                // As a command of the owner: then the session goes too, with its waiting messages.
                if let Err(error) = entry.kick(true, true, true).await {
                    tracing::debug!(%error, "the client was gone already");
                }
            });
        }
    }
}

/// Bytes of each copy of a message besides its text.
fn copy_bytes(publish: &Publish) -> usize {
    let properties = publish.properties.as_ref().map_or(0, |properties| {
        let texts =
            properties.user_properties.iter().map(|(key, value)| key.len() + value.len() + PROPERTY_BYTES);
        texts.sum()
    });
    COPY_BYTES + publish.topic.len() + properties
}

/// Lag of a subscriber for one message.
fn lag_bytes(publish: &Publish) -> usize {
    publish.payload.len() + COPY_BYTES
}

#[async_trait]
impl Handler for Queued {
    async fn hook(&self, about: &Parameter, before: Option<HookResult>) -> ReturnType {
        let now = Instant::now();
        match about {
            Parameter::MessagePublish(_, from, publish) => {
                let counted = self.published(from, publish).await;
                return (true, counted.map(HookResult::Publish).or(before));
            }
            // The message goes on waiting for its acknowledgement, if any.
            Parameter::MessageDelivered(session, _, publish) => {
                let bytes = if publish.qos == QoS::AtMostOnce { lag_bytes(publish) } else { 0 };
                self.count.waiting().took(&session.id.client_id, bytes, now);
            }
            Parameter::MessageAcked(session, _, publish) => {
                self.count.waiting().took(&session.id.client_id, lag_bytes(publish), now);
            }
            Parameter::MessageDropped(Some(to), _, publish, _) => {
                self.count.waiting().took(&to.client_id, lag_bytes(publish), now);
            }
            Parameter::ClientConnected(session) | Parameter::SessionTerminated(session, _) => {
                self.count.waiting().subscribers.remove(&session.id.client_id);
            }
            _ => {}
        }
        (true, before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_nothing_is_told_from_whoever_is_slow() {
        let (slow, stuck) = (ClientId::from("slow"), ClientId::from("stuck"));
        let start = Instant::now();
        let mut waiting = Backlog::default();
        for subscriber in [&slow, &stuck] {
            waiting.add(subscriber, 2 * LAGS_BYTES_MAX, start);
        }
        let later = start + STALLED_AFTER;
        waiting.took(&slow, 10, later);
        assert_eq!(waiting.stalled(LAGS_BYTES_MAX, later), std::slice::from_ref(&stuck));
        assert!(waiting.stalled(LAGS_BYTES_MAX, later).is_empty(), "it is going already");
        assert!(waiting.stalled(2 * LAGS_BYTES_MAX, later + STALLED_AFTER).is_empty());
        assert_eq!(waiting.stalled(0, later + STALLED_AFTER), std::slice::from_ref(&slow));
    }

    /// A dashboard without any message for an hour has not stalled.
    #[test]
    fn a_wait_begins_with_something_to_wait_for() {
        let idle = ClientId::from("idle");
        let start = Instant::now();
        let mut waiting = Backlog::default();
        waiting.add(&idle, 10, start);
        waiting.took(&idle, 10, start);
        let later = start + 3600 * STALLED_AFTER;
        waiting.add(&idle, 10, later);
        assert!(waiting.stalled(0, later).is_empty());
    }

    #[test]
    fn room_comes_back_with_the_last_copy() {
        let count = Arc::new(QueuedCount::default());
        assert!(count.take(QUEUED_BYTES_MAX) && !count.take(1));
        let text = Text { text: Vec::new(), charge: QUEUED_BYTES_MAX, count: count.clone() };
        let first = Bytes::from_owner(text);
        let second = first.clone();
        drop(first);
        assert!(!count.take(1));
        drop(second);
        assert!(count.take(1));
    }
}
