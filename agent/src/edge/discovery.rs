//! Announces the appliance on its network by multicast DNS, so that nobody has to type an address.
//!
//! An announcement suggests an address and proves nothing; a code or a key does that. What others say on the network is
//! not kept and not believed: no memory that strangers fill, and no name that strangers take away (docs/why/024). Each
//! interface has a socket and a task of its own, since an address is good only on the link where it is. Whatever fails
//! here is logged once for each interface and tried again; nothing waits for it. Not here: messages (`larder_format::mdns`).

mod link;
mod pace;
mod responder;

use self::link::NetworkLink;
use crate::report::{Level, Report};
use larder_format::mdns::{AnnouncedLevel, Announcement, KEY_START_DIGITS};
use larder_trust::PublicKey;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// How often interfaces are looked at: a cable is plugged in, a router gives another address.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Who is announced, and where it listens.
pub(crate) struct Announced {
    /// `appliance.name`.
    pub(crate) name: String,
    pub(crate) key: PublicKey,
    /// The address for devices.
    pub(crate) listen: SocketAddr,
}

/// Announces the appliance until the agent ends, then says goodbye.
pub(crate) async fn announce(
    announced: Announced,
    mut reports: watch::Receiver<Arc<Report>>,
    mut stop: watch::Receiver<bool>,
) {
    // What answers only on this box is found by nobody else.
    if announced.listen.ip().to_canonical().is_loopback() {
        return;
    }
    let (latest, announcements) = watch::channel(announced.at_level(level(&reports)));
    let mut responders = Responders::new(announcements, stop.clone());
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = look.tick() => responders.follow(link::links(announced.listen)),
            Some(ended) = responders.tasks.join_next() => if let Ok((link, Err(error))) = ended {
                responders.failed(link, &error);
            },
            changed = reports.changed() => {
                let now = announced.at_level(level(&reports));
                latest.send_if_modified(|before| {
                    let is_other = *before != now;
                    *before = now;
                    is_other
                });
                if changed.is_err() {
                    break;
                }
            }
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    // Each says goodbye by itself.
    while responders.tasks.join_next().await.is_some() {}
}

fn level(reports: &watch::Receiver<Arc<Report>>) -> AnnouncedLevel {
    match reports.borrow().health.level {
        Level::Fine => AnnouncedLevel::Fine,
        Level::NeedsYou => AnnouncedLevel::NeedsYou,
        Level::Alarm => AnnouncedLevel::Alarm,
    }
}

impl Announced {
    fn at_level(&self, level: AnnouncedLevel) -> Announcement {
        Announcement {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            level,
            key_start: self.key.to_string()[..KEY_START_DIGITS].to_owned(),
            port: self.listen.port(),
        }
    }
}

/// A task for each link.
struct Responders {
    tasks: JoinSet<(NetworkLink, io::Result<()>)>,
    running: HashMap<NetworkLink, RunningLink>,
    announcements: watch::Receiver<Announcement>,
    stop: watch::Receiver<bool>,
    /// Whether the owner was told that the interfaces cannot be listed.
    is_blind: bool,
    /// Links of whose present trouble the owner was told. A link that works says nothing about another.
    troubled: HashSet<NetworkLink>,
}

struct RunningLink {
    task: AbortHandle,
    has_spoken: Arc<AtomicBool>,
}

impl Responders {
    fn new(announcements: watch::Receiver<Announcement>, stop: watch::Receiver<bool>) -> Self {
        Self {
            tasks: JoinSet::new(),
            running: HashMap::new(),
            announcements,
            stop,
            is_blind: false,
            troubled: HashSet::new(),
        }
    }

