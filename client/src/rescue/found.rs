//! Snapshots without a ledger entry, found by the look of their roots.
//!
//! A root is a node with a single entry, a folder without a name, and no other node looks like a root. So every
//! snapshot can be had even without a ledger; only name, number and time are lost. The search reads every block that
//! could hold a node. Not here: the names by which the owner tells the snapshots apart (`mod.rs`).

use super::packs::PulledPacks;
use crate::TransferProgress;
use larder_format::{
    ChunkRef,
    block::OpenBlock,
    scan::may_hold_nodes,
    tree::{Kind, NODE_BYTES_MAX, Node, Time, Totals},
};
use std::collections::HashMap;

/// No vault of ours had a tenth of this number; a disk with more roots was made to fill the memory.
const ROOTS_MAX: usize = 100_000;

/// A found root.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    pub(crate) root: ChunkRef,
    pub(crate) folder: ChunkRef,
    pub(crate) modified: Time,
    pub(crate) totals: Totals,
}

/// Every root in the packs, the last changed folder first. The order depends only on the disks, so that a number is
/// good for a second call.
pub(crate) fn roots(packs: &PulledPacks, progress: &TransferProgress) -> Vec<Root> {
    let mut found = HashMap::new();
    progress.expect_packs(2 * packs.len() as u64);
    for pack in 0..u32::try_from(packs.len()).unwrap_or(u32::MAX) {
        packs.each_block(pack, &may_hold_nodes, &mut |block| look_into(block, &mut found));
        progress.add_packs(1);
    }
    let mut roots: Vec<Root> = found.into_values().collect();
    roots.sort_unstable_by_key(|root| (std::cmp::Reverse(root.modified), root.root.id));
    roots
}

fn look_into(block: &OpenBlock<'_>, found: &mut HashMap<larder_format::ChunkId, Root>) {
    for (id, place) in &block.chunks {
        let bytes = &block.plain[place.clone()];
        let may_be_leaf = bytes.len() <= NODE_BYTES_MAX && bytes.first() == Some(&0);
        if may_be_leaf
            && found.len() < ROOTS_MAX
            && let Some(root) = root_in(bytes)
        {
            found.insert(*id, root);
        }
    }
}

/// Reads a root; nothing for another chunk.
fn root_in(bytes: &[u8]) -> Option<Root> {
    let Ok(Node::Leaf { entries, .. }) = Node::decode(bytes) else { return None };
    let [entry] = entries.as_slice() else { return None };
    let Kind::Directory { node, totals } = entry.kind else { return None };
    let root = ChunkRef::to(bytes);
    entry.name.is_empty().then_some(Root { root, folder: node, modified: entry.modified, totals })
}
