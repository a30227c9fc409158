//! What of a snapshot comes back: the owner's patterns, and a path of a roll-back.
//!
//! The patterns are those of `push --exclude`, below the pushed folder: whoever can leave something out of a backup can
//! leave it out of a restore. A folder that only leads to a wanted file is made for that file, and a folder without any
//! wanted file is not made. Not here: how much is wanted (`survey`).

use crate::{ClientError, platform::path_of_bytes, push::patterns};
use ignore::{Match, gitignore::Gitignore};
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

/// The owner's patterns, as in a `.gitignore`, relative to the pushed folder.
#[derive(Debug, Clone, Default)]
pub struct RestoreChoice {
    /// Only what matches comes back, with everything in a folder that matches; without a pattern, everything.
    pub include: Vec<String>,
    /// What matches is left out, also where an `include` matches.
    pub exclude: Vec<String>,
}

/// Whether an entry comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryFate {
    LeftOut,
    /// A folder that may lead to something wanted, and is not wanted itself.
    Passage,
    Wanted,
}

/// The rules of a restore.
pub(crate) struct Choice {
    include: Gitignore,
    exclude: Gitignore,
    has_patterns: bool,
    /// Names above the restored entry, below the pushed folder.
    above: Vec<u8>,
    /// Nothing outside of this path comes back; empty for everything.
    scope: Vec<u8>,
    /// Folders that lead to something wanted; nothing where that was not looked for.
    passages: Option<PathSet>,
    /// Paths that were found to be none of ours.
    left_alone: PathSet,
}

/// Paths of folders and files, eight bytes each: a snapshot may have millions.
#[derive(Debug, Default)]
pub(crate) struct PathSet {
    hasher: RandomState,
    paths: HashSet<u64>,
}

impl PathSet {
    /// False where the path was known.
    pub(crate) fn insert(&mut self, path: &[u8]) -> bool {
        self.paths.insert(self.hasher.hash_one(path))
    }

    pub(crate) fn contains(&self, path: &[u8]) -> bool {
        !self.paths.is_empty() && self.paths.contains(&self.hasher.hash_one(path))
    }
}

impl Choice {
    /// For the entry at `path` of a snapshot.
    pub(crate) fn new(choice: &RestoreChoice, path: &[u8]) -> Result<Self, ClientError> {
        let RestoreChoice { include, exclude } = choice;
        let above = path.iter().rposition(|byte| *byte == b'/').map_or(&b""[..], |slash| &path[..slash]);
        Ok(Self {
            include: patterns(include, "--include")?,
            exclude: patterns(exclude, "--exclude")?,
            has_patterns: !include.is_empty() || !exclude.is_empty(),
            above: above.to_owned(),
            scope: Vec::new(),
            passages: None,
            left_alone: PathSet::default(),
        })
    }

    /// The same rules for nothing but `scope` and what lies below.
    pub(crate) fn within(self, scope: &[u8]) -> Self {
        Self { scope: scope.to_owned(), ..self }
    }

    /// Whether the patterns may leave something out.
    pub(crate) fn has_patterns(&self) -> bool {
        self.has_patterns
    }

    /// From now on, only these folders are made on the way.
    pub(crate) fn pass_through(&mut self, passages: PathSet) {
        self.passages = Some(passages);
    }

    /// From now on, these paths are left out.
    pub(crate) fn leave_alone(&mut self, paths: PathSet) {
        self.left_alone = paths;
    }

    /// Path below the pushed folder of a path below the target.
    fn whole(&self, path: &[u8]) -> Vec<u8> {
        if self.above.is_empty() { path.to_owned() } else { [&self.above[..], path].join(&b'/') }
    }

