//! Files of a pulled disk, read and never touched: not even the time of access changes.
//!
//! A name on a damaged disk may lead anywhere, so symlinks are not followed and only regular files are read. An
//! unreadable sector costs itself and no other byte.

use crate::platform::{NameList, OpenFolder, open_untouched, read_at};
use std::{fs::File, io, path::Path};

/// Around a bad sector, so much is lost at most: disks read and remap by this size.
const SECTOR_BYTES: usize = 4096;
/// Bad places are narrowed down from this size, so that a long scratch costs few attempts.
const STRIDE_BYTES: usize = 64 * 1024;

/// Bytes that can be asked for by place.
pub(crate) trait Bytes {
    /// Reads up to `into.len()` bytes from `offset` on; 0 at the end.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills `into` as far as there are bytes, and returns the number of bytes.
    fn fill(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut have = 0;
        while have < into.len() {
            match self.read_at(&mut into[have..], offset + have as u64) {
                Ok(0) => break,
                Ok(more) => have += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(have)
    }

    /// As `fill`, with zeros for unreadable bytes. Returns whether there were unreadable bytes.
    fn fill_around(&self, into: &mut [u8], offset: u64) -> bool {
        let mut is_hurt = false;
        for (number, stride) in into.chunks_mut(STRIDE_BYTES).enumerate() {
            let at = offset + (number * STRIDE_BYTES) as u64;
            if self.fill(stride, at).is_ok() {
                continue;
            }
            is_hurt = true;
            for (number, sector) in stride.chunks_mut(SECTOR_BYTES).enumerate() {
                if self.fill(sector, at + (number * SECTOR_BYTES) as u64).is_err() {
                    sector.fill(0);
                }
            }
        }
        is_hurt
    }
}

impl Bytes for File {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        read_at(self, into, offset)
    }
}

/// Opens a regular file, and tells its length.
pub(crate) fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = open_untouched(path)?;
    let facts = file.metadata()?;
    if facts.is_file() { Ok((file, facts.len())) } else { Err(io::Error::other("it is no file")) }
}

/// A whole file of at most `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let (file, len) = open(path)?;
    let len = usize::try_from(len).ok().filter(|len| *len <= bytes_max);
    let mut bytes = vec![0; len.ok_or_else(|| io::Error::other("it is far too large"))?];
    let have = file.fill(&mut bytes, 0)?;
    bytes.truncate(have);
    Ok(bytes)
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> io::Result<NameList> {
    Ok(OpenFolder::open_untouched(folder)?.as_ref().list(&mut Vec::new())?)
}

pub(crate) fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|status| status.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails at each of the bad bytes.
    struct Scratched {
        bytes: Vec<u8>,
        bad: Vec<u64>,
    }

    impl Bytes for Scratched {
        fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
            let end = (offset + into.len() as u64).min(self.bytes.len() as u64);
            if self.bad.iter().any(|bad| (offset..end).contains(bad)) {
                return Err(io::Error::from_raw_os_error(5));
            }
            let part = &self.bytes[usize::try_from(offset.min(end)).unwrap()..usize::try_from(end).unwrap()];
            into[..part.len()].copy_from_slice(part);
            Ok(part.len())
        }
    }

    #[test]
    fn a_bad_sector_costs_only_itself() {
        let bytes: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8 | 1).collect();
        let mut expected = bytes.clone();
        expected[69_632..73_728].fill(0);
        expected[200_704..204_800].fill(0);
        let disk = Scratched { bytes, bad: vec![70_000, 204_799] };
        let mut read = vec![9; 300_000];
        assert!(disk.fill_around(&mut read, 0));
        assert!(read == expected);
        assert!(!disk.fill_around(&mut read[..1000], 100_000));
    }
}
