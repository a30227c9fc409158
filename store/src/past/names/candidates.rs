//! What a search keeps while it reads: paths that match, and when they were there. Never more than was asked for.

use crate::ledger::view::SnapshotRecord;
use larder_format::names::{NameRecord, NamesFilter};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A filter is not asked about more folders: it would say yes to one of them.
const FOLDERS_ASKED_MAX: usize = 64;
/// Bytes of paths that were deleted, before they are looked at again.
const GONE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Of a path, besides its bytes, about.
const GONE_PATH_BYTES: usize = 64;

/// A path that is or was there.
#[derive(Debug, Clone)]
pub struct NameHit {
    /// Bytes of the path.
    pub path: Vec<u8>,
    /// Whether it was a folder when it was last there.
    pub is_folder: bool,
    /// Whether the newest snapshot has it.
    pub is_there: bool,
    /// The oldest kept snapshot with the path.
    pub first: Arc<SnapshotRecord>,
    /// The newest kept snapshot with the path.
    pub last: Arc<SnapshotRecord>,
}

/// Takes changes of paths that match, in order.
pub(super) trait NameSink {
    /// False only where a block with this filter changes nothing.
    fn wants_block(&self, filter: &NamesFilter<'_>) -> bool;

    /// False only where no name of a folder changes anything.
    fn wants_folder(&self, folder: &[u8]) -> bool;

    /// A snapshot changed a path.
    fn take(&mut self, snapshot: u64, folder: &[u8], path: &[u8], change: &NameRecord<'_>);
}

/// A path that matches, and when it was there.
struct NameCandidate {
    is_folder: bool,
    /// From which snapshot on the path is there; none while it is not.
    since: Option<u64>,
    /// Kept snapshots with the path, as positions in the list: the first and the last.
    kept: Option<(usize, usize)>,
}

impl NameCandidate {
    /// The path was there until before `snapshot`.
    fn end(&mut self, snapshot: u64, records: &[Arc<SnapshotRecord>]) {
        let Some(since) = self.since.take() else { return };
        let position = |number| records.partition_point(|record| record.sequence < number);
        let (first, behind) = (position(since), position(snapshot));
        if first < behind {
            self.kept = Some((self.kept.map_or(first, |(first, _)| first), behind - 1));
        }
    }
}

/// The first paths that match and are kept, up to a limit.
pub(super) struct Candidates<'a> {
    records: &'a [Arc<SnapshotRecord>],
    limit: usize,
    /// Only these paths, where there is a list.
    only: Option<HashSet<Vec<u8>>>,
    candidates: HashMap<Vec<u8>, NameCandidate>,
    /// Folders of candidates, with the number of candidates in each.
    folders: HashMap<Vec<u8>, usize>,
    pub(super) has_more: bool,
    /// A path came after others had been passed over for want of a place. It may be one of them, and older than told.
    has_late_ones: bool,
}

impl<'a> Candidates<'a> {
    pub(super) fn new(records: &'a [Arc<SnapshotRecord>], limit: usize) -> Self {
        let (candidates, folders) = (HashMap::new(), HashMap::new());
        Self { records, limit, only: None, candidates, folders, has_more: false, has_late_ones: false }
    }

    /// Whether another reading is needed, of these paths alone and each from its beginning; begins it.
    pub(super) fn begins_anew(&mut self) -> bool {
        if !self.has_late_ones {
            return false;
        }
        self.only = Some(std::mem::take(&mut self.candidates).into_keys().collect());
        self.folders.clear();
        true
    }

    /// Of the deleted paths only.
    pub(super) fn of_gone(records: &'a [Arc<SnapshotRecord>], gone: GonePaths<'a>, limit: usize) -> Self {
        Self { only: Some(gone.paths), has_more: gone.has_more, ..Self::new(records, limit) }
    }

    /// Whether nothing can be found any more: only when it was there is still open.
    fn is_settled(&self) -> bool {
        self.has_more && self.candidates.len() >= self.limit
    }

