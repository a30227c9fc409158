//! Packs that ought to be there and that no disk shows.
//!
//! Not here: which packs a disk shows (`listing`), what was lost with one (`repair`).

use super::Catalog;
use crate::clock::Mark;
use crate::members::Members;
use crate::repair::packs_given_up;
use larder_format::Hash;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

/// Tells packs that the index knows and no disk shows apart: numbers of those that were swept or given up, and those
/// that are missing.
pub(super) fn gone_or_missing(
    members: &Members,
    absent: Vec<(u32, Hash)>,
    swept: &HashMap<Hash, Mark>,
) -> (Vec<u32>, Vec<(u32, Hash)>) {
    let (mut gone, absent): (Vec<_>, Vec<_>) =
        absent.into_iter().partition(|(_, name)| swept.contains_key(name));
    // Records are read from the disks only where something is left to be told.
    let given_up = if absent.is_empty() { HashSet::new() } else { packs_given_up(members) };
    let (given_up, missing): (Vec<_>, Vec<_>) =
        absent.into_iter().partition(|(_, name)| given_up.contains(name));
    gone.extend(given_up);
    (gone.into_iter().map(|(number, _)| number).collect(), missing)
}

impl Catalog {
    /// A pack is on no disk that is here. What one that is away may have is waited for; the rest is damage like any
    /// other.
    pub(crate) fn miss(&self, members: &Members, number: u32, name: Hash) {
        let are_all_here = members.are_all_here();
        tracing::error!(pack = %name, are_all_here, "a pack is on no disk that is here");
        if are_all_here {
            self.unreadable().insert(name);
            self.packs.damage.suspect();
        } else {
            self.packs.damage.go_without(number);
        }
    }

    /// What a disk may have had that is gone for good is not waited for: the scrub names what was lost with it.
    pub(crate) fn wait_no_longer(&self) {
        for number in self.packs.damage.end_going_without() {
            self.unreadable().extend(self.packs.name(number));
        }
        self.unseen.store(false, Ordering::SeqCst);
        self.packs.damage.suspect();
    }
}
