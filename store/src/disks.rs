//! The disks of one vault: the identity, trust level and mount of each disk.
//!
//! Not here: reading and writing a disk (`disk`), how a disk joins, leaves and is filled (`membership`).

pub(crate) mod identity;
pub(crate) mod known;
pub(crate) mod member;
pub(crate) mod members;
pub(crate) mod refusals;
pub(crate) mod slot;
