//! Expected packs that no disk shows.
//!
//! Not here: the packs shown by a disk (`listing`), the chunks lost with a pack (`repair`).

use crate::disks::members::Members;
use crate::packs::catalog::Catalog;
use larder_format::Hash;

impl Catalog {
    /// A pack is on no disk here. A pack that an absent disk may have is waited for; any further missing pack counts
    /// as damage.
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

    /// Packs that only a permanently lost disk may have had are no longer waited for: the scrub names the lost
    /// chunks.
    pub(crate) fn wait_no_longer(&self) {
        for number in self.packs.trouble.end_going_without() {
            self.packs.name(number).into_iter().for_each(|name| self.packs.trouble.note_unreadable(name));
        }
        self.packs.trouble.set_hides_packs(false);
        self.packs.trouble.suspect();
    }
}
