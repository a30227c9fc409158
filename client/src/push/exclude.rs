//! The entries that a push leaves out: patterns of the owner, and what belongs in no backup.
//!
//! `--exclude` and `.larderignore` files use the patterns of `.gitignore`. A `.gitignore` itself is not obeyed: files
//! that belong in no repository (keys, drafts, builds) may well belong in a backup. A folder with a `CACHEDIR.TAG`
//! keeps the tag alone, and the kernel's own filesystems (`/proc`, `/sys`) become empty folders. The cache of the
//! push is left out, since the cache changes with every push, and so are the halves of files that a broken-off
//! restore leaves behind. The key of this computer is never taken: whoever may read the backup could pass for this
//! computer. Whatever is left out is noted (`left_out`).

use crate::{
    ClientError,
    platform::{FolderRef, KindHint, NameList, OpenFolder, name_bytes, path_of_bytes},
    push::left_out::{LeftOut, LeftOutReason},
    unfinished::is_unfinished,
};
use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use larder_format::wire::escape_name;
use std::{
    io::Read,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

const IGNORE_FILE: &[u8] = b".larderignore";
const TAG_FILE: &[u8] = b"CACHEDIR.TAG";
/// First bytes of a real tag (bford.info/cachedir).
const TAG: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";
/// A list of patterns is written by hand; a larger file is no such list.
const IGNORE_BYTES_MAX: u64 = 1024 * 1024;

/// What a push leaves out without being told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultExcludes {
    /// Marked caches, and halves of files that a broken-off restore left behind.
    #[default]
    All,
    /// The halves alone.
    ButCaches,
    /// Neither.
    None,
}

/// The wishes of the owner, and the places of our own files.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExcludeRules<'a> {
    pub(crate) globs: &'a [String],
    pub(crate) defaults: DefaultExcludes,
    pub(crate) is_one_filesystem: bool,
    /// The folder of our own cache.
    pub(crate) own_cache: Option<&'a Path>,
    /// Files and folders with the key of this computer.
    pub(crate) own_keys: &'a [std::path::PathBuf],
}

/// The rules of a push.
pub(crate) struct Excludes {
    globs: Gitignore,
    defaults: DefaultExcludes,
    is_one_filesystem: bool,
    own_cache: Option<FolderIdentity>,
    key_folders: Vec<FolderIdentity>,
    key_files: Vec<KeyFile>,
    left_out: Mutex<LeftOut>,
}

type FolderIdentity = (u64, u64);

/// A file by its folder, under whatever path the folder is reached.
struct KeyFile {
    folder: FolderIdentity,
    name: Vec<u8>,
}

/// A folder on the walk, as far as the rules look at it.
pub(crate) struct SiftedFolder<'a> {
    pub(crate) folder: FolderRef<'a>,
    /// Path below the pushed folder.
    pub(crate) path: &'a dyn Fn() -> Vec<u8>,
}

impl SiftedFolder<'_> {
    fn path_of(&self, name: &[u8]) -> String {
        let mut path = (self.path)();
        if !path.is_empty() && !name.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        if path.is_empty() { ".".to_owned() } else { escape_name(&path) }
    }
}

impl Excludes {
    pub(crate) fn new(rules: &ExcludeRules<'_>) -> Result<Self, ClientError> {
        let globs = patterns(rules.globs, "--exclude")?;
        let (mut key_folders, mut key_files) = (Vec::new(), Vec::new());
        // A place that is not there holds no key.
        for place in rules.own_keys.iter().filter_map(|place| place.canonicalize().ok()) {
            if let Some(folder) = identity_of(&place) {
                key_folders.push(folder);
            } else if let (Some(folder), Some(name)) =
                (place.parent().and_then(identity_of), place.file_name())
            {
                key_files.push(KeyFile { folder, name: name_bytes(name).into_owned() });
            }
        }
        Ok(Self {
            globs,
            defaults: rules.defaults,
            is_one_filesystem: rules.is_one_filesystem,
            own_cache: rules.own_cache.and_then(identity_of),
            key_folders,
            key_files,
            left_out: Mutex::default(),
        })
    }

    /// What was left out so far; from now on the counting begins anew.
    pub(crate) fn take_left_out(&self) -> LeftOut {
        std::mem::take(&mut *self.left_out.lock().unwrap_or_else(PoisonError::into_inner)).sorted()
    }

