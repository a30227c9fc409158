//! The ledger: everything that was ever committed, in one gapless chain.
//!
//! Each entry holds the hash of the one before it, so nothing can be taken out or put in unnoticed, and a head
//! (number and hash of the newest entry) stands for the whole past. Everything that a new system card would need is
//! in here: the disks alone restore an appliance. An entry exists once its file has its final name, and not before.
//! Bytes: FORMAT.md, "Ledger". Not here: where entries lie and when they are written (`store`).

use crate::{ChunkRef, FORMAT_VERSION, Fields, FormatError, Hash, tree::Totals};
use serde::{Deserialize, Serialize};

/// First bytes of a ledger entry.
pub const LEDGER_MAGIC: &[u8; 8] = b"LRDRLED1";
/// No entry is larger; the longest are those of prune and sweep, which are split below this.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024;

const WHAT: &str = "a ledger entry";
const FRAME_BYTES: usize = 8 + 2 + 2 + 4;

/// Number and hash of the newest entry. Number 0 with a zero hash stands for the empty ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Gapless, from 1.
    pub sequence: u64,
    /// Hash of the entry before.
    pub previous: Hash,
    /// When.
    pub stamp: Stamp,
    /// What happened.
    pub event: Event,
}

/// What an entry says. New kinds are added at the end; none is ever removed or moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The first entry of every vault.
    VaultCreated {
        /// Random name of the vault.
        vault: [u8; 16],
    },
    /// A device finished a push.
    Snapshot(Snapshot),
    /// A device may talk to the appliance from now on.
    DevicePaired(Pairing),
    /// It may no longer.
    DeviceRevoked {
        /// `Pairing::key` of the pairing that ends.
        key: Hash,
    },
    /// Nothing is let go of until the hold is cleared.
    HoldSet {
        /// `DEVICE/NAME`, or every source.
        source: Option<String>,
        /// In the owner's words.
        reason: String,
    },
    /// The end of a hold.
    HoldCleared {
        /// Number of the entry that set it.
        sequence: u64,
    },
    /// Everything on one disk was read back and checked.
    Scrubbed(Scrubbed),
    /// Something about one disk of the vault.
    Disk(DiskEvent),
    /// Snapshots are let go of: nobody gets them back from now on.
    Pruned {
        /// Their numbers, rising; at most `PRUNED_PER_ENTRY_MAX`.
        snapshots: Vec<u64>,
        /// In the owner's words.
        why: String,
    },
    /// What the owner wants kept from now on.
    RetentionSet(Rule),
    /// Packs in which nothing is kept any more; their files are removed some time later.
    Swept {
        /// At most `SWEPT_PER_ENTRY_MAX`. No pack is ever called like one of them again.
        packs: Vec<Hash>,
        /// Packs made later carry this number or a higher one, those before carried lower ones: so names differ.
        salt: u32,
    },
    /// A person at the box said that the clock is right.
    ClockConfirmed,
    /// A snapshot stays as it is, and nothing that is computed from snapshots looks at it any more.
    SetAside {
        /// Its number.
        snapshot: u64,
        /// In the owner's words.
        why: String,
    },
    /// The end of `SetAside`: the snapshot is looked at again.
    SetAsideCleared {
        /// Its number.
        snapshot: u64,
    },
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

/// What happened to a disk. New kinds are added at the end; none is ever removed or moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskEvent {
    /// As in its `disk.json`.
    pub disk: DiskId,
    /// What happened to it.
    pub what: DiskChange,
}

/// Random name of a disk, for ever the same.
pub type DiskId = [u8; 16];

/// The kinds of `DiskEvent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskChange {
    /// It belongs to the vault from now on, in good order as far as is known. Also how a person takes back what
    /// `Failed`, `Leaving` or `Retired` said.
    Adopted {
        /// Where it was mounted then; a label, since disks move.
        path: String,
        /// Whether it is meant to be away most of the time.
        offsite: bool,
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
}

/// What a device may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

