//! The past that a key may see: nothing, the sources of some devices, or everything.
//!
//! A household's laptops each restore their own files. With a key that sees everything, a stolen laptop would read the
//! past of the whole family. Not here: who asks (`larder_store::Scope`), what a role may do besides (`Role`).

use super::Role;
use serde::{Deserialize, Serialize};

/// Other devices that a key may be let see: a household's, by name. More are a key for everything.
pub const SEEN_DEVICES_MAX: usize = 16;

/// The past that a key may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sees {
    /// No snapshot, not even of the key's own device.
    Nothing,
    /// Sources of the key's own device, and of these other devices; at most `SEEN_DEVICES_MAX`.
    Devices(Vec<String>),
    /// Every source.
    Everything,
}

impl Sees {
    /// What layout 1 of the ledger means by a role; none for a role that it does not have.
    pub(super) fn of_layout_1(role: Role) -> Option<Self> {
        match role {
            Role::Push => Some(Self::Nothing),
            Role::Read | Role::Admin => Some(Self::Everything),
            Role::User => None,
        }
    }

    /// What a role sees unless something else is said: the least that makes the role useful.
    pub fn usual(role: Role) -> Self {
        match role {
            Role::Push => Self::Nothing,
            Role::User | Role::Read => Self::Devices(Vec::new()),
            Role::Admin => Self::Everything,
        }
    }

    /// Whether a key of this role may be given this: `push` sees nothing, `admin` everything, and the rest something.
    pub fn fits(&self, role: Role) -> bool {
        match (self, role) {
            (Self::Nothing, Role::Push) | (Self::Everything, Role::Admin) => true,
            (Self::Everything, Role::User | Role::Read) => true,
            (Self::Devices(names), Role::User | Role::Read) => {
                names.len() <= SEEN_DEVICES_MAX && names.iter().all(|name| super::is_plain_name(name))
            }
            _ => false,
        }
    }

    /// Whether a key of `device` sees the sources of `other`.
    pub fn shows(&self, device: &str, other: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Devices(names) => other == device || names.iter().any(|name| name == other),
            Self::Everything => true,
        }
    }

    /// One text for each meaning, as both ends of a pairing prove it. Plain names have neither comma nor asterisk.
    pub fn terms(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Devices(names) => format!("own,{}", names.join(",")),
            Self::Everything => "*".to_owned(),
        }
    }

    /// The same for a table of keys: `nothing`, `itself`, `itself, desk`, `everything`.
    pub fn words(&self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::Devices(names) => std::iter::once("itself")
                .chain(names.iter().map(String::as_str))
                .collect::<Vec<_>>()
                .join(", "),
            Self::Everything => "everything".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(names: &[&str]) -> Sees {
        Sees::Devices(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_key_sees_its_own_device_and_those_named() {
        let seen =
            |sees: &Sees| ["laptop", "old", "laptop2", "lap", ""].map(|other| sees.shows("laptop", other));
        assert_eq!(seen(&Sees::Nothing), [false; 5]);
        assert_eq!(seen(&devices(&[])), [true, false, false, false, false]);
        assert_eq!(seen(&devices(&["old"])), [true, true, false, false, false]);
        assert_eq!(seen(&Sees::Everything), [true; 5]);
    }

    #[test]
    fn no_role_gets_what_it_cannot_have() {
        let all = [Sees::Nothing, devices(&[]), devices(&["old"]), Sees::Everything];
        let fits = |role| all.clone().map(|sees| sees.fits(role));
        assert_eq!(fits(Role::Push), [true, false, false, false]);
        assert_eq!(fits(Role::User), [false, true, true, true]);
        assert_eq!(fits(Role::Read), [false, true, true, true]);
        assert_eq!(fits(Role::Admin), [false, false, false, true]);
        for role in [Role::Push, Role::User, Role::Read, Role::Admin] {
            assert!(Sees::usual(role).fits(role), "{role:?}");
        }
        let many: Vec<_> = (0..=SEEN_DEVICES_MAX).map(|n| n.to_string()).collect();
        assert!(Sees::Devices(many[1..].to_vec()).fits(Role::Read) && !Sees::Devices(many).fits(Role::Read));
        for bad in ["", "a,b", "*", "a/b", "ä"] {
            assert!(!devices(&[bad]).fits(Role::User), "{bad}");
        }
    }

    /// Both ends prove this text: two meanings with one text could be exchanged on the way.
    #[test]
    fn each_meaning_has_a_text_of_its_own() {
        let all = [
            Sees::Nothing,
            devices(&[]),
            devices(&["old"]),
            devices(&["own"]),
            devices(&["old", "phone"]),
            devices(&["everything"]),
            Sees::Everything,
        ];
        let texts: std::collections::BTreeSet<_> = all.iter().map(Sees::terms).collect();
        assert_eq!(texts.len(), all.len(), "{texts:?}");
    }
}
