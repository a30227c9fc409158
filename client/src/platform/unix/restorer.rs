//! Putting attributes back: owner, permissions, extended attributes, times.
//!
//! Owners go by name first and by number second, since numbers differ between computers. Without the rights of root,
//! files stay the restoring user's and are counted. A file whose owner could not be set loses its set-user and
//! set-group bits: the bits would give another user's programs the rights of the restoring user. An attribute that
//! the target does not take is counted and costs nothing else: a stick or a share without permissions still holds
//! every byte. A file whose permissions could not be set stays for its owner alone. ACLs that a folder of the target
//! hands on are taken away: such ACLs let in people whom the backup does not name.

use super::{
    files::path_of_open,
    folder::{FolderRef, NameAt},
    owners::ids_of,
    system::own_ids,
    xattrs::{is_nothing, xattrs_of},
};
use crate::platform::status::OwnerIds;
use larder_format::tree::{Entry, Owner, Time};
use rustix::{
    fd::{AsFd, BorrowedFd},
    fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags},
    io::Errno,
};
use serde_bytes::ByteBuf;
use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// An extended attribute in memory, beside the bytes of name and value.
const XATTR_BYTES: usize = 80;
/// Owners whose numbers are remembered, and the longest names among the owners. A tree may name any number of owners.
const OWNERS_MAX: usize = 4096;
const OWNER_NAMES_BYTES_MAX: usize = 512;

/// Attributes of an entry, as pushed.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    owner: Owner,
    pub(crate) mode: u16,
    modified: Time,
    xattrs: Vec<(ByteBuf, ByteBuf)>,
}

impl Attributes {
    pub(crate) fn of(entry: &Entry, owner: Owner) -> Self {
        Self { owner, mode: entry.mode, modified: entry.modified, xattrs: entry.xattrs.clone() }
    }

    /// Bytes that the attributes hold beside themselves.
    pub(crate) fn held_bytes(&self) -> usize {
        let xattrs = self.xattrs.iter().map(|(name, value)| XATTR_BYTES + name.len() + value.len());
        self.owner.user.len() + self.owner.group.len() + xattrs.sum::<usize>()
    }

    /// The attributes that take no room of their own: no extended attributes, and the owner by number.
    pub(crate) fn bare(self) -> Self {
        let owner = Owner { user: String::new(), group: String::new(), ..self.owner };
        Self { owner, xattrs: Vec::new(), ..self }
    }

    /// Whether there are such bits or extended attributes as `without_rights` takes away.
    pub(crate) fn give_rights(&self, may_lend: bool) -> bool {
        may_lend && self.lends_rights() || self.xattrs.iter().any(|(name, _)| gives_rights(name))
    }

    /// The same attributes without the bits and extended attributes that give rights, and the names of those. The bits
    /// count only for what can run (`may_lend`).
    pub(crate) fn without_rights(mut self, may_lend: bool) -> (Self, Vec<String>) {
        let mut lost = Vec::new();
        if may_lend && self.lends_rights() {
            self.mode &= !LENDS_RIGHTS;
            lost.push("its set-user and set-group bits".to_owned());
        }
        self.xattrs.retain(|(name, _)| {
            let gives = gives_rights(name);
            if gives {
                lost.push(larder_format::wire::escape_name(name));
            }
            !gives
        });
        (self, lost)
    }

    /// Whether the open `file` has every extended attribute that gives rights.
    pub(crate) fn are_rights_among(&self, file: impl AsFd) -> bool {
        let Ok(found) = xattrs_of(file) else { return false };
        self.xattrs.iter().filter(|(name, _)| gives_rights(name)).all(|xattr| found.contains(xattr))
    }

    /// Whether whoever runs the file gets the rights of its owner or group.
    pub(crate) fn lends_rights(&self) -> bool {
        self.mode & LENDS_RIGHTS != 0
    }

    /// ACLs last: an ACL that takes the right to write from the owner would keep the other attributes out.
    fn xattrs_in_order(&self) -> impl Iterator<Item = &(ByteBuf, ByteBuf)> {
        let is_acl = |(name, _): &&(ByteBuf, ByteBuf)| name.starts_with(b"system.");
        let others = self.xattrs.iter().filter(move |xattr| !is_acl(xattr));
        others.chain(self.xattrs.iter().filter(is_acl))
    }

