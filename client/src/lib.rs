//! The other computers' side of Larder: push a folder, look at the kept past, get files back.
//!
//! `push` and `restore` are plain functions over the traits `Remote` and `Past`: they print nothing and count into
//! `TransferProgress`. `Connection` is the appliance over HTTP; `Rescue` reads a pulled disk without an appliance.
//! The command `larder` is a thin layer on top (`owner`). Not here: the appliance's disks (`store`), and the bytes
//! that both ends agree on (`larder-format`).

mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handle;
mod link;
mod live;
pub mod owner;
mod past;
mod platform;
mod programs;
mod progress;
mod push;
mod receipts;
mod remote;
mod rescue;
mod restore;
mod rollback;
mod schedule;
mod settings;
mod tally;
mod unfinished;
mod watch;

pub use error::{ClientError, NoAnswer, NotWritten, PairingLack, Skipped, SkippedList};
pub use link::connection::Connection;
pub use past::{read_file::read_file, selection::Selection};
pub use progress::TransferProgress;
pub use push::{
    ChangedFiles, DefaultExcludes, LeftOut, LeftOutNames, LeftOutReason, PushOptions, PushPreview, Pushed,
    preview_push, push,
};
pub use remote::{Past, Remote};
pub use rescue::{FoundSnapshot, KeptSnapshot, PulledDisk, Rescue, SnapshotStanding};
pub use restore::{
    Existing, RestoreChoice, RestoreOptions, RestorePreview, Restored, RoomCheck, SpecialEntries, preview,
    restore, wanted_bytes,
};
pub use rollback::{FolderPart, Removed, Rollback, RollbackPlan, RolledBack};
pub use settings::{PairedAppliance, PairedKeys, source_name_for};
pub use tally::Tally;
