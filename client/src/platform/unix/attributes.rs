//! What a filesystem says about an entry: status, owner names, extended attributes with ACLs.
//!
//! Everything is asked relative to an open folder or on an open file, so paths of any length work and nothing can be
//! swapped for a symlink in between. Not here: writing attributes back (`restore`).

use larder_format::tree::{Kind, Owner, Time, XATTR_BYTES_MAX};
use rustix::{
    fd::{AsFd, AsRawFd, BorrowedFd},
    fs::{FileType, Stat},
    io::Errno,
};
use serde_bytes::ByteBuf;
use std::{
    collections::HashMap,
    ffi::{CStr, CString},
    sync::{Arc, RwLock},
};

/// The parts of `stat` that a backup keeps or compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) links: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) special: u64,
    pub(crate) size: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) modified: Time,
    pub(crate) changed: Time,
}

// The field types differ between architectures; every conversion here is to a wider or equal type.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "needed on other architectures")]
impl From<Stat> for Status {
    fn from(stat: Stat) -> Self {
        // A few old filesystems hand out nanoseconds above 10⁹; such a time is cut, not refused.
        Self {
            device: stat.st_dev.into(),
            inode: stat.st_ino.into(),
            links: stat.st_nlink as u64,
            mode: stat.st_mode.into(),
            uid: stat.st_uid,
            gid: stat.st_gid,
            special: stat.st_rdev.into(),
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            stored_bytes: u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(512),
            modified: time(stat.st_mtime.into(), stat.st_mtime_nsec),
            changed: time(stat.st_ctime.into(), stat.st_ctime_nsec),
        }
    }
}

/// The system's own type of nanoseconds differs from machine to machine.
fn time(seconds: i64, nanos: impl TryInto<u32>) -> Time {
    let nanos = nanos.try_into().unwrap_or_default().min(999_999_999);
    Time { seconds, nanos }
}

impl Status {
    pub(crate) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    /// The 12 permission bits.
    pub(crate) fn permissions(&self) -> u16 {
        u16::try_from(self.mode & 0o7777).expect("twelve bits")
    }

    /// Whether both were taken of the same content with the same attributes.
    pub(crate) fn same_state(&self, other: &Self) -> bool {
        (self.inode, self.size, self.modified, self.changed, self.device)
            == (other.inode, other.size, other.modified, other.changed, other.device)
    }

    /// The kind of an entry that is neither file, folder nor symlink.
    pub(crate) fn special_kind(&self) -> Option<Kind> {
        let (major, minor) = (rustix::fs::major(self.special), rustix::fs::minor(self.special));
        Some(match self.file_type() {
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            FileType::CharacterDevice => Kind::CharDevice { major, minor },
            FileType::BlockDevice => Kind::BlockDevice { major, minor },
            _ => return None,
        })
    }
}

/// Names of users and groups, asked of the system once each.
#[derive(Default)]
pub(crate) struct OwnerNames {
    known: RwLock<HashMap<(u32, u32), Arc<Owner>>>,
}

impl OwnerNames {
    pub(crate) fn of(&self, uid: u32, gid: u32) -> Arc<Owner> {
        let known = |names: &HashMap<_, Arc<Owner>>| names.get(&(uid, gid)).map(Arc::clone);
        if let Some(owner) = self.known.read().ok().and_then(|names| known(&names)) {
            return owner;
        }
        let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
        let group = nix::unistd::Group::from_gid(gid.into()).ok().flatten();
        let owner = Arc::new(Owner {
            uid,
            gid,
            user: user.map(|user| user.name).unwrap_or_default(),
            group: group.map(|group| group.name).unwrap_or_default(),
        });
        if let Ok(mut names) = self.known.write() {
            names.insert((uid, gid), Arc::clone(&owner));
        }
        owner
    }
}

/// Extended attributes of one entry, in the order of their names.
pub(crate) type Xattrs = Vec<(ByteBuf, ByteBuf)>;

/// Why the extended attributes of an entry are not complete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct XattrsLeftOut(pub(crate) &'static str);

/// The disk or the system gave no answer.
pub(crate) const UNREADABLE: &str = "its extended attributes could not be read";

