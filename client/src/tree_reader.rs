//! Trees of an appliance or a pulled disk: their nodes, and lists of pieces.
//!
//! Whoever reads a tree asks for what will be wanted next along with what is wanted now. Not here: how chunks are had and
//! checked (`fetch`), and where those that came stay until they are read (`kept_blocks`).

use crate::{
    Past, Progress, Trouble,
    fetch::{Fetcher, damaged},
    kept_blocks::KeptBlocks,
};
use larder_format::{
    ChunkId, ChunkRef,
    tree::{Entry, Kind, Node, Owner, Piece, Reference, decode_pieces},
    wire::{Neighbours, Problem},
};
use std::collections::VecDeque;

/// What one look ahead may bring, unpacked. Much more would push out what waits to be read.
const AHEAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Nodes in one request.
const ASKED_MAX: usize = 1024;
/// Further lists of a large file that are fetched along with the next one: half a gigabyte of an image.
const LISTS_AHEAD: usize = 16;
/// A list of ours has 2,048 pieces, and one list of each level waits.
const PIECES_WAITING_MAX: usize = 32 * 1024;

/// Reads trees node by node.
pub struct TreeReader<'a> {
    fetcher: Fetcher<'a>,
    kept: KeptBlocks,
}

impl<'a> TreeReader<'a> {
    /// Over `past`.
    pub fn new(past: &'a dyn Past, progress: &'a Progress) -> Self {
        Self { fetcher: Fetcher::new(past, progress), kept: KeptBlocks::new() }
    }

    /// One node; `next` are those that will probably be wanted soon after it. Without any, nothing is asked for but the
    /// node.
    ///
    /// # Errors
    /// `Damaged` when this node cannot be had whole; others when nothing can be had.
    pub fn node(
        &mut self,
        node: &ChunkRef,
        next: impl IntoIterator<Item = ChunkId>,
    ) -> Result<Node, Trouble> {
        if !self.kept.holds(&node.id) {
            self.fetch_with(node.id, next, |chunk, wave| {
                let below = Node::decode(chunk).into_iter().flat_map(|node| nodes_below(&node));
                wave.extend(below);
            })?;
        }
        let bytes = self.kept.chunk(&node.id).ok_or_else(|| damaged("a folder", node))?;
        Node::decode(bytes).map_err(|_| damaged("a folder", node))
    }

    /// Fetches `first`, what comes next, and then what those name, as `each` tells of every chunk that comes, as far as
    /// the room goes.
    fn fetch_with(
        &mut self,
        first: ChunkId,
        next: impl IntoIterator<Item = ChunkId>,
        each: impl Fn(&[u8], &mut VecDeque<ChunkId>),
    ) -> Result<(), Trouble> {
        let Self { fetcher, kept } = self;
        let mut wave: VecDeque<ChunkId> = next.into_iter().collect();
        let looks_ahead = !wave.is_empty();
        wave.push_front(first);
        let mut brought = 0;
        while !wave.is_empty() && brought < AHEAD_BYTES_MAX {
            let mut names: Vec<ChunkId> = Vec::new();
            while names.len() < ASKED_MAX
                && let Some(id) = wave.pop_front()
            {
                if !kept.holds(&id) {
                    names.push(id);
                }
            }
            fetcher.fetch_blocks(&names, Neighbours::Welcome, &mut |bytes, block, open| {
                let wanted = block.chunks.iter().filter(|(id, _)| open.remove(id)).count();
                if wanted == 0 {
                    return;
                }
                kept.add(bytes, block);
                brought += block.plain.len();
                if looks_ahead {
                    block.chunks.iter().for_each(|(_, place)| each(&block.plain[place.clone()], &mut wave));
                }
            })?;
        }
        Ok(())
    }

    /// A list of pieces that covers `bytes` of a file; `next` are lists that will be wanted after it.
    ///
    /// # Errors
    /// `Damaged` when it cannot be had whole.
    fn pieces(
        &mut self,
        list: &ChunkRef,
        bytes: u64,
        next: impl IntoIterator<Item = ChunkId>,
    ) -> Result<Vec<Piece>, Trouble> {
        if !self.kept.holds(&list.id) {
            self.fetch_with(list.id, next, |_, _| ())?;
        }
        let pieces = self.kept.chunk(&list.id).and_then(|chunk| decode_pieces(chunk).ok());
        pieces
            .filter(|pieces| pieces.iter().map(Piece::bytes).sum::<u64>() == bytes)
            .ok_or_else(|| damaged("a part of a large file's list", list))
    }

    /// Replaces a list by the pieces in it, at the end of `rest`, where the next piece stands last.
    ///
    /// # Errors
    /// `Damaged` when the list cannot be had whole, or holds far more than a list of ours: pieces that wait take
    /// memory, and lists within lists could ask for any amount of it.
    pub(crate) fn unfold(
        &mut self,
        list: &ChunkRef,
        bytes: u64,
        rest: &mut Vec<Piece>,
    ) -> Result<(), Trouble> {
        let list_of = |piece: &Piece| if let Piece::More { list, .. } = piece { Some(list.id) } else { None };
        let next: Vec<ChunkId> = rest.iter().rev().filter_map(list_of).take(LISTS_AHEAD).collect();
        rest.extend(self.pieces(list, bytes, next)?.into_iter().rev());
        if rest.len() > PIECES_WAITING_MAX {
            return Err(damaged("a large file's list", list));
        }
        Ok(())
    }

    /// The entry at `path` (names with slashes between) below `root`; empty for the root itself.
    ///
    /// # Errors
    /// `Refused` with `not_found` when there is no such path; `Damaged` when a folder on the way cannot be read.
    pub fn find(&mut self, root: &ChunkRef, path: &[u8]) -> Result<(Entry, Owner), Trouble> {
        let not_there = || {
            let path = larder_format::wire::escape_name(path);
            Trouble::Refused(Box::new(Problem {
                code: "not_found".to_owned(),
                what: format!("There is no \"{path}\" in this snapshot."),
                meaning: "Nothing was restored, and nothing that is kept was touched.".to_owned(),
                remedy: "`larder ls` shows what is there, `larder versions` when it was.".to_owned(),
                details: String::new(),
            }))
        };
        let mut at = self.find_in(root, b"")?.ok_or_else(|| damaged("the snapshot's root", root))?;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let Kind::Directory { node, .. } = at.0.kind else { return Err(not_there()) };
            at = self.find_in(&node, name)?.ok_or_else(not_there)?;
        }
        Ok(at)
    }

    fn find_in(&mut self, folder: &ChunkRef, name: &[u8]) -> Result<Option<(Entry, Owner)>, Trouble> {
        let mut at = *folder;
        loop {
            match self.node(&at, [])? {
                Node::Leaf { owners, mut entries } => {
                    let found = entries.binary_search_by(|entry| entry.name.as_slice().cmp(name)).ok();
                    return Ok(found.map(|found| {
                        let entry = entries.swap_remove(found);
                        let owner = owners[entry.owner as usize].clone();
                        (entry, owner)
                    }));
                }
                Node::Branch(children) => {
                    let next = children.partition_point(|child| child.last.as_slice() < name);
                    match children.get(next) {
                        Some(child) => at = child.node,
                        None => return Ok(None),
                    }
                }
            }
        }
    }
}

/// Nodes that a node names.
fn nodes_below(node: &Node) -> Vec<ChunkId> {
    let node_of = |reference| if let Reference::Node(node) = reference { Some(node.id) } else { None };
    node.references().filter_map(node_of).collect()
}
