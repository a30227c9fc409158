//! How a restored file gets its name, once whole and never before.
//!
//! Not here: files without any name (`platform::NewFiles`).

use super::replacing::{NOT_IN_THE_BACKUP, NameMustBe};
use crate::platform::{ErrorCause, FolderRef, SystemError};

/// Renames `beside` to the final name.
pub(crate) fn rename(
    folder: FolderRef<'_>,
    beside: &[u8],
    name: &[u8],
    must_be: NameMustBe,
) -> Result<(), String> {
    let renamed = match must_be {
        NameMustBe::Anything => folder.rename(beside, name),
        NameMustBe::Free => folder.rename_if_free(beside, name),
        NameMustBe::As(seen) => match folder.status_at(name) {
            Ok(now) if now.same_state(&seen) => folder.rename(beside, name),
            Err(error) if error.is_gone() => folder.rename_if_free(beside, name),
            _ => return Err(NOT_IN_THE_BACKUP.to_owned()),
        },
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
