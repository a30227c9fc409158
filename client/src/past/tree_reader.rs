//! Chunks of trees, from an appliance or a pulled disk, asked for ahead.
//!
//! The next nodes, and the nodes below them, come along with a wanted node, so a folder costs no request of its own.
//! Not here: what is in a node (`larder_format::tree::read`), fetching and checking chunks (`fetch`), and keeping
//! fetched blocks until their chunks are read (`kept_blocks`).

use crate::{
    ClientError, Past, TransferProgress,
    past::fetch::{Fetcher, damaged},
    past::kept_blocks::KeptBlocks,
};
use larder_format::{
    ChunkId, ChunkRef,
    tree::read::{self, Chunks, Found},
    wire::{Neighbours, Problem},
};
use std::{cell::RefCell, collections::VecDeque, iter};

/// Unpacked bytes of one look ahead: half of the room for kept blocks where nothing shrinks. With more bytes, the
/// last blocks would push out the first blocks, which are wanted next.
const AHEAD_BYTES_MAX: usize = KeptBlocks::BYTES_MAX / 2;
/// Nodes that wait to be asked for. Nodes of ours name few folders, but a node may name any number.
const WAVE_MAX: usize = 64 * 1024;
/// Nodes in one request.
const ASKED_MAX: usize = 1024;
/// Folders that wait and whose nodes are fetched along with a node.
const NODES_AHEAD: usize = 256;
/// Further lists of a large file that are fetched along with the next list: half a gigabyte of an image.
const LISTS_AHEAD: usize = 16;

/// Chunks of trees, for the reader of trees in `format`. Fetched blocks stay until their chunks are read.
pub(crate) struct TreeReader<'a> {
    source: RefCell<TreeSource<'a>>,
}

struct TreeSource<'a> {
    fetcher: Fetcher<'a>,
    kept: KeptBlocks,
}

/// The nodes of folders.
pub(crate) struct FolderNodes<'r, 'a>(&'r TreeReader<'a>);

/// The lists of pieces of large files.
pub(crate) struct PieceLists<'r, 'a>(&'r TreeReader<'a>);

impl Chunks for FolderNodes<'_, '_> {
    type Error = ClientError;
    type Bytes = Vec<u8>;

    fn get(&self, node: &ChunkRef) -> Result<Vec<u8>, ClientError> {
        self.get_ahead(node, &mut iter::empty())
    }

    fn get_ahead(
        &self,
        node: &ChunkRef,
        next: &mut dyn Iterator<Item = ChunkRef>,
    ) -> Result<Vec<u8>, ClientError> {
        let found = self.0.source.borrow_mut().chunk(node, next.take(NODES_AHEAD), read::nodes_in)?;
        found.ok_or_else(|| damaged("a folder", node))
    }
}

impl Chunks for PieceLists<'_, '_> {
    type Error = ClientError;
    type Bytes = Vec<u8>;

    fn get(&self, list: &ChunkRef) -> Result<Vec<u8>, ClientError> {
        self.get_ahead(list, &mut iter::empty())
    }

    fn get_ahead(
        &self,
        list: &ChunkRef,
        next: &mut dyn Iterator<Item = ChunkRef>,
    ) -> Result<Vec<u8>, ClientError> {
        let found = self.0.source.borrow_mut().chunk(list, next.take(LISTS_AHEAD), |_| Vec::new())?;
        found.ok_or_else(|| damaged("a part of a large file's list", list))
    }
}

impl<'a> TreeReader<'a> {
    /// Over `past`.
    pub(crate) fn new(past: &'a dyn Past, progress: &'a TransferProgress) -> Self {
        let source = TreeSource { fetcher: Fetcher::new(past, progress), kept: KeptBlocks::new() };
        Self { source: RefCell::new(source) }
    }

