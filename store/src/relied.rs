//! What pushes under way rely on: chunks that they were told are held, and packs that came since they began.
//!
//! No snapshot names these yet, and the sweep would free them just before the commit that does. They are remembered in
//! two generations that take turns, so that what was relied on stays for a day at least and is forgotten after two. A
//! push that takes longer is asked at its commit for what is gone meanwhile. Nothing of it outlives a restart, so a
//! sweep waits a while after one. Not here: what snapshots name (`walk`).

use crate::marks::{At, Marks};
use std::collections::HashSet;

/// How long what was relied on is kept at least, in seconds switched on.
pub(crate) const RELIED_S: u64 = 24 * 3600;
/// After a start a device may still go on with a push that an earlier run answered.
pub(crate) const SETTLED_AFTER_S: u64 = 3600;

#[derive(Default)]
struct Generation {
    chunks: Marks,
    packs: HashSet<u32>,
}

#[derive(Default)]
pub(crate) struct Relied {
    young: Generation,
    old: Generation,
    /// Seconds switched on when the sweep asked first, and when the generations took turns.
    first_s: Option<u64>,
    turned_s: u64,
}

impl Relied {
    /// Somebody was told that these are held.
    pub(crate) fn note(&mut self, chunks: &[At]) {
        chunks.iter().for_each(|at| self.young.chunks.set(*at));
    }

    /// A pack came, and somebody is about to name what is in it.
    pub(crate) fn note_pack(&mut self, pack: u32) {
        self.young.packs.insert(pack);
    }

    /// Lets time pass. Returns whether enough of it has since the start.
    pub(crate) fn turn(&mut self, powered_on_s: u64) -> bool {
        let first_s = *self.first_s.get_or_insert_with(|| {
            self.turned_s = powered_on_s;
            powered_on_s
        });
        if powered_on_s >= self.turned_s.saturating_add(RELIED_S) {
            self.old = std::mem::take(&mut self.young);
            self.turned_s = powered_on_s;
        }
        powered_on_s >= first_s.saturating_add(SETTLED_AFTER_S)
    }

    /// Whether everything in the pack is relied on.
    pub(crate) fn has_pack(&self, pack: u32) -> bool {
        self.young.packs.contains(&pack) || self.old.packs.contains(&pack)
    }

    pub(crate) fn has_any(&self, pack: u32) -> bool {
        self.has_pack(pack) || self.young.chunks.has_any(pack) || self.old.chunks.has_any(pack)
    }

    pub(crate) fn has(&self, at: At) -> bool {
        self.has_pack(at.0) || self.young.chunks.has(at) || self.old.chunks.has(at)
    }

    /// Slots of one pack that are relied on one by one.
    pub(crate) fn of(&self, pack: u32) -> impl Iterator<Item = u16> + '_ {
        self.young.chunks.of(pack).chain(self.old.chunks.of(pack))
    }
}
