//! Folders whose files several walkers read: a camera's folder of ten thousand pictures, or a folder of mails.
//!
//! A walker makes the folder's node, entry by entry in the order of names. Walkers without a folder of their own take
//! shares further on and leave the results here. Only folders without a record are shared: where the last push is
//! known, a walker is faster alone along the record. Not here: waiting and waking (`frontier`), reading a file
//! (`entry`).

use crate::push::{entry::NewEntry, folder::WalkedFolder};
use std::{collections::HashMap, ops::Range, sync::Arc};

/// Shares of a folder that are taken ahead of the node. Without this limit the entries of a million files would wait
/// in memory while a walker reads a film.
const AHEAD_MAX: usize = 4;
/// Files in a share at most.
const SHARE_MAX: usize = 64;
/// Shares of a folder with enough files: even a few large files are worth sharing.
const SHARES: usize = 16;

/// A file that was looked at: position in the listing, size, and the entry if any.
pub(crate) struct ReadEntry {
    pub(crate) position: usize,
    pub(crate) size: u64,
    pub(crate) fresh: Option<NewEntry>,
}

/// A share, as the walker that makes the node finds the share.
pub(crate) enum ShareTurn {
    /// No walker has read the share.
    Own,
    /// Another walker did.
    Ready(Vec<ReadEntry>),
    /// Another walker is reading the share.
    Wait,
}

/// Folders that are shared at the moment.
#[derive(Default)]
pub(crate) struct Shares(Vec<SharedFolder>);

struct SharedFolder {
    folder: Arc<WalkedFolder>,
    /// The share that the node has reached.
    at: usize,
    /// The first share that no walker has taken.
    next: usize,
    /// Finished shares; nothing where the walker could not read the share.
    ready: HashMap<usize, Option<Vec<ReadEntry>>>,
}

impl Shares {
    pub(crate) fn add(&mut self, folder: &Arc<WalkedFolder>) {
        self.0.push(SharedFolder { folder: Arc::clone(folder), at: 0, next: 0, ready: HashMap::new() });
    }

    pub(crate) fn remove(&mut self, folder: &Arc<WalkedFolder>) {
        self.0.retain(|shared| !Arc::ptr_eq(&shared.folder, folder));
    }

    /// The share number `number`, for the walker that makes the node.
    pub(crate) fn next(&mut self, folder: &Arc<WalkedFolder>, number: usize) -> ShareTurn {
        let Some(shared) = self.of(folder) else { return ShareTurn::Own };
        shared.at = number;
        match shared.ready.remove(&number) {
            Some(Some(read)) => ShareTurn::Ready(read),
            Some(None) => ShareTurn::Own,
            None if shared.next > number => ShareTurn::Wait,
            None => {
                shared.next = number + 1;
                ShareTurn::Own
            }
        }
    }

    /// A share for an idle walker.
    pub(crate) fn take(&mut self) -> Option<(Arc<WalkedFolder>, usize)> {
        let is_open = |shared: &&mut SharedFolder| {
            shared.next < count(shared.folder.names()) && shared.next <= shared.at + AHEAD_MAX
        };
        let shared = self.0.iter_mut().find(is_open)?;
        shared.next += 1;
        Some((Arc::clone(&shared.folder), shared.next - 1))
    }

    /// Takes the result of a share; nothing where another walker has to read the share.
    pub(crate) fn put(&mut self, folder: &Arc<WalkedFolder>, number: usize, read: Option<Vec<ReadEntry>>) {
        // The walker that makes the node may have given up meanwhile.
        if let Some(shared) = self.of(folder) {
            shared.ready.insert(number, read);
        }
    }

    fn of(&mut self, folder: &Arc<WalkedFolder>) -> Option<&mut SharedFolder> {
        self.0.iter_mut().find(|shared| Arc::ptr_eq(&shared.folder, folder))
    }
}

/// Into how many shares a folder of so many names falls.
pub(crate) fn count(names: usize) -> usize {
    names.div_ceil(share_len(names))
}

/// Positions of the share number `number`.
pub(crate) fn positions(number: usize, names: usize) -> Range<usize> {
    let len = share_len(names);
    (number * len).min(names)..((number + 1) * len).min(names)
}

fn share_len(names: usize) -> usize {
    (names / SHARES).clamp(1, SHARE_MAX)
}
