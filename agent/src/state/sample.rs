//! An appliance without users, for tests of whatever needs a whole one.

use super::opening::open_vault;
use super::{Appliance, Wires};
use crate::state::gather::starting_report;
use jiff::Timestamp;
use larder_firmware_config::Settings;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// An appliance with one new disk in `folder`. Nobody takes its events, and it is never asked to stop.
pub(crate) fn appliance(folder: &Path) -> Arc<Appliance> {
    appliance_with(folder, |_| ())
}

/// The same, with other settings.
pub(crate) fn appliance_with(folder: &Path, change: impl Fn(&mut Settings)) -> Arc<Appliance> {
    let mut settings = Settings::default();
    change(&mut settings);
    settings.vault.disks = vec![folder.to_owned()];
    settings.vault.allow_root_filesystem = true;
    let opening = open_vault(&settings).expect("a new vault");
    let now = Timestamp::UNIX_EPOCH;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let report = starting_report(&opening, &settings, address, now);
    // What is told goes nowhere; the receivers of both other queues live on without their senders.
    let wires = Wires {
        report: watch::channel(Arc::new(report)).1,
        events: mpsc::channel(1).0,
        stop: watch::channel(false).1,
    };
    Arc::new(Appliance::new(opening, settings, wires))
}
