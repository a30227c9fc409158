//! Cache of opened blocks, most recent first: directory nodes share blocks, and are read one by one.
//!
//! Not here: the choice of block and disk (`registry`).

use crate::packs::place::BlockAt;
use larder_format::block::OpenBlock;
use std::collections::VecDeque;
use std::sync::Arc;

/// Limit of cached plain bytes.
const BLOCK_CACHE_BYTES: usize = 6 * 1024 * 1024;

#[derive(Default)]
pub(crate) struct BlockCache {
    recent: VecDeque<(BlockAt, Arc<OpenBlock<'static>>)>,
    bytes: usize,
}

impl BlockCache {
    pub(crate) fn get(&mut self, key: BlockAt) -> Option<Arc<OpenBlock<'static>>> {
        let at = self.recent.iter().position(|(known, _)| *known == key)?;
        let hit = self.recent.remove(at)?;
        self.recent.push_front(hit);
        self.recent.front().map(|(_, open)| open.clone())
    }

    /// Cached bytes of a pack are wrong once the pack has another file.
    pub(crate) fn forget(&mut self, pack: u32) {
        let bytes = &mut self.bytes;
        self.recent.retain(|((of, _), open)| {
            let stays = *of != pack;
            *bytes -= if stays { 0 } else { open.plain.len() };
            stays
        });
    }

    pub(crate) fn put(&mut self, key: BlockAt, open: Arc<OpenBlock<'static>>) {
        self.bytes += open.plain.len();
        self.recent.push_front((key, open));
        while self.bytes > BLOCK_CACHE_BYTES && self.recent.len() > 1 {
            self.bytes -= self.recent.pop_back().map_or(0, |(_, old)| old.plain.len());
        }
    }
}
