//! The ledger: every event ever committed, in a gapless chain.
//!
//! Each entry holds the hash of the previous entry, so no entry can be taken out or put in unnoticed, and a head
//! (number and hash of the newest entry) stands for the whole past. The ledger holds everything that a new system card
//! needs: the disks alone restore an appliance. An entry exists once its file has the final name, and not before.
//! Bytes: FORMAT.md, "Ledger". Not here: where entries lie and when entries are written (`store`).

mod chain;
pub mod chapter;
mod entry;
mod event;
mod expect;
mod label;
mod name;
mod origin;
mod sees;

pub use chain::{Chain, Link};
pub use entry::Entry;
pub use event::{CONTENTS_MAX, ContentHash, Event, Newer, Without, ZONE_BYTES_MAX};
pub use expect::{EXPECT_SECONDS_MAX, EXPECT_SECONDS_MIN, Expect, LEARNT_TIMES_MAX};
pub use label::{LABEL_BYTES_MAX, label};
pub use name::{NAME_BYTES_MAX, composed, is_folder_name, is_plain_name, is_source_name, is_visible, typed};
pub use origin::{ORIGIN_BYTES_MAX, Origin};
pub use sees::{SEEN_DEVICES_MAX, Sees};

use crate::{ChunkRef, Hash, tree::Totals};
use serde::{Deserialize, Serialize};

/// Newest layout of ledger entries written by this crate. Each entry is written in the oldest sufficient layout, so an
/// older reader loses no entry.
pub const LEDGER_VERSION: u16 = 2;

/// First bytes of a ledger entry.
pub const LEDGER_MAGIC: &[u8; 8] = b"LRDRLED1";
/// No entry is larger; the longest kinds, prune and sweep, are split below this.
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

/// The appliance's knowledge of time when writing an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallStamp {
    /// Milliseconds since 1970 by the appliance's clock.
    pub time_ms: i64,
    /// Whether the clock was known to be right.
    pub trusted: bool,
    /// Seconds of switched-on time in the appliance's life.
    pub powered_on_s: u64,
}

/// Numbers of snapshots in an entry, each of at most 10 bytes, so the entry stays below `ENTRY_BYTES_MAX`.
pub const PRUNED_PER_ENTRY_MAX: usize = 50_000;
/// Names of packs in an entry, each of 32 bytes.
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

/// Result of reading a whole disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbed {
    /// Random name of the disk.
    pub disk: [u8; 16],
    /// Bytes read.
    pub bytes: u64,
    /// Damaged or missing files.
    pub damaged: u64,
    /// Damaged files now whole again.
    pub repaired: u64,
    /// Pieces of the owner's files lost for good.
    pub lost: u64,
}

/// An event of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskEvent {
    /// As in `disk.json`.
    pub disk: DiskId,
    /// The change.
    pub what: DiskChange,
}

/// Random name of a disk, for ever the same.
pub type DiskId = [u8; 16];

/// The kinds of `DiskEvent` in layout 1 of the ledger: a further kind is a new kind of event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskChange {
    /// The disk belongs to the vault from now on, in good order as far as known. A person also uses this kind to take
    /// back `Failed`, `Leaving` or `Retired`.
    Adopted {
        /// Mount point at the time; a label, since disks move.
        path: String,
        /// Role of the disk.
        role: DiskRole,
    },
    /// The disk failed while connected.
    Failed {
        /// Message of the system.
        why: String,
    },
    /// The disk holds the whole vault up to this entry.
    Complete,
    /// A person at the box wants the disk out of the vault.
    Leaving,
    /// The disk belongs to the vault no longer, and is not missed.
    Retired,
}

/// Role of a disk of the vault. Layout 1 of the ledger has these two; a further role is a new kind of event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskRole {
    /// Stays connected, and is missed as soon as absent.
    #[default]
    Home,
    /// Is meant to be away most of the time.
    Offsite,
}

impl DiskRole {
    /// By whether the disk is meant to be away most of the time.
    pub fn of(offsite: bool) -> Self {
        if offsite { Self::Offsite } else { Self::Home }
    }
}

/// The state of a source at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `DEVICE/NAME`.
    pub source: String,
    /// Random, chosen by the client for a push: the same push committed twice is a single snapshot.
    pub push: [u8; 16],
    /// The root node.
    pub root: ChunkRef,
    /// Totals of the tree.
    pub totals: Totals,
    /// Unreadable files, absent from the snapshot.
    pub skipped: u64,
    /// The device's own clock, a label without power.
    pub device_time_ms: i64,
    /// Number of the source's newest snapshot at commit time, from the appliance.
    pub parent: Option<u64>,
    /// Computer and folder, as the device says.
    pub origin: Option<Origin>,
    /// IANA name of the device's time zone, for the owner's "yesterday evening".
    pub zone: Option<String>,
    /// A few files, hashed as a whole by the device; at most `CONTENTS_MAX`.
    pub contents: Vec<ContentHash>,
}

impl Snapshot {
    /// A snapshot without the optional fields.
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

    /// Whether layout 1 of the ledger can express every field.
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
    /// List and restore what the key sees.
    Read,
    /// Everything but making the past smaller.
    Admin,
    /// Both `Push` and `Read`; not in layout 1 of the ledger.
    User,
}

impl Role {
    /// The role in one word, as an owner types it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Read => "read",
            Self::Admin => "admin",
            Self::User => "user",
        }
    }

    /// Whether the role adds backups.
    pub fn may_push(self) -> bool {
        matches!(self, Self::Push | Self::User | Self::Admin)
    }

    /// Whether the role looks into backups.
    pub fn may_read(self) -> bool {
        matches!(self, Self::User | Self::Read | Self::Admin)
    }
}

/// A device and the device's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// First half of the names of the device's sources.
    pub device: String,
    /// Rights of the device.
    pub role: Role,
    /// BLAKE3 of the device's secret; the secret itself is nowhere.
    pub key: Hash,
    /// The past that the key may see.
    pub sees: Sees,
}

impl Pairing {
    /// Whether layout 1 of the ledger can express every field.
    fn fits_layout_1(&self) -> bool {
        Sees::of_layout_1(self.role).as_ref() == Some(&self.sees)
    }
}
