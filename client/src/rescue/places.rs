//! The place of each chunk, in 12 bytes a chunk.
//!
//! Only the first 4 bytes of a name are kept: the bytes at a place are hashed before use, so two chunks with equal
//! beginnings cost a second look and nothing else. Ten million chunks take 120 MB, which any computer with a disk
//! port has; whole names would take 400 MB.

use larder_format::ChunkId;

/// Places at which a chunk is looked for: by chance there are two, and a table with more was made to keep a reader
/// busy.
const PLACES_MAX: usize = 64;

/// A place: the number of the pack, and the beginning of the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ChunkPlace {
    start: u32,
    pub(crate) pack: u32,
    pub(crate) offset: u32,
}

impl ChunkPlace {
    /// A block, whatever its content.
    pub(crate) fn block(self) -> Self {
        Self { start: 0, ..self }
    }

    /// The block at `offset`.
    pub(crate) fn new(pack: u32, offset: u32) -> Self {
        Self { start: 0, pack, offset }
    }
}

/// The places, sorted after the last pack.
#[derive(Debug, Default)]
pub(crate) struct Places(Vec<ChunkPlace>);

impl Places {
    pub(crate) fn add(&mut self, id: &ChunkId, pack: u32, offset: u32) {
        self.0.push(ChunkPlace { start: start(id), pack, offset });
    }

    /// To be called before the first `of`.
    pub(crate) fn sort(&mut self) {
        self.0.sort_unstable();
        self.0.dedup();
        self.0.shrink_to_fit();
    }

    /// Blocks that may hold the chunk.
    pub(crate) fn of(&self, id: &ChunkId) -> &[ChunkPlace] {
        let start = start(id);
        let from = self.0.partition_point(|place| place.start < start);
        let len = self.0[from..].iter().take(PLACES_MAX).take_while(|place| place.start == start).count();
        &self.0[from..from + len]
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn start(id: &ChunkId) -> u32 {
    let [a, b, c, d, ..] = id.0;
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::Hash;

    #[test]
    fn every_place_of_a_chunk_is_found() {
        let ids: Vec<Hash> = (0..3000u32).map(|n| Hash::of(&n.to_le_bytes())).collect();
        let mut places = Places::default();
        for (number, id) in (0u32..).zip(&ids) {
            places.add(id, number % 7, number);
            places.add(id, 7, number);
            places.add(id, 7, number);
        }
        places.sort();
        assert_eq!((places.len(), size_of::<ChunkPlace>()), (6000, 12));
        for (number, id) in (0u32..).zip(&ids) {
            let found: Vec<_> = places.of(id).iter().map(|place| (place.pack, place.offset)).collect();
            assert!(found.contains(&(number % 7, number)) && found.contains(&(7, number)), "{number}");
        }
        assert_eq!(places.of(&Hash::of(b"another")), []);
        let mut crowd = Places::default();
        (0..1000).for_each(|offset| crowd.add(&ids[0], 0, offset));
        crowd.sort();
        assert_eq!(crowd.of(&ids[0]).len(), PLACES_MAX);
    }
}
