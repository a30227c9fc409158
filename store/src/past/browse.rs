//! Views of the past: folders, versions, differences and the bytes of files.
//!
//! Only requested parts are read: equal nodes are skipped, and memory holds one node and one chunk at a time. Not here:
//! reading a tree (`larder_format::tree::read`), presentation to a person or a program (`agent`).

use crate::core::Core;
use crate::core::maintenance::Wholeness;
use crate::ledger::view::SnapshotRecord;
use crate::upkeep::repair::survey::{self, Survey};
use crate::{Result, StoreError};
pub use larder_format::tree::read::Found;
use larder_format::tree::read::{
    self, Descend, DiffEntry, Entries, FolderStep, Looked, Lookups, Segment, Side, TreeComparison, Visitor,
    Walked,
};
use larder_format::tree::{Entry, Kind, Piece};
use larder_format::{ChunkRef, FormatError};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// Longest path followed by a comparison: a reader must not get paths of megabytes for every file in a deep tree.
const PATH_BYTES_MAX: usize = 64 * 1024;

/// Entry at a path.
pub type Lookup = Option<Found>;

/// A run of snapshots with the same entry at a path.
#[derive(Debug, Clone)]
pub struct Run {
    /// The first snapshot of the run.
    pub first: Arc<SnapshotRecord>,
    /// The last snapshot.
    pub last: Arc<SnapshotRecord>,
    /// Number of snapshots.
    pub snapshots: u64,
    /// The entry, without pieces and extended attributes; `None` where absent or not known.
    pub found: Lookup,
    /// False where a folder above the path is unreadable, so the entry is not known.
    pub is_known: bool,
    /// Whether the entry can be restored whole.
    pub is_whole: bool,
}

/// A folder, and how far down it is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedFolder {
    /// Its top node.
    pub top: ChunkRef,
    /// 1 for its own entries, 2 for those of its sub-folders too, and so on.
    pub levels: usize,
}

/// The end of a list of everything below a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedBelow {
    /// Number of entries passed on.
    pub entries: u64,
    /// Folders, and parts of large folders, that no disk gives back whole.
    pub unreadable: u64,
    /// False when nobody wanted more.
    pub is_complete: bool,
}

/// A path with a difference between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Bytes of the path, with `/` between names.
    pub path: Vec<u8>,
    /// In the first snapshot.
    pub before: Lookup,
    /// In the second.
    pub after: Lookup,
}

/// The entry at `path` in a snapshot; the empty path is the pushed folder itself.
///
/// # Errors
/// As `read_node`.
pub(crate) fn look_up(core: &Core, root: &ChunkRef, path: &[u8]) -> Result<Lookup> {
    read::find(core, root, path)
}

/// The entries of a folder, in the order of their names, one node in memory at a time.
pub(crate) fn entries(core: &Core, top: ChunkRef) -> Entries<'_, Core> {
    read::entries(core, top)
}

/// Every version of one path, oldest first. Snapshots before the first appearance are not a run, but snapshots of
/// unknown state are.
///
/// # Errors
/// As `read_node`, but for `Damaged`: one lost folder must not hide the whole versions.
pub(crate) fn versions(core: &Core, records: &[Arc<SnapshotRecord>], path: &[u8]) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut lookups, mut last) = (Lookups::new(path), None);
    for record in records {
        let (same, is_known) = match lookups.look(core, &record.snapshot.root) {
            Ok(Looked::Same) => (true, true),
            Ok(Looked::Found(found)) => {
                let same = last == found;
                last = found;
                (same, true)
            }
            // One lost folder must not hide the whole versions.
            Err(StoreError::Damaged { .. }) => {
                (lookups, last) = (Lookups::new(path), None);
                (true, false)
            }
            Err(error) => return Err(error),
        };
        match runs.last_mut() {
            Some(run) if same && run.is_known == is_known => {
                run.last = record.clone();
                run.snapshots += 1;
            }
            None if last.is_none() && is_known => {}
            _ => {
                let (first, newest, found) = (record.clone(), record.clone(), last.clone());
                runs.push(Run { first, last: newest, snapshots: 1, found, is_known, is_whole: is_known });
            }
        }
    }
    judge_runs(core, &mut runs);
    for run in &mut runs {
        run.found = run.found.take().map(|found| without_content(&found));
    }
    Ok(runs)
}

/// Notes versions not restorable whole.
fn judge_runs(core: &Core, runs: &mut [Run]) {
    // Without damage there is nothing to search.
    if core.damaged_chunks() == 0 && core.unreadable_packs() == 0 {
        return;
    }
    let scope = survey::LossScope::default();
    let mut survey = Survey::new(core, &scope, &|| true);
    for run in runs {
        if let Some(found) = &run.found {
            run.is_whole = survey.state_of(&found.entry.kind) == Wholeness::Whole;
        }
    }
}

/// Passes every differing path to `each`, in the order of a walk. Folders count as changed only by their own
/// attributes; the entries inside are passed separately. `go_on` is asked before each node is read, since folders
/// naming each other twice make a practically endless walk. `each` breaks when nobody wants more. Returns whether the walk
/// reached its end.
///
/// # Errors
/// As `read_node`.
pub(crate) fn diff(
    core: &Core,
    before: ChunkRef,
    after: ChunkRef,
    go_on: &dyn Fn() -> bool,
    each: &mut dyn FnMut(Difference) -> ControlFlow<()>,
) -> Result<bool> {
    let mut tell = Tell { go_on, each, flow: ControlFlow::Continue(()) };
    let walked = TreeComparison::new(Some(before), Some(after)).run(core, &mut tell)?;
    Ok(walked.is_complete && tell.flow.is_continue())
}

