//! The vault: immutable versions on plain disks, and nothing but files and functions.
//!
//! No network, no runtime, no wall clock, no pins: the vault must outlive the daemon and must run in a simulator, so
//! time, randomness and disks come in as arguments. Truth is packs and ledger; the index holds only what can be made
//! from them again. Order of writing, which everything else relies on: ARCHITECTURE.md, "The commit point".
//! Not here: who may push (`agent`), what bytes look like (`format`).

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
pub use keep::letting_go::Swept;
pub use keep::prune;
pub use keep::unlink::UNLINK_GRACE_S;
pub use ledger::files::disks_known_to;
pub use ledger::view::{Access, Fact, Hold, LedgerView, LetGo, PRUNE_GRACE_S, RuleInForce, SHORTEN_DELAY_S};
pub use ledger::{clock, retention};
pub use membership::arrival::Attached;
pub use membership::standing::FORGET_DELAY_S;
pub use packs::index::IndexPlace;
pub use packs::place::Fetch;
pub use past::browse::{Difference, Found, Lookup, Run};
pub use take::commit::Committed;
pub use upkeep::audit::Audit;
pub use upkeep::repair::lost::DamagedSnapshot;
pub use upkeep::scrub::ScrubView;
pub use vault::by::By;
pub use vault::{Opened, Options, Vault};

use crate::disk::Disk;
use larder_format::{ChunkId, FormatError};
use std::io;

/// What can go wrong in the store, told apart by what the owner must do next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written; what is kept stays kept.
    #[error("the backup disk at {disk} is full; at least {missing_mib} MiB more are needed")]
    Full {
        /// Where the owner finds the disk.
        disk: String,
        /// Room that the next step lacks, in MiB, rounded up. More may be needed for what nobody has announced.
        missing_mib: u64,
        /// MiB that this device has sent since its last commit: no snapshot names them.
        sent_mib: u64,
        /// The same of all other devices: room that comes back unless they commit it.
        others_mib: u64,
    },
    /// The vault does not hold what was asked for.
    #[error("{what} is not in the backup")]
    NotFound {
        /// In words.
        what: String,
    },
    /// A snapshot was to be committed whose chunks have not all arrived.
    #[error("{count} pieces of this backup have not arrived")]
    Missing {
        /// How many are known to be missing.
        count: usize,
        /// The first of them.
        first: ChunkId,
    },
    /// What arrived breaks the format's rules.
    #[error("what arrived is not valid: {0}")]
    Refused(#[from] FormatError),
    /// Bytes on every disk that has them fail their checksums.
    #[error("a stored piece is damaged on every disk that has it")]
    Damaged {
        /// The chunk.
        chunk: ChunkId,
        /// What the last disk gave.
        cause: String,
    },
    /// A device asked for a snapshot of another device's source.
    #[error("{name} is no source of {device}")]
    NotYours {
        /// Who asked.
        device: String,
        /// `DEVICE/NAME` of the source.
        name: String,
    },
    /// The disks of one vault tell different stories, or a disk is no vault.
    #[error("{what}")]
    Foreign {
        /// In words.
        what: String,
    },
    /// A newer Larder has changed the disks in ways that this version does not understand, so nothing is written.
    #[error("the backup disks were used by a newer Larder (layout {since}); this one only gives back")]
    ReadOnly {
        /// The newest layout that was met.
        since: u16,
    },
    /// Nothing may be let go of at this moment.
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
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    /// A disk lacks so many bytes; who holds the rest of it is added where a device is told.
    pub(crate) fn full(disk: String, missing_bytes: u64) -> Self {
        Self::Full { disk, missing_mib: missing_bytes.div_ceil(1 << 20), sent_mib: 0, others_mib: 0 }
    }

    /// A filesystem that is full does not say how much it lacks: at least the next pack.
    pub(crate) fn full_disk(disk: &dyn Disk) -> Self {
        Self::full(disk.name(), larder_format::pack::PACK_BYTES_AIM)
    }
}

/// Shorthand of this crate.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