    fn note(&self, reason: LeftOutReason, path: impl FnOnce() -> String) {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).add(reason, path);
    }

    /// Whether the content of the folder is left out.
    pub(crate) fn leaves_empty(
        &self,
        at: &SiftedFolder<'_>,
        identity: FolderIdentity,
        is_mount: bool,
    ) -> bool {
        let reason = if self.key_folders.contains(&identity) {
            LeftOutReason::OwnKey
        } else if self.own_cache == Some(identity) {
            LeftOutReason::OwnCache
        } else if is_mount && at.folder.is_of_kernel() {
            LeftOutReason::KernelView
        } else if is_mount && self.is_one_filesystem {
            LeftOutReason::OtherFilesystem
        } else {
            return false;
        };
        self.note(reason, || at.path_of(b""));
        true
    }

    /// Takes excluded names out of `listing`, and returns the rules for the folders below.
    pub(crate) fn apply(
        &self,
        listing: &mut NameList,
        at: &SiftedFolder<'_>,
        above: Option<&Arc<Ignores>>,
    ) -> Option<Arc<Ignores>> {
        if self.defaults == DefaultExcludes::All && listing.contains(TAG_FILE) && is_tagged(at.folder) {
            self.note(LeftOutReason::MarkedCache, || at.path_of(b""));
            listing.retain(|name, _| name == TAG_FILE);
            return None;
        }
        self.retain_others(listing, at);
        let has_file = listing.contains(IGNORE_FILE);
        if self.globs.is_empty() && above.is_none() && !has_file {
            return None;
        }
        let mut path = (at.path)();
        if !path.is_empty() {
            path.push(b'/');
        }
        let ignores = has_file
            .then(|| Ignores::read(at.folder, path.len(), above.cloned()))
            .flatten()
            .or_else(|| above.cloned());
        let prefix = path.len();
        listing.retain(|name, hint| {
            path.truncate(prefix);
            path.extend_from_slice(name);
            let reason = self.why_excluded(&path, hint == KindHint::Folder, ignores.as_deref());
            reason.inspect(|reason| self.note(*reason, || escape_name(&path))).is_none()
        });
        ignores
    }

    /// Leaves out our own key, and the halves of broken-off restores.
    fn retain_others(&self, listing: &mut NameList, at: &SiftedFolder<'_>) {
        let here = if self.key_files.is_empty() { None } else { at.folder.status().ok() };
        let here = here.map(|status| status.identity());
        let is_key = |name: &[u8]| {
            here.is_some_and(|here| self.key_files.iter().any(|key| key.folder == here && key.name == name))
        };
        let keeps_halves = self.defaults == DefaultExcludes::None;
        listing.retain(|name, hint| {
            let reason = if hint == KindHint::Folder {
                return true;
            } else if is_key(name) {
                LeftOutReason::OwnKey
            } else if !keeps_halves && is_unfinished(name) {
                LeftOutReason::BrokenRestore
            } else {
                return true;
            };
            self.note(reason, || at.path_of(name));
            false
        });
    }

    fn why_excluded(&self, path: &[u8], is_dir: bool, ignores: Option<&Ignores>) -> Option<LeftOutReason> {
        match self.globs.matched(path_of_bytes(path), is_dir) {
            Match::Ignore(_) => return Some(LeftOutReason::Pattern),
            Match::Whitelist(_) => return None,
            Match::None => {}
        }
        let mut at = ignores;
        while let Some(ignores) = at {
            match ignores.rules.matched(path_of_bytes(&path[ignores.prefix..]), is_dir) {
                Match::Ignore(_) => return Some(LeftOutReason::IgnoreFile),
                Match::Whitelist(_) => return None,
                Match::None => at = ignores.above.as_deref(),
            }
        }
        None
    }
}

/// The patterns that the owner gave with the option `option`.
pub(crate) fn patterns(globs: &[String], option: &str) -> Result<Gitignore, ClientError> {
    let mut builder = GitignoreBuilder::new("");
    for glob in globs {
        builder.add_line(None, glob).map_err(|error| {
            ClientError::Usage(format!("\"{glob}\" is not a pattern that {option} understands: {error}"))
        })?;
    }
    builder.build().map_err(|error| ClientError::Usage(error.to_string()))
}

/// Tells mistakes in the owner's patterns.
pub(crate) fn check_patterns(globs: &[String]) -> Result<(), ClientError> {
    Excludes::new(&ExcludeRules { globs, ..ExcludeRules::default() }).map(drop)
}

