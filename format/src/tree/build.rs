//! Making nodes and lists of pieces out of endless streams, in bounded memory.
//!
//! The end of a node depends only on the name of the last entry (its hash), so an added or removed entry changes one
//! node and the branch above. The same goes for lists of pieces and the ids inside.

use super::{
    Child, ENTRY_PIECES_MAX, Entry, LIST_PIECES_MAX, NODE_BYTES_MAX, Node, Owner, Piece, Totals,
    encode_pieces,
};
use crate::{ChunkRef, Hash};

/// Entries of a leaf before the search for a border: most folders are a single node.
const ENTRIES_MIN: usize = 256;
/// One name in so many is a border.
const ENTRIES_BORDER: u16 = 256;
/// Room always left in a node for another entry of the largest kind.
const NODE_BYTES_FULL: usize = NODE_BYTES_MAX / 2;
const PIECES_MIN: usize = 128;
const PIECES_BORDER: u16 = 256;

/// A chunk made on the way, for the caller to keep.
pub type Made = Vec<u8>;

/// Makes the nodes of a folder from the entries in order.
pub struct NodeBuilder {
    owners: Vec<Owner>,
    entries: Vec<Entry>,
    bytes: usize,
    leaves: Vec<Child>,
    totals: Totals,
}

impl NodeBuilder {
    /// For an empty folder.
    pub fn new() -> Self {
        Self {
            owners: Vec::new(),
            entries: Vec::new(),
            bytes: 0,
            leaves: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// Adds the next entry; names must come in byte order. Hands every complete node to `keep`.
    ///
    /// # Errors
    /// Whatever `keep` returns.
    pub fn push<E>(
        &mut self,
        mut entry: Entry,
        owner: &Owner,
        keep: &mut impl FnMut(Made) -> Result<(), E>,
    ) -> Result<(), E> {
        let known = self.owners.iter().position(|known| known == owner);
        let position = known.unwrap_or(self.owners.len());
        if known.is_none() {
            self.owners.push(owner.clone());
        }
        entry.owner = u32::try_from(position).expect("a leaf has few owners");
        self.totals.add(&entry);
        self.bytes += weight(&entry);
        let border = is_border(&Hash::of(&entry.name), ENTRIES_BORDER);
        self.entries.push(entry);
        if (border && self.entries.len() >= ENTRIES_MIN) || self.bytes >= NODE_BYTES_FULL {
            self.close(keep)?;
        }
        Ok(())
    }

    fn close<E>(&mut self, keep: &mut impl FnMut(Made) -> Result<(), E>) -> Result<(), E> {
        let last = self.entries.last().map(|entry| entry.name.clone()).unwrap_or_default();
        let entries = std::mem::take(&mut self.entries);
        let node = Node::Leaf { owners: std::mem::take(&mut self.owners), entries }.encode();
        self.bytes = 0;
        self.leaves.push(Child { last, node: ChunkRef::to(&node) });
        keep(node)
    }

    /// The folder's top node, and the totals of the subtree.
    ///
    /// # Errors
    /// Whatever `keep` returns.
    pub fn finish<E>(
        mut self,
        keep: &mut impl FnMut(Made) -> Result<(), E>,
    ) -> Result<(ChunkRef, Totals), E> {
        if !self.entries.is_empty() || self.leaves.is_empty() {
            self.close(keep)?;
        }
        let mut level = self.leaves;
        while level.len() > 1 {
            let mut above = Vec::new();
            let mut group = Vec::new();
            for child in level {
                let border = is_border(&child.node.id, ENTRIES_BORDER) && group.len() >= ENTRIES_MIN;
                group.push(child);
                // A branch of 1,024 children with the longest names stays below the largest node.
                if border || group.len() >= 4 * ENTRIES_MIN {
                    above.push(branch(std::mem::take(&mut group), keep)?);
                }
            }
            if !group.is_empty() {
                above.push(branch(group, keep)?);
            }
            level = above;
        }
        Ok((level[0].node, self.totals))
    }
}

impl Default for NodeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

fn branch<E>(group: Vec<Child>, keep: &mut impl FnMut(Made) -> Result<(), E>) -> Result<Child, E> {
    let last = group.last().map(|child| child.last.clone()).unwrap_or_default();
    let node = Node::Branch(group).encode();
    let child = Child { last, node: ChunkRef::to(&node) };
    keep(node)?;
    Ok(child)
}

fn weight(entry: &Entry) -> usize {
    let xattrs: usize = entry.xattrs.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    let kind = match &entry.kind {
        super::Kind::File { pieces, .. } => pieces.len() * 40,
        super::Kind::Symlink(target) => target.len(),
        _ => 60,
    };
    64 + entry.name.len() + xattrs + kind
}

fn is_border(hash: &Hash, one_in: u16) -> bool {
    u16::from_le_bytes([hash.0[0], hash.0[1]]).is_multiple_of(one_in)
}

/// Makes the pieces of a file of any size, in bounded memory.
#[derive(Default)]
pub struct PieceBuilder {
    /// Finished lists, lowest level first; each waits to be listed itself.
    levels: Vec<Vec<Piece>>,
    size: u64,
}

impl PieceBuilder {
    /// Adds the next run of bytes; neighbouring holes merge. Hands every complete list to `keep`.
    ///
    /// # Errors
    /// Whatever `keep` returns.
    pub fn push<E>(&mut self, piece: Piece, keep: &mut impl FnMut(Made) -> Result<(), E>) -> Result<(), E> {
        self.size = self.size.saturating_add(piece.bytes());
        if let (Piece::Hole(more), Some(Piece::Hole(bytes))) =
            (piece, self.levels.first_mut().and_then(|level| level.last_mut()))
        {
            *bytes = bytes.saturating_add(more);
            return Ok(());
        }
        self.push_at(0, piece, keep)
    }

    fn push_at<E>(
        &mut self,
        level: usize,
        piece: Piece,
        keep: &mut impl FnMut(Made) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(piece);
        let full = self.levels[level].len();
        let border = match piece {
            Piece::Chunk(chunk) | Piece::More { list: chunk, .. } => is_border(&chunk.id, PIECES_BORDER),
            Piece::Hole(_) => false,
        };
        if (border && full >= PIECES_MIN) || full >= LIST_PIECES_MAX {
            let list = self.list(level, keep)?;
            self.push_at(level + 1, list, keep)?;
        }
        Ok(())
    }

    fn list<E>(&mut self, level: usize, keep: &mut impl FnMut(Made) -> Result<(), E>) -> Result<Piece, E> {
        let pieces = std::mem::take(&mut self.levels[level]);
        let bytes = pieces.iter().map(Piece::bytes).sum();
        let made = encode_pieces(&pieces);
        let list = ChunkRef::to(&made);
        keep(made)?;
        Ok(Piece::More { list, bytes })
    }

    /// The file's size, and the pieces for the entry.
    ///
    /// # Errors
    /// Whatever `keep` returns.
    pub fn finish<E>(mut self, keep: &mut impl FnMut(Made) -> Result<(), E>) -> Result<(u64, Vec<Piece>), E> {
        let mut level = 0;
        while level < self.levels.len() {
            let top = level + 1 == self.levels.len();
            if top && self.levels[level].len() <= ENTRY_PIECES_MAX {
                break;
            }
            if !self.levels[level].is_empty() {
                let list = self.list(level, keep)?;
                if top {
                    self.levels.push(Vec::new());
                }
                self.levels[level + 1].push(list);
            }
            level += 1;
        }
        Ok((self.size, self.levels.pop().unwrap_or_default()))
    }
}
