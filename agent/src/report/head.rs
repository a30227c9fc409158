//! The newest ledger entry, for an outside witness: topic `head`.
//!
//! The broker keeps what was said, also over the agent's own end, so the agent reads it before it says something new: a head that
//! the appliance itself signed and that its disks do not have is told, and stays where it is. Not here: the signature
//! (`state::signer`), reading it back (`edge::mqtt::head_witness`), what it means (`decide`).

use jiff::Timestamp;
use larder_format::ledger::Head;
use serde::Serialize;

/// The newest ledger entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct HeadReport {
    /// Gapless number of the newest entry; 0 in a new vault.
    pub(crate) sequence: u64,
    /// The entry's BLAKE3 in hex.
    pub(crate) hash: String,
    /// Time of the commit.
    pub(crate) time: Option<Timestamp>,
    /// What makes it a signed word of the appliance; null before the vault is open.
    #[serde(flatten)]
    pub(crate) signed: SignedParts,
    /// The head found at the broker that this report has taken into account.
    #[serde(skip)]
    pub(crate) answers: Option<RetainedHead>,
    /// The found one is not in the ledger, and nobody at the box has said that this is right: it must not be overwritten.
    #[serde(skip)]
    pub(crate) is_withheld: bool,
}

/// The parts of a signed word that are not the entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SignedParts {
    /// Random name of the vault, in hex.
    pub(crate) vault: Option<String>,
    /// When it was signed, by the appliance's clock.
    pub(crate) said: Option<Timestamp>,
    /// The appliance's key, 64 hex digits.
    pub(crate) key: Option<String>,
    /// Ed25519, 128 hex digits.
    pub(crate) signature: Option<String>,
}

/// A head found retained at the broker, with a good signature of this appliance's own key, of this vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetainedHead {
    pub(crate) head: Head,
    /// When the appliance said so.
    pub(crate) said: Timestamp,
}
