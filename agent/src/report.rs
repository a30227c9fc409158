//! The one value that everything shown to the owner is derived from.
//!
//! Lamp, command line, HTTP and MQTT all show a `Report`; none of them asks the store a question of its own, so
//! they cannot disagree. These types are serialised, hence promised: keys are only ever added (docs/mqtt.md).
//! Not here: how the level is decided (`decide`), words of the command line (`owner`).
//!
//! Times are RFC 3339 text in UTC, sizes are bytes unless the name says otherwise.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How worried the owner has to be. Unknown is never `Fine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// Nothing to do.
    Fine,
    /// Something waits for the owner; files are not at risk now.
    NeedsYou,
    /// Files are at risk.
    Alarm,
}

/// One thing that is not as it should be. Code 1 is an alarm; the others are the lamp's pulse counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Condition {
    /// 1 files at risk, 3 overdue, 4 disk missing, 5 nearly full, 6 disk health, 7 power or clock,
    /// 8 network or broker, 9 a shorter rule that waits, 10 proof stale.
    pub(crate) code: u8,
    /// `Alarm` or `NeedsYou`.
    pub(crate) level: Level,
    /// When it was first seen.
    pub(crate) since: Timestamp,
    /// What happened, in the owner's words.
    pub(crate) what: String,
    /// What it means for their files.
    pub(crate) meaning: String,
    /// The one thing to do.
    pub(crate) remedy: String,
    /// Whom it may be told to.
    #[serde(skip)]
    pub(crate) about: About,
}

/// What of a condition is nobody's business but its owner's: a key that only adds backups hears nothing of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum About {
    /// The appliance, which is everybody's.
    #[default]
    Appliance,
    /// One source, by its name.
    Source(String),
    /// Files that are named in its meaning; it may be told with this one instead.
    Files {
        /// The meaning without names.
        unnamed: String,
    },
}

impl Condition {
    /// What a key may hear of it that reads nothing and owns the sources that `is_own` picks.
    fn without_names(&self, is_own: &dyn Fn(&str) -> bool) -> Self {
        match &self.about {
            About::Appliance => self.clone(),
            About::Source(source) if is_own(source) => self.clone(),
            // Not left out: "needs you" without any reason is a riddle.
            About::Source(_) => Self {
                what: "Another computer's backups need a look.".to_owned(),
                meaning: "Yours are not affected.".to_owned(),
                remedy: "Nothing here; a key that may read sees which one.".to_owned(),
                about: About::Appliance,
                ..self.clone()
            },
            About::Files { unnamed } => Self { meaning: unnamed.clone(), ..self.clone() },
        }
    }
}

/// What the agent is busy with right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doing {
    /// Opening disks and ledger.
    Starting,
    /// Nothing in particular.
    Idle,
    /// A device is pushing.
    Receiving,
    /// Files are being given back.
    Restoring,
}

/// Level, reasons and present work: topic `health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Health {
    /// The worst of the conditions.
    pub(crate) level: Level,
    /// Worst first; empty when fine.
    pub(crate) conditions: Vec<Condition>,
    /// Present work.
    pub(crate) doing: Doing,
    /// Name of the rhythm that the lamp shows, as in `larder_panel::Rhythm`.
    pub(crate) lamp: String,
}

impl Health {
    /// The same in the words of those who may not look into backups.
    pub(crate) fn without_names(&self, is_own: &dyn Fn(&str) -> bool) -> Self {
        let mut conditions: Vec<Condition> = Vec::new();
        for condition in self.conditions.iter().map(|condition| condition.without_names(is_own)) {
            // How many others there are is nobody's business either.
            if !conditions.iter().any(|told| (told.code, &told.what) == (condition.code, &condition.what)) {
                conditions.push(condition);
            }
        }
        Self { conditions, ..self.clone() }
    }
}

/// Everything kept, over all disks: topic `vault`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct VaultReport {
    /// Kept snapshots over all sources.
    pub(crate) snapshots: u64,
    /// Files in the newest snapshot of every source, added up.
    pub(crate) files: u64,
    /// Bytes of those files as the owner sees them.
    pub(crate) protected_bytes: u64,
    /// The same in GiB, for dashboards that cannot divide.
    pub(crate) protected_gib: f64,
    /// Bytes that packs take on one disk.
    pub(crate) stored_bytes: u64,
    /// The same in GiB.
    pub(crate) stored_gib: f64,
    /// Complete copies that exist at this moment.
    pub(crate) copies: u64,
    /// Copies that the settings ask for.
    pub(crate) copies_wanted: u64,
    /// Free bytes on the fullest disk that takes backups; none if no such disk says.
    pub(crate) free_bytes: Option<u64>,
    /// The same in GiB.
    pub(crate) free_gib: Option<f64>,
    /// Days until the fullest disk is full at the growth of the last 30 days; none while it does not grow.
    pub(crate) days_left: Option<u64>,
}

