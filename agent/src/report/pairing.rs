//! Whether a computer may be paired at this moment: topic `pairing`. Never the code: whoever reads a dashboard could pair.

use jiff::Timestamp;
use larder_format::ledger::Role;
use serde::Serialize;

/// How pairing stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct PairingReport {
    /// What a computer with a code would meet.
    pub(crate) state: PairingState,
    /// Name that the open window gives to the computer; none unless open, and none for a new computer, which brings its own.
    pub(crate) device: Option<String>,
    /// Role that the open window gives; none unless open.
    pub(crate) role: Option<Role>,
    /// End of the window or of the lock; none while closed.
    pub(crate) until: Option<Timestamp>,
}

/// What a computer with a code would meet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PairingState {
    /// Nobody is let in.
    #[default]
    Closed,
    /// A computer with the code is let in.
    Open,
    /// Too many codes were wrong: nobody is let in, and no window opens.
    Locked,
}

impl PairingState {
    /// Every state by its promised name, for dashboards with a list.
    pub(crate) const NAMES: [&str; 3] = ["closed", "open", "locked"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_promised_name() {
        let states = [PairingState::Closed, PairingState::Open, PairingState::Locked];
        let names = states.map(|state| serde_json::to_value(state).expect("a word"));
        assert_eq!(names, PairingState::NAMES.map(serde_json::Value::from));
    }
}
