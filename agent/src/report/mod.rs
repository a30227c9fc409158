//! The one value behind every view of the owner.
//!
//! Lamp, command line, HTTP and MQTT show a `Report`; no view asks the store a question of its own, so views cannot
//! disagree. These types are serialised, hence promised: keys are only ever added (docs/mqtt.md). Not here: how the
//! level is decided (`decide`), words of the command line (`owner`).
//!
//! Times are RFC 3339 text in UTC, sizes are bytes unless the name says otherwise.

mod disk;
mod happening;
mod head;
mod health;
mod pairing;
mod remembered;
mod source_id;
mod standing;

pub(crate) use disk::{DiskHealth, DiskReport, DiskState, DiskUse, Flush};
pub(crate) use happening::{EventType, Happened, Happening, PushFacts};
pub(crate) use head::{HeadReport, RetainedHead, SignedParts};
pub(crate) use health::{About, Condition, ConditionCode, Doing, Health, Level};
pub(crate) use pairing::{PairingReport, PairingState};
pub(crate) use remembered::{
    RefusedDevice, Remembered, RememberedCondition, RememberedFile, SeenCondition, StoredSample,
};
pub(crate) use source_id::{device_of, source_id};
pub(crate) use standing::SourceStanding;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The whole vault, over every disk: topic `vault`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct VaultReport {
    /// Kept snapshots of every source.
    pub(crate) snapshots: u64,
    /// Files in the newest snapshot of every source, added up.
    pub(crate) files: u64,
    /// Bytes of those files as the owner sees them.
    pub(crate) protected_bytes: u64,
    /// The same in GiB, for dashboards that cannot divide.
    pub(crate) protected_gib: f64,
    /// Bytes of packs on one disk.
    pub(crate) stored_bytes: u64,
    /// The same in GiB.
    pub(crate) stored_gib: f64,
    /// Complete copies at this moment.
    pub(crate) copies: u64,
    /// Copies wished by the settings.
    pub(crate) copies_wanted: u64,
    /// Free bytes on the fullest disk that takes backups; none if no disk tells.
    pub(crate) free_bytes: Option<u64>,
    /// The same in GiB.
    pub(crate) free_gib: Option<f64>,
    /// Days until the fullest disk is full at the growth of the last 30 days; none without growth.
    pub(crate) days_left: Option<u64>,
}

/// The rule and its dates: topic `retention`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RetentionReport {
    /// The rule in words.
    pub(crate) rule: String,
    /// The promised part in words.
    pub(crate) promise: String,
    /// Arrival of the oldest kept snapshot.
    pub(crate) oldest: Option<Timestamp>,
    /// The next snapshot that the rule lets go of.
    pub(crate) next_to_go: Option<NextToGo>,
    /// Holds in force, in words.
    pub(crate) holds: Vec<String>,
    /// A shorter rule that waits to come into force, in words.
    pub(crate) shorter: Option<String>,
    /// The reason why nothing may go at this moment, whatever the rule says, in words.
    pub(crate) locked: Option<String>,
}

/// The next snapshot to be let go of, and why then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NextToGo {
    /// Not before this moment.
    pub(crate) at: Timestamp,
    /// `DEVICE/NAME`.
    pub(crate) source: String,
    /// Snapshot number.
    pub(crate) snapshot: u64,
    /// The rule's words.
    pub(crate) why: String,
}

/// Proof, not belief: topic `proof`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ProofReport {
    /// Last time that every byte had been read back.
    pub(crate) last_scrub: Option<Timestamp>,
    /// Chunks known to be damaged and not yet repaired.
    pub(crate) damaged: u64,
    /// Files damaged and made whole again in the newest rounds of reading back.
    pub(crate) repaired: u64,
}

