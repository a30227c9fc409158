//! The file that remembers conditions over a restart, beside the vault on each disk: whichever disk is pulled or dies, the
//! others know since when.
//!
//! A file that is gone, or that nobody can read, is no trouble: what holds is told once more.

use super::small_file::{read_small, replace_small};
use crate::report::{Remembered, RememberedFile};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

const NAME: &str = "conditions.json";
/// Thousands of sources with a condition each; a planted file must not fill the memory.
const BYTES_MAX: u64 = 1024 * 1024;

/// What an earlier run remembered last in any of the folders; nothing where there is no such file.
pub(crate) fn load(folders: &[PathBuf]) -> Remembered {
    let files = folders.iter().filter_map(|folder| read(folder));
    files.max_by_key(|file| file.saved).map(|file| file.remembered).unwrap_or_default()
}

fn read(folder: &Path) -> Option<RememberedFile> {
    let text = read_small(&folder.join(NAME), BYTES_MAX).ok()?;
    let note = serde_json::from_str(&text);
    note.inspect_err(|error| {
        tracing::warn!(%error, "what was remembered of conditions cannot be read; another disk may know it");
    })
    .ok()
}

/// Remembers in each of the folders, at this moment.
pub(crate) fn save(folders: &[PathBuf], remembered: Remembered, now: Timestamp) {
    let file = RememberedFile { saved: Some(now), remembered };
    let text = serde_json::to_string(&file).expect("plain values encode");
    for folder in folders {
        if let Err(error) = replace_small(&folder.join(NAME), &text) {
            tracing::warn!(%error, "the conditions could not be remembered; after a restart they may be told anew");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Level, RememberedCondition, SeenCondition};

    #[test]
    fn what_is_remembered_comes_back_and_a_broken_file_is_no_trouble() {
        let home = tempfile::tempdir().unwrap();
        let folders = ["a", "b"].map(|name| home.path().join(name));
        folders.iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        assert_eq!(load(&folders), Remembered::default());
        let seen = Some(SeenCondition { level: Level::Alarm, weight: 7 });
        let remembered = |since: i64| {
            let since = Timestamp::from_second(since).unwrap();
            let condition = RememberedCondition { since, seen };
            let conditions = [("overdue laptop/Böse".to_owned(), condition)].into();
            Remembered { conditions, ..Remembered::default() }
        };
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        save(&folders, remembered(1), at(10));
        assert_eq!(load(&folders[..1]), remembered(1));
        // The second disk is away, and comes back alone and then beside the first.
        save(&folders[..1], remembered(2), at(20));
        assert_eq!(load(&folders[1..]), remembered(1));
        assert_eq!(load(&folders), remembered(2));
        for broken in ["", "{", "{\"conditions\":{\"a\":{\"since\":\"never\"}}}", "\0\0\0"] {
            std::fs::write(folders[0].join(NAME), broken).unwrap();
            assert_eq!(load(&folders), remembered(1), "{broken}");
            assert_eq!(load(&folders[..1]), Remembered::default(), "{broken}");
        }
        std::fs::write(folders[1].join(NAME), "{\"conditions\":{}}").unwrap();
        assert_eq!(load(&folders), Remembered::default(), "as an earlier version wrote it");
    }
}
