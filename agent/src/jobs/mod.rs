//! Jobs: one thing that the owner can watch, per file.

pub(crate) mod fill;
pub(crate) mod index;
pub(crate) mod keep;
pub(crate) mod look;
pub(crate) mod room;
pub(crate) mod scrub;
