//! Whose a chunk is: what the vault holds, and what of that one holder brought.
//!
//! The one answer behind "have you this chunk?", the receipt of blocks and the commit. Not here: the table (`packs::owners`),
//! the walk that makes the table anew (`past::brought`).

use crate::core::{Core, OwnersGuard};
use crate::packs::catalog::PACKS_AT_ONCE;
use crate::packs::index::IndexPlace;
use crate::packs::owners::Owners;
use crate::packs::pins::Holder;
use crate::packs::place::Place;
use larder_format::ChunkId;

/// A chunk of sealed packs, seen by one holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Held whole, and the holder brought it.
    Own(Place),
    /// Held whole, and only others brought it.
    Others(Place),
    /// Not held, or damaged.
    Nobodys,
}

impl Whose {
    /// Place of the holder's own chunk.
    pub(crate) fn own(self) -> Option<Place> {
        match self {
            Self::Own(place) => Some(place),
            Self::Others(_) | Self::Nobodys => None,
        }
    }
}

impl Core {
    /// What each chunk is to `holder`, in order. While packs are still being entered into the index, a held chunk may look
    /// like nobody's: a second copy costs less than a push that waits for every pack.
    pub(crate) fn whose_each(&self, holder: &Holder, ids: &[ChunkId]) -> Vec<Whose> {
        let found = self.whose_by_index(holder, ids);
        if self.catalog.pending_count() == 0 || !found.contains(&Whose::Nobodys) {
            return found;
        }
        self.catalog.enter_pending(&self.members, PACKS_AT_ONCE);
        self.whose_by_index(holder, ids)
    }

    /// The same for one chunk, from the index as it is.
    pub(crate) fn whose(&self, holder: &Holder, id: &ChunkId) -> Whose {
        self.whose_by_index(holder, std::slice::from_ref(id)).pop().unwrap_or(Whose::Nobodys)
    }

    fn whose_by_index(&self, holder: &Holder, ids: &[ChunkId]) -> Vec<Whose> {
        let places = self.catalog.every_place_of_each(&self.members, ids);
        let owners = self.owners();
        let mut found = vec![Whose::Nobodys; ids.len()];
        let mut brought = vec![false; ids.len()];
        for (asked, place) in places {
            // Also by way of a damaged copy: the holder knows what the chunk says.
            brought[asked] |= owners.has(holder, (place.pack, place.slot));
            if found[asked] == Whose::Nobodys && !self.catalog.packs.is_damaged(place) {
                found[asked] = Whose::Others(place);
            }
        }
        for (found, is_own) in found.iter_mut().zip(brought) {
            if let (Whose::Others(place), true) = (*found, is_own) {
                *found = Whose::Own(place);
            }
        }
        found
    }

    /// The table of what each device brought.
    pub(crate) fn owners(&self) -> OwnersGuard<'_> {
        self.owners.lock()
    }

    /// Writes down what each device brought since.
    pub(crate) fn write_owners(&self) {
        self.owners().write(|pack| self.catalog.packs.name(pack));
    }

    /// A walk that began at `losses` came to its end; the file says so from now on. Returns whether nothing was lost meanwhile.
    pub(crate) fn end_owners_walk(&self, losses: u64) -> bool {
        let mut owners = self.owners();
        let is_whole = owners.end_walk(losses);
        owners.write_anew(|pack| self.catalog.packs.name(pack));
        is_whole
    }

    /// Packs came that were brought under other eyes: every kept snapshot is to be walked again.
    pub(crate) fn owners_are_partial(&self) {
        self.owners().lose();
    }

    /// The index lies elsewhere, and so does what is written down of this.
    pub(crate) fn move_owners_to(&self, place: &IndexPlace) {
        self.owners().move_to(place, self.id, |pack| self.catalog.packs.name(pack));
    }

    /// These packs are gone.
    pub(crate) fn disown(&self, packs: &[u32]) {
        self.owners().forget(packs);
    }

    /// A pack was written from the chunks of others: each chunk is of whoever brought the old copy.
    pub(crate) fn note_copies_in(&self, chunks: &[ChunkId]) {
        for ids in chunks.chunks(1024) {
            let mut of_each = vec![Vec::new(); ids.len()];
            for (asked, place) in self.catalog.every_place_of_each(&self.members, ids) {
                of_each[asked].push((place.pack, place.slot));
            }
            let mut owners: OwnersGuard<'_> = self.owners();
            of_each.iter().for_each(|places| Owners::note_copies(&mut owners, places));
        }
        self.write_owners();
    }
}
