//! The frontier of the walk: folders that are under way, for all walkers, in memory that depends on depth alone.
//!
//! There is no recursion. Each walker has a stack that holds, for each folder under way, a cursor to its next folder,
//! and takes the top one; who has none left takes a folder from the bottom of another's stack. So each walker stays in
//! one part of the tree, and files that lie together travel together. Who finds no folder at all reads files of one that
//! another walker is at.
//! Not here: what is done with a folder (`walker`), and in which order a walker goes on (`walk`).

use crate::push::{
    batch::Stopped,
    folder::{Below, WalkedFolder},
    shares::{ReadEntry, ShareTurn, Shares},
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Folders that are under way, for all walkers.
pub(crate) struct Frontier {
    state: Mutex<FrontierState>,
    changed: Condvar,
}

#[derive(Default)]
struct FrontierState {
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
    folder: Arc<WalkedFolder>,
    next: usize,
}

impl FrontierState {
    /// The next folder from the walker's own stack, or else the one of another that lies highest in the tree.
    fn take(&mut self, own: usize) -> Option<(Arc<WalkedFolder>, usize)> {
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
pub(crate) enum Task {
    /// Look into the folder of this number in a folder.
    Visit(Arc<WalkedFolder>, usize),
    /// ReadEntry the share of this number of a folder's files.
    Share(Arc<WalkedFolder>, usize),
}

/// A folder whose files other walkers may read, until this is dropped.
pub(crate) struct Sharing<'f> {
    frontier: &'f Frontier,
    folder: Arc<WalkedFolder>,
}

impl Sharing<'_> {
    /// What came of a share, where somebody else took it; waits until they are done. Shares must be asked for in order.
    pub(crate) fn next(&self, number: usize) -> Result<Option<Vec<ReadEntry>>, Stopped> {
        let mut state = self.frontier.lock();
        // There is room for another share ahead.
        self.frontier.wake(&state);
        loop {
            if state.over {
                return Err(Stopped);
            }
            match state.shares.next(&self.folder, number) {
                ShareTurn::Own => return Ok(None),
                ShareTurn::Ready(read) => return Ok(Some(read)),
                ShareTurn::Wait => state = self.frontier.wait(state),
            }
        }
    }
}

impl Drop for Sharing<'_> {
    fn drop(&mut self) {
        self.frontier.lock().shares.remove(&self.folder);
    }
}

impl Frontier {
    /// A frontier that begins with `root`, whose names are known.
    pub(crate) fn new(root: Arc<WalkedFolder>) -> Self {
        let stacks = vec![vec![Cursor { folder: root, next: 0 }]];
        Self {
            state: Mutex::new(FrontierState { stacks, ..FrontierState::default() }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, FrontierState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, mut state: MutexGuard<'s, FrontierState>) -> MutexGuard<'s, FrontierState> {
        state.waiting += 1;
        let mut state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    fn wake(&self, state: &FrontierState) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Gives a walker its stack.
    pub(crate) fn join(&self) -> usize {
        let mut state = self.lock();
        let own = state.walkers;
        state.walkers += 1;
        if state.stacks.len() < state.walkers {
            state.stacks.push(Vec::new());
        }
        own
    }

    /// The next folder to look into, or else a share of one that others read; waits while there may still come some.
    pub(crate) fn next(&self, own: usize) -> Option<Task> {
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

    /// Adds a folder that has folders of its own to the walker's stack.
    pub(crate) fn add(&self, folder: Arc<WalkedFolder>, own: usize) {
        let mut state = self.lock();
        state.stacks[own].push(Cursor { folder, next: 0 });
        self.wake(&state);
    }

    /// Has walkers that have nothing else to do read files of `folder`, while this one makes its node.
    pub(crate) fn share(&self, folder: &Arc<WalkedFolder>) -> Sharing<'_> {
        let mut state = self.lock();
        state.shares.add(folder);
        self.wake(&state);
        Sharing { frontier: self, folder: Arc::clone(folder) }
    }

    /// What came of a share that a walker took with `next`.
    pub(crate) fn put_share(&self, folder: &Arc<WalkedFolder>, number: usize, read: Option<Vec<ReadEntry>>) {
        let mut state = self.lock();
        state.shares.put(folder, number, read);
        self.wake(&state);
    }

    /// Ends the walk, with what the root came to or without.
    pub(crate) fn end(&self, root: Option<Below>) {
        let mut state = self.lock();
        state.over = true;
        state.root = state.root.or(root);
        state.stacks.iter_mut().for_each(Vec::clear);
        drop(state);
        self.changed.notify_all();
    }

    /// What the root came to; nothing when the walk was stopped.
    pub(crate) fn into_root(self) -> Option<Below> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).root
    }
}
