//! Where chunks lie: pack, block and slot.

use larder_format::ChunkId;

/// The place of a chunk: confirmed by one disk's copy of the pack. Another disk may have to be asked for the bytes,
/// and looks the block up in its own copy of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) pack: u32,
    pub(crate) slot: u16,
    pub(crate) block: u32,
}

impl Place {
    /// The place's block.
    pub(crate) fn block_at(self) -> BlockAt {
        (self.pack, self.block)
    }

    /// The block as one number, rising in the order of reads.
    pub(crate) fn block_number(self) -> u64 {
        u64::from(self.pack) << 32 | u64::from(self.block)
    }
}

/// The answer to a hint.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// A disk lists the chunk there.
    Here(Place),
    /// No disk lists the chunk, and a disk could not be asked; the pack's number.
    Unanswered(u32),
}

/// Bytes of the blocks to be sent for a list of chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch(pub(crate) Vec<(Place, ChunkId)>);

/// Pack number and offset of a block.
pub(crate) type BlockAt = (u32, u32);

impl Fetch {
    /// Chunks of one block of a pack.
    pub(crate) fn of_block((pack, block): BlockAt, chunks: &[(u16, ChunkId)]) -> Self {
        Self(chunks.iter().map(|(slot, id)| (Place { pack, slot: *slot, block }, *id)).collect())
    }

    /// Where each chunk lies.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.0.iter().map(|(place, _)| *place)
    }

    /// The chunks fetched.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ChunkId> + '_ {
        self.0.iter().map(|(_, id)| *id)
    }
}
