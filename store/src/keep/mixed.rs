//! Mixed packs: packs in which chunks of unfinished uploads lie beside needed chunks.
//!
//! Devices that push at the same time fill the same packs, and a commit of one small file makes a whole pack needed. Without
//! a rewrite, one needed chunk in each pack would hold a refused upload's room for ever. The needed chunks are written into
//! new packs first, read back and proven, so that the old packs can go. Not here: which devices are given up, and letting
//! go (`unfinished`).

use crate::Result;
use crate::core::Core;
use crate::keep::repack::{self, Copied, Weighed, Worth};
use crate::packs::marks::{At, Marks};
use crate::packs::pins::Holder;
use crate::packs::reader;
use larder_format::Hash;
use larder_format::pack::PACK_BYTES_AIM;
use std::collections::{BTreeMap, HashSet};

/// A pack with a larger needed share stays as is: the room for new packs is scarce, and each byte freed costs writes.
const NEEDED_PERCENT_MAX: u64 = 75;

/// Packs rewritten before the old packs are let go of.
const MERGED_AT_ONCE: usize = 16;

/// Why chunks of a pack have to stay.
pub(crate) struct Needed<'a> {
    /// Named by kept snapshots, in either mark phase.
    pub(crate) marks: [&'a Marks; 2],
    /// Devices whose pins no longer count.
    pub(crate) given_up: &'a [Holder],
    /// History is on hold, and unpinned chunks may belong to snapshots let go of before.
    pub(crate) spares_unpinned: bool,
}

impl Needed<'_> {
    /// Whether the chunk has to stay.
    pub(crate) fn has(&self, core: &Core, at: At) -> bool {
        if self.marks.iter().any(|marks| marks.has(at)) {
            return true;
        }
        let pins = core.pins();
        if !pins.has_any(at.0) {
            return self.spares_unpinned;
        }
        let owners = core.owners();
        let relying = pins.relying(at, |holder| owners.has(holder, at));
        if relying.is_empty() {
            self.spares_unpinned
        } else {
            relying.into_iter().any(|holder| self.counts(holder))
        }
    }

    /// Whether the holder's pins count.
    fn counts(&self, holder: &Holder) -> bool {
        match holder {
            Holder::EarlierRun => false,
            Holder::Appliance => true,
            Holder::Device(_) => !self.given_up.contains(holder),
        }
    }
}

/// Bytes that no snapshot names, by the device that relies on them, looked up a few packs at a time.
pub(crate) struct Unnamed {
    /// Packs whose tables are not read yet.
    unread: Vec<(u32, Hash, u64)>,
    pub(crate) bytes: BTreeMap<Holder, u64>,
}

impl Unnamed {
    pub(crate) fn of(packs: Vec<(u32, Hash, u64)>) -> Self {
        Self { unread: packs, bytes: BTreeMap::new() }
    }

    /// Reads the tables of up to `packs_max` packs. Returns whether every pack is counted.
    pub(crate) fn go_on(&mut self, core: &Core, marks: [&Marks; 2], packs_max: usize) -> bool {
        let from = self.unread.len().saturating_sub(packs_max);
        for (number, name, _) in self.unread.drain(from..) {
            if !core.pins().has_any(number) {
                continue;
            }
            let Ok(table) = reader::read_table(&core.members, &name) else { continue };
            let (pins, owners) = (core.pins(), core.owners());
            let mut relied_on: BTreeMap<&Holder, u64> = BTreeMap::new();
            for (block, stored) in table.blocks.iter().enumerate() {
                let chunks = table.chunks_of(block).len();
                let bytes = u64::from(stored.len) / (chunks as u64).max(1);
                for slot in (stored.first_slot..).take(chunks).filter_map(|slot| u16::try_from(slot).ok()) {
                    let at = (number, slot);
                    if marks.iter().any(|marks| marks.has(at)) {
                        continue;
                    }
                    for holder in pins.relying(at, |holder| owners.has(holder, at)) {
                        *relied_on.entry(holder).or_default() += bytes;
                    }
                }
            }
            // What another device had brought before takes nothing off a share.
            for (holder, brought) in pins.holders(number) {
                let bytes = relied_on.get(holder).copied().unwrap_or(0).min(brought);
                *self.bytes.entry(holder.clone()).or_default() += bytes;
            }
        }
        self.unread.is_empty()
    }
}

/// A rewrite under way.
pub(crate) struct Rewrite {
    unweighed: Vec<(u32, Hash, u64)>,
    worth: Worth,
    to_merge: Option<Vec<Weighed>>,
    copied: Copied,
    /// Packs whose needed chunks are copied.
    merged: Vec<u32>,
}

impl Rewrite {
    pub(crate) fn of(packs: Vec<(u32, Hash, u64)>) -> Self {
        Self {
            unweighed: packs,
            worth: Worth::of_sparse(NEEDED_PERCENT_MAX),
            to_merge: None,
            copied: Copied::default(),
            merged: Vec::new(),
        }
    }

    /// Weighs up to `packs_max` packs, or writes one new pack. Returns whether the rewrite has ended.
    pub(crate) fn go_on(&mut self, core: &Core, needed: &Needed<'_>, packs_max: usize) -> Result<bool> {
        let from = self.unweighed.len().saturating_sub(packs_max);
        for (number, name, len) in self.unweighed.drain(from..) {
            if !core.is_doubtful(number, &name) {
                self.worth.weigh(&core.members, (number, name, len), |slot| needed.has(core, (number, slot)));
            }
        }
        if !self.unweighed.is_empty() {
            return Ok(false);
        }
        let to_merge =
            self.to_merge.get_or_insert_with(|| std::mem::take(&mut self.worth).into_sparsest_last());
        let free = core.members.free().saturating_sub(core.reserve_bytes / 2);
        let is_room_left = to_merge.last().is_some_and(|next| next.needed < free);
        if !is_room_left || self.merged.len() >= MERGED_AT_ONCE {
            return Ok(true);
        }
        let bytes_max = PACK_BYTES_AIM.min(free);
        let is_needed = |at| needed.has(core, at);
        self.merged.extend(repack::merge_some(core, to_merge, is_needed, bytes_max, &mut self.copied)?);
        Ok(false)
    }

    /// What was copied so far.
    pub(crate) fn copied(&self) -> &Copied {
        &self.copied
    }

    /// Whether every pack worth a rewrite was rewritten.
    pub(crate) fn is_all_rewritten(&self) -> bool {
        self.to_merge.as_ref().is_some_and(Vec::is_empty)
    }

    /// The rewritten packs of which every needed chunk also lies in a new pack; none where a new pack was damaged since.
    pub(crate) fn spare(&self, core: &Core, needed: &Needed<'_>) -> Vec<(u32, Hash, u64)> {
        if !self.copied.is_whole(core) {
            return Vec::new();
        }
        let may_go = |number: u32, name: &Hash| {
            reader::read_table(&core.members, name).is_ok_and(|table| {
                let mut slots = (0..=u16::MAX).take(table.chunks.len()).map(|slot| (number, slot));
                slots.all(|at| self.copied.places.has(at) || !needed.has(core, at))
            })
        };
        let merged: HashSet<u32> = self.merged.iter().copied().collect();
        let all =
            core.catalog.packs.with_lengths().into_iter().filter(|(number, ..)| merged.contains(number));
        all.filter(|(number, name, _)| may_go(*number, name)).collect()
    }
}
