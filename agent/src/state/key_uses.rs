//! When each key was last used, so that the owner can tell a lost computer's key from the one in use.
//!
//! A file of the agent's own, beside the vault: an entry in the ledger for each request would be a ledger of requests. A
//! power cut takes ten minutes off at most. Not here: which key is in force (the ledger).

use crate::edge::key_file;
use larder_format::Hash;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Uses closer together than this are one use.
const APART_MS: i64 = 60_000;
/// Between two writings of the file.
const SAVE_EVERY_MS: i64 = 600_000;

/// Last uses, by the hash of the key.
#[derive(Debug, Default)]
pub(crate) struct KeyUses(Mutex<NotedUses>);

#[derive(Debug, Default)]
struct NotedUses {
    last_ms: BTreeMap<Hash, i64>,
    is_changed: bool,
    saved_ms: i64,
}

impl KeyUses {
    /// The uses of earlier runs.
    pub(crate) fn load(folder: &Path) -> Self {
        let last_ms = key_file::load(folder);
        Self(Mutex::new(NotedUses { last_ms, ..NotedUses::default() }))
    }

    fn noted(&self) -> MutexGuard<'_, NotedUses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a known key was used at `now_ms`.
    pub(crate) fn note(&self, key: Hash, now_ms: i64) {
        let mut noted = self.noted();
        let last_ms = noted.last_ms.get(&key).copied();
        if last_ms.is_none_or(|last_ms| (now_ms - last_ms).abs() >= APART_MS) {
            noted.last_ms.insert(key, now_ms);
            noted.is_changed = true;
        }
    }

    /// When a key was last used, in milliseconds since 1970; none where that is not known.
    pub(crate) fn last_ms(&self, key: &Hash) -> Option<i64> {
        self.noted().last_ms.get(key).copied()
    }

    /// Writes the uses of keys in force down, once in a while, or at once when `force`.
    pub(crate) fn save(&self, folder: &Path, is_in_force: impl Fn(&Hash) -> bool, now_ms: Option<i64>) {
        let uses = {
            let mut noted = self.noted();
            let is_due = now_ms.is_none_or(|now_ms| (now_ms - noted.saved_ms).abs() >= SAVE_EVERY_MS);
            if !noted.is_changed || !is_due {
                return;
            }
            noted.last_ms.retain(|key, _| is_in_force(key));
            noted.is_changed = false;
            noted.saved_ms = now_ms.unwrap_or(noted.saved_ms);
            noted.last_ms.clone()
        };
        key_file::save(folder, &uses);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_noted_kept_and_forgotten_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [Hash::of(b"one"), Hash::of(b"other")];
        let uses = KeyUses::load(folder.path());
        assert_eq!(uses.last_ms(&one), None, "not known is not never");
        uses.note(one, 1_000_000);
        uses.note(one, 1_000_000 + APART_MS - 1);
        assert_eq!(uses.last_ms(&one), Some(1_000_000));
        uses.note(one, 1_000_000 + APART_MS);
        uses.note(other, 5);
        uses.save(folder.path(), |key| *key == one, None);
        let again = KeyUses::load(folder.path());
        assert_eq!((again.last_ms(&one), again.last_ms(&other)), (Some(1_000_000 + APART_MS), None));
    }

    #[test]
    fn the_file_is_written_once_in_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let (key, uses) = (Hash::of(b"one"), KeyUses::default());
        let kept = || KeyUses::load(folder.path()).last_ms(&key);
        uses.note(key, SAVE_EVERY_MS);
        uses.save(folder.path(), |_| true, Some(SAVE_EVERY_MS));
        assert_eq!(kept(), Some(SAVE_EVERY_MS));
        uses.note(key, SAVE_EVERY_MS + APART_MS);
        uses.save(folder.path(), |_| true, Some(SAVE_EVERY_MS + APART_MS));
        assert_eq!(kept(), Some(SAVE_EVERY_MS));
        uses.save(folder.path(), |_| true, Some(2 * SAVE_EVERY_MS));
        assert_eq!(kept(), Some(SAVE_EVERY_MS + APART_MS));
    }
}
