//! Keeping and letting go: what the rule wants, what is still needed, and what becomes of the rest.

pub(crate) mod letting_go;
pub(crate) mod mark;
pub mod prune;
pub(crate) mod repack;
pub(crate) mod sweep;
pub(crate) mod sweeps;
pub(crate) mod unfinished;
pub(crate) mod unlink;
