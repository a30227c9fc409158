//! Looking after what is kept: reading it back, repairing it, and naming what is lost.
//!
//! Not here: when and how fast (the agent).

pub(crate) mod audit;
pub(crate) mod chapters;
pub(crate) mod parity;
pub(crate) mod repair;
pub(crate) mod scrub;
pub(crate) mod vanished;
