//! A paired appliance under a new address: a router gives other numbers after a power cut.
//!
//! An announcement only says where to look. The key of the pairing decides, in the handshake, before anything is said. Not
//! here: when to look (`place`).

use super::{
    announced::{AnnouncedAppliance, find_announced},
    answer::AnswerSize,
    connection::Connection,
};
use crate::settings::{PairedAppliance, PairedKeys};
use larder_format::mdns::KEY_START_DIGITS;
use std::{net::SocketAddr, time::Duration};

/// Announcements that are followed; more with the same beginning of a key are false, and each may cost seconds.
const TRIED_MAX: usize = 4;

/// The address of the paired appliance, proven by its key, if it announces itself within `wait`.
pub(crate) fn search(keys: &PairedKeys, wait: Duration) -> Option<SocketAddr> {
    let found = find_announced(wait, |one| seems_to_be(one, keys)).ok()?;
    let addresses = found.iter().filter(|one| seems_to_be(one, keys)).flat_map(|one| &one.addresses);
    addresses.copied().take(TRIED_MAX).find(|address| is_at(*address, keys))
}

/// Whether it announces the beginning of the paired key.
pub(crate) fn seems_to_be(announced: &AnnouncedAppliance, keys: &PairedKeys) -> bool {
    announced.key_start.as_deref() == Some(&keys.appliance.to_string()[..KEY_START_DIGITS])
}

/// Whether the paired appliance answers at `address`.
pub(crate) fn is_at(address: SocketAddr, keys: &PairedKeys) -> bool {
    let pairing = PairedAppliance { address: format!("https://{address}"), keys: keys.clone() };
    let connection = Connection::new(&pairing).without_retries();
    connection.get_bytes("/v1/health", AnswerSize::Facts).is_ok()
}
