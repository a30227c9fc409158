//! What is known at one moment, as data: no sentence is made of any of it before `words`.

use crate::report::{Flush, SystemReport};
use jiff::Timestamp;
use larder_firmware_config::Settings;
use larder_format::care::LostFile;
use larder_format::ledger::{Head, Stamp};
use larder_store::clock::ClockVerdict;
use larder_store::retention::Rule;
use larder_store::{DamagedSnapshot, Fact, MemberView, RuleInForce, ScrubView};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Everything known at one moment.
pub(crate) struct Facts<'a> {
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a Settings,
    pub(crate) sources: Vec<SourceFacts>,
    pub(crate) disks: Vec<(MemberView, Flush)>,
    pub(crate) registry: RegistryView,
    pub(crate) head: Head,
    pub(crate) head_time_ms: Option<i64>,
    pub(crate) gaps: usize,
    pub(crate) holds: Vec<HoldFacts>,
    pub(crate) rule: RuleInForce,
    pub(crate) clock: ClockVerdict,
    pub(crate) stored_bytes: u64,
    pub(crate) receiving: u64,
    pub(crate) restoring: u64,
    pub(crate) damaged: u64,
    /// Files that cannot be given back whole, by name.
    pub(crate) lost_files: Vec<LostFile>,
    /// Kept snapshots that cannot be given back whole.
    pub(crate) damaged_snapshots: Vec<DamagedSnapshot>,
    /// How reading each disk back stands.
    pub(crate) scrubs: Vec<ScrubView>,
    /// This moment, as the ledger counts.
    pub(crate) stamp: Stamp,
    pub(crate) refused_full: u64,
    pub(crate) system: SystemReport,
    pub(crate) broker: BrokerFacts,
}

/// What is known of one source.
pub(crate) struct SourceFacts {
    pub(crate) source: String,
    pub(crate) snapshots: u64,
    pub(crate) oldest: Arc<Fact>,
    pub(crate) newest: Arc<Fact>,
    pub(crate) counts: Counts,
    /// The rule that is obeyed now.
    pub(crate) rule: Rule,
    pub(crate) next_to_go: Option<(u64, Timestamp)>,
    pub(crate) on_hold: bool,
    /// Its snapshots that cannot be given back whole, rising.
    pub(crate) damaged: Vec<u64>,
}

/// How things stand with the MQTT broker.
#[derive(Debug, Clone, Default)]
pub(crate) struct BrokerFacts {
    /// Not connected since then; none while connected or not wanted.
    pub(crate) away_since: Option<Timestamp>,
    /// What the last attempt said.
    pub(crate) last_error: Option<String>,
    /// It is our own, it did not start, and nobody tries again: no reason to wait with telling it.
    pub(crate) is_given_up: bool,
}

/// What is told of one source.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Files that were deleted and can be had back.
    pub(crate) deleted: u64,
    /// Whether there may be more of them than were remembered.
    pub(crate) deleted_at_least: bool,
    /// Whether every snapshot has been counted.
    pub(crate) is_complete: bool,
    /// Versions of files that are kept, the newest ones among them.
    pub(crate) versions: u64,
    /// Times that a file's content changed between two snapshots.
    pub(crate) changed: u64,
    /// Whether a snapshot was not compared, so that there may be more versions and changes than were counted.
    pub(crate) changed_at_least: bool,
}

/// What the registry of disks shows at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegistryView {
    /// Ids of disks that may be unplugged now because somebody let go of them.
    pub(crate) released: BTreeSet<String>,
    /// Places with a disk that is not taken, and why.
    pub(crate) rejected: Vec<(String, WhyRejected)>,
}

/// Why a disk that is connected is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WhyRejected {
    /// It is empty, and its place belongs to another disk.
    EmptyInPlaceOfAnother,
    /// What opening it said.
    Problem(String),
}

/// A hold in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HoldFacts {
    /// Number of its entry in the ledger.
    pub(crate) number: u64,
    /// The source that it keeps; none for everything.
    pub(crate) source: Option<String>,
    /// The reason of whoever set it.
    pub(crate) reason: String,
    /// Seconds until it ends, if somebody cleared it.
    pub(crate) ends_in_s: Option<u64>,
}
