//! Kinds of ledger entries: the meaning, the first layout, and the rights of a reader without the kind.
//!
//! A box older than its disks must neither take a new kind for a hole in the ledger nor let go of the data that the
//! new kind protects. So an entry states what a reader without the kind may do ([`Without`]), and such a reader keeps
//! the entry as [`Event::Newer`]. Bytes: FORMAT.md, "Ledger". Not here: the frame around a kind (`entry`).

use super::{DiskEvent, Expect, Pairing, Role, Rule, Scrubbed, Sees, Snapshot};
use crate::Hash;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The event of an entry. Each kind has a number for ever; new kinds get new numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A device may talk to the appliance no longer.
    DeviceRevoked {
        /// `Pairing::key` of the ended pairing.
        key: Hash,
    },
    /// No data is let go of until the hold is cleared.
    HoldSet {
        /// `DEVICE/NAME`, or every source.
        source: Option<String>,
        /// In the owner's words.
        reason: String,
    },
    /// The end of a hold.
    HoldCleared {
        /// Number of the entry with the hold.
        sequence: u64,
    },
    /// A whole disk was read back and checked.
    Scrubbed(Scrubbed),
    /// An event of a disk of the vault.
    Disk(DiskEvent),
    /// Snapshots are let go of: no restore gives them back from now on.
    Pruned {
        /// Their numbers, rising; at most `PRUNED_PER_ENTRY_MAX`.
        snapshots: Vec<u64>,
        /// In the owner's words.
        why: String,
    },
    /// The owner's retention rule from now on.
    RetentionSet(Rule),
    /// Packs without a kept chunk; their files are removed later.
    Swept {
        /// At most `SWEPT_PER_ENTRY_MAX`. No later pack ever gets a swept name.
        packs: Vec<Hash>,
        /// Later packs carry this number or a higher number, earlier packs lower numbers: so names differ.
        salt: u32,
    },
    /// A person at the box said that the clock is right.
    ClockConfirmed,
    /// A snapshot stays unchanged, and computations from snapshots leave the snapshot out.
    SetAside {
        /// Number of the snapshot.
        snapshot: u64,
        /// In the owner's words.
        why: String,
    },
    /// The end of `SetAside`: the snapshot is looked at again.
    SetAsideCleared {
        /// Number of the snapshot.
        snapshot: u64,
    },
    /// How long a source may be silent from now on.
    SourceExpected {
        /// `DEVICE/NAME`.
        source: String,
        /// How long.
        expect: Expect,
    },
    /// A source is no longer expected to push, after a while. Its snapshots are kept as before.
    SourceRetired {
        /// `DEVICE/NAME`.
        source: String,
    },
    /// The end of `SourceRetired`.
    SourceReturned {
        /// `DEVICE/NAME`.
        source: String,
    },
    /// A person at the box lets go of what a source has so far, after a while.
    SourceLetGo {
        /// `DEVICE/NAME`.
        source: String,
        /// Only what arrived before this moment, in milliseconds since 1970.
        before_ms: Option<i64>,
    },
    /// The end of `SourceLetGo`, as far as nothing went yet.
    SourceKept {
        /// `DEVICE/NAME`.
        source: String,
    },
    /// A snapshot stays, whatever the rule says; a further entry for the snapshot only makes that longer.
    Labelled {
        /// Number of the snapshot.
        snapshot: u64,
        /// In the owner's words; empty where the snapshot only stays, or keeps its words.
        label: String,
        /// Until then, in milliseconds since 1970; none for ever.
        until_ms: Option<i64>,
    },
    /// A person at the box wants a label to keep its snapshot no longer, after a while.
    LabelEnded {
        /// Number of the snapshot.
        snapshot: u64,
        /// Not beyond then, in milliseconds since 1970; none for no longer at all.
        until_ms: Option<i64>,
    },
    /// A kind unknown to this reader.
    Newer(Newer),
}

/// A whole entry with a meaning only for newer readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer {
    /// Layout of the writer.
    pub since: u16,
    /// Number of the kind; `u32::MAX` where even the frame is newer.
    pub kind: u32,
    /// Rights of a reader without the kind.
    pub without: Without,
    /// The kind's own fields, encoded.
    pub payload: Vec<u8>,
}

