//! The file that remembers conditions over a restart, beside the vault on one disk.
//!
//! A file that is gone, or that nobody can read, is no trouble: what holds is told once more.

use super::small_file::{read_small, replace_small};
use crate::report::Remembered;
use std::path::Path;

const NAME: &str = "conditions.json";
/// Thousands of sources with a condition each; a planted file must not fill the memory.
const BYTES_MAX: u64 = 1024 * 1024;

/// What an earlier run remembered in `folder`; nothing where there is no such file.
pub(crate) fn load(folder: &Path) -> Remembered {
    let Ok(text) = read_small(&folder.join(NAME), BYTES_MAX) else { return Remembered::default() };
    serde_json::from_str(&text).unwrap_or_else(|error| {
        tracing::warn!(%error, "what was remembered of conditions cannot be read; they are told anew");
        Remembered::default()
    })
}

/// Remembers in `folder`.
pub(crate) fn save(folder: &Path, remembered: &Remembered) {
    let text = serde_json::to_string(remembered).expect("plain values encode");
    if let Err(error) = replace_small(&folder.join(NAME), &text) {
        tracing::warn!(%error, "the conditions could not be remembered; after a restart they are told anew");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Level, RememberedCondition, SeenCondition};

    #[test]
    fn what_is_remembered_comes_back_and_a_broken_file_is_no_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let mut remembered = Remembered::default();
        assert_eq!(load(folder.path()), remembered);
        let seen = Some(SeenCondition { level: Level::Alarm, weight: 7 });
        let since = jiff::Timestamp::from_second(1_790_000_000).unwrap();
        remembered.conditions.insert("overdue laptop/Böse".to_owned(), RememberedCondition { since, seen });
        save(folder.path(), &remembered);
        assert_eq!(load(folder.path()), remembered);
        for broken in ["", "{", "{\"conditions\":{\"a\":{\"since\":\"never\"}}}", "\0\0\0"] {
            std::fs::write(folder.path().join(NAME), broken).unwrap();
            assert_eq!(load(folder.path()), Remembered::default(), "{broken}");
        }
    }
}
