//! What a push leaves out, and only that: what the owner named, and what says of itself that it is a cache.
//!
//! `--exclude` and `.larderignore` files use the patterns of `.gitignore`. A `.gitignore` itself is not obeyed: what
//! belongs in no repository (keys, drafts, builds) may well belong in a backup. A folder that says with a
//! `CACHEDIR.TAG` that it is a cache keeps its tag alone, the kernel's own filesystems (`/proc`, `/sys`) are empty
//! folders, our own cache is left out, since it changes with every push, and so are the halves of files that a restore
//! leaves behind when it breaks off.

use crate::{Trouble, platform::unix::listing::Listing, unfinished::is_unfinished};
use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use rustix::{
    fd::{AsFd, BorrowedFd},
    fs::{Mode, OFlags},
};
use std::{ffi::OsStr, fs::File, io::Read, os::unix::ffi::OsStrExt, path::Path, sync::Arc};

const IGNORE_FILE: &[u8] = b".larderignore";
const TAG_FILE: &[u8] = b"CACHEDIR.TAG";
/// First bytes of a real tag (bford.info/cachedir).
const TAG: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";
/// A list of patterns is written by hand; what is larger is something else.
const IGNORE_BYTES_MAX: u64 = 1024 * 1024;

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

/// What one push leaves out.
pub(crate) struct Excludes {
    globs: Gitignore,
    own_cache: Option<(u64, u64)>,
    pub(crate) one_filesystem: bool,
}

impl Excludes {
    /// From the owner's globs and the folder of our own cache.
    pub(crate) fn new(
        globs: &[String],
        own_cache: Option<&Path>,
        one_filesystem: bool,
    ) -> Result<Self, Trouble> {
        let mut builder = GitignoreBuilder::new("");
        for glob in globs {
            builder.add_line(None, glob).map_err(|error| {
                Trouble::Usage(format!("\"{glob}\" is not a pattern that --exclude understands: {error}"))
            })?;
        }
        let globs = builder.build().map_err(|error| Trouble::Usage(error.to_string()))?;
        let own_cache = own_cache
            .and_then(|path| File::open(path).ok())
            .and_then(|folder| crate::handle::identity(&folder).ok());
        Ok(Self { globs, own_cache, one_filesystem })
    }

    /// Whether what lies in the folder is left out: our cache, or the kernel's own view of itself.
    pub(crate) fn leaves_empty(&self, folder: BorrowedFd<'_>, identity: (u64, u64), is_mount: bool) -> bool {
        self.own_cache == Some(identity)
            || (is_mount && self.one_filesystem)
            || (is_mount && is_kernel_filesystem(folder))
    }

    /// Takes out of `listing` what the owner does not want, and returns the rules for the folders below.
    pub(crate) fn apply(
        &self,
        listing: &mut Listing,
        folder: BorrowedFd<'_>,
        path: impl FnOnce() -> Vec<u8>,
        above: Option<&Arc<Ignores>>,
    ) -> Option<Arc<Ignores>> {
        if listing.contains(TAG_FILE) && is_tagged(folder) {
            listing.retain(|name, _| name == TAG_FILE);
            return None;
        }
        listing.retain(|name, hint| {
            hint == crate::platform::unix::listing::Hint::Directory || !is_unfinished(name)
        });
        let has_file = listing.contains(IGNORE_FILE);
        if self.globs.is_empty() && above.is_none() && !has_file {
            return None;
        }
        let mut path = path();
        if !path.is_empty() {
            path.push(b'/');
        }
        let ignores = has_file
            .then(|| Ignores::read(folder, path.len(), above.cloned()))
            .flatten()
            .or_else(|| above.cloned());
        let prefix = path.len();
        listing.retain(|name, hint| {
            path.truncate(prefix);
            path.extend_from_slice(name);
            !self.is_excluded(
                &path,
                hint == crate::platform::unix::listing::Hint::Directory,
                ignores.as_deref(),
            )
        });
        ignores
    }

    fn is_excluded(&self, path: &[u8], is_dir: bool, ignores: Option<&Ignores>) -> bool {
        match self.globs.matched(as_path(path), is_dir) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => {}
        }
        let mut at = ignores;
        while let Some(ignores) = at {
            match ignores.rules.matched(as_path(&path[ignores.prefix..]), is_dir) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => at = ignores.above.as_deref(),
            }
        }
        false
    }
}

/// The rules of one `.larderignore` and of those in the folders above.
pub(crate) struct Ignores {
    rules: Gitignore,
    /// Bytes of the path of its folder, with the slash.
    prefix: usize,
    above: Option<Arc<Ignores>>,
}

impl Ignores {
    fn read(folder: BorrowedFd<'_>, prefix: usize, above: Option<Arc<Ignores>>) -> Option<Arc<Self>> {
        let mut text = Vec::new();
        open_file(folder, IGNORE_FILE)?.take(IGNORE_BYTES_MAX).read_to_end(&mut text).ok()?;
        let mut builder = GitignoreBuilder::new("");
        for line in String::from_utf8_lossy(&text).lines() {
            // A line that is no pattern excludes nothing: rather too much in a backup than too little.
            let _ = builder.add_line(None, line);
        }
        Some(Arc::new(Self { rules: builder.build().ok()?, prefix, above }))
    }
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn is_tagged(folder: BorrowedFd<'_>) -> bool {
    let mut start = [0; TAG.len()];
    open_file(folder, TAG_FILE).is_some_and(|mut file| file.read_exact(&mut start).is_ok() && start == *TAG)
}

fn open_file(folder: BorrowedFd<'_>, name: &[u8]) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::openat(folder, name, flags, Mode::empty()).ok().map(File::from)
}

#[allow(clippy::unnecessary_cast, reason = "the field's type differs between architectures")]
fn is_kernel_filesystem(folder: impl AsFd) -> bool {
    rustix::fs::fstatfs(folder)
        .is_ok_and(|stat| KERNEL_FILESYSTEMS.contains(&((stat.f_type as i64).cast_unsigned() & 0xffff_ffff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broken_restore_left_is_not_pushed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".larder-restore-4711-0", ".larder-restore-notes", "letter.txt"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let open = File::open(folder.path()).unwrap();
        let mut listing = Listing::read(&open, &mut Vec::new()).unwrap();
        let rules =
            Excludes::new(&[], None, false).unwrap().apply(&mut listing, open.as_fd(), Vec::new, None);
        assert!(rules.is_none());
        let names: Vec<_> = (0..listing.len()).map(|at| listing.name(at).to_owned()).collect();
        assert_eq!(names, [c".larder-restore-notes".to_owned(), c"letter.txt".to_owned()]);
    }
}
