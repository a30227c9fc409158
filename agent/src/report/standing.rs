//! Whether a source is expected to push, as a word on the wire. Words are only ever added.

use serde::{Serialize, Serializer};

/// Whether a source is expected to push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceStanding {
    /// Yes.
    Expected,
    /// No: the owner said so.
    Never,
    /// Still, for some hours.
    Retiring,
    /// No longer.
    Retired,
    /// No longer: every key of its device was ended.
    Revoked,
}

impl SourceStanding {
    /// The word on the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Never => "never",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }
}

impl Serialize for SourceStanding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
