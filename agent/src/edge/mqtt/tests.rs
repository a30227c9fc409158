//! The module as a whole, against the built-in broker on loopback: the view of dashboards when things go wrong.
//!
//! Time passes here only as much as the network needs: every wait ends with the awaited message.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use larder_trust::SecretKey;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::broker::{self, Broker, BrokerError, Login};
use super::{BrokerSettings, HeadOwner, Mqtt, sample, start};
use crate::edge::system;
use crate::event::MqttCommand;

/// Long enough for a busy machine; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const AVAILABILITY: &str = "larder/attic/availability";

async fn broker_at(address: SocketAddr) -> Broker {
    broker::serve(address).await.expect("a broker on loopback")
}

fn settings(at: SocketAddr) -> BrokerSettings {
    BrokerSettings {
        host: at.ip().to_string(),
        port: at.port(),
        tls: None,
        username: None,
        password: None,
        node: "attic".to_owned(),
        uid: "abc123".to_owned(),
        client_id: "larder-0123456789".to_owned(),
        name: "Attic".to_owned(),
        discovery_prefix: "homeassistant".to_owned(),
        head_owner: HeadOwner {
            key: SecretKey::generate().expect("random").public(),
            vault: "0a".repeat(16),
        },
        is_own_broker: false,
        spool_events_max: 100,
    }
}

fn appliance(at: SocketAddr) -> (Mqtt, mpsc::Receiver<MqttCommand>) {
    let (sender, commands) = mpsc::channel(4);
    let mqtt = start(settings(at), sender);
    mqtt.show(Arc::new(sample::report()));
    (mqtt, commands)
}

/// A watcher of every topic, as a dashboard.
struct Watcher {
    client: AsyncClient,
    messages: mpsc::UnboundedReceiver<(String, String)>,
    /// The last text of every topic.
    seen: BTreeMap<String, String>,
}

impl Watcher {
    fn at(address: SocketAddr) -> Watcher {
        let mut options = MqttOptions::new("watcher", address.ip().to_string(), address.port());
        options.set_max_packet_size(Some(1 << 20));
        let (client, mut event_loop) = AsyncClient::new(options, 100);
        let (sender, messages) = mpsc::unbounded_channel();
        let subscriber = client.clone();
        tokio::spawn(async move {
            while let Ok(event) = event_loop.poll().await {
                match event {
                    Event::Incoming(Packet::ConnAck(_)) => {
                        subscriber.try_subscribe("#", QoS::AtLeastOnce).expect("room for one subscription");
                    }
                    Event::Incoming(Packet::Publish(message)) => {
                        let topic = String::from_utf8_lossy(&message.topic).into_owned();
                        let text = String::from_utf8_lossy(&message.payload).into_owned();
                        if sender.send((topic, text)).is_err() {
                            return;
                        }
                    }
                    _ => {}
                }
            }
        });
        Watcher { client, messages, seen: BTreeMap::new() }
    }

    /// Waits until `wanted` holds for the seen topics; gives the last message.
    async fn until(&mut self, wanted: impl Fn(&BTreeMap<String, String>) -> bool) -> (String, String) {
        loop {
            let next = timeout(PATIENCE, self.messages.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("not yet: {:?}", self.seen.keys()));
            let (topic, text) = next.expect("the watcher's connection");
            self.seen.insert(topic.clone(), text.clone());
            if wanted(&self.seen) {
                return (topic, text);
            }
        }
    }

    async fn until_shown(&mut self, topic: &str, text: &str) {
        self.until(|seen| seen.get(topic).is_some_and(|shown| shown == text)).await;
    }

    async fn ask(&self, command: &str, text: &str, retain: bool) {
        let topic = format!("larder/attic/command/{command}");
        self.client
            .publish(topic, QoS::AtLeastOnce, retain, text.to_owned())
            .await
            .expect("a connected watcher");
    }
}

/// Availability, ten states and four devices. The last to come is the head, once nothing older was found at the broker.
fn whole(seen: &BTreeMap<String, String>) -> bool {
    let ours = |topic: &&String| !topic.contains("/command/");
    seen.keys().filter(ours).count() == 15 && seen.get(AVAILABILITY).is_some_and(|told| told == "online")
}

