//! Whether an empty folder is meant.
//!
//! The folder of a disk that is not mounted is empty: its backup would say that every file was deleted, and the lamp that
//! all is well.

use crate::ClientError;
use larder_format::wire::{Problem, PushWelcome};
use std::path::Path;

/// Looks whether the folder of an empty tree may become a snapshot of `source`.
///
/// # Errors
/// `Refused` with `empty_folder`, as for another folder under the name of a source: both wait for a word of the owner. A folder of which
/// everything is left out is not empty.
pub(super) fn require_mounted(
    folder: &Path,
    source: &str,
    welcome: Option<&PushWelcome>,
) -> Result<(), ClientError> {
    let has_entries = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if has_entries || welcome.is_none_or(|welcome| welcome.snapshots == 0) {
        return Ok(());
    }
    Err(ClientError::Refused(Box::new(Problem {
        code: "empty_folder".to_owned(),
        what: format!("{} is empty, and {source} has backups already.", folder.display()),
        meaning: "No backup was made, and what is kept is as it was. A backup of it would say that all files were deleted.".to_owned(),
        remedy: "If its disk is not mounted, mount it and push again. If it is empty on purpose, push with --empty.".to_owned(),
        details: String::new(),
    })))
}
