//! Folders that stay reachable at any depth, without a path and without an open descriptor for each.
//!
//! A handle holds its folder open while descriptors are plenty. Otherwise the folder is opened again through its
//! parents, name by name and never over a symlink, and must be the same folder as before. So a tree of 2,048 levels
//! works with any limit of open files, and moving folders cannot lead a walk astray.

use crate::platform::{FolderRef, OpenFolder, SystemError, open_files_max};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Descriptors that handles may hold together.
#[derive(Debug)]
pub(crate) struct Budget {
    free: AtomicUsize,
}

impl Budget {
    /// Asks the system for as many descriptors as a program may ask for.
    pub(crate) fn of_this_process() -> Arc<Self> {
        let limit = open_files_max(HANDLES_MAX + OTHERS);
        Self::new(usize::try_from(limit.saturating_sub(OTHERS).min(HANDLES_MAX)).unwrap_or(0))
    }

    pub(crate) fn new(free: usize) -> Arc<Self> {
        Arc::new(Self { free: AtomicUsize::new(free) })
    }

    fn take(&self) -> bool {
        self.free.fetch_update(Relaxed, Relaxed, |free| free.checked_sub(1)).is_ok()
    }
}

/// More than any real tree needs at once.
const HANDLES_MAX: u64 = 3000;
/// Left for files being read or written, connections and the program itself.
const OTHERS: u64 = 512;

/// A folder that can be opened again.
#[derive(Debug)]
pub(crate) struct Handle {
    parent: Option<Arc<Handle>>,
    name: Vec<u8>,
    identity: (u64, u64),
    open: Option<OpenFolder>,
    budget: Arc<Budget>,
}

/// An open folder: the handle's own descriptor, or a descriptor for this use.
pub(crate) enum OpenedFolder<'a> {
    Kept(FolderRef<'a>),
    Again(OpenFolder),
}

impl OpenedFolder<'_> {
    pub(crate) fn as_ref(&self) -> FolderRef<'_> {
        match self {
            Self::Kept(folder) => *folder,
            Self::Again(folder) => folder.as_ref(),
        }
    }
}

impl Handle {
    /// The top folder, which stays open.
    pub(crate) fn root(folder: OpenFolder, budget: Arc<Budget>) -> Result<Arc<Self>, SystemError> {
        let identity = folder.as_ref().status()?.identity();
        Ok(Arc::new(Self { parent: None, name: Vec::new(), identity, open: Some(folder), budget }))
    }

    /// Keeps hold of `folder`, opened as `name` in `parent`. Gives the folder back where no descriptor is left to
    /// keep, so that the caller can still finish the work at hand.
    pub(crate) fn child(
        parent: &Arc<Self>,
        name: &[u8],
        folder: OpenFolder,
        identity: (u64, u64),
    ) -> (Arc<Self>, Option<OpenFolder>) {
        let budget = Arc::clone(&parent.budget);
        let (open, back) = if budget.take() { (Some(folder), None) } else { (None, Some(folder)) };
        let handle = Self { parent: Some(Arc::clone(parent)), name: name.to_owned(), identity, open, budget };
        (Arc::new(handle), back)
    }

    /// The folder, opened again if need be.
    pub(crate) fn open(&self) -> Result<OpenedFolder<'_>, SystemError> {
        if let Some(folder) = &self.open {
            return Ok(OpenedFolder::Kept(folder.as_ref()));
        }
        let mut way = vec![self];
        let mut nearest = self;
        while nearest.open.is_none() {
            // The root is always open, so there is a parent.
            nearest = nearest.parent.as_deref().ok_or(SystemError::GONE)?;
            way.push(nearest);
        }
        way.pop();
        let mut at: Option<OpenFolder> = None;
        for step in way.into_iter().rev() {
            let above = at.as_ref().or(nearest.open.as_ref()).ok_or(SystemError::GONE)?;
            at = Some(above.as_ref().open_folder(&step.name)?);
        }
        let folder = at.ok_or(SystemError::GONE)?;
        // Another folder was moved to this place meanwhile.
        let is_same = folder.as_ref().status()?.identity() == self.identity;
        if is_same { Ok(OpenedFolder::Again(folder)) } else { Err(SystemError::EXCHANGED) }
    }

    /// The filesystem of the folder.
    pub(crate) fn device(&self) -> u64 {
        self.identity.0
    }

    /// Names from the root to here, joined by slashes; empty for the root.
    pub(crate) fn path(&self) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = self;
        while let Some(parent) = &at.parent {
            names.push(&at.name[..]);
            at = parent;
        }
        names.reverse();
        names.join(&b'/')
    }

    /// Path of `name` in this folder, for a message.
    pub(crate) fn path_of(&self, name: &[u8]) -> String {
        let mut path = self.path();
        if !path.is_empty() && !name.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        if path.is_empty() { ".".to_owned() } else { larder_format::wire::escape_name(&path) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.open.is_some() {
            self.budget.free.fetch_add(1, Relaxed);
        }
        // Taken apart level by level: 2,048 nested drops would need a deep stack.
        let mut above = self.parent.take();
        while let Some(handle) = above.and_then(Arc::into_inner) {
            let mut handle = handle;
            above = handle.parent.take();
        }
    }
}