    /// The fate of an entry; `path` makes its path below the target.
    pub(crate) fn fate(&self, is_folder: bool, path: impl FnOnce() -> Vec<u8>) -> EntryFate {
        let is_everything = !self.has_patterns && self.scope.is_empty() && self.left_alone.paths.is_empty();
        if is_everything {
            return EntryFate::Wanted;
        }
        let path = self.whole(&path());
        if self.left_alone.contains(&path) {
            return EntryFate::LeftOut;
        }
        let scoped = self.in_scope(&path);
        if scoped != EntryFate::Wanted {
            return scoped;
        }
        let named = path_of_bytes(&path);
        if let Match::Ignore(_) = self.exclude.matched(&named, is_folder) {
            return EntryFate::LeftOut;
        }
        let is_included = self.include.is_empty()
            || self.include.matched_path_or_any_parents(&named, is_folder).is_ignore();
        match (is_included, is_folder) {
            (true, _) => EntryFate::Wanted,
            (false, true) => EntryFate::Passage,
            (false, false) => EntryFate::LeftOut,
        }
    }

    fn in_scope(&self, path: &[u8]) -> EntryFate {
        let is_below = |below: &[u8], above: &[u8]| {
            below.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        if self.scope.is_empty() || is_below(path, &self.scope) {
            EntryFate::Wanted
        } else if is_below(&self.scope, path) {
            EntryFate::Passage
        } else {
            EntryFate::LeftOut
        }
    }

    /// Whether a folder on the way is to be made.
    pub(crate) fn leads_on(&self, path: &[u8]) -> bool {
        self.passages.as_ref().is_none_or(|passages| passages.contains(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(include: &[&str], exclude: &[&str], path: &[u8]) -> Choice {
        let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        Choice::new(&RestoreChoice { include: owned(include), exclude: owned(exclude) }, path)
            .expect("patterns")
    }

    fn fate(choice: &Choice, path: &str) -> EntryFate {
        let path = path.as_bytes();
        let name = path.strip_suffix(b"/").unwrap_or(path);
        choice.fate(name.len() < path.len(), || name.to_owned())
    }

    #[test]
    fn an_included_folder_comes_with_all_in_it_and_others_lead_on() {
        let pictures = choice(&["*.jpg", "/2024/letters"], &["*.tmp", "cache/"], b"");
        for (path, expect) in [
            ("cat.jpg", EntryFate::Wanted),
            ("a/b/cat.jpg", EntryFate::Wanted),
            ("cat.txt", EntryFate::LeftOut),
            ("a/", EntryFate::Passage),
            ("2024/letters/", EntryFate::Wanted),
            ("2024/letters/deep/a.odt", EntryFate::Wanted),
            ("2025/2024/letters/", EntryFate::Passage),
            ("2024/letters/x.tmp", EntryFate::LeftOut),
            ("cache/", EntryFate::LeftOut),
            ("cache", EntryFate::LeftOut),
        ] {
            assert_eq!(fate(&pictures, path), expect, "{path}");
        }
        assert_eq!(fate(&choice(&[], &["*.o", "!keep.o"], b""), "keep.o"), EntryFate::Wanted);
        assert_eq!(fate(&choice(&[], &[], b""), "anything"), EntryFate::Wanted);
    }

    #[test]
    fn patterns_mean_paths_of_the_source_wherever_the_restore_begins() {
        let letters = choice(&["/2024/letters"], &[], b"2024/letters");
        assert_eq!(fate(&letters, "letters/"), EntryFate::Wanted);
        assert_eq!(fate(&letters, "letters/a.odt"), EntryFate::Wanted);
        let wrong = RestoreChoice { include: vec!["a{b".into()], exclude: vec![] };
        assert_eq!(Choice::new(&wrong, b"").err().map(|error| error.exit_code()), Some(2));
    }

    #[test]
    fn outside_of_the_scope_nothing_comes_back() {
        let scoped = choice(&[], &[], b"").within(b"a/b");
        for (path, expect) in [
            ("a/", EntryFate::Passage),
            ("a/b/", EntryFate::Wanted),
            ("a/b/c", EntryFate::Wanted),
            ("a/bc", EntryFate::LeftOut),
            ("ab/", EntryFate::LeftOut),
            ("a/c", EntryFate::LeftOut),
        ] {
            assert_eq!(fate(&scoped, path), expect, "{path}");
        }
    }
}
