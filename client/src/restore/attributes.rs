//! Putting attributes back: owner, permissions, extended attributes, times.
//!
//! Owners go by name first and by number second, since numbers differ between computers; without the rights of root
//! they stay the restoring user's, quietly, and are counted. A file whose owner could not be set loses its set-user
//! and set-group bits: they would give another user's programs the rights of whoever restored them.

use larder_format::tree::{Entry, Owner, Time};
use rustix::{
    fd::{AsRawFd, BorrowedFd},
    fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags},
};
use serde_bytes::ByteBuf;
use std::{
    collections::HashMap,
    ffi::CStr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Attributes of one entry, as they were.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    owner: Owner,
    mode: u16,
    modified: Time,
    xattrs: Vec<(ByteBuf, ByteBuf)>,
}

impl Attributes {
    pub(crate) fn of(entry: &Entry, owner: Owner) -> Self {
        Self { owner, mode: entry.mode, modified: entry.modified, xattrs: entry.xattrs.clone() }
    }

    fn times(&self) -> Timestamps {
        // Times beyond what this system counts are cut to its limits.
        let last_modification =
            Timespec { tv_sec: self.modified.seconds, tv_nsec: self.modified.nanos.into() };
        Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification }
    }
}

/// How attributes are put back on this computer, and what could not be.
pub(crate) struct Restorer {
    is_root: bool,
    pub(crate) own: (u32, u32),
    ids: Mutex<HashMap<Owner, (u32, u32)>>,
    pub(crate) owners_left: AtomicU64,
    pub(crate) xattrs_left: AtomicU64,
}

impl Restorer {
    pub(crate) fn new() -> Self {
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let zero = || AtomicU64::new(0);
        Self { is_root: own.0 == 0, own, ids: Mutex::default(), owners_left: zero(), xattrs_left: zero() }
    }

    /// On an open file or folder. `owner` is its owner, where that is known.
    pub(crate) fn apply(
        &self,
        fd: BorrowedFd<'_>,
        attributes: &Attributes,
        owner: Option<(u32, u32)>,
    ) -> rustix::io::Result<()> {
        let owned = self.own_it(attributes, owner, |uid, gid| rustix::fs::fchown(fd, uid, gid));
        for (name, value) in &attributes.xattrs {
            let set = rustix::fs::fsetxattr(fd, name.as_slice(), value, XattrFlags::empty());
            self.note_xattr(set);
        }
        // After the owner: a change of owner takes the special bits away.
        rustix::fs::fchmod(fd, mode(attributes, owned))?;
        rustix::fs::futimens(fd, &attributes.times())
    }

    /// On something that is not opened: a symlink, a pipe, a device.
    pub(crate) fn apply_at(
        &self,
        folder: BorrowedFd<'_>,
        name: &CStr,
        attributes: &Attributes,
        is_symlink: bool,
    ) -> rustix::io::Result<()> {
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        let owned =
            self.own_it(attributes, None, |uid, gid| rustix::fs::chownat(folder, name, uid, gid, nofollow));
        if !attributes.xattrs.is_empty() {
            let mut path = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
            path.extend_from_slice(name.to_bytes());
            for (name, value) in &attributes.xattrs {
                let set = rustix::fs::lsetxattr(&path[..], name.as_slice(), value, XattrFlags::empty());
                self.note_xattr(set);
            }
        }
        if !is_symlink {
            // What was just made here under this name is no symlink, so following none costs nothing.
            rustix::fs::chmodat(folder, name, mode(attributes, owned), AtFlags::empty())?;
        }
        rustix::fs::utimensat(folder, name, &attributes.times(), nofollow)
    }

    /// True when the owner is now the one it should be.
    fn own_it(
        &self,
        attributes: &Attributes,
        owner: Option<(u32, u32)>,
        chown: impl FnOnce(Option<Uid>, Option<Gid>) -> rustix::io::Result<()>,
    ) -> bool {
        let (uid, gid) = self.ids_of(&attributes.owner);
        let wanted = if self.is_root || uid == self.own.0 { (uid, gid) } else { self.own };
        let is_needed = owner.map_or(self.is_root || wanted != self.own, |owner| owner != wanted);
        let is_set =
            !is_needed || chown(Some(Uid::from_raw(wanted.0)), Some(Gid::from_raw(wanted.1))).is_ok();
        let is_right = is_set && wanted == (uid, gid);
        if !is_right {
            self.owners_left.fetch_add(1, Relaxed);
        }
        is_right
    }

    fn ids_of(&self, owner: &Owner) -> (u32, u32) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ids.get(owner) {
            return *known;
        }
        let user = (!owner.user.is_empty()).then(|| nix::unistd::User::from_name(&owner.user).ok().flatten());
        let group =
            (!owner.group.is_empty()).then(|| nix::unistd::Group::from_name(&owner.group).ok().flatten());
        let found = (
            user.flatten().map_or(owner.uid, |user| user.uid.as_raw()),
            group.flatten().map_or(owner.gid, |group| group.gid.as_raw()),
        );
        ids.insert(owner.clone(), found);
        found
    }

    fn note_xattr(&self, set: rustix::io::Result<()>) {
        if set.is_err() {
            self.xattrs_left.fetch_add(1, Relaxed);
        }
    }
}

fn mode(attributes: &Attributes, owned: bool) -> Mode {
    let bits = if owned { attributes.mode } else { attributes.mode & 0o1777 };
    Mode::from_raw_mode(bits.into())
}
