//! What the agent remembers over a restart: since when each condition holds, whether the owner has seen it, which
//! computers wait for room, and how the stored bytes grew.
//!
//! A file beside the vault, not the ledger: forgetting it costs a message told twice or late, and nothing else. Not here: the file
//! (`edge::notes`), what counts as seen (`decide::memory`).

use super::health::Level;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Every condition that held, by its key, and what foretells the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) conditions: BTreeMap<String, RememberedCondition>,
    /// How the stored bytes grew of late, a sample a day, the oldest first.
    #[serde(default)]
    pub(crate) growth: Vec<StoredSample>,
    /// Computers whose pushes were refused for want of room.
    #[serde(default)]
    pub(crate) refused: BTreeMap<String, RefusedDevice>,
}

/// The last refusal of one computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefusedDevice {
    /// When, in seconds switched on.
    pub(crate) at_s: u64,
    /// Whether something was taken since.
    pub(crate) has_brought: bool,
}

/// The same as it lies on each disk.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct RememberedFile {
    /// When: a disk that was away has an older one.
    #[serde(default)]
    pub(crate) saved: Option<Timestamp>,
    #[serde(flatten)]
    pub(crate) remembered: Remembered,
}

/// The stored bytes at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredSample {
    pub(crate) at: Timestamp,
    pub(crate) bytes: u64,
}

/// One condition that held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RememberedCondition {
    /// First sight.
    pub(crate) since: Timestamp,
    /// The condition as the owner has seen it; none before.
    #[serde(default)]
    pub(crate) seen: Option<SeenCondition>,
}

/// How bad a condition was when the owner saw it: worse is something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenCondition {
    pub(crate) level: Level,
    /// How much of it there is; grows as it gets worse.
    pub(crate) weight: u64,
}
