//! How a restored file gets its name, once whole and never before.
//!
//! Not here: files without any name (`platform::NewFiles`).

use super::{options::Existing, site::Site};
use crate::platform::{ErrorCause, FolderRef, SystemError};

/// Renames `beside` to the final name.
pub(crate) fn rename(
    site: &Site<'_>,
    folder: FolderRef<'_>,
    beside: &[u8],
    name: &[u8],
) -> Result<(), String> {
    let renamed = match site.existing {
        Existing::Replace => folder.rename(beside, name),
        Existing::Keep => folder.rename_if_free(beside, name),
    };
    renamed.map_err(words)
}

/// Why an entry could not be written, in words of an owner.
pub(crate) fn words(error: SystemError) -> String {
    match error.cause() {
        ErrorCause::Taken => "something of this name is already there and was left alone".to_owned(),
        ErrorCause::Denied => "you are not allowed to write it here".to_owned(),
        ErrorCause::Full => "the disk is full".to_owned(),
        ErrorCause::Gone | ErrorCause::BadDisk | ErrorCause::Exchanged | ErrorCause::Other => {
            error.to_string()
        }
    }
}
