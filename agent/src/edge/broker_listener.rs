//! A listener at the broker that notes every message, for `demo` to show.

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// A discovery payload is about 16 KiB.
const PACKET_BYTES_MAX: u32 = 256 * 1024;
/// Remembered messages; the story needs some dozens.
const NOTED_MAX: usize = 1000;

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    pub(crate) topic: String,
    /// Whether the broker keeps the message for later subscribers.
    pub(crate) retained: bool,
    pub(crate) payload: String,
}

/// Listens until it is dropped.
pub(crate) struct BrokerListener {
    noted: Arc<Mutex<Vec<Noted>>>,
    task: tokio::task::JoinHandle<()>,
}

impl BrokerListener {
    /// Listens to every topic at `broker`.
    pub(crate) fn listen(broker: SocketAddr) -> Self {
        let mut options = MqttOptions::new("larder-demo-listener", broker.ip().to_string(), broker.port());
        options.set_max_packet_size(Some(PACKET_BYTES_MAX));
        let (client, mut events) = AsyncClient::new(options, 8);
        // Retain as published: otherwise the flag only tells whether a message was there before us.
        let everything = Filter { preserve_retain: true, ..Filter::new("#", QoS::AtLeastOnce) };
        let noted = Arc::new(Mutex::new(Vec::new()));
        let notes = noted.clone();
        let task = tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                match event {
                    Event::Incoming(Packet::ConnAck(_)) => {
                        drop(client.try_subscribe_many([everything.clone()]));
                    }
                    Event::Incoming(Packet::Publish(message)) => {
                        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
                        if notes.len() < NOTED_MAX {
                            notes.push(Noted {
                                topic: String::from_utf8_lossy(&message.topic).into_owned(),
                                retained: message.retain,
                                payload: String::from_utf8_lossy(&message.payload).into_owned(),
                            });
                        }
                    }
                    _ => {}
                }
            }
        });
        Self { noted, task }
    }

    /// The messages so far.
    pub(crate) fn noted(&self) -> Vec<Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for BrokerListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