    /// The counters of the run that reads.
    pub(crate) fn progress(&self) -> &'a TransferProgress {
        self.source.borrow().fetcher.progress()
    }

    pub(crate) fn nodes(&self) -> FolderNodes<'_, 'a> {
        FolderNodes(self)
    }

    pub(crate) fn lists(&self) -> PieceLists<'_, 'a> {
        PieceLists(self)
    }

    /// The entry at `path` (names with slashes between) below `root`; empty for the root itself.
    ///
    /// # Errors
    /// `Refused` with `not_found` without such a path; `Damaged` when a folder on the way cannot be read.
    pub(crate) fn find(&self, root: &ChunkRef, path: &[u8]) -> Result<Found, ClientError> {
        if let Some(found) = read::find(&self.nodes(), root, path)? {
            return Ok(found);
        }
        if read::find(&self.nodes(), root, b"")?.is_none() {
            return Err(damaged("the snapshot's root", root));
        }
        let path = larder_format::wire::escape_name(path);
        Err(ClientError::Refused(Box::new(Problem {
            code: "not_found".to_owned(),
            what: format!("There is no \"{path}\" in this snapshot."),
            meaning: "Nothing was restored, and nothing that is kept was touched.".to_owned(),
            remedy: "`larder ls` shows what is there, `larder versions` when it was.".to_owned(),
            details: String::new(),
        })))
    }
}

impl TreeSource<'_> {
    /// The bytes of a chunk. A chunk that is not kept is fetched, then `next`, then the chunks that `below` finds in
    /// the fetched chunks, as far as the room goes. Nothing where the chunk cannot be had whole.
    fn chunk(
        &mut self,
        wanted: &ChunkRef,
        next: impl Iterator<Item = ChunkRef>,
        below: impl Fn(&[u8]) -> Vec<ChunkRef>,
    ) -> Result<Option<Vec<u8>>, ClientError> {
        let Self { fetcher, kept } = self;
        if let Some(bytes) = kept.chunk(&wanted.id) {
            return Ok(Some(bytes.to_vec()));
        }
        let mut wave: VecDeque<ChunkRef> = next.collect();
        let looks_ahead = !wave.is_empty();
        wave.push_front(*wanted);
        let (mut found, mut brought) = (None, 0);
        loop {
            let names = next_names(&mut wave, kept, AHEAD_BYTES_MAX.saturating_sub(brought));
            if names.is_empty() {
                return Ok(found);
            }
            fetcher.fetch_blocks(&names, Neighbours::Welcome, &mut |bytes, block, open| {
                if block.chunks.iter().filter(|(id, _)| open.remove(id)).count() == 0 {
                    return;
                }
                // Copied at once: what comes after it may push it out again.
                if found.is_none() {
                    found = block.chunk(&wanted.id).map(<[u8]>::to_vec);
                }
                // Somebody who sends more than was asked for must not fill the memory.
                if brought >= AHEAD_BYTES_MAX {
                    return;
                }
                brought += block.plain.len();
                kept.add(bytes, block);
                for (_, place) in block.chunks.iter().filter(|_| looks_ahead) {
                    if wave.len() < WAVE_MAX {
                        wave.extend(below(&block.plain[place.clone()]));
                    }
                }
            })?;
        }
    }
}

