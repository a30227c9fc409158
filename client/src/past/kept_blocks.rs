//! Blocks that were fetched for a few chunks and hold more chunks that will be wanted soon.
//!
//! Blocks stay compressed, since folders shrink to a quarter. The last read blocks also stay open, since neighbouring
//! folders are read one after another. Not here: what the chunks are (`tree_reader`).

use larder_format::{
    ChunkId,
    block::{Decoder, Header, OpenBlock},
};
use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
};

/// Open blocks, each 1 MiB at most where a client of ours packed the block.
const OPEN_MAX: usize = 3;
/// Bytes of a name in the table. Without this cost a few blocks of very many tiny chunks would take any amount of
/// memory.
const PLACE_BYTES: usize = 96;

/// Blocks, and the place of each chunk in the blocks.
pub(crate) struct KeptBlocks {
    blocks: HashMap<u64, KeptBlock>,
    places: HashMap<ChunkId, (u64, Range<usize>)>,
    bytes: usize,
    /// Counts added blocks and reads.
    clock: u64,
    /// The last read block stands last.
    open: VecDeque<(u64, Vec<u8>)>,
    decoder: Decoder,
}

struct KeptBlock {
    bytes: Vec<u8>,
    /// Share of the room.
    cost: usize,
    read_at: u64,
}

impl KeptBlocks {
    /// Room for blocks as fetched, and for the table of chunks.
    pub(crate) const BYTES_MAX: usize = 8 * 1024 * 1024;

    pub(crate) fn new() -> Self {
        Self {
            blocks: HashMap::new(),
            places: HashMap::new(),
            bytes: 0,
            clock: 0,
            open: VecDeque::new(),
            decoder: Decoder::new(),
        }
    }

    pub(crate) fn holds(&self, id: &ChunkId) -> bool {
        self.places.contains_key(id)
    }

    /// Keeps a block, given as fetched and opened.
    pub(crate) fn add(&mut self, bytes: &[u8], block: &OpenBlock<'_>) {
        self.clock += 1;
        let number = self.clock;
        let cost = bytes.len() + block.chunks.len() * PLACE_BYTES;
        self.bytes += cost;
        if self.bytes > Self::BYTES_MAX {
            self.forget_half();
        }
        self.places.extend(block.chunks.iter().map(|(id, place)| (*id, (number, place.clone()))));
        self.blocks.insert(number, KeptBlock { bytes: bytes.to_vec(), cost, read_at: number });
    }

    /// The bytes of a chunk; nothing where the chunk is not kept.
    pub(crate) fn chunk(&mut self, id: &ChunkId) -> Option<&[u8]> {
        let (number, place) = self.places.get(id)?.clone();
        self.clock += 1;
        let kept = self.blocks.get_mut(&number)?;
        kept.read_at = self.clock;
        let opened = match self.open.iter().position(|(open, _)| *open == number) {
            Some(at) => self.open.remove(at)?,
            None => {
                let header = Header::decode(&kept.bytes).ok()?;
                let plain = self.decoder.unpack(&header, kept.bytes.get(header.len()..)?).ok()?;
                (number, plain.into_owned())
            }
        };
        if self.open.len() == OPEN_MAX {
            self.open.pop_front();
        }
        self.open.push_back(opened);
        self.open.back()?.1.get(place)
    }

    /// Forgets the blocks that were not read for the longest time. Half at once: a search for the oldest block looks
    /// at each block.
    fn forget_half(&mut self) {
        let mut by_age: Vec<(u64, u64)> =
            self.blocks.iter().map(|(number, kept)| (kept.read_at, *number)).collect();
        by_age.sort_unstable();
        for (_, number) in by_age {
            if self.bytes <= Self::BYTES_MAX / 2 {
                break;
            }
            self.bytes -= self.blocks.remove(&number).map_or(0, |kept| kept.cost);
        }
        self.places.retain(|_, (number, _)| self.blocks.contains_key(number));
        self.open.retain(|(number, _)| self.blocks.contains_key(number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::{Hash, block::Encoder};

    fn fill(kept: &mut KeptBlocks, parts: &[Vec<u8>]) {
        let lengths = parts.iter().map(|part| u32::try_from(part.len()).expect("short")).collect();
        let bytes = Encoder::new().encode(&parts.concat(), lengths);
        let block = OpenBlock::read_for_names(&mut Decoder::new(), &bytes).expect("a block");
        kept.add(&bytes, &block);
    }

    /// Bytes that do not shrink, so that the share of the room is known.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn chunks_come_back_whole_from_blocks_that_are_closed_again() {
        let mut kept = KeptBlocks::new();
        let parts =
            |block: u64| -> Vec<Vec<u8>> { (0..3).map(|part| noise(block * 3 + part, 500)).collect() };
        (0..9).for_each(|block| fill(&mut kept, &parts(block)));
        for part in 0..3 {
            for block in 0..9 {
                let chunk = &parts(block)[part];
                assert_eq!(kept.chunk(&Hash::of(chunk)), Some(&chunk[..]));
            }
        }
        assert_eq!(kept.open.len(), OPEN_MAX);
        assert_eq!(kept.chunk(&Hash::of(b"another")), None);
    }

    #[test]
    fn what_was_read_lately_stays_and_the_room_is_bounded() {
        let mut kept = KeptBlocks::new();
        let len = KeptBlocks::BYTES_MAX / 8;
        let first = Hash::of(&noise(0, len));
        for seed in 0..40 {
            fill(&mut kept, &[noise(seed, len)]);
            assert!(kept.bytes <= KeptBlocks::BYTES_MAX && kept.chunk(&first).is_some(), "after {seed}");
            assert_eq!(kept.bytes, kept.blocks.values().map(|block| block.cost).sum::<usize>());
        }
        assert_eq!(kept.blocks.len(), kept.places.len());
        assert!(!kept.holds(&Hash::of(&noise(1, len))), "it was never read");
    }
}
