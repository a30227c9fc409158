//! One walker: lists a folder, and once the folders below are done makes its node.
//!
//! Not here: in which order folders are taken (`frontier`, `walk`), what an entry is made of (`entry`), and how known and
//! new entries become a node (`node_merge`).

use crate::{
    handle::{Handle, Opened},
    platform::{FileKind, KindHint, Listing, SystemError, UNREADABLE, Xattrs, XattrsLeftOut},
    push::{
        batch::Stopped,
        cache::{Fingerprint, Folded, FolderKey, RecordReader},
        cut_choice::Earlier,
        entry::{EntryReader, Fresh, Seen, Shared, Spot, in_words},
        exclude::Ignores,
        folder::{Below, Folder, FolderPlace, NotMade},
        frontier::Frontier,
        node_merge::{Unwoven, Weave},
        shares::{self, Read},
    },
};
use larder_format::{
    ChunkRef,
    tree::{DEPTH_MAX, Kind, Made, NodeBuilder},
};
use std::sync::Arc;

/// Lists folders and makes nodes, one folder after another.
pub(crate) struct Walker<'a> {
    entries: EntryReader<'a>,
    /// Scratch space for listings.
    room: Vec<u8>,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(shared: &'a Shared<'a>) -> Self {
        Self { entries: EntryReader::new(shared), room: Vec::new() }
    }

    /// What all walkers share.
    pub(crate) fn shared(&self) -> &'a Shared<'a> {
        self.entries.shared
    }

    /// Hands over what is left in the batches.
    pub(crate) fn flush(&mut self) -> Result<(), Stopped> {
        self.entries.out.files.flush().and_then(|()| self.entries.out.trees.flush())
    }

    /// Lists the root.
    pub(crate) fn root(&mut self, handle: Arc<Handle>, key: FolderKey) -> Result<Arc<Folder>, SystemError> {
        let opened = handle.open()?;
        let seen = self.shared().see(|| opened.as_ref().status())?;
        let mut listing = opened.as_ref().list(&mut self.room)?;
        let spot = Spot { handle: &handle, folder: opened.as_ref(), name: b"" };
        let ignores = self.sift(spot, &mut listing, None);
        drop(opened);
        Ok(Folder::new(FolderPlace { handle, parent: None, key, depth: 1, seen }, listing, ignores))
    }

    /// Opens the folder number `number` of `parent` and lists it.
    pub(crate) fn visit(&mut self, parent: &Arc<Folder>, number: usize) -> Result<Arc<Folder>, NotMade> {
        match self.try_visit(parent, number) {
            Ok(folder) => Ok(folder),
            Err(error) if error.is_gone() => Err(NotMade::LeftOut),
            Err(error) => {
                let name = parent.listing.name(parent.position(number));
                self.shared().skip(parent.place.handle.path_of(name), in_words(error));
                Err(NotMade::LeftOut)
            }
        }
    }

    fn try_visit(&mut self, parent: &Arc<Folder>, number: usize) -> Result<Arc<Folder>, SystemError> {
        let name = parent.listing.name(parent.position(number));
        let FolderPlace { handle: above, key, depth, seen: parent_seen, .. } = &parent.place;
        if *depth >= DEPTH_MAX {
            return Err(SystemError::TOO_DEEP);
        }
        let opened = above.open()?.as_ref().open_folder(name)?;
        let seen = self.shared().see(|| opened.as_ref().status())?;
        let identity = seen.status.identity();
        let is_mount = seen.status.device != parent_seen.status.device;
        let is_empty = self.shared().excludes.leaves_empty(opened.as_ref(), identity, is_mount);
        let mut listing = if is_empty { Listing::default() } else { opened.as_ref().list(&mut self.room)? };
        let (handle, opened) = Handle::child(above, name, opened, identity);
        let folder = opened.map_or_else(|| handle.open(), |folder| Ok(Opened::Again(folder)))?;
        let spot = Spot { handle: &handle, folder: folder.as_ref(), name: b"" };
        let ignores = self.sift(spot, &mut listing, parent.ignores.as_ref());
        drop(folder);
        let key = key.child(name);
        let parent = Some((Arc::clone(parent), number));
        Ok(Folder::new(FolderPlace { handle, parent, key, depth: depth + 1, seen }, listing, ignores))
    }

    /// Finds out which names are folders, and leaves out what the owner does not want.
    fn sift(
        &self,
        spot: Spot<'_>,
        listing: &mut Listing,
        above: Option<&Arc<Ignores>>,
    ) -> Option<Arc<Ignores>> {
        for position in 0..listing.len() {
            if listing.hint(position) == KindHint::Unknown {
                let status = Spot { name: listing.name(position), ..spot }.status();
                let is_folder = status.is_ok_and(|status| status.kind == FileKind::Folder);
                listing.set_hint(position, if is_folder { KindHint::Folder } else { KindHint::Other });
            }
        }
        self.shared().excludes.apply(listing, spot.folder, || spot.handle.path(), above)
    }

    /// Makes the folder's node, once all folders in it are done.
    pub(crate) fn fold(&mut self, frontier: &Frontier, folder: &Arc<Folder>) -> Result<Below, NotMade> {
        let FolderPlace { handle, key, seen, .. } = &folder.place;
        let opened = handle.open().map_err(|error| {
            if !error.is_gone() {
                self.shared().skip(handle.path_of(b""), in_words(error));
            }
            NotMade::LeftOut
        })?;
        let spot = Spot { handle, folder: opened.as_ref(), name: b"" };
        let known = RecordReader::open(self.shared().cache, *key);
        let folded = match self.weave(frontier, folder, spot, known) {
            Ok(folded) => folded,
            Err(Unwoven::Stopped) => return Err(NotMade::Stopped),
            // The cache contradicts itself: as if there was none.
            Err(Unwoven::BadCache) => match self.weave(frontier, folder, spot, None) {
                Ok(folded) => folded,
                Err(_) => return Err(NotMade::Stopped),
            },
        };
        self.shared().progress.add_folders(1);
        Ok(Below { seen: *seen, folded })
    }

    fn weave(
        &mut self,
        frontier: &Frontier,
        folder: &Arc<Folder>,
        spot: Spot<'_>,
        known: Option<RecordReader<'_>>,
    ) -> Result<Folded, Unwoven> {
        let is_shared = known.is_none() && folder.names() - folder.folders() > 1;
        let sharing = is_shared.then(|| frontier.share(folder));
        let mut weave = Weave::new(self.shared().cache, folder.place.key, known);
        let mut number = 0;
        let (mut files, mut bytes) = (0, 0);
        for share in 0..shares::count(folder.names()) {
            let read = sharing.as_ref().map_or(Ok(None), |sharing| sharing.next(share))?;
            let mut read = read.map(|read| read.into_iter().peekable());
            for position in shares::positions(share, folder.names()) {
                let spot = Spot { name: folder.listing.name(position), ..spot };
                if folder.listing.hint(position) == KindHint::Folder {
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
        self.shared().progress.add_files(files);
        self.shared().progress.add_bytes(bytes);
        weave.finish(&mut self.entries.out.trees)
    }

    /// Reads a share of a folder whose node another walker makes; nothing where it has to do so itself.
    pub(crate) fn read_share(
        &mut self,
        folder: &Folder,
        number: usize,
    ) -> Result<Option<Vec<Read>>, Stopped> {
        let handle = &folder.place.handle;
        let Ok(opened) = handle.open() else { return Ok(None) };
        let mut read = Vec::new();
        for position in shares::positions(number, folder.names()) {
            if folder.listing.hint(position) == KindHint::Folder {
                continue;
            }
            let name = folder.listing.name(position);
            let spot = Spot { handle, folder: opened.as_ref(), name };
            let Some(seen) = self.see(spot) else { continue };
            let fresh = self.entries.entry(spot, seen, None)?;
            read.push(Read { position, size: seen.status.size, fresh });
        }
        Ok(Some(read))
    }

    /// The status of a file; nothing when it is gone or cannot be asked for, which is named.
    fn see(&self, spot: Spot<'_>) -> Option<Seen> {
        let seen = self.shared().see(|| spot.status());
        let unseen = |error: SystemError| {
            if !error.is_gone() {
                self.shared().skip(spot.path(), in_words(error));
            }
        };
        seen.map_err(unseen).ok()
    }

    /// A file that another walker read. Returns its size, if it was there.
    fn weave_read(&mut self, weave: &mut Weave<'_>, read: Option<Read>) -> Result<Option<u64>, Unwoven> {
        let Some(Read { size, fresh, .. }) = read else { return Ok(None) };
        fresh.map_or(Ok(()), |fresh| weave.put(fresh, &mut self.entries.out.trees))?;
        Ok(Some(size))
    }

    /// Returns the size of the file, if it is there.
    fn weave_file(&mut self, weave: &mut Weave<'_>, spot: Spot<'_>) -> Result<Option<u64>, Unwoven> {
        let Some(seen) = self.see(spot) else { return Ok(None) };
        let fingerprint = Fingerprint::of(&seen.status);
        let trees = &mut self.entries.out.trees;
        let earlier = match weave.find(spot.name, trees)? {
            Some(cached) if cached.steady && cached.fingerprint == fingerprint => {
                weave.take_known(trees)?;
                return Ok(Some(seen.status.size));
            }
            Some(cached) => Some(Earlier { status: cached.fingerprint, fine: cached.fine }),
            None => None,
        };
        if let Some(fresh) = self.entries.entry(spot, seen, earlier)? {
            weave.put(fresh, &mut self.entries.out.trees)?;
        }
        Ok(Some(seen.status.size))
    }

    fn weave_folder(&mut self, weave: &mut Weave<'_>, spot: Spot<'_>, below: &Below) -> Result<(), Unwoven> {
        let Folded { node, totals } = below.folded;
        let kind = Kind::Directory { node, totals };
        let fingerprint = Fingerprint::of(&below.seen.status);
        let cached = weave.find(spot.name, &mut self.entries.out.trees)?;
        let cached = cached.filter(|cached| cached.steady && cached.fingerprint == fingerprint);
        let known = cached.and_then(|cached| cached.decode());
        let xattrs = match known {
            Some(known) if known.kind == kind => return weave.take_known(&mut self.entries.out.trees),
            Some(known) => Ok(known.xattrs),
            None => xattrs_of_folder(spot),
        };
        let fresh = self.entries.fresh(spot, &below.seen, xattrs, kind);
        weave.put(fresh, &mut self.entries.out.trees)
    }

    /// Makes the node that stands for the pushed folder itself, one entry without a name, and hands over what is left.
    pub(crate) fn root_node(&mut self, handle: &Handle, below: &Below) -> Result<ChunkRef, Stopped> {
        let Folded { node, totals } = below.folded;
        // A walk's first folder stays open from its beginning.
        let folder = handle.open().map_err(|_| Stopped)?;
        let spot = Spot { handle, folder: folder.as_ref(), name: b"" };
        let kind = Kind::Directory { node, totals };
        let Fresh { entry, owner, .. } =
            self.entries.fresh(spot, &below.seen, folder.as_ref().xattrs(), kind);
        let trees = &mut self.entries.out.trees;
        let mut keep = |made: Made| trees.add(&made).map(|_| ());
        let mut builder = NodeBuilder::new();
        builder.push(entry, &owner, &mut keep)?;
        let (root, _) = builder.finish(&mut keep)?;
        trees.flush()?;
        Ok(root)
    }
}

fn xattrs_of_folder(spot: Spot<'_>) -> Result<Xattrs, XattrsLeftOut> {
    match spot.folder.open_folder(spot.name) {
        Ok(folder) => folder.as_ref().xattrs(),
        // It went away since it was walked: nothing is lost that is still there.
        Err(error) if error.is_gone() => Ok(Xattrs::new()),
        Err(_) => Err(XattrsLeftOut(UNREADABLE)),
    }
}
