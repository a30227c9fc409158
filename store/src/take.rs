//! Uploads from a device: blocks, and the commit of a snapshot.
//!
//! Not here: opening blocks and growing packs (`packs::growing`).

pub(crate) mod commit;
pub(crate) mod complete;
pub(crate) mod folder;
pub(crate) mod receive;
pub(crate) mod share;
pub(crate) mod unsealed;