    /// Whether `time` is the time of the last change, as far as filesystems can tell.
    pub(crate) fn is_time(&self, time: Time) -> bool {
        self.modified.seconds.abs_diff(time.seconds) <= TIME_STEP_SECONDS
    }

    fn times(&self) -> Timestamps {
        // Times beyond the limits of this system are cut to the limits.
        let last_modification =
            Timespec { tv_sec: self.modified.seconds, tv_nsec: self.modified.nanos.into() };
        Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification }
    }
}

/// The ACL of a file or a folder itself.
const ACCESS_ACL: &str = "system.posix_acl_access";
/// The ACL that a folder hands on to new entries.
const DEFAULT_ACL: &str = "system.posix_acl_default";

/// ACLs that an entry may have without the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acls {
    None,
    OfFile,
    OfFolder,
}

impl Acls {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::OfFile => &[ACCESS_ACL],
            Self::OfFolder => &[ACCESS_ACL, DEFAULT_ACL],
        }
    }
}

/// Whether new entries in `folder` inherit an ACL.
pub(crate) fn gives_acl(folder: FolderRef<'_>) -> bool {
    has_acl(folder.as_fd(), DEFAULT_ACL)
}

fn has_acl(fd: BorrowedFd<'_>, name: &str) -> bool {
    let no_room: &mut [u8] = &mut [];
    match rustix::fs::fgetxattr(fd, name, no_room) {
        Ok(_) => true,
        Err(errno) => !is_nothing(errno),
    }
}

/// Filesystems count times in steps of up to two seconds.
const TIME_STEP_SECONDS: u64 = 2;

/// Puts attributes back on this computer, and counts failures.
pub(crate) struct Restorer {
    is_root: bool,
    pub(crate) own: OwnerIds,
    ids: Mutex<HashMap<Owner, OwnerIds>>,
    pub(crate) owners_left: AtomicU64,
    pub(crate) attributes_left: AtomicU64,
}

impl Restorer {
    pub(crate) fn new() -> Self {
        let own = own_ids();
        let zero = || AtomicU64::new(0);
        Self {
            is_root: own.is_root(),
            own,
            ids: Mutex::default(),
            owners_left: zero(),
            attributes_left: zero(),
        }
    }

    /// On an open file or folder. `owner` is the present owner, where known.
    pub(crate) fn apply(
        &self,
        file: impl AsFd,
        attributes: &Attributes,
        owner: Option<OwnerIds>,
        acls: Acls,
    ) {
        let fd = file.as_fd();
        let owned = self.own_it(attributes, owner, |uid, gid| rustix::fs::fchown(fd, uid, gid));
        self.remove_acls_of(fd, acls);
        for (name, value) in attributes.xattrs_in_order() {
            let set = rustix::fs::fsetxattr(fd, name.as_slice(), value, XattrFlags::empty());
            self.note_xattr(name, set);
        }
        // After the owner: a change of owner takes the special bits away.
        let mode = mode(attributes, owned);
        // Most files have the right permissions from the start, and asking costs a fraction of setting.
        if rustix::fs::fstat(fd).map_or(true, |status| status.st_mode & 0o7777 != mode.bits()) {
            self.note(rustix::fs::fchmod(fd, mode));
        }
        self.note(rustix::fs::futimens(fd, &attributes.times()));
    }

    /// On an entry that must not be opened: a symlink, a pipe, a device.
    pub(crate) fn apply_at(
        &self,
        NameAt { folder, name }: NameAt<'_>,
        attributes: &Attributes,
        is_symlink: bool,
        acls: Acls,
    ) {
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        let owned =
            self.own_it(attributes, None, |uid, gid| rustix::fs::chownat(folder, name, uid, gid, nofollow));
        if acls != Acls::None || !attributes.xattrs.is_empty() {
            let path = [&path_of_open(folder)[..], b"/", name].concat();
            for name in acls.names() {
                self.note_removed(rustix::fs::lremovexattr(&path[..], *name));
            }
            for (name, value) in attributes.xattrs_in_order() {
                let set = rustix::fs::lsetxattr(&path[..], name.as_slice(), value, XattrFlags::empty());
                self.note_xattr(name, set);
            }
        }
        if !is_symlink {
            // The entry was just made here and is no symlink, so following symlinks changes nothing.
            self.note(rustix::fs::chmodat(folder, name, mode(attributes, owned), AtFlags::empty()));
        }
        self.note(rustix::fs::utimensat(folder, name, &attributes.times(), nofollow));
    }

