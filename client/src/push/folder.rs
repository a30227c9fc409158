//! One folder of a push, between the time its names are known and the time its node is made.
//!
//! Folders below come first so that entries can be made in the order of their names and leave memory again at once: a
//! folder costs its list of names, however many files are in it.
//! Not here: in which order folders are taken (`frontier`), and how a folder is listed and its node made (`walker`).

use crate::{
    handle::Handle,
    platform::{KindHint, NameList},
    push::{
        batch::Stopped,
        cache::{Folded, FolderKey},
        entry::Observed,
        exclude::Ignores,
    },
};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::AcqRel},
};

/// A folder whose names are known and whose node is not made yet.
pub(crate) struct WalkedFolder {
    pub(crate) place: FolderPlace,
    pub(crate) listing: NameList,
    pub(crate) ignores: Option<Arc<Ignores>>,
    /// Positions in the listing that are folders.
    folders: Vec<u32>,
    results: Mutex<Vec<Option<Below>>>,
    waiting: AtomicUsize,
}

/// Where a folder lies in the walk, and its status before it was listed.
pub(crate) struct FolderPlace {
    pub(crate) handle: Arc<Handle>,
    /// The folder above, and the number of this folder among its folders.
    pub(crate) parent: Option<(Arc<WalkedFolder>, usize)>,
    pub(crate) key: FolderKey,
    pub(crate) depth: usize,
    pub(crate) seen: Observed,
}

/// What a folder came to, as the folder above needs it.
#[derive(Clone, Copy)]
pub(crate) struct Below {
    pub(crate) seen: Observed,
    pub(crate) folded: Folded,
}

/// Why a folder is not made.
pub(crate) enum NotMade {
    Stopped,
    /// It is gone, or was named in the list of what was skipped.
    LeftOut,
}

impl From<Stopped> for NotMade {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl WalkedFolder {
    /// A folder with the names that the push wants of it.
    pub(crate) fn new(place: FolderPlace, listing: NameList, ignores: Option<Arc<Ignores>>) -> Arc<Self> {
        let is_folder = |position: &u32| listing.hint(*position as usize) == KindHint::Folder;
        let positions = 0..u32::try_from(listing.len()).unwrap_or(u32::MAX);
        let folders: Vec<u32> = positions.filter(is_folder).collect();
        let results = Mutex::new(vec![None; folders.len()]);
        let waiting = AtomicUsize::new(folders.len());
        Arc::new(Self { place, listing, ignores, folders, results, waiting })
    }

    /// Folders directly in this one.
    pub(crate) fn folders(&self) -> usize {
        self.folders.len()
    }

    /// Names in it, of folders too.
    pub(crate) fn names(&self) -> usize {
        self.listing.len()
    }

    /// Position in the listing of the folder number `number`.
    pub(crate) fn position(&self, number: usize) -> usize {
        self.folders[number] as usize
    }

    /// Takes what the folder number `number` came to; true when it was the last one to wait for.
    pub(crate) fn report(&self, number: usize, below: Option<Below>) -> bool {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)[number] = below;
        self.waiting.fetch_sub(1, AcqRel) == 1
    }

    /// What the folder number `number` came to; nothing when it was left out.
    pub(crate) fn result(&self, number: usize) -> Option<Below> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)[number]
    }
}
