//! The vault: immutable versions on plain disks, made of nothing but files and functions.
//!
//! No network, no runtime, no wall clock, no pins: the vault must outlive the daemon and must run in a simulator, so
//! time, randomness and disks come in as arguments. Truth is packs and ledger; the index can be made again from both.
//! Order of writing, the base of every other promise: ARCHITECTURE.md, "The commit point".
//! Not here: who may push (`agent`), the bytes (`format`).

mod core;
pub mod disk;
mod disks;
mod keep;
mod ledger;
mod locks;
mod membership;
mod packs;
mod past;
mod take;
mod upkeep;
mod vault;

pub use crate::core::scope::Scope;
pub use disks::identity::{Identity, hex, identity_of};
pub use disks::known::{KnownDisk, KnownDisks};
pub use disks::member::{MemberState, MemberView};
pub use keep::labels::{LABELS_MAX, LabelWish, Labelling};
pub use keep::letting_go::Swept;
pub use keep::prune;
pub use keep::sources::{Career, LetGoOf, RhythmWish, Said};
pub use keep::unlink::UNLINK_GRACE_S;
pub use ledger::clock::SHORTEN_DELAY_S;
pub use ledger::files::disks_known_to;
pub use ledger::labels::Label;
pub use ledger::view::{Access, Hold, LedgerView, LetGo, PRUNE_GRACE_S, RuleInForce, SnapshotRecord};
pub use ledger::wishes::{LetGoWish, SourceWish};
pub use ledger::{clock, retention};
pub use membership::arrival::Attached;
pub use membership::standing::FORGET_DELAY_S;
pub use packs::index::IndexPlace;
pub use packs::pins::UnfinishedUpload;
pub use packs::place::Fetch;
pub use past::browse::{Difference, Found, ListedBelow, ListedFolder, Lookup, Run};
pub use past::names::{NameHit, NameIndex, NameQuery, NamesBudget, NamesFound};
pub use past::standing::SnapshotFate;
pub use take::commit::Committed;
pub use take::folder::{FolderClaim, KnownSource};
pub use upkeep::audit::Audit;
pub use upkeep::repair::lost::DamagedSnapshot;
pub use upkeep::scrub::ScrubView;
pub use upkeep::usage::{DiskUsage, UsageView};
pub use vault::by::By;
pub use vault::{Opened, Options, Vault};

use crate::disk::Disk;
use larder_format::ledger::Origin;
use larder_format::{ChunkId, FormatError};
use std::io;

/// Errors of the store, told apart by what the owner must do next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No byte was written; kept backups stay kept.
    #[error("the backup disk at {disk} is full; at least {missing_mib} MiB must become free there")]
    Full {
        /// Where the owner finds the disk.
        disk: String,
        /// Room that the next step lacks, in MiB, rounded up. Unannounced bytes may need more.
        missing_mib: u64,
        /// Free on the disk, in MiB: the reserve, and less than the next step needs. None where the disk did not say.
        free_mib: Option<u64>,
        /// MiB sent by this device since its last commit, named by no snapshot.
        sent_mib: u64,
        /// The same for every other device: room that comes back without a commit.
        others_mib: u64,
    },
    /// The vault does not hold the requested object.
    #[error("{what} is not in the backup")]
    NotFound {
        /// In words.
        what: String,
    },
    /// A snapshot was to be committed before every chunk had arrived.
    #[error("{count} pieces of this backup have not arrived")]
    Missing {
        /// How many are known to be missing.
        count: usize,
        /// The first missing chunk.
        first: ChunkId,
    },
    /// Received bytes break the format's rules.
    #[error("what arrived is not valid: {0}")]
    Refused(#[from] FormatError),
    /// The chunk fails its checksum on every disk that has a copy.
    #[error("a stored piece is damaged on every disk that has it")]
    Damaged {
        /// The chunk.
        chunk: ChunkId,
        /// The last disk's error.
        cause: String,
    },
    /// A device asked for a snapshot of another device's source.
    #[error("{name} is no source of {device}")]
    NotYours {
        /// The asking device.
        device: String,
        /// `DEVICE/NAME` of the source.
        name: String,
    },
    /// A device asked for one more source than a device may have.
    #[error("{device} has {sources} sources already, as many as a computer may have")]
    TooManySources {
        /// The device.
        device: String,
        /// Its sources with kept snapshots.
        sources: usize,
    },
    /// A device asked for one more snapshot than a device may make within a day.
    #[error("{device} has made {snapshots} backups within a day, as many as a computer may")]
    TooManySnapshots {
        /// The device.
        device: String,
        /// Snapshots that it may make within a day.
        snapshots: usize,
        /// Seconds with power until it may make the next one.
        wait_s: u64,
    },
    /// Another folder was pushed under the name of a source.
    #[error("{name} is the folder {}, and this is {}", known.in_words(), pushed.in_words())]
    OtherFolder {
        /// `DEVICE/NAME`.
        name: String,
        /// The folder of the source.
        known: Box<Origin>,
        /// The folder of the push.
        pushed: Box<Origin>,
    },
    /// The disks of one vault tell different stories, or a disk is no vault.
    #[error("{what}")]
    Foreign {
        /// In words.
        what: String,
    },
    /// A newer Larder has changed the disks in ways unknown to this version, so nothing is written.
    #[error("the backup disks were used by a newer Larder (layout {since}); this one only gives back")]
    ReadOnly {
        /// The newest layout found.
        since: u16,
    },
    /// Letting go is not allowed at this moment.
    #[error("nothing is let go of now: {why}")]
    Waits {
        /// In words.
        why: String,
    },
    /// No disk is left to write to or read from.
    #[error("the backup disk stopped answering ({path})")]
    Disk {
        /// Disk and file.
        path: String,
        /// The system's error.
        source: io::Error,
    },
}

impl StoreError {
    /// A source without snapshots, or not to be seen by the asker.
    pub(crate) fn no_source(source: &str) -> Self {
        Self::NotFound { what: format!("source {source}") }
    }

    /// A disk lacks so many bytes; the holders of the remaining room are added in the reply to a device.
    pub(crate) fn full(disk: String, missing_bytes: u64, free_bytes: Option<u64>) -> Self {
        let (missing_mib, free_mib) = (missing_bytes.div_ceil(1 << 20), free_bytes.map(|free| free >> 20));
        Self::Full { disk, missing_mib, free_mib, sent_mib: 0, others_mib: 0 }
    }

    /// A full filesystem does not say how much room is lacking: at least the next pack.
    pub(crate) fn full_disk(disk: &dyn Disk) -> Self {
        Self::full(disk.name(), larder_format::pack::PACK_BYTES_AIM, None)
    }
}

/// Shorthand of this crate.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
