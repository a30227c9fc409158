//! A folder on a mounted filesystem.

use super::{Disk, DiskFile, Item, Space};
use rustix::fs::{
    Advice, AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags, chmodat, fadvise, flock,
    fstatvfs, fsync, linkat, mkdirat, openat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A disk of the real world. Holds a lock, so that two agents never write to one vault.
///
/// Everything is reached from the folder that was opened in the beginning and never by its path: should the disk be
/// unmounted and another one come to the same path, not a byte goes to the wrong one.
pub struct RealDisk {
    path: PathBuf,
    folder: File,
    _lock: OwnedFd,
}

impl RealDisk {
    /// Opens `folder`, making it if need be.
    ///
    /// # Errors
    /// `WouldBlock` when another agent has it open; whatever the filesystem says.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Self::open_existing(folder)
    }

    /// Opens `folder`, which must be there.
    ///
    /// # Errors
    /// As `open`; `NotFound`.
    pub fn open_existing(folder: &Path) -> io::Result<Self> {
        let path = folder.to_owned();
        let folder = File::open(folder)?;
        let (flags, mode) = (OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::from_raw_mode(0o600));
        let lock = match openat(&folder, "lock", flags, mode) {
            // The system lets nobody write to a dying disk: what is on it can still be read.
            Err(Errno::ROFS) => openat(&folder, "lock", OFlags::RDONLY | OFlags::CLOEXEC, mode),
            lock => lock,
        }?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { path, folder, _lock: lock })
    }

    /// Device and inode of the folder: another disk at the same path has others.
    ///
    /// # Errors
    /// Whatever the filesystem says.
    pub fn place(&self) -> io::Result<(u64, u64)> {
        let meta = self.folder.metadata()?;
        Ok((meta.dev(), meta.ino()))
    }

    fn open_at(&self, path: &str, flags: OFlags, mode: u32) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        Ok(openat(&self.folder, path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(mode))?)
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::APPEND;
        Ok(Box::new(RealFile(self.open_at(path, flags, 0o600)?.into())))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(self.open_at(path, OFlags::RDONLY, 0)?.into())))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        chmodat(&self.folder, from, Mode::from_raw_mode(0o444), AtFlags::empty())?;
        match renameat_with(&self.folder, from, &self.folder, to, RenameFlags::NOREPLACE) {
            // Filesystems without it (exFAT, some network ones) still have links, which never replace either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(&self.folder, from, &self.folder, to, AtFlags::empty())?;
                self.remove(from)
            }
            result => Ok(result?),
        }
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        Ok(unlinkat(&self.folder, path, AtFlags::empty())?)
    }

    fn make_folder(&self, path: &str) -> io::Result<bool> {
        match mkdirat(&self.folder, path, Mode::from_raw_mode(0o777)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        Ok(fsync(self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY, 0)?)?)
    }

    fn list(&self, path: &str) -> io::Result<Vec<Item>> {
        let mut items = Vec::new();
        let folder = match self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY, 0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(items),
            folder => folder?,
        };
        for entry in Dir::read_from(&folder)? {
            // A name that we cannot have made is none of ours.
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | ".."))
            else {
                continue;
            };
            let (is_folder, len) = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => (
                    FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
                    stat.st_size.unsigned_abs(),
                ),
                // Gone meanwhile.
                Err(Errno::NOENT) => continue,
                // One file of which the disk can no longer tell anything must not hide all the others. Whoever reads
                // it finds the damage.
                Err(error) if entry.file_type() == FileType::Unknown => return Err(error.into()),
                Err(_) => (entry.file_type() == FileType::Directory, 0),
            };
            items.push(Item { name: name.to_owned(), is_folder, len });
        }
        items.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(items)
    }

    fn space(&self) -> io::Result<Space> {
        let stat = fstatvfs(&self.folder)?;
        Ok(Space { total: stat.f_blocks * stat.f_frsize, free: stat.f_bavail * stat.f_frsize })
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn forget_cached(&self) {
        let _ = fadvise(&self.0, 0, None, Advice::DontNeed);
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
