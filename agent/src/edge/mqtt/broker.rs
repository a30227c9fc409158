//! A broker inside the agent, for homes that have none.
//!
//! `rmqtt` is a library for clusters with a million clients; here it serves one home next to a backup, so every limit
//! is set. The broker has a runtime of its own: the library starts tasks and never ends them, and only dropping the
//! runtime stops them. Retained messages are kept here, in memory: the library's own store keeps none, and its
//! default would expire them after five minutes.
//!
//! Kept messages are bounded in bytes: retained messages here, queued messages in `queued`. Without a login the
//! broker listens on loopback only, since every client may read and write every topic. Not here: the agent's own
//! connection, the same as to any broker (`link`).

mod queued;

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

use self::queued::Queued;
use async_trait::async_trait;
use rmqtt::context::ServerContext;
use rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use rmqtt::net::{Builder, Listener};
use rmqtt::retain::RetainStorage;
use rmqtt::server::MqttServer;
use rmqtt::topic::Topic;
use rmqtt::types::{AuthResult, Retain, TopicFilter, TopicName};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;

/// A home has a handful of dashboards; without a limit, one script that forgets to close would eat the memory.
const CONNECTIONS_MAX: usize = 32;
/// Sessions, including sessions of clients away for a while.
const SESSIONS_MAX: isize = 64;
/// Connections being made at the same moment.
const HANDSHAKES_MAX: usize = 16;
/// As large as the agent's own limit; discovery payloads have about 16 KiB.
const PACKET_BYTES_MAX: u32 = 256 * 1024;
/// Messages waiting for one slow client; beyond the limit the oldest go first. A dashboard with a subscription to
/// every topic needs room for all retained messages at once.
const QUEUE_MESSAGES_MAX: usize = 1000;
/// A client that reads none of the sent bytes for so long is disconnected.
const SEND_WITHIN: Duration = Duration::from_secs(3);
/// Unacknowledged messages towards one client.
const WINDOW_MESSAGES: NonZeroU16 = NonZeroU16::new(32).expect("32 is not zero");
/// How long messages for an absent client are kept.
const SESSION_MAX: Duration = Duration::from_secs(3600);
/// How long one message waits for an absent client. Retained messages do not expire.
const MESSAGE_MAX: Duration = Duration::from_secs(300);
/// Retained topics; our own appliance has about a hundred.
const RETAINED_MESSAGES_MAX: usize = 2000;
/// Retained topics and texts together.
const RETAINED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Tasks that the library runs and queues at once; the default reserves for 300 000.
const TASKS_MAX: usize = 64;
const TASKS_QUEUED_MAX: usize = 4096;
/// How long a stop waits for the tasks to notice.
const STOP_MAX: Duration = Duration::from_secs(2);

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    /// Another program, most likely another broker, has the port: use that one, or choose another port.
    #[error("{address} is already in use; if a broker runs there, name it in the setting `[mqtt] broker`")]
    Taken {
        /// The wished address.
        address: SocketAddr,
    },
    /// Everybody in the network could read and write.
    #[error("the built-in broker asks for no password, so it listens on loopback only, not at {address}")]
    Unguarded {
        /// The wished address.
        address: SocketAddr,
    },
    /// The address is not ours, or the system has no threads or sockets left.
    #[error("the built-in broker cannot listen at {address}: {source}")]
    NoListener {
        /// The wished address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
}

/// A running broker. Dropping it ends all connections; retained messages are gone.
#[derive(Debug)]
pub(crate) struct Broker {
    address: SocketAddr,
    /// None only after `stop`.
    runtime: Option<Runtime>,
}

/// The only name and password of a guarded broker.
pub(crate) struct Login {
    /// Also the agent's own.
    pub(crate) username: String,
    /// Sent in the clear: good against a curious guest, not against a tapped line.
    pub(crate) password: String,
}