/// The next chunks that are not kept, at most `room` bytes of chunks, but at least a chunk where there is any room.
fn next_names(wave: &mut VecDeque<ChunkRef>, kept: &KeptBlocks, mut room: usize) -> Vec<ChunkId> {
    let mut names = Vec::new();
    while room > 0
        && names.len() < ASKED_MAX
        && let Some(chunk) = wave.pop_front()
    {
        if !kept.holds(&chunk.id) && !names.contains(&chunk.id) {
            room = room.saturating_sub(chunk.len as usize);
            names.push(chunk.id);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::{
        block::Encoder,
        tree::{Entry, Kind, Made, NodeBuilder, Owner, Time, Totals},
        wire::SnapshotInfo,
    };
    use std::{
        collections::HashMap,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
    };

    /// Chunks in blocks of several; a block goes out whole, and in the order of the list.
    #[derive(Default)]
    struct Blocks {
        blocks: Vec<Vec<u8>>,
        places: HashMap<ChunkId, usize>,
        sent: AtomicUsize,
    }

    impl Blocks {
        fn add(&mut self, chunks: &[Vec<u8>]) {
            let lengths = chunks.iter().map(|chunk| u32::try_from(chunk.len()).expect("short")).collect();
            self.places.extend(chunks.iter().map(|chunk| (ChunkRef::to(chunk).id, self.blocks.len())));
            self.blocks.push(Encoder::new().encode(&chunks.concat(), lengths));
        }
    }

    impl Past for Blocks {
        fn fetch(
            &self,
            names: &[ChunkId],
            _: Neighbours,
            each: &mut dyn FnMut(&[u8]),
        ) -> Result<(), ClientError> {
            let mut blocks: Vec<usize> =
                names.iter().filter_map(|name| self.places.get(name).copied()).collect();
            blocks.sort_unstable();
            blocks.dedup();
            for block in blocks {
                self.sent.fetch_add(self.blocks[block].len(), Relaxed);
                each(&self.blocks[block]);
            }
            Ok(())
        }

        fn places(&self, _: &[ChunkId]) -> Result<Vec<u64>, ClientError> {
            Err(ClientError::Usage("not in this test".into()))
        }

        fn snapshot(&self, _: &str, _: &str) -> Result<SnapshotInfo, ClientError> {
            Err(ClientError::Usage("not in this test".into()))
        }
    }

    /// A folder with a link, whose target gives the node about `len` bytes that do not shrink.
    fn folder(seed: u64, len: usize) -> Vec<u8> {
        let mut target = vec![0; len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut target);
        target.iter_mut().for_each(|byte| *byte |= 1);
        let (mut builder, mut node) = (NodeBuilder::new(), Vec::new());
        let owner = Owner { uid: 0, gid: 0, user: String::new(), group: String::new() };
        let entry = Entry {
            name: b"link".to_vec(),
            owner: 0,
            mode: 0o777,
            modified: Time::default(),
            hard_link: 0,
            xattrs: Vec::new(),
            kind: Kind::Symlink(target),
        };
        let mut keep = |made: Made| {
            node = made.to_vec();
            Ok::<_, ()>(())
        };
        builder.push(entry, &owner, &mut keep).expect("kept");
        let (_, totals): (_, Totals) = builder.finish(&mut keep).expect("kept");
        assert_eq!(totals.files, 1);
        node
    }

    /// More than the whole room: folders that were asked for along with a folder must never cost that folder.
    #[test]
    fn every_folder_of_a_tree_that_does_not_fit_is_read() {
        for in_a_block in [1, 7, 30] {
            let mut past = Blocks::default();
            let folders: Vec<Vec<u8>> = (0..240).map(|seed| folder(seed, 120_000)).collect();
            // The first one that is wanted lies before all others, and is pushed out first.
            folders.chunks(in_a_block).for_each(|some| past.add(some));
            let (names, progress): (Vec<_>, _) =
                (folders.iter().map(|bytes| ChunkRef::to(bytes)).collect(), TransferProgress::default());
            let reader = TreeReader::new(&past, &progress);
            for (at, name) in names.iter().enumerate() {
                let mut next = names[at + 1..].iter().copied();
                let read = reader.nodes().get_ahead(name, &mut next);
                assert!(read.is_ok(), "{at} of blocks of {in_a_block}");
            }
            let (sent, all) = (past.sent.load(Relaxed), past.blocks.iter().map(Vec::len).sum::<usize>());
            assert!(sent < 2 * all, "{sent} bytes for {all}, {in_a_block} in a block");
        }
    }

    #[test]
    fn a_folder_that_is_lost_costs_no_other() {
        let mut past = Blocks::default();
        let folders: Vec<Vec<u8>> = (0..40).map(|seed| folder(seed, 100)).collect();
        for (number, folder) in folders.iter().enumerate().filter(|(number, _)| number % 9 != 4) {
            past.add(&[folder.clone(), number.to_le_bytes().to_vec()]);
        }
        let names: Vec<ChunkRef> = folders.iter().map(|bytes| ChunkRef::to(bytes)).collect();
        let progress = TransferProgress::default();
        let reader = TreeReader::new(&past, &progress);
        for (at, name) in names.iter().enumerate() {
            let read = reader.nodes().get_ahead(name, &mut names[at + 1..].iter().copied());
            assert_eq!(read.is_ok(), at % 9 != 4, "{at}");
        }
    }
}
