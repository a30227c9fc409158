//! Whether an empty folder is meant.
//!
//! The folder of a disk that is not mounted is empty: its backup would say that every file was deleted, and the lamp that
//! all is well.

use crate::ClientError;
use larder_format::wire::PushWelcome;
use std::path::Path;

/// Looks whether the folder of an empty tree may become a snapshot of `source`.
///
/// # Errors
/// `NotThere` for an empty folder that has backups. A folder of which everything is left out is not empty.
pub(super) fn require_mounted(
    folder: &Path,
    source: &str,
    welcome: Option<&PushWelcome>,
) -> Result<(), ClientError> {
    let has_entries = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if has_entries || welcome.is_none_or(|welcome| welcome.snapshots == 0) {
        return Ok(());
    }
    Err(ClientError::NotThere {
        what: format!("{} is empty, and {source} has backups already. No backup was made.", folder.display()),
        remedy: "If its disk is not mounted, mount it and push again. If it is empty on purpose, push with --empty.",
    })
}