/// Listens at the loopback `address` (port 0: any free port) for MQTT 3.1.1 and 5 without asking for a name, and
/// returns when clients can connect.
pub(crate) async fn serve(address: SocketAddr) -> Result<Broker, BrokerError> {
    if !address.ip().is_loopback() {
        return Err(BrokerError::Unguarded { address });
    }
    listen(address, None).await
}

/// Like `serve`, at any address, for clients with `login` only.
pub(crate) async fn serve_guarded(address: SocketAddr, login: Login) -> Result<Broker, BrokerError> {
    listen(address, Some(login)).await
}

async fn listen(address: SocketAddr, login: Option<Login>) -> Result<Broker, BrokerError> {
    let failed = |source: io::Error| match source.kind() {
        ErrorKind::AddrInUse => BrokerError::Taken { address },
        _ => BrokerError::NoListener { address, source },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("mqtt-broker")
        .enable_all()
        .build()
        .map_err(failed)?;
    let (ready, listening) = oneshot::channel();
    runtime.spawn(run(address, login, ready));
    let mut broker = Broker { address, runtime: Some(runtime) }; // From here on, it ends well on every way out.
    let lost = |_| Err(io::Error::other("it ended before it had begun"));
    broker.address = listening.await.unwrap_or_else(lost).map_err(failed)?;
    tracing::info!(address = %broker.address, "the built-in MQTT broker listens");
    Ok(broker)
}

impl Broker {
    /// The address; the port is the real port, even if any free port was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections and waits until the port is free again.
    pub(crate) async fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for threads would block this thread.
            let stopped = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP_MAX)).await;
            if stopped.is_err() {
                tracing::warn!("the built-in MQTT broker did not stop cleanly");
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The alternatives for ending a runtime panic inside asynchronous code.
            runtime.shutdown_background();
        }
    }
}

/// Lives in the broker's own runtime.
async fn run(address: SocketAddr, login: Option<Login>, ready: oneshot::Sender<io::Result<SocketAddr>>) {
    let listener = match listener(address, login.is_none()) {
        Ok(listener) => listener,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let at = listener.local_addr().unwrap_or(address);
    let context = ServerContext::new()
        .mqtt_max_sessions(SESSIONS_MAX)
        .task_exec_workers(TASKS_MAX)
        .task_exec_queue_max(TASKS_QUEUED_MAX)
        // The check would turn clients away while the processor is busy, and a backup keeps the processor busy for
        // hours.
        .busy_check_enable(false)
        .build()
        .await;
    *context.extends.retain_mut().await = Box::new(Retained::default());
    Queued::watch(&context, context.extends.hook_mgr()).await;
    if let Some(login) = login {
        let hooks = context.extends.hook_mgr().register();
        hooks.add(Type::ClientAuthenticate, Box::new(login)).await;
        hooks.start().await;
    }
    let server = MqttServer::new(context).listener_by_id(listener, at.port()).build();
    let _ = ready.send(Ok(at));
    // The library's `start` would end the whole process on an error.
    if let Err(error) = server.run().await {
        tracing::error!("the built-in MQTT broker ended: {error}");
    }
}

fn listener(address: SocketAddr, anonymous: bool) -> io::Result<Listener> {
    let builder = Builder::new()
        .name("larder")
        .laddr(address)
        // Otherwise the port stays blocked for a minute after each restart.
        .reuseaddr(Some(true))
        .nodelay(true)
        .backlog(32)
        .max_connections(CONNECTIONS_MAX)
        .max_handshaking_limit(HANDSHAKES_MAX)
        .send_timeout(SEND_WITHIN)
        .max_packet_size(PACKET_BYTES_MAX)
        .max_inflight(WINDOW_MESSAGES)
        .max_mqueue_len(QUEUE_MESSAGES_MAX)
        .session_expiry_interval(SESSION_MAX)
        .max_session_expiry_interval(SESSION_MAX)
        .message_expiry_interval(MESSAGE_MAX)
        .max_clientid_len(256)
        .max_topic_levels(16)
        .max_subscriptions(100)
        .allow_anonymous(anonymous);
    builder.bind().and_then(Listener::tcp).map_err(|error| match error.downcast::<io::Error>() {
        Ok(error) => error,
        Err(other) => io::Error::other(other.to_string()),
    })
}

#[async_trait]
impl Handler for Login {
    async fn hook(&self, asked: &Parameter, before: Option<HookResult>) -> ReturnType {
        let Parameter::ClientAuthenticate(client) = asked else { return (true, before) };
        let username = client.username().map_or(&[][..], |username| username.as_bytes());
        let password = client.password().map_or(&[][..], |password| password.as_ref());
        // Both are always compared, in full: the time to an answer must tell an attacker nothing.
        let known = same(username, self.username.as_bytes()) & same(password, self.password.as_bytes());
        let verdict = if known { AuthResult::Allow(false, None) } else { AuthResult::BadUsernameOrPassword };
        (false, Some(HookResult::AuthResult(verdict)))
    }
}

/// Equality in a time that depends on the lengths only.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |unlike, (a, b)| unlike | (a ^ b)) == 0
}

