//! The asker: a paired device, or the appliance itself.
//!
//! A scope comes down to the store with every call that a device causes. Pins and unfinished uploads then count for the
//! asking device alone, and a commit to another device's source is refused where the ledger is written, not only where the
//! network ends. Not here: which key belongs to which device (the agent), how much one device may hold (`share`).

use crate::packs::pins::Holder;
use crate::{Result, StoreError};
use larder_format::ledger::Role;

/// The asker with its role. The store attributes by scope; no scope restricts reading yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub(crate) holder: Holder,
    role: Role,
}

impl Scope {
    /// A device by the name of its pairing.
    pub fn device(name: impl Into<String>, role: Role) -> Self {
        Self { holder: Holder::Device(name.into()), role }
    }

    /// The appliance itself: its own jobs, and the owner at the box. The appliance may commit to any source.
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

    /// Permissions of the asker.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the source (`DEVICE/NAME`) belongs to the asker.
    ///
    /// # Errors
    /// `NotYours` for the source of another device.
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
