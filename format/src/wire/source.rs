//! Messages about a source as such: the folder behind the name, what is expected of it, and what of it stays.
//!
//! Not here: the commit and its receipt (`wire`), the comparison of two origins (`ledger::origin`).

use crate::ledger::{Expect, Origin};
use serde::{Deserialize, Serialize};

/// Asks, before a byte is sent, whether a push may become a snapshot of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PushStart {
    /// Where the files lie on the device.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// A person says that the folder of the source has moved here.
    #[serde(default)]
    pub moved: bool,
}

/// Answer to `PushStart`: the push may begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PushWelcome {
    /// Kept snapshots of the source.
    pub snapshots: u64,
    /// Whether the source is known to be this folder: false for a new source, a moved folder, and a source whose
    /// snapshots say no folder.
    pub is_same_folder: bool,
    /// Bytes that fit on the disks at this moment, packed as they are kept; none where the disks do not say.
    #[serde(default)]
    pub room_bytes: Option<u64>,
}

/// Says how long a source may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Expectation {
    /// `learn`, `never`, or `{"within": SECONDS}`.
    pub expect: Expect,
}

/// Retires a source after 72 hours, or takes that back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Retirement {
    /// False takes it back.
    pub retired: bool,
}

/// Asks that a snapshot stays whatever the rule says; said again, only for longer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeepWish {
    /// In the owner's words, at most 80 bytes and nothing that reads like a moment; none for no words, or the words so far.
    #[serde(default)]
    pub label: Option<String>,
    /// Until then, RFC 3339; none for ever.
    #[serde(default)]
    pub until: Option<String>,
}

/// What is expected of a source now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceExpectation {
    /// `DEVICE/NAME`.
    pub source: String,
    /// In words, such as `within 2 days`.
    pub expected: String,
    /// `expected`, `never`, `retiring`, `retired` or `revoked`.
    pub standing: String,
    /// Seconds of silence until it is overdue; none if never.
    pub overdue_after_s: Option<u64>,
}
