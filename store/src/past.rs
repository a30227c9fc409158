//! Reading the past: folders, versions, differences, the bytes of files, names over all time.
//!
//! Not here: single chunks (`core`), how a tree is read (`larder_format::tree::read`).

pub(crate) mod brought;
pub(crate) mod browse;
pub(crate) mod names;
pub(crate) mod standing;
