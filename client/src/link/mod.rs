//! Everything that touches the network. Nothing outside this room names HTTP.

pub(crate) mod connection;
