//! From the settings to a session: the address, the encryption, the broker's welcome, all within one time.
//!
//! Not here: judging the broker (`tls`), the session itself (`session`), trying again (`link`).

use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::{Event, Request};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::failure::ConnectionFailure;
use super::session::{Introduction, Session, Wire};
use super::settings::BrokerSettings;
use super::tls::{self, Handshake};

/// Time for one try, from name lookup to the broker's welcome.
const TRY_MAX: Duration = Duration::from_secs(10);

/// Opens a session and keeps it going, until the first failure; all that happens goes to `events`.
pub(super) async fn run(
    settings: BrokerSettings,
    introduction: Introduction,
    requests: mpsc::Receiver<Request>,
    events: mpsc::Sender<Result<Event, ConnectionFailure>>,
) {
    let opened = timeout(TRY_MAX, open(&settings, introduction)).await;
    let ended = match opened.unwrap_or(Err(ConnectionFailure::Timeout)) {
        Ok(session) => session.run(requests, &events).await,
        Err(failure) => Err(failure),
    };
    if let Err(failure) = ended {
        let _ = events.send(Err(failure)).await; // Nobody listens any more: nobody wants to know.
    }
}

async fn open(settings: &BrokerSettings, introduction: Introduction) -> Result<Session, ConnectionFailure> {
    let tcp = TcpStream::connect((settings.host.as_str(), settings.port))
        .await
        .map_err(ConnectionFailure::Unreachable)?;
    // A ping of two bytes would wait for the answer to what was sent before.
    tcp.set_nodelay(true).map_err(ConnectionFailure::Unreachable)?;
    let Some(wanted) = &settings.tls else {
        return Session::begin(Box::new(tcp), introduction).await;
    };
    let handshake = Arc::new(Handshake::default());
    let wire: Box<dyn Wire> = Box::new(tls::connect(tcp, &settings.host, wanted, &handshake).await?);
    let has_certificate = wanted.client.is_some();
    // In TLS 1.3 a broker looks at our certificate only after the handshake.
    Session::begin(wire, introduction).await.map_err(|failure| handshake.explain(failure, has_certificate))
}
