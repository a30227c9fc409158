//! Announces the appliance on its network by multicast DNS, so that nobody has to type an address.
//!
//! An announcement suggests an address and proves nothing; a code or a key does that. What others say on the network is
//! not kept and not believed: no memory that strangers fill, and no name that strangers take away (docs/why/024). Each
//! interface has a socket and a task of its own, since an address is good only on the link where it is. Whatever fails
//! here is logged once and tried again; nothing waits for it. Not here: messages (`larder_format::mdns`).

mod link;
mod pace;
mod responder;

use self::link::NetworkLink;
use crate::report::{Level, Report};
use larder_format::mdns::{AnnouncedLevel, Announcement, KEY_START_DIGITS};
use larder_trust::PublicKey;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
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
    let mut responders = Responders {
        tasks: JoinSet::new(),
        running: HashMap::new(),
        announcements,
        stop: stop.clone(),
        is_told: false,
    };
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = look.tick() => responders.follow(link::links(announced.listen)),
            Some(ended) = responders.tasks.join_next() => responders.note(ended.unwrap_or(Ok(()))),
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
    tasks: JoinSet<io::Result<()>>,
    running: HashMap<NetworkLink, AbortHandle>,
    announcements: watch::Receiver<Announcement>,
    stop: watch::Receiver<bool>,
    /// Whether the owner was told of the present trouble.
    is_told: bool,
}

impl Responders {
    /// Sees to it that there is a task for each of these links, and no other.
    fn follow(&mut self, links: io::Result<Vec<NetworkLink>>) {
        let links = match links {
            Ok(links) => links,
            Err(error) => return self.note(Err(error)),
        };
        self.running.retain(|link, task| {
            let is_there = links.contains(link);
            if !is_there {
                task.abort();
            }
            is_there && !task.is_finished()
        });
        for link in links {
            if self.running.contains_key(&link) {
                continue;
            }
            match link.open() {
                Err(error) => self.note(Err(error)),
                Ok(socket) => {
                    tracing::debug!(interface = link.interface, "announced to computers on the network");
                    let (announcements, stop) = (self.announcements.clone(), self.stop.clone());
                    let answering = responder::answer(socket, link.clone(), announcements, stop);
                    self.running.insert(link, self.tasks.spawn(answering));
                }
            }
        }
        if self.is_told && !self.running.is_empty() {
            self.is_told = false;
            tracing::info!("the appliance is announced on the network again");
        }
    }

    /// Tells of a trouble once: an interface that refuses would fill the log.
    fn note(&mut self, ended: io::Result<()>) {
        if let Err(error) = ended
            && !std::mem::replace(&mut self.is_told, true)
        {
            tracing::warn!(
                %error,
                "the appliance cannot be announced on the network; computers reach it by its address all the same"
            );
        }
    }
}
