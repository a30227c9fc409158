//! The place of a chunk, and whether the chunk can be given back from there: hints of the index, confirmed by the packs'
//! own tables.
//!
//! Not here: which packs the index knows (`catalog`), the bytes (`registry`).

use crate::disks::members::Members;
use crate::packs::catalog::{Catalog, PACKS_AT_ONCE};
use crate::packs::index::Hint;
use crate::packs::marks::At;
use crate::packs::place::{Answer, Place};
use larder_format::ChunkId;

/// The answer of the index and the packs' tables about a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The chunk lies there, as far as is known.
    Held(Place),
    /// The chunk is listed there, and its block could not be read.
    Damaged(Place),
    /// The chunk may lie in this pack, and the pack could not be asked.
    Unanswered(u32),
    /// No pack named by the index lists the chunk.
    Absent,
}

impl Catalog {
    /// Every hint of the index for the chunk, and every confirmed place.
    pub(crate) fn every_place(&self, members: &Members, id: &ChunkId) -> (Vec<Hint>, Vec<Place>) {
        let mut hints: Vec<_> = self.index().hints(id).collect();
        hints.sort_unstable();
        let asked: Vec<_> = hints.iter().map(|hint| (*hint, 0)).collect();
        let mut places = Vec::new();
        self.packs.confirm(members, &asked, std::slice::from_ref(id), |_, answer| {
            if let Answer::Here(place) = answer {
                places.push(place);
            }
        });
        (hints, places)
    }

    /// Every confirmed place of each chunk, with the position of the chunk in `ids`.
    pub(crate) fn every_place_of_each(&self, members: &Members, ids: &[ChunkId]) -> Vec<(usize, Place)> {
        let mut places = Vec::with_capacity(ids.len());
        self.packs.confirm(members, &self.hints_of_each(ids), ids, |asked, answer| {
            if let Answer::Here(place) = answer {
                places.push((asked, place));
            }
        });
        places
    }

    /// The same with every hint at a pack whose table no disk shows at this moment: the chunk is likely to lie there.
    pub(crate) fn every_likely_place_of_each(&self, members: &Members, ids: &[ChunkId]) -> Vec<(usize, At)> {
        let hints = self.hints_of_each(ids);
        let mut places = Vec::with_capacity(ids.len());
        self.packs.confirm(members, &hints, ids, |asked, answer| {
            if let Answer::Here(place) = answer {
                places.push((asked, (place.pack, place.slot)));
            }
        });
        let trouble = &self.packs.trouble;
        let is_hidden = |pack| {
            let name = self.packs.name(pack);
            trouble.is_gone_without(pack) || name.is_some_and(|name| trouble.is_unreadable(&name))
        };
        for of_pack in hints.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
            if is_hidden(of_pack[0].0.0) {
                places.extend(of_pack.iter().map(|(hint, asked)| (*asked, *hint)));
            }
        }
        places
    }

    /// Hints for each chunk, in the order of packs.
    pub(crate) fn hints_of_each(&self, ids: &[ChunkId]) -> Vec<(Hint, usize)> {
        let mut hints: Vec<(Hint, usize)> = Vec::new();
        let index = self.index();
        for (asked, id) in ids.iter().enumerate() {
            hints.extend(index.hints(id).map(|hint| (hint, asked)));
        }
        drop(index);
        hints.sort_unstable();
        hints
    }

    /// The place of a chunk by the index, confirmed by the pack itself: a place without known damage, if there is
    /// one.
    pub(crate) fn locate(&self, members: &Members, id: &ChunkId) -> Option<Place> {
        self.locate_each(members, std::slice::from_ref(id)).pop().flatten()
    }

    /// The same for many, in their order. Chunks pushed together are confirmed together.
    pub(crate) fn locate_each(&self, members: &Members, ids: &[ChunkId]) -> Vec<Option<Place>> {
        let place = |presence| match presence {
            Presence::Held(place) | Presence::Damaged(place) => Some(place),
            Presence::Unanswered(_) | Presence::Absent => None,
        };
        self.presence_of_each(members, ids).into_iter().map(place).collect()
    }

    /// The same for callers that must tell a missing chunk from an unanswered question.
    pub(crate) fn presence_of_each(&self, members: &Members, ids: &[ChunkId]) -> Vec<Presence> {
        let hints = self.hints_of_each(ids);
        let mut known = vec![Presence::Absent; ids.len()];
        self.packs.confirm(members, &hints, ids, |asked, answer| {
            let known = &mut known[asked];
            *known = match (*known, answer) {
                (Presence::Held(_), _) | (Presence::Damaged(_), Answer::Unanswered(_)) => return,
                (_, Answer::Unanswered(pack)) => Presence::Unanswered(pack),
                (_, Answer::Here(place)) if self.packs.is_damaged(place) => Presence::Damaged(place),
                (_, Answer::Here(place)) => Presence::Held(place),
            };
        });
        known
    }

    /// Packs that the index names for this chunk; most hints are right, and none need be.
    pub(crate) fn packs_hinted_at(&self, id: &ChunkId) -> Vec<u32> {
        self.index().hints(id).map(|(pack, _)| pack).collect()
    }

    /// The place of a durable chunk that can be given back, as far as is known; `None` for any other.
    pub(crate) fn held(&self, members: &Members, id: &ChunkId) -> Option<Place> {
        self.locate(members, id).filter(|place| !self.packs.is_damaged(*place))
    }

    /// Like `locate` for many, but a chunk unknown to the index is searched in every pack. A chunk in no pack is left
    /// out.
    pub(crate) fn find(&self, members: &Members, ids: &[ChunkId]) -> Vec<(Place, ChunkId)> {
        let mut places = Vec::with_capacity(ids.len());
        let mut unknown: Vec<ChunkId> = ids.to_vec();
        loop {
            let found = self.locate_each(members, &unknown);
            let mut rest = Vec::new();
            for (place, id) in found.into_iter().zip(unknown) {
                match place {
                    Some(place) => places.push((place, id)),
                    None => rest.push(id),
                }
            }
            unknown = rest;
            if unknown.is_empty() || self.pending().count() == 0 {
                break;
            }
            self.enter_pending(members, PACKS_AT_ONCE);
        }
        if !unknown.is_empty() {
            let found = self.packs.search(members, &unknown.into_iter().collect());
            if !found.is_empty() {
                tracing::warn!("the index lacks a chunk that a pack holds; making it anew, nothing is lost");
                self.start_anew(members);
            }
            places.extend(found);
        }
        places
    }
}
