//! The walk: which folder is taken next, by several walkers at once, in memory that depends on depth alone.
//!
//! There is no recursion. Each walker has a stack that holds, for each folder under way, a cursor to its next folder,
//! and takes the top one; who has none left takes a folder from the bottom of another's stack. So each walker stays in
//! one part of the tree, and files that lie together travel together. The last folder to be done inside another makes
//! that one's node, and so up to the root.
//! Not here: what is done with a folder (`folder`).

use crate::{
    Trouble,
    batch::Stopped,
    entry::{Shared, Walker},
    folder::{Below, Folder, NotMade},
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
    walkers: usize,
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
        while let Some((parent, number)) = self.next(own) {
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
            if walker.shared.queue.is_stopped() {
                return Err(Stopped);
            }
        }
        Ok(())
    }

    /// The next folder to look into; waits while others may still find some.
    fn next(&self, own: usize) -> Option<(Arc<Folder>, usize)> {
        let mut state = self.lock();
        loop {
            if state.over {
                return None;
            }
            if let Some(taken) = state.take(own) {
                return Some(taken);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn add(&self, folder: Arc<Folder>, own: usize) {
        self.lock().stacks[own].push(Cursor { folder, next: 0 });
        self.changed.notify_all();
    }

    /// Makes the node of `folder`, and of each folder above that waited for this one alone.
    fn complete(&self, walker: &mut Walker<'_>, mut folder: Arc<Folder>) -> Result<(), Stopped> {
        loop {
            let below = match walker.fold(&folder) {
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
    use crate::{
        Progress,
        attributes::OwnerNames,
        batch::Queue,
        cache::{Cache, FolderKey},
        exclude::Excludes,
        handle::{Budget, Handle},
    };
    use larder_format::tree::Time;
    use std::{
        collections::HashMap,
        sync::atomic::{AtomicU32, Ordering::Relaxed},
    };

    /// Whatever a walker stumbles over, the push ends instead of standing still.
    #[test]
    fn a_walker_that_panics_ends_the_walk() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a/b", "c/d"] {
            std::fs::create_dir_all(folder.path().join(name)).expect("made");
        }
        let opened =
            rustix::fs::open(folder.path(), rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty());
        let handle = Handle::root(opened.expect("opens"), Budget::new(9)).expect("a handle");
        let (queue, progress, skipped) = (Queue::new(1), Progress::default(), Mutex::default());
        let (cache, excludes) = (Cache::none(), Excludes::new(&[], None, false).expect("none"));
        let asked = AtomicU32::new(0);
        // The clock is asked for each folder; the third time it breaks.
        let now = || {
            assert!(asked.fetch_add(1, Relaxed) != 2, "planted");
            Time::default()
        };
        let shared = Shared {
            cache: &cache,
            excludes: &excludes,
            queue: &queue,
            progress: &progress,
            skipped: &skipped,
            now: &now,
            owners: OwnerNames::default(),
            links: Mutex::new(HashMap::new()),
            own_uid: 0,
            root_device: 0,
            written_out: Arc::default(),
        };
        let root = Walker::new(&shared).root(handle, FolderKey::root(b"/")).expect("a root");
        let walk = Walk::new(root);
        let panicked = std::thread::scope(|scope| {
            let walkers: Vec<_> = (0..3).map(|_| scope.spawn(|| walk.take_part(&shared))).collect();
            walkers.into_iter().filter_map(|walker| walker.join().err()).count()
        });
        assert_eq!((panicked, walk.into_root().is_none()), (1, true));
    }
}
