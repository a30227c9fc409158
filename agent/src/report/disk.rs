//! One disk: topic `disk/<id>`, and the table of `larderd disks`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One disk: topic `disk/<id>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DiskReport {
    /// First 8 hex digits of the disk id.
    pub(crate) id: String,
    /// Mount point.
    pub(crate) path: String,
    /// Whether the disk answers.
    pub(crate) present: bool,
    /// Bytes in use on the filesystem; none for a disk that does not say, such as an absent one.
    pub(crate) used_bytes: Option<u64>,
    /// Bytes free on the filesystem; likewise.
    pub(crate) free_bytes: Option<u64>,
    /// The same in GiB.
    pub(crate) free_gib: Option<f64>,
    /// Share of the filesystem in use, in percent; likewise.
    pub(crate) used_percent: Option<f64>,
    /// The known state of health.
    pub(crate) health: DiskHealth,
    /// Whether the disk is known to obey flushes.
    pub(crate) flush: Flush,
    /// Ledger entries still to catch up; none for a disk that does not say.
    pub(crate) behind: Option<u64>,
    /// The intended place.
    pub(crate) role: DiskUse,
    /// The standing beside the other disks.
    pub(crate) state: DiskState,
    /// Whether the owner may unplug the disk now.
    pub(crate) may_unplug: bool,
    /// When the disk was last complete, as far as the ledger knows.
    pub(crate) complete: Option<Timestamp>,
    /// Whether the disk is on its way out for good.
    pub(crate) leaving: bool,
}

/// The known health of a disk. Unknown is never fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DiskHealth {
    /// Read from end to end, without damage.
    Fine,
    /// After an error.
    Suspect,
    /// Not yet read from end to end.
    Unknown,
}

/// Whether a disk obeys flushes, as far as the kernel can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flush {
    /// Every device below obeys flushes, or needs none.
    Trusted,
    /// Not known.
    Unproven,
}

/// Where a disk is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DiskUse {
    /// Connected.
    Home,
    /// Away most of the time.
    Offsite,
}

/// The standing of a disk beside the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DiskState {
    /// Complete, and takes backups.
    Healthy,
    /// Being filled.
    Behind,
    /// Has no room for what the others have, and takes no backups.
    Full,
    /// Failed once, and is opened anew.
    Failed,
    /// Failed more than once; nothing more is written here.
    Suspect,
    /// With another past.
    Forked,
    /// Not connected.
    Away,
    /// Let go of, and may be unplugged.
    Released,
}

impl fmt::Display for Flush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for DiskUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for DiskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_the_words_that_travel_and_keeps_its_columns() {
        assert_eq!(serde_json::to_string(&DiskState::Behind).unwrap(), "\"behind\"");
        assert_eq!(serde_json::to_string(&DiskHealth::Unknown).unwrap(), "\"unknown\"");
        assert_eq!(
            format!("{:8}|{:9}|{}", DiskUse::Home, DiskState::Released, Flush::Unproven),
            "home    |released |unproven"
        );
    }
}
