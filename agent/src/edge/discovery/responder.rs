//! The task of one link: announces, answers, says goodbye.

use super::link::{NetworkLink, PORT};
use super::pace::{LinkBudget, MulticastPace};
use crate::edge::{random::random, stop::asked_to_stop};
use larder_format::mdns::{Announcement, MdnsQuery, RecordLifetime, WantedRecords, read_query};
use std::io;
use std::net::SocketAddr;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The longest message of multicast DNS (RFC 6762, 17); of a longer one the rest is dropped.
const MESSAGE_BYTES_MAX: usize = 9000;
/// The kernel takes a message at once unless its queue is full.
const SENT_WITHIN: Duration = Duration::from_secs(1);
/// Between these an answer waits, so that not all appliances speak at once (RFC 6762, 6).
const PAUSE_MIN_MS: u64 = 20;
const PAUSE_RANGE_MS: u64 = 100;

/// Announces and answers on a link until the agent ends, then says goodbye. `has_spoken` is set once the link has taken
/// something.
///
/// # Errors
/// Those of the socket: the interface went away, or a filter refuses.
pub(super) async fn answer(
    socket: UdpSocket,
    link: NetworkLink,
    mut announcements: watch::Receiver<Announcement>,
    mut stop: watch::Receiver<bool>,
    has_spoken: Arc<AtomicBool>,
) -> io::Result<()> {
    let mut message = vec![0; MESSAGE_BYTES_MAX];
    let (mut pace, mut budget) = (MulticastPace::new(), LinkBudget::new(Instant::now()));
    pace.announce(Instant::now());
    let speaker = Speaker { socket, link };
    loop {
        let may_read_at = budget.may_read_at(Instant::now());
        tokio::select! {
            () = asked_to_stop(&mut stop) => break,
            changed = announcements.changed() => match changed {
                Ok(()) => pace.announce(Instant::now()),
                Err(_) => break,
            },
            () = until(pace.due()) => {
                let wanted = pace.take(Instant::now());
                let own = announcements.borrow().clone();
                speaker.say(&own, wanted, RecordLifetime::Usual).await?;
                has_spoken.store(true, Relaxed);
            }
            heard = speaker.hear(&mut message, may_read_at) => {
                let (len, source) = heard?;
                let now = Instant::now();
                budget.read(now);
                let own = announcements.borrow().clone();
                let Some(query) = read_query(&message[..len], &own) else { continue };
                if source.port() == PORT {
                    pace.ask(query.wanted, now, pause());
                } else if speaker.link.has(source.ip()) && budget.may_answer() {
                    speaker.answer_alone(&own, &query, source).await;
                }
            }
        }
    }
    let own = announcements.borrow().clone();
    speaker.say(&own, WantedRecords::ANNOUNCED, RecordLifetime::Goodbye).await
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn pause() -> Duration {
    let [byte] = random::<1>();
    Duration::from_millis(PAUSE_MIN_MS + PAUSE_RANGE_MS * u64::from(byte) / u64::from(u8::MAX))
}

struct Speaker {
    socket: UdpSocket,
    link: NetworkLink,
}

impl Speaker {
    async fn hear(&self, message: &mut [u8], not_before: Instant) -> io::Result<(usize, SocketAddr)> {
        if not_before > Instant::now() {
            sleep_until(not_before).await;
        }
        self.socket.recv_from(message).await
    }

    async fn say(
        &self,
        own: &Announcement,
        wanted: WantedRecords,
        lifetime: RecordLifetime,
    ) -> io::Result<()> {
        let message = own.message(wanted, &self.link.addresses, lifetime);
        self.send(&message, self.link.group()).await
    }

    /// Answers an asker who speaks plain DNS, and hears no multicast. Whether it arrives is the asker's business.
    async fn answer_alone(&self, own: &Announcement, query: &MdnsQuery, source: SocketAddr) {
        let answer = own.plain_answer(query, &self.link.addresses);
        let _ = self.send(&answer, source).await;
    }

    async fn send(&self, message: &[u8], to: SocketAddr) -> io::Result<()> {
        // An interface without a cable may take nothing for ever, and the agent waits for the goodbye before it ends.
        let sent = tokio::time::timeout(SENT_WITHIN, self.socket.send_to(message, to)).await;
        sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(drop)
    }
}
