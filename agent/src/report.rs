//! The one value that everything shown to the owner is derived from.
//!
//! Lamp, command line, HTTP and MQTT all show a `Report`; none of them asks the store a question of its own, so
//! they cannot disagree. These types are serialised, hence promised: keys are only ever added (docs/mqtt.md).
//! Not here: how the level is decided (`decide`), words of the command line (`owner`).
//!
//! Times are RFC 3339 text in UTC, sizes are bytes unless the name says otherwise.

use jiff::Timestamp;
use serde::Serialize;

/// How worried the owner has to be. Unknown is never `Fine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing to do.
    Fine,
    /// Something waits for the owner; files are not at risk now.
    NeedsYou,
    /// Files are at risk.
    Alarm,
}

/// One thing that is not as it should be. Code 1 is an alarm; the others are the lamp's pulse counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// 1 files at risk, 3 overdue, 4 disk missing, 5 nearly full, 6 disk health, 7 power or clock,
    /// 8 network or broker, 9 suspicious change, 10 proof stale.
    pub code: u8,
    /// `Alarm` or `NeedsYou`.
    pub level: Level,
    /// When it was first seen.
    pub since: Timestamp,
    /// What happened, in the owner's words.
    pub what: String,
    /// What it means for their files.
    pub meaning: String,
    /// The one thing to do.
    pub remedy: String,
}

/// What the agent is busy with right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// Opening disks and ledger.
    Starting,
    /// Nothing in particular.
    Idle,
    /// A device is pushing.
    Receiving,
    /// Files are being given back.
    Restoring,
    /// The index is being made anew.
    RebuildingIndex,
}

/// Level, reasons and present work: topic `health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The worst of the conditions.
    pub level: Level,
    /// Worst first; empty when fine.
    pub conditions: Vec<Condition>,
    /// Present work.
    pub doing: Doing,
    /// Name of the rhythm that the lamp shows, as in `larder_panel::Rhythm`.
    pub lamp: String,
}

/// Everything kept, over all disks: topic `vault`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VaultReport {
    /// Kept snapshots over all sources.
    pub snapshots: u64,
    /// Files in the newest snapshot of every source, added up.
    pub files: u64,
    /// Bytes of those files as the owner sees them.
    pub protected_bytes: u64,
    /// The same in GiB, for dashboards that cannot divide.
    pub protected_gib: f64,
    /// Bytes that packs take on one disk.
    pub stored_bytes: u64,
    /// The same in GiB.
    pub stored_gib: f64,
    /// Complete copies that exist at this moment.
    pub copies: u64,
    /// Copies that the settings ask for.
    pub copies_wanted: u64,
    /// Free bytes on the fullest disk.
    pub free_bytes: u64,
    /// The same in GiB.
    pub free_gib: f64,
    /// Days until the fullest disk is full at the growth of the last 30 days; none while it does not grow.
    pub days_left: Option<u64>,
}

/// What is kept and for how long: topic `retention`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetentionReport {
    /// The rule in words.
    pub rule: String,
    /// The promised part of it in words.
    pub promise: String,
    /// Arrival of the oldest kept snapshot.
    pub oldest: Option<Timestamp>,
    /// The next snapshot that the rule lets go of.
    pub next_to_go: Option<NextToGo>,
    /// Holds in force, in words.
    pub holds: Vec<String>,
}

/// The next snapshot to be let go of, and why then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextToGo {
    /// Not before this moment.
    pub at: Timestamp,
    /// `DEVICE/NAME`.
    pub source: String,
    /// Snapshot number.
    pub snapshot: u64,
    /// The rule's words.
    pub why: String,
}

/// What has been proven, not merely believed: topic `proof`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProofReport {
    /// Last restore drill that succeeded.
    pub last_drill: Option<Timestamp>,
    /// Last time that every byte had been read back.
    pub last_scrub: Option<Timestamp>,
    /// Chunks known to be damaged and not yet repaired.
    pub damaged: u64,
    /// Chunks repaired since the vault was made.
    pub repaired: u64,
}

