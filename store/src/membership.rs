//! Disks that join, come back, are filled, are distrusted and leave.
//!
//! Not here: what the ledger knows of each (`disks::known`).

pub(crate) mod arrival;
pub(crate) mod opening;
pub(crate) mod resync;
pub(crate) mod standing;
