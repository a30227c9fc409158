//! Whether an entry of this computer has the content of an entry of a tree.
//!
//! By its bytes, not by size and time alone: after a power cut a disk may hold the length of a file without the content.
//! Attributes do not count. Not here: what follows from it (`already`, `replacing`).

use crate::{
    past::tree_reader::TreeReader,
    platform::{FileKind, FileStatus, FolderRef, SystemError, next_data, read_at, read_exact_at},
};
use larder_format::{
    Hash,
    cut::CHUNK_BYTES_MAX,
    tree::{
        Kind, Piece,
        read::{Segment, ranges},
    },
};
use std::fs::File;

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
                && holds(reader, &folder.open_file(name)?, *size, pieces)
        }
        Kind::Symlink(target) => folder.read_link(name)? == *target,
        kind => status.special_kind().as_ref() == Some(kind),
    })
}

/// Whether the file's bytes are these pieces. Unreadable bytes, on either side, are not.
pub(crate) fn holds(reader: &TreeReader<'_>, file: &File, size: u64, pieces: &[Piece]) -> bool {
    let (mut offset, mut bytes) = (0u64, Vec::new());
    for segment in ranges(&reader.lists(), pieces.to_vec(), 0..size) {
        let (is_same, len) = match segment {
            Err(_) => return false,
            Ok(Segment::Zeros(len)) => (is_zero(file, offset, offset.saturating_add(len)), len),
            Ok(Segment::Chunk { chunk, within }) => {
                // A length beyond every chunk would only take memory.
                bytes.resize(within.len().min(CHUNK_BYTES_MAX), 0);
                let is_same = read_exact_at(file, &mut bytes, offset).is_ok() && Hash::of(&bytes) == chunk.id;
                (is_same, within.len() as u64)
            }
        };
        if !is_same {
            return false;
        }
        offset = offset.saturating_add(len);
    }
    true
}

/// Whether there are only zeros from `at` to `end`. Holes are passed by, or a hole of a terabyte would take an hour.
fn is_zero(file: &File, mut at: u64, end: u64) -> bool {
    let mut bytes = [0; 64 * 1024];
    while at < end {
        let Some(data) = next_data(file, at) else { return true };
        at = data;
        let len = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
        match read_at(file, &mut bytes[..len], at) {
            Ok(0) => return len == 0,
            Ok(read) if bytes[..read].iter().all(|byte| *byte == 0) => at += read as u64,
            _ => return false,
        }
    }
    true
}
