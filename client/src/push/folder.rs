//! One folder of a push: first its names, then, once the folders below are done, its node.
//!
//! Folders below come first so that entries can be made in the order of their names and leave memory again at once: a
//! folder costs its list of names, however many files are in it.
//! Not here: in which order folders are taken (`walk`), what an entry is made of (`entry`), and how known and new
//! entries become a node (`weave`).

use crate::{
    handle::{Handle, open_folder},
    platform::unix::attributes::{Status, UNREADABLE, Xattrs, XattrsLeftOut, xattrs_of},
    platform::unix::listing::{Hint, Listing},
    push::batch::Stopped,
    push::cache::{Fingerprint, Folded, FolderKey, RecordReader},
    push::cut_choice::Earlier,
    push::entry::{Seen, Spot, Walker, in_words},
    push::exclude::Ignores,
    push::node_merge::{Unwoven, Weave},
    push::shares::{self, Read},
    push::walk::Walk,
};
use larder_format::tree::{DEPTH_MAX, Kind};
use rustix::{fd::AsFd, fs::FileType, io::Errno};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::AcqRel},
};

/// A folder whose names are known and whose node is not made yet.
pub(crate) struct Folder {
    pub(crate) handle: Arc<Handle>,
    /// The folder above, and which of its folders this is.
    pub(crate) parent: Option<(Arc<Folder>, usize)>,
    key: FolderKey,
    depth: usize,
    seen: Seen,
    listing: Listing,
    ignores: Option<Arc<Ignores>>,
    /// Positions in the listing that are folders.
    folders: Vec<u32>,
    results: Mutex<Vec<Option<Below>>>,
    waiting: AtomicUsize,
}

/// What a folder came to, as the folder above needs it.
#[derive(Clone, Copy)]
pub(crate) struct Below {
    pub(crate) seen: Seen,
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

impl Folder {
    /// Folders directly in this one.
    pub(crate) fn folders(&self) -> usize {
        self.folders.len()
    }

    /// Names in it, of folders too.
    pub(crate) fn names(&self) -> usize {
        self.listing.len()
    }

    /// Takes what the folder number `number` came to; true when it was the last one to wait for.
    pub(crate) fn report(&self, number: usize, below: Option<Below>) -> bool {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)[number] = below;
        self.waiting.fetch_sub(1, AcqRel) == 1
    }

    fn result(&self, number: usize) -> Option<Below> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)[number]
    }
}

