//! Search for the whole blocks of a damaged pack, without its table: from magic to magic.
//!
//! A block's header has its own check, and chunks are named by their own bytes, so a block found this way is as good as
//! in an undamaged pack. Not here: the use of the blocks (`give_up`).

use crate::Result;
use crate::disk::{DiskFile, retry_read};
use crate::packs::growing;
use larder_format::ChunkId;
use larder_format::block::{BLOCK_CHUNKS_MAX, BLOCK_MAGIC, Decoder, HEADER_FIXED_BYTES, Header};
use larder_format::pack::PACK_HEADER_BYTES;

const WINDOW_BYTES: usize = 1 << 20;

/// Passes on every whole block, wherever in the file, with the names of its chunks.
pub(crate) fn for_each_whole(
    file: &dyn DiskFile,
    mut action: impl FnMut(&[u8], &[ChunkId]) -> Result<()>,
) -> Result<()> {
    let mut decoder = Decoder::new();
    let len = file.len().unwrap_or(0);
    let mut at = PACK_HEADER_BYTES as u64;
    while let Some(found) = next_magic(file, at, len) {
        let block = block_at(file, found, len);
        match block.as_deref().map(|block| growing::verify(&mut decoder, block)) {
            Some(Ok((verified, _))) => {
                action(verified.bytes, &verified.names)?;
                at = found + verified.bytes.len() as u64;
            }
            _ => at = found + 1,
        }
    }
    Ok(())
}

/// Position of the next block magic, from `from` on.
fn next_magic(file: &dyn DiskFile, from: u64, len: u64) -> Option<u64> {
    let mut at = from;
    while at + BLOCK_MAGIC.len() as u64 <= len {
        // Most of the time the next block begins right here.
        let wanted = if at == from { HEADER_FIXED_BYTES } else { WINDOW_BYTES };
        let mut window = vec![0; usize::try_from(len - at).unwrap_or(usize::MAX).min(wanted)];
        retry_read::read(file, at, &mut window);
        if let Some(found) = window.windows(BLOCK_MAGIC.len()).position(|bytes| bytes == BLOCK_MAGIC) {
            return Some(at + found as u64);
        }
        // A magic may lie across the end of the window.
        at += (window.len() - BLOCK_MAGIC.len() + 1) as u64;
    }
    None
}

fn block_at(file: &dyn DiskFile, at: u64, len: u64) -> Option<Vec<u8>> {
    let room = usize::try_from(len - at).unwrap_or(usize::MAX);
    let mut head = vec![0; room.min(HEADER_FIXED_BYTES + 16 + 3 * BLOCK_CHUNKS_MAX)];
    // Zeros for unreadable bytes: inside the header, its check notices.
    retry_read::read(file, at, &mut head);
    let header = Header::decode(&head).ok()?;
    let mut block = vec![0; header.block_len()];
    (block.len() <= room && retry_read::read(file, at, &mut block)).then_some(block)
}
