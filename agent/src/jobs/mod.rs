//! Jobs: one thing that the owner can watch, per file.

#[cfg(feature = "demo")]
pub(crate) mod demo;
