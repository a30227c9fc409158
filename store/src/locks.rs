//! Every lock of the store, and the one order in which a thread may take locks.
//!
//! A lock has a rank, and a thread with a lock may only wait for a lock of higher rank. Two threads that wait for each
//! other's lock are then impossible. Builds for tests check the order at each lock and stop at the first violation. Trying
//! without waiting (`try_lock`, `try_write`) is free of the order. A panic under a lock does not spread: the value is used
//! as is, since no value in memory is believed further than its checks go.

use std::ops::{Deref, DerefMut};
use std::sync::{self, Condvar, PoisonError, TryLockError};

/// Ranks in the order in which locks may be taken.
pub(crate) mod rank {
    /// The walk that finds out whose chunks are whose.
    pub(crate) const OWNERS_WALK: u8 = 0;
    /// Sweeps under way: one step at a time.
    pub(crate) const SWEEPS: u8 = 1;
    /// The fill of a disk: two concurrent fills would write into the same unfinished file.
    pub(crate) const FILLING: u8 = 2;
    /// Result of mark phases: held during a step of a sweep, and while a disk joins.
    pub(crate) const MARK_PROOF: u8 = 3;
    /// Sidecars are written one at a time, since each takes some megabytes of memory.
    pub(crate) const PARITY: u8 = 4;
    /// Rounds of scrubs: held during a step, so that repairs never meet.
    pub(crate) const ROUNDS: u8 = 5;
    /// Held for writing while packs go, for reading while a device is told of a chunk.
    pub(crate) const SWEEPING: u8 = 6;
    /// The growing pack, and the packs being sealed.
    pub(crate) const GROWING: u8 = 7;
    /// One commit at a time: an entry names the entry before.
    pub(crate) const COMMITS: u8 = 8;
    /// Times of the last checks.
    pub(crate) const LOOKED: u8 = 9;
    /// Clock readings since the start.
    pub(crate) const LIFETIME: u8 = 10;
    /// The present ledger.
    pub(crate) const LEDGER: u8 = 11;
    /// Pending checks of the quarantines.
    pub(crate) const SEARCHES: u8 = 12;
    /// Packs that a disk could not read.
    pub(crate) const SUSPECTS: u8 = 13;
    /// A number is given to one pack only.
    pub(crate) const ENTERING: u8 = 14;
    /// The index.
    pub(crate) const INDEX: u8 = 15;
    /// Where the index lies.
    pub(crate) const INDEX_PLACE: u8 = 16;
    /// Packs that the index does not know yet.
    pub(crate) const PENDING: u8 = 17;
    /// Findings of scrubs and repairs.
    pub(crate) const FINDINGS: u8 = 18;
    /// Chunks and packs that pushes rely on.
    pub(crate) const PINS: u8 = 19;
    /// Whose chunks are whose.
    pub(crate) const OWNERS: u8 = 20;
    /// The list of packs.
    pub(crate) const REGISTRY: u8 = 21;
    /// Opened packs.
    pub(crate) const VIEWS: u8 = 22;
    /// Opened blocks.
    pub(crate) const BLOCKS: u8 = 23;
    /// Table of damage.
    pub(crate) const TROUBLE: u8 = 24;
    /// The list of disks.
    pub(crate) const MEMBERS: u8 = 25;
    /// Role of one disk.
    pub(crate) const MEMBER_ROLE: u8 = 26;
    /// Trust level of one disk.
    pub(crate) const MEMBER_STATE: u8 = 27;
    /// Files of uncertain presence on one disk.
    pub(crate) const DOUBTFUL: u8 = 28;
    /// The disk in the slot, if connected.
    pub(crate) const SLOT: u8 = 29;
    /// Present path of a disk, or the last.
    pub(crate) const SLOT_NAME: u8 = 30;
    /// Compressors and their like.
    pub(crate) const POOL: u8 = 31;
}

/// A mutex of a rank.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T, const RANK: u8>(sync::Mutex<T>);

/// The guarded value, as long as this guard lives.
pub(crate) struct MutexGuard<'a, T, const RANK: u8> {
    guard: sync::MutexGuard<'a, T>,
    held: Held<RANK>,
}

impl<T, const RANK: u8> Mutex<T, RANK> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T, RANK> {
        let held = Held::waited_for();
        MutexGuard { guard: self.0.lock().unwrap_or_else(PoisonError::into_inner), held }
    }

    /// `None` while another thread holds the lock.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T, RANK>> {
        let guard = match self.0.try_lock() {
            Ok(guard) => guard,
            // A panic under the lock must not look like a holder for ever.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(MutexGuard { guard, held: Held::tried() })
    }
}

impl<'a, T, const RANK: u8> MutexGuard<'a, T, RANK> {
    /// Releases the lock until `condition` is notified.
    pub(crate) fn wait(self, condition: &Condvar) -> Self {
        let Self { guard, held } = self;
        Self { guard: condition.wait(guard).unwrap_or_else(PoisonError::into_inner), held }
    }
}

