//! One disk of the vault: who it is, and how far it can be trusted.
//!
//! A disk that fails once gets nothing more until it was looked at anew: after a failed sync its cache may show bytes that it
//! does not have. One that fails again waits for a person. Not here: all of them together (`members`), how a disk comes and
//! goes (`membership`).

use crate::disk::{self, Disk, is_full};
use crate::disks::identity::hex;
use crate::disks::slot::Slot;
use crate::locks::{Mutex, rank};
use crate::{Result, StoreError};
use larder_format::layout;
use larder_format::ledger::{DiskId, DiskRole, Stamp};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// How far a disk can be trusted at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberState {
    /// Reads and writes.
    Healthy,
    /// Lacks so many packs and ledger entries that another disk has: it is read from, and not written to until it has
    /// caught up.
    Behind(u64),
    /// Failed just now: it is read from, and taken back once it was looked at anew.
    Failed(String),
    /// Failed again, or lets nobody write: read from, and not written to until a person says that it is good.
    Suspect(String),
    /// Its ledger tells another story than the others': not read from, and kept as it is.
    Forked,
    /// Not connected.
    Away,
    /// Belongs to the vault no longer.
    Retired,
}

/// What is noted of a disk on which the system lets nobody write.
const READ_ONLY: &str = "it can only be read";

impl MemberState {
    /// Whether the system stopped writing to it, as it does with a filesystem that is damaged, to save what is on it.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Failed(why) | Self::Suspect(why) if why == READ_ONLY)
    }
}

/// One disk as the owner sees it.
#[derive(Debug, Clone)]
pub struct MemberView {
    /// Random name in hex, for ever the same.
    pub id: String,
    /// Where it is, or was last.
    pub path: String,
    /// How far it can be trusted.
    pub state: MemberState,
    /// Bytes in all and free; nothing when the disk does not say.
    pub space: Option<disk::Space>,
    /// What it is for.
    pub role: DiskRole,
    /// It came back with less than it once had: an older copy of it was put in its place.
    pub is_older_copy: bool,
    /// When it last held everything, as far as the ledger knows.
    pub complete: Option<Stamp>,
    /// Since when it is on its way out.
    pub leaving: Option<Stamp>,
}

