//! Every chunk named by trees, depth first, for walks that need neither names nor order, such as the mark phase.
//!
//! A node may name thirteen thousand nodes, each of these as many, two thousand levels deep. So only part of a node's
//! references wait at a time; the node itself waits below, with the position for reading on.
//! Not here: the handling of a chunk, and the set of chunks seen (`store::keep::mark`).

use super::{Chunks, Descend, covering, node};
use crate::ChunkRef;
use crate::tree::Reference;

/// Waiting nodes and lists, some 3 MiB. Without the bound a tree of a few megabytes takes a gigabyte, if each node
/// names the next ten thousand times.
const WAITING_MAX: usize = 64 * 1024;
/// Minimum of waiting references for each node, or the walk of a deep tree would read a node once for each child.
const OF_ONE_MIN: usize = 64;

/// An unread node or list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread {
    /// The node or list.
    pub of: Reference,
    /// References handed out before.
    pub from: usize,
}

/// The unread nodes and lists, the next last.
#[derive(Debug)]
pub struct DepthFirst {
    waiting: Vec<Unread>,
    waiting_max: usize,
}

impl Default for DepthFirst {
    fn default() -> Self {
        Self { waiting: Vec::new(), waiting_max: WAITING_MAX }
    }
}

impl DepthFirst {
    /// Number of waiting nodes and lists.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the walk is over.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes in the root node of a tree.
    pub fn push(&mut self, root: ChunkRef) {
        self.waiting.push(Unread { of: Reference::Node(root), from: 0 });
    }

    /// The next node or list: to `read`, or to leave out because seen before.
    pub fn pop(&mut self) -> Option<Unread> {
        self.waiting.pop()
    }

    /// Reads a node or list and asks `each` about every chunk named inside. Nodes and lists to walk wait from now on.
    ///
    /// `each` should name no node twice: a node waiting twice is read twice.
    ///
    /// # Errors
    /// Errors of `chunks` and of `each`; `Invalid` for a chunk that is no node and no list.
    pub fn read<C: Chunks + ?Sized>(
        &mut self,
        chunks: &C,
        unread: Unread,
        each: &mut dyn FnMut(&Reference) -> Result<Descend, C::Error>,
    ) -> Result<(), C::Error> {
        match unread.of {
            Reference::Node(of) => self.take_in(unread, node(chunks, &of)?.references(), each),
            Reference::List(of) => {
                let (pieces, _) = covering(chunks, &of)?;
                self.take_in(unread, pieces.iter().filter_map(Reference::of), each)
            }
            // The bytes of a file hold no references.
            Reference::Bytes(_) => Ok(()),
        }
    }

    fn take_in<E>(
        &mut self,
        Unread { of, from }: Unread,
        references: impl Iterator<Item = Reference>,
        each: &mut dyn FnMut(&Reference) -> Result<Descend, E>,
    ) -> Result<(), E> {
        let room = (self.waiting_max.saturating_sub(self.waiting.len()) / 2).max(OF_ONE_MIN);
        let place = self.waiting.len();
        for (position, reference) in references.enumerate().skip(from) {
            if self.waiting.len() - place >= room {
                // Below its references: these are read first, and make room.
                self.waiting.insert(place, Unread { of, from: position });
                return Ok(());
            }
            let is_bytes = matches!(reference, Reference::Bytes(_));
            if each(&reference)? == Descend::Into && !is_bytes {
                self.waiting.push(Unread { of: reference, from: 0 });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::read::tests::Kept;
    use crate::tree::{Kind, Piece, Totals};

    fn directory(node: ChunkRef) -> Kind {
        Kind::Directory { node, totals: Totals::default() }
    }

    /// Many levels, each naming the next as often as there is room.
    #[test]
    fn little_waits_however_often_a_node_names_the_next() {
        let mut kept = Kept::default();
        let mut below = kept.leaf(vec![]);
        for _ in 0..60 {
            let often = (0..2000).map(|number| (format!("{number:04}"), directory(below)));
            below = kept.leaf(often.collect());
        }
        let mut rest = DepthFirst { waiting: Vec::new(), waiting_max: 1000 };
        rest.push(below);
        let (mut peak, mut seen) = (0, std::collections::HashSet::new());
        while let Some(unread) = rest.pop() {
            // Each node is walked once, and waits as often as named.
            if unread.from > 0 || seen.insert(unread.of.chunk().id) {
                rest.read(&kept, unread, &mut |_| Ok(Descend::Into)).expect("read");
            }
            peak = peak.max(rest.len());
        }
        assert!(peak <= 1000 + 60 * (OF_ONE_MIN + 1), "{peak} waited");
        assert_eq!(seen.len(), 61);
    }

    #[test]
    fn every_chunk_is_named_once_however_little_may_wait() {
        let mut kept = Kept::default();
        let mut expected = Vec::new();
        let mut folders = Vec::new();
        for folder in 0..150u32 {
            let mut files = Vec::new();
            for file in 0..200u32 {
                let chunk = ChunkRef::to(&(folder * 1000 + file).to_le_bytes());
                let list = kept.list(&[Piece::Chunk(chunk)]);
                let Piece::More { list: of, .. } = list else { panic!("a list") };
                expected.extend([Reference::Bytes(chunk), Reference::List(of)]);
                files.push((format!("{file:03}"), Kind::File { size: 4, pieces: vec![list] }));
            }
            let node = kept.leaf(files);
            expected.push(Reference::Node(node));
            folders.push((format!("{folder:03}"), directory(node)));
        }
        let root = kept.leaf(folders);
        let by_id = |reference: &Reference| reference.chunk().id;
        expected.sort_by_key(by_id);
        for waiting_max in [0, 100, WAITING_MAX] {
            let mut rest = DepthFirst { waiting: Vec::new(), waiting_max };
            rest.push(root);
            let mut found = Vec::new();
            while let Some(unread) = rest.pop() {
                let mut each = |reference: &Reference| {
                    found.push(*reference);
                    Ok(Descend::Into)
                };
                rest.read(&kept, unread, &mut each).expect("read");
            }
            found.sort_by_key(by_id);
            assert_eq!(found, expected);
        }
    }
}
