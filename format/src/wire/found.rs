//! Answers of a search for names over all time.
//!
//! Not here: the index that is searched (`names`).

use serde::{Deserialize, Serialize};

/// A path that is or was there, as a search over all time finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FoundName {
    /// `DEVICE/NAME`.
    pub source: String,
    /// Path in the source.
    pub path: String,
    /// Whether it was a folder when it was last there.
    pub is_folder: bool,
    /// Number of the oldest kept snapshot with it.
    pub first: u64,
    /// When that one arrived, RFC 3339.
    pub since: String,
    /// Number of the newest kept snapshot with it.
    pub last: u64,
    /// When that one arrived, RFC 3339.
    pub until: String,
    /// Whether the newest snapshot of the source has it.
    pub is_there: bool,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FoundNames {
    /// By source and path.
    pub hits: Vec<FoundName>,
    /// There may be more than the limit allows.
    pub has_more: bool,
    /// Every kept snapshot was searched, and nothing was left out.
    pub is_complete: bool,
}
