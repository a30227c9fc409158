//! The walk: which folder is taken next, by several walkers at once, in memory that depends on depth alone.
//!
//! There is no recursion. The stack holds, for each folder that is under way, a cursor to its next folder; whoever is
//! free takes the top one. The last folder to be done inside another makes that one's node, and so up to the root.
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
    cursors: Vec<Cursor>,
    root: Option<Below>,
    over: bool,
}

/// A folder and the first of its folders that nobody has taken yet.
struct Cursor {
    folder: Arc<Folder>,
    next: usize,
}

impl Walk {
    /// A walk that begins with `root`, whose names are known.
    pub(crate) fn new(root: Arc<Folder>) -> Self {
        let cursors = vec![Cursor { folder: root, next: 0 }];
        Self { state: Mutex::new(State { cursors, ..State::default() }), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes part in the walk until it is over, then hands over what is left in the batches.
    pub(crate) fn take_part(&self, shared: &Shared<'_>) {
        let mut walker = Walker::new(shared);
        let done = self.work(&mut walker);
        let flushed = walker.out.files.flush().and_then(|()| walker.out.trees.flush());
        if done.is_err() || flushed.is_err() {
            self.end(None);
        }
    }

    /// What the root came to; nothing when the walk was stopped.
    pub(crate) fn into_root(self) -> Option<Below> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).root
    }

    fn end(&self, root: Option<Below>) {
        let mut state = self.lock();
        state.over = true;
        state.root = state.root.or(root);
        state.cursors.clear();
        drop(state);
        self.changed.notify_all();
    }

    fn work(&self, walker: &mut Walker<'_>) -> Result<(), Stopped> {
        while let Some((parent, number)) = self.next() {
            if parent.folders() == 0 {
                // Only the root comes here without folders of its own.
                self.complete(walker, parent)?;
                continue;
            }
            match walker.visit(&parent, number) {
                Ok(folder) if folder.folders() == 0 => self.complete(walker, folder)?,
                Ok(folder) => self.add(folder),
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
    fn next(&self) -> Option<(Arc<Folder>, usize)> {
        let mut state = self.lock();
        loop {
            if state.over {
                return None;
            }
            if let Some(cursor) = state.cursors.last_mut() {
                let number = cursor.next;
                cursor.next += 1;
                if cursor.next < cursor.folder.folders() {
                    return Some((Arc::clone(&cursor.folder), number));
                }
                return state.cursors.pop().map(|cursor| (cursor.folder, number));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn add(&self, folder: Arc<Folder>) {
        self.lock().cursors.push(Cursor { folder, next: 0 });
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
