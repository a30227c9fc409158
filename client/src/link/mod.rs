//! Everything that touches the network: connections, retries, answers. Nothing outside this room names HTTP.
//!
//! The rest of the client asks through the traits `Past` and `Remote`, or one of the `questions` of a person.

mod body;
pub(crate) mod connection;
pub(crate) mod path;
pub(crate) mod questions;
