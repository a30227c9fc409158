//! Appliances that announce themselves on this computer's network.
//!
//! Anybody in the network can announce anything, so what comes is cut, counted and shown, and proves nothing: the code of a
//! pairing does, or the key of one. Not here: proving that an address is the paired appliance's (`moved`).

use crate::{ClientError, platform::since_boot};
use larder_format::mdns::{AnnouncedLevel, KEY_START_DIGITS, SERVICE, text_keys};
use mdns_sd::{
    DaemonStatus, Metrics, Receiver, RecvTimeoutError, ResolvedService, ServiceDaemon, ServiceEvent,
};
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Long enough for an answer over a slow wireless network, and for a second one, as multicast gets lost.
pub(crate) const LISTEN_FOR: Duration = Duration::from_secs(3);
/// Most people have one; a network with more says something false.
const APPLIANCES_MAX: usize = 32;
const ADDRESSES_MAX: usize = 4;
const NAME_CHARS_MAX: usize = 64;
const VERSION_CHARS_MAX: usize = 24;
/// Each address comes with a message of its own, and the first is not the one for a person.
const SETTLE_FOR: Duration = Duration::from_millis(300);
/// Between two looks at the memory of the search.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Takes a moment; a flood leaves no moment. More is held by then, some 20 MB at the worst.
const COUNTED_WITHIN: Duration = Duration::from_millis(500);
/// Records of others that the search may hold. A network of a hundred talkative computers has fewer; a neighbour who floods
/// it would fill this computer's memory.
const RECORDS_MAX: i64 = 10_000;

/// What was announced, in bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnnouncedAppliance {
    /// The name, as somebody wrote it.
    pub(crate) name: String,
    /// Where it says that it is, the address for a person first; never empty.
    pub(crate) addresses: Vec<SocketAddr>,
    /// None for a word of a newer agent.
    pub(crate) level: Option<AnnouncedLevel>,
    /// Letters, digits, dots and hyphens; perhaps none.
    pub(crate) version: String,
    /// Hex digits; none where something else was announced.
    pub(crate) key_start: Option<String>,
}

impl AnnouncedAppliance {
    /// The address to use.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }
}

/// What is announced, each under the name by which the network tells services apart.
pub(crate) type AnnouncedAppliances = BTreeMap<String, AnnouncedAppliance>;

/// The end of the last search. Under a flood a search hears late that it is over, and holds more and more until then.
static LAST_END: Mutex<Option<Receiver<DaemonStatus>>> = Mutex::new(None);

/// Listens for so long, or until what was found is enough and had time to tell all its addresses. `is_enough` is asked
/// again and again, and has to answer at once.
///
/// # Errors
/// `Local` where this computer cannot listen at all, or still listens.
pub(crate) fn find_announced(
    wait: Duration,
    mut is_enough: impl FnMut(&AnnouncedAppliances) -> bool,
) -> Result<AnnouncedAppliances, ClientError> {
    let local = |error: io::Error| ClientError::local("listening on the network", "", error);
    let failed = |error: mdns_sd::Error| local(io::Error::other(error));
    let mut last_end = LAST_END.lock().unwrap_or_else(PoisonError::into_inner);
    if !has_ended(last_end.as_ref()) {
        // A second one would hold as much again.
        return Err(local(io::Error::other(
            "the search before this one has not ended, since the network is flooded",
        )));
    }
    let mut until = since_boot() + wait;
    let listener = ServiceDaemon::new().map_err(failed)?;
    let events = listener.browse(SERVICE).map_err(failed)?;
    let mut found = BTreeMap::new();
    while found.len() < APPLIANCES_MAX && holds_little(&listener) {
        let left = until.saturating_sub(since_boot());
        if left.is_zero() {
            break;
        }
        match events.recv_timeout(left.min(LOOK_EVERY)) {
            Ok(ServiceEvent::ServiceResolved(service)) => {
                if let Some(appliance) = understood(&service) {
                    found.insert(service.fullname, appliance);
                }
            }
            Ok(ServiceEvent::ServiceRemoved(_, fullname)) => drop(found.remove(&fullname)),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if is_enough(&found) {
            until = until.min(since_boot() + SETTLE_FOR);
        }
    }
    // It ends with this program at the latest.
    *last_end = listener.shutdown().ok();
    Ok(found)
}

fn has_ended(end: Option<&Receiver<DaemonStatus>>) -> bool {
    end.is_none_or(|end| !matches!(end.recv_timeout(COUNTED_WITHIN), Err(RecvTimeoutError::Timeout)))
}

fn holds_little(listener: &ServiceDaemon) -> bool {
    let counted = listener.get_metrics().ok();
    is_little(counted.and_then(|metrics| metrics.recv_timeout(COUNTED_WITHIN).ok()).as_ref())
}

/// Whether so much may be held. Who does not count any more is flooded.
fn is_little(counted: Option<&Metrics>) -> bool {
    let cached = |counted: &Metrics| {
        counted
            .iter()
            .filter(|(name, _)| name.starts_with("cached-"))
            .map(|(_, records)| *records)
            .sum::<i64>()
    };
    counted.is_some_and(|counted| cached(counted) <= RECORDS_MAX)
}

fn understood(service: &ResolvedService) -> Option<AnnouncedAppliance> {
    let addresses = service.addresses.iter().map(mdns_sd::ScopedIp::to_ip_addr).collect();
    let label = service.fullname.strip_suffix(SERVICE).unwrap_or_default().trim_end_matches('.');
    let text = |key: &str| service.get_property_val_str(key);
    understood_from(label, service.port, addresses, text)
}

/// What is announced under the name `label`; nothing where no device could go there.
fn understood_from<'a>(
    label: &str,
    port: u16,
    addresses: Vec<IpAddr>,
    text: impl Fn(&str) -> Option<&'a str>,
) -> Option<AnnouncedAppliance> {
    let mut addresses: Vec<IpAddr> = addresses.into_iter().filter(is_of_a_network).collect();
    // Numbers of version 4 are those that a person can read out.
    addresses.sort();
    addresses.truncate(ADDRESSES_MAX);
    let is_key = |key: &&str| key.len() == KEY_START_DIGITS && key.bytes().all(|c| c.is_ascii_hexdigit());
    let is_of_version = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    let name = text(text_keys::NAME).filter(|name| !name.trim().is_empty()).unwrap_or(label);
    let version = text(text_keys::VERSION).unwrap_or_default();
    let appliance = AnnouncedAppliance {
        name: name.chars().take(NAME_CHARS_MAX).collect(),
        addresses: addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect(),
        level: text(text_keys::LEVEL).and_then(AnnouncedLevel::from_word),
        version: version.chars().take_while(is_of_version).take(VERSION_CHARS_MAX).collect(),
        key_start: text(text_keys::KEY).filter(is_key).map(str::to_ascii_lowercase),
    };
    (port > 0 && !appliance.addresses.is_empty()).then_some(appliance)
}

