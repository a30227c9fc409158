//! The list of packs, and the place of each chunk: packs and index together.
//!
//! The index is only ever a hint, and complete only when every pack has been entered. Packs unknown to the index, after
//! damage or a power cut, wait in `pending`; a lookup without a result enters some waiting packs, and the agent enters
//! more all the while. Only a restore waits for the whole list: a restore must not be told that its files are missing.
//! Not here: growing packs (`growing`).

use crate::Result;
use crate::disks::member::Member;
use crate::disks::members::Members;
use crate::ledger::clock::TrustedTime;
use crate::ledger::view::LedgerView;
use crate::locks::{Mutex, MutexGuard, ReadGuard, RwLock, WriteGuard, rank};
use crate::packs::catalog::listing::{list, list_one, mark_behind};
use crate::packs::given_up::gone_or_missing;
use crate::packs::growing::Sealed;
use crate::packs::index::part::PackNames;
use crate::packs::index::{Index, IndexPlace, open_index};
use crate::packs::owners::Owners;
use crate::packs::reader;
use crate::packs::registry::Packs;
use larder_format::Hash;
use larder_format::ledger::Head;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Condvar;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

mod anew;
mod listing;
mod missing;
pub(crate) mod presence;

/// Chunks whose packs are entered together; about 4 MB of memory.
const CHUNKS_GATHERED: usize = 500_000;

/// Packs entered while a start or an answer waits: 3 s on a disk that must seek for each.
pub(crate) const PACKS_AT_ONCE: usize = 256;

pub(crate) struct Catalog {
    pub(crate) packs: Packs,
    place: Mutex<IndexPlace, { rank::INDEX_PLACE }>,
    vault: [u8; 16],
    index: RwLock<Index, { rank::INDEX }>,
    /// A number is given to one pack only.
    entering: Mutex<(), { rank::ENTERING }>,
    pending: Mutex<Pending, { rank::PENDING }>,
    entered: Condvar,
    /// How often the index was thrown away: lookups before and after may give two halves of one copy.
    anew: AtomicU64,
    /// The index holds chunk tables not yet written to disk.
    is_read_ahead: AtomicBool,
}

/// Packs unknown to the index so far.
#[derive(Default)]
struct Pending {
    waiting: Vec<(u32, Hash)>,
    /// How many packs are being entered right now.
    entering: usize,
}

impl Pending {
    fn count(&self) -> usize {
        self.waiting.len() + self.entering
    }
}

/// Packs on their way into the index. However entering ends, no thread waits for these packs afterwards.
struct Entering<'a> {
    catalog: &'a Catalog,
    packs: Vec<(u32, Hash)>,
}

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        self.catalog.pending().entering -= self.packs.len();
        self.catalog.entered.notify_all();
    }
}

impl Catalog {
    /// Finds every pack on the disks. Returns also whether the index had to be started anew.
    pub(crate) fn open(
        (place, vault): (IndexPlace, [u8; 16]),
        members: &Members,
        ledger: &LedgerView,
    ) -> Result<(Self, bool)> {
        let (mut index, is_new) = open_index(&place, &vault);
        let packs = Packs::default();
        packs.raise_salt(ledger.salt);
        let (mut on_each, is_unseen) = list(members)?;
        for there in &mut on_each {
            // A swept pack is no part of the vault, though its file may still be there.
            packs.leave_to_sweep(there, &ledger.swept);
        }
        mark_behind(members, &on_each);
        let mut found: BTreeMap<Hash, u64> = on_each.into_iter().flatten().collect();
        let mut absent = Vec::new();
        for (number, name) in index.packs() {
            match found.remove(name) {
                Some(len) => packs.add(*number, *name, len),
                None => absent.push((*number, *name)),
            }
        }
        let (gone, missing) = gone_or_missing(members, absent, &ledger.swept);
        index.remove(&gone);
        missing.iter().for_each(|(number, name)| packs.add(*number, *name, 0));
        let mut pending = Pending::default();
        for (name, len) in found {
            let number = packs.next_number();
            packs.add(number, name, len);
            pending.waiting.push((number, name));
        }
        let catalog = Self {
            packs,
            place: Mutex::new(place),
            vault,
            index: RwLock::new(index),
            entering: Mutex::new(()),
            pending: Mutex::new(pending),
            entered: Condvar::new(),
            anew: AtomicU64::new(0),
            is_read_ahead: AtomicBool::new(false),
        };
        catalog.packs.trouble.set_hides_packs(is_unseen);
        missing.into_iter().for_each(|(number, name)| catalog.miss(members, number, name));
        catalog.enter_pending(members, PACKS_AT_ONCE);
        Ok((catalog, is_new))
    }

