//! A folder of a push, between the listing and the making of its node.
//!
//! Folders below come first, so that entries can be made in the order of their names and leave memory at once. A
//! folder costs its list of names, however many files are in the folder. Not here: the order of folders (`frontier`),
//! listing a folder and making its node (`walker`).

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

/// A folder with a listing and without a node.
pub(crate) struct WalkedFolder {
    pub(crate) place: FolderPlace,
    pub(crate) listing: NameList,
    pub(crate) ignores: Option<Arc<Ignores>>,
    /// Positions of folders in the listing.
    folders: Vec<u32>,
    results: Mutex<Vec<Option<Below>>>,
    waiting: AtomicUsize,
}

/// The place of a folder in the walk, and its status before the listing.
pub(crate) struct FolderPlace {
    pub(crate) handle: Arc<Handle>,
    /// The folder above, and the number of this folder among its folders.
    pub(crate) parent: Option<(Arc<WalkedFolder>, usize)>,
    pub(crate) key: FolderKey,
    pub(crate) depth: usize,
    pub(crate) seen: Observed,
}

/// Node and status of a finished folder, for the folder above.
#[derive(Clone, Copy)]
pub(crate) struct Below {
    pub(crate) seen: Observed,
    pub(crate) folded: Folded,
}

/// Why a folder is not made.
pub(crate) enum NotMade {
    Stopped,
    /// The folder is gone, or was named in the list of skipped files.
    LeftOut,
}

impl From<Stopped> for NotMade {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl WalkedFolder {
    /// A folder with the wanted names of its listing.
    pub(crate) fn new(place: FolderPlace, listing: NameList, ignores: Option<Arc<Ignores>>) -> Arc<Self> {
        let is_folder = |position: &u32| listing.hint(*position as usize) == KindHint::Folder;
        let positions = 0..u32::try_from(listing.len()).unwrap_or(u32::MAX);
        let folders: Vec<u32> = positions.filter(is_folder).collect();
        let results = Mutex::new(vec![None; folders.len()]);
        let waiting = AtomicUsize::new(folders.len());
        Arc::new(Self { place, listing, ignores, folders, results, waiting })
    }

    /// Number of folders directly in this folder.
    pub(crate) fn folders(&self) -> usize {
        self.folders.len()
    }

    /// Number of names in the folder, folders included.
    pub(crate) fn names(&self) -> usize {
        self.listing.len()
    }

    /// Position in the listing of the folder number `number`.
    pub(crate) fn position(&self, number: usize) -> usize {
        self.folders[number] as usize
    }

    /// Takes the result of the folder number `number`; true after the last result.
    pub(crate) fn report(&self, number: usize, below: Option<Below>) -> bool {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)[number] = below;
        self.waiting.fetch_sub(1, AcqRel) == 1
    }

    /// The result of the folder number `number`; nothing for a folder that was left out.
    pub(crate) fn result(&self, number: usize) -> Option<Below> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)[number]
    }
}
