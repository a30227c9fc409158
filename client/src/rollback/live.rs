//! A living folder beside the same folder of a snapshot.
//!
//! The names in the folder are sifted by the rules of a push: what no push takes is none of a roll-back's business. A
//! folder of another filesystem, of our own cache or with the key of this computer is not even entered. Not here: what
//! becomes of the names (`walk`).

use crate::{
    handle::Handle,
    platform::{KindHint, NameList, SystemError},
    push::{Excludes, Ignores, SiftedFolder},
    restore::EntryFate,
};
use larder_format::tree::read::Found;
use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

/// A folder of the snapshot, and the living folder of the same path.
pub(crate) struct LiveFolder {
    /// Path below the source's folder.
    pub(crate) path: Vec<u8>,
    /// Nothing where there is no such folder.
    pub(crate) live: Option<LiveListing>,
    /// The folder in the snapshot.
    pub(crate) found: Found,
    pub(crate) fate: EntryFate,
    /// Whether every name in the snapshot's folder could be told.
    pub(crate) is_told: Cell<bool>,
    /// For each wanted living name, whether it stands in the snapshot.
    kept: RefCell<Vec<bool>>,
}

/// An open living folder with its names.
pub(crate) struct LiveListing {
    pub(crate) handle: Arc<Handle>,
    /// Every name.
    all: NameList,
    /// The names that a push takes.
    pub(crate) wanted: NameList,
    pub(crate) ignores: Option<Arc<Ignores>>,
}

/// What stands in a living folder under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveName {
    Nothing,
    /// Something that no push takes.
    LeftOut,
    /// A folder or another entry, at this position of the wanted names.
    Wanted(usize, KindHint),
}

impl LiveFolder {
    pub(crate) fn new(path: Vec<u8>, live: Option<LiveListing>, found: Found, fate: EntryFate) -> Self {
        let names = live.as_ref().map_or(0, |live| live.wanted.len());
        let (is_told, kept) = (Cell::new(true), RefCell::new(vec![false; names]));
        Self { path, live, found, fate, is_told, kept }
    }

    pub(crate) fn standing(&self, name: &[u8]) -> LiveName {
        let Some(live) = &self.live else { return LiveName::Nothing };
        match live.wanted.position(name) {
            Some(position) => LiveName::Wanted(position, live.wanted.hint(position)),
            None if live.all.contains(name) => LiveName::LeftOut,
            None => LiveName::Nothing,
        }
    }

    /// The wanted name at `position` stands in the snapshot as the same kind of thing.
    pub(crate) fn keep(&self, position: usize) {
        self.kept.borrow_mut()[position] = true;
    }

    /// Positions of the wanted names that do not stand in the snapshot.
    pub(crate) fn extras(&self) -> Vec<usize> {
        let kept = self.kept.borrow();
        (0..kept.len()).filter(|position| !kept[*position]).collect()
    }
}

/// Where a living folder is opened.
#[derive(Clone, Copy)]
pub(crate) struct LiveOpening<'a> {
    pub(crate) above: &'a Arc<Handle>,
    pub(crate) name: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) ignores: Option<&'a Arc<Ignores>>,
}

/// Opens living folders.
pub(crate) struct LiveLook<'a> {
    excludes: &'a Excludes,
    room: RefCell<Vec<u8>>,
}

impl<'a> LiveLook<'a> {
    pub(crate) fn new(excludes: &'a Excludes) -> Self {
        Self { excludes, room: RefCell::default() }
    }

    /// Opens a folder in another, never over a symlink; nothing for a folder that must be left alone.
    pub(crate) fn open(&self, at: LiveOpening<'_>) -> Result<Option<LiveListing>, SystemError> {
        let folder = at.above.open()?.as_ref().open_folder(at.name)?;
        let status = folder.as_ref().status()?;
        if status.device != at.above.device() {
            return Ok(None);
        }
        let (handle, _) = Handle::child(at.above, at.name, folder, status.identity());
        self.list(handle, at.path, at.ignores)
    }

    /// Lists an open folder; nothing for a folder that must be left alone.
    pub(crate) fn list(
        &self,
        handle: Arc<Handle>,
        path: &[u8],
        above: Option<&Arc<Ignores>>,
    ) -> Result<Option<LiveListing>, SystemError> {
        let (all, wanted, ignores) = {
            // The system goes on listing an open folder where the listing before ended.
            let opened = handle.open()?.as_ref().open_folder(b".")?;
            let folder = opened.as_ref();
            let at = SiftedFolder { folder, path: &|| path.to_owned() };
            if self.excludes.leaves_empty(&at, folder.status()?.identity(), false) || folder.is_of_kernel() {
                return Ok(None);
            }
            let mut all = folder.list(&mut self.room.borrow_mut())?;
            folder.settle_hints(&mut all);
            let mut wanted = all.clone();
            let ignores = self.excludes.apply(&mut wanted, &at, above);
            (all, wanted, ignores)
        };
        Ok(Some(LiveListing { handle, all, wanted, ignores }))
    }
}
