//! One disk of the vault: its identity, and its trust level.
//!
//! A disk that fails once gets no more writes until a new check: after a failed sync its cache may show bytes that the
//! medium does not have. A disk that fails again waits for a person. Not here: the set of disks (`members`), how a disk
//! joins and leaves (`membership`).

use crate::disk::{self, Disk, is_full};
use crate::disks::identity::hex;
use crate::disks::slot::Slot;
use crate::locks::{Mutex, rank};
use crate::{Result, StoreError};
use larder_format::layout;
use larder_format::ledger::{DiskId, DiskRole, WallStamp};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// How far a disk can be trusted at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberState {
    /// Reads and writes.
    Healthy,
    /// Lacks so many packs and ledger entries that another disk has: readable, and not written to before the resync
    /// is complete.
    Behind(u64),
    /// Failed just now: readable, and healthy again after a new check.
    Failed(String),
    /// Failed again, or mounted read-only: readable, and not written to until a person vouches for the disk.
    Suspect(String),
    /// The disk's ledger contradicts the ledger of the others: not read from, and kept unchanged.
    Forked,
    /// Not connected.
    Away,
    /// Belongs to the vault no longer.
    Retired,
}

/// The note for a disk that the system mounted read-only.
const READ_ONLY: &str = "it can only be read";

impl MemberState {
    /// Whether the system stopped writes to the disk, as the kernel does with a damaged filesystem, to save the
    /// content.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Failed(why) | Self::Suspect(why) if why == READ_ONLY)
    }
}

/// One disk as the owner sees it.
#[derive(Debug, Clone)]
pub struct MemberView {
    /// Random name in hex, for ever the same.
    pub id: String,
    /// Present path, or the last one.
    pub path: String,
    /// Trust level at this moment.
    pub state: MemberState,
    /// Bytes in all and free; `None` when the disk does not say.
    pub space: Option<disk::Space>,
    /// Role of the disk.
    pub role: DiskRole,
    /// The disk came back with less than before: an older copy of the disk was put in its place.
    pub is_older_copy: bool,
    /// Time at which the disk last held every pack and entry, as far as the ledger knows.
    pub complete: Option<WallStamp>,
    /// Start of the disk's retirement.
    pub leaving: Option<WallStamp>,
    /// Behind for want of room: left as it is until all that the disk lacks fits.
    pub is_full: bool,
}

pub(crate) struct Member {
    pub(crate) key: DiskId,
    pub(crate) id: String,
    pub(crate) disk: Slot,
    role: Mutex<DiskRole, { rank::MEMBER_ROLE }>,
    pub(crate) is_older_copy: AtomicBool,
    /// The newest entry on the disk at its last orderly release.
    pub(crate) left_at: AtomicU64,
    state: Mutex<MemberState, { rank::MEMBER_STATE }>,
    packs_lacking: AtomicU64,
    has_no_room: AtomicBool,
    /// Held during a fill: two concurrent fills would write into the same unfinished file.
    pub(crate) filling: Mutex<(), { rank::FILLING }>,
    /// Files whose publishing failed: their presence on the medium is unknown, whatever the cache shows.
    doubtful: Mutex<Vec<String>, { rank::DOUBTFUL }>,
    /// Failures that no disk took into the ledger: without this count, the only disk would repeat a failing write for
    /// ever.
    pub(crate) unnoted_failures: AtomicU32,
}

impl Member {
    pub(crate) fn new(key: DiskId, disk: Slot, state: MemberState) -> Self {
        Self {
            key,
            id: hex(&key),
            disk,
            role: Mutex::default(),
            is_older_copy: AtomicBool::new(false),
            left_at: AtomicU64::new(0),
            state: Mutex::new(state),
            packs_lacking: AtomicU64::new(0),
            has_no_room: AtomicBool::new(false),
            filling: Mutex::default(),
            doubtful: Mutex::default(),
            unnoted_failures: AtomicU32::new(0),
        }
    }

    /// Role of the disk.
    pub(crate) fn role(&self) -> DiskRole {
        *self.role.lock()
    }

    pub(crate) fn set_role(&self, role: DiskRole) {
        *self.role.lock() = role;
    }

    pub(crate) fn state(&self) -> MemberState {
        self.state.lock().clone()
    }

    pub(crate) fn set_state(&self, state: MemberState) {
        *self.state.lock() = state;
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.state() == MemberState::Healthy
    }

    pub(crate) fn is_behind(&self) -> bool {
        matches!(self.state(), MemberState::Behind(_))
    }

    /// Whether the disk lags for want of room.
    pub(crate) fn is_full(&self) -> bool {
        self.has_no_room.load(Ordering::SeqCst) && self.is_behind()
    }

    /// Notes whether the disk lags for want of room.
    pub(crate) fn note_full(&self, is_full: bool) {
        self.has_no_room.store(is_full, Ordering::SeqCst);
    }

    /// From now on the disk takes no new backups, for want of room.
    pub(crate) fn step_aside(&self) {
        self.note_full(true);
        self.update(|state| (*state == MemberState::Healthy).then_some(MemberState::Behind(0)));
    }

    /// Whether reads from the disk may be believed.
    pub(crate) fn is_readable(&self) -> bool {
        !matches!(self.state(), MemberState::Forked | MemberState::Away | MemberState::Retired)
    }