pub(crate) struct Member {
    pub(crate) key: DiskId,
    pub(crate) id: String,
    pub(crate) disk: Slot,
    role: Mutex<DiskRole, { rank::MEMBER_ROLE }>,
    pub(crate) is_older_copy: AtomicBool,
    /// The newest entry that it had when it left in good order.
    pub(crate) left_at: AtomicU64,
    state: Mutex<MemberState, { rank::MEMBER_STATE }>,
    packs_lacking: AtomicU64,
    /// Held while it is filled: two who fill it would write into each other's unfinished file.
    pub(crate) filling: Mutex<(), { rank::FILLING }>,
    /// Files whose publishing failed: whether they are on the disk is not known, whatever its cache shows.
    doubtful: Mutex<Vec<String>, { rank::DOUBTFUL }>,
    /// Failures that no disk took into the ledger: those of the only one, or whatever it fails at would be tried for ever.
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
            filling: Mutex::default(),
            doubtful: Mutex::default(),
            unnoted_failures: AtomicU32::new(0),
        }
    }

    /// What the disk is for.
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

    /// Whether anything may be believed that it says.
    pub(crate) fn is_readable(&self) -> bool {
        !matches!(self.state(), MemberState::Forked | MemberState::Away | MemberState::Retired)
    }

    /// Whether it should hold what is committed now and does not. An offsite disk is meant to be away.
    pub(crate) fn is_missed(&self) -> bool {
        match self.state() {
            MemberState::Healthy | MemberState::Retired => false,
            MemberState::Away => self.role() != DiskRole::Offsite,
            _ => true,
        }
    }

    /// Turns one state into another, or leaves it: whatever others do to it comes before or after, never between.
    fn update(&self, next: impl FnOnce(&MemberState) -> Option<MemberState>) {
        let mut state = self.state.lock();
        if let Some(next) = next(&state) {
            *state = next;
        }
    }

    /// Notes how many packs it lacks.
    pub(crate) fn lacks_packs(&self, packs: u64) {
        let before = self.packs_lacking.swap(packs, Ordering::SeqCst);
        self.update(|state| match state {
            MemberState::Healthy if packs > 0 => Some(MemberState::Behind(packs)),
            MemberState::Behind(files) => Some(MemberState::Behind(files + packs - before.min(*files))),
            _ => None,
        });
    }

    /// Notes what it lacks after it was looked at anew: so many packs, and so many files in all.
    pub(crate) fn lacks(&self, packs: u64, files: u64) {
        self.packs_lacking.store(packs, Ordering::SeqCst);
        self.update(|state| match state {
            MemberState::Healthy | MemberState::Behind(_) if files > 0 => Some(MemberState::Behind(files)),
            MemberState::Healthy | MemberState::Behind(_) => Some(MemberState::Healthy),
            _ => None,
        });
    }

    /// Takes back files that may or may not be there, and that could not be set aside.
    pub(crate) fn doubts(&self, paths: Vec<String>) {
        self.doubtful.lock().extend(paths);
    }

    /// Forgets which ledger entries it lacks, before they are counted anew.
    pub(crate) fn forget_entries(&self) {
        let packs = self.packs_lacking.load(Ordering::SeqCst);
        self.update(|state| match state {
            MemberState::Behind(_) if packs > 0 => Some(MemberState::Behind(packs)),
            MemberState::Behind(_) => Some(MemberState::Healthy),
            _ => None,
        });
    }

    /// Notes that it lacks one file more.
    pub(crate) fn misses_file(&self) {
        self.misses_files(1);
    }

    /// Notes that it lacks so many files more.
    pub(crate) fn misses_files(&self, more: u64) {
        self.update(|state| match state {
            MemberState::Healthy => Some(MemberState::Behind(more)),
            MemberState::Behind(files) => Some(MemberState::Behind(files + more)),
            _ => None,
        });
    }

    /// Notes that it lacks one pack more.
    pub(crate) fn misses_pack(&self) {
        // Counted by itself, or the next look at the ledger would take the disk for complete.
        self.packs_lacking.fetch_add(1, Ordering::SeqCst);
        self.misses_file();
    }

    /// Notes a failure, and turns it into what the caller returns.
    pub(crate) fn failed(&self, path: &str, source: io::Error) -> StoreError {
        if is_full(&source) {
            return StoreError::full_disk(&self.disk);
        }
        tracing::error!(disk = %self.disk.name(), path, error = %source, "the backup disk failed");
        self.doubtful.lock().push(path.to_owned());
        // One that is away cannot fail, and one that a person has to look at waits for that person.
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

    /// Hands out the files that may or may not be there.
    pub(crate) fn take_doubtful(&self) -> Vec<String> {
        std::mem::take(&mut self.doubtful.lock())
    }

    /// Whether `bytes` fit on the disk and leave `reserve_bytes` free.
    ///
    /// # Errors
    /// `Full` when they do not; `Disk` when it does not say.
    pub(crate) fn require_room(&self, bytes: u64, reserve_bytes: u64) -> Result<()> {
        let free =
            self.disk.space().map(|space| space.free).map_err(|source| self.failed(layout::OPEN, source))?;
        let wanted = bytes + reserve_bytes;
        if free >= wanted {
            return Ok(());
        }
        Err(StoreError::full(self.disk.name(), wanted - free))
    }
}

/// So many failures, and a person has to look at the disk: one may be a cable, two are a pattern.
pub(crate) const FAILURES_MAX: u32 = 2;

pub(crate) fn failed_before() -> MemberState {
    MemberState::Suspect("it failed before".to_owned())
}

/// What a failure is noted as.
pub(crate) fn noted(source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::ReadOnlyFilesystem { READ_ONLY.to_owned() } else { source.to_string() }
}
