//! Reading extended attributes, ACLs included.
//!
//! Not here: writing extended attributes (`restorer`).

use super::files::path_of_open;
use larder_format::tree::XATTR_BYTES_MAX;
use rustix::{
    fd::{AsFd, BorrowedFd},
    io::Errno,
};
use serde_bytes::ByteBuf;
use std::ffi::{CStr, CString};

/// Extended attributes of an entry, in the order of their names.
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

/// Extended attributes of `name` in `folder`, without opening or following: for entries that must not be opened.
pub(super) fn xattrs_at(folder: BorrowedFd<'_>, name: &[u8]) -> Result<Xattrs, XattrsLeftOut> {
    // No call for this exists before Linux 6.13; the way over /proc needs no path to the folder itself.
    let path = [&path_of_open(folder)[..], b"/", name].concat();
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
            // Some listed names belong to root alone.
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

/// Whether the error means that the entry has no such attribute: the filesystem has none, or the attribute went away.
/// Any other error is a failing disk or share, and passing over such an error would drop permissions in silence.
pub(super) fn is_nothing(errno: Errno) -> bool {
    [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::NODATA, Errno::NOENT].contains(&errno)
}

fn grow(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> Result<Vec<u8>, XattrsLeftOut> {
    // The kernel gives at most 64 KiB for a list and for a value.
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
