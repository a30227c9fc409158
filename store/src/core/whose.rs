//! Whose a chunk is: what the vault holds, and what of that one holder brought.
//!
//! The one answer behind "have you this chunk?", the receipt of blocks and the commit, and the one behind reading by name: a
//! key that sees some devices is given what one of these devices brought. Not here: the table (`packs::owners`), the walk that
//! makes the table anew (`past::brought`).

use crate::core::scope::Scope;
use crate::core::{Core, OwnersGuard};
use crate::packs::catalog::PACKS_AT_ONCE;
use crate::packs::index::IndexPlace;
use crate::packs::owners::{Knowledge, Owners};
use crate::packs::pins::Holder;
use crate::packs::place::Place;
use larder_format::ChunkId;
use std::collections::HashSet;
use std::ops::Range;

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

    /// The place of each chunk that `seen` may be given by its name, in order; none for any other chunk, held or not. A pack is
    /// opened only for what the index and the table say is `seen`'s: else the time of an answer would tell what is held.
    pub(crate) fn given_places(&self, seen: &[Holder], ids: &[ChunkId]) -> Vec<Option<Place>> {
        let hints = self.catalog.hints_of_each(ids);
        let mut is_hinted = vec![false; ids.len()];
        let owners = self.owners();
        for (at, asked) in hints {
            is_hinted[asked] |= seen.iter().any(|holder| owners.has(holder, at));
        }
        let is_whole = owners.knowledge() == Knowledge::Whole;
        drop(owners);
        let asked: Vec<usize> = (0..ids.len()).filter(|asked| is_hinted[*asked]).collect();
        let of_seen: Vec<ChunkId> = asked.iter().map(|asked| ids[*asked]).collect();
        let places = if is_whole { self.places_of(seen, &of_seen) } else { None };
        // A bit that is not found out yet is no proof, and a restore must not wait for the walk.
        let Some(places) = places else { return self.catalog.locate_each(&self.members, ids) };
        let mut given = vec![None; ids.len()];
        asked.into_iter().zip(places).for_each(|(asked, place)| given[asked] = place);
        given
    }

    /// The same for chunks of which a hint is `seen`'s; none while the table does not know every kept snapshot.
    fn places_of(&self, seen: &[Holder], ids: &[ChunkId]) -> Option<Vec<Option<Place>>> {
        let located = self.catalog.locate_each(&self.members, ids);
        let mut is_given = vec![false; ids.len()];
        let likely = self.catalog.every_likely_place_of_each(&self.members, ids);
        let owners = self.owners();
        if owners.knowledge() == Knowledge::Partial {
            return None;
        }
        for (asked, at) in likely {
            // Also by way of a damaged copy: the holder brought the chunk, wherever its whole copy lies.
            is_given[asked] |= seen.iter().any(|holder| owners.has(holder, at));
        }
        Some(located.into_iter().zip(is_given).map(|(place, is_given)| place.filter(|_| is_given)).collect())
    }

    /// The chunks among `ids` that `seen` may be given, with their places; all others are left out. What may not be seen
    /// takes the way of what is not there, also the slow look into every pack: the time of an answer tells no name.
    pub(crate) fn find_given(&self, seen: &[Holder], ids: &[ChunkId]) -> Vec<(Place, ChunkId)> {
        let mut found = Vec::with_capacity(ids.len());
        let mut rest = ids.to_vec();
        loop {
            let places = self.given_places(seen, &rest);
            let asked = std::mem::take(&mut rest);
            for (place, id) in places.into_iter().zip(asked) {
                match place {
                    Some(place) => found.push((place, id)),
                    None => rest.push(id),
                }
            }
            if rest.is_empty() {
                return found;
            }
            if self.catalog.pending_count() == 0 {
                break;
            }
            self.catalog.enter_pending(&self.members, PACKS_AT_ONCE);
        }
        let unseen: HashSet<ChunkId> = rest.into_iter().collect();
        let mut given = HashSet::new();
        let places = self.catalog.packs.search(&self.members, &unseen);
        let owners = self.owners();
        let is_given = |place: &Place| {
            let at = (place.pack, place.slot);
            owners.knowledge() == Knowledge::Partial || seen.iter().any(|holder| owners.has(holder, at))
        };
        for (place, id) in places.iter().filter(|(place, _)| is_given(place)) {
            if given.insert(*id) {
                found.push((*place, *id));
            }
        }
        drop(owners);
        if !given.is_empty() {
            tracing::warn!("the index lacks a chunk that a pack holds; making it anew, nothing is lost");
            self.catalog.start_anew(&self.members);
        }
        found
    }

    /// Whether everything in these slots of a pack may come along with what the asker named.
    pub(crate) fn may_come_along(&self, scope: &Scope, pack: u32, slots: Range<u32>) -> bool {
        let Some(seen) = scope.seen_holders() else { return true };
        let owners = self.owners();
        slots.into_iter().all(|slot| {
            u16::try_from(slot).is_ok_and(|slot| seen.iter().any(|holder| owners.has(holder, (pack, slot))))
        })
    }

    /// The table of what each device brought.
    pub(crate) fn owners(&self) -> OwnersGuard<'_> {
        self.owners.lock()
    }

    /// Writes down what each device brought since.
    pub(crate) fn write_owners(&self) {
        self.owners().write(|pack| self.catalog.packs.name(pack));
    }

    /// The same at a clean stop, where the file also says whether nothing is lacking.
    pub(crate) fn stop_owners(&self) {
        let head = self.ledger().head;
        self.owners().stop(head, |pack| self.catalog.packs.name(pack));
    }

    /// Chunks came: what a walk found nowhere may be among them, and what lies below it was never walked.
    pub(crate) fn look_for_closed_gaps(&self, chunks: &[ChunkId]) {
        let mut owners = self.owners();
        if owners.closes_gap(chunks) {
            owners.lose();
        }
    }

    /// Packs or disks are readable again: the same, where nobody says which chunks came with them.
    pub(crate) fn gaps_may_be_closed(&self) {
        let mut owners = self.owners();
        if owners.has_gaps() {
            owners.lose();
        }
    }

    /// A walk that began at `losses` came to its end. What it found is written down. Returns whether nothing was lost meanwhile.
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
