//! Folders that stay reachable however deep they lie, without a path and without an open descriptor for each.
//!
//! A handle holds its folder open while descriptors are plenty. Beyond that it is opened again through its parents,
//! one name at a time and never over a symlink, and must then be the same folder as before: a tree of 2,048 levels
//! works with any limit of open files, and nobody can lead a walk astray by moving folders under it.

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{Mode, OFlags},
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use std::{
    ffi::{CStr, CString},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// How a folder is opened: never over a symlink.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Descriptors that handles may hold together.
#[derive(Debug)]
pub(crate) struct Budget {
    free: AtomicUsize,
}

impl Budget {
    /// Asks the system for more descriptors, as far as it lets a program do so by itself.
    pub(crate) fn of_this_process() -> Arc<Self> {
        let limit = getrlimit(Resource::Nofile);
        let wanted = limit.maximum.unwrap_or(u64::MAX).min(HANDLES_MAX + OTHERS);
        if limit.current.is_some_and(|current| current < wanted) {
            // Refused: then fewer folders stay open, and deep trees are only slower.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
        }
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(HANDLES_MAX);
        Self::new(usize::try_from(limit.saturating_sub(OTHERS).min(HANDLES_MAX)).unwrap_or(0))
    }

    pub(crate) fn new(free: usize) -> Arc<Self> {
        Arc::new(Self { free: AtomicUsize::new(free) })
    }

    fn take(&self) -> bool {
        self.free.fetch_update(Relaxed, Relaxed, |free| free.checked_sub(1)).is_ok()
    }
}

/// More than any tree that people have needs at once.
const HANDLES_MAX: u64 = 3000;
/// Left for files being read or written, connections and the program itself.
const OTHERS: u64 = 512;

/// A folder that can be reached again.
#[derive(Debug)]
pub(crate) struct Handle {
    parent: Option<Arc<Handle>>,
    name: CString,
    identity: (u64, u64),
    open: Option<OwnedFd>,
    budget: Arc<Budget>,
}

/// An open folder: the handle's own descriptor, or one made for this use.
pub(crate) enum Opened<'a> {
    Kept(BorrowedFd<'a>),
    Again(OwnedFd),
}

impl AsFd for Opened<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Kept(fd) => *fd,
            Self::Again(fd) => fd.as_fd(),
        }
    }
}

impl Handle {
    /// The folder that everything else lies in; it stays open.
    pub(crate) fn root(fd: OwnedFd, budget: Arc<Budget>) -> rustix::io::Result<Arc<Self>> {
        let identity = identity(&fd)?;
        Ok(Arc::new(Self { parent: None, name: CString::default(), identity, open: Some(fd), budget }))
    }

    /// Keeps hold of `fd`, which was opened as `name` in `parent`. Gives the descriptor back if there is no room to
    /// keep it open, so that the caller can still finish what it is doing.
    pub(crate) fn child(
        parent: &Arc<Self>,
        name: &CStr,
        fd: OwnedFd,
        identity: (u64, u64),
    ) -> (Arc<Self>, Option<OwnedFd>) {
        let budget = Arc::clone(&parent.budget);
        let (open, back) = if budget.take() { (Some(fd), None) } else { (None, Some(fd)) };
        let handle = Self { parent: Some(Arc::clone(parent)), name: name.to_owned(), identity, open, budget };
        (Arc::new(handle), back)
    }

    /// The folder, opened again if need be.
    pub(crate) fn open(&self) -> rustix::io::Result<Opened<'_>> {
        if let Some(fd) = &self.open {
            return Ok(Opened::Kept(fd.as_fd()));
        }
        let mut way = vec![self];
        let mut nearest = self;
        while nearest.open.is_none() {
            // The root is always open, so there is a parent.
            nearest = nearest.parent.as_deref().ok_or(Errno::NOENT)?;
            way.push(nearest);
        }
        way.pop();
        let mut at: Option<OwnedFd> = None;
        for step in way.into_iter().rev() {
            let above =
                at.as_ref().map_or_else(|| nearest.open.as_ref().map(AsFd::as_fd), |fd| Some(fd.as_fd()));
            at = Some(open_folder(above.ok_or(Errno::NOENT)?, &step.name)?);
        }
        let fd = at.ok_or(Errno::NOENT)?;
        // Somebody moved another folder here meanwhile: that is not the one we know.
        if identity(&fd)? == self.identity { Ok(Opened::Again(fd)) } else { Err(Errno::STALE) }
    }

    /// The filesystem on which it lies.
    pub(crate) fn device(&self) -> u64 {
        self.identity.0
    }

    /// Names from the root to here, joined by slashes; empty for the root.
    pub(crate) fn path(&self) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = self;
        while let Some(parent) = &at.parent {
            names.push(at.name.to_bytes());
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
        // Taken apart level by level: 2,048 drops inside one another would be a deep stack.
        let mut above = self.parent.take();
        while let Some(handle) = above.and_then(Arc::into_inner) {
            let mut handle = handle;
            above = handle.parent.take();
        }
    }
}

/// Opens the folder `name` in `parent`, never over a symlink.
pub(crate) fn open_folder(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(parent, name, FOLDER, Mode::empty())
}

/// Device and inode of an open folder.
#[allow(clippy::useless_conversion, reason = "the field types differ between architectures")]
pub(crate) fn identity(fd: impl AsFd) -> rustix::io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_dev.into(), stat.st_ino.into()))
}
