//! Repack: chooses packs worth rewriting, and writes their needed chunks into new packs.
//!
//! Every push seals a pack, however small, so many small packs become few, and a sparse pack gives its room back. No
//! pack is let go of here: the new pack lies beside the old packs, read back and proven, before any decision. Not here:
//! the needed chunks (`mark`), letting go of the old packs (`sweep`).

use crate::core::Core;
use crate::disks::members::Members;
use crate::packs::growing::{OpenPack, verify};
use crate::packs::marks::{At, Marks};
use crate::packs::place::Fetch;
use crate::packs::reader;
use crate::{Result, StoreError};
use larder_format::Hash;
use larder_format::block::{Decoder, Encoder};
use larder_format::pack::{PACK_BYTES_AIM, Table};
use std::collections::{BTreeMap, HashSet};

/// A pack with a smaller needed share is rewritten: then each byte written frees at least one byte.
const NEEDED_PERCENT_MIN: u64 = 50;

/// Packs below this size are small. With many small packs, restores seek and starts are slow.
const SMALL_BYTES: u64 = PACK_BYTES_AIM / 4;

/// Small packs of similar size worth a repack: so a byte is rewritten a few times in its life at most.
const SMALL_TOGETHER: usize = 8;

/// Cost of reading a pack's table, in chunk look-ups.
const TABLE_COSTS: u64 = 50;

/// Packs whose tables are read instead of so many look-ups.
pub(crate) fn packs_at_once(chunks_max: u64) -> usize {
    usize::try_from(chunks_max / TABLE_COSTS).unwrap_or(usize::MAX).max(1)
}

/// A pack and its needed bytes.
pub(crate) struct Weighed {
    pub(crate) number: u32,
    pub(crate) name: Hash,
    pub(crate) len: u64,
    /// Bytes of the blocks with a needed chunk, by the share of such chunks.
    pub(crate) needed: u64,
}

/// Packs checked so far, by treatment.
pub(crate) struct Worth {
    needed_percent_min: u64,
    takes_small: bool,
    sparse: Vec<Weighed>,
    small: BTreeMap<u32, Vec<Weighed>>,
}

impl Default for Worth {
    fn default() -> Self {
        Self { takes_small: true, ..Self::of_sparse(NEEDED_PERCENT_MIN) }
    }
}

impl Worth {
    /// Takes packs with a smaller needed share, and no small pack for its size.
    pub(crate) fn of_sparse(needed_percent_min: u64) -> Self {
        Self { needed_percent_min, takes_small: false, sparse: Vec::new(), small: BTreeMap::new() }
    }

    /// Checks one pack; `is_needed` answers for each slot.
    pub(crate) fn weigh(
        &mut self,
        members: &Members,
        (number, name, len): (u32, Hash, u64),
        is_needed: impl Fn(u16) -> bool,
    ) {
        // A pack with an unreadable table stays as is.
        let Ok(table) = reader::read_table(members, &name) else { return };
        let needed = (0..table.blocks.len()).map(|block| {
            let slots = needed_slots(&table, block, &is_needed).len() as u64;
            u64::from(table.blocks[block].len) * slots / (table.chunks_of(block).len() as u64).max(1)
        });
        let pack = Weighed { number, name, len, needed: needed.sum() };
        // Not the whole file: a new pack would need an equally long list of names.
        let blocks: u64 = table.blocks.iter().map(|block| u64::from(block.len)).sum();
        if pack.needed * 100 < blocks * self.needed_percent_min {
            self.sparse.push(pack);
        } else if self.takes_small && len < SMALL_BYTES {
            // Sizes within a factor of eight together: otherwise each push would have the largest pack rewritten.
            self.small.entry(len.max(1).ilog2() / 3).or_default().push(pack);
        }
    }

    /// Packs to rewrite, in the order of their numbers.
    pub(crate) fn into_packs(self) -> Vec<Weighed> {
        let many = self.small.into_values().filter(|packs| packs.len() >= SMALL_TOGETHER);
        let mut all: Vec<_> = self.sparse.into_iter().chain(many.flatten()).collect();
        all.sort_by_key(|pack| std::cmp::Reverse(pack.number));
        all
    }

    /// Sparse packs, the pack with the fewest needed bytes last.
    pub(crate) fn into_sparsest_last(self) -> Vec<Weighed> {
        let mut sparse = self.sparse;
        sparse.sort_by_key(|pack| std::cmp::Reverse(pack.needed));
        sparse
    }
}

fn needed_slots(table: &Table, block: usize, is_needed: &impl Fn(u16) -> bool) -> Vec<(u16, Hash)> {
    let first = table.blocks[block].first_slot;
    let slots = (first..).zip(table.chunks_of(block));
    slots
        .filter_map(|(slot, id)| Some((u16::try_from(slot).ok()?, *id)))
        .filter(|(slot, _)| is_needed(*slot))
        .collect()
}

/// A new pack for the needed chunks of old packs.
struct Merging<'a> {
    core: &'a Core,
    open: Option<OpenPack>,
    /// The chunks held so far, by old place.
    held: Vec<At>,
    seen: HashSet<Hash>,
    copied: &'a mut Copied,
}

