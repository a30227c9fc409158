//! Memory of the maintenance between two steps. Every value can be found out again.

use crate::core::watchlist::Watchlists;
use crate::disks::member::Member;
use crate::locks::{Mutex, MutexGuard, rank};
use larder_format::care::{LostFile, Round};
use larder_format::{ChunkId, Hash};
use std::collections::BTreeMap;

/// Limit of lost files named over every pack; chunks are counted in any case.
const FILES_MAX: usize = 10_000;

#[derive(Default)]
pub(crate) struct Maintenance {
    /// Only one sidecar is written at a time, since each takes some megabytes of memory.
    pub(crate) parity: Mutex<(), { rank::PARITY }>,
    /// The scrub position of each disk, by the disk's name. Held during a step, so that repairs never meet.
    pub(crate) rounds: Mutex<BTreeMap<String, Round>, { rank::ROUNDS }>,
    /// When the folders of packs were looked at last, in seconds of running.
    pub(crate) looked_s: Mutex<Option<u64>, { rank::LOOKED }>,
    /// Packs that a disk could not read.
    pub(crate) suspects: Mutex<Watchlists, { rank::SUSPECTS }>,
    /// Time of the last retry of suspects, in seconds of running.
    pub(crate) retried_s: Mutex<Option<u64>, { rank::LOOKED }>,
    /// Pending checks of the quarantines.
    pub(crate) searches: Mutex<Searches, { rank::SEARCHES }>,
    known: Mutex<Findings, { rank::FINDINGS }>,
}

#[derive(Default)]
struct Findings {
    lost_files: Vec<LostFile>,
    /// Kept snapshots that are not whole, by their numbers.
    damaged: BTreeMap<u64, Wholeness>,
    /// Whether every kept snapshot was checked since the start.
    is_surveyed: bool,
    /// Rounds as of the last finished step, for readers that cannot wait for the running step.
    shown: BTreeMap<String, Round>,
}

impl Maintenance {
    fn known(&self) -> MutexGuard<'_, Findings, { rank::FINDINGS }> {
        self.known.lock()
    }

    pub(crate) fn show(&self, member: &Member, round: &Round) {
        self.known().shown.insert(member.id.clone(), round.clone());
    }

    pub(crate) fn shown(&self, member: &Member) -> Option<Round> {
        self.known().shown.get(&member.id).cloned()
    }

    /// Every snapshot that is not whole. `is_certain`: every disk answered during the check.
    pub(crate) fn set_damaged(&self, damaged: BTreeMap<u64, Wholeness>, is_certain: bool) {
        let mut known = self.known();
        known.damaged = damaged;
        known.is_surveyed |= is_certain;
    }

    pub(crate) fn damaged_snapshots(&self) -> BTreeMap<u64, Wholeness> {
        self.known().damaged.clone()
    }

    /// New snapshots are unchecked.
    pub(crate) fn survey_again(&self) {
        self.known().is_surveyed = false;
    }

    pub(crate) fn is_surveyed(&self) -> bool {
        self.known().is_surveyed
    }

    /// The complete list of lost files.
    pub(crate) fn set_lost(&self, files: Vec<LostFile>) {
        self.known().lost_files = files;
    }

    pub(crate) fn note_lost(&self, files: &[LostFile]) {
        let mut known = self.known();
        for file in files {
            if known.lost_files.len() < FILES_MAX && !known.lost_files.contains(file) {
                known.lost_files.push(file.clone());
            }
        }
    }

    pub(crate) fn lost_files(&self) -> Vec<LostFile> {
        let mut files = self.known().lost_files.clone();
        files.sort_by(|a, b| (&a.source, &a.path, a.snapshot).cmp(&(&b.source, &b.path, b.snapshot)));
        files
    }
}

/// Whether a file or snapshot can be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wholeness {
    /// Whole.
    Whole,
    /// This chunk cannot be read now, and is not lost as far as is known.
    Unread(ChunkId),
    /// This chunk is lost.
    Lost(ChunkId),
}

impl Wholeness {
    fn rank(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Unread(_) => 1,
            Self::Lost(_) => 2,
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    /// The chunk that keeps the file or snapshot from being whole.
    pub(crate) fn piece(self) -> Option<ChunkId> {
        match self {
            Self::Whole => None,
            Self::Unread(piece) | Self::Lost(piece) => Some(piece),
        }
    }
}

/// Pending checks in the quarantine of a disk.
pub(crate) struct Search {
    pub(crate) packs: Vec<Hash>,
    /// Whether single blocks of irreparable packs were looked for.
    pub(crate) has_blocks: bool,
}

/// Searches by the disk's name. A disk without a key was not searched since the start, or since its last round.
pub(crate) type Searches = BTreeMap<String, Search>;
