//! The disks of one vault: who each is, how far it can be trusted, and where it is plugged in.
//!
//! Not here: reading and writing one (`disk`), how one comes, goes and is filled (`membership`).

pub(crate) mod identity;
pub(crate) mod known;
pub(crate) mod member;
pub(crate) mod members;
pub(crate) mod refusals;
pub(crate) mod slot;
