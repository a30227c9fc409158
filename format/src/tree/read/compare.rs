//! What two trees differ in, told entry by entry in bounded memory.
//!
//! Two folders are read side by side in the order of names. A node that both have at the same place is not read, so a folder of
//! a million entries in which one changed costs a few nodes. A folder with more sub-folders than may wait is left behind one of
//! them and read on from there later. Not here: where pending folders are kept (`pending`), what a difference means.

use super::folder::FolderCursor;
use super::pending::{PENDING_BYTES_MAX, Pair, PendingFolders, PendingStep};
use super::{Chunks, EntryView, invalid};
use crate::tree::DEPTH_MAX;
use crate::{ChunkRef, Hash};
use std::cmp::Ordering;

/// Which differences are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// All.
    BothSides,
    /// Those of entries in the second tree: what is gone is told neither itself nor with what was in it.
    After,
}

/// One of the two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first one.
    Before,
    /// The second one.
    After,
}

/// Whether what lies below is walked too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descend {
    /// It is.
    Into,
    /// It is left out.
    Past,
}

/// A comparison of two trees, or of two folders in them; without a first tree all of the second one is new.
#[derive(Debug, Clone, Copy)]
pub struct TreeComparison {
    pairs: Pair,
    interest: Interest,
    pending_bytes_max: usize,
}

/// What a comparison asks and tells.
pub trait Visitor<E> {
    /// Asked before each node is read. Folders that name each other twice have more paths than anybody lives to see.
    fn may_go_on(&mut self, _so_far: &Walked) -> bool {
        true
    }

    /// Told of each entry that differs. Folders count by their own attributes; what is in them is told by itself.
    ///
    /// # Errors
    /// Any error ends the comparison.
    fn entry(&mut self, entry: &DiffEntry<'_>) -> Result<(), E>;

    /// Asked about each pair of folders of one name that differ, once.
    ///
    /// # Errors
    /// Any error ends the comparison.
    fn folder(&mut self, _folder: &FolderStep) -> Result<Descend, E> {
        Ok(Descend::Into)
    }

    /// A node could not be read. Without an error the comparison goes on behind the node.
    ///
    /// # Errors
    /// Any error ends the comparison.
    fn unreadable(&mut self, _side: Side, _node: &ChunkRef, error: E) -> Result<(), E> {
        Err(error)
    }
}

/// A folder that may be walked into.
#[derive(Debug, Clone, Copy)]
pub struct FolderStep {
    /// Its top node in the first tree.
    pub before: Option<ChunkRef>,
    /// Its top node in the second tree.
    pub after: Option<ChunkRef>,
    /// Bytes of its path.
    pub path_bytes: usize,
}

/// An entry that differs, as long as the nodes that it lies in are in memory.
pub struct DiffEntry<'a> {
    /// In the first tree.
    pub before: Option<EntryView<'a>>,
    /// In the second tree.
    pub after: Option<EntryView<'a>>,
    pending: &'a PendingFolders,
}

impl DiffEntry<'_> {
    /// Its name; empty for the root.
    pub fn name(&self) -> &[u8] {
        name_of(self.before, self.after)
    }

    /// Folders above it; 0 for the root.
    pub fn depth(&self) -> usize {
        self.pending.depth()
    }

    /// Its path, made anew at each call.
    pub fn path(&self) -> Vec<u8> {
        self.pending.path(self.name())
    }

    /// Stands for its path among those of all comparisons, at a cost that does not grow with the path.
    pub fn path_hash(&self) -> Hash {
        self.pending.path_hash(self.name())
    }
}

fn name_of<'a>(before: Option<EntryView<'a>>, after: Option<EntryView<'a>>) -> &'a [u8] {
    after.or(before).map_or(&[], |view| &view.entry.name)
}

/// How far a comparison came, and what it cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walked {
    /// Folders that were entered, the root's included.
    pub folders: u64,
    /// Bytes of the nodes that were read.
    pub bytes: u64,
    /// Most bytes that folders on the way and waiting folders took.
    pub pending_bytes_peak: usize,
    /// False when the visitor ended it.
    pub is_complete: bool,
}

impl TreeComparison {
    /// From `before` to `after`, each the root of a snapshot or the top node of a folder.
    pub fn new(before: Option<ChunkRef>, after: Option<ChunkRef>) -> Self {
        Self {
            pairs: Pair { before, after },
            interest: Interest::BothSides,
            pending_bytes_max: PENDING_BYTES_MAX,
        }
    }

    /// The same, telling only what `interest` says.
    #[must_use]
    pub fn only(self, interest: Interest) -> Self {
        Self { interest, ..self }
    }

    /// The same with other room for folders that wait, in bytes.
    #[must_use]
    pub fn with_pending_bytes_max(self, pending_bytes_max: usize) -> Self {
        Self { pending_bytes_max, ..self }
    }

