//! Retention and release: the rule's wishes, the needed chunks, and the removal of the rest.

pub(crate) mod labels;
pub(crate) mod letting_go;
pub(crate) mod mark;
pub(crate) mod mixed;
pub mod prune;
pub(crate) mod repack;
pub(crate) mod sources;
pub(crate) mod sweep;
pub(crate) mod sweeps;
pub(crate) mod unfinished;
pub(crate) mod unlink;
