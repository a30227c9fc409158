//! The calls of Linux and similar systems.

pub(super) mod error;
pub(super) mod files;
pub(super) mod folder;
pub(super) mod new_files;
pub(super) mod owners;
pub(super) mod restorer;
mod stat;
pub(super) mod system;
pub(super) mod terminal;
pub(super) mod xattrs;
