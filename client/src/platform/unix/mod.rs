//! The calls of Linux and similar systems.

pub(super) mod change_events;
pub(super) mod error;
pub(super) mod files;
pub(super) mod folder;
pub(super) mod new_files;
pub(super) mod owners;
pub(super) mod power;
pub(super) mod restorer;
pub(super) mod signals;
mod stat;
pub(super) mod stop;
pub(super) mod system;
pub(super) mod terminal;
pub(super) mod xattrs;
