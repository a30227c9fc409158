//! Damage on the disks: told once for each place, counted, and never a reason to stop.

use crate::{SkippedList, platform::name_bytes};
use larder_format::wire::escape_name;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Told places are remembered up to this number, so that a ruined disk does not fill the memory.
const TOLD_MAX: usize = 100_000;

/// Shared by every reader.
#[derive(Debug, Default)]
pub(crate) struct DamageLog {
    found: Mutex<DamageNotes>,
    too_new: AtomicU64,
    set_aside: Mutex<Vec<PathBuf>>,
    not_looked_at: Mutex<Vec<PathBuf>>,
}

#[derive(Debug, Default)]
struct DamageNotes {
    list: SkippedList,
    told: HashSet<(PathBuf, u64)>,
}

impl DamageLog {
    /// Tells of a whole file.
    pub(crate) fn file(&self, path: &Path, why: impl Into<String>) {
        self.tell(path, u64::MAX, why.into());
    }

    /// Tells of a place in a file; each place is told once.
    pub(crate) fn at(&self, path: &Path, offset: u64, why: impl Into<String>) {
        self.tell(path, offset, why.into());
    }

    /// An agent set the content of `folder` aside as damaged: the damage is no news, and the lost content is told by
    /// file.
    pub(crate) fn passes_over(&self, folder: PathBuf) {
        self.set_aside.lock().unwrap_or_else(PoisonError::into_inner).push(folder);
    }

    fn tell(&self, path: &Path, place: u64, why: String) {
        let set_aside = self.set_aside.lock().unwrap_or_else(PoisonError::into_inner);
        if set_aside.iter().any(|folder| path.starts_with(folder)) {
            return;
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = found.told.len() >= TOLD_MAX || found.told.insert((path.to_owned(), place));
        if is_new {
            let shown = escape_name(&name_bytes(path.as_os_str()));
            found.list.add(shown, why);
        }
    }

    /// A folder beside the vault that this account may not read: no damage, and worth a word.
    pub(crate) fn not_looked_at(&self, folder: PathBuf) {
        let mut places = self.not_looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        // The disk is gone through more than once.
        if !places.contains(&folder) {
            places.push(folder);
        }
    }

    /// The folders of `not_looked_at`.
    pub(crate) fn places_not_looked_at(&self) -> Vec<PathBuf> {
        self.not_looked_at.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a thing that only a newer Larder understands.
    pub(crate) fn newer(&self) {
        self.too_new.fetch_add(1, Relaxed);
    }

    /// How many things only a newer Larder understands.
    pub(crate) fn too_new(&self) -> u64 {
        self.too_new.load(Relaxed)
    }

    /// The damage so far.
    pub(crate) fn list(&self) -> SkippedList {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).list.clone()
    }
}
