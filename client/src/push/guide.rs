//! Whoever follows a walk: told of each folder, and free to leave out what did not change.
//!
//! A walk for a snapshot leaves nothing out. A walk that only sends changed files ahead of the next snapshot looks
//! into changed folders alone. Not here: which folders changed (`watch`).

/// Follows a walk.
pub(crate) trait WalkGuide: Sync {
    /// The walk is about to list this folder: names from the root with slashes between, nothing for the root.
    fn enter(&self, path: &[u8]) -> FolderInterest;

    /// Whether the walk looks into this folder; asked where `enter` wanted changes alone.
    fn wants_folder(&self, path: &[u8]) -> bool;

    /// Whether the walk has to end.
    fn is_stopped(&self) -> bool;
}

/// What a guide wants of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FolderInterest {
    Everything,
    Changes { files: FilesWanted },
}

/// Whether the files of a folder are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilesWanted {
    Yes,
    /// The folder only lies on the way to changed folders.
    No,
}
