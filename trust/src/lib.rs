//! How an appliance and a computer know each other: a key pair for each, encryption pinned to the keys, and the exchange in
//! which a typed code introduces them.
//!
//! No certificate, no name and no date between them: a box whose clock stands at 1970 is reached all the same. Browsers alone get
//! a certificate. Not here: sockets, files,
//! clocks, and what a known caller may do (`agent::edge::http::auth`).

mod browser;
mod hex;
mod key;
mod pairing;
mod tls;

pub use browser::BrowserIdentity;
pub use hex::{from_hex, to_hex};
pub use key::{PublicKey, SecretKey, TrustError};
pub use pairing::{ApplianceAnswer, DeviceSide, Grant, PairingKeys, PairingProofs, Proof};
pub use tls::{client_config, offers_raw_keys, peer_key, server_config};
