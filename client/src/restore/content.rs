//! Whether an entry of this computer has the content of an entry of a tree.
//!
//! By its bytes, not by size and time alone: after a power cut a disk may hold the length of a file without the content.
//! Attributes do not count. Not here: what follows from it (`already`, `replacing`).

use crate::{
    ClientError,
    past::tree_reader::TreeReader,
    platform::{FileKind, FileStatus, FolderRef, SystemError, next_data, read_at, read_exact_at},
    progress::ToldBytes,
};
use larder_format::{
    Hash,
    cut::CHUNK_BYTES_MAX,
    tree::{
        Kind, Piece,
        read::{Segment, ranges},
    },
};
use std::{fs::File, io};

/// A name, and the content that may stand there.
#[derive(Clone, Copy)]
pub(crate) struct ContentCheck<'a> {
    pub(crate) folder: FolderRef<'a>,
    pub(crate) name: &'a [u8],
    pub(crate) kind: &'a Kind,
}

/// Whether the entry, of this status, is of this kind and content. Attributes do not count.
pub(crate) fn has_content(
    reader: &TreeReader<'_>,
    ContentCheck { folder, name, kind }: ContentCheck<'_>,
    status: &FileStatus,
) -> Result<bool, SystemError> {
    Ok(match kind {
        Kind::File { size, pieces } => {
            status.kind == FileKind::File
                && status.size == *size
                // Unreadable bytes, on either side, are not the same.
                && holds(reader, &folder.open_file(name)?, *size, pieces).unwrap_or(false)
        }
        Kind::Symlink(target) => folder.read_link(name)? == *target,
        kind => status.special_kind().as_ref() == Some(kind),
    })
}

/// Why nobody can tell whether bytes are the same.
pub(crate) enum ContentTrouble {
    /// The file here cannot be read.
    Here(io::Error),
    /// A list of pieces cannot be read.
    Stored(ClientError),
}

/// Whether the file's bytes are these pieces. While they are read they count as passed; afterwards the caller says whether
/// the file is done with.
///
/// # Errors
/// Where a side cannot be read before a difference is found.
pub(crate) fn holds(
    reader: &TreeReader<'_>,
    file: &File,
    size: u64,
    pieces: &[Piece],
) -> Result<bool, ContentTrouble> {
    let told = ToldBytes::default();
    let is_same = is_made_of(reader, file, size, pieces, &told);
    told.finish(reader.progress(), 0);
    is_same
}

fn is_made_of(
    reader: &TreeReader<'_>,
    file: &File,
    size: u64,
    pieces: &[Piece],
    told: &ToldBytes,
) -> Result<bool, ContentTrouble> {
    let (mut offset, mut bytes) = (0u64, Vec::new());
    for segment in ranges(&reader.lists(), pieces.to_vec(), 0..size) {
        let (is_same, len) = match segment {
            Err(error) => return Err(ContentTrouble::Stored(error)),
            Ok(Segment::Zeros(len)) => (is_zero(file, offset, offset.saturating_add(len))?, len),
            Ok(Segment::Chunk { chunk, within }) => {
                // A length beyond every chunk would only take memory.
                bytes.resize(within.len().min(CHUNK_BYTES_MAX), 0);
                let is_same = match read_exact_at(file, &mut bytes, offset) {
                    Ok(()) => Hash::of(&bytes) == chunk.id,
                    // It is shorter by now.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
                    Err(error) => return Err(ContentTrouble::Here(error)),
                };
                (is_same, within.len() as u64)
            }
        };
        if !is_same {
            return Ok(false);
        }
        offset = offset.saturating_add(len);
        told.add(reader.progress(), len);
    }
    Ok(true)
}

/// Whether there are only zeros from `at` to `end`. Holes are passed by, or a hole of a terabyte would take an hour.
fn is_zero(file: &File, mut at: u64, end: u64) -> Result<bool, ContentTrouble> {
    let mut bytes = [0; 64 * 1024];
    while at < end {
        let Some(data) = next_data(file, at) else { return Ok(true) };
        at = data;
        let len = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
        match read_at(file, &mut bytes[..len], at) {
            Ok(0) => return Ok(len == 0),
            Ok(read) if bytes[..read].iter().all(|byte| *byte == 0) => at += read as u64,
            Ok(_) => return Ok(false),
            Err(error) => return Err(ContentTrouble::Here(error)),
        }
    }
    Ok(true)
}
