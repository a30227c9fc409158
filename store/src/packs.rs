//! Packs: the list of packs, the place of each chunk, known damage, and the growing pack.
//!
//! Not here: the meaning of a pack to a snapshot (`past`, `keep`, `upkeep`).

pub(crate) mod block_cache;
pub(crate) mod catalog;
pub(crate) mod claims;
pub(crate) mod given_up;
pub(crate) mod growing;
pub(crate) mod index;
pub(crate) mod marks;
pub(crate) mod on_disk;
pub(crate) mod owners;
pub(crate) mod pins;
pub(crate) mod place;
pub(crate) mod pool;
pub(crate) mod reader;
pub(crate) mod registry;
pub(crate) mod share;
pub(crate) mod trouble;
