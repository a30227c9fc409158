//! The walk: which folder is taken next, by several walkers at once, in memory that depends on depth alone.
//!
//! There is no recursion. Each walker has a stack that holds, for each folder under way, a cursor to its next folder,
//! and takes the top one; who has none left takes a folder from the bottom of another's stack. So each walker stays in
//! one part of the tree, and files that lie together travel together. The last folder to be done inside another makes
//! that one's node, and so up to the root. Who finds no folder at all reads files of one that another walker is at.
//! Not here: what is done with a folder (`folder`).

use crate::{
    Trouble,
    push::batch::Stopped,
    push::entry::{Shared, Walker},
    push::folder::{Below, Folder, NotMade},
    push::shares::{Next, Read, Shares},
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Folders that are under way, for all walkers.
pub(crate) struct Walk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// One stack for each walker.
    stacks: Vec<Vec<Cursor>>,
    shares: Shares,
    walkers: usize,
    /// Walkers that wait for `changed`: to wake nobody costs a call of the system too.
    waiting: usize,
    root: Option<Below>,
    over: bool,
}

/// A folder and the first of its folders that nobody has taken yet.
struct Cursor {
    folder: Arc<Folder>,
    next: usize,
}

impl State {
    /// The next folder from the walker's own stack, or else the one of another that lies highest in the tree.
    fn take(&mut self, own: usize) -> Option<(Arc<Folder>, usize)> {
        let (stack, at) = match self.stacks[own].len() {
            0 => (self.stacks.iter_mut().find(|stack| !stack.is_empty())?, 0),
            len => (&mut self.stacks[own], len - 1),
        };
        let cursor = &mut stack[at];
        let number = cursor.next;
        cursor.next += 1;
        let folder = Arc::clone(&cursor.folder);
        if cursor.next >= cursor.folder.folders() {
            stack.remove(at);
        }
        Some((folder, number))
    }
}

/// What a walker does next.
enum Task {
    /// Look into the folder of this number in a folder.
    Visit(Arc<Folder>, usize),
    /// Read the share of this number of a folder's files.
    Share(Arc<Folder>, usize),
}

/// A folder whose files other walkers may read, until this is dropped.
pub(crate) struct Sharing<'w> {
    walk: &'w Walk,
    folder: Arc<Folder>,
}

impl Sharing<'_> {
    /// What came of a share, where somebody else took it; waits until they are done. Shares must be asked for in order.
    pub(crate) fn next(&self, number: usize) -> Result<Option<Vec<Read>>, Stopped> {
        let mut state = self.walk.lock();
        // There is room for another share ahead.
        self.walk.wake(&state);
        loop {
            if state.over {
                return Err(Stopped);
            }
            match state.shares.next(&self.folder, number) {
                Next::Own => return Ok(None),
                Next::Ready(read) => return Ok(Some(read)),
                Next::Wait => state = self.walk.wait(state),
            }
        }
    }
}

impl Drop for Sharing<'_> {
    fn drop(&mut self) {
        self.walk.lock().shares.remove(&self.folder);
    }
}

/// Without it the other walkers would wait for ever for the folders of one that panicked.
struct EndsOnPanic<'a>(&'a Walk);

impl Drop for EndsOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end(None);
        }
    }
}

impl Walk {
    /// A walk that begins with `root`, whose names are known.
    pub(crate) fn new(root: Arc<Folder>) -> Self {
        let stacks = vec![vec![Cursor { folder: root, next: 0 }]];
        Self { state: Mutex::new(State { stacks, ..State::default() }), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes part in the walk until it is over, then hands over what is left in the batches.
    pub(crate) fn take_part(&self, shared: &Shared<'_>) {
        let _ending = EndsOnPanic(self);
        let mut walker = Walker::new(shared);
        let own = self.join();
        let done = self.work(&mut walker, own);
        let flushed = walker.out.files.flush().and_then(|()| walker.out.trees.flush());
        if done.is_err() || flushed.is_err() {
            self.end(None);
        }
    }

    /// What the root came to; nothing when the walk was stopped.
    pub(crate) fn into_root(self) -> Option<Below> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).root
    }

    /// Gives a walker its stack.
    fn join(&self) -> usize {
        let mut state = self.lock();
        let own = state.walkers;
        state.walkers += 1;
        if state.stacks.len() < state.walkers {
            state.stacks.push(Vec::new());
        }
        own
    }

