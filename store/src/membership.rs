//! Disks: joining, returning, resync, distrust and leaving.
//!
//! Not here: the ledger's knowledge of each disk (`disks::known`).

pub(crate) mod arrival;
pub(crate) mod opening;
pub(crate) mod resync;
pub(crate) mod standing;
