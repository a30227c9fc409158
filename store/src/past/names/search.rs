//! Finding names over all time: each file is read once from front to back.

use super::pattern::Pattern;
use super::{Extent, NameIndex, mark_of};
use crate::ledger::view::SnapshotRecord;
use crate::{Result, StoreError};
use larder_format::FormatError;
use larder_format::names::{
    Coverage, FILE_HEADER_BYTES, HEADER_BYTES, NameRecord, NamesBlock, NamesDecoder, NamesFilter, NamesHeader,
};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

/// Read at once.
const READ_BYTES: usize = 1024 * 1024;
/// A filter is not asked about more folders: it would say yes to one of them.
const FOLDERS_ASKED_MAX: usize = 64;

/// What to find.
#[derive(Clone, Copy)]
pub struct NameQuery<'a> {
    /// A part of a name, or a pattern with `*` and `?`; with `/` about whole paths.
    pub typed: &'a str,
    /// Hits at most.
    pub limit: usize,
    /// Whether the asker still waits; asked at each block.
    pub go_on: &'a dyn Fn() -> bool,
}

/// A path that is or was there.
#[derive(Debug, Clone)]
pub struct NameHit {
    /// Bytes of the path.
    pub path: Vec<u8>,
    /// Whether it was a folder when it was last there.
    pub is_folder: bool,
    /// The oldest kept snapshot with the path.
    pub first: Arc<SnapshotRecord>,
    /// The newest kept snapshot with the path.
    pub last: Arc<SnapshotRecord>,
}

/// The paths found in one source.
#[derive(Debug, Clone, Default)]
pub struct NamesFound {
    /// In the order of their paths.
    pub hits: Vec<NameHit>,
    /// There may be more than the limit allows.
    pub has_more: bool,
    /// Every kept snapshot was searched, and nothing was left out.
    pub is_complete: bool,
}

/// Searches one source, whose kept snapshots are `records`, oldest first.
///
/// # Errors
/// `Disk` when the file cannot be read. A damaged file is searched as far as it is whole, and removed.
pub(crate) fn find(
    index: &NameIndex,
    records: &[Arc<SnapshotRecord>],
    query: &NameQuery<'_>,
) -> Result<NamesFound> {
    let Some(newest) = records.last() else {
        return Ok(NamesFound { is_complete: true, ..NamesFound::default() });
    };
    let failed = |source| StoreError::Disk { path: index.folder().display().to_string(), source };
    let Some(mut file) = index.open(&newest.snapshot.source).map_err(failed)? else {
        return Ok(NamesFound::default());
    };
    let extent = Extent::of(&mut file).map_err(failed)?;
    file.seek(SeekFrom::Start(FILE_HEADER_BYTES as u64)).map_err(failed)?;
    let bytes = extent.whole_bytes - FILE_HEADER_BYTES as u64;
    let pattern = Pattern::new(query.typed);
    let mut search = NameSearch {
        pattern: &pattern,
        query,
        candidates: HashMap::new(),
        folders: HashSet::new(),
        path: Vec::new(),
        records,
        has_more: false,
    };
    let is_read = search.read(BufReader::with_capacity(READ_BYTES, file), bytes).map_err(failed)?;
    if !is_read && (query.go_on)() {
        // Found by the job as missing, and made anew.
        index.remove(&newest.snapshot.source).map_err(failed)?;
    }
    let is_told = extent.snapshots.last().is_some_and(|mark| *mark == mark_of(newest, Coverage::Whole));
    let has_gaps = extent.snapshots.iter().any(|mark| mark.told == Coverage::WithGaps);
    Ok(NamesFound {
        has_more: search.has_more,
        is_complete: is_read && is_told && !has_gaps,
        hits: search.hits(),
    })
}

/// A path that matches, and when it was there.
struct NameCandidate {
    is_folder: bool,
    /// From which snapshot on the path is there; none while it is not.
    since: Option<u64>,
    /// Kept snapshots with the path, as positions in the list: the first and the last.
    kept: Option<(usize, usize)>,
}

struct NameSearch<'a> {
    pattern: &'a Pattern,
    query: &'a NameQuery<'a>,
    candidates: HashMap<Vec<u8>, NameCandidate>,
    /// Folders of candidates of now and before.
    folders: HashSet<Vec<u8>>,
    path: Vec<u8>,
    records: &'a [Arc<SnapshotRecord>],
    has_more: bool,
}