/// What is kept and for how long: topic `retention`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RetentionReport {
    /// The rule in words.
    pub(crate) rule: String,
    /// The promised part of it in words.
    pub(crate) promise: String,
    /// Arrival of the oldest kept snapshot.
    pub(crate) oldest: Option<Timestamp>,
    /// The next snapshot that the rule lets go of.
    pub(crate) next_to_go: Option<NextToGo>,
    /// Holds in force, in words.
    pub(crate) holds: Vec<String>,
    /// A shorter rule that waits to come into force, in words.
    pub(crate) shorter: Option<String>,
    /// Why nothing may be let go of at this moment, whatever the rule says, in words.
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

/// What has been proven, not merely believed: topic `proof`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ProofReport {
    /// Last restore drill that succeeded.
    pub(crate) last_drill: Option<Timestamp>,
    /// Last time that every byte had been read back.
    pub(crate) last_scrub: Option<Timestamp>,
    /// Chunks known to be damaged and not yet repaired.
    pub(crate) damaged: u64,
    /// Files on the disks that the newest rounds of reading back found damaged and made whole again.
    pub(crate) repaired: u64,
}

/// The newest ledger entry, for an outside witness: topic `head`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct HeadReport {
    /// Gapless number of the newest entry; 0 in a new vault.
    pub(crate) sequence: u64,
    /// Its BLAKE3 in hex.
    pub(crate) hash: String,
    /// When it was committed.
    pub(crate) time: Option<Timestamp>,
}

/// The machine itself: topic `system`. What cannot be read is null, never a good value.
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
    /// `fine`, `suspect` or `unknown`.
    pub(crate) health: String,
    /// `trusted` or `unproven`: whether the disk is known to obey flushes.
    pub(crate) flush: String,
    /// Ledger entries that this disk has still to catch up.
    pub(crate) behind: u64,
    /// `home`, or `offsite` for one that is meant to be away most of the time.
    pub(crate) role: String,
    /// `healthy`, `behind`, `failed`, `suspect`, `forked`, `away` or `released`.
    pub(crate) state: String,
    /// Whether it is meant to be unplugged now.
    pub(crate) may_unplug: bool,
    /// When it last held everything, as far as the ledger knows.
    pub(crate) complete: Option<Timestamp>,
    /// Whether it is on its way out for good.
    pub(crate) leaving: bool,
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
    /// `success`, `partial` (files were skipped) or `none`.
    pub(crate) last_result: String,
    /// Whether it should have pushed by now.
    pub(crate) overdue: bool,
    /// Files in the newest snapshot.
    pub(crate) files: u64,
    /// Bytes in the newest snapshot.
    pub(crate) bytes: u64,
    /// The same in GiB.
    pub(crate) gib: f64,
    /// Files that the newest push skipped.
    pub(crate) skipped: u64,
    /// Kept snapshots.
    pub(crate) snapshots: u64,
    /// Arrival of the oldest kept snapshot.
    pub(crate) oldest: Option<Timestamp>,
    /// The four answers, in the order of the four questions.
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

/// Everything at one moment.
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
    /// Topic `system`.
    pub(crate) system: SystemReport,
    /// Topics `disk/<id>`.
    pub(crate) disks: Vec<DiskReport>,
    /// Topics `source/<id>`.
    pub(crate) sources: Vec<SourceReport>,
}

/// Something that happened, for people who automate: topic `event`, not retained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Happening {
    /// `push_started`, `push_succeeded`, `push_partial`, `restore_served`, `condition_raised`, `condition_cleared`,
    /// `acknowledged`.
    pub(crate) event_type: String,
    /// Unique per event, so that a repeated delivery can be told from a second event.
    pub(crate) id: String,
    /// When.
    pub(crate) time: Timestamp,
    /// Source, snapshot, code and the like.
    #[serde(flatten)]
    pub(crate) facts: serde_json::Map<String, serde_json::Value>,
}
