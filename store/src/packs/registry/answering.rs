//! Whether any disk can be read at all: to a reader of one chunk, damage and an absent disk look the same; to the
//! owner, the two mean different things.

use crate::disks::identity;
use crate::disks::members::Members;
use crate::packs::registry::Packs;
use std::sync::atomic::Ordering;

impl Packs {
    /// Whether any disk answers. Asks the disks, so only for use after a failed read.
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
