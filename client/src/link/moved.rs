//! A paired appliance under a new address: a router gives other numbers after a power cut.
//!
//! An announcement only says where to look. The key of the pairing decides, in the handshake, before anything is said.
//! Announced addresses are asked side by side and while others are still listened to. One after the other, false ones
//! would cost seconds each, and keep the appliance from its turn. Not here: when to look (`place`).

use super::{
    announced::{AnnouncedAppliance, AnnouncedAppliances, find_announced},
    connection::Connection,
};
use crate::{
    platform::since_boot,
    settings::{PairedAppliance, PairedKeys},
};
use larder_format::mdns::KEY_START_DIGITS;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

/// An announced address is one of this network, where a handshake takes no longer.
const PROVED_WITHIN: Duration = Duration::from_secs(5);
/// Announcements that are followed; more with the same beginning of a key are false, and each address costs a thread.
const FOLLOWED_MAX: usize = 16;
/// Addresses that are asked for one announcement: more than it may hold, since it may change while it is listened to.
const ADDRESSES_ASKED_MAX: usize = 8;

/// The address of the paired appliance, proven by its key, if it announces itself within `wait`.
pub(crate) fn search(keys: &PairedKeys, wait: Duration) -> Option<SocketAddr> {
    let mut proofs = KeyProofs::of(keys);
    let is_proven = |found: &AnnouncedAppliances| {
        proofs.ask(found);
        !proofs.proven().is_empty()
    };
    find_announced(wait, is_proven).ok()?;
    proofs.wait_until(|proven| !proven.is_empty());
    proofs.proven().first().copied()
}

/// Whether the paired appliance answers at `address`.
fn is_at(address: SocketAddr, keys: &PairedKeys) -> bool {
    let pairing = PairedAppliance { address: format!("https://{address}"), keys: keys.clone() };
    Connection::new(&pairing).answers_within(PROVED_WITHIN)
}

struct AddressAnswer {
    address: SocketAddr,
    is_proven: bool,
}

/// Announced addresses that are asked for the key of the paired appliance, all at once.
pub(crate) struct KeyProofs {
    key_start: String,
    is_at: Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>,
    asked: BTreeMap<String, BTreeSet<SocketAddr>>,
    running: usize,
    answer: Sender<AddressAnswer>,
    answers: Receiver<AddressAnswer>,
    /// In the order of addresses, the one for a person first.
    proven: BTreeSet<SocketAddr>,
}

impl KeyProofs {
    pub(crate) fn of(keys: &PairedKeys) -> Self {
        let key_start = keys.appliance.to_string()[..KEY_START_DIGITS].to_owned();
        let keys = keys.clone();
        Self::by(key_start, move |address| is_at(address, &keys))
    }

    fn by(key_start: String, is_at: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) -> Self {
        let (answer, answers) = channel();
        let (asked, proven) = (BTreeMap::new(), BTreeSet::new());
        Self { key_start, is_at: Arc::new(is_at), asked, running: 0, answer, answers, proven }
    }

    /// Whether it announces the beginning of the paired key.
    pub(crate) fn seems_to_be(&self, announced: &AnnouncedAppliance) -> bool {
        announced.key_start.as_deref() == Some(&self.key_start)
    }

    /// Begins to ask whatever seems to be the paired appliance and was not asked yet.
    pub(crate) fn ask(&mut self, found: &AnnouncedAppliances) {
        for (name, one) in found {
            if !self.seems_to_be(one) || self.asked.len() >= FOLLOWED_MAX && !self.asked.contains_key(name) {
                continue;
            }
            for address in &one.addresses {
                let asked = self.asked.entry(name.clone()).or_default();
                if asked.len() < ADDRESSES_ASKED_MAX && asked.insert(*address) {
                    self.ask_at(*address);
                }
            }
        }
    }

    /// Without a thread the address stays unproven.
    fn ask_at(&mut self, address: SocketAddr) {
        let (is_at, answer) = (Arc::clone(&self.is_at), self.answer.clone());
        let asking = thread::Builder::new().spawn(move || {
            // Nobody waits any more once another address is enough.
            let _ = answer.send(AddressAnswer { address, is_proven: is_at(address) });
        });
        self.running += usize::from(asking.is_ok());
    }