/// The newest ledger entry, for an outside witness: topic `head`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeadReport {
    /// Gapless number of the newest entry; 0 in a new vault.
    pub sequence: u64,
    /// Its BLAKE3 in hex.
    pub hash: String,
    /// When it was committed.
    pub time: Option<Timestamp>,
}

/// The machine itself: topic `system`. What cannot be read is null, never a good value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SystemReport {
    /// Degrees Celsius of the processor.
    pub cpu_celsius: Option<f64>,
    /// Whether the supply voltage has been too low since boot.
    pub undervoltage: Option<bool>,
    /// Whether the clock is known to be right.
    pub clock_trusted: bool,
    /// Resident memory of the agent in MiB.
    pub memory_mib: Option<u64>,
    /// Where devices reach the agent, as `HOST:PORT`.
    pub address: String,
    /// Version of the agent.
    pub version: String,
    /// When the agent started.
    pub started: Timestamp,
    /// Events waiting for the broker.
    pub mqtt_spooled: u64,
    /// Events given up because the spool was full.
    pub mqtt_dropped: u64,
    /// Connections made to the broker since start.
    pub mqtt_connects: u64,
}

/// One disk: topic `disk/<id>`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiskReport {
    /// First 8 hex digits of the disk id.
    pub id: String,
    /// Where it is mounted.
    pub path: String,
    /// Whether it answers.
    pub present: bool,
    /// Bytes in use on its filesystem.
    pub used_bytes: u64,
    /// Bytes free on its filesystem.
    pub free_bytes: u64,
    /// The same in GiB.
    pub free_gib: f64,
    /// Share of the filesystem in use, in percent.
    pub used_percent: f64,
    /// `fine`, `suspect` or `unknown`.
    pub health: String,
    /// `trusted` or `unproven`: whether the disk is known to obey flushes.
    pub flush: String,
    /// Ledger entries that this disk has still to catch up.
    pub behind: u64,
}

/// One protected folder tree: topic `source/<id>`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceReport {
    /// `DEVICE/NAME`.
    pub source: String,
    /// The same as a topic-safe slug, unique in the vault.
    pub id: String,
    /// Arrival of the newest complete snapshot.
    pub last_success: Option<Timestamp>,
    /// `success`, `partial` (files were skipped) or `none`.
    pub last_result: String,
    /// Whether it should have pushed by now.
    pub overdue: bool,
    /// Files in the newest snapshot.
    pub files: u64,
    /// Bytes in the newest snapshot.
    pub bytes: u64,
    /// The same in GiB.
    pub gib: f64,
    /// Files that the newest push skipped.
    pub skipped: u64,
    /// Kept snapshots.
    pub snapshots: u64,
    /// Arrival of the oldest kept snapshot.
    pub oldest: Option<Timestamp>,
    /// The four answers, in the order of the four questions.
    pub answers: Answers,
}

/// The four questions to ask of any backup, answered from facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// Can I restore deleted files?
    pub deleted_files: String,
    /// Can I recover older versions?
    pub older_versions: String,
    /// How long are versions kept?
    pub kept_how_long: String,
    /// What happens if a bad edit reaches every device?
    pub bad_edit: String,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Topic `health`.
    pub health: Health,
    /// Topic `vault`.
    pub vault: VaultReport,
    /// Topic `retention`.
    pub retention: RetentionReport,
    /// Topic `proof`.
    pub proof: ProofReport,
    /// Topic `head`.
    pub head: HeadReport,
    /// Topic `system`.
    pub system: SystemReport,
    /// Topics `disk/<id>`.
    pub disks: Vec<DiskReport>,
    /// Topics `source/<id>`.
    pub sources: Vec<SourceReport>,
}

/// Something that happened, for people who automate: topic `event`, not retained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Happening {
    /// `push_started`, `push_succeeded`, `push_partial`, `restore_served`, `condition_raised`, `condition_cleared`.
    pub event_type: String,
    /// Unique per event, so that a repeated delivery can be told from a second event.
    pub id: String,
    /// When.
    pub time: Timestamp,
    /// Source, snapshot, code and the like.
    #[serde(flatten)]
    pub facts: serde_json::Map<String, serde_json::Value>,
}
