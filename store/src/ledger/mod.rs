//! The ledger of the vault: its files on the disks, what its entries add up to, and how one is written.
//!
//! Not here: what an entry looks like (`format`), what must be durable before one (`vault`).

pub(crate) mod append;
pub(crate) mod chapters;
pub(crate) mod files;
pub(crate) mod view;
