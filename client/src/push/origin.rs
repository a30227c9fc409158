//! The origin of a snapshot: computer, folder, time zone.
//!
//! A value beyond the limits of a snapshot is left out: the appliance would refuse the whole commit.

use crate::platform::{computer_name, name_bytes};
use jiff::tz::TimeZone;
use larder_format::{
    ledger::{ORIGIN_BYTES_MAX, ZONE_BYTES_MAX},
    wire::{Origin, escape_name},
};
use std::path::Path;

/// This computer and the pushed `folder`, an absolute path.
pub(crate) fn origin(folder: &Path) -> Option<Origin> {
    let computer = escape_name(&computer_name().unwrap_or_default());
    let path = escape_name(&name_bytes(folder.as_os_str()));
    let fits = computer.len() + path.len() <= ORIGIN_BYTES_MAX;
    fits.then_some(Origin { computer, path })
}

/// IANA name of this computer's time zone; nothing where the system names none.
pub(crate) fn zone() -> Option<String> {
    TimeZone::system().iana_name().filter(|name| name.len() <= ZONE_BYTES_MAX).map(str::to_owned)
}