/// Passes everything below a folder, down to a level, to `each`, with paths from that folder on: the entries of a
/// folder, then those of each sub-folder. A damaged folder is counted, and the rest goes on. `go_on` and `each` as for `diff`.
///
/// # Errors
/// As `read_node`, but for `Damaged`.
pub(crate) fn list_below(
    core: &Core,
    ListedFolder { top, levels }: ListedFolder,
    go_on: &dyn Fn() -> bool,
    each: &mut dyn FnMut(&[u8], &Found) -> ControlFlow<()>,
) -> Result<ListedBelow> {
    let flow = ControlFlow::Continue(());
    let mut list = ListBelow { levels, go_on, each, flow, entries: 0, unreadable: 0 };
    let walked = TreeComparison::new(None, Some(top)).run(core, &mut list)?;
    let ListBelow { entries, unreadable, flow, .. } = list;
    Ok(ListedBelow { entries, unreadable, is_complete: walked.is_complete && flow.is_continue() })
}

/// Passes on the bytes of a file, piece by piece, from `range`; holes as zeros. `each` breaks when nobody wants more.
/// Returns whether every byte was passed on.
///
/// # Errors
/// As `read`.
pub(crate) fn file_bytes(
    core: &Core,
    pieces: &[Piece],
    range: Range<u64>,
    each: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<bool> {
    for segment in read::ranges(core, pieces.to_vec(), range) {
        match segment? {
            Segment::Chunk { chunk, within } => {
                let bytes = core.read(&chunk)?;
                if each(bytes.get(within).ok_or_else(nested)?).is_break() {
                    return Ok(false);
                }
            }
            Segment::Zeros(mut left) => {
                let zeros = [0; 64 * 1024];
                while left > 0 {
                    let step = left.min(zeros.len() as u64);
                    if each(&zeros[..usize::try_from(step).unwrap_or(zeros.len())]).is_break() {
                        return Ok(false);
                    }
                    left -= step;
                }
            }
        }
    }
    Ok(true)
}

/// Makes a list of a walk: beside no tree at all every entry differs.
struct ListBelow<'a> {
    levels: usize,
    go_on: &'a dyn Fn() -> bool,
    each: &'a mut dyn FnMut(&[u8], &Found) -> ControlFlow<()>,
    /// The last answer of `each`.
    flow: ControlFlow<()>,
    entries: u64,
    unreadable: u64,
}

impl Visitor<StoreError> for ListBelow<'_> {
    fn may_go_on(&mut self, _: &Walked) -> bool {
        self.flow.is_continue() && (self.go_on)()
    }

    fn entry(&mut self, entry: &DiffEntry<'_>) -> Result<()> {
        // Entries of one node still come after a break.
        if let Some(view) = entry.after
            && self.flow.is_continue()
        {
            self.entries += 1;
            self.flow = (self.each)(&entry.path(), &view.to_found());
        }
        Ok(())
    }

    fn folder(&mut self, folder: &FolderStep) -> Result<Descend> {
        match folder.depth + 1 < self.levels {
            true if folder.path_bytes > PATH_BYTES_MAX => Err(nested()),
            true => Ok(Descend::Into),
            false => Ok(Descend::Past),
        }
    }

    fn unreadable(&mut self, _: Side, _: &ChunkRef, error: StoreError) -> Result<()> {
        // One lost folder must not hide the others.
        let StoreError::Damaged { .. } = error else { return Err(error) };
        self.unreadable += 1;
        Ok(())
    }
}

/// Makes a `Difference` of each differing entry.
struct Tell<'a> {
    go_on: &'a dyn Fn() -> bool,
    each: &'a mut dyn FnMut(Difference) -> ControlFlow<()>,
    /// The last answer of `each`.
    flow: ControlFlow<()>,
}

impl Visitor<StoreError> for Tell<'_> {
    fn may_go_on(&mut self, _: &Walked) -> bool {
        self.flow.is_continue() && (self.go_on)()
    }

    fn entry(&mut self, entry: &DiffEntry<'_>) -> Result<()> {
        let [before, after] = [entry.before, entry.after].map(|view| view.map(|view| view.to_found()));
        // Entries of one node still come after a break.
        if self.flow.is_continue() {
            self.flow = (self.each)(Difference { path: entry.path(), before, after });
        }
        Ok(())
    }

    fn folder(&mut self, folder: &FolderStep) -> Result<Descend> {
        if folder.path_bytes > PATH_BYTES_MAX { Err(nested()) } else { Ok(Descend::Into) }
    }
}

/// The part of an entry shown in a list of versions. Two thousand versions with their pieces and attributes would be
/// hundreds of megabytes.
fn without_content(Found { entry, owner }: &Found) -> Found {
    let kind = match &entry.kind {
        Kind::File { size, .. } => Kind::File { size: *size, pieces: Vec::new() },
        other => other.clone(),
    };
    let Entry { name, mode, modified, hard_link, .. } = entry;
    let (name, xattrs) = (name.clone(), Vec::new());
    let entry =
        Entry { name, owner: 0, mode: *mode, modified: *modified, hard_link: *hard_link, xattrs, kind };
    Found { entry, owner: owner.clone() }
}

fn nested() -> StoreError {
    StoreError::Refused(FormatError::Invalid { what: "a stored tree", why: "it contradicts itself" })
}