/// Rights of a reader without the kind of an entry; the strictest over all entries counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Without {
    /// Full rights: the entry is a note.
    StepOver,
    /// Take and restore backups, but let go of no data: the entry may protect chunks.
    KeepEverything,
    /// Restore only: the entry changes the meaning of stored bytes.
    ReadOnly,
}

impl Without {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::StepOver => 0,
            Self::KeepEverything => 1,
            Self::ReadOnly => 2,
        }
    }

    /// A number not yet in use asks for more than every number in use.
    pub(super) fn from_number(number: u8) -> Self {
        match number {
            0 => Self::StepOver,
            1 => Self::KeepEverything,
            _ => Self::ReadOnly,
        }
    }
}

/// A kind as stored in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) number: u32,
    /// The first layout of the ledger with the kind.
    pub(super) since: u16,
    pub(super) without: Without,
}

/// A snapshot in layout 1.
type Snapshot1 = (String, [u8; 16], crate::ChunkRef, crate::tree::Totals, u64, i64);
/// A pairing in layout 1.
type Pairing1 = (String, Role, Hash);

impl Event {
    /// Every reader knows the kinds of layout 1, so their demands on a reader without them are never written.
    pub(super) fn kind(&self) -> Kind {
        let first = |number| Kind { number, since: 1, without: Without::ReadOnly };
        match self {
            Self::VaultCreated { .. } => first(0),
            Self::Snapshot(snapshot) if snapshot.fits_layout_1() => first(1),
            Self::DevicePaired(pairing) if pairing.fits_layout_1() => first(2),
            Self::DeviceRevoked { .. } => first(3),
            Self::HoldSet { .. } => first(4),
            Self::HoldCleared { .. } => first(5),
            Self::Scrubbed(_) => first(6),
            Self::Disk(_) => first(7),
            Self::Pruned { .. } => first(8),
            Self::RetentionSet(_) => first(9),
            Self::Swept { .. } => first(10),
            Self::ClockConfirmed => first(11),
            // A sweep that does not see the snapshot would free chunks named only there.
            Self::Snapshot(_) => Kind { number: 12, since: 2, without: Without::KeepEverything },
            Self::SetAside { .. } => Kind { number: 13, since: 2, without: Without::StepOver },
            Self::SetAsideCleared { .. } => Kind { number: 14, since: 2, without: Without::StepOver },
            // A reader without these kinds calls a source overdue, and loses nothing.
            Self::SourceExpected { .. } => Kind { number: 15, since: 2, without: Without::StepOver },
            Self::SourceRetired { .. } => Kind { number: 16, since: 2, without: Without::StepOver },
            Self::SourceReturned { .. } => Kind { number: 17, since: 2, without: Without::StepOver },
            // A reader without these kinds keeps what it might let go of.
            Self::SourceLetGo { .. } => Kind { number: 18, since: 2, without: Without::StepOver },
            Self::SourceKept { .. } => Kind { number: 19, since: 2, without: Without::StepOver },
            // A reader without this kind would let go of what the label keeps.
            Self::Labelled { .. } => Kind { number: 20, since: 2, without: Without::KeepEverything },
            Self::LabelEnded { .. } => Kind { number: 21, since: 2, without: Without::StepOver },
            // A reader without this kind does not know the key, and lets nobody in by the key.
            Self::DevicePaired(_) => Kind { number: 22, since: 2, without: Without::StepOver },
            Self::Newer(newer) => Kind { number: newer.kind, since: newer.since, without: newer.without },
        }
    }

    /// The kind's own fields, encoded.
    pub(super) fn payload(&self) -> Vec<u8> {
        match self {
            Self::VaultCreated { vault } => encode(vault),
            Self::Snapshot(snapshot) if snapshot.fits_layout_1() => {
                let Snapshot { source, push, root, totals, skipped, device_time_ms, .. } = snapshot;
                encode(&(source, push, root, totals, skipped, device_time_ms))
            }
            Self::Snapshot(snapshot) => encode(snapshot),
            Self::DevicePaired(pairing) if pairing.fits_layout_1() => {
                let Pairing { device, role, key, .. } = pairing;
                encode(&(device, role, key))
            }
            Self::DevicePaired(pairing) => encode(pairing),
            Self::DeviceRevoked { key } => encode(key),
            Self::HoldSet { source, reason } => encode(&(source, reason)),
            Self::HoldCleared { sequence } => encode(sequence),
            Self::Scrubbed(scrubbed) => encode(scrubbed),
            Self::Disk(event) => encode(event),
            Self::Pruned { snapshots, why } => encode(&(snapshots, why)),
            Self::RetentionSet(rule) => encode(rule),
            Self::Swept { packs, salt } => encode(&(packs, salt)),
            Self::ClockConfirmed => Vec::new(),
            Self::SetAside { snapshot, why } => encode(&(snapshot, why)),
            Self::SetAsideCleared { snapshot } => encode(snapshot),
            Self::SourceExpected { source, expect } => encode(&(source, expect)),
            Self::SourceRetired { source }
            | Self::SourceReturned { source }
            | Self::SourceKept { source } => encode(source),
            Self::SourceLetGo { source, before_ms } => encode(&(source, before_ms)),
            Self::Labelled { snapshot, label, until_ms } => encode(&(snapshot, label, until_ms)),
            Self::LabelEnded { snapshot, until_ms } => encode(&(snapshot, until_ms)),
            Self::Newer(newer) => newer.payload.clone(),
        }
    }

