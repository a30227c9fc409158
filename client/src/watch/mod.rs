//! A folder under watch: what changed in it, and when to send or to make a snapshot.
//!
//! Events of the system are hints. A snapshot is always made by a walk over the whole tree, so a lost event can delay
//! a file and never lose one. Files go ahead of the snapshot by walks over changed folders alone. Not here: the loop
//! and its words (`owner::watching`), the walks (`push`), the system's events (`platform`).

mod changes;
mod pacing;

pub(crate) use changes::{AheadGuide, ChangedFolders, TreeWatch, WholeGuide};
pub(crate) use pacing::{SNAPSHOT_EVERY, Sight, SnapshotWish, SourcePacing, WatchStep};
