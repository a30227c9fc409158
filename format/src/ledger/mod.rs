//! The ledger: everything that was ever committed, in one gapless chain.
//!
//! Each entry holds the hash of the one before it, so nothing can be taken out or put in unnoticed, and a head
//! (number and hash of the newest entry) stands for the whole past. Everything that a new system card would need is
//! in here: the disks alone restore an appliance. An entry exists once its file has its final name, and not before.
//! Bytes: FORMAT.md, "Ledger". Not here: where entries lie and when they are written (`store`).

mod chain;
pub mod chapter;
mod entry;
mod event;

pub use chain::{Chain, Link};
pub use entry::Entry;
pub use event::{CONTENTS_MAX, ContentHash, Event, Newer, ORIGIN_BYTES_MAX, Origin, Without, ZONE_BYTES_MAX};

use crate::{ChunkRef, Hash, tree::Totals};
use serde::{Deserialize, Serialize};

/// Layout of ledger entries that this crate writes at most: an entry is written in the oldest layout that can say it, so
/// that an older reader loses nothing.
pub const LEDGER_VERSION: u16 = 2;

/// First bytes of a ledger entry.
pub const LEDGER_MAGIC: &[u8; 8] = b"LRDRLED1";
/// No entry is larger; the longest are those of prune and sweep, which are split below this.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024;

/// Number and hash of the newest entry. Number 0 with a zero hash stands for the empty ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Head {
    /// Gapless, from 1.
    pub sequence: u64,
    /// Hash of that entry.
    pub hash: Hash,
}

impl Head {
    /// Before the first entry.
    pub const EMPTY: Self = Self { sequence: 0, hash: Hash::ZERO };
}

/// What the appliance knew about time when it wrote an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since 1970 by the appliance's clock.
    pub time_ms: i64,
    /// Whether that clock was known to be right.
    pub trusted: bool,
    /// Seconds that the appliance had been switched on in its life.
    pub powered_on_s: u64,
}

/// Numbers of snapshots in one entry, each of at most 10 bytes, so that it stays below `ENTRY_BYTES_MAX`.
pub const PRUNED_PER_ENTRY_MAX: usize = 50_000;
/// Names of packs in one entry, each of 32 bytes.
pub const SWEPT_PER_ENTRY_MAX: usize = 16_000;

/// What is kept, and for how long. Spans in days, by the appliance's own age of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Every snapshot for so long.
    pub everything_days: u32,
    /// Then the first and last of each day for so long.
    pub daily_days: u32,
    /// Then the first and last of each week for so long.
    pub weekly_days: u32,
    /// Then the first and last of each month for so long; none for ever.
    pub monthly_days: Option<u32>,
    /// The newest so many of a source, whatever the rest says.
    pub newest: u32,
}

impl Default for Rule {
    fn default() -> Self {
        Self { everything_days: 30, daily_days: 90, weekly_days: 365, monthly_days: None, newest: 3 }
    }
}

/// What reading one whole disk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbed {
    /// Random name of the disk.
    pub disk: [u8; 16],
    /// Bytes that were read.
    pub bytes: u64,
    /// Files that were damaged or missing.
    pub damaged: u64,
    /// Those of them that are whole again.
    pub repaired: u64,
    /// Pieces of the owner's files that could not be brought back.
    pub lost: u64,
}

/// What happened to a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskEvent {
    /// As in its `disk.json`.
    pub disk: DiskId,
    /// What happened to it.
    pub what: DiskChange,
}

/// Random name of a disk, for ever the same.
pub type DiskId = [u8; 16];

/// The kinds of `DiskEvent`, as layout 1 of the ledger has them: another kind is a new kind of event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskChange {
    /// It belongs to the vault from now on, in good order as far as is known. Also how a person takes back what
    /// `Failed`, `Leaving` or `Retired` said.
    Adopted {
        /// Where it was mounted then; a label, since disks move.
        path: String,
        /// What the disk is for.
        role: DiskRole,
    },
    /// It failed while it was connected.
    Failed {
        /// What the system said.
        why: String,
    },
    /// It holds everything up to this entry.
    Complete,
    /// Somebody at the box wants it to belong to the vault no longer.
    Leaving,
    /// It belongs to the vault no longer, and is not missed.
    Retired,
}

/// What a disk of the vault is for. Layout 1 of the ledger has these two; another role is a new kind of event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskRole {
    /// It stays connected, and is missed as soon as it is not.
    #[default]
    Home,
    /// It is meant to be away most of the time.
    Offsite,
}

impl DiskRole {
    /// By whether the disk is meant to be away most of the time.
    pub fn of(offsite: bool) -> Self {
        if offsite { Self::Offsite } else { Self::Home }
    }
}

/// A source as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `DEVICE/NAME`.
    pub source: String,
    /// Random, chosen by the client for one push: the same push committed twice is one snapshot.
    pub push: [u8; 16],
    /// The root node.
    pub root: ChunkRef,
    /// Everything in it, added up.
    pub totals: Totals,
    /// Files that could not be read and are not in it.
    pub skipped: u64,
    /// The device's own clock, a label without power.
    pub device_time_ms: i64,
    /// Number of the source's newest snapshot when this one was committed; the appliance says so.
    pub parent: Option<u64>,
    /// Computer and folder, as the device says.
    pub origin: Option<Origin>,
    /// IANA name of the device's time zone, in which its owner says "yesterday evening".
    pub zone: Option<String>,
    /// Some of its files, hashed as a whole by the device; at most `CONTENTS_MAX`.
    pub contents: Vec<ContentHash>,
}

impl Snapshot {
    /// A snapshot of which nothing more is known.
    pub fn new(source: impl Into<String>, push: [u8; 16], root: ChunkRef, totals: Totals) -> Self {
        Self {
            source: source.into(),
            push,
            root,
            totals,
            skipped: 0,
            device_time_ms: 0,
            parent: None,
            origin: None,
            zone: None,
            contents: Vec::new(),
        }
    }

    /// Whether layout 1 of the ledger can say all of it.
    fn fits_layout_1(&self) -> bool {
        self.parent.is_none() && self.origin.is_none() && self.zone.is_none() && self.contents.is_empty()
    }
}

/// What a device may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Upload and commit to its own sources.
    Push,
    /// List and restore.
    Read,
    /// Everything but making the past smaller.
    Admin,
}

/// A device and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// First half of its sources' names.
    pub device: String,
    /// What it may do.
    pub role: Role,
    /// BLAKE3 of the secret that it shows; the secret itself is nowhere.
    pub key: Hash,
}

/// Whether `text` names a source: `DEVICE/NAME`, each of 1 to 64 letters, digits, `-`, `_` or `.`, not starting
/// with a dot, so that a name is safe in a path, a topic and a shell.
pub fn is_source_name(text: &str) -> bool {
    text.split_once('/').is_some_and(|(device, name)| is_plain_name(device) && is_plain_name(name))
}

/// Whether `text` can be one half of a source's name.
pub fn is_plain_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 64 && !text.starts_with('.') && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_everywhere() {
        assert!(is_source_name("laptop/photos-2024.old"));
        for bad in ["laptop", "/x", "a/", "a/b/c", "../x", "a/.b", "a b/c", "ä/b", "a/#"] {
            assert!(!is_source_name(bad), "{bad}");
        }
    }
}
