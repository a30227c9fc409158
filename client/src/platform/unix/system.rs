//! The computer and the account, and the places where programs keep their own files.

use super::error::SystemError;
use crate::platform::status::OwnerIds;
use rustix::{
    fd::AsFd,
    io::Errno,
    process::{Resource, Rlimit, getegid, geteuid, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use std::{
    borrow::Cow,
    env,
    ffi::OsStr,
    fs::Permissions,
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::NamedTempFile;

/// Types of filesystems that only show the kernel's state (linux/magic.h).
const KERNEL_FILESYSTEMS: [u64; 12] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x1cd1,      // devpts
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x7363_6673, // securityfs
    0x6165_676c, // pstore
    0xcafe_4a11, // bpf
    0x6265_6570, // configfs
    0xde5e_81e4, // efivarfs
];

#[allow(clippy::unnecessary_cast, reason = "the field's type differs between architectures")]
pub(super) fn is_kernel_filesystem(folder: impl AsFd) -> bool {
    rustix::fs::fstatfs(folder)
        .is_ok_and(|stat| KERNEL_FILESYSTEMS.contains(&((stat.f_type as i64).cast_unsigned() & 0xffff_ffff)))
}

/// The bytes of a tree for this system's `name`.
pub(crate) fn name_bytes(name: &OsStr) -> Cow<'_, [u8]> {
    Cow::Borrowed(name.as_bytes())
}

/// This system's path for bytes of a tree, names with slashes between.
pub(crate) fn path_of_bytes(bytes: &[u8]) -> Cow<'_, Path> {
    Cow::Borrowed(Path::new(OsStr::from_bytes(bytes)))
}

/// The name of this computer, if any.
pub(crate) fn computer_name() -> Option<Vec<u8>> {
    let name = nix::unistd::gethostname().ok()?.into_vec();
    (!name.is_empty()).then_some(name)
}

/// The account of this program.
pub(crate) fn own_ids() -> OwnerIds {
    OwnerIds { user: geteuid().as_raw(), group: getegid().as_raw() }
}

/// Open files that this program may have at once. Asks the system for `wanted` of them, as far as a program may.
pub(crate) fn open_files_max(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(wanted);
    if limit.current.is_some_and(|current| current < wanted) {
        // Refused: then fewer folders stay open, and deep trees are only slower.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The number of the filesystem under `path`.
pub(crate) fn device_of(path: &Path) -> io::Result<u64> {
    Ok(path.metadata()?.dev())
}

/// Waits until the standard output lies on its disk, where the output is a file.
pub(crate) fn sync_output() -> Result<(), SystemError> {
    match rustix::fs::fsync(io::stdout()) {
        // A pipe or a terminal: there is no disk to wait for.
        Err(Errno::INVAL | Errno::ROFS) => Ok(()),
        other => Ok(other?),
    }
}

/// Time since the computer started, sleep included. Nobody can set this clock.
pub(crate) fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

/// A new file in `folder`, readable by its owner alone.
pub(crate) fn private_file(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile_in(folder)
}

/// A new file in `folder`, readable by everybody.
pub(crate) fn public_file(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(folder)
}

/// Sets the permission bits of `path`.
#[cfg(test)]
pub(crate) fn set_permissions(path: &Path, permissions: u16) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(permissions.into()))
}

/// The folder for settings of this account (XDG base directories); nothing without a home.
pub(crate) fn config_folder() -> Option<PathBuf> {
    base("XDG_CONFIG_HOME", ".config")
}

/// The folder for data that can be made again; nothing without a home.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    base("XDG_CACHE_HOME", ".cache")
}

/// The folder for data that programs remember; nothing without a home.
pub(crate) fn state_folder() -> Option<PathBuf> {
    base("XDG_STATE_HOME", ".local/state")
}

fn base(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(below_home)))
}
