//! What is back already, from an earlier restore into the same folder that broke off.
//!
//! A restore that is run again goes on where it stopped: what it made before is neither fetched again nor named as in
//! the way. A file counts by its bytes, not by its size and time alone: after a power cut a disk may hold a file's
//! length and none of its content. Nothing that is found is ever changed here, but for permissions that keep the owner
//! from reading a file of their own: for as long as it takes to open it.

use super::{attributes::Attributes, options::Existing, place::Place, site::Site};
use crate::{TreeReader, platform::unix::attributes::Status};
use larder_format::{
    Hash,
    cut::CHUNK_BYTES_MAX,
    tree::{Entry, Kind, Piece},
};
use rustix::{
    fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, FileType, Mode, OFlags, SeekFrom},
    io::Errno,
};
use std::{ffi::CStr, fs::File, os::unix::fs::FileExt};

/// Whether what stands under `name` in `place` is what would be restored there.
pub(crate) fn is_back(
    site: &Site<'_>,
    reader: &mut TreeReader<'_>,
    (place, name): (&Place, &CStr),
    (entry, attributes): (&Entry, &Attributes),
) -> rustix::io::Result<bool> {
    if place.is_new || site.existing == Existing::Replace {
        return Ok(false);
    }
    let folder = place.handle.open()?;
    let status = Status::from(rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?);
    // Further names will be linked to it; the file of somebody else would then change under them.
    if entry.hard_link != 0 && !site.restorer.may_have_made(status.uid, attributes) {
        return Ok(false);
    }
    match &entry.kind {
        Kind::File { size, pieces } => {
            let is_alike = status.file_type() == FileType::RegularFile
                && status.size == *size
                && attributes.is_time(status.modified);
            // Not waiting for a writer, should somebody put a pipe in the file's place.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            Ok(is_alike && {
                let file = match rustix::fs::openat(folder.as_fd(), name, flags, Mode::empty()) {
                    Err(Errno::ACCESS) if status.uid == site.restorer.own.0 => {
                        open_unreadable(folder.as_fd(), name, attributes.mode)?
                    }
                    opened => opened?,
                };
                holds(reader, &File::from(file), pieces)
            })
        }
        Kind::Symlink(target) => {
            let found = rustix::fs::readlinkat(&folder, name, Vec::new())?;
            Ok(found.as_bytes() == target.as_slice())
        }
        kind => Ok(status.special_kind().as_ref() == Some(kind)),
    }
}

/// Opens a file of the user's own that only lacks the permission to be read, as it was restored with `mode`: people
/// keep such files, and a restore that is run again would call each one in the way.
fn open_unreadable(folder: BorrowedFd<'_>, name: &CStr, mode: u16) -> rustix::io::Result<OwnedFd> {
    // The file itself, whatever takes its name meanwhile.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let status = Status::from(rustix::fs::fstat(&found)?);
    if status.file_type() != FileType::RegularFile || status.permissions() != mode {
        return Err(Errno::ACCESS);
    }
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    let mode = Mode::from_raw_mode(mode.into());
    rustix::fs::chmod(&path, mode | Mode::RUSR)?;
    let opened = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    rustix::fs::chmod(&path, mode)?;
    opened
}

/// Whether the file's bytes are these pieces. What cannot be read, on either side, is not.
fn holds(reader: &mut TreeReader<'_>, file: &File, pieces: &[Piece]) -> bool {
    let mut rest: Vec<Piece> = pieces.iter().rev().cloned().collect();
    let (mut offset, mut bytes) = (0u64, Vec::new());
    while let Some(piece) = rest.pop() {
        let is_same = match &piece {
            Piece::More { list, bytes } => {
                if reader.unfold(list, *bytes, &mut rest).is_err() {
                    return false;
                }
                continue;
            }
            Piece::Hole(bytes) => is_zero(file, offset, offset.saturating_add(*bytes)),
            Piece::Chunk(chunk) => {
                // A length that no chunk has would only take memory.
                let len = (chunk.len as usize).min(CHUNK_BYTES_MAX);
                bytes.resize(len, 0);
                file.read_exact_at(&mut bytes, offset).is_ok() && Hash::of(&bytes) == chunk.id
            }
        };
        if !is_same {
            return false;
        }
        offset = offset.saturating_add(piece.bytes());
    }
    true
}

/// Whether there are only zeros from `at` to `end`. Holes are passed by, or one of a terabyte would take an hour.
fn is_zero(file: &File, mut at: u64, end: u64) -> bool {
    let mut bytes = [0; 64 * 1024];
    while at < end {
        match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => return true,
            Ok(data) => at = data,
            // This filesystem does not tell where its holes are.
            Err(_) => {}
        }
        let len = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
        match file.read_at(&mut bytes[..len], at) {
            Ok(0) => return len == 0,
            Ok(read) if bytes[..read].iter().all(|byte| *byte == 0) => at += read as u64,
            _ => return false,
        }
    }
    true
}
