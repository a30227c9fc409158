//! Differences of two trees, reported entry by entry in bounded memory.
//!
//! Two folders are read side by side in the order of names. A node in the same place of both is not read, so a change
//! in a folder of a million entries costs a few nodes. A folder with more sub-folders than may wait is left, and
//! resumed later; so is the whole comparison when its visitor wants a pause. Not here: pending folders (`pending`), the
//! meaning of a difference.

use super::folder::FolderCursor;
use super::pending::{PENDING_BYTES_MAX, Pair, PendingFolders, PendingStep};
use super::{Chunks, EntryView, invalid};
use crate::tree::DEPTH_MAX;
use crate::{ChunkRef, Hash};
use std::cmp::Ordering;

/// The differences to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Every difference.
    BothSides,
    /// Differences of entries in the second tree: removed entries are left out, along with their content.
    After,
}

/// A side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first tree.
    Before,
    /// The second tree.
    After,
}

/// Whether to walk the subtree too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descend {
    /// Walk the subtree.
    Into,
    /// Skip the subtree.
    Past,
}

/// A comparison of two trees, or of two folders inside; without a first tree the whole second tree is new.
#[derive(Debug, Clone, Copy)]
pub struct TreeComparison {
    pairs: Pair,
    interest: Interest,
    pending_bytes_max: usize,
}

/// Questions and reports of a comparison.
pub trait Visitor<E> {
    /// Asked before each node is read. Folders that each name the next twice have more paths than a walk can finish.
    fn may_go_on(&mut self, _so_far: &Walked) -> bool {
        true
    }

    /// Asked between folders, and behind a name before the next node of its folder is read. A paused comparison goes on
    /// with `OpenComparison::go_on`.
    fn pauses(&mut self, _so_far: &Walked) -> bool {
        false
    }

    /// Called for each differing entry. Folders count by their own attributes; their content is reported separately.
    ///
    /// # Errors
    /// An error ends the comparison.
    fn entry(&mut self, entry: &DiffEntry<'_>) -> Result<(), E>;

    /// Asked once about each pair of differing folders of the same name.
    ///
    /// # Errors
    /// An error ends the comparison.
    fn folder(&mut self, _folder: &FolderStep) -> Result<Descend, E> {
        Ok(Descend::Into)
    }

    /// Asked about each node before it is read; an error stands for a node that cannot be read.
    ///
    /// # Errors
    /// The error goes to `unreadable`.
    fn may_open(&mut self, _side: Side, _node: &ChunkRef) -> Result<(), E> {
        Ok(())
    }

    /// A node could not be read. Without an error the comparison goes on behind the node.
    ///
    /// # Errors
    /// An error ends the comparison.
    fn unreadable(&mut self, _side: Side, _node: &ChunkRef, error: E) -> Result<(), E> {
        Err(error)
    }
}

/// A folder that may be walked into.
#[derive(Debug, Clone, Copy)]
pub struct FolderStep {
    /// Top node in the first tree.
    pub before: Option<ChunkRef>,
    /// Top node in the second tree.
    pub after: Option<ChunkRef>,
    /// Bytes of the path.
    pub path_bytes: usize,
    /// Folders above the folder, as for its entry.
    pub depth: usize,
}

/// A differing entry, as long as the enclosing nodes are in memory.
pub struct DiffEntry<'a> {
    /// In the first tree.
    pub before: Option<EntryView<'a>>,
    /// In the second tree.
    pub after: Option<EntryView<'a>>,
    pending: &'a PendingFolders,
}

impl DiffEntry<'_> {
    /// Name of the entry; empty for the root.
    pub fn name(&self) -> &[u8] {
        name_of(self.before, self.after)
    }

    /// Folders above the entry; 0 for the root.
    pub fn depth(&self) -> usize {
        self.pending.depth()
    }

    /// Path of the entry, made anew at each call.
    pub fn path(&self) -> Vec<u8> {
        self.pending.path(self.name())
    }

    /// Stands for the path across comparisons, at a cost independent of the path's length.
    pub fn path_hash(&self) -> Hash {
        self.pending.path_hash(self.name())
    }
}

fn name_of<'a>(before: Option<EntryView<'a>>, after: Option<EntryView<'a>>) -> &'a [u8] {
    after.or(before).map_or(&[], |view| &view.entry.name)
}

/// Progress and cost of a comparison.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walked {
    /// Folders entered, the root's included.
    pub folders: u64,
    /// Bytes of the nodes read.
    pub bytes: u64,
    /// Peak bytes of folders on the way and waiting folders.
    pub pending_bytes_peak: usize,
    /// False when the visitor ended or paused the comparison.
    pub is_complete: bool,
    /// The visitor paused the comparison.
    pub is_paused: bool,
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

    /// The same comparison, reporting only `interest`.
    #[must_use]
    pub fn only(self, interest: Interest) -> Self {
        Self { interest, ..self }
    }

    /// The same comparison, with a new bound for waiting folders, in bytes.
    #[must_use]
    pub fn with_pending_bytes_max(self, pending_bytes_max: usize) -> Self {
        Self { pending_bytes_max, ..self }
    }

    /// Compares, and tells `visitor`.
    ///
    /// # Errors
    /// Errors of `chunks` and of `visitor`; `Invalid` where a tree breaks a rule.
    pub fn run<C, V>(&self, chunks: &C, visitor: &mut V) -> Result<Walked, C::Error>
    where
        C: Chunks + ?Sized,
        V: Visitor<C::Error> + ?Sized,
    {
        self.begin().go_on(chunks, visitor)
    }

    /// The same comparison, for a visitor that pauses.
    pub fn begin(&self) -> OpenComparison {
        let is_same = self.pairs.before == self.pairs.after;
        let pending = (!is_same).then(|| PendingFolders::new(self.pairs, self.pending_bytes_max));
        let walked = Walked { folders: u64::from(!is_same), ..Walked::default() };
        OpenComparison { interest: self.interest, pending, walked }
    }
}

