//! Senders: ask which chunks of a batch are missing, compress and send the missing chunks, check the answer.
//!
//! Each sender is a thread that handles a batch from question to answer, so some senders compress while other senders
//! wait for the network. Nobody remembers what was sent: a broken connection, a restarted box and a restarted push
//! each lead to the same question, "which of these are missing?".

use crate::{
    ClientError, Remote, TransferProgress,
    push::batch::{Batch, BatchedChunk, Queue},
};
use larder_format::{
    ChunkId, Hash,
    block::{BLOCK_CHUNKS_MAX, BLOCK_PLAIN_BYTES_AIM, Encoder, looks_random},
};
use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// Values that the senders of a push share.
pub(crate) struct Senders<'a> {
    remote: &'a dyn Remote,
    queue: &'a Queue,
    progress: &'a TransferProgress,
    /// Chunks in the hands of a sender: two files of equal content must not be sent twice because both came up at the
    /// same time.
    in_hand: Mutex<HashSet<ChunkId>>,
}

impl<'a> Senders<'a> {
    pub(crate) fn new(remote: &'a dyn Remote, queue: &'a Queue, progress: &'a TransferProgress) -> Self {
        Self { remote, queue, progress, in_hand: Mutex::default() }
    }

    /// Sends batches until the queue is closed. An error stops the queue, and with the queue the whole push.
    pub(crate) fn send_all(&self) {
        let mut sender = Sender { shared: self, encoder: Encoder::new() };
        while let Some(batch) = self.queue.pop() {
            let taken = self.take(&batch);
            match sender.send(&batch, &taken) {
                Ok(()) => self.queue.recycle(batch),
                Err(trouble) => self.queue.stop(trouble),
            }
        }
    }

    /// The chunks of a batch that no other sender is busy with, each once. If another sender fails, the whole push
    /// fails, so a chunk left to another sender is never forgotten.
    fn take<'b>(&self, batch: &'b Batch) -> Vec<&'b BatchedChunk> {
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        batch.parts.iter().filter(|part| in_hand.insert(part.id)).collect()
    }

    fn release(&self, taken: &[&BatchedChunk]) {
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        for part in taken {
            in_hand.remove(&part.id);
        }
    }
}

struct Sender<'a> {
    shared: &'a Senders<'a>,
    encoder: Encoder,
}

impl Sender<'_> {
    fn send(&mut self, batch: &Batch, taken: &[&BatchedChunk]) -> Result<(), ClientError> {
        let parts = self.missing_parts(batch, taken)?;
        if !parts.is_empty() {
            self.upload(batch, &parts)?;
        }
        self.shared.release(taken);
        Ok(())
    }

    fn upload(&mut self, batch: &Batch, parts: &[&BatchedChunk]) -> Result<(), ClientError> {
        let Senders { remote, progress, .. } = self.shared;
        let names: Vec<u8> = parts.iter().flat_map(|part| part.id.0).collect();
        let groups = groups(batch, parts);
        let gathered: Vec<_> = groups.iter().map(|group| gather(batch, group)).collect();
        let blocks: Vec<_> = groups
            .iter()
            .zip(&gathered)
            .flat_map(|(group, plain)| encode(&mut self.encoder, group, plain))
            .collect();
        let blocks: Vec<&[u8]> = blocks.iter().map(AsRef::as_ref).collect();
        let received = remote.upload(&blocks)?;
        progress.add_sent_bytes(blocks.iter().map(|part| part.len() as u64).sum());
        progress.add_new_bytes(parts.iter().map(|part| part.place.len() as u64).sum());
        if received.names == Hash::of(&names) && received.chunks == parts.len() as u64 {
            Ok(())
        } else {
            // The appliance computed other names than this computer: memory or network changed bytes on the way.
            Err(ClientError::Damaged(format!(
                "{} chunks arrived with other content than was sent",
                parts.len()
            )))
        }
    }

    /// The missing chunks: first chunks that share blocks, with files of a kind side by side, then chunks that stand
    /// alone.
    fn missing_parts<'b>(
        &self,
        batch: &Batch,
        taken: &[&'b BatchedChunk],
    ) -> Result<Vec<&'b BatchedChunk>, ClientError> {
        let names: Vec<ChunkId> = taken.iter().map(|part| part.id).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let missing: HashSet<ChunkId> = self.shared.remote.missing(&names)?.into_iter().collect();
        let mut parts: Vec<&BatchedChunk> =
            taken.iter().copied().filter(|part| missing.contains(&part.id)).collect();
        // Stable, so that the chunks of a file stay in their order.
        parts.sort_by_cached_key(|part| (stands_alone(batch.bytes(part)), part.order));
        Ok(parts)
    }
}