/// Retained messages, bounded, in memory: the agent shows every state again after a restart.
#[derive(Default)]
struct Retained {
    messages: Mutex<HashMap<TopicName, RetainedMessage>>,
}

/// One message.
struct RetainedMessage {
    message: Retain,
    /// Only if the sender asked for an expiry.
    expires: Option<Instant>,
}

impl RetainedMessage {
    fn bytes(&self) -> usize {
        self.message.publish.topic.len() + self.message.publish.payload.len()
    }

    fn is_current(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

#[async_trait]
impl RetainStorage for Retained {
    fn enable(&self) -> bool {
        true
    }

    async fn set(&self, topic: &TopicName, mut retain: Retain, _: Option<Duration>) -> rmqtt::Result<()> {
        let (mut messages, now) = (self.messages.lock().await, Instant::now());
        messages.remove(topic);
        if retain.publish.payload.is_empty() {
            return Ok(());
        }
        messages.retain(|_, kept| kept.is_current(now));
        // A copy: the original is a window into a read buffer and would keep the whole buffer alive.
        retain.publish.inner.payload = retain.publish.payload.to_vec().into();
        let asked =
            retain.publish.properties.as_ref().and_then(|properties| properties.message_expiry_interval);
        let expires = asked.map(|seconds| now + Duration::from_secs(u64::from(seconds.get())));
        let kept = RetainedMessage { message: retain, expires };
        let bytes: usize = messages.values().map(RetainedMessage::bytes).sum();
        if messages.len() >= RETAINED_MESSAGES_MAX || bytes + kept.bytes() > RETAINED_BYTES_MAX {
            // Present listeners still get the message; an error would cost the sender its connection.
            tracing::warn!(%topic, "the built-in MQTT broker has no room to retain this topic");
            return Ok(());
        }
        messages.insert(TopicName::from(topic.to_string()), kept);
        Ok(())
    }

    async fn get(&self, filter: &TopicFilter) -> rmqtt::Result<Vec<(TopicName, Retain)>> {
        let (messages, now) = (self.messages.lock().await, Instant::now());
        let filter = Topic::from_str(filter)?;
        let wanted = |(topic, kept): &(&TopicName, &RetainedMessage)| {
            kept.is_current(now) && filter.matches_str(topic.as_ref() as &str)
        };
        let found = messages.iter().filter(wanted);
        Ok(found.map(|(topic, kept)| (topic.clone(), kept.message.clone())).collect())
    }

    async fn count(&self) -> isize {
        isize::try_from(self.messages.lock().await.len()).unwrap_or(isize::MAX)
    }

    async fn max(&self) -> isize {
        self.count().await
    }
}
