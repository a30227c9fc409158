//! A folder of this computer as a push would list it.
//!
//! Not here: the entries of a folder (`entry`), the rules themselves (`push::exclude`).

use crate::{
    handle::{Budget, Handle, OpenedFolder},
    platform::{NameList, OpenFolder, SystemError},
    push::{Excludes, Ignores, SiftedFolder},
};
use larder_format::tree::DEPTH_MAX;
use std::{path::Path, sync::Arc};

/// A listed folder.
pub(super) struct LocalFolder {
    pub(super) handle: Arc<Handle>,
    /// Sorted, without what a push leaves out.
    pub(super) names: NameList,
    ignores: Option<Arc<Ignores>>,
    /// Folders above.
    depth: usize,
    /// A push leaves the folder without content.
    is_left_empty: bool,
}

/// What a folder takes from the folder above.
struct FolderAbove<'a> {
    ignores: Option<&'a Arc<Ignores>>,
    /// Folders above.
    depth: usize,
    /// The filesystem.
    device: u64,
}

impl LocalFolder {
    /// The folder that is compared.
    pub(super) fn top(folder: &Path, excludes: &Excludes) -> Result<Self, SystemError> {
        let handle = Handle::root(OpenFolder::open(folder)?, Budget::of_this_process())?;
        let above = FolderAbove { ignores: None, depth: 0, device: handle.device() };
        Self::listed(handle, &above, excludes)
    }

    /// The folder `name` in this one.
    pub(super) fn enter(&self, name: &[u8], excludes: &Excludes) -> Result<Self, SystemError> {
        if self.depth >= DEPTH_MAX {
            return Err(SystemError::TOO_DEEP);
        }
        let opened = self.handle.open()?.as_ref().open_folder(name)?;
        let identity = opened.as_ref().status()?.identity();
        let (handle, spare) = Handle::child(&self.handle, name, opened, identity);
        drop(spare);
        let (ignores, device) = (self.ignores.as_ref(), self.handle.device());
        Self::listed(handle, &FolderAbove { ignores, depth: self.depth + 1, device }, excludes)
    }

    fn listed(
        handle: Arc<Handle>,
        above: &FolderAbove<'_>,
        excludes: &Excludes,
    ) -> Result<Self, SystemError> {
        let opened = handle.open()?;
        let folder = opened.as_ref();
        let at = SiftedFolder { folder, path: &|| handle.path() };
        let status = folder.status()?;
        let is_mount = status.device != above.device;
        let is_left_empty = excludes.leaves_empty(&at, status.identity(), is_mount);
        let mut names = if is_left_empty { NameList::default() } else { folder.list(&mut Vec::new())? };
        folder.settle_hints(&mut names);
        let ignores = excludes.apply(&mut names, &at, above.ignores);
        drop(opened);
        Ok(Self { handle, names, ignores, depth: above.depth, is_left_empty })
    }

    /// The folder, open.
    pub(super) fn open(&self) -> Result<OpenedFolder<'_>, SystemError> {
        self.handle.open()
    }

    /// Whether a name that is not listed is there all the same, or nobody can tell.
    pub(super) fn leaves_out(&self, name: &[u8]) -> bool {
        self.is_left_empty || self.open().is_ok_and(|folder| folder.as_ref().holds(name))
    }
}
