//! The walk: the steps of a walker until every folder's node is made.
//!
//! The last finished folder in a folder leads to the node of the folder above, and so up to the root. Not here: the
//! next folder (`frontier`), making a node (`walker`).

use crate::{
    ClientError,
    push::{
        batch::Stopped,
        entry::PushContext,
        folder::{NotMade, WalkedFolder},
        frontier::{Frontier, Task},
        walker::Walker,
    },
};
use std::sync::Arc;

/// Ends the walk after a panic. Without this the other walkers would wait for ever for the folders of the panicked
/// walker.
struct EndsOnPanic<'a>(&'a Frontier);

impl Drop for EndsOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end(None);
        }
    }
}

/// Takes part in the walk until the end, then hands over the rest of the batches.
pub(crate) fn take_part(frontier: &Frontier, shared: &PushContext<'_>) {
    let _ending = EndsOnPanic(frontier);
    let mut walker = Walker::new(shared);
    let done = work(frontier, &mut walker);
    let flushed = walker.flush();
    if done.is_err() || flushed.is_err() {
        frontier.end(None);
    }
}

fn work(frontier: &Frontier, walker: &mut Walker<'_>) -> Result<(), Stopped> {
    let own = frontier.join();
    while let Some(task) = frontier.next(own) {
        let PushContext { queue, guide, .. } = walker.shared();
        if queue.is_stopped() || guide.is_some_and(|guide| guide.is_stopped()) {
            return Err(Stopped);
        }
        let (parent, number) = match task {
            Task::Visit(parent, number) => (parent, number),
            Task::Share(folder, number) => {
                let read = walker.read_share(&folder, number)?;
                frontier.put_share(&folder, number, read);
                continue;
            }
        };
        if parent.folders() == 0 {
            // Only the root comes here without folders of its own.
            complete(frontier, walker, parent)?;
            continue;
        }
        match walker.visit(&parent, number) {
            Ok(folder) if folder.folders() == 0 => complete(frontier, walker, folder)?,
            Ok(folder) => frontier.add(folder, own),
            Err(NotMade::Stopped) => return Err(Stopped),
            Err(NotMade::LeftOut) => {
                if parent.report(number, None) {
                    complete(frontier, walker, parent)?;
                }
            }
        }
    }
    Ok(())
}

/// Makes the node of `folder`, and of each folder above that waited for this folder alone.
fn complete(
    frontier: &Frontier,
    walker: &mut Walker<'_>,
    mut folder: Arc<WalkedFolder>,
) -> Result<(), Stopped> {
    loop {
        let below = match walker.fold(frontier, &folder) {
            Ok(below) => Some(below),
            Err(NotMade::Stopped) => return Err(Stopped),
            Err(NotMade::LeftOut) => None,
        };
        let Some((parent, number)) = &folder.place.parent else {
            if below.is_none() {
                let path = folder.place.handle.path_of(b"");
                let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
                walker.shared().queue.stop(ClientError::local("reading the pushed folder", path, gone));
            }
            frontier.end(below);
            return Ok(());
        };
        if !parent.report(*number, below) {
            return Ok(());
        }
        folder = Arc::clone(parent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        handle::{Budget, Handle},
        platform::OpenFolder,
        push::{
            cache::FolderKey,
            entry::tests::with_context,
            shares::{self, ReadEntry, ShareTurn, Shares},
        },
    };
    use larder_format::tree::Time;
    use std::{
        collections::HashSet,
        path::Path,
        sync::{
            Condvar, Mutex,
            atomic::{AtomicU32, Ordering::Relaxed},
        },
        time::Duration,
    };

    /// Hands over the shared values, over an empty cache, and a root folder; `now` is the clock of the walkers.
    fn with_root(
        folder: &Path,
        now: &(dyn Fn() -> Time + Sync),
        test: impl FnOnce(&PushContext<'_>, Arc<WalkedFolder>),
    ) {
        let opened = OpenFolder::open(folder);
        let handle = Handle::root(opened.expect("opens"), Budget::new(9)).expect("a handle");
        with_context(now, |shared| {
            let root = Walker::new(shared).root(handle, FolderKey::root(b"/")).expect("a root");
            test(shared, root);
        });
    }

    /// Whatever a walker stumbles over, the push ends instead of standing still.
    #[test]
    fn a_walker_that_panics_ends_the_walk() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a/b", "c/d"] {
            std::fs::create_dir_all(folder.path().join(name)).expect("made");
        }
        let asked = AtomicU32::new(0);
        // Each folder asks the clock; the third question panics.
        let now = || {
            assert!(asked.fetch_add(1, Relaxed) != 2, "planted");
            Time::default()
        };
        with_root(folder.path(), &now, |shared, root| assert_eq!(panicked(shared, root), 1));
    }

    /// The same for a walker that waits for files of a folder while another walker reads the files.
    #[test]
    fn a_walker_that_panics_at_a_share_ends_the_walk() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..200 {
            std::fs::write(folder.path().join(number.to_string()), b"words").expect("written");
        }
        let (callers, came) = (Mutex::new(HashSet::from([std::thread::current().id()])), Condvar::new());
        // The walker that makes the node waits until another walker has taken a share; the clock of the other walker
        // panics.
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
    fn panicked(shared: &PushContext<'_>, root: Arc<WalkedFolder>) -> usize {
        let frontier = Frontier::new(root);
        let panicked = std::thread::scope(|scope| {
            let walkers: Vec<_> = (0..3).map(|_| scope.spawn(|| take_part(&frontier, shared))).collect();
            walkers.into_iter().filter_map(|walker| walker.join().err()).count()
        });
        assert!(frontier.into_root().is_none());
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
            assert!(matches!(shares.next(&root, 0), ShareTurn::Own), "nobody was faster");
            let taken: Vec<usize> = std::iter::from_fn(|| shares.take()).map(|(_, number)| number).collect();
            assert_eq!(taken, [1, 2, 3, 4]);
            assert!(matches!(shares.next(&root, 1), ShareTurn::Wait));
            assert_eq!(shares.take().map(|(_, number)| number), Some(5), "there is room again");
            let read = ReadEntry { position: 2, size: 5, fresh: None };
            shares.put(&root, 1, Some(vec![read]));
            shares.put(&root, 2, None);
            let ShareTurn::Ready(read) = shares.next(&root, 1) else { panic!("it was read") };
            assert_eq!(read.iter().map(|read| read.position).collect::<Vec<_>>(), [2]);
            assert!(matches!(shares.next(&root, 2), ShareTurn::Own), "whoever took it could not read it");
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
