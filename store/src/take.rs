//! Taking in what a device sends: blocks, and the commit that makes a snapshot of them.
//!
//! Not here: opening blocks and growing packs (`packs::growing`).

pub(crate) mod commit;
pub(crate) mod complete;
pub(crate) mod receive;
pub(crate) mod unsealed;
