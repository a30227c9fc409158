//! Finding names over all time: each file is read once from front to back.

use super::candidates::{Candidates, GonePaths, NameHit, NameSink};
use super::pattern::Pattern;
use super::{Extent, NameIndex, mark_of};
use crate::ledger::view::SnapshotRecord;
use crate::{Result, StoreError};
use larder_format::FormatError;
use larder_format::names::{
    Coverage, FILE_HEADER_BYTES, HEADER_BYTES, NamesBlock, NamesDecoder, NamesHeader,
};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

/// Read at once.
const READ_BYTES: usize = 1024 * 1024;

/// What to find.
#[derive(Clone, Copy)]
pub struct NameQuery<'a> {
    /// A part of a name, or a pattern with `*` and `?`; with `/` about whole paths.
    pub typed: &'a str,
    /// Whether only what is not in the newest snapshot.
    pub is_deleted: bool,
    /// Hits at most.
    pub limit: usize,
    /// Whether to go on; asked at each block. What was found until then is told, as incomplete.
    pub go_on: &'a dyn Fn() -> bool,
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
    let mut reader = NamesReader {
        pattern: Pattern::new(query.typed),
        go_on: query.go_on,
        file: BufReader::with_capacity(READ_BYTES, file),
        bytes: extent.whole_bytes - FILE_HEADER_BYTES as u64,
        path: Vec::new(),
        told: 0,
    };
    let (mut candidates, mut is_read) = (Candidates::new(records, query.limit), true);
    if query.is_deleted {
        let mut gone = GonePaths::new(records);
        is_read = reader.read(&mut gone).map_err(failed)?;
        candidates = Candidates::of_gone(records, gone, query.limit);
    }
    is_read = is_read && reader.read(&mut candidates).map_err(failed)?;
    if candidates.begins_anew() {
        is_read = is_read && reader.read(&mut candidates).map_err(failed)?;
    }
    if !is_read && (query.go_on)() {
        // Found by the job as missing, and made anew.
        index.remove(&newest.snapshot.source).map_err(failed)?;
    }
    let is_told = extent.snapshots.last().is_some_and(|mark| *mark == mark_of(newest, Coverage::Whole))
        && extent.has_all_up_to_its_last(records);
    let has_gaps = extent.snapshots.iter().any(|mark| mark.told == Coverage::WithGaps);
    Ok(NamesFound {
        has_more: candidates.has_more,
        is_complete: is_read && is_told && !has_gaps,
        hits: candidates.hits(reader.told),
    })
}

/// Reads the file of a source from front to back.
struct NamesReader<'a> {
    pattern: Pattern,
    go_on: &'a dyn Fn() -> bool,
    file: BufReader<File>,
    bytes: u64,
    path: Vec<u8>,
    /// The newest snapshot that was read to its end.
    told: u64,
}

impl NamesReader<'_> {
    /// Tells `sink` every change of a path that matches. Returns whether every block was read, or was seen to have nothing.
    fn read(&mut self, sink: &mut dyn NameSink) -> io::Result<bool> {
        match self.read_blocks(sink) {
            // Shorter than its headers said a moment ago.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            read => read,
        }
    }

    fn read_blocks(&mut self, sink: &mut dyn NameSink) -> io::Result<bool> {
        self.file.seek(SeekFrom::Start(FILE_HEADER_BYTES as u64))?;
        let mut decoder = NamesDecoder::default();
        let (mut header, mut filter, mut packed) = ([0; HEADER_BYTES], Vec::new(), Vec::new());
        let mut left = self.bytes;
        self.told = 0;
        while left > 0 {
            self.file.read_exact(&mut header)?;
            let Ok(header) = NamesHeader::read(&header) else { return Ok(false) };
            left = left.saturating_sub(header.block_len() as u64);
            filter.resize(header.filter_len, 0);
            self.file.read_exact(&mut filter)?;
            let Ok(head) = header.with_filter(&filter) else { return Ok(false) };
            if !(self.go_on)() {
                return Ok(false);
            }
            if !self.pattern.may_have(&head.filter) || !sink.wants_block(&head.filter) {
                // Within what was read ahead: the disk is read from front to back all the same.
                self.file.seek_relative(i64::try_from(header.packed_len).unwrap_or(i64::MAX))?;
                self.passed(&header);
                continue;
            }
            packed.resize(header.packed_len, 0);
            self.file.read_exact(&mut packed)?;
            let Ok(block) = decoder.unpack(&head, &packed) else { return Ok(false) };
            if self.look_through(header.mark.snapshot, &block, sink).is_err() {
                return Ok(false);
            }
            self.passed(&header);
        }
        Ok(true)
    }

    fn passed(&mut self, header: &NamesHeader) {
        if header.mark.told != Coverage::Partly {
            self.told = header.mark.snapshot;
        }
    }

    fn look_through(
        &mut self,
        snapshot: u64,
        block: &NamesBlock<'_>,
        sink: &mut dyn NameSink,
    ) -> Result<(), FormatError> {
        // Nearly always false: blocks are looked through at the speed of memory, records one by one.
        if !self.pattern.may_be_in(block.lower) {
            return Ok(());
        }
        for group in block.groups() {
            let group = group?;
            if !self.pattern.may_be_in(group.lower) || !sink.wants_folder(group.folder) {
                continue;
            }
            let mut test = self.pattern.in_folder(group.folded_folder);
            for record in group.records() {
                let record = record?;
                if test.is_meant(record.folded) {
                    group.path_of(record.name, &mut self.path);
                    sink.take(snapshot, group.folder, &self.path, &record);
                }
            }
        }
        Ok(())
    }
}
