//! Chunks of an appliance or a pulled disk, each checked against its name.
//!
//! Bytes count only once their BLAKE3 is the requested name. So a damaged disk, a wrong answer and a bad cable look
//! the same: the chunk is not there. A bad chunk must not cost the neighbours, so a request that fails as a whole is
//! halved until the bad chunks stand alone. Not here: trees (`tree_reader`).

use crate::{ClientError, Past, TransferProgress};
use larder_format::{
    ChunkId, ChunkRef,
    block::{Decoder, OpenBlock},
    wire::{IDS_MAX, Neighbours},
};
use std::collections::HashSet;

/// Requests in a row without any chunk after which the connection counts as gone.
const BROKEN_MAX: u32 = 4;

/// Takes a block as sent, the opened block, and the names that are still missing.
type TakeBlock<'t> = dyn FnMut(&[u8], &OpenBlock<'_>, &mut HashSet<ChunkId>) + 't;

/// Fetches and checks chunks.
pub(crate) struct Fetcher<'a> {
    past: &'a dyn Past,
    progress: &'a TransferProgress,
    decoder: Decoder,
}

impl<'a> Fetcher<'a> {
    pub(crate) fn new(past: &'a dyn Past, progress: &'a TransferProgress) -> Self {
        Self { past, progress, decoder: Decoder::new() }
    }

    /// The counters of the run that reads.
    pub(crate) fn progress(&self) -> &'a TransferProgress {
        self.progress
    }

    /// Hands every chunk to `take` once, in any order. Returns the chunks that cannot be had whole.
    ///
    /// # Errors
    /// When the appliance is gone or refuses altogether.
    pub(crate) fn fetch(
        &mut self,
        names: &[ChunkId],
        take: &mut dyn FnMut(&ChunkId, &[u8]),
    ) -> Result<Vec<ChunkId>, ClientError> {
        self.fetch_blocks(names, Neighbours::Unwanted, &mut |_, block, open| {
            for (id, place) in &block.chunks {
                if open.remove(id) {
                    take(id, &block.plain[place.clone()]);
                }
            }
        })
    }

    /// Hands every block to `take`, as sent and opened, with the names that are still missing: `take` removes the
    /// names that it found. Returns the chunks that cannot be had whole.
    ///
    /// # Errors
    /// When the appliance is gone or refuses altogether.
    pub(crate) fn fetch_blocks(
        &mut self,
        names: &[ChunkId],
        neighbours: Neighbours,
        take: &mut TakeBlock<'_>,
    ) -> Result<Vec<ChunkId>, ClientError> {
        let mut open: HashSet<ChunkId> = names.iter().copied().collect();
        let mut lost = Vec::new();
        let mut broken = 0;
        let mut groups: Vec<Vec<ChunkId>> = names.chunks(IDS_MAX).map(<[ChunkId]>::to_vec).collect();
        while let Some(mut group) = groups.pop() {
            // Chunks that came with other chunks are not asked for again.
            group.retain(|id| open.contains(id));
            if group.is_empty() {
                continue;
            }
            let before = open.len();
            let answer = self.ask(&group, neighbours, &mut open, take);
            let is_progress = open.len() < before;
            group.retain(|id| open.contains(id));
            match answer {
                Err(ClientError::Unreachable { .. }) if is_progress || broken + 1 < BROKEN_MAX => {
                    broken = if is_progress { 0 } else { broken + 1 };
                    groups.push(group);
                }
                Err(trouble) if !is_about_chunks(&trouble) => return Err(trouble),
                _ if group.is_empty() => {}
                // A whole answer with some of the chunks: the rest may only have been in a damaged block.
                _ if is_progress => groups.push(group),
                _ if group.len() == 1 => lost.append(&mut group),
                _ => {
                    let half = group.split_off(group.len() / 2);
                    groups.extend([half, group]);
                }
            }
        }
        Ok(lost)
    }

    fn ask(
        &mut self,
        group: &[ChunkId],
        neighbours: Neighbours,
        open: &mut HashSet<ChunkId>,
        take: &mut TakeBlock<'_>,
    ) -> Result<(), ClientError> {
        let (decoder, progress) = (&mut self.decoder, self.progress);
        self.past.fetch(group, neighbours, &mut |bytes| {
            progress.add_sent_bytes(bytes.len() as u64);
            // A block that does not open is left out: its chunks stay missing and are asked for again.
            if let Ok(block) = OpenBlock::read_for_names(decoder, bytes) {
                take(bytes, &block, open);
            }
        })
    }
}

/// Whether a refusal may concern single chunks rather than the whole request. "failed" does not: without a disk every
/// chunk is missing, and each would be told to the owner as a lost file.
fn is_about_chunks(trouble: &ClientError) -> bool {
    matches!(trouble, ClientError::Damaged(_))
        || ["damaged", "not_found", "missing_chunks"].iter().any(|code| trouble.has_code(code))
}

pub(crate) fn damaged(what: &str, chunk: &ChunkRef) -> ClientError {
    ClientError::Damaged(format!("{what} cannot be read whole (chunk {})", chunk.id.short()))
}