    /// What each device brought, as written down beside the index; whole only if that is of this end of the ledger.
    pub(crate) fn open_owners(&self, head: Head) -> Owners {
        Owners::open(&self.place.lock(), self.vault, head, |name| self.packs.number(name))
    }

    /// Makes a sealed pack, whole on every healthy disk, findable; returns its number.
    pub(crate) fn enter(&self, pack: &Sealed) -> u32 {
        let _one_at_a_time = self.entering.lock();
        // The same bytes may have been packed before; two numbers for one file would be swept apart.
        if let Some(number) = self.packs.number(&pack.name) {
            // The pack is whole now, whatever damage was found before.
            self.packs.reopen(number);
            if self.packs.trouble.end_unreadable(&pack.name) {
                self.insert(&[PackNames::of(number, pack.name, &pack.table.chunks)]);
            }
            return number;
        }
        let number = self.packs.next_number();
        self.packs.add(number, pack.name, pack.len);
        self.insert(&[PackNames::of(number, pack.name, &pack.table.chunks)]);
        number
    }

    /// Drops swept packs: no lookup finds a chunk in these packs any more.
    pub(crate) fn forget(&self, numbers: &[u32]) {
        self.packs.forget(numbers);
        self.pending().waiting.retain(|(waiting, _)| !numbers.contains(waiting));
        self.index_to_change().remove(numbers);
    }

    /// Packs unknown to the index so far.
    pub(crate) fn pending_count(&self) -> usize {
        self.pending().count()
    }

    /// Takes in the unknown packs of a disk that joined, and returns how many packs were unknown. A lookup finds their
    /// chunks at once; entering goes on step by step.
    pub(crate) fn absorb(
        &self,
        members: &Members,
        member: &Member,
        (swept, was_complete): (&HashMap<Hash, TrustedTime>, bool),
    ) -> Result<usize> {
        let _one_at_a_time = self.entering.lock();
        let (mut found, is_unseen) = list_one(member)?;
        let is_only = !members.all().iter().any(|other| other.key != member.key && other.is_readable());
        // A new disk shows its own packs, not the packs that another disk hides.
        let shows_all = was_complete && !is_unseen;
        if shows_all {
            self.packs.trouble.set_hides_packs(false);
        } else if is_only && is_unseen {
            self.packs.trouble.set_hides_packs(true);
        }
        self.packs.leave_to_sweep(&mut found, swept);
        let known: HashSet<_> = self.packs.all().into_iter().map(|(_, name)| name).collect();
        found.retain(|name, _| !known.contains(name));
        let new_packs = found.len();
        for (name, len) in found {
            let number = self.packs.next_number();
            self.packs.add(number, name, len);
            self.pending().waiting.push((number, name));
        }
        self.enter_pending(members, PACKS_AT_ONCE);
        Ok(new_packs)
    }

    /// Lists all disks again where a disk did not show a folder of packs. Returns whether every folder shows by now.
    pub(crate) fn look_for_unseen(
        &self,
        members: &Members,
        swept: &HashMap<Hash, TrustedTime>,
    ) -> Result<bool> {
        if !self.packs.trouble.hides_packs() || !members.are_all_here() {
            return Ok(false);
        }
        let mut show_all = true;
        for member in members.all().iter().filter(|member| member.is_readable()) {
            show_all &= !list_one(member)?.1;
            self.absorb(members, member, (swept, false))?;
        }
        if show_all {
            self.packs.trouble.set_hides_packs(false);
        }
        Ok(show_all)
    }