impl Walker<'_> {
    /// Opens the root.
    pub(crate) fn root(&mut self, handle: Arc<Handle>, key: FolderKey) -> rustix::io::Result<Arc<Folder>> {
        let opened = handle.open()?;
        let seen = self.shared.see(|| rustix::fs::fstat(&opened).map(Status::from))?;
        let listing = Listing::read(&opened, &mut self.room)?;
        let ignores = None;
        let spot = Spot { handle: &handle, folder: opened.as_fd(), name: c"" };
        let (listing, ignores, folders) = self.sift(spot, listing, ignores);
        drop(opened);
        Ok(Self::assemble(Start { handle, parent: None, key, depth: 1, seen }, listing, ignores, folders))
    }

    /// Opens the folder number `number` of `parent` and lists it.
    pub(crate) fn visit(&mut self, parent: &Arc<Folder>, number: usize) -> Result<Arc<Folder>, NotMade> {
        let name = parent.listing.name(parent.folders[number] as usize);
        match self.try_visit(parent, number) {
            Ok(folder) => Ok(folder),
            Err(Errno::NOENT) => Err(NotMade::LeftOut),
            Err(errno) => {
                self.shared.skip(parent.handle.path_of(name.to_bytes()), in_words(errno));
                Err(NotMade::LeftOut)
            }
        }
    }

    fn try_visit(&mut self, parent: &Arc<Folder>, number: usize) -> rustix::io::Result<Arc<Folder>> {
        let name = parent.listing.name(parent.folders[number] as usize);
        if parent.depth >= DEPTH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let fd = open_folder(parent.handle.open()?.as_fd(), name)?;
        let seen = self.shared.see(|| rustix::fs::fstat(&fd).map(Status::from))?;
        let identity = (seen.status.device, seen.status.inode);
        let is_mount = seen.status.device != parent.seen.status.device;
        let is_empty = self.shared.excludes.leaves_empty(fd.as_fd(), identity, is_mount);
        let listing = if is_empty { Listing::default() } else { Listing::read(&fd, &mut self.room)? };
        let (handle, fd) = Handle::child(&parent.handle, name, fd, identity);
        let folder = fd
            .as_ref()
            .map(AsFd::as_fd)
            .map_or_else(|| handle.open(), |fd| Ok(crate::handle::Opened::Kept(fd)))?;
        let spot = Spot { handle: &handle, folder: folder.as_fd(), name: c"" };
        let (listing, ignores, folders) = self.sift(spot, listing, parent.ignores.as_ref());
        drop(folder);
        let start = Start {
            handle,
            parent: Some((Arc::clone(parent), number)),
            key: parent.key.child(name.to_bytes()),
            depth: parent.depth + 1,
            seen,
        };
        Ok(Self::assemble(start, listing, ignores, folders))
    }

    /// Leaves out what the owner does not want, and finds the folders among the rest.
    fn sift(
        &self,
        spot: Spot<'_>,
        mut listing: Listing,
        above: Option<&Arc<Ignores>>,
    ) -> (Listing, Option<Arc<Ignores>>, Vec<u32>) {
        for position in 0..listing.len() {
            if listing.hint(position) == Hint::Unknown {
                let status = Spot { name: listing.name(position), ..spot }.status();
                let is_folder = status.is_ok_and(|status| status.file_type() == FileType::Directory);
                listing.set_hint(position, if is_folder { Hint::Directory } else { Hint::Other });
            }
        }
        let ignores = self.shared.excludes.apply(&mut listing, spot.folder, || spot.handle.path(), above);
        let is_folder = |position: &u32| listing.hint(*position as usize) == Hint::Directory;
        let positions = 0..u32::try_from(listing.len()).unwrap_or(u32::MAX);
        let folders = positions.filter(is_folder).collect();
        (listing, ignores, folders)
    }

    fn assemble(
        start: Start,
        listing: Listing,
        ignores: Option<Arc<Ignores>>,
        folders: Vec<u32>,
    ) -> Arc<Folder> {
        let Start { handle, parent, key, depth, seen } = start;
        let results = Mutex::new(vec![None; folders.len()]);
        let waiting = AtomicUsize::new(folders.len());
        Arc::new(Folder { handle, parent, key, depth, seen, listing, ignores, folders, results, waiting })
    }

    /// Makes the folder's node, once all folders in it are done.
    pub(crate) fn fold(&mut self, walk: &Walk, folder: &Arc<Folder>) -> Result<Below, NotMade> {
        let opened = folder.handle.open().map_err(|errno| {
            if errno != Errno::NOENT {
                self.shared.skip(folder.handle.path_of(b""), in_words(errno));
            }
            NotMade::LeftOut
        })?;
        let spot = Spot { handle: &folder.handle, folder: opened.as_fd(), name: c"" };
        let known = RecordReader::open(self.shared.cache, folder.key);
        let folded = match self.weave(walk, folder, spot, known) {
            Ok(folded) => folded,
            Err(Unwoven::Stopped) => return Err(NotMade::Stopped),
            // The cache contradicts itself: as if there was none.
            Err(Unwoven::BadCache) => match self.weave(walk, folder, spot, None) {
                Ok(folded) => folded,
                Err(_) => return Err(NotMade::Stopped),
            },
        };
        self.shared.progress.add_folders(1);
        Ok(Below { seen: folder.seen, folded })
    }

    fn weave(
        &mut self,
        walk: &Walk,
        folder: &Arc<Folder>,
        spot: Spot<'_>,
        known: Option<RecordReader<'_>>,
    ) -> Result<Folded, Unwoven> {
        let is_shared = known.is_none() && folder.names() - folder.folders() > 1;
        let sharing = is_shared.then(|| walk.share(folder));
        let mut weave = Weave::new(self.shared.cache, folder.key, known);
        let mut number = 0;
        let (mut files, mut bytes) = (0, 0);
        for share in 0..shares::count(folder.names()) {
            let read = sharing.as_ref().map_or(Ok(None), |sharing| sharing.next(share))?;
            let mut read = read.map(|read| read.into_iter().peekable());
            for position in shares::positions(share, folder.names()) {
                let spot = Spot { name: folder.listing.name(position), ..spot };
                if folder.listing.hint(position) == Hint::Directory {
                    let below = folder.result(number);
                    number += 1;
                    below.map_or(Ok(()), |below| self.weave_folder(&mut weave, spot, &below))?;
                    continue;
                }
                let size = match &mut read {
                    Some(read) => {
                        self.weave_read(&mut weave, read.next_if(|read| read.position == position))?
                    }
                    None => self.weave_file(&mut weave, spot)?,
                };
                files += u64::from(size.is_some());
                // Files full of holes may claim more together than a disk could ever hold.
                bytes = u64::saturating_add(bytes, size.unwrap_or(0));
            }
        }
        self.shared.progress.add_files(files);
        self.shared.progress.add_bytes(bytes);
        weave.finish(&mut self.out.trees)
    }

    /// Reads a share of a folder whose node another walker makes; nothing where it has to do so itself.
    pub(crate) fn read_share(
        &mut self,
        folder: &Folder,
        number: usize,
    ) -> Result<Option<Vec<Read>>, Stopped> {
        let Ok(opened) = folder.handle.open() else { return Ok(None) };
        let mut read = Vec::new();
        for position in shares::positions(number, folder.names()) {
            if folder.listing.hint(position) == Hint::Directory {
                continue;
            }
            let name = folder.listing.name(position);
            let spot = Spot { handle: &folder.handle, folder: opened.as_fd(), name };
            let Some(seen) = self.see(spot) else { continue };
            read.push(Read { position, size: seen.status.size, fresh: self.entry(spot, seen, None)? });
        }
        Ok(Some(read))
    }

    /// The status of a file; nothing when it is gone or cannot be asked for, which is named.
    fn see(&self, spot: Spot<'_>) -> Option<Seen> {
        let seen = self.shared.see(|| spot.status());
        let unseen = |errno| {
            if errno != Errno::NOENT {
                self.shared.skip(spot.path(), in_words(errno));
            }
        };
        seen.map_err(unseen).ok()
    }

    /// A file that another walker read. Returns its size, if it was there.
    fn weave_read(&mut self, weave: &mut Weave<'_>, read: Option<Read>) -> Result<Option<u64>, Unwoven> {
        let Some(Read { size, fresh, .. }) = read else { return Ok(None) };
        fresh.map_or(Ok(()), |fresh| weave.put(fresh, &mut self.out.trees))?;
        Ok(Some(size))
    }

    /// Returns the size of the file, if it is there.
    fn weave_file(&mut self, weave: &mut Weave<'_>, spot: Spot<'_>) -> Result<Option<u64>, Unwoven> {
        let Some(seen) = self.see(spot) else { return Ok(None) };
        let fingerprint = Fingerprint::of(&seen.status);
        let earlier = match weave.find(spot.name.to_bytes(), &mut self.out.trees)? {
            Some(cached) if cached.steady && cached.fingerprint == fingerprint => {
                weave.take_known(&mut self.out.trees)?;
                return Ok(Some(seen.status.size));
            }
            Some(cached) => Some(Earlier { status: cached.fingerprint, fine: cached.fine }),
            None => None,
        };
        if let Some(fresh) = self.entry(spot, seen, earlier)? {
            weave.put(fresh, &mut self.out.trees)?;
        }
        Ok(Some(seen.status.size))
    }

    fn weave_folder(&mut self, weave: &mut Weave<'_>, spot: Spot<'_>, below: &Below) -> Result<(), Unwoven> {
        let Folded { node, totals } = below.folded;
        let kind = Kind::Directory { node, totals };
        let fingerprint = Fingerprint::of(&below.seen.status);
        let cached = weave.find(spot.name.to_bytes(), &mut self.out.trees)?;
        let cached = cached.filter(|cached| cached.steady && cached.fingerprint == fingerprint);
        let known = cached.and_then(|cached| cached.decode());
        let xattrs = match known {
            Some(known) if known.kind == kind => return weave.take_known(&mut self.out.trees),
            Some(known) => Ok(known.xattrs),
            None => xattrs_of_folder(spot),
        };
        let fresh = self.fresh(spot, &below.seen, xattrs, kind);
        weave.put(fresh, &mut self.out.trees)
    }
}

fn xattrs_of_folder(spot: Spot<'_>) -> Result<Xattrs, XattrsLeftOut> {
    match open_folder(spot.folder, spot.name) {
        Ok(folder) => xattrs_of(folder),
        // It went away since it was walked: nothing is lost that is still there.
        Err(Errno::NOENT) => Ok(Xattrs::new()),
        Err(_) => Err(XattrsLeftOut(UNREADABLE)),
    }
}

struct Start {
    handle: Arc<Handle>,
    parent: Option<(Arc<Folder>, usize)>,
    key: FolderKey,
    depth: usize,
    seen: Seen,
}
