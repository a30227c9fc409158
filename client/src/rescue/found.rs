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
    tree::{
        Time, Totals,
        read::{RootFolder, root_in},
    },
};
use std::collections::HashMap;

/// No vault of ours had a tenth of this number; a disk with more roots was made to fill the memory.
const ROOTS_MAX: usize = 100_000;

/// A found root.
#[derive(Debug, Clone)]
pub(crate) struct FoundRoot {
    pub(crate) root: ChunkRef,
    pub(crate) folder: ChunkRef,
    pub(crate) modified: Time,
    pub(crate) totals: Totals,
}

/// Every root in the packs, the last changed folder first. The order depends only on the disks, so that a number is
/// good for a second call.
pub(crate) fn roots(packs: &PulledPacks, progress: &TransferProgress) -> Vec<FoundRoot> {
    let mut found = HashMap::new();
    progress.expect_packs(2 * packs.len() as u64);
    for pack in 0..u32::try_from(packs.len()).unwrap_or(u32::MAX) {
        packs.each_block(pack, &may_hold_nodes, &mut |block| look_into(block, &mut found));
        progress.add_packs(1);
    }
    let mut roots: Vec<FoundRoot> = found.into_values().collect();
    roots.sort_unstable_by_key(|root| (std::cmp::Reverse(root.modified), root.root.id));
    roots
}

fn look_into(block: &OpenBlock<'_>, found: &mut HashMap<larder_format::ChunkId, FoundRoot>) {
    for (id, place) in &block.chunks {
        let bytes = &block.plain[place.clone()];
        if found.len() < ROOTS_MAX
            && let Some(RootFolder { folder, modified, totals }) = root_in(bytes)
        {
            found.insert(*id, FoundRoot { root: ChunkRef::to(bytes), folder, modified, totals });
        }
    }
}
