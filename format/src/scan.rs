//! Blocks found without a table: the remains of a pack after the loss of table or footer.
//!
//! A scan looks for the magic of blocks, reads each block with a correct header and correct bytes, and names the
//! chunks by hash. The magic may stand in a user's file too; then no header follows, and the search goes on a byte
//! later. The scan works on a window of the pack, so a pack of any size costs the memory of a window.
//! Not here: reading files, and the use of the blocks found (the client's rescue).

use crate::{
    FormatError,
    block::{BLOCK_CHUNKS_MAX, BLOCK_MAGIC, BLOCK_PLAIN_BYTES_MAX, Decoder, Header, OpenBlock},
};

/// No block is larger: a caller with larger windows always gets on.
pub const BLOCK_BYTES_MAX: usize = 56 + 3 * BLOCK_CHUNKS_MAX + 16 + BLOCK_PLAIN_BYTES_MAX;

/// The result of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Finished bytes of the window. The next window begins behind these bytes.
    pub done: usize,
    /// Blocks for a newer Larder only.
    pub too_new: u64,
}

/// Hands every whole block in `window` to `each`, with the place in the window. `is_last` says that no bytes follow;
/// otherwise a block across the window's end is left for the next window.
pub fn scan(
    decoder: &mut Decoder,
    window: &[u8],
    is_last: bool,
    each: &mut dyn FnMut(usize, &OpenBlock<'_>),
) -> Scanned {
    let mut scanned = Scanned::default();
    while let Some(at) = next_magic(window, scanned.done) {
        let rest = &window[at..];
        scanned.done = at;
        if !is_last && rest.len() < BLOCK_BYTES_MAX {
            return scanned;
        }
        match OpenBlock::read(decoder, rest) {
            Ok((header, block)) => {
                each(at, &block);
                scanned.done += header.block_len();
            }
            Err(error) => {
                // The header's check was right, or this would be plain damage.
                scanned.too_new += u64::from(matches!(error, FormatError::TooNew { .. }));
                scanned.done += 1;
            }
        }
    }
    // Half a magic at the end of a window is whole in the next window.
    let kept = if is_last { 0 } else { BLOCK_MAGIC.len() - 1 };
    scanned.done = scanned.done.max(window.len().saturating_sub(kept));
    scanned
}

fn next_magic(window: &[u8], from: usize) -> Option<usize> {
    let rest = window.get(from..)?;
    let found = rest.windows(BLOCK_MAGIC.len()).position(|bytes| bytes == BLOCK_MAGIC)?;
    Some(from + found)
}

/// Whether a node of a tree can be in a block: larger chunks are never nodes, so a search for nodes skips the block.
pub fn may_hold_nodes(header: &Header) -> bool {
    header.lengths.iter().any(|len| *len > 0 && *len as usize <= crate::tree::NODE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hash, block::Encoder};
    use proptest::prelude::*;

    fn block(parts: &[&[u8]]) -> Vec<u8> {
        let lengths = parts.iter().map(|part| u32::try_from(part.len()).unwrap()).collect();
        Encoder::new().encode(&parts.concat(), lengths)
    }

    /// Places and names of the chunks found, with windows of `window` bytes.
    fn found_in(pack: &[u8], window: usize) -> (Vec<(usize, Hash)>, u64) {
        let (mut found, mut too_new, mut decoder, mut from) = (Vec::new(), 0, Decoder::new(), 0);
        loop {
            let to = (from + window).min(pack.len());
            let scanned = scan(&mut decoder, &pack[from..to], to == pack.len(), &mut |at, block| {
                found.extend(block.chunks.iter().map(|(id, _)| (from + at, *id)));
            });
            too_new += scanned.too_new;
            if to == pack.len() {
                return (found, too_new);
            }
            assert!(scanned.done > 0, "a window of more than a block gets on");
            from += scanned.done;
        }
    }

    #[test]
    fn what_is_whole_is_found_around_damage() {
        let (a, b, c) = (block(&[b"one", b"two"]), block(&[b"three"]), block(&[b"four"]));
        let mut pack = [&b"torn LRDRBLK1 in somebody's file"[..], &a, &b, b"LRDRBLK", &c].concat();
        let start = 32;
        let names = |texts: &[&[u8]], at: usize| -> Vec<_> {
            texts.iter().map(|text| (at, Hash::of(text))).collect()
        };
        let whole = [
            names(&[b"one", b"two"], start),
            names(&[b"three"], start + a.len()),
            names(&[b"four"], start + a.len() + b.len() + 7),
        ]
        .concat();
        assert_eq!(found_in(&pack, pack.len()), (whole.clone(), 0));
        pack[start + a.len() + 77] ^= 1;
        assert_eq!(found_in(&pack, pack.len()).0, [&whole[..2], &whole[3..]].concat());
    }

    #[test]
    fn windows_change_nothing() {
        let noise: Vec<Vec<u8>> = (0..40u8).map(|n| [vec![n; 7], vec![n ^ 1; 30_000]].concat()).collect();
        let pack: Vec<u8> = noise.iter().flat_map(|text| [block(&[text]), vec![0; 3]].concat()).collect();
        let pack = [vec![1; 2 * BLOCK_BYTES_MAX], pack, vec![2; BLOCK_BYTES_MAX + 5]].concat();
        let at_once = found_in(&pack, pack.len());
        assert_eq!(at_once.0.len(), 40);
        for window in [BLOCK_BYTES_MAX, BLOCK_BYTES_MAX + 1, 2 * BLOCK_BYTES_MAX - 3] {
            assert_eq!(found_in(&pack, window), at_once, "{window}");
        }
    }

    #[test]
    fn a_block_of_a_newer_layout_is_told_and_not_guessed() {
        let mut newer = block(&[b"from the future"]);
        newer[8] = 2;
        let check = 56 + 3;
        let hash = Hash::of(&newer[..check]);
        newer[check..check + 16].copy_from_slice(&hash.0[..16]);
        assert_eq!(found_in(&newer, newer.len()), (vec![], 1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_scanned_without_panic(parts: Vec<Vec<u8>>) {
            let bytes = parts.join(&BLOCK_MAGIC[..]);
            found_in(&bytes, bytes.len());
        }
    }
}
