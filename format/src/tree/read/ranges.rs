//! The bytes of a file as chunks and holes, in order, for any range.
//!
//! Lists of pieces are read as the range reaches them, and lists outside the range never, so the last byte of a
//! terabyte costs a few chunks. Memory holds at most a single list of each level. Not here: the chunks' bytes.

use super::{Chunks, LISTS_MAX, invalid, list_ahead};
use crate::ChunkRef;
use crate::tree::Piece;
use std::ops::Range;
use std::vec::IntoIter;

/// A run of a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// These bytes of a chunk.
    Chunk {
        /// The chunk.
        chunk: ChunkRef,
        /// Positions in the chunk.
        within: Range<usize>,
    },
    /// So many zeros.
    Zeros(u64),
}

/// The segments of `range` in a file made of `pieces`.
pub fn ranges<'c, C: Chunks + ?Sized>(
    chunks: &'c C,
    pieces: Vec<Piece>,
    range: Range<u64>,
) -> Segments<'c, C> {
    Segments { chunks, range, at: 0, levels: vec![pieces.into_iter()] }
}

/// Iterator over the segments of a range. Ends at the first error.
pub struct Segments<'c, C: ?Sized> {
    chunks: &'c C,
    range: Range<u64>,
    /// Where the next piece begins.
    at: u64,
    /// The rest of each list on the way, the innermost last.
    levels: Vec<IntoIter<Piece>>,
}

impl<C: Chunks + ?Sized> Segments<'_, C> {
    fn unfold(&mut self, of: &ChunkRef, bytes: u64) -> Result<(), C::Error> {
        if self.levels.len() > LISTS_MAX {
            return Err(invalid("a file's pieces are nested too deeply").into());
        }
        let mut next = self.lists_ahead(self.at.saturating_add(bytes));
        let pieces = list_ahead(self.chunks, of, bytes, &mut next)?;
        drop(next);
        self.levels.push(pieces.into_iter());
        Ok(())
    }

    /// The next lists to read behind the lists taken up to `at`, in order.
    fn lists_ahead(&self, mut at: u64) -> impl Iterator<Item = ChunkRef> {
        let pieces = self.levels.iter().rev().flat_map(|level| level.as_slice());
        let begins = pieces.map_while(move |piece| {
            let begin = at;
            at = at.saturating_add(piece.bytes());
            (begin < self.range.end).then_some(piece)
        });
        begins.filter_map(|piece| if let Piece::More { list, .. } = piece { Some(*list) } else { None })
    }
}

impl<C: Chunks + ?Sized> Iterator for Segments<'_, C> {
    type Item = Result<Segment, C::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(level) = self.levels.last_mut() {
            let Some(piece) = level.next() else {
                self.levels.pop();
                continue;
            };
            let (begin, end) = (self.at, self.at.saturating_add(piece.bytes()));
            if begin >= self.range.end {
                self.levels.clear();
                break;
            }
            let (from, to) = (self.range.start.max(begin), self.range.end.min(end));
            if from >= to {
                self.at = end;
                continue;
            }
            match piece {
                Piece::More { list, bytes } => {
                    if let Err(error) = self.unfold(&list, bytes) {
                        self.levels.clear();
                        return Some(Err(error));
                    }
                }
                Piece::Hole(_) => {
                    self.at = end;
                    return Some(Ok(Segment::Zeros(to - from)));
                }
                Piece::Chunk(chunk) => {
                    self.at = end;
                    // A chunk is at most 4 MiB.
                    let position = |at: u64| usize::try_from(at - begin).unwrap_or(usize::MAX);
                    return Some(Ok(Segment::Chunk { chunk, within: position(from)..position(to) }));
                }
            }
        }
        None
    }
}
