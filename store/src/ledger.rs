//! The ledger: an append-only chain of everything that was committed, promised, held and let go of.
//!
//! Not here: writing an entry, which nobody else may do meanwhile (`core`).

pub(crate) mod chapters;
pub mod clock;
pub(crate) mod entry_files;
pub(crate) mod files;
pub(crate) mod listing;
pub mod retention;
pub(crate) mod view;
