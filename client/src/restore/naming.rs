//! How a restored file gets its name, once it is whole and never before.
//!
//! Not here: files that have no name until then (`unnamed`).

use super::{options::Existing, site::Site};
use rustix::{
    fd::BorrowedFd,
    fs::{AtFlags, RenameFlags},
    io::Errno,
};
use std::ffi::CStr;

/// Gives what lies under `beside` its name.
pub(crate) fn rename(
    site: &Site<'_>,
    folder: BorrowedFd<'_>,
    beside: &CStr,
    name: &CStr,
) -> Result<(), String> {
    let renamed = match site.existing {
        Existing::Replace => rustix::fs::renameat(folder, beside, folder, name),
        Existing::Keep => {
            match rustix::fs::renameat_with(folder, beside, folder, name, RenameFlags::NOREPLACE) {
                // Not every filesystem can: then look first, which is as good unless somebody races us.
                Err(Errno::INVAL | Errno::NOSYS) if !exists(folder, name) => {
                    rustix::fs::renameat(folder, beside, folder, name)
                }
                Err(Errno::INVAL | Errno::NOSYS) => Err(Errno::EXIST),
                other => other,
            }
        }
    };
    renamed.map_err(words)
}

pub(crate) fn exists(parent: BorrowedFd<'_>, name: &CStr) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Why something could not be written, as an owner would say it.
pub(crate) fn words(errno: Errno) -> String {
    match errno {
        Errno::EXIST | Errno::NOTEMPTY | Errno::ISDIR => {
            "something of this name is already there and was left alone".to_owned()
        }
        Errno::ACCESS | Errno::PERM => "you are not allowed to write it here".to_owned(),
        Errno::NOSPC | Errno::DQUOT => "the disk is full".to_owned(),
        other => std::io::Error::from(other).to_string(),
    }
}
