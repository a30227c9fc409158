//! Entries that are back already, from an earlier restore into the same folder that broke off.
//!
//! A repeated restore goes on where the earlier restore stopped: finished entries are neither fetched again nor named
//! as in the way. A file counts by its bytes, not by size and time alone: after a power cut a disk may hold the
//! length of a file without the content. Nothing is changed here, except the permissions of an owner's unreadable
//! file, for as long as the opening takes.

use super::{
    replacing::{Replacing, TargetSpot},
    site::Site,
};
use crate::{
    past::tree_reader::TreeReader,
    platform::{
        Attributes, ErrorCause, FileKind, FileStatus, FolderRef, SystemError, next_data, read_at,
        read_exact_at,
    },
};
use larder_format::{
    Hash,
    cut::CHUNK_BYTES_MAX,
    tree::{
        Entry, Kind, Piece,
        read::{Segment, ranges},
    },
};
use std::fs::File;

/// An entry to be restored, with its place in the target.
#[derive(Clone, Copy)]
pub(crate) struct PlannedEntry<'a> {
    pub(crate) spot: TargetSpot<'a>,
    pub(crate) entry: &'a Entry,
    pub(crate) attributes: &'a Attributes,
}

/// Whether the entry that stands in the target equals the entry to be restored.
pub(crate) fn is_back(
    site: &Site<'_>,
    reader: &TreeReader<'_>,
    planned: PlannedEntry<'_>,
) -> Result<bool, SystemError> {
    let PlannedEntry { spot, entry, attributes } = planned;
    let TargetSpot { folder, name, .. } = spot;
    let status = folder.status_at(name)?;
    // Further names will be linked to the file; another user's file would then change under the links.
    if entry.hard_link != 0 && !site.restorer.may_have_made(status.owner, attributes) {
        return Ok(false);
    }
    if let Replacing::Pushed(last) = site.replacing {
        // A file with other permissions is not what it was.
        let is_mode_alike = !site.restorer.is_owner(status.owner, attributes)
            || matches!(entry.kind, Kind::Symlink(_))
            || [entry.mode, attributes.mode].contains(&status.permissions);
        if !is_mode_alike || !attributes.is_time(status.modified) {
            return Ok(false);
        }
        // Known without reading: a folder of half a terabyte is rolled back in minutes.
        if let Some(pushed) = last.entry(spot, &status)
            && pushed.is_sure
            && pushed.kind == entry.kind
        {
            return Ok(true);
        }
    }
    let Kind::File { size, pieces } = &entry.kind else {
        return has_content(reader, ContentCheck { folder, name, kind: &entry.kind }, &status);
    };
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
            Err(error) if error.cause() == ErrorCause::Denied && is_own && site.may_touch() => {
                folder.open_unreadable(name, attributes.mode)?
            }
            opened => opened?,
        };
        let lacks_rights = is_to_give_rights && !attributes.are_rights_among(&file);
        !lacks_rights && holds(reader, &file, *size, pieces)
    })
}

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
fn holds(reader: &TreeReader<'_>, file: &File, size: u64, pieces: &[Piece]) -> bool {
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
