//! What may come along with chunks that were asked for.

use serde::{Deserialize, Serialize};

/// Whether chunks that nobody asked for may come along with those that somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Neighbours {
    /// Only where leaving them out would be more work than sending them.
    #[default]
    Unwanted,
    /// Whoever asks will most likely want them next: folders of one tree.
    Welcome,
}