async fn connected(mqtt: &Mqtt) {
    let wait = async {
        while !mqtt.state().connected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("a connection");
}

#[tokio::test]
async fn a_dashboard_that_starts_later_sees_the_whole_appliance() {
    let broker = broker_at(ANY_PORT).await;
    let (_mqtt, _commands) = appliance(broker.address());
    Watcher::at(broker.address()).until(whole).await;
    Watcher::at(broker.address()).until(whole).await;
}

#[tokio::test]
async fn everything_comes_back_after_the_broker_lost_its_memory() {
    let broker = broker_at(ANY_PORT).await;
    let address = broker.address();
    let (mqtt, _commands) = appliance(address);
    Watcher::at(address).until(whole).await;
    broker.stop().await;
    for number in 0..50 {
        mqtt.tell(&sample::happening(number));
    }
    let _broker = broker_at(address).await;
    connected(&mqtt).await;
    Watcher::at(address).until(whole).await;
    assert_eq!(mqtt.state().connects, 2);
}

#[tokio::test]
async fn without_a_broker_events_wait_up_to_a_limit_and_are_counted_beyond_it() {
    let (mqtt, _commands) = appliance("127.0.0.1:1".parse().unwrap());
    for number in 0..120 {
        mqtt.tell(&sample::happening(number));
    }
    let state = mqtt.state();
    assert_eq!((state.connected, state.spooled, state.dropped), (false, 100, 20));
}

#[tokio::test]
async fn events_arrive_in_order() {
    let broker = broker_at(ANY_PORT).await;
    let mut watcher = Watcher::at(broker.address());
    let (mqtt, _commands) = appliance(broker.address());
    watcher.until(whole).await;
    for number in 0..60 {
        mqtt.tell(&sample::happening(number));
    }
    for number in 0..60 {
        let (_, text) = watcher.until(|seen| seen.contains_key("larder/attic/event")).await;
        assert!(text.contains(&format!("\"event-{number}\"")), "{number}: {text}");
    }
}

#[tokio::test]
async fn a_dead_agent_is_reported_offline_and_so_is_one_that_was_stopped() {
    let broker = broker_at(ANY_PORT).await;
    let mut watcher = Watcher::at(broker.address());
    let (mqtt, _commands) = appliance(broker.address());
    watcher.until_shown(AVAILABILITY, "online").await;
    drop(mqtt);
    watcher.until_shown(AVAILABILITY, "offline").await;

    let (mqtt, _commands) = appliance(broker.address());
    watcher.until_shown(AVAILABILITY, "online").await;
    mqtt.stop(PATIENCE).await;
    watcher.until_shown(AVAILABILITY, "offline").await;
}

#[tokio::test]
async fn stopping_without_a_broker_does_not_wait_for_one() {
    let (mqtt, _commands) = appliance("127.0.0.1:1".parse().unwrap());
    timeout(PATIENCE, mqtt.stop(PATIENCE * 10)).await.expect("an end");
}

#[tokio::test]
async fn commands_are_obeyed_but_never_retained_or_unknown_ones() {
    let broker = broker_at(ANY_PORT).await;
    let (_mqtt, mut commands) = appliance(broker.address());
    let mut watcher = Watcher::at(broker.address());
    watcher.until(whole).await;
    for (command, retain, ok) in
        [("identify", false, true), ("acknowledge", true, false), ("prune", false, false)]
    {
        watcher.ask(command, r#"{"id":"q1"}"#, retain).await;
        let answer = format!("larder/attic/command/{command}/result");
        let (_, text) = watcher.until(|seen| seen.contains_key(&answer)).await;
        assert!(
            text.contains(&format!("\"ok\":{ok}")) && text.contains("\"id\":\"q1\""),
            "{command}: {text}"
        );
    }
    assert_eq!(commands.recv().await, Some(MqttCommand::Identify));
    assert!(commands.try_recv().is_err(), "only the first was obeyed");
}

#[tokio::test]
async fn what_an_earlier_run_left_behind_is_removed() {
    let broker = broker_at(ANY_PORT).await;
    let mut watcher = Watcher::at(broker.address());
    let stale = ["larder/attic/source/old-pc", "homeassistant/device/abc123/source_old-pc/config"];
    let foreign = ["larder/cellar/source/pc", "homeassistant/device/zigbee/lamp/config"];
    for topic in stale.into_iter().chain(foreign) {
        watcher.client.publish(topic, QoS::AtLeastOnce, true, "{}").await.unwrap();
        watcher.until_shown(topic, "{}").await;
    }
    let (_mqtt, _commands) = appliance(broker.address());
    for topic in stale {
        if !watcher.seen[topic].is_empty() {
            watcher.until_shown(topic, "").await;
        }
    }
    assert!(foreign.iter().all(|topic| watcher.seen[*topic] == "{}"));
}

#[tokio::test]
async fn a_port_in_use_is_said_clearly() {
    let broker = broker_at(ANY_PORT).await;
    let second = broker::serve(broker.address()).await;
    assert!(matches!(second, Err(BrokerError::Taken { address }) if address == broker.address()));
    broker.stop().await;
}

#[tokio::test]
async fn without_a_login_the_broker_never_leaves_loopback() {
    let open = broker::serve("0.0.0.0:0".parse().unwrap()).await;
    assert!(matches!(open, Err(BrokerError::Unguarded { .. })));
}

#[tokio::test]
async fn a_guarded_broker_knows_one_login_only() {
    let login = Login { username: "larder".to_owned(), password: "secret".to_owned() };
    let broker = broker::serve_guarded(ANY_PORT, login).await.expect("a broker on loopback");
    for (login, connected) in [
        (None, false),
        (Some(("larder", "wrong")), false),
        (Some(("larder", "")), false),
        (Some(("guest", "secret")), false),
        (Some(("larder", "secret")), true),
    ] {
        let (sender, _commands) = mpsc::channel(4);
        let mut settings = settings(broker.address());
        settings.username = login.map(|(username, _)| username.to_owned());
        settings.password = login.map(|(_, password)| password.to_owned());
        let mqtt = start(settings, sender);
        let decided = async {
            while !mqtt.state().connected && mqtt.state().last_error.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, decided).await.expect("an answer");
        assert_eq!(mqtt.state().connected, connected, "{login:?}: {:?}", mqtt.state().last_error);
    }
}

/// A client that sends the given bytes, one by one.
async fn raw_client(at: SocketAddr, name: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.expect("it works on loopback");
    let mut connect = vec![0x10, u8::try_from(12 + name.len()).expect("it works on loopback")];
    connect.extend_from_slice(b"\x00\x04MQTT\x04\x02\x00\x00\x00");
    connect.push(u8::try_from(name.len()).expect("it works on loopback"));
    connect.extend_from_slice(name.as_bytes());
    stream.write_all(&connect).await.expect("it works on loopback");
    stream.read_exact(&mut [0; 4]).await.expect("it works on loopback");
    stream
}

/// A client that subscribes to every topic and never reads.
async fn deaf_subscriber(at: SocketAddr, name: &str, qos: u8) -> TcpStream {
    let mut stream = raw_client(at, name).await;
    stream.write_all(&[0x82, 6, 0, 1, 0, 1, b'#', qos]).await.expect("it works on loopback");
    stream.read_exact(&mut [0; 5]).await.expect("it works on loopback");
    stream
}

/// Four dashboards that do not read, and a flood of large messages: memory stays as it is, and a reading client goes
/// on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_read_cost_neither_memory_nor_the_others() {
    const MESSAGES: usize = 978;
    const TEXT_BYTES: usize = 250 * 1024;
    let broker = broker_at(ANY_PORT).await;
    let mut deaf = Vec::new();
    for number in 0..4 {
        deaf.push(deaf_subscriber(broker.address(), &format!("deaf{number}"), number % 2).await);
    }
    let before = system::memory_mib().unwrap();
    let mut sender = raw_client(broker.address(), "flood").await;
    let len = 2 + 5 + TEXT_BYTES;
    let byte = |shift: usize| u8::try_from(len >> shift & 0x7f).unwrap();
    let mut message = vec![0x30, byte(0) | 0x80, byte(7) | 0x80, byte(14)];
    message.extend_from_slice(b"\x00\x05flood");
    message.resize(4 + len, b'x');
    let mut most = before;
    for _ in 0..MESSAGES {
        timeout(PATIENCE, sender.write_all(&message)).await.expect("the broker goes on reading").unwrap();
        most = most.max(system::memory_mib().unwrap());
    }
    // Some 10 MiB alone, but further tests run beside this one. Together the messages are 239 MiB.
    assert!(most < before + 120, "{before} MiB before, {most} at the most");

    let mut watcher = Watcher::at(broker.address());
    let (_mqtt, _commands) = appliance(broker.address());
    watcher.until(whole).await;
}