/// Chunks that share blocks, about equally many bytes in each block, since a small rest compresses badly by itself.
/// Then each chunk that stands alone, in a block of its own.
fn groups<'p, 'b>(batch: &Batch, parts: &'p [&'b BatchedChunk]) -> Vec<&'p [&'b BatchedChunk]> {
    let alone = parts.partition_point(|part| !stands_alone(batch.bytes(part)));
    let (mut rest, alone) = parts.split_at(alone);
    let bytes: usize = rest.iter().map(|part| part.place.len()).sum();
    let blocks = (bytes + BLOCK_PLAIN_BYTES_AIM / 2) / BLOCK_PLAIN_BYTES_AIM;
    let aim = bytes.div_ceil(blocks.max(1));
    let mut groups = Vec::new();
    while !rest.is_empty() {
        let (group, after) = rest.split_at(run(rest, aim));
        rest = after;
        groups.push(group);
    }
    groups.extend(alone.chunks(1));
    groups
}

/// Whether a chunk has a block of its own: enough bytes for a block, or bytes that do not shrink. Bytes that do not
/// shrink would only cost the neighbours time, and alone the chunk is stored under the hash that is known already.
fn stands_alone(bytes: &[u8]) -> bool {
    bytes.len() >= BLOCK_PLAIN_BYTES_AIM || looks_random(bytes)
}

/// The bytes of a group, back to back; copied only where the chunks do not lie side by side.
fn gather<'b>(batch: &'b Batch, group: &[&BatchedChunk]) -> Cow<'b, [u8]> {
    let side_by_side = group.windows(2).all(|pair| pair[0].place.end == pair[1].place.start);
    if side_by_side {
        return Cow::Borrowed(&batch.plain()[group[0].place.start..group[group.len() - 1].place.end]);
    }
    let mut plain = Vec::with_capacity(group.iter().map(|part| part.place.len()).sum());
    group.iter().for_each(|part| plain.extend_from_slice(batch.bytes(part)));
    Cow::Owned(plain)
}

fn encode<'b>(encoder: &mut Encoder, group: &[&BatchedChunk], plain: &'b [u8]) -> [Cow<'b, [u8]>; 2] {
    if let [part] = group {
        return encoder.encode_one(plain, part.id);
    }
    let len = |part: &&BatchedChunk| u32::try_from(part.place.len()).expect("a chunk is at most 4 MiB");
    encoder.encode_parts(plain, group.iter().map(len).collect())
}

/// Number of the first parts that make a block: as many as bring the block to `aim`.
fn run(parts: &[&BatchedChunk], aim: usize) -> usize {
    let mut bytes = 0;
    let is_open = |part: &&&BatchedChunk| {
        let is_open = bytes < aim;
        bytes += part.place.len();
        is_open
    };
    parts.iter().take(BLOCK_CHUNKS_MAX).take_while(is_open).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::batch::Batcher;
    use larder_format::block::BLOCK_PLAIN_BYTES_MAX;

    /// Lengths of the chunks in each block for a batch of these chunks.
    fn blocks(chunks: &[Vec<u8>]) -> Vec<Vec<usize>> {
        let queue = Queue::new(1);
        let mut batcher = Batcher::for_files(&queue);
        for chunk in chunks {
            batcher.space(chunk.len()).copy_from_slice(chunk);
            batcher.grew(chunk.len());
            batcher.seal(chunk.len(), 0).expect("there is room");
        }
        batcher.flush().expect("there is room");
        let batch = queue.pop().expect("a batch");
        assert_eq!(batch.parts.len(), chunks.len(), "all in one batch");
        let mut parts: Vec<&BatchedChunk> = batch.parts.iter().collect();
        parts.sort_by_cached_key(|part| (stands_alone(batch.bytes(part)), part.order));
        let groups = groups(&batch, &parts);
        assert!(groups.concat().iter().map(|part| part.id).eq(parts.iter().map(|part| part.id)));
        groups.iter().map(|group| group.iter().map(|part| part.place.len()).collect()).collect()
    }

    fn noise(seed: u8, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn what_shrinks_shares_a_block_and_what_does_not_has_its_own() {
        let text = |number: usize, len| format!("{number} words, ").into_bytes().repeat(len);
        let (a, b, c) = (text(1, 100), text(2, 40_000), text(3, 20_000));
        let (photo, key) = (noise(1, 200_000), noise(2, 30_000));
        let found = blocks(&[a.clone(), photo.clone(), b.clone(), key.clone(), c.clone()]);
        // Too few bytes to tell that the bytes do not shrink.
        assert_eq!(found, [vec![a.len(), b.len(), key.len(), c.len()], vec![photo.len()]]);
    }

    #[test]
    fn no_block_is_larger_than_a_block_may_be() {
        let below = BLOCK_PLAIN_BYTES_AIM - 1;
        assert_eq!(blocks(&[vec![1; below], vec![2; below]]), [[below], [below]]);
        assert_eq!(
            blocks(&[vec![1; below], vec![2; BLOCK_PLAIN_BYTES_MAX]]),
            [[below], [BLOCK_PLAIN_BYTES_MAX]]
        );
        let third = BLOCK_PLAIN_BYTES_AIM / 3;
        assert_eq!(blocks(&[vec![1; third], vec![2; third], vec![3; third], vec![4; third]]), [[third; 4]]);
    }
}