    /// Reads the fields of the kind with this number; returns the event and the bytes behind the known fields. `None`
    /// where the bytes do not read.
    pub(super) fn read(number: u32, payload: &[u8]) -> Option<(Self, &[u8])> {
        Some(match number {
            0 => take(payload, |vault| Self::VaultCreated { vault })?,
            1 => take(payload, |(source, push, root, totals, skipped, device_time_ms): Snapshot1| {
                let snapshot = Snapshot::new(source, push, root, totals);
                Self::Snapshot(Snapshot { skipped, device_time_ms, ..snapshot })
            })?,
            2 => {
                let ((device, role, key), rest) = postcard::take_from_bytes::<Pairing1>(payload).ok()?;
                let sees = Sees::of_layout_1(role)?;
                (Self::DevicePaired(Pairing { device, role, key, sees }), rest)
            }
            3 => take(payload, |key| Self::DeviceRevoked { key })?,
            4 => take(payload, |(source, reason)| Self::HoldSet { source, reason })?,
            5 => take(payload, |sequence| Self::HoldCleared { sequence })?,
            6 => take(payload, Self::Scrubbed)?,
            7 => take(payload, Self::Disk)?,
            8 => take(payload, |(snapshots, why)| Self::Pruned { snapshots, why })?,
            9 => take(payload, Self::RetentionSet)?,
            10 => take(payload, |(packs, salt)| Self::Swept { packs, salt })?,
            11 => (Self::ClockConfirmed, payload),
            12 => take(payload, Self::Snapshot)?,
            13 => take(payload, |(snapshot, why)| Self::SetAside { snapshot, why })?,
            14 => take(payload, |snapshot| Self::SetAsideCleared { snapshot })?,
            15 => take(payload, |(source, expect)| Self::SourceExpected { source, expect })?,
            16 => take(payload, |source| Self::SourceRetired { source })?,
            17 => take(payload, |source| Self::SourceReturned { source })?,
            18 => take(payload, |(source, before_ms)| Self::SourceLetGo { source, before_ms })?,
            19 => take(payload, |source| Self::SourceKept { source })?,
            20 => take(payload, |(snapshot, label, until_ms)| Self::Labelled { snapshot, label, until_ms })?,
            21 => take(payload, |(snapshot, until_ms)| Self::LabelEnded { snapshot, until_ms })?,
            22 => {
                let (pairing, rest) = postcard::take_from_bytes::<Pairing>(payload).ok()?;
                // Without this, a ledger from outside could give `push` a past, or a key more names than a table can show.
                pairing.sees.fits(pairing.role).then_some(())?;
                (Self::DevicePaired(pairing), rest)
            }
            _ => return None,
        })
    }

    /// The last number known to `read`.
    pub(super) const LAST: u32 = 22;
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain values encode")
}

fn take<T: DeserializeOwned>(bytes: &[u8], event: impl FnOnce(T) -> Event) -> Option<(Event, &[u8])> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    Some((event(value), rest))
}

/// The hash of one whole file, as the device read the file a second time: what a restore of it has to give back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContentHash {
    /// Path below the pushed folder, as `wire::escape_name` writes it.
    pub path: String,
    /// BLAKE3 of all bytes of the file, holes read as zeros.
    pub hash: Hash,
}

/// Hashes of whole files in a snapshot.
pub const CONTENTS_MAX: usize = 16;
/// Bytes of the name of a time zone.
pub const ZONE_BYTES_MAX: usize = 64;
