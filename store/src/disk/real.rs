//! A folder on a mounted filesystem.

use super::{Disk, DiskFile, Item, Space};
use larder_format::layout::LOCK;
use rustix::fs::{
    Advice, AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags, chmodat, fadvise, flock,
    fstat, fstatvfs, fsync, linkat, mkdirat, open, openat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// New name for a foreign file with the name of the lock.
const STRANGE_LOCK: &str = "lock.strange";

/// A disk of the real world. Holds a lock, so that two agents never write to one vault.
///
/// Every file is reached from the folder opened in the beginning and never by its path: should the disk be unmounted
/// and another disk come to the same path, not a byte goes to the wrong disk.
pub struct RealDisk {
    path: PathBuf,
    folder: File,
    _lock: OwnedFd,
}

impl RealDisk {
    /// Opens `folder`, making it if need be.
    ///
    /// # Errors
    /// `WouldBlock` when another agent has it open; any error of the filesystem.
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
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder: File = open(folder, flags, Mode::empty())?.into();
        let lock = match open_lock(&folder) {
            // A FIFO or a folder holds no byte of the agent, and no agent can have locked it.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                renameat_with(&folder, LOCK, &folder, STRANGE_LOCK, RenameFlags::NOREPLACE)?;
                open_lock(&folder)
            }
            lock => lock,
        }?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { path, folder, _lock: lock })
    }

    /// Device and inode of the folder: another disk at the same path has others.
    ///
    /// # Errors
    /// Any error of the filesystem.
    pub fn place(&self) -> io::Result<(u64, u64)> {
        let meta = self.folder.metadata()?;
        Ok((meta.dev(), meta.ino()))
    }

    fn open_folder(&self, path: &str) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        Ok(openat(&self.folder, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    }
}

fn open_lock(folder: &File) -> io::Result<OwnedFd> {
    match open_file(folder, LOCK, OFlags::CREATE | OFlags::WRONLY) {
        // The system remounts a dying disk read-only: its content can still be read.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            open_file(folder, LOCK, OFlags::RDONLY)
        }
        lock => lock,
    }
}

/// Opens a regular file only.
///
/// # Errors
/// `InvalidData` for any other kind of file: opening a FIFO waits for ever for a writer, and a device may give bytes
/// without end.
fn open_file(folder: &File, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(folder, path, flags, Mode::from_raw_mode(0o600)) {
        Ok(file) if FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::RegularFile => Ok(file),
        // A symbolic link, a socket or a FIFO to write into, a folder to write into.
        Ok(_) | Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("{path} is not a regular file")))
        }
        Err(error) => Err(error.into()),
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::APPEND;
        Ok(Box::new(RealFile(open_file(&self.folder, path, flags)?.into())))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(open_file(&self.folder, path, OFlags::RDONLY)?.into())))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        let stat = statat(&self.folder, from, AtFlags::SYMLINK_NOFOLLOW)?;
        // The mode of a symbolic link is the mode of its target; a folder without `x` could not be moved.
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            chmodat(&self.folder, from, Mode::from_raw_mode(0o444), AtFlags::empty())?;
        }
        match renameat_with(&self.folder, from, &self.folder, to, RenameFlags::NOREPLACE) {
            // Filesystems without `NOREPLACE` (exFAT, some on networks) still have links, and a link never replaces.
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
        Ok(fsync(self.open_folder(path)?)?)
    }

    fn list(&self, path: &str) -> io::Result<Vec<Item>> {
        let mut items = Vec::new();
        let folder = match self.open_folder(path) {
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
                // One unreadable entry of a folder must not hide the others. A read of the file finds the damage.
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
