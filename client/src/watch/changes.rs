//! The changed folders of a tree, and the two walks that a watch follows.
//!
//! A walk enters each folder among the watched folders before it lists the folder, so no change falls between listing
//! and watching, and folders that a push leaves out are never watched.

use crate::{
    platform::{ChangeEvents, FolderSpot, StopRequest, SystemError, path_of_bytes},
    push::guide::{FilesWanted, FolderInterest, WalkGuide},
};
use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// Beyond this number the changed folders of a tree are not remembered one by one; the next snapshot finds all.
const CHANGED_FOLDERS_MAX: usize = 10_000;

/// Folders with changes, and the folders on the way.
#[derive(Default)]
pub(crate) struct ChangedFolders {
    folders: HashSet<Arc<[u8]>>,
    ways: HashSet<Box<[u8]>>,
}

impl ChangedFolders {
    /// Adds a folder; false where there are too many.
    pub(crate) fn add(&mut self, path: &Arc<[u8]>) -> bool {
        if self.folders.len() >= CHANGED_FOLDERS_MAX {
            return false;
        }
        if self.folders.insert(Arc::clone(path)) {
            let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
            self.ways.extend(ends.map(|end| path[..end].into()));
        }
        true
    }

    fn is_changed(&self, path: &[u8]) -> bool {
        self.folders.contains(path)
    }

    fn leads_to_change(&self, path: &[u8]) -> bool {
        self.is_changed(path) || self.ways.contains(path)
    }
}

/// A watched tree as its walks see it.
pub(crate) struct TreeWatch<'a> {
    /// Number of the tree among the watched trees.
    pub(crate) tree: usize,
    pub(crate) folder: &'a Path,
    pub(crate) events: Option<&'a ChangeEvents>,
    pub(crate) stop: &'a StopRequest,
    /// Why a folder could not be watched.
    pub(crate) blinded: &'a Mutex<Option<SystemError>>,
}

impl TreeWatch<'_> {
    fn spot(&self, path: &[u8]) -> FolderSpot {
        FolderSpot { tree: self.tree, path: path.into() }
    }

    fn is_watched(&self, path: &[u8]) -> bool {
        self.events.is_some_and(|events| events.is_watched(&self.spot(path)))
    }

    fn watch(&self, path: &[u8]) {
        let Some(events) = self.events else { return };
        let place = self.folder.join(path_of_bytes(path));
        match events.watch(self.spot(path), &place) {
            Ok(()) => {}
            // Deleted meanwhile; the folder above tells of it.
            Err(error) if error.is_gone() => {}
            Err(error) => {
                self.blinded.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    }

    fn is_blinded(&self) -> bool {
        self.blinded.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Follows a walk over the whole tree.
pub(crate) struct WholeGuide<'a>(pub(crate) &'a TreeWatch<'a>);

impl WalkGuide for WholeGuide<'_> {
    fn enter(&self, path: &[u8]) -> FolderInterest {
        // Also where the folder is watched already: another filesystem may have been mounted on it.
        self.0.watch(path);
        FolderInterest::Everything
    }

    fn wants_folder(&self, _path: &[u8]) -> bool {
        true
    }

    fn is_stopped(&self) -> bool {
        self.0.stop.is_asked()
    }
}

/// Leads a walk to changed and to new folders.
pub(crate) struct AheadGuide<'a> {
    pub(crate) tree: &'a TreeWatch<'a>,
    pub(crate) changed: &'a ChangedFolders,
}

impl WalkGuide for AheadGuide<'_> {
    fn enter(&self, path: &[u8]) -> FolderInterest {
        let is_new = !self.tree.is_watched(path);
        if is_new {
            self.tree.watch(path);
        }
        let files = if is_new || self.changed.is_changed(path) { FilesWanted::Yes } else { FilesWanted::No };
        FolderInterest::Changes { files }
    }

    fn wants_folder(&self, path: &[u8]) -> bool {
        // Where folders cannot be watched, all of these would look new at every walk.
        self.changed.leads_to_change(path) || !(self.tree.is_blinded() || self.tree.is_watched(path))
    }

    fn is_stopped(&self) -> bool {
        self.tree.stop.is_asked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_change_is_known_and_no_more() {
        let mut changed = ChangedFolders::default();
        assert!(changed.add(&b"a/b-c/d"[..].into()));
        for (path, expect) in [
            ("a", true),
            ("a/b-c", true),
            ("a/b-c/d", true),
            ("a/b", false),
            ("a/b-c/d/e", false),
            ("", false),
        ] {
            assert_eq!(changed.leads_to_change(path.as_bytes()), expect, "{path}");
        }
        assert!(changed.is_changed(b"a/b-c/d") && !changed.is_changed(b"a"));
    }

    #[test]
    fn changes_beyond_counting_are_refused() {
        let mut changed = ChangedFolders::default();
        let path = |number: usize| Arc::from(number.to_string().into_bytes());
        assert!((0..CHANGED_FOLDERS_MAX).all(|number| changed.add(&path(number))));
        assert!(!changed.add(&path(CHANGED_FOLDERS_MAX)));
    }
}
