//! The network: connections, retries, answers. No other room names HTTP.
//!
//! The rest of the client asks through the traits `Past` and `Remote`, or by one of the `questions` of a person.

pub(crate) mod announced;
mod answer;
mod asker;
mod body;
pub(crate) mod changes;
pub(crate) mod connection;
pub(crate) mod limit;
pub(crate) mod listing;
pub(crate) mod moved;
pub(crate) mod pairing;
pub(crate) mod path;
mod patience;
mod pinned;
mod place;
pub(crate) mod questions;
mod transport;
