//! What a block of names does not have, told without unpacking: a bit for each three bytes in a row, and two for each folder.
//!
//! Most blocks have nothing of what is searched for, and unpacking takes nearly all of a search's time. A filter may take a
//! text for one that is there, never the other way round.

use crate::Hash;

/// Bytes of a filter.
pub const FILTER_BYTES: usize = 4096;
/// Bits of a position.
const POSITION_BITS: u32 = 15;
/// Smaller blocks have no filter: the filter would be larger than the frame, and unpacking is quick.
const PLAIN_BYTES_MIN: usize = 32 * 1024;
/// Spreads three bytes over all positions: 2^32 divided by the golden ratio.
const SPREAD: u32 = 0x9e37_79b1;

/// The filter of a block, empty for a small block.
pub(super) fn filter_of<'a>(lower: &[u8], folders: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    if lower.len() < PLAIN_BYTES_MIN {
        return Vec::new();
    }
    let mut filter = vec![0; FILTER_BYTES];
    let mut set = |position: usize| filter[position / 8] |= 1 << (position % 8);
    lower.windows(3).for_each(|three| set(position_of(three)));
    folders.flat_map(positions_of_folder).for_each(set);
    filter
}

fn position_of(three: &[u8]) -> usize {
    let number = three.iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
    (number.wrapping_mul(SPREAD) >> (u32::BITS - POSITION_BITS)) as usize
}

fn positions_of_folder(folder: &[u8]) -> [usize; 2] {
    let [a, b, c, d, ..] = Hash::of(folder).0;
    [[a, b], [c, d]].map(|two| usize::from(u16::from_le_bytes(two)) % (8 * FILTER_BYTES))
}

/// A filter as read.
#[derive(Debug, Clone, Copy)]
pub struct NamesFilter<'a>(pub(super) &'a [u8]);

impl NamesFilter<'_> {
    /// False only where no folder and no name of the block has this folded text in it.
    pub fn may_have_text(&self, text: &[u8]) -> bool {
        text.windows(3).all(|three| self.has(position_of(three)))
    }

    /// False only where the block has no names of this folder; the path is not folded.
    pub fn may_have_folder(&self, folder: &[u8]) -> bool {
        positions_of_folder(folder).into_iter().all(|position| self.has(position))
    }

    fn has(&self, position: usize) -> bool {
        self.0.get(position / 8).is_none_or(|byte| byte & 1 << (position % 8) != 0)
    }
}
