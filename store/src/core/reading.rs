//! Reading chunks back: one by one, or many in the order of their positions.
//!
//! A pack may be swept between the lookup of a chunk and its read. A block may turn out damaged although a later push
//! brought another copy. So after a failure a chunk is looked up once more.
//! Not here: the place of a chunk (`catalog`), trees (`past`).

use crate::core::Core;
use crate::core::scope::Scope;
use crate::packs::place::{Fetch, Place};
use crate::packs::registry::Packs;
use crate::{Result, StoreError};
use larder_format::block::{BLOCK_CHUNKS_MAX, BLOCK_PLAIN_BYTES_MAX};
use larder_format::tree::Node;
use larder_format::tree::read::{self, Chunks};
use larder_format::wire::{NOWHERE, Neighbours};
use larder_format::{ChunkId, ChunkRef, FormatError};
use std::collections::HashSet;

/// Copies of a chunk to try: two in practice.
const LOOKED_UP_MAX: usize = 4;

impl Core {
    /// The bytes of a chunk, hashed again.
    ///
    /// # Errors
    /// `Damaged` when no disk has the chunk whole, or at all; `Disk` when none answers.
    pub(crate) fn read(&self, chunk: &ChunkRef) -> Result<Vec<u8>> {
        let bytes = self.read_wherever(&chunk.id)?;
        if bytes.len() == chunk.len as usize {
            Ok(bytes)
        } else {
            let why = "it names a piece with a length that the piece does not have";
            Err(FormatError::Invalid { what: "a stored tree", why }.into())
        }
    }

    pub(crate) fn read_wherever(&self, id: &ChunkId) -> Result<Vec<u8>> {
        // A chunk promised by the ledger and held by no disk is lost, not mistyped.
        let nowhere = || {
            if let Some(since) = self.trouble().newer_layout() {
                return StoreError::ReadOnly { since };
            }
            let lost = || StoreError::Damaged { chunk: *id, cause: "no disk has it".to_owned() };
            self.require_answering().err().unwrap_or_else(lost)
        };
        let mut last: Option<(Place, StoreError)> = None;
        for _ in 0..LOOKED_UP_MAX {
            let found = self.catalog.find(&self.members, &[*id]);
            match (found.first(), last.take()) {
                (None, None) => return Err(nowhere()),
                // The failed place is the only known place.
                (Some((place, _)), Some((failed, error))) if *place == failed => return Err(error),
                (None, Some((_, error))) => return Err(error),
                (Some((place, _)), _) => match self.catalog.packs.read(&self.members, *place, id) {
                    Ok(bytes) => return Ok(bytes),
                    Err(error) => last = Some((*place, error)),
                },
            }
        }
        Err(last.map_or_else(nowhere, |(_, error)| error))
    }

    /// The order of reads for these chunks; each block once. Missing chunks are left out: a single
    /// lost chunk must not keep a whole folder from its owner. So are chunks that the asker may not see.
    pub(crate) fn plan_fetch(&self, scope: &Scope, ids: &[ChunkId]) -> Vec<Fetch> {
        let mut asked = HashSet::with_capacity(ids.len());
        let unique: Vec<_> = ids.iter().filter(|id| asked.insert(**id)).copied().collect();
        Packs::plan(match scope.seen_holders() {
            None => self.catalog.find(&self.members, &unique),
            Some(seen) => self.find_given(&seen, &unique),
        })
    }

    /// The place of each chunk as a number: equal for chunks of one block, and rising in the order of reads; `NOWHERE` for
    /// a chunk unknown to the index, or not to be seen by the asker. A sweep may move chunks, so the number is an order and
    /// no promise. For an asker that does not see everything the numbers count the blocks of this question: else they would
    /// tell how much others keep.
    pub(crate) fn places(&self, scope: &Scope, ids: &[ChunkId]) -> Vec<u64> {
        let numbers = |places: Vec<Option<Place>>| -> Vec<u64> {
            places.into_iter().map(|place| place.map_or(NOWHERE, Place::block_number)).collect()
        };
        match scope.seen_holders() {
            None => numbers(self.catalog.locate_each(&self.members, ids)),
            Some(seen) => ranks(&numbers(self.given_places(&seen, ids))),
        }
    }

    /// The bytes of one step of a plan: a block with the wanted chunks, and maybe neighbours that the asker may see.
    ///
    /// # Errors
    /// `Damaged` when no disk has the block whole; `Disk` when none answers.
    pub(crate) fn fetch(&self, scope: &Scope, step: &Fetch, neighbours: Neighbours) -> Result<Vec<u8>> {
        let may_come_along = |pack, slots| self.may_come_along(scope, pack, slots);
        let fetched = self.catalog.packs.fetch(&self.members, step, neighbours, &may_come_along);
        fetched.or_else(|_| self.fetch_wherever(step))
    }

    /// The same for a reader whose first fetch failed: each chunk is hashed before sending, so that another disk is asked
    /// where the first disk holds other bytes in the chunk's place.
    ///
    /// # Errors
    /// `Damaged` when no disk has the chunk whole; `Disk` when none answers.
    pub(crate) fn fetch_proven(&self, step: &Fetch) -> Result<Vec<u8>> {
        self.catalog.packs.fetch_proven(&self.members, step).or_else(|_| self.fetch_wherever(step))
    }

    fn fetch_wherever(&self, step: &Fetch) -> Result<Vec<u8>> {
        let (mut chunks, mut bytes) = (Vec::new(), 0);
        for id in step.ids() {
            let chunk = self.read_wherever(&id)?;
            bytes += chunk.len();
            if bytes > BLOCK_PLAIN_BYTES_MAX || chunks.len() == BLOCK_CHUNKS_MAX {
                // A request for each chunk alone still succeeds.
                let cause = "a table gathered more than fits into one block".to_owned();
                return Err(StoreError::Damaged { chunk: id, cause });
            }
            chunks.push(chunk);
        }
        Ok(self.catalog.packs.as_block(&chunks))
    }

    /// Reads and checks one directory node.
    ///
    /// # Errors
    /// As `read`, or `Refused` when the chunk is no node.
    pub(crate) fn read_node(&self, node: &ChunkRef) -> Result<Node> {
        read::node(self, node)
    }
}

/// Each number as its rank among the numbers; `NOWHERE` stays.
fn ranks(numbers: &[u64]) -> Vec<u64> {
    let mut sorted: Vec<_> = numbers.iter().copied().filter(|number| *number != NOWHERE).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let rank = |number: &u64| sorted.binary_search(number).map_or(NOWHERE, |rank| rank as u64);
    numbers.iter().map(rank).collect()
}

impl Chunks for Core {
    type Error = StoreError;
    type Bytes = Vec<u8>;

    fn get(&self, chunk: &ChunkRef) -> Result<Vec<u8>> {
        self.read(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_keep_the_order_and_nothing_else() {
        assert_eq!(ranks(&[9 << 32, 5, NOWHERE, 9 << 32, 7, 5]), [2, 0, NOWHERE, 2, 1, 0]);
        assert_eq!(ranks(&[NOWHERE; 2]), [NOWHERE; 2]);
        assert_eq!(ranks(&[]), [0; 0]);
    }
}