    /// Where the appliance has proven its key up to now.
    pub(crate) fn proven(&mut self) -> &BTreeSet<SocketAddr> {
        while let Ok(answer) = self.answers.try_recv() {
            self.note(answer);
        }
        &self.proven
    }

    /// Waits until what is proven is enough, or nothing more can come.
    pub(crate) fn wait_until(&mut self, is_enough: impl Fn(&BTreeSet<SocketAddr>) -> bool) {
        let until = since_boot() + PROVED_WITHIN;
        while self.running > 0 && !is_enough(self.proven()) {
            let Ok(answer) = self.answers.recv_timeout(until.saturating_sub(since_boot())) else { break };
            self.note(answer);
        }
    }

    fn note(&mut self, AddressAnswer { address, is_proven }: AddressAnswer) {
        self.running -= 1;
        if is_proven {
            self.proven.insert(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    const KEY_START: &str = "3fa90c21";
    const REAL: &str = "192.168.1.20:8477";

    fn announced(key_start: &str, addresses: &[&str]) -> AnnouncedAppliance {
        AnnouncedAppliance {
            name: "Attic".to_owned(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            level: None,
            version: String::new(),
            key_start: Some(key_start.to_owned()),
        }
    }

    fn real() -> SocketAddr {
        REAL.parse().unwrap()
    }

    /// Proofs in a network where only the real appliance ever answers, until the gate is opened.
    fn proofs() -> (KeyProofs, Arc<(Mutex<bool>, Condvar)>) {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let closed = Arc::clone(&gate);
        let proofs = KeyProofs::by(KEY_START.to_owned(), move |address| {
            if address == real() {
                return true;
            }
            drop(closed.1.wait_while(closed.0.lock().unwrap(), |is_open| !*is_open).unwrap());
            false
        });
        (proofs, gate)
    }

    fn open(gate: &(Mutex<bool>, Condvar)) {
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
    }

    /// Four dead addresses under the name that comes first would take half a minute, and were all that was asked.
    #[test]
    fn false_announcements_do_not_keep_the_appliance_from_its_turn() {
        let (mut proofs, gate) = proofs();
        let dead = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"];
        let mut found: AnnouncedAppliances =
            (0..FOLLOWED_MAX - 1).map(|at| (format!("A{at:02}"), announced(KEY_START, &dead))).collect();
        proofs.ask(&found);
        assert!(proofs.proven().is_empty(), "an announcement alone is no reason to stop listening");
        found.insert("Z".to_owned(), announced(KEY_START, &[REAL]));
        proofs.ask(&found);
        proofs.wait_until(|proven| !proven.is_empty());
        assert_eq!(proofs.proven().iter().collect::<Vec<_>>(), [&real()]);
        open(&gate);
        proofs.wait_until(|_| false);
        assert_eq!((proofs.running, proofs.proven().len()), (0, 1), "all have answered");
    }

    #[test]
    fn what_is_asked_is_bounded() {
        let (mut proofs, gate) = proofs();
        open(&gate);
        let asked = |proofs: &KeyProofs| proofs.asked.values().map(BTreeSet::len).sum::<usize>();
        proofs.ask(&[("Other".to_owned(), announced("00000000", &[REAL]))].into());
        assert_eq!(asked(&proofs), 0, "another appliance is left alone");
        for at in 0..100 {
            let address = format!("10.0.0.{at}:1");
            proofs.ask(&[("Changing".to_owned(), announced(KEY_START, &[&address, &address]))].into());
        }
        assert_eq!(asked(&proofs), ADDRESSES_ASKED_MAX);
        for at in 0..100 {
            proofs.ask(&[(format!("{at}"), announced(KEY_START, &["10.0.0.1:1"]))].into());
        }
        assert_eq!(asked(&proofs), ADDRESSES_ASKED_MAX + FOLLOWED_MAX - 1);
        proofs.wait_until(|_| false);
        assert!(proofs.running == 0 && proofs.proven().is_empty());
    }
}
