//! Messages of a pairing. What they prove: `larder_trust`.

use crate::ledger::{Role, Sees};
use serde::{Deserialize, Serialize};

/// Begins a pairing: one try of the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingBegin {
    /// The computer's message of the exchange, in hex.
    pub message: String,
    /// Name that the computer brings; the appliance takes it where its owner has said none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// The appliance's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PairingAnswer {
    /// The appliance's message of the exchange, in hex.
    pub message: String,
    /// Proof that the appliance knows the code, 64 hex digits.
    pub proof: String,
    /// Name of the computer at the appliance.
    pub device: String,
    /// What its key may do.
    pub role: Role,
    /// The past that its key may see.
    pub sees: Sees,
}

/// Ends a pairing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingProof {
    /// Proof that the computer knows the code, 64 hex digits.
    pub proof: String,
}
