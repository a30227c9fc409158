//! Telling the files of names what each snapshot changed.

use super::{Extent, NameIndex, mark_of};
use crate::core::Core;
use crate::ledger::view::SnapshotRecord;
use crate::{Result, StoreError};
use larder_format::ChunkRef;
use larder_format::names::{Coverage, NameChange, NamesEncoder, PATH_BYTES_MAX};
use larder_format::tree::read::{
    Descend, DiffEntry, EntryView, FolderStep, Side, TreeComparison, Visitor, Walked,
};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// A file is made anew when more of its snapshots were let go of than are kept, and at least so many.
const LET_GO_MIN: usize = 32;

/// Bytes of paths for each byte that a file may have: names that repeat shrink much.
const PATHS_TO_FILE: u64 = 4;

/// Limits of the work for one snapshot; a device can make trees of 2^40 paths.
#[derive(Clone, Copy)]
pub struct NamesBudget<'a> {
    /// Folders entered.
    pub folders_max: u64,
    /// Bytes of nodes read.
    pub node_bytes_max: u64,
    /// Bytes of one source's file. The paths of one snapshot take four times as much at most.
    pub file_bytes_max: u64,
    /// Whether to go on; asked before each node. A snapshot broken off is told from its beginning next time.
    pub go_on: &'a dyn Fn() -> bool,
}

/// Tells the oldest of `records` that the file of their source does not know; `records` are the kept snapshots of one source,
/// oldest first. Returns whether more are left.
///
/// # Errors
/// `Disk` when a node cannot be read, or the file not be written.
pub(crate) fn tell_next(
    core: &Core,
    index: &NameIndex,
    records: &[Arc<SnapshotRecord>],
    budget: &NamesBudget<'_>,
) -> Result<bool> {
    let Some(newest) = records.last() else { return Ok(false) };
    let source = &newest.snapshot.source;
    let failed = |source| StoreError::Disk { path: index.folder().display().to_string(), source };
    let (mut file, extent) = open_to_go_on(index, source, records).map_err(failed)?;
    // What is not told in order cannot be told later: differences are from one snapshot to the next.
    let last = extent.snapshots.last().map_or(0, |mark| mark.snapshot);
    let next = records.partition_point(|record| record.sequence <= last);
    let Some(record) = records.get(next) else { return Ok(false) };
    let before = next.checked_sub(1).map(|before| records[before].snapshot.root);
    let has_gaps = extent.whole_bytes > budget.file_bytes_max;
    let encoder = NamesEncoder::default();
    let file_bytes = extent.whole_bytes;
    let mut teller =
        Teller { file: &mut file, index, encoder, record, budget, has_gaps, file_bytes, path_bytes: 0 };
    // Half a snapshot stays behind the last whole one until the next attempt, and nobody reads it.
    let is_told = teller.tell(core, before)?;
    Ok(!is_told || next + 1 < records.len())
}

/// The file at the end of its last whole snapshot; a new one where the old one is of no use.
fn open_to_go_on(
    index: &NameIndex,
    source: &str,
    records: &[Arc<SnapshotRecord>],
) -> io::Result<(File, Extent)> {
    if let Some(mut file) = index.open(source)? {
        let extent = Extent::of(&mut file)?;
        let let_go = extent.let_go(records);
        let is_worth = let_go < LET_GO_MIN.max(extent.snapshots.len() - let_go);
        // The next difference is from the snapshot told last, so that one must be there.
        let goes_on = extent.snapshots.last().is_none_or(|mark| {
            let at = records.binary_search_by_key(&mark.snapshot, |record| record.sequence);
            at.is_ok_and(|at| extent.has(&records[at]))
        });
        // A snapshot that was set aside, and counts again, cannot be told between others.
        if is_worth && goes_on && extent.has_all_up_to_its_last(records) {
            let file = std::fs::OpenOptions::new().append(true).open(index.path_of(source))?;
            // Half a snapshot would be taken for the beginning of the next.
            file.set_len(extent.whole_bytes)?;
            return Ok((file, extent));
        }
    }
    let mut file = index.create(source)?;
    let extent = Extent::of(&mut file)?;
    Ok((file, extent))
}

/// Writes the changes of one snapshot.
struct Teller<'a> {
    file: &'a mut File,
    index: &'a NameIndex,
    encoder: NamesEncoder,
    record: &'a SnapshotRecord,
    budget: &'a NamesBudget<'a>,
    has_gaps: bool,
    /// Bytes of the file so far.
    file_bytes: u64,
    /// Bytes of the paths told of this snapshot.
    path_bytes: u64,
}

impl Teller<'_> {
    /// Returns whether the snapshot was told to its end; false when the agent stops. A file that is too large already is
    /// told nothing but that something is missing.
    fn tell(&mut self, core: &Core, before: Option<ChunkRef>) -> Result<bool> {
        if !self.has_gaps {
            let walked = TreeComparison::new(before, Some(self.record.snapshot.root)).run(core, self)?;
            self.has_gaps |= !walked.is_complete;
        }
        if !(self.budget.go_on)() {
            return Ok(false);
        }
        self.write(if self.has_gaps { Coverage::WithGaps } else { Coverage::Whole })?;
        Ok(true)
    }

    fn write(&mut self, told: Coverage) -> Result<()> {
        let block = self.encoder.finish(mark_of(self.record, told));
        let failed = |source| StoreError::Disk { path: self.index.folder().display().to_string(), source };
        self.file_bytes += block.len() as u64;
        self.file.write_all(&block).map_err(failed)
    }
}

impl Visitor<StoreError> for Teller<'_> {
    fn may_go_on(&mut self, so_far: &Walked) -> bool {
        so_far.folders <= self.budget.folders_max
            && so_far.bytes <= self.budget.node_bytes_max
            // A device can make a tree of few nodes and millions of long paths.
            && self.file_bytes <= self.budget.file_bytes_max
            && self.path_bytes / PATHS_TO_FILE <= self.budget.file_bytes_max
            && (self.budget.go_on)()
    }

    fn entry(&mut self, entry: &DiffEntry<'_>) -> Result<()> {
        let is_folder = |view: EntryView<'_>| view.folder().is_some();
        let (went, came) = (entry.before.map(is_folder), entry.after.map(is_folder));
        // The root is the pushed folder itself.
        if went == came || entry.depth() == 0 {
            return Ok(());
        }
        let path = entry.path();
        if path.len() > PATH_BYTES_MAX {
            self.has_gaps = true;
            return Ok(());
        }
        // A file in place of a folder of the same name went as one, and came as the other.
        for (came, is_folder) in [(false, went), (true, came)] {
            let Some(is_folder) = is_folder else { continue };
            self.path_bytes += path.len() as u64;
            if self.encoder.push(&NameChange { path: &path, came, is_folder }) {
                self.write(Coverage::Partly)?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, folder: &FolderStep) -> Result<Descend> {
        if folder.path_bytes < PATH_BYTES_MAX {
            return Ok(Descend::Into);
        }
        self.has_gaps = true;
        Ok(Descend::Past)
    }

    fn unreadable(&mut self, _: Side, _: &ChunkRef, error: StoreError) -> Result<()> {
        match error {
            // One lost folder must not hide the names of all others.
            StoreError::Damaged { .. } | StoreError::Refused(_) => {
                self.has_gaps = true;
                Ok(())
            }
            error => Err(error),
        }
    }
}