impl NameSearch<'_> {
    /// Returns whether every block was read, or was seen to have nothing.
    fn read(&mut self, mut file: BufReader<File>, mut left: u64) -> io::Result<bool> {
        let mut decoder = NamesDecoder::default();
        let (mut header, mut filter, mut packed) = ([0; HEADER_BYTES], Vec::new(), Vec::new());
        while left > 0 {
            file.read_exact(&mut header)?;
            let Ok(header) = NamesHeader::read(&header) else { return Ok(false) };
            left = left.saturating_sub(header.block_len() as u64);
            filter.resize(header.filter_len, 0);
            file.read_exact(&mut filter)?;
            let Ok(head) = header.with_filter(&filter) else { return Ok(false) };
            if !(self.query.go_on)() {
                return Ok(false);
            }
            if !self.may_have_news(&head.filter) {
                // Within what was read ahead: the disk is read from front to back all the same.
                file.seek_relative(i64::try_from(header.packed_len).unwrap_or(i64::MAX))?;
                continue;
            }
            packed.resize(header.packed_len, 0);
            file.read_exact(&mut packed)?;
            let Ok(block) = decoder.unpack(&head, &packed) else { return Ok(false) };
            if self.look_through(header.mark.snapshot, &block).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// False only where a block changes nothing about what is found.
    fn may_have_news(&self, filter: &NamesFilter<'_>) -> bool {
        self.pattern.may_have(filter)
            && (!self.only_candidates()
                || self.folders.len() > FOLDERS_ASKED_MAX
                || self.folders.iter().any(|folder| filter.may_have_folder(folder)))
    }

    /// Whether nothing can be found anymore: only when it was there is still open.
    fn only_candidates(&self) -> bool {
        self.has_more && self.candidates.len() >= self.query.limit
    }

    fn look_through(&mut self, snapshot: u64, block: &NamesBlock<'_>) -> Result<(), FormatError> {
        // Nearly always false: blocks are looked through at the speed of memory, records one by one.
        let pattern = self.pattern;
        if !pattern.may_be_in(block.lower) {
            return Ok(());
        }
        for group in block.groups() {
            let group = group?;
            let is_of_candidates = || self.folders.contains(group.folder);
            if !pattern.may_be_in(group.lower) || self.only_candidates() && !is_of_candidates() {
                continue;
            }
            let mut test = pattern.in_folder(group.folded_folder);
            for record in group.records() {
                let record = record?;
                if test.is_meant(record.folded) {
                    group.path_of(record.name, &mut self.path);
                    self.take(snapshot, group.folder, &record);
                }
            }
        }
        Ok(())
    }

    /// A change of a path that matches, `self.path`.
    fn take(&mut self, snapshot: u64, folder: &[u8], change: &NameRecord<'_>) {
        let is_full = self.candidates.len() >= self.query.limit;
        match (self.candidates.get_mut(&self.path), change.came) {
            (Some(candidate), true) => {
                (candidate.is_folder, candidate.since) = (change.is_folder, Some(snapshot));
            }
            (None, true) if is_full => self.has_more = true,
            (None, true) => {
                let candidate =
                    NameCandidate { is_folder: change.is_folder, since: Some(snapshot), kept: None };
                self.candidates.insert(self.path.clone(), candidate);
                if !self.folders.contains(folder) {
                    self.folders.insert(folder.to_vec());
                }
            }
            (Some(candidate), false) => {
                candidate.end(snapshot, self.records);
                // No kept snapshot has the path: the place is free for another.
                if candidate.kept.is_none() {
                    self.candidates.remove(&self.path);
                }
            }
            (None, false) => {}
        }
    }

    fn hits(self) -> Vec<NameHit> {
        let records = self.records;
        let hit = |(path, mut candidate): (Vec<u8>, NameCandidate)| {
            candidate.end(u64::MAX, records);
            let (first, last) = candidate.kept?;
            let (first, last) = (records[first].clone(), records[last].clone());
            Some(NameHit { path, is_folder: candidate.is_folder, first, last })
        };
        let mut hits: Vec<_> = self.candidates.into_iter().filter_map(hit).collect();
        hits.sort_by(|a, b| a.path.cmp(&b.path));
        hits
    }
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