fn identity_of(path: &Path) -> Option<FolderIdentity> {
    Some(OpenFolder::open(path).ok()?.as_ref().status().ok()?.identity())
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

    /// Names that are left after the rules, and what was left out.
    fn sifted(folder: &Path, rules: &ExcludeRules<'_>) -> (Vec<String>, Vec<(LeftOutReason, Vec<String>)>) {
        let open = OpenFolder::open(folder).expect("opens");
        let mut listing = open.as_ref().list(&mut Vec::new()).expect("listed");
        let excludes = Excludes::new(rules).expect("rules");
        let at = SiftedFolder { folder: open.as_ref(), path: &|| b"below".to_vec() };
        excludes.apply(&mut listing, &at, None);
        let names = (0..listing.len()).map(|at| String::from_utf8_lossy(listing.name(at)).into_owned());
        let left_out = excludes.take_left_out();
        let left_out = left_out.by_reason().map(|(reason, names)| (reason, names.named.clone()));
        (names.collect(), left_out.collect())
    }

    fn with_files(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for name in names {
            std::fs::write(folder.path().join(name), name).expect("written");
        }
        folder
    }

    #[test]
    fn what_a_broken_restore_left_is_not_pushed() {
        let folder = with_files(&[".larder-restore-4711-0", ".larder-restore-notes", "letter.txt"]);
        let (names, left_out) = sifted(folder.path(), &ExcludeRules::default());
        assert_eq!(names, [".larder-restore-notes", "letter.txt"]);
        let half = "below/.larder-restore-4711-0".to_owned();
        assert_eq!(left_out, [(LeftOutReason::BrokenRestore, vec![half])]);
        let all = ExcludeRules { defaults: DefaultExcludes::None, ..ExcludeRules::default() };
        assert_eq!(sifted(folder.path(), &all).0.len(), 3);
    }

    #[test]
    fn every_rule_says_what_it_left_out() {
        let folder = with_files(&["a.o", "b.o", "keep.o", "thesis.tex", "old.bak"]);
        std::fs::write(folder.path().join(IGNORE_NAME), "*.bak\n").expect("written");
        let globs = ["*.o".to_owned(), "!keep.o".to_owned()];
        let (names, left_out) =
            sifted(folder.path(), &ExcludeRules { globs: &globs, ..ExcludeRules::default() });
        assert_eq!(names, [IGNORE_NAME, "keep.o", "thesis.tex"]);
        let below = |names: &[&str]| names.iter().map(|name| format!("below/{name}")).collect::<Vec<_>>();
        assert_eq!(
            left_out,
            [
                (LeftOutReason::Pattern, below(&["a.o", "b.o"])),
                (LeftOutReason::IgnoreFile, below(&["old.bak"])),
            ]
        );
    }

    const IGNORE_NAME: &str = ".larderignore";

    #[test]
    fn a_marked_cache_is_told_and_can_be_wanted() {
        let folder = with_files(&["thesis.tex"]);
        std::fs::write(folder.path().join("CACHEDIR.TAG"), TAG).expect("written");
        let (names, left_out) = sifted(folder.path(), &ExcludeRules::default());
        assert_eq!(names, ["CACHEDIR.TAG"]);
        assert_eq!(left_out, [(LeftOutReason::MarkedCache, vec!["below".to_owned()])]);
        let caches = ExcludeRules { defaults: DefaultExcludes::ButCaches, ..ExcludeRules::default() };
        assert_eq!(
            sifted(folder.path(), &caches),
            (vec!["CACHEDIR.TAG".to_owned(), "thesis.tex".to_owned()], vec![])
        );
    }

    #[test]
    fn the_key_is_left_out_wherever_it_lies() {
        let folder = with_files(&["box.toml", "letter.txt"]);
        let keys = [folder.path().join("box.toml"), folder.path().join("gone.toml")];
        let all = DefaultExcludes::None;
        let rules = ExcludeRules { own_keys: &keys, defaults: all, ..ExcludeRules::default() };
        let (names, left_out) = sifted(folder.path(), &rules);
        assert_eq!(names, ["letter.txt"]);
        assert_eq!(left_out, [(LeftOutReason::OwnKey, vec!["below/box.toml".to_owned()])]);
        let keys = [folder.path().to_owned()];
        let excludes =
            Excludes::new(&ExcludeRules { own_keys: &keys, ..ExcludeRules::default() }).expect("rules");
        let open = OpenFolder::open(folder.path()).expect("opens");
        let at = SiftedFolder { folder: open.as_ref(), path: &Vec::new };
        let identity = open.as_ref().status().expect("known").identity();
        assert!(excludes.leaves_empty(&at, identity, false));
        assert!(!excludes.leaves_empty(&at, (0, 0), false));
    }
}
