//! Jobs: one thing that the owner can watch, per file.

pub(crate) mod catch_up;
#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod disks;
pub(crate) mod index;
pub(crate) mod letting_go;
pub(crate) mod room;
pub(crate) mod scrub;