/// Whether an address can be another computer's, and can be written down without the name of an interface.
fn is_of_a_network(address: &IpAddr) -> bool {
    let is_bound_to_a_link = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_bound_to_a_link)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(texts: &[(&str, &str)], addresses: &[&str], port: u16) -> Option<AnnouncedAppliance> {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let text = |key: &str| texts.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        understood_from("Larder 3fa90c21", port, addresses, text)
    }

    #[test]
    fn an_announcement_is_understood() {
        let texts = [("name", "Attic"), ("version", "0.1.0"), ("level", "needs-you"), ("key", "3FA90C21")];
        let found = told(&texts, &["fd00::20", "192.168.1.20"], 8477).unwrap();
        let expect = AnnouncedAppliance {
            name: "Attic".to_owned(),
            addresses: ["192.168.1.20:8477", "[fd00::20]:8477"]
                .map(|address| address.parse().unwrap())
                .to_vec(),
            level: Some(AnnouncedLevel::NeedsYou),
            version: "0.1.0".to_owned(),
            key_start: Some("3fa90c21".to_owned()),
        };
        assert_eq!(found, expect);
    }

    #[test]
    fn whatever_is_announced_stays_in_bounds() {
        let long = "x".repeat(100_000);
        let hostile = [("name", &*long), ("version", "1.0\x1b[2J"), ("level", &long), ("key", "3fa9\n0c2")];
        let many: Vec<String> = (1..200).map(|at| format!("10.0.0.{at}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let found = told(&hostile, &many, 1).unwrap();
        assert_eq!((found.name.len(), found.addresses.len()), (NAME_CHARS_MAX, ADDRESSES_MAX));
        assert_eq!((&*found.version, found.level, found.key_start), ("1.0", None, None));
        for key in ["", "3fa90c2", "3fa90c211", "3fa90cé", "+fa90c21"] {
            assert_eq!(told(&[("key", key)], &["10.0.0.1"], 1).unwrap().key_start, None, "{key}");
        }
        for empty in ["", "  "] {
            assert_eq!(told(&[("name", empty)], &["10.0.0.1"], 1).unwrap().name, "Larder 3fa90c21");
        }
    }

    #[test]
    fn a_search_that_holds_much_or_does_not_tell_ends() {
        let counted = |name: &str, records| Metrics::from([(name.to_owned(), records)]);
        assert!(is_little(Some(&Metrics::new())) && is_little(Some(&counted("cached-srv", RECORDS_MAX))));
        assert!(is_little(Some(&counted("unregister", RECORDS_MAX + 1))), "no record of others");
        assert!(!is_little(Some(&counted("cached-addr", RECORDS_MAX + 1))));
        assert!(!is_little(None), "a flooded search counts nothing");
    }

    #[test]
    fn an_address_that_leads_nowhere_is_left_out() {
        let nowhere = ["127.0.0.1", "0.0.0.0", "224.0.0.1", "::1", "::", "ff02::fb", "fe80::1"];
        assert_eq!(told(&[], &nowhere, 8477), None);
        assert_eq!(told(&[], &["10.0.0.1"], 0), None);
    }
}
