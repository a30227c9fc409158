//! One disk: topic `disk/<id>`, and the table of `larderd disks`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One disk: topic `disk/<id>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DiskReport {
    /// First 8 hex digits of the disk id.
    pub(crate) id: String,
    /// Where it is mounted.
    pub(crate) path: String,
    /// Whether it answers.
    pub(crate) present: bool,
    /// Bytes in use on its filesystem.
    pub(crate) used_bytes: u64,
    /// Bytes free on its filesystem.
    pub(crate) free_bytes: u64,
    /// The same in GiB.
    pub(crate) free_gib: f64,
    /// Share of the filesystem in use, in percent.
    pub(crate) used_percent: f64,
    /// What is known of its health.
    pub(crate) health: DiskHealth,
    /// Whether the disk is known to obey flushes.
    pub(crate) flush: Flush,
    /// Ledger entries that this disk has still to catch up.
    pub(crate) behind: u64,
    /// Where it is meant to be.
    pub(crate) role: DiskUse,
    /// How it stands beside the others.
    pub(crate) state: DiskState,
    /// Whether it is meant to be unplugged now.
    pub(crate) may_unplug: bool,
    /// When it last held everything, as far as the ledger knows.
    pub(crate) complete: Option<Timestamp>,
    /// Whether it is on its way out for good.
    pub(crate) leaving: bool,
}

/// What is known of the health of a disk. Unknown is never fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DiskHealth {
    /// It was read from end to end, and nothing was damaged.
    Fine,
    /// It gave an error.
    Suspect,
    /// Nobody has looked at all of it yet.
    Unknown,
}

/// Whether a disk obeys flushes, as far as the kernel can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flush {
    /// Every device below it obeys them, or needs none.
    Trusted,
    /// That is not known.
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

/// How a disk stands beside the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DiskState {
    /// It has everything and takes backups.
    Healthy,
    /// It is being filled.
    Behind,
    /// It failed and is opened anew.
    Failed,
    /// It failed more than once, and nothing more is written to it.
    Suspect,
    /// It has another past.
    Forked,
    /// It is not connected.
    Away,
    /// It was let go of and may be unplugged.
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
