//! What the appliance says of its ledger with its signature, and what became of a device's own snapshots.
//!
//! Not here: the signed bytes (`statement`).

use crate::{Hash, ledger::Head};
use serde::{Deserialize, Serialize};

/// Proof of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Receipt {
    /// `DEVICE/NAME`.
    pub source: String,
    /// Number of the snapshot: its ledger entry.
    pub snapshot: u64,
    /// The ledger's head with this entry: number and hash of the entry itself.
    pub head: Head,
    /// Disks that hold it, by id.
    pub disks: Vec<String>,
    /// Disks that should hold it but were missing; empty when the copies are complete.
    pub degraded: Vec<String>,
    /// The appliance's word that entry `head` is this snapshot of this source with this root (`statement::StatementKind::Snapshot`);
    /// none from an older appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedWord>,
}

/// A signature of the appliance's key under a statement, with the part of it that stands nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignedWord {
    /// When it was said, by the appliance's clock, in milliseconds since 1970.
    pub said_ms: i64,
    /// Ed25519, 128 hex digits.
    pub signature: String,
}

/// Number and hash of an entry in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EntryWord {
    /// The entry.
    #[serde(flatten)]
    pub entry: Head,
    /// The appliance's word that it is in the ledger (`statement::StatementKind::Entry`); none from an older appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedWord>,
}

/// Asks what became of snapshots of the asking device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StandingAsked {
    /// Their numbers, at most `STANDINGS_MAX`.
    pub snapshots: Vec<u64>,
}

/// What became of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceiptStanding {
    /// Its number.
    pub snapshot: u64,
    /// Hash of its entry, read from the disks just now; none where the entry is not there, is damaged on every disk, or is no
    /// snapshot of the asking device.
    pub entry: Option<Hash>,
    /// Whether it is kept.
    pub standing: StandingWord,
    /// For one that was let go of: which entry says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub let_go: Option<LetGoWord>,
}

/// Whether a snapshot is kept; a word on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StandingWord {
    /// It is.
    Kept,
    /// It was let go of.
    LetGo,
    /// The ledger does not say.
    Unknown,
}

/// The entry by which a snapshot was let go of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LetGoWord {
    /// Number of the entry.
    pub entry: u64,
    /// When, RFC 3339.
    pub time: String,
    /// Why, in words.
    pub why: String,
}
