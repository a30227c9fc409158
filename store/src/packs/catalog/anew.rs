//! Making the index anew: the old index is thrown away, and packs are entered into a new index step by step.
//!
//! Not here: entering packs (`catalog`), sled (`index`).

use crate::disks::members::Members;
use crate::packs::catalog::{Catalog, PACKS_AT_ONCE};
use crate::packs::index::{Index, IndexPlace, open_index};
use std::sync::atomic::Ordering;

impl Catalog {
    /// From now on the index lies at `place`; the index is made anew there.
    pub(crate) fn move_to(&self, members: &Members, place: IndexPlace) {
        *self.place.lock() = place;
        self.start_anew(members);
    }

    /// Writes the index out; only spares work at the next start.
    pub(crate) fn flush(&self) {
        self.index_to_change().flush();
    }

    /// Enters some unknown packs into the index; returns how many are left. With none left, the index is written out: an
    /// agent killed before its next pause would read every chunk table again.
    pub(crate) fn enter_and_keep(&self, members: &Members) -> usize {
        let left = self.enter_pending(members, PACKS_AT_ONCE);
        if left == 0 && self.is_read_ahead.swap(false, Ordering::SeqCst) {
            self.flush();
        }
        left
    }

    /// Throws the index away and enters packs again, some at once and the rest by `enter_pending`.
    pub(crate) fn start_anew(&self, members: &Members) {
        self.throw_away();
        self.enter_pending(members, PACKS_AT_ONCE);
    }

    /// From now on the index is empty and every pack waits to be entered.
    pub(crate) fn throw_away(&self) {
        self.anew.fetch_add(1, Ordering::SeqCst);
        let mut index = self.index_to_change();
        // Closed first, since the files are moved.
        *index = Index::in_memory();
        let place = self.place.lock().clone();
        *index = match Index::discard(&place) {
            Ok(()) => open_index(&place, &self.vault).0,
            Err(error) => {
                tracing::error!(%error, "the old index cannot be moved aside; going on without one on disk");
                Index::in_memory()
            }
        };
        self.pending().waiting = self.packs.all();
        self.packs.trouble.forget_unreadable();
    }

    /// How often the index was thrown away.
    pub(crate) fn times_anew(&self) -> u64 {
        self.anew.load(Ordering::SeqCst)
    }
}