    /// Takes ACLs away that the backup did not give.
    pub(crate) fn remove_acls(&self, folder: FolderRef<'_>, acls: Acls) {
        self.remove_acls_of(folder.as_fd(), acls);
    }

    fn remove_acls_of(&self, fd: BorrowedFd<'_>, acls: Acls) {
        for name in acls.names().iter().copied().filter(|name| has_acl(fd, name)) {
            if name == ACCESS_ACL {
                // Without the ACL, the group would for a moment have the most that the ACL allowed to any user. The
                // mark of an unfinished folder stays.
                let found =
                    rustix::fs::fstat(fd).map_or(Mode::RWXU, |status| Mode::from_raw_mode(status.st_mode));
                if found.intersects(Mode::RWXG | Mode::RWXO) {
                    self.note(rustix::fs::fchmod(fd, found - Mode::RWXG - Mode::RWXO));
                }
            }
            self.note_removed(rustix::fs::fremovexattr(fd, name));
        }
    }

    /// Nothing to remove is as good as removed.
    fn note_removed(&self, removed: rustix::io::Result<()>) {
        if !removed.is_err_and(is_nothing) {
            self.note(removed);
        }
    }

    /// True when the owner is right now.
    fn own_it(
        &self,
        attributes: &Attributes,
        owner: Option<OwnerIds>,
        chown: impl FnOnce(Option<Uid>, Option<Gid>) -> rustix::io::Result<()>,
    ) -> bool {
        let ids = self.ids_of(&attributes.owner);
        let wanted = if self.is_root || ids.user == self.own.user { ids } else { self.own };
        // An unknown owner is set in any case: a folder may have given its own group, and that group would read what
        // the permissions allow to the right group.
        let is_needed = owner.is_none_or(|owner| owner != wanted);
        let is_set =
            !is_needed || chown(Some(Uid::from_raw(wanted.user)), Some(Gid::from_raw(wanted.group))).is_ok();
        let is_right = is_set && wanted == ids;
        if !is_right {
            self.owners_left.fetch_add(1, Relaxed);
        }
        is_right
    }

    /// Whether a restore with these attributes may have made an entry of `owner`.
    pub(crate) fn may_have_made(&self, owner: OwnerIds, attributes: &Attributes) -> bool {
        owner.user == self.own.user || owner.user == self.ids_of(&attributes.owner).user
    }

    /// Whether `owner` is the pushed owner, as far as this computer knows the pushed owner.
    pub(crate) fn is_owner(&self, owner: OwnerIds, attributes: &Attributes) -> bool {
        owner == self.ids_of(&attributes.owner)
    }

    fn ids_of(&self, owner: &Owner) -> OwnerIds {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ids.get(owner) {
            return *known;
        }
        let found = ids_of(owner);
        if owner.user.len() + owner.group.len() <= OWNER_NAMES_BYTES_MAX {
            if ids.len() >= OWNERS_MAX {
                ids.clear();
            }
            ids.insert(owner.clone(), found);
        }
        found
    }

    /// On some computers the system labels every file and allows nobody else to do so. Without the right, each
    /// restore would count a failure and tell nothing.
    fn note_xattr(&self, name: &[u8], set: rustix::io::Result<()>) {
        let may_not = !self.is_root || matches!(set, Err(Errno::PERM | Errno::ACCESS));
        if !(may_not && is_the_systems(name)) {
            self.note(set);
        }
    }

    fn note(&self, set: rustix::io::Result<()>) {
        if set.is_err() {
            self.attributes_left.fetch_add(1, Relaxed);
        }
    }
}

/// The set-user and the set-group bit.
const LENDS_RIGHTS: u16 = 0o6000;

