//! A computer with a folder to push, a vault in memory, and a folder to restore into.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its own part")]

use crate::vault::Vault;
use larder_client::{
    Existing, PushOptions, Pushed, RestoreOptions, Restored, Selection, SpecialEntries, TransferProgress,
    push, restore,
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

pub struct Home {
    pub folder: TempDir,
    pub vault: Vault,
}

/// The newest snapshot of the home's source, or a part of it.
pub fn newest(path: &[u8]) -> Selection<'_> {
    Selection { source: "laptop/home", when: "newest", path }
}

impl Home {
    pub fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap(), vault: Vault::default() };
        fs::create_dir(home.source()).unwrap();
        home
    }

    pub fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    pub fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }

    /// Writes a file into the source, with the folders above it.
    pub fn write(&self, path: impl AsRef<Path>, content: &[u8]) -> PathBuf {
        let path = self.source().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn push(&self) -> Pushed {
        self.push_with(&PushOptions::default())
    }

    pub fn push_with(&self, options: &PushOptions) -> Pushed {
        push(&self.vault, "laptop/home", &self.source(), options, &TransferProgress::default()).unwrap()
    }

    pub fn restore(&self, path: &[u8], existing: Existing) -> Restored {
        self.restore_to(&self.target(), path, existing)
    }

    pub fn restore_to(&self, to: &Path, path: &[u8], existing: Existing) -> Restored {
        // Tests may run as root, and compare everything.
        let special = SpecialEntries::Restore;
        let options = RestoreOptions { existing, special, ..RestoreOptions::default() };
        let progress = TransferProgress::default();
        restore(&self.vault, &newest(path), to, &options, &progress).unwrap()
    }
}