    /// Whether the disk should hold present commits and does not. An offsite disk is meant to be away.
    pub(crate) fn is_missed(&self) -> bool {
        match self.state() {
            MemberState::Healthy | MemberState::Retired => false,
            MemberState::Away => self.role() != DiskRole::Offsite,
            _ => true,
        }
    }

    /// Turns one state into another, or leaves the state: concurrent updates come before or after, never between.
    fn update(&self, next: impl FnOnce(&MemberState) -> Option<MemberState>) {
        let mut state = self.state.lock();
        if let Some(next) = next(&state) {
            *state = next;
        }
    }

    /// Notes how many packs the disk lacks.
    pub(crate) fn lacks_packs(&self, packs: u64) {
        let before = self.packs_lacking.swap(packs, Ordering::SeqCst);
        self.update(|state| match state {
            MemberState::Healthy if packs > 0 => Some(MemberState::Behind(packs)),
            MemberState::Behind(files) => Some(MemberState::Behind(files + packs - before.min(*files))),
            _ => None,
        });
    }

    /// Notes the lacks after a new check: so many packs, and so many files in total.
    pub(crate) fn lacks(&self, packs: u64, files: u64) {
        self.packs_lacking.store(packs, Ordering::SeqCst);
        self.update(|state| match state {
            MemberState::Healthy | MemberState::Behind(_) if files > 0 => Some(MemberState::Behind(files)),
            MemberState::Healthy | MemberState::Behind(_) => Some(MemberState::Healthy),
            _ => None,
        });
    }

    /// Notes the lacks of a disk that stays behind: so many packs, and so many files in total.
    pub(crate) fn recounts(&self, packs: u64, files: u64) {
        self.packs_lacking.store(packs, Ordering::SeqCst);
        self.update(|state| matches!(state, MemberState::Behind(_)).then_some(MemberState::Behind(files)));
    }

    /// Takes back files of uncertain presence that could not be set aside.
    pub(crate) fn doubts(&self, paths: Vec<String>) {
        self.doubtful.lock().extend(paths);
    }

    /// Forgets the count of lacking ledger entries, before a new count.
    pub(crate) fn forget_entries(&self) {
        let packs = self.packs_lacking.load(Ordering::SeqCst);
        self.update(|state| match state {
            MemberState::Behind(_) if packs > 0 => Some(MemberState::Behind(packs)),
            MemberState::Behind(_) => Some(MemberState::Healthy),
            _ => None,
        });
    }

    /// Notes one more lacking file.
    pub(crate) fn misses_file(&self) {
        self.misses_files(1);
    }

    /// Notes so many more lacking files.
    pub(crate) fn misses_files(&self, more: u64) {
        self.update(|state| match state {
            MemberState::Healthy => Some(MemberState::Behind(more)),
            MemberState::Behind(files) => Some(MemberState::Behind(files + more)),
            _ => None,
        });
    }

    /// Notes one more lacking pack.
    pub(crate) fn misses_pack(&self) {
        // Counted by itself, or the next look at the ledger would take the disk for complete.
        self.packs_lacking.fetch_add(1, Ordering::SeqCst);
        self.misses_file();
    }

    /// Notes a failure, and turns the failure into the caller's error.
    pub(crate) fn failed(&self, path: &str, source: io::Error) -> StoreError {
        if is_full(&source) {
            return StoreError::full_disk(&self.disk);
        }
        tracing::error!(disk = %self.disk.name(), path, error = %source, "the backup disk failed");
        self.doubtful.lock().push(path.to_owned());
        // An absent disk cannot fail, and a disk that waits for a person goes on waiting.
        self.update(|state| match state {
            MemberState::Healthy | MemberState::Behind(_) => Some(MemberState::Failed(noted(&source))),
            _ => None,
        });
        StoreError::Disk { path: format!("{}/{path}", self.disk.name()), source }
    }

    /// Whether this file may or may not be there, whatever the system's cache shows.
    pub(crate) fn is_doubtful(&self, path: &str) -> bool {
        self.doubtful.lock().iter().any(|known| known == path)
    }

    /// Hands out the files of uncertain presence.
    pub(crate) fn take_doubtful(&self) -> Vec<String> {
        std::mem::take(&mut self.doubtful.lock())
    }

    /// Whether `bytes` fit on the disk and leave `reserve_bytes` free.
    ///
    /// # Errors
    /// `Full` when too little is free; `Disk` when the disk does not say.
    pub(crate) fn require_room(&self, bytes: u64, reserve_bytes: u64) -> Result<()> {
        let free =
            self.disk.space().map(|space| space.free).map_err(|source| self.failed(layout::OPEN, source))?;
        let wanted = bytes + reserve_bytes;
        if free >= wanted {
            return Ok(());
        }
        Err(StoreError::full(self.disk.name(), wanted - free, Some(free)))
    }
}

/// After so many failures a person has to look at the disk: one failure may be a cable, two are a pattern.
pub(crate) const FAILURES_MAX: u32 = 2;

pub(crate) fn failed_before() -> MemberState {
    MemberState::Suspect("it failed before".to_owned())
}

/// The noted text of a failure.
pub(crate) fn noted(source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::ReadOnlyFilesystem { READ_ONLY.to_owned() } else { source.to_string() }
}