    /// Compares, and tells `visitor`.
    ///
    /// # Errors
    /// Those of `chunks` and of `visitor`; `Invalid` where a tree breaks a rule.
    pub fn run<C, V>(&self, chunks: &C, visitor: &mut V) -> Result<Walked, C::Error>
    where
        C: Chunks + ?Sized,
        V: Visitor<C::Error> + ?Sized,
    {
        let mut walked = Walked { is_complete: true, ..Walked::default() };
        if self.pairs.before == self.pairs.after {
            return Ok(walked);
        }
        let pending = PendingFolders::new(self.pairs, self.pending_bytes_max);
        walked.folders = 1;
        let mut run = Run { chunks, visitor, interest: self.interest, pending, walked };
        loop {
            match run.pending.next() {
                PendingStep::Over => break,
                PendingStep::Entered if run.pending.depth() > DEPTH_MAX => {
                    return Err(invalid("its folders are nested too deeply").into());
                }
                PendingStep::Entered => run.walked.folders += 1,
                PendingStep::Read(passed) => {
                    if !run.read(passed.as_deref())? {
                        run.walked.is_complete = false;
                        break;
                    }
                }
            }
        }
        Ok(Walked { pending_bytes_peak: run.pending.bytes_peak(), ..run.walked })
    }
}

struct Run<'r, C: ?Sized, V: ?Sized> {
    chunks: &'r C,
    visitor: &'r mut V,
    interest: Interest,
    pending: PendingFolders,
    walked: Walked,
}

/// One folder in both trees, read side by side.
struct Cursors<'c, C: ?Sized> {
    before: FolderCursor<'c, C>,
    after: FolderCursor<'c, C>,
}

impl<C: Chunks + ?Sized, V: Visitor<C::Error> + ?Sized> Run<'_, C, V> {
    /// Reads the innermost folder from behind a name on. Returns false when the visitor ends the comparison.
    fn read(&mut self, passed: Option<&[u8]>) -> Result<bool, C::Error> {
        let Some(Pair { before, after }) = self.pending.innermost().map(|open| open.pair) else {
            return Ok(true);
        };
        let mut cursors = Cursors {
            before: FolderCursor::new(self.chunks, before, passed),
            after: FolderCursor::new(self.chunks, after, passed),
        };
        loop {
            if !self.open_next(&mut cursors)? {
                return Ok(false);
            }
            let (a, b) = (cursors.before.view(), cursors.after.view());
            let is_over = b.is_none() && (a.is_none() || self.interest == Interest::After);
            let order = match (a, b) {
                _ if is_over => break,
                (Some(a), Some(b)) => a.entry.name.cmp(&b.entry.name),
                (Some(_), None) => Ordering::Less,
                (None, _) => Ordering::Greater,
            };
            let has_room = self.entry(a.filter(|_| order.is_le()), b.filter(|_| order.is_ge()))?;
            if !has_room {
                let read = if order.is_le() { a } else { b };
                self.pending.read_up_to(read.map(|view| view.entry.name.as_slice()));
                return Ok(true);
            }
            if order.is_le() {
                cursors.before.advance();
            }
            if order.is_ge() {
                cursors.after.advance();
            }
        }
        self.pending.read_up_to(None);
        Ok(true)
    }

    /// Reads nodes until the next entry of each folder can be seen, and steps over those that both have.
    fn open_next(&mut self, cursors: &mut Cursors<'_, C>) -> Result<bool, C::Error> {
        loop {
            if cursors.before.is_before_same_node(&cursors.after) {
                cursors.before.skip_node();
                cursors.after.skip_node();
                continue;
            }
            let (side, wanted) = match (cursors.after.wants(), cursors.before.wants()) {
                (Some(node), _) => (Side::After, node),
                (None, Some(node)) => (Side::Before, node),
                (None, None) => return Ok(true),
            };
            if side == Side::Before && self.interest == Interest::After {
                let Some(next) = cursors.after.view() else { return Ok(true) };
                cursors.before.skip_to(&next.entry.name);
                if cursors.before.wants() != Some(wanted) {
                    continue;
                }
            }
            if !self.visitor.may_go_on(&self.walked) {
                return Ok(false);
            }
            self.walked.bytes += u64::from(wanted.len);
            let cursor = if side == Side::After { &mut cursors.after } else { &mut cursors.before };
            if let Err(error) = cursor.open() {
                self.visitor.unreadable(side, &wanted, error)?;
            }
        }
    }

    /// Tells of one name. Returns whether there is room for more folders that wait.
    fn entry(
        &mut self,
        before: Option<EntryView<'_>>,
        after: Option<EntryView<'_>>,
    ) -> Result<bool, C::Error> {
        if before == after || (after.is_none() && self.interest == Interest::After) {
            return Ok(true);
        }
        let is_told = !before.zip(after).is_some_and(|(a, b)| a.differs_only_below(&b));
        if is_told {
            self.visitor.entry(&DiffEntry { before, after, pending: &self.pending })?;
        }
        let pair = Pair {
            before: before.and_then(|view| view.folder()),
            after: after.and_then(|view| view.folder()),
        };
        if pair.before == pair.after || (pair.after.is_none() && self.interest == Interest::After) {
            return Ok(true);
        }
        let name = name_of(before, after);
        let path_bytes = self.pending.path_bytes(name);
        let step = FolderStep { before: pair.before, after: pair.after, path_bytes };
        match self.visitor.folder(&step)? {
            Descend::Into => Ok(self.pending.push(name, pair)),
            Descend::Past => Ok(true),
        }
    }
}
