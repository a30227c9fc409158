//! Who asks: a paired device, or the appliance itself.
//!
//! A scope comes down to the store with everything that a device causes. Pins and unfinished uploads then count for that
//! device alone, and a commit to another device's source is refused where the ledger is written, not only where the network
//! ends. Not here: which key belongs to whom (the agent), how much one device may hold (`share`).

use crate::packs::pins::Holder;
use crate::{Result, StoreError};
use larder_format::ledger::Role;

/// Who asks, and in which role. The store attributes by it; reading is restricted by none yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub(crate) holder: Holder,
    role: Role,
}

impl Scope {
    /// A device by the name that its pairing gives it.
    pub fn device(name: impl Into<String>, role: Role) -> Self {
        Self { holder: Holder::Device(name.into()), role }
    }

    /// The appliance itself: its own jobs, and the owner at the box. It may commit to any source.
    pub const fn appliance() -> Self {
        Self { holder: Holder::Appliance, role: Role::Admin }
    }

    /// Name of the device; none for the appliance itself.
    pub fn device_name(&self) -> Option<&str> {
        match &self.holder {
            Holder::Device(name) => Some(name),
            Holder::Appliance | Holder::EarlierRun => None,
        }
    }

    /// What the asker may do.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the source (`DEVICE/NAME`) belongs to the asker.
    ///
    /// # Errors
    /// `NotYours` when it is another device's.
    pub fn require_own(&self, source: &str) -> Result<()> {
        let Some(device) = self.device_name() else { return Ok(()) };
        match source.split_once('/') {
            Some((owner, _)) if owner == device => Ok(()),
            _ => Err(StoreError::NotYours { device: device.to_owned(), name: source.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_belongs_to_one_device_and_the_appliance_may_write_to_all() {
        let laptop = Scope::device("laptop", Role::Admin);
        assert!(laptop.require_own("laptop/docs").is_ok());
        for other in ["phone/docs", "laptop2/docs", "laptop", "lap/top/docs", "/docs"] {
            let refused = laptop.require_own(other);
            assert!(matches!(refused, Err(StoreError::NotYours { .. })), "{other}: {refused:?}");
        }
        assert!(Scope::appliance().require_own("phone/docs").is_ok());
        assert_eq!((laptop.device_name(), Scope::appliance().device_name()), (Some("laptop"), None));
    }
}
