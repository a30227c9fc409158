//! Whether any disk can be read at all: what is damaged and what is away look the same to whoever reads one chunk, and
//! mean different things to the owner.

use crate::disks::identity;
use crate::disks::members::Members;
use crate::packs::registry::Packs;
use std::sync::atomic::Ordering;

impl Packs {
    /// Whether any disk answers. Asks them, so only for whoever could not read something.
    pub(crate) fn is_any_answering(&self, members: &Members) -> bool {
        let all = members.all();
        let mut readable = all.iter().filter(|member| member.is_readable());
        let is_answering = readable.any(|member| identity::is_answering(member.disk.as_ref()));
        self.is_silent.store(!is_answering, Ordering::SeqCst);
        is_answering
    }

    /// The same before anybody has read: no disk is asked as long as reading went well.
    pub(crate) fn may_be_read(&self, members: &Members) -> bool {
        if self.is_silent.load(Ordering::SeqCst) {
            return self.is_any_answering(members);
        }
        members.all().iter().any(|member| member.is_readable())
    }
}
