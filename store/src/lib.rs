//! The vault: immutable versions on plain disks, and nothing but files and functions.
//!
//! No network, no runtime, no wall clock, no pins: the vault must outlive the daemon and must run in a simulator, so
//! time, randomness and disks come in as arguments. Truth is packs and ledger; the index holds only what can be made
//! from them again. Order of writing, which everything else relies on: ARCHITECTURE.md, "The commit point".
//! Not here: who may push (`agent`), what bytes look like (`format`).

mod attach;
mod block_cache;
mod browse;
mod care;
mod catalog;
mod catch_up;
mod check;
pub mod clock;
mod damage;
pub mod disk;
mod entries;
mod identity;
mod index;
mod ingest;
mod known_disks;
mod ledger;
mod ledger_view;
mod marks;
mod members;
mod membership;
mod merge;
mod numbered;
mod packs;
mod parity;
mod patient;
pub mod prune;
mod reading;
mod relied;
mod removal;
mod repair;
pub mod retention;
mod scrub;
mod slot;
mod spare;
mod sweep;
mod vanished;
mod vault;
mod walk;

pub use attach::Attached;
pub use browse::{Difference, Found, Lookup, Run};
pub use check::Audit;
pub use identity::{Identity, hex, identity_of};
pub use index::IndexPlace;
pub use known_disks::{KnownDisk, KnownDisks};
pub use ledger::disks_known_to;
pub use ledger_view::{Fact, Hold, LedgerView, LetGo, PRUNE_GRACE_S, RuleInForce, SHORTEN_DELAY_S};
pub use members::{MemberState, MemberView};
pub use packs::Fetch;
pub use removal::UNLINK_GRACE_S;
pub use repair::lost::DamagedSnapshot;
pub use scrub::ScrubView;
pub use sweep::Swept;
pub use vault::{Committed, Opened, Options, Vault};

use larder_format::{ChunkId, FormatError};
use std::io;

/// What can go wrong in the store, told apart by what the owner must do next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written; what is kept stays kept.
    #[error("the backup disk is full; {missing_mib} MiB more are needed")]
    Full {
        /// Room that is missing, rounded up.
        missing_mib: u64,
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
    /// The disks of one vault tell different stories, or a disk is no vault.
    #[error("{what}")]
    Foreign {
        /// In words.
        what: String,
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

/// Shorthand of this crate.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
