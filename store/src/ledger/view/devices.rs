//! Devices as the ledger knows them. Not here: what a key may see (`core::scope`).

use super::LedgerView;

impl LedgerView {
    /// Whether every key of the device of `source` was ended, so that nobody can push there any more. False for a device
    /// that never had a key: such sources are the box's own.
    pub fn is_cut_off(&self, source: &str) -> bool {
        let device = source.split('/').next().unwrap_or_default();
        self.devices.contains(device) && !self.pairings.values().any(|pairing| pairing.device == device)
    }

    /// Whether the device ever had a key, or has a kept source.
    pub fn knows_device(&self, device: &str) -> bool {
        let is_of = |source: &String| source.split_once('/').is_some_and(|(owner, _)| owner == device);
        self.devices.contains(device) || self.sources.keys().any(is_of)
    }
}