/// Extended attributes of an open file or folder.
pub(crate) fn xattrs_of(file: impl AsFd) -> Result<Xattrs, XattrsLeftOut> {
    let file = file.as_fd();
    gather(|list| rustix::fs::flistxattr(file, list), |name, value| rustix::fs::fgetxattr(file, name, value))
}

/// Extended attributes of `name` in `folder`, without opening or following it: for what must not be opened.
pub(crate) fn xattrs_at(folder: BorrowedFd<'_>, name: &CStr) -> Result<Xattrs, XattrsLeftOut> {
    // No call for this exists before Linux 6.13; the way over /proc needs no path to the folder itself.
    let mut path = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    let path = CString::new(path).map_err(|_| XattrsLeftOut("its name cannot be used"))?;
    let path = path.as_c_str();
    gather(|list| rustix::fs::llistxattr(path, list), |name, value| rustix::fs::lgetxattr(path, name, value))
}

fn gather(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&CStr, &mut [u8]) -> rustix::io::Result<usize>,
) -> Result<Xattrs, XattrsLeftOut> {
    let mut small = [0; 512];
    let names = match list(&mut small) {
        Ok(0) => return Ok(Vec::new()),
        Ok(len) => small[..len].to_vec(),
        Err(Errno::RANGE) => grow(&list)?,
        Err(errno) if is_nothing(errno) => return Ok(Vec::new()),
        Err(_) => return Err(XattrsLeftOut(UNREADABLE)),
    };
    let mut xattrs = Xattrs::new();
    let mut bytes = 0;
    for name in names.split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let value = match get(name, &mut small) {
            Ok(len) => small[..len].to_vec(),
            Err(Errno::RANGE) => grow(|value: &mut [u8]| get(name, value))?,
            // Some names are listed but belong to root alone.
            Err(Errno::PERM | Errno::ACCESS) => continue,
            Err(errno) if is_nothing(errno) => continue,
            Err(_) => return Err(XattrsLeftOut(UNREADABLE)),
        };
        bytes += name.count_bytes() + value.len();
        if bytes > XATTR_BYTES_MAX {
            return Err(XattrsLeftOut("its extended attributes are larger than a backup keeps"));
        }
        xattrs.push((ByteBuf::from(name.to_bytes()), ByteBuf::from(value)));
    }
    xattrs.sort_unstable();
    Ok(xattrs)
}

/// No such thing on this filesystem, or it went away: both mean that there is nothing to keep. Anything else is a disk or
/// a share that fails, and to take that for nothing would drop permissions in silence.
pub(crate) fn is_nothing(errno: Errno) -> bool {
    [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::NODATA, Errno::NOENT].contains(&errno)
}

fn grow(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> Result<Vec<u8>, XattrsLeftOut> {
    // 64 KiB is what the kernel gives at most for a list and for one value.
    let mut bytes = vec![0; 64 * 1024];
    let len = read(&mut bytes).map_err(|_| XattrsLeftOut(UNREADABLE))?;
    bytes.truncate(len);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(list: Result<&[u8], Errno>, value: Result<&[u8], Errno>) -> Result<usize, XattrsLeftOut> {
        let copy = |from: Result<&[u8], Errno>, to: &mut [u8]| {
            let from = from?;
            to[..from.len()].copy_from_slice(from);
            Ok(from.len())
        };
        gather(|to| copy(list, to), |_, to| copy(value, to)).map(|xattrs| xattrs.len())
    }

    #[test]
    fn only_what_is_not_there_is_passed_over_in_silence() {
        let (list, value): (Result<&[u8], _>, Result<&[u8], _>) = (Ok(b"user.a\0user.b\0"), Ok(b"x"));
        let left_out = || Err(XattrsLeftOut(UNREADABLE));
        assert_eq!(gathered(list, value), Ok(2));
        for nothing in [Errno::NOTSUP, Errno::NOENT, Errno::NODATA, Errno::NOSYS] {
            assert_eq!((gathered(Err(nothing), value), gathered(list, Err(nothing))), (Ok(0), Ok(0)));
        }
        assert_eq!(gathered(list, Err(Errno::PERM)), Ok(0), "names that belong to root alone");
        for failed in [Errno::IO, Errno::NOMEM, Errno::STALE] {
            assert_eq!(gathered(Err(failed), value), left_out(), "{failed}");
            assert_eq!(gathered(list, Err(failed)), left_out(), "{failed}");
        }
    }
}
