//! The asker: a paired device, or the appliance itself.
//!
//! A scope comes down to the store with every call that a device causes. Pins and unfinished uploads then count for the
//! asking device alone, a commit to another device's source is refused where the ledger is written, and a source that the
//! asker may not see is answered like a source that is not there. Not here: which key belongs to which device (the agent),
//! how much one device may hold (`share`), whose a chunk is (`whose`).

use crate::packs::pins::Holder;
use crate::{Result, StoreError};
use larder_format::ledger::{Pairing, Role, Sees};

/// The asker with its role and the past that it may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub(crate) holder: Holder,
    role: Role,
    sees: Sees,
}

impl Scope {
    /// A device by its pairing.
    pub fn device(Pairing { device, role, sees, .. }: &Pairing) -> Self {
        // A ledger may say more than a role can have: `push` sees nothing, whatever stands beside it.
        let sees = if role.may_read() { sees.clone() } else { Sees::Nothing };
        Self { holder: Holder::Device(device.clone()), role: *role, sees }
    }

    /// The appliance itself: its own jobs, and the owner at the box. The appliance may commit to any source.
    pub const fn appliance() -> Self {
        Self { holder: Holder::Appliance, role: Role::Admin, sees: Sees::Everything }
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

    /// The past that the asker may see.
    pub fn sees(&self) -> &Sees {
        &self.sees
    }

    /// Whether the asker may see every source.
    pub fn sees_everything(&self) -> bool {
        self.sees == Sees::Everything
    }

    /// Whether the asker may see the source (`DEVICE/NAME`).
    pub fn may_see(&self, source: &str) -> bool {
        let device = self.device_name().unwrap_or_default();
        source.split_once('/').map_or(self.sees_everything(), |(owner, _)| self.sees.shows(device, owner))
    }

    /// The same as an answer: what may not be seen is not there.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn require_visible(&self, source: &str) -> Result<()> {
        if self.may_see(source) { Ok(()) } else { Err(StoreError::no_source(source)) }
    }

    /// Whose chunks the asker may be given by name; none for those of everybody.
    pub(crate) fn seen_holders(&self) -> Option<Vec<Holder>> {
        match (&self.sees, &self.holder) {
            (Sees::Everything, _) => None,
            (Sees::Devices(others), Holder::Device(own)) => {
                Some(std::iter::once(own).chain(others).cloned().map(Holder::Device).collect())
            }
            (Sees::Nothing | Sees::Devices(_), _) => Some(Vec::new()),
        }
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
    use larder_format::Hash;

    fn device(role: Role, sees: Sees) -> Scope {
        Scope::device(&Pairing { device: "laptop".to_owned(), role, key: Hash::ZERO, sees })
    }

    #[test]
    fn what_may_not_be_seen_is_not_there() {
        let seen =
            |scope: &Scope| ["laptop/docs", "old/docs", "lap/docs", "docs"].map(|it| scope.may_see(it));
        let old = Sees::Devices(vec!["old".to_owned()]);
        for role in [Role::User, Role::Read] {
            assert_eq!(seen(&device(role, Sees::usual(role))), [true, false, false, false]);
            assert_eq!(seen(&device(role, old.clone())), [true, true, false, false]);
            assert_eq!(seen(&device(role, Sees::Everything)), [true; 4]);
        }
        // Whatever a ledger says of a key that only adds.
        for sees in [Sees::Nothing, old.clone(), Sees::Everything] {
            assert_eq!(seen(&device(Role::Push, sees)), [false; 4]);
        }
        assert_eq!(seen(&Scope::appliance()), [true; 4]);
        let hidden = device(Role::User, old).require_visible("phone/docs");
        assert!(matches!(hidden, Err(StoreError::NotFound { .. })), "{hidden:?}");
    }

    #[test]
    fn a_source_belongs_to_one_device_and_the_appliance_may_write_to_all() {
        let laptop = device(Role::Admin, Sees::Everything);
        assert!(laptop.require_own("laptop/docs").is_ok());
        for other in ["phone/docs", "laptop2/docs", "laptop", "lap/top/docs", "/docs"] {
            let refused = laptop.require_own(other);
            assert!(matches!(refused, Err(StoreError::NotYours { .. })), "{other}: {refused:?}");
        }
        assert!(Scope::appliance().require_own("phone/docs").is_ok());
        assert_eq!((laptop.device_name(), Scope::appliance().device_name()), (Some("laptop"), None));
    }
}
