//! The facts of one moment, as data: no sentence is made before `words`.

use crate::report::{Flush, PairingReport, RefusedDevice, RetainedHead, SignedParts, SystemReport};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use larder_firmware_config::Settings;
use larder_format::care::LostFile;
use larder_format::ledger::{Expect, Head, Origin, WallStamp};
use larder_store::clock::ClockVerdict;
use larder_store::retention::Rule;
use larder_store::{Access, DamagedSnapshot, MemberView, RuleInForce, ScrubView, SnapshotRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Every fact of one moment.
pub(crate) struct Facts<'a> {
    pub(crate) now: Timestamp,
    /// The box's own zone, for what is told to readers whose zone is not known.
    pub(crate) zone: TimeZone,
    pub(crate) settings: &'a Settings,
    pub(crate) sources: Vec<SourceFacts>,
    pub(crate) disks: Vec<(MemberView, Flush)>,
    pub(crate) registry: RegistryView,
    /// Whether a computer has a key.
    pub(crate) is_paired: bool,
    pub(crate) pairing: PairingReport,
    pub(crate) head: Head,
    pub(crate) head_time_ms: Option<i64>,
    /// The appliance's signature under the head.
    pub(crate) head_signed: SignedParts,
    /// What the appliance called its newest entry in an earlier life, found at the broker.
    pub(crate) retained: Option<(RetainedHead, RetainedStanding)>,
    pub(crate) gaps: usize,
    /// What this version may do with the disks.
    pub(crate) access: Access,
    pub(crate) holds: Vec<HoldFacts>,
    pub(crate) rule: RuleInForce,
    pub(crate) clock: ClockVerdict,
    pub(crate) stored_bytes: u64,
    pub(crate) receiving: u64,
    pub(crate) restoring: u64,
    pub(crate) damaged: u64,
    /// Lost files, by name.
    pub(crate) lost_files: Vec<LostFile>,
    /// Damaged kept snapshots.
    pub(crate) damaged_snapshots: Vec<DamagedSnapshot>,
    /// How reading each disk back stands.
    pub(crate) scrubs: Vec<ScrubView>,
    /// This moment, as the ledger counts.
    pub(crate) stamp: WallStamp,
    /// Seconds that the vault has lived for certain.
    pub(crate) lived_s: u64,
    /// Computers that were refused for want of room and did not succeed since.
    pub(crate) refused: BTreeMap<String, RefusedDevice>,
    /// Bytes left free on every disk before an upload is refused.
    pub(crate) kept_free_bytes: u64,
    pub(crate) system: SystemReport,
    pub(crate) broker: BrokerFacts,
}

/// Facts of one source.
pub(crate) struct SourceFacts {
    pub(crate) source: String,
    pub(crate) snapshots: u64,
    pub(crate) oldest: Arc<SnapshotRecord>,
    pub(crate) newest: Arc<SnapshotRecord>,
    /// The folder of the newest, as its device said.
    pub(crate) folder: Option<Origin>,
    pub(crate) counts: Counts,
    /// The rule in force.
    pub(crate) rule: Rule,
    pub(crate) next_to_go: Option<(u64, Timestamp)>,
    pub(crate) on_hold: bool,
    /// Its damaged snapshots, rising.
    pub(crate) damaged: Vec<u64>,
    /// How long it may be silent, as the owner says.
    pub(crate) expect: Expect,
    /// The longest gap between two pushes of late, in seconds.
    pub(crate) longest_gap_s: Option<u64>,
    /// Seconds until it is retired, 0 once it is.
    pub(crate) retires_in_s: Option<u64>,
    /// Every key of its device was ended.
    pub(crate) is_cut_off: bool,
    /// What somebody at the box lets go of.
    pub(crate) letting_go: Option<LettingGo>,
    /// Labels on its snapshots, by rising numbers.
    pub(crate) labels: Vec<LabelFacts>,
}

/// A label that keeps a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelFacts {
    /// Number of the snapshot.
    pub(crate) snapshot: u64,
    /// In the owner's words; empty without any.
    pub(crate) text: String,
    /// Kept until then, in the zone of the box; none for ever.
    pub(crate) until: Option<Zoned>,
    /// Seconds until somebody's wish for an earlier end is in force; none without such a wish.
    pub(crate) shortens_in_s: Option<u64>,
}

/// Snapshots of a source that somebody at the box lets go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LettingGo {
    /// How many.
    pub(crate) snapshots: u64,
    /// Seconds until they may go.
    pub(crate) left_s: u64,
}

/// How things stand with the MQTT broker.
#[derive(Debug, Clone, Default)]
pub(crate) struct BrokerFacts {
    /// Not connected since then; none while connected or not wanted.
    pub(crate) away_since: Option<Timestamp>,
    /// The error of the last attempt.
    pub(crate) last_error: Option<String>,
    /// What ends it, where that is known.
    pub(crate) remedy: Option<String>,
    /// Only somebody who changes something ends it: no reason to wait with the news.
    pub(crate) is_lasting: bool,
    /// Our own broker did not start, and no further attempt follows: no reason to wait with the news.
    pub(crate) is_given_up: bool,
}

/// Whether the ledger has an entry that the appliance once called its newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetainedStanding {
    /// It has, or a hole in the ledger is told in its place.
    InLedger,
    /// The ledger ends before.
    Ahead,
    /// The ledger has another entry under that number.
    AnotherEntry,
    /// No disk gave the entry just now.
    Unread,
}

/// Figures of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Deleted files that can be had back.
    pub(crate) deleted: u64,
    /// Whether there may be more deleted files than remembered.
    pub(crate) deleted_at_least: bool,
    /// Whether every snapshot has been counted.
    pub(crate) is_complete: bool,
    /// Versions of files that are kept, including the newest versions.
    pub(crate) versions: u64,
    /// Times that a file's content changed between two snapshots.
    pub(crate) changed: u64,
    /// Whether a snapshot was not compared, so that versions and changes may be undercounted.
    pub(crate) changed_at_least: bool,
}

/// The registry of disks at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegistryView {
    /// Ids of disks that may be unplugged now, after a release.
    pub(crate) released: BTreeSet<String>,
    /// Places with a rejected disk, and the reason.
    pub(crate) rejected: Vec<(String, WhyRejected)>,
}

/// Why a connected disk is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WhyRejected {
    /// An empty disk in the place of another disk.
    EmptyInPlaceOfAnother,
    /// The error of the attempt to open the disk.
    Problem(String),
}

/// A hold in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HoldFacts {
    /// Number of the hold's entry in the ledger.
    pub(crate) number: u64,
    /// The source under hold; none for every source.
    pub(crate) source: Option<String>,
    /// The reason given with the hold.
    pub(crate) reason: String,
    /// Seconds until the end of the hold, once cleared.
    pub(crate) ends_in_s: Option<u64>,
}
