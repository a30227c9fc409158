//! The frontier of the walk: the folders under way, for every walker, in memory that depends on depth alone.
//!
//! The walk has no recursion. Each walker has a stack of cursors, a cursor for each folder under way, and takes the
//! next folder of the top cursor. A walker with an empty stack takes a folder from the bottom of another stack. So
//! each walker stays in a part of the tree, and neighbouring files travel together. A walker without any folder reads
//! files of a folder that another walker is at. Not here: listing folders and making nodes (`walker`), and the steps
//! of a walker (`walk`).

use crate::push::{
    batch::Stopped,
    folder::{Below, WalkedFolder},
    shares::{ReadEntry, ShareTurn, Shares},
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Folders under way, for every walker.
pub(crate) struct Frontier {
    state: Mutex<FrontierState>,
    changed: Condvar,
}

#[derive(Default)]
struct FrontierState {
    /// A stack for each walker.
    stacks: Vec<Vec<Cursor>>,
    shares: Shares,
    walkers: usize,
    /// Walkers that wait for `changed`: waking nobody costs a call of the system too.
    waiting: usize,
    root: Option<Below>,
    over: bool,
}

/// A folder and the first of its folders that no walker has taken yet.
struct Cursor {
    folder: Arc<WalkedFolder>,
    next: usize,
}

impl FrontierState {
    /// The next folder from the walker's own stack, or else the highest folder in another stack.
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

/// The next task of a walker.
pub(crate) enum Task {
    /// Look into the folder of this number in a folder.
    Visit(Arc<WalkedFolder>, usize),
    /// ReadEntry the share of this number of a folder's files.
    Share(Arc<WalkedFolder>, usize),
}

/// A folder whose files other walkers may read, until the value is dropped.
pub(crate) struct Sharing<'f> {
    frontier: &'f Frontier,
    folder: Arc<WalkedFolder>,
}

impl Sharing<'_> {
    /// The result of a share that another walker took; waits for the result. Shares must be asked for in order.
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
    /// A frontier that begins with the listed folder `root`.
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

    /// The next folder to look into, or else a share of files; waits while further tasks may come.
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

    /// Adds a folder with folders of its own to the walker's stack.
    pub(crate) fn add(&self, folder: Arc<WalkedFolder>, own: usize) {
        let mut state = self.lock();
        state.stacks[own].push(Cursor { folder, next: 0 });
        self.wake(&state);
    }

    /// Lets idle walkers read files of `folder`, while the calling walker makes the node.
    pub(crate) fn share(&self, folder: &Arc<WalkedFolder>) -> Sharing<'_> {
        let mut state = self.lock();
        state.shares.add(folder);
        self.wake(&state);
        Sharing { frontier: self, folder: Arc::clone(folder) }
    }

    /// Takes the result of a share from `next`.
    pub(crate) fn put_share(&self, folder: &Arc<WalkedFolder>, number: usize, read: Option<Vec<ReadEntry>>) {
        let mut state = self.lock();
        state.shares.put(folder, number, read);
        self.wake(&state);
    }

    /// Ends the walk, with or without the result of the root.
    pub(crate) fn end(&self, root: Option<Below>) {
        let mut state = self.lock();
        state.over = true;
        state.root = state.root.or(root);
        state.stacks.iter_mut().for_each(Vec::clear);
        drop(state);
        self.changed.notify_all();
    }

    /// The result of the root; nothing after a stop.
    pub(crate) fn into_root(self) -> Option<Below> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).root
    }
}