/// The machine itself: topic `system`. An unreadable value is null, never a good value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SystemReport {
    /// Degrees Celsius of the processor.
    pub(crate) cpu_celsius: Option<f64>,
    /// Whether the supply voltage has been too low since boot.
    pub(crate) undervoltage: Option<bool>,
    /// Whether the clock is known to be right.
    pub(crate) clock_trusted: bool,
    /// Resident memory of the agent in MiB.
    pub(crate) memory_mib: Option<u64>,
    /// Where devices reach the agent, as `HOST:PORT`.
    pub(crate) address: String,
    /// SHA-256 of the certificate that browsers see, as they show it.
    pub(crate) certificate_sha256: String,
    /// Version of the agent.
    pub(crate) version: String,
    /// When the agent started.
    pub(crate) started: Timestamp,
    /// Events waiting for the broker.
    pub(crate) mqtt_spooled: u64,
    /// Events given up because the spool was full.
    pub(crate) mqtt_dropped: u64,
    /// Connections made to the broker since start.
    pub(crate) mqtt_connects: u64,
}

/// One protected folder tree: topic `source/<id>`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SourceReport {
    /// `DEVICE/NAME`.
    pub(crate) source: String,
    /// The same as a topic-safe slug, unique in the vault.
    pub(crate) id: String,
    /// Arrival of the newest complete snapshot.
    pub(crate) last_success: Option<Timestamp>,
    /// How the newest push ended.
    pub(crate) last_result: PushResult,
    /// Whether a push is overdue.
    pub(crate) overdue: bool,
    /// What is expected of it, in words: `within 2 days (daily)`, `never`, `no longer (retired)`.
    pub(crate) expected: String,
    /// `expected`, `never`, `retiring`, `retired` or `revoked`.
    pub(crate) standing: SourceStanding,
    /// Seconds of silence until it is overdue; none if never.
    pub(crate) overdue_after_s: Option<u64>,
    /// Where it lies on its device; none where the device did not say.
    pub(crate) folder: Option<String>,
    /// Files in the newest snapshot.
    pub(crate) files: u64,
    /// Bytes in the newest snapshot.
    pub(crate) bytes: u64,
    /// The same in GiB.
    pub(crate) gib: f64,
    /// Files skipped by the newest push.
    pub(crate) skipped: u64,
    /// Kept snapshots.
    pub(crate) snapshots: u64,
    /// Arrival of the oldest kept snapshot.
    pub(crate) oldest: Option<Timestamp>,
    /// The four answers, in the order of the four questions.
    pub(crate) answers: Answers,
}

/// How the newest push of a source ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PushResult {
    /// With every file.
    Success,
    /// Files were skipped.
    Partial,
}

// The answers for one source, as they travel. A docstring would go into the description of the interface.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SourceAnswers {
    pub(crate) source: String,
    pub(crate) answers: Answers,
}

/// The four questions to ask of any backup, answered from facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Answers {
    /// Can I restore deleted files?
    pub(crate) deleted_files: String,
    /// Can I recover older versions?
    pub(crate) older_versions: String,
    /// How long are versions kept?
    pub(crate) kept_how_long: String,
    /// What happens if a bad edit reaches every device?
    pub(crate) bad_edit: String,
    /// Numbers of the kept snapshots that cannot be given back whole, rising.
    #[serde(default)]
    pub(crate) damaged: Vec<u64>,
}

/// The whole box at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// Topic `health`.
    pub(crate) health: Health,
    /// Topic `vault`.
    pub(crate) vault: VaultReport,
    /// Topic `retention`.
    pub(crate) retention: RetentionReport,
    /// Topic `proof`.
    pub(crate) proof: ProofReport,
    /// Topic `head`.
    pub(crate) head: HeadReport,
    /// Topic `pairing`.
    pub(crate) pairing: PairingReport,
    /// Topic `system`.
    pub(crate) system: SystemReport,
    /// Topics `disk/<id>`.
    pub(crate) disks: Vec<DiskReport>,
    /// Topics `source/<id>`.
    pub(crate) sources: Vec<SourceReport>,
}
