//! Chunks of unknown kind in memory: sent along with a wanted chunk, or found on a disk.
//!
//! Any bytes may look like a node, so the answers are hints: what to fetch next, where a lost snapshot begins.
//! Not here: chunks named by a tree (`node`, `list`).

use super::Chunks;
use crate::tree::{Kind, NODE_BYTES_MAX, Node, Reference, Time, Totals};
use crate::{ChunkRef, FormatError};

/// A chunk in memory, given back for any name.
#[derive(Debug, Clone, Copy)]
pub struct OneChunk<'a>(pub &'a [u8]);

impl<'a> Chunks for OneChunk<'a> {
    type Error = FormatError;
    type Bytes = &'a [u8];

    fn get(&self, _: &ChunkRef) -> Result<&'a [u8], FormatError> {
        Ok(self.0)
    }
}

/// The nodes named by a node, of the same folder and of its sub-folders; none where the chunk is no node.
pub fn nodes_in(chunk: &[u8]) -> Vec<ChunkRef> {
    let node_of = |reference| if let Reference::Node(node) = reference { Some(node) } else { None };
    Node::decode(chunk).map(|node| node.references().filter_map(node_of).collect()).unwrap_or_default()
}

/// The content of a snapshot's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootFolder {
    /// Top node of the pushed folder.
    pub folder: ChunkRef,
    /// Last change of the pushed folder.
    pub modified: Time,
    /// Totals of the folder.
    pub totals: Totals,
}

/// Reads a root: a node with a single entry, a folder without a name. Only a root looks so, and the first byte alone
/// rules out nearly every different chunk.
pub fn root_in(chunk: &[u8]) -> Option<RootFolder> {
    if chunk.len() > NODE_BYTES_MAX || chunk.first() != Some(&LEAF) {
        return None;
    }
    let Ok(Node::Leaf { entries, .. }) = Node::decode(chunk) else { return None };
    let [entry] = entries.as_slice() else { return None };
    let Kind::Directory { node, totals } = entry.kind else { return None };
    entry.name.is_empty().then_some(RootFolder { folder: node, modified: entry.modified, totals })
}

/// First byte of a leaf.
const LEAF: u8 = 0;
