//! The reader against a naive model in memory, and against trees that no client makes.

mod model;
mod rules;
mod walks;

use super::*;
use crate::tree::{Child, Time, Totals, encode_pieces};
use crate::{FormatError, Hash};
use std::cell::RefCell;
use std::collections::HashMap;

/// Chunks in memory, with a log of the reads.
#[derive(Default)]
pub(crate) struct Kept {
    chunks: HashMap<Hash, Vec<u8>>,
    reads: RefCell<Vec<Hash>>,
}

impl Chunks for Kept {
    type Error = FormatError;
    type Bytes = Vec<u8>;

    fn get(&self, chunk: &ChunkRef) -> Result<Vec<u8>, FormatError> {
        self.reads.borrow_mut().push(chunk.id);
        self.chunks.get(&chunk.id).cloned().ok_or(FormatError::Short { what: "a lost chunk" })
    }
}

impl Kept {
    pub(crate) fn keep(&mut self, chunk: Vec<u8>) -> ChunkRef {
        let named = ChunkRef::to(&chunk);
        self.chunks.insert(named.id, chunk);
        named
    }

    pub(crate) fn leaf(&mut self, entries: Vec<(String, Kind)>) -> ChunkRef {
        let entries = entries.into_iter().map(|(name, kind)| entry(name.as_bytes(), kind)).collect();
        self.keep(Node::Leaf { owners: vec![owner()], entries }.encode())
    }

    pub(crate) fn branch(&mut self, children: &[(&str, ChunkRef)]) -> ChunkRef {
        let child = |(last, node): &(&str, ChunkRef)| Child { last: last.as_bytes().to_vec(), node: *node };
        self.keep(Node::Branch(children.iter().map(child).collect()).encode())
    }

    pub(crate) fn list(&mut self, pieces: &[Piece]) -> Piece {
        let bytes = pieces.iter().map(Piece::bytes).sum();
        Piece::More { list: self.keep(encode_pieces(pieces)), bytes }
    }

    /// How many chunks were read since the last call.
    fn reads(&self) -> usize {
        std::mem::take(&mut *self.reads.borrow_mut()).len()
    }
}

fn entry(name: &[u8], kind: Kind) -> Entry {
    let modified = Time { seconds: 1_700_000_000, nanos: 0 };
    Entry { name: name.to_vec(), owner: 0, mode: 0o644, modified, hard_link: 0, xattrs: vec![], kind }
}

fn owner() -> Owner {
    Owner { uid: 1000, gid: 1000, user: "ada".into(), group: "ada".into() }
}

fn directory(node: ChunkRef) -> Kind {
    Kind::Directory { node, totals: Totals::default() }
}

/// Path, kind before, kind after.
type Told = (Vec<u8>, Option<Kind>, Option<Kind>);

/// Writes every report down.
#[derive(Default)]
struct Recorder {
    told: Vec<Told>,
    hashes: HashMap<Vec<u8>, Hash>,
    lost: Vec<(Side, Hash)>,
    goes_past_lost: bool,
    nodes_max: Option<u64>,
    /// Pauses at every second question.
    pauses_often: bool,
    is_paused: bool,
}

impl Visitor<FormatError> for Recorder {
    fn pauses(&mut self, _: &Walked) -> bool {
        self.is_paused = self.pauses_often && !self.is_paused;
        self.is_paused
    }

    fn may_go_on(&mut self, _: &Walked) -> bool {
        self.nodes_max.as_mut().is_none_or(|left| {
            *left = left.saturating_sub(1);
            *left > 0
        })
    }

    fn entry(&mut self, entry: &DiffEntry<'_>) -> Result<(), FormatError> {
        let kind = |view: Option<EntryView<'_>>| view.map(|view| view.entry.kind.clone());
        assert_eq!(self.hashes.insert(entry.path(), entry.path_hash()), None, "each path is told once");
        self.told.push((entry.path(), kind(entry.before), kind(entry.after)));
        Ok(())
    }

    fn unreadable(&mut self, side: Side, node: &ChunkRef, error: FormatError) -> Result<(), FormatError> {
        self.lost.push((side, node.id));
        if self.goes_past_lost { Ok(()) } else { Err(error) }
    }
}