    /// Sees to it that there is a task for each of these links, and no other.
    fn follow(&mut self, links: io::Result<Vec<NetworkLink>>) {
        let links = match links {
            Ok(links) => links,
            Err(error) => {
                if !std::mem::replace(&mut self.is_blind, true) {
                    tell_trouble(&error, "");
                }
                return;
            }
        };
        if std::mem::take(&mut self.is_blind) {
            tell_recovery("");
        }
        self.troubled.retain(|link| links.contains(link));
        self.running.retain(|link, running| {
            let is_there = links.contains(link);
            if !is_there {
                running.task.abort();
            }
            is_there && !running.task.is_finished()
        });
        // A socket that opens proves nothing: a filter refuses what is sent.
        for (link, running) in &self.running {
            if running.has_spoken.load(Relaxed) && self.troubled.remove(link) {
                tell_recovery(&link.interface);
            }
        }
        for link in links {
            if !self.running.contains_key(&link) {
                self.start(link);
            }
        }
    }

    fn start(&mut self, link: NetworkLink) {
        let socket = match link.open() {
            Ok(socket) => socket,
            Err(error) => return self.failed(link, &error),
        };
        tracing::debug!(interface = link.interface, "announced to computers on the network");
        let has_spoken = Arc::new(AtomicBool::new(false));
        let (announcements, stop) = (self.announcements.clone(), self.stop.clone());
        let (answering, spoken) = (link.clone(), Arc::clone(&has_spoken));
        let task = self.tasks.spawn(async move {
            let ended = responder::answer(socket, answering.clone(), announcements, stop, spoken).await;
            (answering, ended)
        });
        self.running.insert(link, RunningLink { task, has_spoken });
    }

    /// Tells of the trouble of a link once: an interface that refuses would fill the log.
    fn failed(&mut self, link: NetworkLink, error: &io::Error) {
        if !self.troubled.contains(&link) {
            tell_trouble(error, &link.interface);
            self.troubled.insert(link);
        }
    }
}

/// For an interface; without one, for all of them.
fn tell_trouble(error: &io::Error, interface: &str) {
    tracing::warn!(
        %error,
        interface,
        "the appliance cannot be announced on the network; computers reach it by its address all the same"
    );
}

fn tell_recovery(interface: &str) {
    tracing::info!(interface, "the appliance is announced on the network again");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        /// How often the trouble was told of, and its end.
        fn told(&self) -> (usize, usize) {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            (
                text.matches("cannot be announced").count(),
                text.matches("announced on the network again").count(),
            )
        }
    }

    /// Looks at the links again, once the tasks had their turn.
    async fn look(responders: &mut Responders, links: &[NetworkLink]) {
        let has_spoken = |one: &RunningLink| one.has_spoken.load(Relaxed);
        responders.follow(Ok(links.to_vec()));
        while !responders.running.values().all(has_spoken) {
            tokio::task::yield_now().await;
        }
    }

    /// Each interface for itself: one that works beside it is no news of one that does not.
    #[tokio::test]
    async fn a_trouble_is_told_once_until_its_own_link_speaks() {
        let log = Log::default();
        let written = log.clone();
        let logging =
            tracing_subscriber::fmt().with_writer(move || written.clone()).with_ansi(false).finish();
        let _logging = tracing::subscriber::set_default(logging);
        let key = larder_trust::SecretKey::generate().unwrap().public();
        let announced =
            Announced { name: "Attic".to_owned(), key, listen: (Ipv4Addr::UNSPECIFIED, 1).into() };
        let (_latest, announcements) = watch::channel(announced.at_level(AnnouncedLevel::Fine));
        let (_stop, stop) = watch::channel(false);
        let mut responders = Responders::new(announcements, stop);
        let good = NetworkLink::of("lo", 1, Ipv4Addr::LOCALHOST);
        let gone = NetworkLink::of("gone", 1_000_000, Ipv4Addr::new(192, 0, 2, 1));
        let links = [good.clone(), gone];
        for _ in 0..3 {
            look(&mut responders, &links).await;
            assert_eq!(log.told(), (1, 0));
        }
        // A filter lets the socket open and refuses what is sent: the task ends, and a new one begins.
        for _ in 0..3 {
            responders.running.remove(&good).unwrap().task.abort();
            responders.failed(good.clone(), &io::ErrorKind::PermissionDenied.into());
            responders.follow(Ok(links.to_vec()));
            assert_eq!(log.told(), (2, 0));
        }
        look(&mut responders, &links).await;
        look(&mut responders, &links).await;
        assert_eq!(log.told(), (2, 1));
    }
}
