//! One MQTT session on an open connection: the library's codec and state machine, driven over a stream of ours.
//!
//! The library's own loop opens its connections itself, and the encrypted ones only with certificate code that has known
//! holes ([025](../../../../docs/why/025-mqtt-over-tls.md)). This loop does what that one did: requests and packets go through
//! the state machine, and pings tell whether the broker lives. It has a task of its own, so that whoever publishes never
//! waits for the network. Not here: opening the stream (`transport`), what is sent when (`link`).

use std::time::Duration;

use bytes::BytesMut;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Connect, ConnectProperties, ConnectReturnCode, Filter, LastWill, Login, Packet, Publish,
    Subscribe,
};
use rumqttc::v5::mqttbytes::{self, QoS};
use rumqttc::v5::{Event, MqttState, Request, StateError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::failure::{ConnectionFailure, is_closed};

/// One larger message breaks the connection; our discovery has 16 KiB.
pub(super) const PACKET_BYTES_MAX: u32 = 256 * 1024;
/// Packet ids that the state machine cycles through. Far above the outbox's window, so no unanswered id comes again.
const PACKET_IDS: u16 = 200;
/// A dead broker is noticed after at most twice this; the broker notices our death after one and a half times this.
const KEEP_ALIVE_S: u16 = 15;
/// Read at once; a home's traffic fits.
const READ_BYTES: usize = 8 * 1024;
/// The first bytes of an alert, which a TLS port answers to anything else.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// A connection, in the clear or encrypted.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// How the appliance introduces itself.
pub(super) struct Introduction {
    pub(super) client_id: String,
    /// What the broker says of us when we die.
    pub(super) will: LastWill,
    pub(super) login: Option<Login>,
}

/// Requests to a session. They wait in a bounded queue; a full one refuses.
pub(super) struct RequestQueue(mpsc::Sender<Request>);

/// The queue is full, or the session is over.
#[derive(Debug)]
pub(super) struct NotQueued;

impl RequestQueue {
    pub(super) fn new(requests_max: usize) -> (Self, mpsc::Receiver<Request>) {
        let (sender, requests) = mpsc::channel(requests_max);
        (Self(sender), requests)
    }

    pub(super) fn publish(
        &self,
        topic: String,
        qos: QoS,
        retain: bool,
        text: String,
    ) -> Result<(), NotQueued> {
        self.ask(Request::Publish(Publish { retain, ..Publish::new(topic, qos, text, None) }))
    }

    pub(super) fn subscribe(&self, filters: Vec<Filter>) -> Result<(), NotQueued> {
        self.ask(Request::Subscribe(Subscribe::new_many(filters, None)))
    }

    pub(super) fn disconnect(&self) -> Result<(), NotQueued> {
        self.ask(Request::Disconnect)
    }

    fn ask(&self, request: Request) -> Result<(), NotQueued> {
        self.0.try_send(request).map_err(|_| NotQueued)
    }
}

/// A session that the broker has welcomed.
pub(super) struct Session {
    wire: Box<dyn Wire>,
    state: MqttState,
    unread: BytesMut,
    unsent: BytesMut,
    pings: Interval,
    /// Unanswered messages that the broker takes.
    inflight_max: u16,
    /// Longest packet that the broker takes.
    sent_bytes_max: Option<u32>,
}

impl Session {
    /// Introduces us and waits for the broker's welcome.
    pub(super) async fn begin(
        wire: Box<dyn Wire>,
        introduction: Introduction,
    ) -> Result<Self, ConnectionFailure> {
        let mut session = Self {
            wire,
            state: MqttState::new(PACKET_IDS, false),
            unread: BytesMut::new(),
            unsent: BytesMut::new(),
            pings: pings(KEEP_ALIVE_S),
            inflight_max: PACKET_IDS,
            sent_bytes_max: None,
        };
        let Introduction { client_id, will, login } = introduction;
        let properties =
            ConnectProperties { max_packet_size: Some(PACKET_BYTES_MAX), ..ConnectProperties::new() };
        let connect = Connect {
            keep_alive: KEEP_ALIVE_S,
            client_id,
            clean_start: true, // The outbox is the session.
            properties: Some(properties),
        };
        match session.send(Some(Packet::Connect(connect, Some(will), login))).await {
            // A broker that refuses our certificate tells its reason and closes, maybe before it has heard us: the reason
            // is there to be read.
            Ok(()) | Err(ConnectionFailure::Broken(StateError::Io(_))) => {}
            Err(failure) => return Err(failure),
        }
        let welcome = session.welcome().await?;
        session.agree(&welcome);
        session.state.handle_incoming_packet(Packet::ConnAck(welcome))?;
        Ok(session)
    }

    async fn welcome(&mut self) -> Result<ConnAck, ConnectionFailure> {
        loop {
            if self.unread.starts_with(&TLS_ALERT) {
                return Err(ConnectionFailure::SpeaksTls);
            }
            match self.packet() {
                Ok(Some(Packet::ConnAck(answer))) if answer.code == ConnectReturnCode::Success => {
                    return Ok(answer);
                }
                Ok(Some(Packet::ConnAck(answer))) => return Err(ConnectionFailure::Refused(answer.code)),
                Ok(Some(_)) => return Err(ConnectionFailure::NotMqtt("not a welcome".to_owned())),
                Err(error) => return Err(ConnectionFailure::NotMqtt(error.to_string())),
                Ok(None) => {}
            }
            self.unread.reserve(READ_BYTES);
            match self.wire.read_buf(&mut self.unread).await {
                Ok(0) => return Err(ConnectionFailure::ClosedAtOnce),
                Err(error) if is_closed(&error) => return Err(ConnectionFailure::ClosedAtOnce),
                read => drop(read?),
            }
        }
    }

    /// Keeps to the broker's bounds. A bound of zero is none: a ping without a pause would be a storm.
    fn agree(&mut self, welcome: &ConnAck) {
        let Some(bounds) = &welcome.properties else { return };
        if let Some(inflight @ 1..) = bounds.receive_max {
            self.inflight_max = inflight.min(PACKET_IDS);
        }
        if let Some(seconds @ 1..) = bounds.server_keep_alive {
            self.pings = pings(seconds);
        }
        self.sent_bytes_max = bounds.max_packet_size;
    }

    /// Passes on what happens, until the first failure or until nobody listens.
    pub(super) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        events: &mpsc::Sender<Result<Event, ConnectionFailure>>,
    ) -> Result<(), ConnectionFailure> {
        loop {
            while let Some(event) = self.state.events.pop_front() {
                if events.send(Ok(event)).await.is_err() {
                    return Ok(());
                }
            }
            let has_room = self.state.inflight() < self.inflight_max && self.state.collision.is_none();
            self.unread.reserve(READ_BYTES);
            tokio::select! {
                request = requests.recv(), if has_room => match request {
                    Some(request) => self.obey(request).await?,
                    None => return Ok(()),
                },
                read = self.wire.read_buf(&mut self.unread) => match read? {
                    0 => return Err(StateError::ConnectionAborted.into()),
                    _ => self.take_packets().await?,
                },
                _ = self.pings.tick() => self.obey(Request::PingReq).await?,
            }
        }
    }

    async fn obey(&mut self, request: Request) -> Result<(), ConnectionFailure> {
        let is_goodbye = request == Request::Disconnect;
        let packet = self.state.handle_outgoing_packet(request)?;
        self.send(packet).await?;
        if is_goodbye {
            // The end of an encrypted connection has to be said too; a broker may have closed already.
            let _ = self.wire.shutdown().await;
        }
        Ok(())
    }

    async fn take_packets(&mut self) -> Result<(), ConnectionFailure> {
        while let Some(packet) = self.packet()? {
            let answer = self.state.handle_incoming_packet(packet)?;
            self.send(answer).await?;
        }
        Ok(())
    }

    /// The next whole packet among what was read.
    fn packet(&mut self) -> Result<Option<Packet>, mqttbytes::Error> {
        match Packet::read(&mut self.unread, Some(PACKET_BYTES_MAX)) {
            Ok(packet) => Ok(Some(packet)),
            Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send(&mut self, packet: Option<Packet>) -> Result<(), ConnectionFailure> {
        let Some(packet) = packet else { return Ok(()) };
        packet.write(&mut self.unsent, self.sent_bytes_max)?;
        self.wire.write_all_buf(&mut self.unsent).await?;
        self.wire.flush().await?;
        Ok(())
    }
}

fn pings(seconds: u16) -> Interval {
    let period = Duration::from_secs(u64::from(seconds));
    let mut pings = interval_at(Instant::now() + period, period);
    // Two at once after a suspended machine: the first would count as unanswered.
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings
}

/// Ends when the goodbye has left, or the connection has ended anyway.
pub(super) async fn disconnected(events: &mut mpsc::Receiver<Result<Event, ConnectionFailure>>) {
    while let Some(Ok(event)) = events.recv().await {
        if event == Event::Outgoing(Outgoing::Disconnect) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{DuplexStream, duplex};

    const PATIENCE: Duration = Duration::from_secs(30);
    /// What a broker answers to an introduction, with the bounds `receive_max = 2` and `server_keep_alive = 0`.
    const WELCOME: [u8; 11] = [0x20, 9, 0, 0, 6, 0x21, 0, 2, 0x13, 0, 0];

    fn introduction() -> Introduction {
        Introduction {
            client_id: "larder-1".to_owned(),
            will: LastWill::new("larder/attic/availability", "offline", QoS::AtLeastOnce, true, None),
            login: None,
        }
    }

    /// The failure after a broker's first bytes, and its end.
    async fn answered(bytes: &[u8]) -> ConnectionFailure {
        let (near, mut far) = duplex(64 * 1024);
        far.write_all(bytes).await.expect("room");
        far.shutdown().await.expect("an end");
        Session::begin(Box::new(near), introduction()).await.err().expect("no session")
    }

    #[tokio::test]
    async fn what_does_not_welcome_us_is_told_apart() {
        assert!(matches!(answered(&[]).await, ConnectionFailure::ClosedAtOnce));
        assert!(matches!(answered(&[0x20, 9, 0]).await, ConnectionFailure::ClosedAtOnce));
        assert!(matches!(answered(&[0x15, 3, 1, 0, 2, 2, 70]).await, ConnectionFailure::SpeaksTls));
        let page = [b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), &[b'x'; 200]].concat();
        assert!(matches!(answered(&page).await, ConnectionFailure::NotMqtt(_)));
        assert!(matches!(answered(&[0xd0, 0]).await, ConnectionFailure::NotMqtt(_)), "a ping's answer");
        let refused = [0x20, 3, 0, 0x86, 0];
        assert!(matches!(
            answered(&refused).await,
            ConnectionFailure::Refused(ConnectReturnCode::BadUserNamePassword)
        ));
    }

    /// A welcomed session and the broker's end of it.
    async fn welcomed() -> (RequestQueue, mpsc::Receiver<Result<Event, ConnectionFailure>>, DuplexStream) {
        let (near, mut far) = duplex(64 * 1024);
        far.write_all(&WELCOME).await.expect("room");
        let session = Session::begin(Box::new(near), introduction()).await.expect("a session");
        let (requests, asked) = RequestQueue::new(16);
        let (sender, events) = mpsc::channel(64);
        tokio::spawn(async move {
            let ended = session.run(asked, &sender).await;
            if let Err(failure) = ended {
                let _ = sender.send(Err(failure)).await;
            }
        });
        next_packet(&mut far).await; // The introduction.
        (requests, events, far)
    }

    async fn next_packet(far: &mut DuplexStream) -> (u8, Vec<u8>) {
        let kind = far.read_u8().await.expect("a packet");
        let len = usize::from(far.read_u8().await.expect("its length"));
        assert!(len < 128, "short packets only");
        let mut rest = vec![0; len];
        far.read_exact(&mut rest).await.expect("the rest");
        (kind, rest)
    }

    fn publish(requests: &RequestQueue, number: usize) {
        requests.publish("t".to_owned(), QoS::AtLeastOnce, false, number.to_string()).expect("room");
    }

    /// A broker may end the connection of whoever sends more than it takes.
    #[tokio::test]
    async fn no_more_waits_for_an_answer_than_the_broker_takes() {
        let (requests, _events, mut far) = welcomed().await;
        for number in 0..4 {
            publish(&requests, number);
        }
        let (_, first) = next_packet(&mut far).await;
        next_packet(&mut far).await;
        let third = tokio::time::timeout(Duration::from_millis(200), next_packet(&mut far)).await;
        assert!(third.is_err(), "two are unanswered");
        far.write_all(&[0x40, 2, first[3], first[4]]).await.expect("room");
        tokio::time::timeout(PATIENCE, next_packet(&mut far)).await.expect("the third");
    }

    /// Zero switches the broker's bound off; taken as a pause, it would be a storm of pings.
    #[tokio::test(start_paused = true)]
    async fn a_keep_alive_of_zero_makes_no_storm() {
        let (_requests, mut events, mut far) = welcomed().await;
        let begun = Instant::now();
        assert_eq!(next_packet(&mut far).await.0, 0xc0, "a ping");
        assert_eq!(begun.elapsed().as_secs(), u64::from(KEEP_ALIVE_S));
        // Unanswered: the next one finds out.
        let dead = async {
            loop {
                if let Some(Err(failure)) = events.recv().await {
                    return failure;
                }
            }
        };
        assert!(matches!(dead.await, ConnectionFailure::Broken(StateError::AwaitPingResp)));
        assert_eq!(begun.elapsed().as_secs(), 2 * u64::from(KEEP_ALIVE_S));
    }

    #[tokio::test]
    async fn a_goodbye_has_left_when_it_is_told() {
        let (requests, mut events, mut far) = welcomed().await;
        requests.disconnect().expect("room");
        tokio::time::timeout(PATIENCE, disconnected(&mut events)).await.expect("told");
        assert_eq!(next_packet(&mut far).await.0, 0xe0);
        assert_eq!(far.read(&mut [0; 8]).await.expect("an end"), 0, "the stream is closed as well");
    }

    /// Whatever a broker sends ends the session at worst.
    #[tokio::test]
    async fn no_bytes_of_a_broker_hang_or_grow_a_session() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..300 {
            let mut bytes = WELCOME.to_vec();
            for _ in 0..seed % 64 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                bytes.push(seed.to_le_bytes()[3]);
            }
            seed = seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(1);
            let (near, mut far) = duplex(64 * 1024);
            far.write_all(&bytes).await.expect("room");
            far.shutdown().await.expect("an end");
            let (_requests, asked) = RequestQueue::new(1);
            let (sender, mut events) = mpsc::channel(1);
            let task = tokio::spawn(async move {
                let Ok(session) = Session::begin(Box::new(near), introduction()).await else { return };
                let _ = session.run(asked, &sender).await;
            });
            while tokio::time::timeout(PATIENCE, events.recv()).await.expect("an end").is_some() {}
            // The library may panic on nonsense; the link takes that as a broken connection.
            let _ = task.await;
        }
    }
}
