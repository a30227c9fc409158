//! Progress of a scrub, kept on the scrubbed disk: a disk moved to a different box continues from there.
//!
//! Losing the file only begins the round again.

use crate::disk::numbered::Numbered;

pub(crate) const STATE: Numbered =
    Numbered { ending: ".state", part: "open/scrub.part", bytes_max: 64 * 1024 };
