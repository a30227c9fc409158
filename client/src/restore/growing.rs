//! Files that grow in the target, out of sight, and get their names when they are whole.
//!
//! Chunks of one file arrive in any order and on several threads; the last one to be written gives the file its
//! attributes and its name. Not here: how the name is given (`naming`), and what is there already (`already`).

use super::{
    attributes::Attributes,
    naming::{rename, words},
    place::Place,
    site::Site,
};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::AtFlags,
    io::Errno,
};
use std::{
    ffi::{CStr, CString},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A file on its way into the target. It is done when every write that was planned has happened.
pub(crate) struct Growing {
    is_there: Option<Arc<AtomicBool>>,
    place: Mutex<Option<Arc<Place>>>,
    name: CString,
    beside: CString,
    attributes: Attributes,
    size: u64,
    /// Where the last byte that was written ends.
    end: AtomicU64,
    open_writes: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    fd: Option<Arc<OwnedFd>>,
    /// It does not lie under the name beside.
    is_unnamed: bool,
    failed: Option<Failure>,
}

/// Why a file is not restored.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The appliance does not hold all of it.
    Damaged,
    /// Something on this computer, in words.
    Here(String),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Here(words(errno))
    }
}

impl Growing {
    /// Starts with one planned write, which stands for the planning itself.
    pub(crate) fn new(
        site: &Site<'_>,
        place: &Arc<Place>,
        name: CString,
        attributes: Attributes,
        size: u64,
    ) -> Self {
        Self {
            is_there: None,
            place: Mutex::new(Some(Arc::clone(place))),
            name,
            beside: site.name_beside(),
            attributes,
            size,
            end: AtomicU64::new(0),
            open_writes: AtomicU64::new(1),
            state: Mutex::default(),
        }
    }

    /// `is_there` is set when the file is whole and has its name: others wait to be linked to it.
    pub(crate) fn linked(self, is_there: Option<Arc<AtomicBool>>) -> Arc<Self> {
        Arc::new(Self { is_there, ..self })
    }

    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }

    /// One more write will come.
    pub(crate) fn expect_write(&self) {
        self.open_writes.fetch_add(1, Ordering::Relaxed);
    }

    /// One planned write has happened or never will.
    pub(crate) fn written(&self, site: &Site<'_>) {
        if self.open_writes.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish(site);
        }
    }

    /// The file will not be whole; the first reason counts.
    pub(crate) fn fail(&self, why: impl Into<Failure>) {
        self.lock().failed.get_or_insert(why.into());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `bytes` at `offset`.
    pub(crate) fn write(&self, site: &Site<'_>, bytes: &[u8], offset: u64) {
        let mut state = self.lock();
        if state.failed.is_some() {
            return;
        }
        let opened = self.open(site, &mut state);
        // Only making the file needs the lock; other parts of it may be written at the same time.
        drop(state);
        let written = opened.and_then(|fd| write_all(fd.as_fd(), bytes, offset));
        self.end.fetch_max(offset.saturating_add(bytes.len() as u64), Ordering::Relaxed);
        if let Err(errno) = written {
            self.fail(errno);
            site.stop_if_full(errno);
        }
    }

    fn open(&self, site: &Site<'_>, state: &mut State) -> rustix::io::Result<Arc<OwnedFd>> {
        if let Some(fd) = &state.fd {
            return Ok(Arc::clone(fd));
        }
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Errno::BADF)?;
        let folder = place.handle.open()?;
        let fd;
        (fd, state.is_unnamed) = site.unnamed.create(folder.as_fd(), &self.beside, self.attributes.mode)?;
        Ok(Arc::clone(state.fd.insert(Arc::new(fd))))
    }

    fn finish(&self, site: &Site<'_>) {
        let mut state = self.lock();
        let Some(place) = self.place.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        if state.failed.is_none()
            && let Err(errno) = self.open(site, &mut state)
        {
            state.failed = Some(errno.into());
        }
        let folder = place.handle.open();
        if let (None, Some(fd), Ok(folder)) = (&state.failed, &state.fd, &folder)
            && let Err(why) = self.publish(site, (fd.as_fd(), state.is_unnamed), (folder.as_fd(), &place))
        {
            state.failed = Some(Failure::Here(why));
        }
        let path = || place.handle.path_of(self.name.to_bytes());
        match (&state.failed, folder) {
            (Some(why), folder) => {
                if let (Ok(folder), true) = (&folder, state.fd.is_some() && !state.is_unnamed) {
                    let _ = rustix::fs::unlinkat(folder, &self.beside, AtFlags::empty());
                }
                match why {
                    Failure::Damaged => site.skip_damaged(path()),
                    Failure::Here(why) => site.skip(path(), why.clone()),
                }
            }
            (None, Err(errno)) => site.skip(path(), words(errno)),
            (None, Ok(_)) => {
                self.is_there.iter().for_each(|is_there| is_there.store(true, Ordering::Relaxed));
                site.progress.add_files(1);
                site.progress.add_bytes(self.size);
            }
        }
        state.fd = None;
        drop(state);
        drop(place);
        let last = self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(place) = last {
            Place::release(place, site);
        }
    }

    /// Attributes first, then the name.
    fn publish(
        &self,
        site: &Site<'_>,
        (fd, is_unnamed): (BorrowedFd<'_>, bool),
        (folder, place): (BorrowedFd<'_>, &Place),
    ) -> Result<(), String> {
        if self.end.load(Ordering::Relaxed) != self.size {
            // A hole at the end; nothing else ends before the size.
            rustix::fs::ftruncate(fd, self.size).map_err(words)?;
        }
        site.restorer.apply(fd, &self.attributes, place.owner_in_here, place.acls_in_here());
        if is_unnamed {
            return site.unnamed.name(fd, folder, &self.name).map_err(words);
        }
        rename(site, folder, &self.beside, &self.name)
    }
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(fd, bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