/// Whether an extended attribute gives rights of root, or is believed as only root could have set it.
fn gives_rights(name: &[u8]) -> bool {
    name == b"security.capability" || name.starts_with(b"trusted.")
}

/// Whether an extended attribute is none of a user's own.
fn is_the_systems(name: &[u8]) -> bool {
    [&b"security."[..], b"trusted."].iter().any(|class| name.starts_with(class))
}

fn mode(attributes: &Attributes, owned: bool) -> Mode {
    let bits = if owned { attributes.mode } else { attributes.mode & 0o1777 };
    Mode::from_raw_mode(bits.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::tree::Kind;
    use rustix::fs::{CWD, OFlags};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn attributes(mode: u16) -> Attributes {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let owner = Owner { uid, gid, user: String::new(), group: String::new() };
        let entry = Entry {
            name: b"file".to_vec(),
            owner: 0,
            mode,
            modified: Time { seconds: 1_000_000_000, nanos: 0 },
            hard_link: 0,
            xattrs: vec![],
            kind: Kind::Fifo,
        };
        Attributes::of(&entry, owner)
    }

    /// A group other than its own that this process may give away.
    fn other_group() -> Option<u32> {
        let own = rustix::process::getegid();
        if rustix::process::geteuid().is_root() {
            return Some(4321);
        }
        let groups = rustix::process::getgroups().ok()?;
        groups.into_iter().find(|group| *group != own).map(|group| group.as_raw())
    }

    #[test]
    fn a_folder_that_gives_its_group_does_not_open_files_to_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let Some(group) = other_group() else { return };
        std::os::unix::fs::chown(folder.path(), None, Some(group)).expect("given to the group");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o2770)).expect("set");
        let restorer = Restorer { is_root: false, ..Restorer::new() };
        for name in ["file", "folder"] {
            let path = folder.path().join(name);
            if name == "file" {
                std::fs::write(&path, b"for me").expect("written");
            } else {
                std::fs::create_dir(&path).expect("made");
            }
            assert_eq!(path.metadata().expect("there").gid(), group, "{name}: the folder gave its group");
            let fd = rustix::fs::open(&path, OFlags::RDONLY, Mode::empty()).expect("opens");
            restorer.apply(&fd, &attributes(0o640), None, Acls::None);
            let found = path.metadata().expect("there");
            assert_eq!((found.gid(), found.mode() & 0o7777), (restorer.own.group, 0o640), "{name}");
        }
        assert_eq!(restorer.owners_left.into_inner(), 0);
    }

    /// This kind of descriptor refuses every change, like a filesystem without permissions.
    #[test]
    fn what_the_target_does_not_take_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, b"content").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
        let fd = rustix::fs::openat(CWD, &path, OFlags::PATH, Mode::empty()).expect("opens");
        let restorer = Restorer::new();
        restorer.apply(&fd, &attributes(0o644), Some(restorer.own), Acls::None);
        assert_eq!(path.metadata().expect("there").mode() & 0o777, 0o600, "for its owner alone");
        assert_eq!(restorer.attributes_left.into_inner(), 2);
    }

    #[test]
    fn labels_of_the_system_count_for_whoever_may_set_them() {
        let count = |is_root, name: &[u8], errno| {
            let restorer = Restorer { is_root, ..Restorer::new() };
            restorer.note_xattr(name, Err(errno));
            restorer.note_xattr(name, Ok(()));
            restorer.attributes_left.into_inner()
        };
        let counts = |name: &[u8]| {
            [(false, Errno::PERM), (false, Errno::NOTSUP), (true, Errno::PERM), (true, Errno::NOTSUP)]
                .map(|(is_root, errno)| count(is_root, name, errno))
        };
        for name in [&b"security.selinux"[..], b"security.capability", b"trusted.overlay.opaque"] {
            assert_eq!(counts(name), [0, 0, 0, 1], "{}", String::from_utf8_lossy(name));
        }
        for name in [&b"user.comment"[..], b"system.posix_acl_access", b"securityless.x"] {
            assert_eq!(counts(name), [1, 1, 1, 1], "{}", String::from_utf8_lossy(name));
        }
    }
}
