//! A folder on a mounted filesystem.

use super::{Disk, DiskFile, Item, Space};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with, statvfs};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A disk of the real world. Holds a lock, so that two agents never write to one vault.
pub struct RealDisk {
    folder: PathBuf,
    _lock: File,
}

impl RealDisk {
    /// Opens `folder`, making it if need be.
    ///
    /// # Errors
    /// `WouldBlock` when another agent has it open; whatever the filesystem says.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = match lock {
            // The system let nobody write to a dying disk: what is on it can still be read.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(&path),
            lock => lock,
        }?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let file =
            OpenOptions::new().create_new(true).read(true).append(true).mode(0o600).open(self.at(path))?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(File::open(self.at(path))?)))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.at(from), self.at(to));
        fs::set_permissions(&from, Permissions::from_mode(0o444))?;
        match renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            // Filesystems without it (exFAT, some network ones) still have links, which never replace either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                fs::hard_link(&from, &to)?;
                fs::remove_file(&from)
            }
            result => Ok(result?),
        }
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn make_folder(&self, path: &str) -> io::Result<bool> {
        match fs::create_dir(self.at(path)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        File::open(self.at(path))?.sync_all()
    }

    fn list(&self, path: &str) -> io::Result<Vec<Item>> {
        let mut items = Vec::new();
        let entries = match fs::read_dir(self.at(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(items),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let meta = entry.metadata()?;
            // A name that we cannot have made is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                items.push(Item { name, is_folder: meta.is_dir(), len: meta.len() });
            }
        }
        items.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(items)
    }

    fn space(&self) -> io::Result<Space> {
        let stat = statvfs(&self.folder)?;
        Ok(Space { total: stat.f_blocks * stat.f_frsize, free: stat.f_bavail * stat.f_frsize })
    }

    fn name(&self) -> String {
        self.folder.display().to_string()
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

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
