//! Shared machinery of the tests: a pusher that is as simple as can be, and the real binaries as a home has them.

pub mod home;
pub mod plain;
