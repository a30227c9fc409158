//! Maintenance of stored data: reading back, repair, and naming of losses.
//!
//! Not here: when and how fast (the agent).

pub(crate) mod audit;
pub(crate) mod chapters;
pub(crate) mod parity;
pub(crate) mod repair;
pub(crate) mod scrub;
pub(crate) mod usage;
pub(crate) mod vanished;
