//! Where a scrub stands, kept on the disk that it reads: a disk that moves to another box goes on where it was.
//!
//! Losing it only begins the round again.

use crate::disk::numbered::Numbered;
use larder_format::layout::unfinished;

pub(crate) const STATE: Numbered =
    Numbered { ending: ".state", part: unfinished::SCRUB, bytes_max: 64 * 1024 };