    fn end(&self, root: Option<Below>) {
        let mut state = self.lock();
        state.over = true;
        state.root = state.root.or(root);
        state.stacks.iter_mut().for_each(Vec::clear);
        drop(state);
        self.changed.notify_all();
    }

    fn work(&self, walker: &mut Walker<'_>, own: usize) -> Result<(), Stopped> {
        while let Some(task) = self.next(own) {
            if walker.shared.queue.is_stopped() {
                return Err(Stopped);
            }
            let (parent, number) = match task {
                Task::Visit(parent, number) => (parent, number),
                Task::Share(folder, number) => {
                    let read = walker.read_share(&folder, number)?;
                    let mut state = self.lock();
                    state.shares.put(&folder, number, read);
                    self.wake(&state);
                    continue;
                }
            };
            if parent.folders() == 0 {
                // Only the root comes here without folders of its own.
                self.complete(walker, parent)?;
                continue;
            }
            match walker.visit(&parent, number) {
                Ok(folder) if folder.folders() == 0 => self.complete(walker, folder)?,
                Ok(folder) => self.add(folder, own),
                Err(NotMade::Stopped) => return Err(Stopped),
                Err(NotMade::LeftOut) => {
                    if parent.report(number, None) {
                        self.complete(walker, parent)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The next folder to look into, or else a share of one that others read; waits while there may still come some.
    fn next(&self, own: usize) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.over {
                return None;
            }
            if let Some((parent, number)) = state.take(own) {
                return Some(Task::Visit(parent, number));
            }
            if let Some((folder, number)) = state.shares.take() {
                return Some(Task::Share(folder, number));
            }
            state = self.wait(state);
        }
    }

    fn add(&self, folder: Arc<Folder>, own: usize) {
        let mut state = self.lock();
        state.stacks[own].push(Cursor { folder, next: 0 });
        self.wake(&state);
    }

    /// Has walkers that have nothing else to do read files of `folder`, while this one makes its node.
    pub(crate) fn share(&self, folder: &Arc<Folder>) -> Sharing<'_> {
        let mut state = self.lock();
        state.shares.add(folder);
        self.wake(&state);
        Sharing { walk: self, folder: Arc::clone(folder) }
    }

    fn wait<'s>(&self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        state.waiting += 1;
        let mut state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    fn wake(&self, state: &State) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Makes the node of `folder`, and of each folder above that waited for this one alone.
    fn complete(&self, walker: &mut Walker<'_>, mut folder: Arc<Folder>) -> Result<(), Stopped> {
        loop {
            let below = match walker.fold(self, &folder) {
                Ok(below) => Some(below),
                Err(NotMade::Stopped) => return Err(Stopped),
                Err(NotMade::LeftOut) => None,
            };
            let Some((parent, number)) = &folder.parent else {
                if below.is_none() {
                    let path = folder.handle.path_of(b"");
                    let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
                    walker.shared.queue.stop(Trouble::local("reading the pushed folder", path, gone));
                }
                self.end(below);
                return Ok(());
            };
            if !parent.report(*number, below) {
                return Ok(());
            }
            folder = Arc::clone(parent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::shares;
    use crate::{
        Progress,
        handle::{Budget, Handle},
        platform::unix::attributes::OwnerNames,
        push::batch::Queue,
        push::cache::{Cache, FolderKey},
        push::exclude::Excludes,
    };
    use larder_format::tree::Time;
    use std::{
        collections::{HashMap, HashSet},
        path::Path,
        sync::atomic::{AtomicU32, Ordering::Relaxed},
        time::Duration,
    };

    /// Hands over what walkers share, over an empty cache, and a root folder; `now` is their clock.
    fn with_root(
        folder: &Path,
        now: &(dyn Fn() -> Time + Sync),
        test: impl FnOnce(&Shared<'_>, Arc<Folder>),
    ) {
        let opened = rustix::fs::open(folder, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty());
        let handle = Handle::root(opened.expect("opens"), Budget::new(9)).expect("a handle");
        // Nobody sends, so each walker must find a place for what it has at the end.
        let (queue, progress, skipped) = (Queue::new(9), Progress::default(), Mutex::default());
        let (cache, excludes) = (Cache::none(), Excludes::new(&[], None, false).expect("none"));
        let shared = Shared {
            cache: &cache,
            excludes: &excludes,
            queue: &queue,
            progress: &progress,
            skipped: &skipped,
            now,
            owners: OwnerNames::default(),
            links: Mutex::new(HashMap::new()),
            own_uid: 0,
            root_device: 0,
            written_out: Arc::default(),
        };
        let root = Walker::new(&shared).root(handle, FolderKey::root(b"/")).expect("a root");
        test(&shared, root);
    }

    /// Whatever a walker stumbles over, the push ends instead of standing still.
    #[test]
    fn a_walker_that_panics_ends_the_walk() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a/b", "c/d"] {
            std::fs::create_dir_all(folder.path().join(name)).expect("made");
        }
        let asked = AtomicU32::new(0);
        // The clock is asked for each folder; the third time it breaks.
        let now = || {
            assert!(asked.fetch_add(1, Relaxed) != 2, "planted");
            Time::default()
        };
        with_root(folder.path(), &now, |shared, root| assert_eq!(panicked(shared, root), 1));
    }

    /// The same where one reads files of a folder and another one waits for them.
    #[test]
    fn a_walker_that_panics_at_a_share_ends_the_walk() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..200 {
            std::fs::write(folder.path().join(number.to_string()), b"words").expect("written");
        }
        let (callers, came) = (Mutex::new(HashSet::from([std::thread::current().id()])), Condvar::new());
        // Whoever makes the node waits until another walker has taken a share; that one's clock breaks.
        let now = || {
            let mut callers = callers.lock().expect("nobody panics with it");
            let is_new = callers.insert(std::thread::current().id());
            came.notify_all();
            let is_second = is_new && callers.len() == 3;
            let patience = Duration::from_secs(20);
            let waited = came.wait_timeout_while(callers, patience, |callers| callers.len() == 2);
            drop(waited.expect("nobody panics with it"));
            assert!(!is_second, "planted");
            Time::default()
        };
        with_root(folder.path(), &now, |shared, root| assert_eq!(panicked(shared, root), 1));
    }

    /// How many of three walkers panicked; the walk must have ended without a root.
    fn panicked(shared: &Shared<'_>, root: Arc<Folder>) -> usize {
        let walk = Walk::new(root);
        let panicked = std::thread::scope(|scope| {
            let walkers: Vec<_> = (0..3).map(|_| scope.spawn(|| walk.take_part(shared))).collect();
            walkers.into_iter().filter_map(|walker| walker.join().err()).count()
        });
        assert!(walk.into_root().is_none());
        panicked
    }

    #[test]
    fn walkers_share_a_folder_and_none_runs_far_ahead() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..40 {
            std::fs::write(folder.path().join(number.to_string()), b"words").expect("written");
        }
        with_root(folder.path(), &Time::default, |_, root| {
            let mut shares = Shares::default();
            assert!(shares.take().is_none(), "nothing is shared");
            shares.add(&root);
            assert!(matches!(shares.next(&root, 0), Next::Own), "nobody was faster");
            let taken: Vec<usize> = std::iter::from_fn(|| shares.take()).map(|(_, number)| number).collect();
            assert_eq!(taken, [1, 2, 3, 4]);
            assert!(matches!(shares.next(&root, 1), Next::Wait));
            assert_eq!(shares.take().map(|(_, number)| number), Some(5), "there is room again");
            let read = Read { position: 2, size: 5, fresh: None };
            shares.put(&root, 1, Some(vec![read]));
            shares.put(&root, 2, None);
            let Next::Ready(read) = shares.next(&root, 1) else { panic!("it was read") };
            assert_eq!(read.iter().map(|read| read.position).collect::<Vec<_>>(), [2]);
            assert!(matches!(shares.next(&root, 2), Next::Own), "whoever took it could not read it");
            shares.remove(&root);
            shares.put(&root, 3, None);
            assert!(shares.take().is_none());
        });
    }

    #[test]
    fn shares_are_the_whole_folder() {
        for names in [0, 1, 2, 15, 16, 17, 40, 1023, 1024, 1025, 100_000] {
            let all: Vec<usize> =
                (0..shares::count(names)).flat_map(|number| shares::positions(number, names)).collect();
            assert!(all.iter().copied().eq(0..names), "{names}");
        }
    }
}
