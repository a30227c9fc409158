//! Folders on the way down a tree, and their unread siblings, within a number of bytes.
//!
//! A path is a chain of names, each held once by the folder on the way: sixty-four long names above a million folders
//! would be 64 GB of paths. Sub-folders wait only as far as there is room; a later read of the parent finds the rest,
//! beginning behind a name. Not here: the choice of folders to read (`compare`).

use crate::{ChunkRef, Hash};
use std::mem::size_of;
use std::vec::IntoIter;

/// Bytes for the waiting folders together.
pub(super) const PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes always granted to the waiting sub-folders of a folder: with less, a large folder deep down would be read anew
/// for every few sub-folders. The deepest tree then takes 8 MiB.
const OF_ONE_FOLDER_BYTES_MIN: usize = 4 * 1024;
/// Overhead of the allocator for each name.
const ALLOCATION_BYTES: usize = 16;

/// The folder of a path in two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) before: Option<ChunkRef>,
    pub(super) after: Option<ChunkRef>,
}

/// A waiting folder.
struct WaitingFolder {
    name: Box<[u8]>,
    pair: Pair,
}

impl WaitingFolder {
    fn bytes(&self) -> usize {
        size_of::<Self>() + ALLOCATION_BYTES + self.name.len()
    }
}

/// A folder on the way down.
pub(super) struct Open {
    pub(super) pair: Pair,
    name: Box<[u8]>,
    /// Stands for the whole path.
    path_hash: Hash,
    /// Bytes of the path, with `/` between names.
    path_bytes: usize,
    waiting: IntoIter<WaitingFolder>,
    /// Bytes of the waiting sub-folders when found. The buffer is freed as a whole, so the sum counts until then.
    waiting_bytes: usize,
    unread: RestOfFolder,
}

/// The unread entries of a folder.
enum RestOfFolder {
    All,
    /// The entries behind this name.
    Behind(Box<[u8]>),
    Nothing,
}

impl Open {
    fn bytes(&self) -> usize {
        let behind =
            if let RestOfFolder::Behind(name) = &self.unread { name.len() + ALLOCATION_BYTES } else { 0 };
        size_of::<Self>() + ALLOCATION_BYTES + self.name.len() + behind
    }
}

/// The next step.
pub(super) enum PendingStep {
    /// The innermost folder is to be read, from behind this name on.
    Read(Option<Box<[u8]>>),
    /// Another folder is the innermost now.
    Entered,
    /// The walk is complete.
    Over,
}

/// The folders from the root down to the folder being read.
pub(super) struct PendingFolders {
    open: Vec<Open>,
    /// Sub-folders found since the innermost folder was entered or resumed.
    found: Vec<WaitingFolder>,
    found_bytes: usize,
    bytes: usize,
    bytes_max: usize,
    bytes_peak: usize,
}

impl PendingFolders {
    pub(super) fn new(root: Pair, bytes_max: usize) -> Self {
        let mut pending =
            Self { open: Vec::new(), found: Vec::new(), found_bytes: 0, bytes: 0, bytes_max, bytes_peak: 0 };
        pending.open(WaitingFolder { name: Box::default(), pair: root });
        pending
    }

    fn open(&mut self, WaitingFolder { name, pair }: WaitingFolder) {
        let (above, above_bytes) =
            self.open.last().map_or((Hash::ZERO, 0), |above| (above.path_hash, above.path_bytes));
        let path_bytes = joined_len(above_bytes, &name);
        let path_hash = path_hash(above, &name);
        let (waiting, unread) = (Vec::new().into_iter(), RestOfFolder::All);
        self.open.push(Open { pair, name, path_hash, path_bytes, waiting, waiting_bytes: 0, unread });
        self.take(self.open.last().map_or(0, Open::bytes));
    }

    fn take(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.bytes_peak = self.bytes_peak.max(self.bytes);
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Peak of the bytes held.
    pub(super) fn bytes_peak(&self) -> usize {
        self.bytes_peak
    }

    /// The folder being read.
    pub(super) fn innermost(&self) -> Option<&Open> {
        self.open.last()
    }

    /// Folders above the entries of the innermost folder; 0 in the root.
    pub(super) fn depth(&self) -> usize {
        self.open.len().saturating_sub(1)
    }

    /// The next step. A waiting folder goes before the rest of the parent folder.
    pub(super) fn next(&mut self) -> PendingStep {
        while let Some(open) = self.open.last_mut() {
            if let Some(next) = open.waiting.next() {
                self.open(next);
                return PendingStep::Entered;
            }
            open.waiting = Vec::new().into_iter();
            self.bytes -= std::mem::take(&mut open.waiting_bytes);
            let bytes = open.bytes();
            match std::mem::replace(&mut open.unread, RestOfFolder::Nothing) {
                RestOfFolder::All => return PendingStep::Read(None),
                RestOfFolder::Behind(name) => {
                    self.bytes -= bytes - open.bytes();
                    return PendingStep::Read(Some(name));
                }
                RestOfFolder::Nothing => {
                    self.bytes -= bytes;
                    self.open.pop();
                }
            }
        }
        PendingStep::Over
    }

    /// Lets another sub-folder of the innermost folder wait. Returns whether there is room for more.
    pub(super) fn push(&mut self, name: &[u8], pair: Pair) -> bool {
        // Half of the rest, so the folders below find room too.
        let room = self.bytes_max.saturating_sub(self.bytes - self.found_bytes) / 2;
        let waiting = WaitingFolder { name: name.into(), pair };
        let bytes = waiting.bytes();
        self.take(bytes);
        self.found_bytes += bytes;
        self.found.push(waiting);
        self.found_bytes < room.max(OF_ONE_FOLDER_BYTES_MIN.min(self.bytes_max))
    }

    /// Ends the read of the innermost folder: at its end, or, for want of room, at this name.
    pub(super) fn read_up_to(&mut self, name: Option<&[u8]>) {
        let (found, found_bytes) = (std::mem::take(&mut self.found), std::mem::take(&mut self.found_bytes));
        let Some(open) = self.open.last_mut() else { return };
        let bytes = open.bytes();
        (open.waiting, open.waiting_bytes) = (found.into_iter(), found_bytes);
        open.unread = name.map_or(RestOfFolder::Nothing, |name| RestOfFolder::Behind(name.into()));
        let more = open.bytes() - bytes;
        self.take(more);
    }

    /// Bytes of the path of an entry in the innermost folder.
    pub(super) fn path_bytes(&self, name: &[u8]) -> usize {
        joined_len(self.innermost().map_or(0, |open| open.path_bytes), name)
    }

    /// The path of an entry in the innermost folder; the root has no name.
    pub(super) fn path(&self, name: &[u8]) -> Vec<u8> {
        let mut path = Vec::with_capacity(self.path_bytes(name));
        let names = self.open.iter().map(|open| &*open.name).chain([name]);
        for name in names.filter(|name| !name.is_empty()) {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        path
    }

    /// Stands for the same path.
    pub(super) fn path_hash(&self, name: &[u8]) -> Hash {
        path_hash(self.innermost().map_or(Hash::ZERO, |open| open.path_hash), name)
    }
}

fn joined_len(above: usize, name: &[u8]) -> usize {
    above + name.len() + usize::from(above > 0 && !name.is_empty())
}

fn path_hash(above: Hash, name: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    Hash(*hasher.update(&above.0).update(name).finalize().as_bytes())
}
