//! Packs that ought to be there and that no disk shows.
//!
//! Not here: which packs a disk shows (`listing`), what was lost with one (`repair`).

use crate::disks::members::Members;
use crate::packs::catalog::Catalog;
use larder_format::Hash;

impl Catalog {
    /// A pack is on no disk that is here. What one that is away may have is waited for; the rest is damage like any
    /// other.
    pub(crate) fn miss(&self, members: &Members, number: u32, name: Hash) {
        let are_all_here = members.are_all_here();
        tracing::error!(pack = %name, are_all_here, "a pack is on no disk that is here");
        if are_all_here {
            self.packs.trouble.note_unreadable(name);
            self.packs.trouble.suspect();
        } else {
            self.packs.trouble.go_without(number);
        }
    }

    /// What a disk may have had that is gone for good is not waited for: the scrub names what was lost with it.
    pub(crate) fn wait_no_longer(&self) {
        for number in self.packs.trouble.end_going_without() {
            self.packs.name(number).into_iter().for_each(|name| self.packs.trouble.note_unreadable(name));
        }
        self.packs.trouble.set_hides_packs(false);
        self.packs.trouble.suspect();
    }
}
