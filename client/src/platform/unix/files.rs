//! Open files: bytes at a place, holes, and files of a disk that must stay untouched.

use super::error::SystemError;
use crate::platform::status::FileStatus;
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{Mode, OFlags, SeekFrom},
    io::Errno,
};
use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

/// Reads up to `into.len()` bytes from `offset` on; 0 at the end.
pub(crate) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(into, offset)
}

/// Fills `into` from `offset` on.
pub(crate) fn read_exact_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(into, offset)
}

/// Writes `bytes` whole at `offset`.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> Result<(), SystemError> {
    Ok(file.write_all_at(bytes, offset)?)
}

/// The status of an open file.
pub(crate) fn status_of(file: &File) -> Result<FileStatus, SystemError> {
    Ok(rustix::fs::fstat(file)?.into())
}

/// Where data begins at or after `at`; nothing where only a hole follows, and `at` where the filesystem does not
/// tell.
pub(crate) fn next_data(file: &File, at: u64) -> Option<u64> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(data) => Some(data),
        Err(Errno::NXIO) => None,
        Err(_) => Some(at),
    }
}

/// Where a hole begins at or after `at`; nothing where the filesystem does not tell.
pub(crate) fn next_hole(file: &File, at: u64) -> Option<u64> {
    rustix::fs::seek(file, SeekFrom::Hole(at)).ok()
}

/// Opens a file for reading, never over a symlink, without waiting for a writer of a pipe, and without leaving a trace.
pub(crate) fn open_untouched(path: &Path) -> io::Result<File> {
    Ok(File::from(look(path, OFlags::empty())?))
}

/// As `open_untouched`, with `more` flags.
pub(super) fn look(path: &Path, more: OFlags) -> rustix::io::Result<OwnedFd> {
    const LOOK: OFlags =
        OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
    // The time of access is on the disk too. Only the owner and root may read without moving the time.
    match rustix::fs::open(path, LOOK | OFlags::NOATIME | more, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::open(path, LOOK | more, Mode::empty()),
        other => other,
    }
}

/// The path by which the system reaches an open file, for calls that take only paths.
pub(super) fn path_of_open(file: impl AsFd) -> Vec<u8> {
    use rustix::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()).into_bytes()
}
