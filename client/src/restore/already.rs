//! Entries that are back already, from an earlier restore into the same folder that broke off.
//!
//! A repeated restore goes on where the earlier restore stopped: finished entries are neither fetched again nor named
//! as in the way. A file counts by its bytes, not by size and time alone: after a power cut a disk may hold the
//! length of a file without the content. Nothing is changed here, except the permissions of an owner's unreadable
//! file, for as long as the opening takes.

use super::{options::Existing, site::Site, target_folder::TargetFolder};
use crate::{
    ClientError,
    past::tree_reader::TreeReader,
    platform::{Attributes, ErrorCause, FileKind, SystemError, next_data, read_at, read_exact_at},
};
use larder_format::{
    Hash,
    cut::CHUNK_BYTES_MAX,
    tree::{
        Entry, Kind, Piece,
        read::{Segment, ranges},
    },
};
use std::{fs::File, io};

/// An entry to be restored, with its place in the target.
#[derive(Clone, Copy)]
pub(crate) struct PlannedEntry<'a> {
    pub(crate) place: &'a TargetFolder,
    pub(crate) entry: &'a Entry,
    pub(crate) attributes: &'a Attributes,
}

/// Whether the entry that stands in the target equals the entry to be restored.
pub(crate) fn is_back(
    site: &Site<'_>,
    reader: &TreeReader<'_>,
    planned: PlannedEntry<'_>,
) -> Result<bool, SystemError> {
    let PlannedEntry { place, entry, attributes } = planned;
    let name = &entry.name[..];
    if place.is_new || site.existing == Existing::Replace {
        return Ok(false);
    }
    let folder = place.handle.open()?;
    let folder = folder.as_ref();
    let status = folder.status_at(name)?;
    // Further names will be linked to the file; another user's file would then change under the links.
    if entry.hard_link != 0 && !site.restorer.may_have_made(status.owner, attributes) {
        return Ok(false);
    }
    match &entry.kind {
        Kind::File { size, pieces } => {
            let is_alike =
                status.kind == FileKind::File && status.size == *size && attributes.is_time(status.modified);
            let is_own = status.owner.user == site.restorer.own.user;
            // An earlier run may have left out the bits that this run was told to give.
            let is_to_give_rights = attributes.give_rights(true) && site.special.is_root_and_open();
            let lacks_bits = is_to_give_rights && status.permissions != attributes.mode;
            Ok(is_alike && !lacks_bits && {
                let file = match folder.open_file(name) {
                    // People keep files that even their owner may not read, and a repeated restore would call each
                    // such file in the way.
                    Err(error) if error.cause() == ErrorCause::Denied && is_own => {
                        folder.open_unreadable(name, attributes.mode)?
                    }
                    opened => opened?,
                };
                let lacks_rights = is_to_give_rights && !attributes.are_rights_among(&file);
                // Unreadable bytes, on either side, are not the same.
                !lacks_rights && holds(reader, &file, *size, pieces).unwrap_or(false)
            })
        }
        Kind::Symlink(target) => Ok(folder.read_link(name)? == *target),
        kind => Ok(status.special_kind().as_ref() == Some(kind)),
    }
}

/// Why nobody can tell whether bytes are the same.
pub(crate) enum ContentTrouble {
    /// The file here cannot be read.
    Here(io::Error),
    /// A list of pieces cannot be read.
    Stored(ClientError),
}

/// Whether the file's bytes are these pieces.
///
/// # Errors
/// Where a side cannot be read before a difference is found.
pub(crate) fn holds(
    reader: &TreeReader<'_>,
    file: &File,
    size: u64,
    pieces: &[Piece],
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
