//! The other computers' side of Larder: push a folder, look at what is kept, get it back.
//!
//! `push` and `restore` are plain functions over the trait `Appliance`; they print nothing and count into `Progress`.
//! `Connection` is the appliance over HTTP; `Rescue` reads a
//! pulled disk without any. The command `larder` is a thin layer on top (`owner`).
//! Not here: what lies on the appliance's disks (`store`), and the bytes that both ends agree on (`larder-format`).

mod appliance;
mod attributes;
mod batch;
mod cache;
mod connection;
mod cut_choice;
mod cut_file;
mod entry;
mod exclude;
mod fetch;
mod folder;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handle;
mod kept_blocks;
mod listing;
pub mod owner;
mod progress;
mod push;
mod rescue;
mod restore;
mod send;
mod settings;
mod shares;
mod tree_reader;
mod trouble;
mod walk;
mod weave;

pub use appliance::{Appliance, Past};
pub use connection::Connection;
pub use fetch::read_file;
pub use progress::Progress;
pub use push::{PushOptions, Pushed, push};
pub use rescue::{Candidate, Kept, PulledDisk, Rescue, Standing};
pub use restore::{Existing, RestoreOptions, Restored, Wanted, restore};
pub use settings::{Pairing, source_name_for};
pub use tree_reader::TreeReader;
pub use trouble::{Skipped, SkippedList, Trouble};