impl Entry {
    /// Bytes of the entry's file, and the hash that the next entry will hold.
    ///
    /// # Panics
    /// Never: plain values always encode.
    pub fn encode(&self) -> (Vec<u8>, Hash) {
        let body = postcard::to_stdvec(self).expect("plain values encode");
        let mut bytes = Vec::with_capacity(FRAME_BYTES + body.len() + 32);
        bytes.extend_from_slice(LEDGER_MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes()); // The oldest reader that may open it.
        let len = u32::try_from(body.len()).expect("an entry is at most 1 MiB");
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&body);
        let hash = Hash::of(&bytes);
        bytes.extend_from_slice(&hash.0);
        (bytes, hash)
    }

    /// Reads the entry at the start of `bytes`; returns it, its hash and how many bytes it took.
    ///
    /// # Errors
    /// `Short`, `Damaged`, `TooNew` or `Invalid`; never a panic.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Hash, usize), FormatError> {
        let Framed { oldest_reader, body, hash } = frame(bytes)?;
        if oldest_reader > FORMAT_VERSION {
            return Err(FormatError::TooNew { what: WHAT, version: oldest_reader });
        }
        let read = postcard::take_from_bytes(body).ok().filter(|(_, rest)| rest.is_empty());
        let (entry, _) = read.ok_or(FormatError::Invalid { what: WHAT, why: "its bytes do not read" })?;
        Ok((entry, hash, FRAME_BYTES + body.len() + 32))
    }
}

/// An entry whose bytes are whole, whatever they say.
pub(crate) struct Framed<'a> {
    pub(crate) oldest_reader: u16,
    pub(crate) body: &'a [u8],
    pub(crate) hash: Hash,
}

/// Checks everything about an entry but its meaning: only then is its version believed, since a flipped bit must not be
/// taken for a newer Larder.
pub(crate) fn frame(bytes: &[u8]) -> Result<Framed<'_>, FormatError> {
    let mut fields = Fields::new(bytes, WHAT);
    fields.magic(LEDGER_MAGIC)?;
    let (_written_by, oldest_reader) = (fields.u16()?, fields.u16()?);
    let len = fields.u32()? as usize;
    if len > ENTRY_BYTES_MAX {
        return Err(FormatError::Invalid { what: WHAT, why: "it is too large" });
    }
    let body = fields.take(len)?;
    let hash = Hash(fields.array()?);
    if Hash::of(&bytes[..FRAME_BYTES + len]) != hash {
        return Err(FormatError::Damaged { what: WHAT });
    }
    Ok(Framed { oldest_reader, body, hash })
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
    use proptest::prelude::*;

    fn entry() -> Entry {
        Entry {
            sequence: 7,
            previous: Hash::of(b"six"),
            stamp: Stamp { time_ms: 1_790_000_000_000, trusted: true, powered_on_s: 12 },
            event: Event::Snapshot(Snapshot {
                source: "laptop/photos".into(),
                push: [3; 16],
                root: ChunkRef::to(b"root"),
                totals: Totals { files: 2, directories: 1, bytes: 99 },
                skipped: 0,
                device_time_ms: -5,
            }),
        }
    }

    #[test]
    fn an_entry_comes_back_with_its_hash() {
        let (bytes, hash) = entry().encode();
        assert_eq!(Entry::decode(&bytes).unwrap(), (entry(), hash, bytes.len()));
    }

    #[test]
    fn the_longest_entries_fit() {
        let pruned = Event::Pruned { snapshots: vec![u64::MAX; PRUNED_PER_ENTRY_MAX], why: "x".repeat(1000) };
        let swept = Event::Swept { packs: vec![Hash([0xff; 32]); SWEPT_PER_ENTRY_MAX], salt: u32::MAX };
        for event in [pruned, swept] {
            let (bytes, _) = Entry { event, ..entry() }.encode();
            assert!(bytes.len() < ENTRY_BYTES_MAX, "{}", bytes.len());
            assert!(Entry::decode(&bytes).is_ok());
        }
    }

    #[test]
    fn names_are_safe_everywhere() {
        assert!(is_source_name("laptop/photos-2024.old"));
        for bad in ["laptop", "/x", "a/", "a/b/c", "../x", "a/.b", "a b/c", "ä/b", "a/#"] {
            assert!(!is_source_name(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(at: prop::sample::Index, bit in 0u8..8) {
            let (mut bytes, _) = entry().encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Entry::decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = Entry::decode(&bytes);
            let _ = Entry::decode(&[&LEDGER_MAGIC[..], &bytes].concat());
        }
    }
}
