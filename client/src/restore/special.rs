//! Entries with which root could hand this computer to a stranger.
//!
//! A tree comes from another computer, and root makes whatever a tree asks for: a device that leads to the disk, a
//! program that runs as somebody else, a file with rights of its own. Whoever controls that computer, the appliance,
//! or the network between would be root here. So root makes such entries only when told to; for any other user the
//! system refuses them by itself. Not here: setting attributes (`platform`).

use super::options::SpecialEntries;
use crate::platform::Attributes;
use larder_format::tree::Kind;
use std::sync::OnceLock;

/// Why a device is not there.
const DEVICE: &str = "a device is made by root only when told to: --special";

/// The decision for a restore; a question is asked once, at the first such entry.
pub(crate) struct SpecialGate {
    wish: SpecialEntries,
    answer: OnceLock<bool>,
    /// Whether this process may make such entries at all.
    is_root: bool,
}

impl SpecialGate {
    pub(crate) fn new(wish: SpecialEntries, is_root: bool) -> Self {
        Self { wish, answer: OnceLock::new(), is_root }
    }

    fn is_open(&self) -> bool {
        match self.wish {
            _ if !self.is_root => true,
            SpecialEntries::Restore => true,
            SpecialEntries::LeaveOut => false,
            SpecialEntries::Ask(ask) => *self.answer.get_or_init(ask),
        }
    }

    /// Whether devices, set-user bits and rights come back as root pushed them.
    pub(crate) fn is_root_and_open(&self) -> bool {
        self.is_root && self.is_open()
    }

    /// Whether an entry may be made, and with which attributes.
    pub(crate) fn permitted(&self, kind: &Kind, attributes: Attributes) -> Permission {
        if matches!(kind, Kind::CharDevice { .. } | Kind::BlockDevice { .. }) {
            if self.is_open() {
                return Permission::whole(attributes);
            }
            return Permission { attributes: None, lost: Some(DEVICE.to_owned()) };
        }
        // The bits of a folder make no program run as somebody else.
        let may_lend = matches!(kind, Kind::File { .. });
        if !attributes.give_rights(may_lend) || self.is_open() {
            return Permission::whole(attributes);
        }
        let (harmless, lost) = attributes.without_rights(may_lend);
        let lost = lost.join(", ");
        let lost = format!("it comes back without {lost}: root gives that only when told to: --special");
        Permission { attributes: Some(harmless), lost: Some(lost) }
    }
}

/// What may be made of an entry.
pub(crate) struct Permission {
    /// The attributes that may be given; none where the entry may not be made.
    pub(crate) attributes: Option<Attributes>,
    /// What is left out, in words.
    pub(crate) lost: Option<String>,
}

impl Permission {
    fn whole(attributes: Attributes) -> Self {
        Self { attributes: Some(attributes), lost: None }
    }
}