    /// Enters up to `packs_max` unknown packs. Returns how many are left.
    pub(crate) fn enter_pending(&self, members: &Members, packs_max: usize) -> usize {
        let mut left = packs_max;
        while left > 0 {
            let Some(taken) = self.take_pending(left.min(PACKS_AT_ONCE)) else { break };
            left -= taken.packs.len();
            self.enter_each(members, &taken.packs);
        }
        self.pending().count()
    }

    /// Up to `most` waiting packs; `None` when no pack waits. Waits for packs that other threads are entering.
    fn take_pending(&self, most: usize) -> Option<Entering<'_>> {
        let mut pending = self.pending();
        while pending.waiting.is_empty() && pending.entering > 0 {
            pending = pending.wait(&self.entered);
        }
        let rest = pending.waiting.len().saturating_sub(most);
        let packs = pending.waiting.split_off(rest);
        pending.entering += packs.len();
        drop(pending);
        (!packs.is_empty()).then(|| Entering { catalog: self, packs })
    }

    fn enter_each(&self, members: &Members, packs: &[(u32, Hash)]) {
        let (mut gathered, mut chunks) = (Vec::new(), 0);
        for (number, name) in packs {
            match reader::read_table(members, name) {
                Ok(table) => {
                    chunks += table.chunks.len();
                    gathered.push(PackNames::of(*number, *name, &table.chunks));
                }
                Err(error) => match reader::newer_layout(&error) {
                    // A flipped bit must not look like a newer Larder: the pack has to have its name.
                    Some(layout) if reader::is_whole_anywhere(members, name) => {
                        tracing::warn!(pack = %name, layout, "a pack was written by a newer Larder");
                        self.packs.trouble.note_newer(layout);
                    }
                    _ => {
                        tracing::error!(pack = %name, %error, "a pack's table cannot be read");
                        self.packs.trouble.note_unreadable(*name);
                        // Without suspicion the next look at the pack would come weeks later, in its turn of a round.
                        self.packs.trouble.suspect();
                    }
                },
            }
            if chunks >= CHUNKS_GATHERED {
                self.insert(&std::mem::take(&mut gathered));
                chunks = 0;
            }
        }
        self.insert(&gathered);
        self.is_read_ahead.store(true, Ordering::SeqCst);
    }

    fn insert(&self, packs: &[PackNames]) {
        if packs.is_empty() {
            return;
        }
        // Bound first: the guard would live as long as the call that throws the index away and waits for the same
        // guard.
        let inserted = self.index_to_change().insert(packs);
        if let Err(broken) = inserted {
            tracing::warn!(%broken, "making the index anew; nothing is lost");
            // No refill here: a thread that enters packs would wait for its own end.
            self.throw_away();
        }
    }

    /// The pack has another file now: its chunks are found like any others, even if none could be found before.
    pub(crate) fn enter_repaired(&self, members: &Members, name: &Hash, len: u64) {
        let _one_at_a_time = self.entering.lock();
        // The pack was swept during its repair.
        if self.packs.is_left_to_sweep(name) {
            return;
        }
        let known = self.packs.number(name);
        let number = known.unwrap_or_else(|| self.packs.next_number());
        self.packs.reopen(number);
        self.packs.add(number, *name, len);
        let was_unreadable = self.packs.trouble.end_unreadable(name);
        if known.is_none() || was_unreadable {
            self.enter_each(members, &[(number, *name)]);
        }
    }

    /// The pack exists no longer: its whole chunks lie in other packs.
    pub(crate) fn retire(&self, number: u32, name: &Hash, len: u64) {
        self.packs.retire(number, len);
        self.pending().waiting.retain(|(waiting, _)| *waiting != number);
        self.packs.trouble.end_unreadable(name);
        self.index_to_change().remove(&[number]);
    }

    /// Damaged chunks without a new copy.
    pub(crate) fn damaged(&self, members: &Members) -> usize {
        self.packs.trouble.chunks().iter().filter(|id| self.held(members, id).is_none()).count()
    }

    fn index(&self) -> ReadGuard<'_, Index, { rank::INDEX }> {
        self.index.read()
    }

    fn index_to_change(&self) -> WriteGuard<'_, Index, { rank::INDEX }> {
        self.index.write()
    }

    fn pending(&self) -> MutexGuard<'_, Pending, { rank::PENDING }> {
        self.pending.lock()
    }
}