/// Output of a round.
#[derive(Default)]
pub(crate) struct Copied {
    /// Old places of the chunks.
    pub(crate) places: Marks,
    /// The new packs.
    pub(crate) packs: Vec<Hash>,
}

impl Copied {
    /// Before the old packs go: whoever brought a chunk since, by its old place, has the copy too.
    pub(crate) fn pass_on_owners(&self, core: &Core, old: &[(u32, Hash, u64)]) {
        for (_, name, _) in old.iter().filter(|(number, ..)| self.places.has_any(*number)) {
            match reader::read_table(&core.members, name) {
                Ok(table) => core.note_copies_in(&table.chunks),
                // The bits at the old places go with the pack, and nobody can say which copies they belong to.
                Err(_) => core.owners_are_partial(),
            }
        }
    }

    /// Whether every new pack is there and without damage since: an old pack must not go for the sake of a damaged copy.
    pub(crate) fn is_whole(&self, core: &Core) -> bool {
        let known = &core.catalog.packs;
        self.packs.iter().all(|name| known.number(name).is_some_and(|pack| !known.trouble.is_in(pack)))
    }
}

/// Rewrites the last packs of `rest`, one at least, and as many as have `bytes_max` needed bytes together. Chunks marked in
/// `copied` afterwards also lie in a new pack, durable and proven on every healthy disk.
pub(crate) fn merge_some(
    core: &Core,
    rest: &mut Vec<Weighed>,
    is_needed: impl Fn(At) -> bool,
    bytes_max: u64,
    copied: &mut Copied,
) -> Result<Vec<u32>> {
    let (mut merged, mut bytes) = (Vec::new(), 0);
    let mut merging = Merging { core, open: None, held: Vec::new(), seen: HashSet::new(), copied };
    while let Some(pack) = rest.pop_if(|pack| bytes == 0 || bytes + pack.needed <= bytes_max) {
        bytes += pack.needed;
        match merging.take(&pack, &is_needed) {
            Ok(()) => merged.push(pack.number),
            // The pack stays as is; a later push may heal the damage.
            Err(StoreError::Damaged { .. }) => {}
            Err(error) => {
                merging.abandon();
                return Err(error);
            }
        }
    }
    merging.seal()?;
    Ok(merged)
}

impl Merging<'_> {
    fn take(&mut self, pack: &Weighed, is_needed: &impl Fn(At) -> bool) -> Result<()> {
        // Damaged since the check, or taken apart by a repair: no repack then.
        let damaged =
            |_| StoreError::Damaged { chunk: pack.name, cause: "its table cannot be read".to_owned() };
        let table = reader::read_table(&self.core.members, &pack.name).map_err(damaged)?;
        for block in 0..table.blocks.len() {
            let mut needed = needed_slots(&table, block, &|slot| is_needed((pack.number, slot)));
            let slots: Vec<_> = needed.iter().map(|(slot, _)| (pack.number, *slot)).collect();
            // Two old packs may hold the same chunk.
            needed.retain(|(_, id)| !self.seen.contains(id));
            if !needed.is_empty() {
                let is_whole = needed.len() == table.chunks_of(block).len();
                self.copy_block((pack.number, table.blocks[block].offset), &needed, is_whole)?;
            }
            self.held.extend(slots);
        }
        Ok(())
    }

    /// Copies a fully needed block as is, else writes a new block of the needed chunks.
    fn copy_block(&mut self, at: (u32, u32), needed: &[(u16, Hash)], is_whole: bool) -> Result<()> {
        let (members, packs) = (&self.core.members, &self.core.catalog.packs);
        let step = Fetch::of_block(at, needed);
        let stored = if is_whole { packs.as_stored(members, &step) } else { None };
        let bytes = match stored {
            Some(bytes) => bytes,
            None => {
                let read = step.ids().zip(step.places()).map(|(id, place)| packs.read(members, place, &id));
                let chunks = read.collect::<Result<Vec<_>>>()?;
                let len = |chunk: &Vec<u8>| u32::try_from(chunk.len()).expect("a chunk is at most 4 MiB");
                Encoder::new().encode(&chunks.concat(), chunks.iter().map(len).collect())
            }
        };
        // Chunks are hashed once more: a table may list wrong names.
        let (block, _) = verify(&mut Decoder::new(), &bytes)?;
        if let Some((_, lost)) = needed.iter().find(|(_, id)| !block.names.contains(id)) {
            let cause = "its pack's table is wrong about it".to_owned();
            return Err(StoreError::Damaged { chunk: *lost, cause });
        }
        if self.open.as_ref().is_some_and(|pack| pack.is_full(block.names.len())) {
            self.seal()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(OpenPack::create(members, packs.salt())?),
        };
        open.append(members, block.bytes, &block.names)?;
        self.seen.extend(block.names);
        Ok(())
    }

    fn seal(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            let sealed = open.seal_proven(&self.core.members)?;
            self.core.enter_made_apart(&sealed);
            self.copied.packs.push(sealed.name);
        }
        for at in self.held.drain(..) {
            self.copied.places.set(at);
        }
        Ok(())
    }

    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            open.abandon(&self.core.members);
        }
    }
}