    /// What was found, where nothing is known of snapshots after `told`.
    pub(super) fn hits(self, told: u64) -> Vec<NameHit> {
        let Self { records, candidates, .. } = self;
        let is_newest = records.last().is_some_and(|newest| newest.sequence <= told);
        let hit = |(path, mut candidate): (Vec<u8>, NameCandidate)| {
            let is_there = is_newest && candidate.since.is_some();
            candidate.end(told + 1, records);
            let (first, last) = candidate.kept?;
            let (first, last) = (records[first].clone(), records[last].clone());
            Some(NameHit { path, is_folder: candidate.is_folder, is_there, first, last })
        };
        let mut hits: Vec<_> = candidates.into_iter().filter_map(hit).collect();
        hits.sort_by(|a, b| a.path.cmp(&b.path));
        hits
    }
}

impl NameSink for Candidates<'_> {
    fn wants_block(&self, filter: &NamesFilter<'_>) -> bool {
        !self.is_settled()
            || self.folders.len() > FOLDERS_ASKED_MAX
            || self.folders.keys().any(|folder| filter.may_have_folder(folder))
    }

    fn wants_folder(&self, folder: &[u8]) -> bool {
        !self.is_settled() || self.folders.contains_key(folder)
    }

    fn take(&mut self, snapshot: u64, folder: &[u8], path: &[u8], change: &NameRecord<'_>) {
        if self.only.as_ref().is_some_and(|only| !only.contains(path)) {
            return;
        }
        let is_full = self.candidates.len() >= self.limit;
        match (self.candidates.get_mut(path), change.came) {
            (Some(candidate), true) => {
                candidate.is_folder = change.is_folder;
                // Told twice where its going was not told: a folder between could not be read.
                candidate.since.get_or_insert(snapshot);
            }
            (None, true) if is_full => self.has_more = true,
            (None, true) => {
                self.has_late_ones |= self.has_more;
                let candidate =
                    NameCandidate { is_folder: change.is_folder, since: Some(snapshot), kept: None };
                self.candidates.insert(path.to_vec(), candidate);
                match self.folders.get_mut(folder) {
                    Some(count) => *count += 1,
                    None => drop(self.folders.insert(folder.to_vec(), 1)),
                }
            }
            (Some(candidate), false) => {
                candidate.end(snapshot, self.records);
                // No kept snapshot has the path: the place is free for another.
                if candidate.kept.is_none() {
                    self.candidates.remove(path);
                    // Years of names that were let go of must not fill the memory with folders.
                    if let Some(count) = self.folders.get_mut(folder) {
                        *count -= 1;
                        if *count == 0 {
                            self.folders.remove(folder);
                        }
                    }
                }
            }
            (None, false) => {}
        }
    }
}

/// Paths that match and are not in the newest snapshot: whoever looks for them must not meet the limit at living ones.
pub(super) struct GonePaths<'a> {
    records: &'a [Arc<SnapshotRecord>],
    paths: HashSet<Vec<u8>>,
    bytes: usize,
    has_more: bool,
}

impl<'a> GonePaths<'a> {
    pub(super) fn new(records: &'a [Arc<SnapshotRecord>]) -> Self {
        Self { records, paths: HashSet::new(), bytes: 0, has_more: false }
    }
}

impl NameSink for GonePaths<'_> {
    fn wants_block(&self, _: &NamesFilter<'_>) -> bool {
        true
    }

    fn wants_folder(&self, _: &[u8]) -> bool {
        true
    }

    fn take(&mut self, snapshot: u64, _: &[u8], path: &[u8], change: &NameRecord<'_>) {
        let bytes = path.len() + GONE_PATH_BYTES;
        if change.came {
            if self.paths.remove(path) {
                self.bytes -= bytes;
            }
            return;
        }
        // What went before the oldest kept snapshot is in none.
        if self.records.first().is_none_or(|oldest| snapshot <= oldest.sequence) || self.paths.contains(path)
        {
            return;
        }
        if self.bytes + bytes > GONE_BYTES_MAX {
            self.has_more = true;
            return;
        }
        self.bytes += bytes;
        self.paths.insert(path.to_vec());
    }
}
