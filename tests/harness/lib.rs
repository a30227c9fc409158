//! Shared machinery of the tests: a pusher that is as simple as can be, a model that keeps plain copies, and the real
//! binaries as a home has them.

pub mod device;
pub mod fault_injection;
pub mod home;
pub mod model;
pub mod mounts;
pub mod moved_clock;
pub mod network;
pub mod plain;
pub mod shrink;
