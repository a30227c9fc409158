//! The other computers' side of Larder: push a folder, look at what is kept, get it back.
//!
//! `push` and `restore` are plain functions over the trait `Appliance`; they print nothing and count into `Progress`.
//! `Connection` is the appliance over HTTP; `Rescue` reads a
//! pulled disk without any. The command `larder` is a thin layer on top (`owner`).
//! Not here: what lies on the appliance's disks (`store`), and the bytes that both ends agree on (`larder-format`).

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handle;
mod link;
pub mod owner;
mod past;
mod platform;
mod progress;
mod push;
mod remote;
mod rescue;
mod restore;
mod settings;
mod trouble;
mod unfinished;

pub use link::connection::Connection;
pub use past::{read_file::read_file, selection::Wanted, tree_reader::TreeReader};
pub use progress::Progress;
pub use push::{PushOptions, Pushed, push};
pub use remote::{Appliance, Past};
pub use rescue::{Candidate, Kept, PulledDisk, Rescue, Standing};
pub use restore::{Existing, RestoreOptions, Restored, restore};
pub use settings::{Pairing, source_name_for};
pub use trouble::{Skipped, SkippedList, Trouble};
