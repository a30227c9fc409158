//! The ledger: an append-only chain of every commit, promise, hold and removal.
//!
//! Not here: writing an entry, an exclusive step (`core`).

pub(crate) mod chapters;
pub mod clock;
pub(crate) mod entry_files;
pub(crate) mod files;
pub(crate) mod labels;
pub(crate) mod listing;
pub(crate) mod origins;
pub mod retention;
pub(crate) mod view;
pub(crate) mod walk;
pub(crate) mod wishes;
