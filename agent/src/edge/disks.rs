//! The disks as the system shows them: mount points, and whether each disk is still there.

use crate::edge::clock;
use larder_firmware_config::VaultSettings;
use larder_store::disk::RealDisk;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest time from switching the machine on to a mounted disk.
const SPIN_UP: Duration = Duration::from_secs(60);

/// Why a folder cannot be a disk of the vault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskProblem {
    /// The folder lies on the system's own filesystem: the disk is not mounted.
    #[error("{} is on the system's own disk", path.display())]
    NotMounted {
        /// The folder.
        path: PathBuf,
    },
    /// Without Larder's folder: not mounted, or empty.
    #[error("no backups are at {}", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// In use by another agent.
    #[error("another larderd is using {}", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// With a folder of Larder's that this Larder cannot go on with.
    #[error("{what}")]
    Strange {
        /// The folder.
        path: PathBuf,
        /// In words.
        what: String,
    },
    /// The system said no.
    #[error("{} cannot be opened", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl DiskProblem {
    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::NotMounted { path }
            | Self::Empty { path }
            | Self::InUse { path }
            | Self::Strange { path, .. }
            | Self::Io { path, .. } => path,
        }
    }
}

/// Just after the machine was switched on, disks are still spinning up. Going on without a disk would be no harm, but
/// would begin a past unknown to that disk.
pub(crate) async fn wait_for(vault: &VaultSettings) {
    let is_there = |path: &PathBuf| open(path, vault.allow_root_filesystem).is_ok();
    let since = Instant::now();
    while clock::is_just_switched_on()
        && since.elapsed() < SPIN_UP
        && !vault.disks.iter().all(is_there)
        && vault.disks.iter().any(is_there)
    {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Name of the vault's folder on each disk.
pub(crate) const FOLDER: &str = "larder";

/// Opens the vault's folder inside `path`, which must be there.
pub(crate) fn open(path: &Path, allow_root_filesystem: bool) -> Result<RealDisk, DiskProblem> {
    check_mounted(path, allow_root_filesystem)?;
    opened(path, RealDisk::open_existing(&path.join(FOLDER)))
}

/// The same, and makes a missing folder.
pub(crate) fn make(path: &Path, allow_root_filesystem: bool) -> Result<RealDisk, DiskProblem> {
    check_mounted(path, allow_root_filesystem)?;
    opened(path, RealDisk::open(&path.join(FOLDER)))
}

fn check_mounted(path: &Path, allow_root_filesystem: bool) -> Result<(), DiskProblem> {
    if allow_root_filesystem {
        return Ok(());
    }
    // The path of an unmounted disk must not be made either: new folders there would fill the system's card.
    let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev());
    match (device(path), device(Path::new("/"))) {
        (Ok(disk), Ok(root)) if disk != root => Ok(()),
        (Err(source), _) if source.kind() != io::ErrorKind::NotFound => {
            Err(DiskProblem::Io { path: path.to_owned(), source })
        }
        _ => Err(DiskProblem::NotMounted { path: path.to_owned() }),
    }
}

fn opened(path: &Path, disk: io::Result<RealDisk>) -> Result<RealDisk, DiskProblem> {
    let path = path.to_owned();
    disk.map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => DiskProblem::InUse { path },
        io::ErrorKind::NotFound => DiskProblem::Empty { path },
        _ => DiskProblem::Io { path, source },
    })
}

/// A connected disk: its marks show whether the disk is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Mount point.
    pub(crate) path: PathBuf,
    /// Device and inode of the vault's folder.
    place: (u64, u64),
    /// Its device, as the kernel lists it; none for filesystems without a device.
    device: Option<PathBuf>,
}

impl Mount {
    /// Where `disk`, opened at `path`, sits.
    pub(crate) fn of(disk: &RealDisk, path: &Path) -> io::Result<Self> {
        let place = disk.place()?;
        let device = crate::edge::flush::device_folder(place.0);
        Ok(Self { path: path.to_owned(), place, device: device.exists().then_some(device) })
    }

    /// Whether the same disk is still there. A pulled disk may stay mounted for a while, with its device gone.
    pub(crate) fn is_there(&self) -> bool {
        let meta = std::fs::metadata(self.path.join(FOLDER));
        let is_there = meta.is_ok_and(|meta| (meta.dev(), meta.ino()) == self.place);
        is_there && self.device.as_ref().is_none_or(|device| device.exists())
    }
}

/// Whether another filesystem is mounted at `path`: then there is a disk, whatever its content.
pub(crate) fn is_mount_point(path: &Path) -> bool {
    let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev()).ok();
    device(path).is_some_and(|here| device(&path.join("..")).is_some_and(|above| above != here))
}

/// Whether `path` is free of files: the vault never moves into a folder in use.
pub(crate) fn is_unused(path: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // Leftovers of systems on an empty disk, and of an attempt to adopt the disk.
        if !name.starts_with('.') && !["lost+found", "System Volume Information", FOLDER].contains(&&*name) {
            return Ok(false);
        }
    }
    Ok(true)
}
