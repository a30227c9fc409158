//! The disks as the system shows them: where they are mounted, and whether they obey flushes.

use larder_store::disk::{Disk, RealDisk};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a folder cannot be a disk of the vault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskProblem {
    /// The folder lies on the system's own filesystem: the disk is not mounted.
    #[error("{} is on the system's own disk", path.display())]
    NotMounted {
        /// The folder.
        path: PathBuf,
    },
    /// Another agent has it.
    #[error("another larderd is using {}", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The system said no.
    #[error("{} cannot be opened", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Opens one disk: the folder `larder` inside `path`.
pub(crate) fn open(path: &Path, allow_root_filesystem: bool) -> Result<Arc<dyn Disk>, DiskProblem> {
    let failed = |source: io::Error| DiskProblem::Io { path: path.to_owned(), source };
    if !allow_root_filesystem {
        // A path whose disk is not mounted must not be made either: that would fill the system's card.
        let device = std::fs::metadata(path).map_err(failed)?.dev();
        if device == std::fs::metadata("/").map_err(failed)?.dev() {
            return Err(DiskProblem::NotMounted { path: path.to_owned() });
        }
    }
    match RealDisk::open(&path.join("larder")) {
        Ok(disk) => Ok(Arc::new(disk)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(DiskProblem::InUse { path: path.to_owned() })
        }
        Err(error) => Err(failed(error)),
    }
}

/// Whether the disk below `path` is known to obey flushes: `trusted` where the kernel sends them or none is needed,
/// `unproven` where it cannot tell. Some USB bridges make the kernel drop flushes; a sync then proves nothing.
pub(crate) fn flush_honesty(path: &Path) -> &'static str {
    let queue = std::fs::metadata(path).ok().and_then(|meta| {
        let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        let device = std::fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
        // A partition has no queue of its own; its disk has.
        device.ancestors().take(2).map(|folder| folder.join("queue")).find(|queue| queue.exists())
    });
    let Some(queue) = queue else { return "unproven" };
    let cache = std::fs::read_to_string(queue.join("write_cache")).unwrap_or_default();
    let is_usb = queue.to_string_lossy().contains("/usb");
    match cache.trim() {
        "write back" => "trusted",
        "write through" if !is_usb => "trusted",
        _ => "unproven",
    }
}
