//! Remembering what became of a push that goes by itself.
//!
//! Not here: the file (`schedule`), showing what it says (`schedule_state`).

use super::{options::now, screen::say};
use crate::schedule::{LastPushes, PushOutcome};

/// Remembers a result of this moment for the source with the handle `name`, for `larder schedule`.
pub(super) fn remember_result(pushes: &LastPushes, name: &str, result: PushOutcome<'_>) {
    // The backup counts, not the note about it.
    if let Err(error) = pushes.remember(name, now().timestamp(), result) {
        say(format_args!("details: the result could not be remembered: {error}"));
    }
}
