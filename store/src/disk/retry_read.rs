//! Retry read: a file that a failing disk gives only in part.
//!
//! A disk that cannot read a sector fails the whole read, and a megabyte would be lost for the sake of 4 KiB. So a
//! failed read is repeated in small pieces, and only pieces that fail again are missing. Not here: the handling of
//! missing pieces.

use crate::disk::DiskFile;

/// Bytes of a small piece: a sector of today's disks, and a page of the system's cache.
const SECTOR_BYTES: usize = 4096;

/// Fills `buffer` from `offset`, with zeros for unreadable pieces. Returns whether the whole read succeeded.
pub(crate) fn read(file: &dyn DiskFile, offset: u64, buffer: &mut [u8]) -> bool {
    if file.read_at(offset, buffer).is_ok() {
        return true;
    }
    let mut is_whole = true;
    let mut at = 0;
    while at < buffer.len() {
        // Pieces end at sector borders, or one bad sector would cost two pieces.
        let position = usize::try_from(offset % SECTOR_BYTES as u64).unwrap_or(0) + at;
        let end = (at + SECTOR_BYTES - position % SECTOR_BYTES).min(buffer.len());
        let piece = &mut buffer[at..end];
        if file.read_at(offset + at as u64, piece).is_err() {
            piece.fill(0);
            is_whole = false;
        }
        at = end;
    }
    is_whole
}
