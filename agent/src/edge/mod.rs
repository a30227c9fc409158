//! The edges: each file touches one outside thing, and nothing else does.

pub(crate) mod box_key;
#[cfg(feature = "demo")]
pub(crate) mod broker_listener;
pub(crate) mod browser_certificate;
pub(crate) mod button;
pub(crate) mod clock;
pub(crate) mod control;
pub(crate) mod dashboard;
pub(crate) mod discovery;
pub(crate) mod disks;
pub(crate) mod flush;
mod gpio;
pub(crate) mod http;
pub(crate) mod key_file;
pub(crate) mod listen;
pub(crate) mod mqtt;
pub(crate) mod notes;
pub(crate) mod notify;
pub(crate) mod panel;
pub(crate) mod playing;
pub(crate) mod random;
mod secret_file;
mod small_file;
mod stop;
pub(crate) mod system;
