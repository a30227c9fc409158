//! What looking after the disks has to remember between two steps. All of it can be found out again.

use crate::members::Member;
use crate::repair::{Searches, State, Watchlists};
use larder_format::Hash;
use larder_format::care::{LostFile, Round};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Lost files that are named over all packs; the pieces are counted in any case.
const FILES_MAX: usize = 10_000;

#[derive(Default)]
pub(crate) struct Care {
    /// Only one sidecar is written at a time, since each is some megabytes of memory.
    pub(crate) parity: Mutex<()>,
    /// Where the scrub of each disk stands, by the disk's name. Held during a step, so that repairs never meet.
    pub(crate) rounds: Mutex<BTreeMap<String, Round>>,
    /// When the folders of packs were looked at last, in seconds of running.
    pub(crate) looked_s: Mutex<Option<u64>>,
    /// Packs that a disk could not read.
    pub(crate) suspects: Mutex<Watchlists>,
    /// When what they could not read was read again last, in seconds of running.
    pub(crate) retried_s: Mutex<Option<u64>>,
    /// What is still to be looked at in the quarantines.
    pub(crate) searches: Mutex<Searches>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Packs that gave no sidecar, on the disk of that name; tried again after the next start.
    hopeless: HashSet<(String, Hash)>,
    /// Chapters of the ledger that could not be sealed, on the disk of that name; tried again after the next start.
    unsealable: HashSet<(String, u64)>,
    /// Packs that were given up since the start.
    retired: HashSet<Hash>,
    lost_files: Vec<LostFile>,
    /// Kept snapshots that are not whole, by their numbers.
    damaged: BTreeMap<u64, State>,
    /// Whether all that is kept was looked at since the start.
    is_surveyed: bool,
    /// Disks, by name, that are to be read in a hurry: something on them could not be read.
    alarmed: HashSet<String>,
    /// Rounds as they stood after the last step, for whoever cannot wait for the one under way.
    shown: BTreeMap<String, Round>,
}

/// What `mutex` guards, unless somebody holds it. A panic while it was held must not look like somebody for ever.
pub(crate) fn unless_held<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Care {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_hopeless(&self, member: &Member, name: &Hash) -> bool {
        self.known().hopeless.contains(&(member.id.clone(), *name))
    }

    pub(crate) fn note_hopeless(&self, member: &Member, name: Hash) {
        let mut known = self.known();
        known.alarmed.insert(member.id.clone());
        known.hopeless.insert((member.id.clone(), name));
    }

    pub(crate) fn is_unsealable(&self, member: &Member, chapter: u64) -> bool {
        self.known().unsealable.contains(&(member.id.clone(), chapter))
    }

    pub(crate) fn note_unsealable(&self, member: &Member, chapter: u64) {
        self.known().unsealable.insert((member.id.clone(), chapter));
    }

    pub(crate) fn alarm(&self, member: &Member) {
        self.known().alarmed.insert(member.id.clone());
    }

    pub(crate) fn is_alarmed(&self, member: &Member) -> bool {
        self.known().alarmed.contains(&member.id)
    }

    pub(crate) fn take_alarm(&self, member: &Member) -> bool {
        self.known().alarmed.remove(&member.id)
    }

    pub(crate) fn show(&self, member: &Member, round: &Round) {
        self.known().shown.insert(member.id.clone(), round.clone());
    }

    pub(crate) fn shown(&self, member: &Member) -> Option<Round> {
        self.known().shown.get(&member.id).cloned()
    }

    pub(crate) fn has_hope_again(&self, name: &Hash) {
        self.known().hopeless.retain(|(_, known)| known != name);
    }

    pub(crate) fn retire(&self, name: Hash) {
        self.known().retired.insert(name);
    }

    pub(crate) fn is_retired(&self, name: &Hash) -> bool {
        self.known().retired.contains(name)
    }

    /// All snapshots that are not whole. `is_certain`: every disk answered for what was looked at.
    pub(crate) fn set_damaged(&self, damaged: BTreeMap<u64, State>, is_certain: bool) {
        let mut known = self.known();
        known.damaged = damaged;
        known.is_surveyed |= is_certain;
    }

    pub(crate) fn damaged_snapshots(&self) -> BTreeMap<u64, State> {
        self.known().damaged.clone()
    }

    /// There is more that is kept than was looked at.
    pub(crate) fn survey_again(&self) {
        self.known().is_surveyed = false;
    }

    pub(crate) fn is_surveyed(&self) -> bool {
        self.known().is_surveyed
    }

    /// All lost files.
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
