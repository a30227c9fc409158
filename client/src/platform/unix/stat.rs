//! The status of an entry, made of the fields of `stat`.

use crate::platform::status::{FileKind, FileStatus, OwnerIds};
use larder_format::tree::Time;
use rustix::fs::{FileType, Stat, major, minor};

// The field types differ between architectures; every conversion here is to a wider or equal type.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "needed on other architectures")]
impl From<Stat> for FileStatus {
    fn from(stat: Stat) -> Self {
        let mode: u32 = stat.st_mode.into();
        let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
        Self {
            device: stat.st_dev.into(),
            inode: stat.st_ino.into(),
            links: stat.st_nlink as u64,
            kind: match FileType::from_raw_mode(mode) {
                FileType::RegularFile => FileKind::File,
                FileType::Directory => FileKind::Folder,
                FileType::Symlink => FileKind::Symlink,
                FileType::Fifo => FileKind::Fifo,
                FileType::Socket => FileKind::Socket,
                FileType::CharacterDevice => FileKind::CharDevice { major, minor },
                FileType::BlockDevice => FileKind::BlockDevice { major, minor },
                FileType::Unknown => FileKind::Unknown,
            },
            permissions: u16::try_from(mode & 0o7777).expect("twelve bits"),
            owner: OwnerIds { user: stat.st_uid, group: stat.st_gid },
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            stored_bytes: u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(512),
            modified: time(stat.st_mtime.into(), stat.st_mtime_nsec),
            changed: time(stat.st_ctime.into(), stat.st_ctime_nsec),
        }
    }
}

/// The system's type of nanoseconds differs between machines. A few old filesystems hand out nanoseconds above 10⁹;
/// such a time is cut, not refused.
fn time(seconds: i64, nanos: impl TryInto<u32>) -> Time {
    let nanos = nanos.try_into().unwrap_or_default().min(999_999_999);
    Time { seconds, nanos }
}