impl<T, const RANK: u8> Deref for MutexGuard<'_, T, RANK> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T, const RANK: u8> DerefMut for MutexGuard<'_, T, RANK> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A lock of a rank with many readers at once. A reading thread may not read again: a writer waiting in between would
/// block both.
#[derive(Debug, Default)]
pub(crate) struct RwLock<T, const RANK: u8>(sync::RwLock<T>);

/// The value under a read lock, as long as this guard lives.
pub(crate) struct ReadGuard<'a, T, const RANK: u8> {
    guard: sync::RwLockReadGuard<'a, T>,
    _held: Held<RANK>,
}

/// The value under a write lock, as long as this guard lives.
pub(crate) struct WriteGuard<'a, T, const RANK: u8> {
    guard: sync::RwLockWriteGuard<'a, T>,
    _held: Held<RANK>,
}

impl<T, const RANK: u8> RwLock<T, RANK> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> ReadGuard<'_, T, RANK> {
        let held = Held::waited_for();
        ReadGuard { guard: self.0.read().unwrap_or_else(PoisonError::into_inner), _held: held }
    }

    pub(crate) fn write(&self) -> WriteGuard<'_, T, RANK> {
        let held = Held::waited_for();
        WriteGuard { guard: self.0.write().unwrap_or_else(PoisonError::into_inner), _held: held }
    }

    /// `None` while another thread holds the lock.
    pub(crate) fn try_write(&self) -> Option<WriteGuard<'_, T, RANK>> {
        let guard = match self.0.try_write() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(WriteGuard { guard, _held: Held::tried() })
    }
}

impl<T, const RANK: u8> Deref for ReadGuard<'_, T, RANK> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T, const RANK: u8> Deref for WriteGuard<'_, T, RANK> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T, const RANK: u8> DerefMut for WriteGuard<'_, T, RANK> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// Whether this build checks the order: test builds do.
const IS_CHECKED: bool = cfg!(any(test, debug_assertions, feature = "simulated-disks"));

thread_local! {
    /// How many locks of each rank this thread holds.
    static HELD: std::cell::Cell<[u8; 32]> = const { std::cell::Cell::new([0; 32]) };
}

/// The note that this thread holds a lock of the rank.
struct Held<const RANK: u8>;

impl<const RANK: u8> Held<RANK> {
    /// Before the lock is waited for.
    fn waited_for() -> Self {
        if IS_CHECKED {
            let held = HELD.get();
            let above = held.iter().skip(usize::from(RANK)).position(|count| *count > 0);
            if let Some(above) = above.map(|above| above + usize::from(RANK)) {
                // A guard dropped while this panic unwinds must not panic once more.
                assert!(
                    std::thread::panicking(),
                    "a lock of rank {RANK} is waited for while one of rank {above} is held"
                );
            }
        }
        Self::tried()
    }

    fn tried() -> Self {
        if IS_CHECKED {
            Self::count(|count| count.saturating_add(1));
        }
        Self
    }

    fn count(change: impl Fn(u8) -> u8) {
        let mut held = HELD.get();
        let count = &mut held[usize::from(RANK)];
        *count = change(*count);
        HELD.set(held);
    }
}

impl<const RANK: u8> Drop for Held<RANK> {
    fn drop(&mut self) {
        if IS_CHECKED {
            Self::count(|count| count.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn is_refused(take: impl FnOnce()) -> bool {
        catch_unwind(AssertUnwindSafe(take)).is_err()
    }

    #[test]
    fn a_lock_below_one_that_is_held_is_refused() {
        let (low, high) = (Mutex::<(), 1>::default(), RwLock::<(), 2>::default());
        let both = || drop((low.lock(), high.read()));
        assert!(!is_refused(both));
        assert!(is_refused(|| drop((high.read(), low.lock()))));
        assert!(is_refused(|| drop((high.write(), low.lock()))));
        assert!(!is_refused(both), "what was held when it was refused is held no longer");
    }

    /// With a writer in between, the second reading would wait for ever.
    #[test]
    fn a_thread_that_reads_may_not_read_again() {
        let lock = RwLock::<(), 1>::default();
        assert!(is_refused(|| drop((lock.read(), lock.read()))));
        assert!(!is_refused(|| drop(lock.read())));
    }

    /// A thread that only tries waits for no lock, but every later wait has to be above the tried lock.
    #[test]
    fn a_lock_that_was_tried_for_counts_for_those_after_it() {
        let (low, middle, high) =
            (Mutex::<(), 1>::default(), Mutex::<(), 2>::default(), Mutex::<(), 3>::default());
        assert!(!is_refused(|| drop((high.lock(), middle.try_lock()))));
        assert!(is_refused(|| {
            let _middle = middle.try_lock().expect("nobody has it");
            drop(low.lock());
        }));
    }

    #[test]
    fn a_panic_while_a_lock_was_held_does_not_spread() {
        let lock = Mutex::<u8, 1>::new(7);
        assert!(is_refused(|| {
            let _held = lock.lock();
            panic!("as a bug would");
        }));
        assert_eq!(*lock.lock(), 7);
        assert!(lock.try_lock().is_some());
    }
}
