//! Packs that ought to be there and that no disk shows.
//!
//! Not here: which packs a disk shows (`listing`), what was lost with one (`repair`).

use super::Catalog;
use crate::members::Members;
use crate::packs::Packs;
use crate::repair::packs_given_up;
use larder_format::Hash;
use std::collections::HashSet;
use std::sync::atomic::Ordering;

/// Takes in packs that the index knows and no disk shows. One that was given up is no pack any more; what a disk that
/// is not here may have is waited for; the rest is damage like any other. Returns those.
pub(super) fn note_missing(
    members: &Members,
    packs: &Packs,
    missing: Vec<(u32, Hash)>,
    gone: &mut Vec<u32>,
) -> HashSet<Hash> {
    let mut damaged = HashSet::new();
    if missing.is_empty() {
        return damaged;
    }
    let given_up = packs_given_up(members);
    let are_all_here = members.are_all_here();
    for (number, name) in missing {
        if given_up.contains(&name) {
            gone.push(number);
            continue;
        }
        packs.add(number, name, 0);
        tracing::error!(pack = %name, are_all_here, "a pack is on no disk that is here");
        if are_all_here {
            damaged.insert(name);
            packs.damage.suspect();
        } else {
            packs.damage.go_without(number);
        }
    }
    damaged
}

impl Catalog {
    /// What a disk may have had that is gone for good is not waited for: the scrub names what was lost with it.
    pub(crate) fn wait_no_longer(&self) {
        for number in self.packs.damage.hope_no_longer() {
            self.unreadable().extend(self.packs.name(number));
        }
        self.unseen.store(false, Ordering::SeqCst);
        self.packs.damage.suspect();
    }
}
