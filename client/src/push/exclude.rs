//! The entries that a push leaves out: patterns of the owner, and caches that are marked as caches.
//!
//! `--exclude` and `.larderignore` files use the patterns of `.gitignore`. A `.gitignore` itself is not obeyed: files
//! that belong in no repository (keys, drafts, builds) may well belong in a backup. A folder with a `CACHEDIR.TAG`
//! keeps the tag alone, and the kernel's own filesystems (`/proc`, `/sys`) become empty folders. The cache of the
//! push is left out, since the cache changes with every push, and so are the halves of files that a broken-off
//! restore leaves behind.

use crate::{
    ClientError,
    platform::{FolderRef, KindHint, NameList, OpenFolder, path_of_bytes},
    unfinished::is_unfinished,
};
use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use std::{io::Read, path::Path, sync::Arc};

const IGNORE_FILE: &[u8] = b".larderignore";
const TAG_FILE: &[u8] = b"CACHEDIR.TAG";
/// First bytes of a real tag (bford.info/cachedir).
const TAG: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";
/// A list of patterns is written by hand; a larger file is no such list.
const IGNORE_BYTES_MAX: u64 = 1024 * 1024;

/// The rules of a push.
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
    ) -> Result<Self, ClientError> {
        let mut builder = GitignoreBuilder::new("");
        for glob in globs {
            builder.add_line(None, glob).map_err(|error| {
                ClientError::Usage(format!("\"{glob}\" is not a pattern that --exclude understands: {error}"))
            })?;
        }
        let globs = builder.build().map_err(|error| ClientError::Usage(error.to_string()))?;
        let own_cache = own_cache
            .and_then(|path| OpenFolder::open(path).ok())
            .and_then(|folder| Some(folder.as_ref().status().ok()?.identity()));
        Ok(Self { globs, own_cache, one_filesystem })
    }

    /// Whether the content of the folder is left out: our cache, or the kernel's view of itself.
    pub(crate) fn leaves_empty(&self, folder: FolderRef<'_>, identity: (u64, u64), is_mount: bool) -> bool {
        self.own_cache == Some(identity)
            || (is_mount && self.one_filesystem)
            || (is_mount && folder.is_of_kernel())
    }

    /// Takes excluded names out of `listing`, and returns the rules for the folders below.
    pub(crate) fn apply(
        &self,
        listing: &mut NameList,
        folder: FolderRef<'_>,
        path: impl FnOnce() -> Vec<u8>,
        above: Option<&Arc<Ignores>>,
    ) -> Option<Arc<Ignores>> {
        if listing.contains(TAG_FILE) && is_tagged(folder) {
            listing.retain(|name, _| name == TAG_FILE);
            return None;
        }
        listing.retain(|name, hint| hint == KindHint::Folder || !is_unfinished(name));
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
            !self.is_excluded(&path, hint == KindHint::Folder, ignores.as_deref())
        });
        ignores
    }

    fn is_excluded(&self, path: &[u8], is_dir: bool, ignores: Option<&Ignores>) -> bool {
        match self.globs.matched(path_of_bytes(path), is_dir) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => {}
        }
        let mut at = ignores;
        while let Some(ignores) = at {
            match ignores.rules.matched(path_of_bytes(&path[ignores.prefix..]), is_dir) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => at = ignores.above.as_deref(),
            }
        }
        false
    }
}

/// The rules of a `.larderignore`, and of the folders above.
pub(crate) struct Ignores {
    rules: Gitignore,
    /// Bytes of the path of the folder, with the slash.
    prefix: usize,
    above: Option<Arc<Ignores>>,
}

impl Ignores {
    fn read(folder: FolderRef<'_>, prefix: usize, above: Option<Arc<Ignores>>) -> Option<Arc<Self>> {
        let mut text = Vec::new();
        folder.open_file(IGNORE_FILE).ok()?.take(IGNORE_BYTES_MAX).read_to_end(&mut text).ok()?;
        let mut builder = GitignoreBuilder::new("");
        for line in String::from_utf8_lossy(&text).lines() {
            // A line that is no pattern excludes nothing: rather too much in a backup than too little.
            let _ = builder.add_line(None, line);
        }
        Some(Arc::new(Self { rules: builder.build().ok()?, prefix, above }))
    }
}

fn is_tagged(folder: FolderRef<'_>) -> bool {
    let mut start = [0; TAG.len()];
    folder.open_file(TAG_FILE).is_ok_and(|mut file| file.read_exact(&mut start).is_ok() && start == *TAG)
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
        let open = OpenFolder::open(folder.path()).unwrap();
        let mut listing = open.as_ref().list(&mut Vec::new()).unwrap();
        let rules =
            Excludes::new(&[], None, false).unwrap().apply(&mut listing, open.as_ref(), Vec::new, None);
        assert!(rules.is_none());
        let names: Vec<_> = (0..listing.len()).map(|at| listing.name(at).to_owned()).collect();
        assert_eq!(names, [&b".larder-restore-notes"[..], b"letter.txt"]);
    }
}