/// A comparison on its way. Holds the folders from the root down to the next one, and their waiting sub-folders.
pub struct OpenComparison {
    interest: Interest,
    /// None for two equal trees.
    pending: Option<PendingFolders>,
    walked: Walked,
}

impl OpenComparison {
    /// Bytes held between two calls.
    pub fn pending_bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, PendingFolders::bytes)
    }

    /// Compares on until the end, or until `visitor` ends or pauses the comparison. What was reported before is not
    /// reported again. After an error, or an end by `visitor`, the rest of a folder is missing.
    ///
    /// # Errors
    /// Errors of `chunks` and of `visitor`; `Invalid` where a tree breaks a rule.
    pub fn go_on<C, V>(&mut self, chunks: &C, visitor: &mut V) -> Result<Walked, C::Error>
    where
        C: Chunks + ?Sized,
        V: Visitor<C::Error> + ?Sized,
    {
        let Self { interest, pending: Some(pending), walked } = self else {
            return Ok(Walked { is_complete: true, ..self.walked });
        };
        let mut run = Run { chunks, visitor, interest: *interest, pending, walked };
        let end = run.go_on()?;
        let (is_complete, is_paused) = (end == RunEnd::Over, end == RunEnd::Paused);
        Ok(Walked { is_complete, is_paused, pending_bytes_peak: pending.bytes_peak(), ..*walked })
    }
}

struct Run<'r, C: ?Sized, V: ?Sized> {
    chunks: &'r C,
    visitor: &'r mut V,
    interest: Interest,
    pending: &'r mut PendingFolders,
    walked: &'r mut Walked,
}

/// How reading came to an end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RunEnd {
    /// Nothing is left, or what is left waits.
    Over,
    Paused,
    Ended,
}

/// A folder in both trees, read side by side.
struct Cursors<'c, C: ?Sized> {
    before: FolderCursor<'c, C>,
    after: FolderCursor<'c, C>,
}

impl<C: Chunks + ?Sized, V: Visitor<C::Error> + ?Sized> Run<'_, C, V> {
    fn go_on(&mut self) -> Result<RunEnd, C::Error> {
        loop {
            if self.visitor.pauses(self.walked) {
                return Ok(RunEnd::Paused);
            }
            match self.pending.next() {
                PendingStep::Over => return Ok(RunEnd::Over),
                PendingStep::Entered if self.pending.depth() > DEPTH_MAX => {
                    return Err(invalid("its folders are nested too deeply").into());
                }
                PendingStep::Entered => self.walked.folders += 1,
                PendingStep::Read(passed) => match self.read(passed.as_deref())? {
                    RunEnd::Over => {}
                    end => return Ok(end),
                },
            }
        }
    }

    /// Reads the innermost folder from behind a name on.
    fn read(&mut self, passed: Option<&[u8]>) -> Result<RunEnd, C::Error> {
        let Some(Pair { before, after }) = self.pending.innermost().map(|open| open.pair) else {
            return Ok(RunEnd::Over);
        };
        let mut cursors = Cursors {
            before: FolderCursor::new(self.chunks, before, passed),
            after: FolderCursor::new(self.chunks, after, passed),
        };
        loop {
            if !self.open_next(&mut cursors)? {
                return Ok(RunEnd::Ended);
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
            // Only here: a pause before the first name would have its nodes read again and again.
            let is_end_of_node = (order.is_le() && cursors.before.is_at_last())
                || (order.is_ge() && cursors.after.is_at_last());
            let is_paused = is_end_of_node && self.visitor.pauses(self.walked);
            if !has_room || is_paused {
                let read = if order.is_le() { a } else { b };
                self.pending.read_up_to(read.map(|view| view.entry.name.as_slice()));
                return Ok(if is_paused { RunEnd::Paused } else { RunEnd::Over });
            }
            if order.is_le() {
                cursors.before.advance();
            }
            if order.is_ge() {
                cursors.after.advance();
            }
        }
        self.pending.read_up_to(None);
        Ok(RunEnd::Over)
    }

    /// Reads nodes until the next entry of each folder can be seen, and steps over shared nodes.
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
            if !self.visitor.may_go_on(self.walked) {
                return Ok(false);
            }
            self.walked.bytes += u64::from(wanted.len);
            let cursor = if side == Side::After { &mut cursors.after } else { &mut cursors.before };
            let opened = match self.visitor.may_open(side, &wanted) {
                Ok(()) => cursor.open(),
                Err(error) => {
                    cursor.skip_node();
                    Err(error)
                }
            };
            if let Err(error) = opened {
                self.visitor.unreadable(side, &wanted, error)?;
            }
        }
    }

    /// Reports a name. Returns whether there is room for more waiting folders.
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
            self.visitor.entry(&DiffEntry { before, after, pending: self.pending })?;
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
        let depth = self.pending.depth();
        let step = FolderStep { before: pair.before, after: pair.after, path_bytes, depth };
        match self.visitor.folder(&step)? {
            Descend::Into => Ok(self.pending.push(name, pair)),
            Descend::Past => Ok(true),
        }
    }
}
