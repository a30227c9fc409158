//! The index of names: where and when a path was, over all snapshots of a source.
//!
//! One file a source, in a folder beside the index, made from the snapshots and never needed for anything else: a broken
//! file is removed and made anew. A snapshot adds its differences from the snapshot before, so a look at each tree is
//! taken once. What was let go of is found no more at once, and leaves the files when most of a file speaks of it. Why so: docs/why/018-names.md. Not
//! here: the bytes of a file (`larder_format::names`), when the work is done (the agent).

mod build;
mod candidates;
mod pattern;
mod search;

pub use build::NamesBudget;
pub(crate) use build::tell_next;
pub use candidates::NameHit;
pub(crate) use search::find;
pub use search::{NameQuery, NamesFound};

use crate::ledger::view::SnapshotRecord;
use larder_format::Hash;
use larder_format::names::{Coverage, FILE_HEADER_BYTES, HEADER_BYTES, NamesHeader, NamesMark, file_header};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder with the files, and the vault that they belong to.
#[derive(Debug, Clone)]
pub struct NameIndex {
    folder: PathBuf,
    vault: [u8; 16],
}

impl NameIndex {
    /// The index of names of `vault` in `folder`, which is made when something is written.
    pub fn new(folder: PathBuf, vault: [u8; 16]) -> Self {
        Self { folder, vault }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Names of sources are any text, names of files are not.
    fn path_of(&self, source: &str) -> PathBuf {
        self.folder.join(format!("{}.names", Hash::of(source.as_bytes())))
    }

    /// Bytes that the names of a source take; 0 where none are told.
    pub fn bytes_of(&self, source: &str) -> u64 {
        fs::metadata(self.path_of(source)).map_or(0, |file| file.len())
    }

    /// The file of a source to read, behind its header; none where there is no file of this vault.
    fn open(&self, source: &str) -> io::Result<Option<File>> {
        let mut file = match File::open(self.path_of(source)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut header = [0; FILE_HEADER_BYTES];
        match file.read_exact(&mut header) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            read => read.map(|()| (header == file_header(&self.vault)).then_some(file)),
        }
    }

    /// A new, empty file in place of any other.
    fn create(&self, source: &str) -> io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        self.remove(source)?;
        let path = self.path_of(source);
        let mut file = OpenOptions::new().read(true).append(true).create_new(true).open(path)?;
        io::Write::write_all(&mut file, &file_header(&self.vault))?;
        Ok(file)
    }

    fn remove(&self, source: &str) -> io::Result<()> {
        match fs::remove_file(self.path_of(source)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes files of sources that are no more.
    ///
    /// # Errors
    /// Whatever the filesystem says.
    pub fn keep_only<'a>(&self, sources: impl Iterator<Item = &'a String>) -> io::Result<()> {
        let kept: Vec<_> = sources.map(|source| self.path_of(source)).collect();
        let listed = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            listed => listed?,
        };
        for entry in listed {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "names") && !kept.contains(&path) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// How far a file goes: everything behind is of a snapshot that was not told to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Extent {
    /// Bytes up to the end of the last whole snapshot.
    whole_bytes: u64,
    /// Snapshots told, in order.
    snapshots: Vec<NamesMark>,
}

impl Extent {
    /// Reads the headers alone; a frame is checked when it is searched.
    fn of(file: &mut File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let mut extent = Self { whole_bytes: FILE_HEADER_BYTES as u64, snapshots: Vec::new() };
        let mut at = extent.whole_bytes;
        let mut bytes = [0; HEADER_BYTES];
        while at + HEADER_BYTES as u64 <= len {
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut bytes)?;
            let Ok(header) = NamesHeader::read(&bytes) else { break };
            at += header.block_len() as u64;
            if at > len {
                break;
            }
            if header.mark.told != Coverage::Partly {
                extent.snapshots.push(header.mark);
                extent.whole_bytes = at;
            }
        }
        Ok(extent)
    }

    /// Whether the file says something of this snapshot.
    fn has(&self, record: &SnapshotRecord) -> bool {
        let mark = mark_of(record, Coverage::Whole);
        // Numbers rise.
        let at = self.snapshots.binary_search_by_key(&mark.snapshot, |told| told.snapshot);
        at.is_ok_and(|at| self.snapshots[at].root == mark.root)
    }

    /// Whether none of `records`, as far as the file goes, is missing in it.
    fn has_all_up_to_its_last(&self, records: &[Arc<SnapshotRecord>]) -> bool {
        let last = self.snapshots.last().map_or(0, |mark| mark.snapshot);
        records.iter().take_while(|record| record.sequence <= last).all(|record| self.has(record))
    }

    /// How many told snapshots are kept no more, where `records` are kept.
    fn let_go(&self, records: &[Arc<SnapshotRecord>]) -> usize {
        let is_kept =
            |mark: &NamesMark| records.binary_search_by_key(&mark.snapshot, |record| record.sequence).is_ok();
        self.snapshots.iter().filter(|mark| !is_kept(mark)).count()
    }
}

fn mark_of(record: &SnapshotRecord, told: Coverage) -> NamesMark {
    NamesMark::new(record.sequence, &record.snapshot.root.id, told)
}
