//! Packs: which there are, where each chunk lies, what is wrong with them, and the one that grows.
//!
//! Not here: what they mean to a snapshot (`past`, `keep`, `upkeep`).

pub(crate) mod block_cache;
pub(crate) mod catalog;
pub(crate) mod given_up;
pub(crate) mod growing;
pub(crate) mod index;
pub(crate) mod marks;
pub(crate) mod on_disk;
pub(crate) mod pins;
pub(crate) mod place;
pub(crate) mod pool;
pub(crate) mod reader;
pub(crate) mod registry;
pub(crate) mod share;
pub(crate) mod trouble;
