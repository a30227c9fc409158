//! Places in the target: folders, and files that grow beside their final names.
//!
//! Every call is relative to an open folder and names one thing in it, so a symlink inside the target is never
//! followed, whoever put it there. A file gets its name when it is whole, and takes nobody's name unless the owner
//! said so.

use super::{
    Existing, Site,
    attributes::Attributes,
    naming::{name_unnamed, rename},
};
use crate::{
    Trouble,
    attributes::Status,
    handle::{Handle, open_folder},
};
use larder_format::tree::{DEPTH_MAX, Kind};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, FileType, Mode},
    io::Errno,
};
use std::{
    ffi::{CStr, CString},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A folder in the target.
pub(crate) struct Place {
    pub(crate) handle: Arc<Handle>,
    parent: Option<Arc<Place>>,
    /// What it gets when everything in it is done; nothing for a folder that was there before.
    attributes: Option<Attributes>,
    pub(crate) is_new: bool,
    /// Owner of what is made in here, if that is sure: the restoring user's, where the folder itself was made by this
    /// restore and came out as theirs. Elsewhere folders may give their group, and filesystems any owner.
    owner_in_here: Option<(u32, u32)>,
    depth: usize,
}

impl Place {
    pub(crate) fn root(handle: Arc<Handle>, attributes: Option<Attributes>, is_new: bool) -> Arc<Self> {
        Arc::new(Self { handle, parent: None, attributes, is_new, owner_in_here: None, depth: 1 })
    }

    /// Makes the folder `name`, or goes into the one that is there.
    pub(crate) fn enter(
        parent: &Arc<Self>,
        name: &CStr,
        attributes: Attributes,
        site: &Site<'_>,
    ) -> rustix::io::Result<Arc<Self>> {
        let existing = site.existing;
        if parent.depth >= DEPTH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let above = parent.handle.open()?;
        let mut made = rustix::fs::mkdirat(&above, name, Mode::RWXU);
        if made == Err(Errno::EXIST) && existing == Existing::Replace && !is_folder(above.as_fd(), name) {
            rustix::fs::unlinkat(&above, name, AtFlags::empty())?;
            made = rustix::fs::mkdirat(&above, name, Mode::RWXU);
        }
        let is_new = made.is_ok();
        if made.is_err() && !(made == Err(Errno::EXIST) && is_folder(above.as_fd(), name)) {
            return Err(made.err().unwrap_or(Errno::EXIST));
        }
        let fd = open_folder(above.as_fd(), name)?;
        let status = Status::from(rustix::fs::fstat(&fd)?);
        let owner = (status.uid, status.gid);
        let (handle, _) = Handle::child(&parent.handle, name, fd, (status.device, status.inode));
        let attributes = (is_new || existing == Existing::Replace).then_some(attributes);
        Ok(Arc::new(Self {
            handle,
            parent: Some(Arc::clone(parent)),
            attributes,
            is_new,
            owner_in_here: (is_new && owner == site.restorer.own).then_some(owner),
            depth: parent.depth + 1,
        }))
    }

    /// Lets go of a folder. Whoever is the last one gives it its attributes: a time that is set before the last
    /// file arrives would not last.
    pub(crate) fn release(mut place: Arc<Self>, site: &Site<'_>) {
        while let Some(done) = Arc::into_inner(place) {
            if let Some(attributes) = &done.attributes {
                let applied =
                    done.handle.open().and_then(|fd| site.restorer.apply(fd.as_fd(), attributes, None));
                if let Err(errno) = applied {
                    let why = format!("its attributes could not be set: {}", words(errno));
                    site.skip(done.handle.path_of(b""), why);
                }
            }
            match done.parent {
                Some(parent) => place = parent,
                None => return,
            }
        }
    }
}

fn is_folder(parent: BorrowedFd<'_>, name: &CStr) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

pub(crate) fn exists(parent: BorrowedFd<'_>, name: &CStr) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

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
        (fd, state.is_unnamed) = site.unnamed.create(folder.as_fd(), &self.beside)?;
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
            && let Err(why) =
                self.publish(site, (fd.as_fd(), state.is_unnamed), (folder.as_fd(), place.owner_in_here))
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
        (folder, owner): (BorrowedFd<'_>, Option<(u32, u32)>),
    ) -> Result<(), String> {
        if self.end.load(Ordering::Relaxed) != self.size {
            // A hole at the end; nothing else ends before the size.
            rustix::fs::ftruncate(fd, self.size).map_err(words)?;
        }
        site.restorer.apply(fd, &self.attributes, owner).map_err(words)?;
        if is_unnamed {
            return name_unnamed(fd, folder, &self.name).map_err(words);
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

/// Makes what is neither file nor folder.
pub(crate) fn make_other(
    site: &Site<'_>,
    place: &Place,
    name: &CStr,
    kind: &Kind,
    attributes: &Attributes,
) -> Result<(), String> {
    let folder = place.handle.open().map_err(words)?;
    let folder = folder.as_fd();
    if !place.is_new && site.existing == Existing::Keep && exists(folder, name) {
        return Err(words(Errno::EXIST));
    }
    // Made beside and renamed like a file, so that nothing half-owned ever stands under the name.
    let beside = site.name_beside();
    let made = match kind {
        Kind::Symlink(target) => rustix::fs::symlinkat(target.as_slice(), folder, &beside),
        kind => {
            let (file_type, device) = match kind {
                Kind::Fifo => (FileType::Fifo, 0),
                Kind::Socket => (FileType::Socket, 0),
                Kind::CharDevice { major, minor } => {
                    (FileType::CharacterDevice, rustix::fs::makedev(*major, *minor))
                }
                Kind::BlockDevice { major, minor } => {
                    (FileType::BlockDevice, rustix::fs::makedev(*major, *minor))
                }
                Kind::File { .. } | Kind::Directory { .. } | Kind::Symlink(_) => return Ok(()),
            };
            rustix::fs::mknodat(folder, &beside, file_type, Mode::RUSR | Mode::WUSR, device)
        }
    };
    made.map_err(words)?;
    let is_symlink = matches!(kind, Kind::Symlink(_));
    let finished = site
        .restorer
        .apply_at(folder, &beside, attributes, is_symlink)
        .map_err(words)
        .and_then(|()| rename(site, folder, &beside, name));
    if finished.is_err() {
        let _ = rustix::fs::unlinkat(folder, &beside, AtFlags::empty());
    }
    finished
}

/// Gives the file `first` in `at` one more name.
pub(crate) fn make_link(
    site: &Site<'_>,
    (at, first): (&Place, &CStr),
    (place, name): (&Place, &CStr),
) -> Result<(), String> {
    let (from, to) = (at.handle.open().map_err(words)?, place.handle.open().map_err(words)?);
    let beside = site.name_beside();
    rustix::fs::linkat(&from, first, &to, &beside, AtFlags::empty()).map_err(words)?;
    let renamed = rename(site, to.as_fd(), &beside, name);
    // Renaming over another name of the same file does nothing and leaves both.
    if renamed.is_err() || exists(to.as_fd(), &beside) {
        let _ = rustix::fs::unlinkat(&to, &beside, AtFlags::empty());
    }
    renamed
}

/// Why something could not be written, as an owner would say it.
pub(crate) fn words(errno: Errno) -> String {
    match errno {
        Errno::EXIST | Errno::NOTEMPTY | Errno::ISDIR => {
            "something of this name is already there and was left alone".to_owned()
        }
        Errno::ACCESS | Errno::PERM => "you are not allowed to write it here".to_owned(),
        Errno::NOSPC | Errno::DQUOT => "the disk is full".to_owned(),
        other => std::io::Error::from(other).to_string(),
    }
}

impl Site<'_> {
    /// A full disk ends the restore: every further file would only fail alike.
    fn stop_if_full(&self, errno: Errno) {
        if matches!(errno, Errno::NOSPC | Errno::DQUOT) {
            self.stop(Trouble::local("writing the restored files", self.target, errno));
        }
    }
}
