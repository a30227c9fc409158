//! Progress of a scrub, kept on the scrubbed disk: a disk moved to a different box continues from there.
//!
//! Losing the file only begins the round again.

use crate::disk::numbered::Numbered;
use larder_format::layout::unfinished;

pub(crate) const STATE: Numbered =
    Numbered { ending: ".state", part: unfinished::SCRUB, bytes_max: 64 * 1024 };
