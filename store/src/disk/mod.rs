//! The only door to files.
//!
//! Every access of the store to a disk is one of these calls, so a simulated disk can lose, tear, refuse or lie at
//! each call. Three disks pass one conformance suite: `RealDisk`, `MemoryDisk` and `FaultyDisk`.
//! Not for places that are slow or may lag: each push waits for every healthy disk.
//! Paths are relative to the vault's folder, with `/` between names.

#[cfg(any(test, feature = "simulated-disks"))]
mod dice;
#[cfg(any(test, feature = "simulated-disks"))]
mod faulty;
pub(crate) mod hash;
#[cfg(any(test, feature = "simulated-disks"))]
mod memory;
pub(crate) mod numbered;
pub(crate) mod quarantine;
mod real;
pub(crate) mod retry_read;

#[cfg(any(test, feature = "simulated-disks"))]
pub use dice::Dice;
#[cfg(any(test, feature = "simulated-disks"))]
pub use faulty::{Fault, FaultyDisk, Fired, On, Plan, Planned, Schedule, When};
#[cfg(any(test, feature = "simulated-disks"))]
pub use memory::MemoryDisk;
pub use real::RealDisk;

use std::io;

/// One mounted filesystem with a copy of the vault.
pub trait Disk: Send + Sync {
    /// A new, empty file; an existing name is an error.
    ///
    /// # Errors
    /// Whatever the filesystem says; `AlreadyExists` for a taken name.
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// An existing file, to read.
    ///
    /// # Errors
    /// `NotFound`, or whatever the filesystem says.
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a finished file its final name and makes the file read-only. Never replaces: a taken name is an error.
    /// Survives a power cut only after `sync_folder` of the folder of `to`.
    ///
    /// # Errors
    /// `AlreadyExists` for a taken name; whatever the filesystem says.
    fn publish(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a name away.
    ///
    /// # Errors
    /// `NotFound`, or whatever the filesystem says.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Makes a folder; an existing folder is no error. Returns whether the folder is new, so that the caller knows to
    /// sync the parent.
    ///
    /// # Errors
    /// Whatever the filesystem says.
    fn make_folder(&self, path: &str) -> io::Result<bool>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// Whatever the filesystem says; after an error no name in the folder may be believed.
    fn sync_folder(&self, path: &str) -> io::Result<()>;

    /// Content of a folder, sorted by name; empty for a missing folder.
    ///
    /// # Errors
    /// Whatever the filesystem says.
    fn list(&self, path: &str) -> io::Result<Vec<Item>>;

    /// Room on the filesystem.
    ///
    /// # Errors
    /// Whatever the filesystem says.
    fn space(&self) -> io::Result<Space>;

    /// For messages: where the owner finds this disk.
    fn name(&self) -> String;
}

/// An open file on a disk.
pub trait DiskFile: Send + Sync {
    /// Writes at the end.
    ///
    /// # Errors
    /// Whatever the filesystem says; how much was written is then unknown.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before; whatever the filesystem says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Makes the bytes durable.
    ///
    /// # Errors
    /// Whatever the filesystem says. An error is final: the system may already have dropped the bytes, so the success
    /// of a second call proves nothing.
    fn sync(&mut self) -> io::Result<()>;

    /// Bytes in the file.
    ///
    /// # Errors
    /// Whatever the filesystem says.
    fn len(&self) -> io::Result<u64>;

    /// Asks the system to drop this file from its cache, so that the next reading comes off the disk. Only synced bytes
    /// can be dropped; a system without this call is no error.
    fn forget_cached(&self) {}

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// As `len`.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Last part of the path.
    pub name: String,
    /// Whether the name is a folder's.
    pub is_folder: bool,
    /// Bytes of a file.
    pub len: u64,
}

/// Room on a filesystem, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Size of the filesystem.
    pub total: u64,
    /// Bytes that the agent may still use.
    pub free: u64,
}

/// The folder part of a path; empty for the vault's own folder.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Reads a whole file of at most `max` bytes.
pub(crate) fn read_whole(disk: &dyn Disk, path: &str, max: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let len = file.len()?;
    if len > max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{path} has {len} bytes, more than {max}"),
        ));
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(|_| io::ErrorKind::InvalidData)?];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// Writes a small file so that the whole file exists or none, durable on return.
pub(crate) fn write_whole(disk: &dyn Disk, part: &str, path: &str, bytes: &[u8]) -> io::Result<()> {
    // The rest of an attempt before a power cut was never published, so no reader relies on it.
    remove_if_there(disk, part)?;
    let mut file = disk.create(part)?;
    file.append(bytes)?;
    sync_file(file.as_mut())?;
    make_folders(disk, folder_of(path))?;
    disk.publish(part, path)?;
    sync_names(disk, folder_of(path))
}

/// Removes a file; a missing file is no error.
pub(crate) fn remove_if_there(disk: &dyn Disk, path: &str) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Asks a disk once more after an error: one error is an accident, two are an answer. Only for calls that change nothing;
/// a failed sync must never be tried again.
pub(crate) fn ask_twice<T>(question: impl Fn() -> io::Result<T>) -> io::Result<T> {
    question().or_else(|_| question())
}

/// Makes the bytes of a file durable. After any error the disk is not to be believed: "full" from a sync may mean
/// dropped bytes that still show, unlike "full" from a write.
pub(crate) fn sync_file(file: &mut dyn DiskFile) -> io::Result<()> {
    file.sync().map_err(poison)
}

/// Makes the names in a folder durable; errors as with `sync_file`.
pub(crate) fn sync_names(disk: &dyn Disk, folder: &str) -> io::Result<()> {
    disk.sync_folder(folder).map_err(poison)
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether unread bytes may still be there: the disk gave no answer, and may give an answer later. A file that ends too
/// early or is no regular file will be the same tomorrow.
pub(crate) fn is_unanswered(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}

fn poison(error: io::Error) -> io::Error {
    if is_full(&error) { io::Error::other(format!("a sync failed: {error}")) } else { error }
}

/// Makes a folder and every folder above, each durable in its parent.
pub(crate) fn make_folders(disk: &dyn Disk, path: &str) -> io::Result<()> {
    if path.is_empty() {
        return Ok(());
    }
    make_folders(disk, folder_of(path))?;
    if disk.make_folder(path)? {
        sync_names(disk, folder_of(path))?;
    }
    Ok(())
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fault_tests;
