//! Many chunks on their way to a reader: the order of reads, and the blocks sent.
//!
//! The reader names every chunk anyway and drops unasked chunks. So only the stored bytes are checked here: a small box
//! saves hashing all plain bytes, and unpacking and packing where most of a block is wanted. A block may hold chunks of
//! several devices: the whole block goes to a reader who may see every chunk in it.
//! Not here: single chunks, and damage (`registry`).

use crate::disks::members::Members;
use crate::packs::place::{Fetch, Place};
use crate::packs::registry::Packs;
use crate::{Result, StoreError};
use larder_format::block::{self, Decoder};
use larder_format::wire::Neighbours;
use larder_format::{ChunkId, Hash};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Range;

/// A block after reading and checking, and the ranges of the wanted chunks in its plain bytes.
struct Stored {
    bytes: Vec<u8>,
    header: block::Header,
    wanted: Vec<Range<usize>>,
    slots: Range<u32>,
}

impl Stored {
    /// Whether enough of the block is wanted to send the block as stored. Cutting costs the box unpacking and packing,
    /// and unwanted chunks cost the network.
    fn is_worth_sending(&self, neighbours: Neighbours) -> bool {
        let wanted = self.wanted.iter().map(Range::len).sum::<usize>();
        let of_all =
            |numerator, denominator| wanted * denominator >= self.header.plain_len as usize * numerator;
        match neighbours {
            Neighbours::Unwanted => of_all(3, 4),
            Neighbours::Welcome => of_all(1, 16),
        }
    }
}

impl Packs {
    /// The order in which to read chunks: by position, each block once.
    pub(crate) fn plan(places: Vec<(Place, ChunkId)>) -> Vec<Fetch> {
        let mut blocks: BTreeMap<(u32, u32), Fetch> = BTreeMap::new();
        for (place, id) in places {
            blocks.entry((place.pack, place.block)).or_insert(Fetch(Vec::new())).0.push((place, id));
        }
        blocks.into_values().collect()
    }

    /// A block with the wanted chunks: the stored block, or a new block where most of the stored block is not wanted.
    /// `may_come_along` says so of all chunks in some slots of a pack.
    pub(crate) fn fetch(
        &self,
        members: &Members,
        step: &Fetch,
        neighbours: Neighbours,
        may_come_along: &dyn Fn(u32, Range<u32>) -> bool,
    ) -> Result<Vec<u8>> {
        let pack = step.places().next().map_or(0, |place| place.pack);
        let sent = match self.stored(members, step) {
            Some(block)
                if block.is_worth_sending(neighbours) && may_come_along(pack, block.slots.clone()) =>
            {
                Some(block.bytes)
            }
            Some(block) => self.cut_out(&block),
            None => None,
        };
        sent.map_or_else(|| self.fetch_proven(members, step), Ok)
    }

    /// The same with each chunk hashed before sending. Where one disk lacks a chunk, another disk is asked.
    pub(crate) fn fetch_proven(&self, members: &Members, step: &Fetch) -> Result<Vec<u8>> {
        let Fetch(wanted) = step;
        let (place, first) = wanted.first().expect("a plan names a block for the sake of a chunk");
        let open = self.whole_block(members, *place, first)?;
        let mut plain = Vec::new();
        let mut lengths = Vec::new();
        for (place, id) in wanted {
            // A damaged table may have gathered chunks that lie in different blocks.
            let alone;
            let chunk = match open.chunk(id) {
                Some(chunk) => chunk,
                None => {
                    alone = self.read(members, *place, id)?;
                    &alone
                }
            };
            plain.extend_from_slice(chunk);
            lengths.push(length(chunk));
        }
        if plain.len() > block::BLOCK_PLAIN_BYTES_MAX {
            return Err(StoreError::Damaged {
                chunk: *first,
                cause: "its pack's table is wrong about it".to_owned(),
            });
        }
        Ok(self.pack(&plain, lengths))
    }

    /// A block as stored on the disk; `None` where no disk has the block whole.
    pub(crate) fn as_stored(&self, members: &Members, step: &Fetch) -> Option<Vec<u8>> {
        self.stored(members, step).map(|block| block.bytes)
    }

    /// A block of these chunks, as a single block held before.
    pub(crate) fn as_block<C: Borrow<[u8]>>(&self, chunks: &[C]) -> Vec<u8> {
        self.pack(&chunks.concat(), chunks.iter().map(|chunk| length(chunk.borrow())).collect())
    }

    fn stored(&self, members: &Members, Fetch(wanted): &Fetch) -> Option<Stored> {
        let (place, _) = wanted.first()?;
        (0..members.all().len()).find_map(|position| {
            let view = self.view(members, place.pack, position).ok()?;
            let (block, slots) = view.block_with_slots(place.slot)?;
            let bytes = view.read(block).ok()?;
            let header = block::Header::decode(&bytes).ok()?;
            let stored = bytes.get(header.len()..)?;
            let is_whole = header.lengths.len() == slots.len()
                && Hash::of(stored) == header.stored_hash
                // A whole pack may stand in the place of another pack; the next disk may have the right pack.
                && view.has(slots.clone(), wanted);
            if !is_whole {
                self.trouble.suspect();
                return None;
            }
            let ranges: Vec<_> = header.ranges().collect();
            let range = |(place, _): &(Place, ChunkId)| {
                let nth = usize::try_from(u32::from(place.slot).checked_sub(slots.start)?).ok()?;
                ranges.get(nth).cloned()
            };
            let wanted = wanted.iter().map(range).collect::<Option<Vec<_>>>()?;
            Some(Stored { bytes, header, wanted, slots })
        })
    }

    fn cut_out(&self, block: &Stored) -> Option<Vec<u8>> {
        let stored = &block.bytes[block.header.len()..];
        self.decoders.with(Decoder::new, |decoder| {
            let all = decoder.unpack(&block.header, stored).ok()?;
            let chunks: Vec<&[u8]> = block.wanted.iter().map(|range| &all[range.clone()]).collect();
            Some(self.as_block(&chunks))
        })
    }

    fn pack(&self, plain: &[u8], lengths: Vec<u32>) -> Vec<u8> {
        self.encoders.with(block::Encoder::passing, |encoder| encoder.encode(plain, lengths))
    }
}

fn length(chunk: &[u8]) -> u32 {
    u32::try_from(chunk.len()).expect("a chunk is at most 4 MiB")
}
