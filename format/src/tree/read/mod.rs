//! Reading trees: the only code for turning stored chunks back into folders, entries and ranges of files.
//!
//! Another computer made the tree, perhaps with malice: sixty small nodes can have 2^60 paths, and a path can be 64
//! KiB long. So each reader holds a single node at a time of each folder, checks that names rise and that nodes end
//! where their parents say, and keeps pending reads within a fixed number of bytes.
//! Not here: where chunks come from (`Chunks` is implemented by the store and by the client), how a tree is made (`build`).

mod compare;
mod depth_first;
mod find;
mod folder;
mod pending;
mod ranges;
mod unnamed;
mod walk;

use super::{Entry, Kind, Node, Owner, Piece, decode_pieces};
use crate::{ChunkRef, FormatError};

pub use compare::{
    Descend, DiffEntry, FolderStep, Interest, OpenComparison, Side, TreeComparison, Visitor, Walked,
};
pub use depth_first::{DepthFirst, Unread};
pub use find::{Looked, Lookups, find};
pub use folder::{Entries, entries};
pub use ranges::{Segment, Segments, ranges};
pub use unnamed::{OneChunk, RootFolder, nodes_in, root_in};
pub use walk::{FolderWalk, InnerFolder, OtherEntries, WalkStep};

/// The subject of a broken rule of this module, in `FormatError::Invalid`.
pub const TREE: &str = "a stored tree";
/// Branches above a leaf of a folder. Each has 256 children or more, so eight hold more entries than a disk.
pub const BRANCHES_MAX: usize = 8;
/// Lists within lists of a file: 128 pieces to the power of eight are more than a disk holds.
pub const LISTS_MAX: usize = 8;

/// Where chunks come from.
pub trait Chunks {
    /// Why a chunk cannot be had.
    type Error: From<FormatError>;
    /// Bytes of a chunk, in the source's own buffer type, so no source needs to copy.
    type Bytes: AsRef<[u8]>;

    /// The bytes of a chunk, verified against the name.
    ///
    /// # Errors
    /// Whatever the source says.
    fn get(&self, chunk: &ChunkRef) -> Result<Self::Bytes, Self::Error>;

    /// Like `get`, told the chunks of the same kind wanted next, the nearest first: a source behind a network fetches
    /// the whole batch in a single request.
    ///
    /// # Errors
    /// Errors of `get`; an unavailable chunk of `next` is no error.
    fn get_ahead(
        &self,
        chunk: &ChunkRef,
        _next: &mut dyn Iterator<Item = ChunkRef>,
    ) -> Result<Self::Bytes, Self::Error> {
        self.get(chunk)
    }
}

/// An entry together with the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The entry. Its `owner` is 0: a position in a node's list has no meaning outside the node.
    pub entry: Entry,
    /// The owner.
    pub owner: Owner,
}

/// An entry and the owner, inside a node in memory. Equality leaves out the position of the owner.
#[derive(Debug, Clone, Copy)]
pub struct EntryView<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// The owner.
    pub owner: &'a Owner,
}

impl EntryView<'_> {
    /// Top node, if the entry is a folder.
    pub fn folder(&self) -> Option<ChunkRef> {
        match self.entry.kind {
            Kind::Directory { node, .. } => Some(node),
            _ => None,
        }
    }

    /// A copy that outlives the node.
    pub fn to_found(&self) -> Found {
        Found { entry: Entry { owner: 0, ..self.entry.clone() }, owner: self.owner.clone() }
    }

    /// Whether both are folders with differences only below. A folder's time moves with every added or removed name,
    /// and the comparison reports each name separately.
    fn differs_only_below(&self, other: &EntryView<'_>) -> bool {
        let (a, b) = (self.entry, other.entry);
        self.folder().is_some()
            && other.folder().is_some()
            && (a.mode, a.hard_link, &a.xattrs) == (b.mode, b.hard_link, &b.xattrs)
            && self.owner == other.owner
    }
}

impl PartialEq for EntryView<'_> {
    fn eq(&self, other: &Self) -> bool {
        // Destructured by name, so a new field is not forgotten here.
        let Entry { name, owner: _, mode, modified, hard_link, xattrs, kind } = self.entry;
        let of_other = other.entry;
        *name == of_other.name
            && *kind == of_other.kind
            && (*mode, *modified, *hard_link) == (of_other.mode, of_other.modified, of_other.hard_link)
            && *xattrs == of_other.xattrs
            && self.owner == other.owner
    }
}

/// Reads and checks a node of a folder.
///
/// # Errors
/// Errors of `chunks`; `Invalid` when the chunk is no node.
pub fn node<C: Chunks + ?Sized>(chunks: &C, node: &ChunkRef) -> Result<Node, C::Error> {
    Ok(Node::decode(chunks.get(node)?.as_ref())?)
}

/// Like `node`, with the nodes wanted next.
fn node_ahead<C: Chunks + ?Sized>(
    chunks: &C,
    node: &ChunkRef,
    next: &mut dyn Iterator<Item = ChunkRef>,
) -> Result<Node, C::Error> {
    Ok(Node::decode(chunks.get_ahead(node, next)?.as_ref())?)
}

/// Reads a list of pieces for `bytes` bytes of a file.
///
/// # Errors
/// Errors of `chunks`; `Invalid` when the chunk is no list or covers another number of bytes.
pub fn list<C: Chunks + ?Sized>(chunks: &C, list: &ChunkRef, bytes: u64) -> Result<Vec<Piece>, C::Error> {
    list_ahead(chunks, list, bytes, &mut std::iter::empty())
}

/// Like `list`, with the lists wanted next.
fn list_ahead<C: Chunks + ?Sized>(
    chunks: &C,
    list: &ChunkRef,
    bytes: u64,
    next: &mut dyn Iterator<Item = ChunkRef>,
) -> Result<Vec<Piece>, C::Error> {
    let (pieces, covered) = pieces_in(chunks.get_ahead(list, next)?.as_ref())?;
    if covered == bytes { Ok(pieces) } else { Err(uncovered().into()) }
}

/// Reads a list of pieces, and counts the bytes of the file covered.
///
/// # Errors
/// Errors of `chunks`; `Invalid` when the chunk is no list.
pub fn covering<C: Chunks + ?Sized>(chunks: &C, list: &ChunkRef) -> Result<(Vec<Piece>, u64), C::Error> {
    Ok(pieces_in(chunks.get(list)?.as_ref())?)
}

fn pieces_in(list: &[u8]) -> Result<(Vec<Piece>, u64), FormatError> {
    let pieces = decode_pieces(list)?;
    // `decode_pieces` refused sums beyond the size of a file.
    let covered = pieces.iter().map(Piece::bytes).sum();
    Ok((pieces, covered))
}

/// Takes an entry out of a node.
fn found_in(owners: &[Owner], entry: Entry) -> Found {
    // `Node::decode` refused positions outside the list.
    let owner = owners[entry.owner as usize].clone();
    Found { entry: Entry { owner: 0, ..entry }, owner }
}

/// A list covers another number of bytes than announced: later bytes would come from the wrong place.
pub fn uncovered() -> FormatError {
    invalid("a list of pieces does not cover what it should")
}

fn invalid(why: &'static str) -> FormatError {
    FormatError::Invalid { what: TREE, why }
}

#[cfg(test)]
mod tests;
