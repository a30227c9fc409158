//! Hashes of whole files: a pack is named by its own.

use super::DiskFile;
use larder_format::Hash;
use std::io;

const STEP_BYTES: usize = 1 << 20;

/// BLAKE3 of a whole file.
///
/// # Errors
/// Any read error of the disk.
pub(crate) fn hash_of(file: &dyn DiskFile) -> io::Result<Hash> {
    let len = file.len()?;
    let mut hasher = blake3::Hasher::new();
    // Many packs of small pushes are far shorter than a step.
    let mut buffer = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(STEP_BYTES)];
    let mut at = 0;
    while at < len {
        let step = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
        file.read_at(at, &mut buffer[..step])?;
        hasher.update(&buffer[..step]);
        at += step as u64;
    }
    Ok(Hash(*hasher.finalize().as_bytes()))
}

/// The same, read off the disk: a cached copy in memory says nothing about the disk. `None` unless the whole file can be
/// read.
pub(crate) fn hash_off_disk(file: &dyn DiskFile) -> Option<Hash> {
    file.forget_cached();
    hash_of(file).ok()
}
