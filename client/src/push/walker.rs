//! A walker: lists a folder, and makes its node after the folders below.
//!
//! Not here: the order of folders (`frontier`, `walk`), making an entry (`entry`), and merging known and new entries
//! into a node (`node_merge`).

use crate::{
    handle::{Handle, OpenedFolder},
    platform::{KindHint, NameList, SystemError, UNREADABLE, Xattrs, XattrsLeftOut},
    push::{
        batch::Stopped,
        cache::{Fingerprint, Folded, FolderKey, RecordReader},
        changed::{MergedFile, MergedFiles},
        cut_choice::Earlier,
        entry::{EntryReader, EntrySpot, NewEntry, Observed, PushContext, in_words},
        exclude::{Ignores, SiftedFolder},
        folder::{Below, FolderPlace, NotMade, WalkedFolder},
        frontier::Frontier,
        guide::{FilesWanted, FolderInterest},
        node_merge::{MergeError, NodeMerge},
        shares::{self, ReadEntry},
    },
};
use larder_format::{
    ChunkRef,
    tree::{DEPTH_MAX, Kind, Made, NodeBuilder},
};
use std::sync::Arc;

/// Lists folders and makes nodes, a folder at a time.
pub(crate) struct Walker<'a> {
    entries: EntryReader<'a>,
    /// Scratch space for listings.
    room: Vec<u8>,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(shared: &'a PushContext<'a>) -> Self {
        Self { entries: EntryReader::new(shared), room: Vec::new() }
    }

    /// Values that the walkers share.
    pub(crate) fn shared(&self) -> &'a PushContext<'a> {
        self.entries.shared
    }

    /// Hands over the rest of the batches.
    pub(crate) fn flush(&mut self) -> Result<(), Stopped> {
        self.entries.out.files.flush().and_then(|()| self.entries.out.trees.flush())
    }

    /// Lists the root.
    pub(crate) fn root(
        &mut self,
        handle: Arc<Handle>,
        key: FolderKey,
    ) -> Result<Arc<WalkedFolder>, SystemError> {
        let opened = handle.open()?;
        let seen = self.shared().see(|| opened.as_ref().status())?;
        let spot = EntrySpot { handle: &handle, folder: opened.as_ref(), name: b"" };
        // The owner may have named the folder of the key itself.
        let Listed { mut names, guided } = self.listing(spot, &seen, seen.status.device)?;
        let ignores = self.sift(spot, &mut names, None);
        self.leave_out_unchanged(&mut names, guided);
        drop(opened);
        Ok(WalkedFolder::new(FolderPlace { handle, parent: None, key, depth: 1, seen }, names, ignores))
    }

    /// Opens and lists the folder number `number` of `parent`.
    pub(crate) fn visit(
        &mut self,
        parent: &Arc<WalkedFolder>,
        number: usize,
    ) -> Result<Arc<WalkedFolder>, NotMade> {
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

    fn try_visit(
        &mut self,
        parent: &Arc<WalkedFolder>,
        number: usize,
    ) -> Result<Arc<WalkedFolder>, SystemError> {
        let name = parent.listing.name(parent.position(number));
        let FolderPlace { handle: above, key, depth, seen: parent_seen, .. } = &parent.place;
        if *depth >= DEPTH_MAX {
            return Err(SystemError::TOO_DEEP);
        }
        let opened = above.open()?.as_ref().open_folder(name)?;
        let seen = self.shared().see(|| opened.as_ref().status())?;
        let identity = seen.status.identity();
        let device_above = parent_seen.status.device;
        let Listed { mut names, guided } =
            self.listing(EntrySpot { handle: above, folder: opened.as_ref(), name }, &seen, device_above)?;
        let (handle, opened) = Handle::child(above, name, opened, identity);
        let folder = opened.map_or_else(|| handle.open(), |folder| Ok(OpenedFolder::Again(folder)))?;
        let spot = EntrySpot { handle: &handle, folder: folder.as_ref(), name: b"" };
        let ignores = self.sift(spot, &mut names, parent.ignores.as_ref());
        self.leave_out_unchanged(&mut names, guided);
        drop(folder);
        let key = key.child(name);
        let parent = Some((Arc::clone(parent), number));
        Ok(WalkedFolder::new(FolderPlace { handle, parent, key, depth: depth + 1, seen }, names, ignores))
    }

    /// The names in an open folder; none where the content is left out. `spot.name` is the name of the folder.
    fn listing(
        &mut self,
        spot: EntrySpot<'_>,
        seen: &Observed,
        device_above: u64,
    ) -> Result<Listed, SystemError> {
        let path = || joined(spot.handle.path(), spot.name);
        let at = SiftedFolder { folder: spot.folder, path: &path };
        let is_mount = seen.status.device != device_above;
        if self.shared().excludes.leaves_empty(&at, seen.status.identity(), is_mount) {
            // No guide: a watch on our own cache would see a change with every push.
            return Ok(Listed { names: NameList::default(), guided: None });
        }
        // Before the listing: a change after the listing must not go unseen.
        let guided = self.shared().guide.map(|guide| {
            let path = path();
            GuidedFolder { interest: guide.enter(&path), path }
        });
        Ok(Listed { names: spot.folder.list(&mut self.room)?, guided })
    }

    /// Takes names out of the listing that the guide does not want.
    fn leave_out_unchanged(&self, listing: &mut NameList, guided: Option<GuidedFolder>) {
        let (Some(guide), Some(GuidedFolder { path, interest })) = (self.shared().guide, guided) else {
            return;
        };
        match interest {
            FolderInterest::Everything => {}
            FolderInterest::Changes { files } => listing.retain(|name, hint| match hint {
                KindHint::Folder => guide.wants_folder(&joined(path.clone(), name)),
                _ => files == FilesWanted::Yes,
            }),
        }
    }

    /// Finds the folders among the names, and leaves out excluded names.
    fn sift(
        &self,
        spot: EntrySpot<'_>,
        listing: &mut NameList,
        above: Option<&Arc<Ignores>>,
    ) -> Option<Arc<Ignores>> {
        spot.folder.settle_hints(listing);
        let at = SiftedFolder { folder: spot.folder, path: &|| spot.handle.path() };
        self.shared().excludes.apply(listing, &at, above)
    }

    /// Makes the folder's node, after the folders in the folder.
    pub(crate) fn fold(&mut self, frontier: &Frontier, folder: &Arc<WalkedFolder>) -> Result<Below, NotMade> {
        let FolderPlace { handle, key, seen, .. } = &folder.place;
        let opened = handle.open().map_err(|error| {
            if !error.is_gone() {
                self.shared().skip(handle.path_of(b""), in_words(error));
            }
            NotMade::LeftOut
        })?;
        let spot = EntrySpot { handle, folder: opened.as_ref(), name: b"" };
        let known = RecordReader::open(self.shared().cache, *key);
        let folded = match self.merge(frontier, folder, spot, known) {
            Ok(folded) => folded,
            Err(MergeError::Stopped) => return Err(NotMade::Stopped),
            // The cache contradicts itself: as if there was none.
            Err(MergeError::BadCache) => match self.merge(frontier, folder, spot, None) {
                Ok(folded) => folded,
                Err(_) => return Err(NotMade::Stopped),
            },
        };
        self.shared().progress.add_folders(1);
        Ok(Below { seen: *seen, folded })
    }

    fn merge(
        &mut self,
        frontier: &Frontier,
        folder: &Arc<WalkedFolder>,
        spot: EntrySpot<'_>,
        known: Option<RecordReader<'_>>,
    ) -> Result<Folded, MergeError> {
        let is_shared = known.is_none() && folder.names() - folder.folders() > 1;
        let sharing = is_shared.then(|| frontier.share(folder));
        let mut merge = NodeMerge::new(self.shared().cache, folder.place.key, known);
        let mut number = 0;
        let mut merged = MergedFiles::default();
        for share in 0..shares::count(folder.names()) {
            let read = sharing.as_ref().map_or(Ok(None), |sharing| sharing.next(share))?;
            let mut read = read.map(|read| read.into_iter().peekable());
            for position in shares::positions(share, folder.names()) {
                let spot = EntrySpot { name: folder.listing.name(position), ..spot };
                if folder.listing.hint(position) == KindHint::Folder {
                    let below = folder.result(number);
                    number += 1;
                    below.map_or(Ok(()), |below| self.merge_folder(&mut merge, spot, &below))?;
                    continue;
                }
                let file = match &mut read {
                    Some(read) => {
                        self.merge_read(&mut merge, read.next_if(|read| read.position == position))?
                    }
                    None => self.merge_file(&mut merge, spot)?,
                };
                file.into_iter().for_each(|file| merged.add(file));
            }
        }
        let folded = merge.finish(&mut self.entries.out.trees)?;
        merged.tell(self.shared().progress);
        Ok(folded)
    }

    /// Reads a share of a folder whose node another walker makes; nothing where the other walker has to read the
    /// share itself.
    pub(crate) fn read_share(
        &mut self,
        folder: &WalkedFolder,
        number: usize,
    ) -> Result<Option<Vec<ReadEntry>>, Stopped> {
        let handle = &folder.place.handle;
        let Ok(opened) = handle.open() else { return Ok(None) };
        let mut read = Vec::new();
        for position in shares::positions(number, folder.names()) {
            if folder.listing.hint(position) == KindHint::Folder {
                continue;
            }
            let name = folder.listing.name(position);
            let spot = EntrySpot { handle, folder: opened.as_ref(), name };
            let Some(seen) = self.see(spot) else { continue };
            let fresh = self.read_entry(spot, seen, None)?;
            self.entries.out.meter.finish(seen.status.size);
            read.push(ReadEntry { position, size: seen.status.size, fresh });
        }
        Ok(Some(read))
    }

    /// The status of a file; nothing for a missing file. A file without a readable status is named.
    fn see(&self, spot: EntrySpot<'_>) -> Option<Observed> {
        let seen = self.shared().see(|| spot.status());
        let unseen = |error: SystemError| {
            if !error.is_gone() {
                self.shared().skip(spot.path(), in_words(error));
            }
        };
        seen.map_err(unseen).ok()
    }

    /// The entry of a name other than a folder; a readable file may be drawn for a second reading.
    fn read_entry(
        &mut self,
        spot: EntrySpot<'_>,
        seen: Observed,
        earlier: Option<Earlier>,
    ) -> Result<Option<NewEntry>, Stopped> {
        let fresh = self.entries.entry(spot, seen, earlier)?;
        if let (Some(sample), Some(_)) = (&self.shared().sample, &fresh) {
            sample.put_read(spot.handle, spot.name, &seen.status);
        }
        Ok(fresh)
    }

    /// Merges a file that another walker read, of a folder that the cache does not know.
    fn merge_read(
        &mut self,
        merge: &mut NodeMerge<'_>,
        read: Option<ReadEntry>,
    ) -> Result<Option<MergedFile>, MergeError> {
        let Some(ReadEntry { size, fresh, .. }) = read else { return Ok(None) };
        let is_changed = fresh.is_some();
        fresh.map_or(Ok(()), |fresh| merge.put(fresh, &mut self.entries.out.trees))?;
        Ok(Some(MergedFile { size, is_changed }))
    }

    /// Merges a file, if there is a file.
    fn merge_file(
        &mut self,
        merge: &mut NodeMerge<'_>,
        spot: EntrySpot<'_>,
    ) -> Result<Option<MergedFile>, MergeError> {
        let Some(seen) = self.see(spot) else { return Ok(None) };
        let fingerprint = Fingerprint::of(&seen.status);
        let trees = &mut self.entries.out.trees;
        let earlier = match merge.find(spot.name, trees)? {
            Some(cached) if !cached.racy && cached.fingerprint == fingerprint => {
                merge.take_known(trees)?;
                if let Some(sample) = &self.shared().sample {
                    sample.put_unread(spot.handle, spot.name, &seen.status);
                }
                self.entries.out.meter.finish(seen.status.size);
                return Ok(Some(MergedFile { size: seen.status.size, is_changed: false }));
            }
            Some(cached) => Some((
                Earlier { status: cached.fingerprint, fixed_size: cached.fixed_size },
                cached.decode().map(|known| known.kind),
            )),
            None => None,
        };
        let (earlier, known) = earlier.unzip();
        let fresh = self.read_entry(spot, seen, earlier)?;
        // A file that is only read again, since its time is too new to be trusted, is no change.
        let is_changed =
            fresh.as_ref().is_some_and(|fresh| known.flatten().as_ref() != Some(&fresh.entry.kind));
        fresh.map_or(Ok(()), |fresh| merge.put(fresh, &mut self.entries.out.trees))?;
        self.entries.out.meter.finish(seen.status.size);
        Ok(Some(MergedFile { size: seen.status.size, is_changed }))
    }

    fn merge_folder(
        &mut self,
        merge: &mut NodeMerge<'_>,
        spot: EntrySpot<'_>,
        below: &Below,
    ) -> Result<(), MergeError> {
        let Folded { node, totals } = below.folded;
        let kind = Kind::Directory { node, totals };
        let fingerprint = Fingerprint::of(&below.seen.status);
        let cached = merge.find(spot.name, &mut self.entries.out.trees)?;
        let cached = cached.filter(|cached| !cached.racy && cached.fingerprint == fingerprint);
        let known = cached.and_then(|cached| cached.decode());
        let xattrs = match known {
            Some(known) if known.kind == kind => return merge.take_known(&mut self.entries.out.trees),
            Some(known) => Ok(known.xattrs),
            None => xattrs_of_folder(spot),
        };
        let fresh = self.entries.fresh(spot, &below.seen, xattrs, kind);
        merge.put(fresh, &mut self.entries.out.trees)
    }

    /// Makes the node of the pushed folder itself, a single entry without a name, and hands over the rest.
    pub(crate) fn root_node(&mut self, handle: &Arc<Handle>, below: &Below) -> Result<ChunkRef, Stopped> {
        let Folded { node, totals } = below.folded;
        // The first folder of a walk stays open from the beginning.
        let folder = handle.open().map_err(|_| Stopped)?;
        let spot = EntrySpot { handle, folder: folder.as_ref(), name: b"" };
        let kind = Kind::Directory { node, totals };
        let NewEntry { entry, owner, .. } =
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

/// The names in a folder before anything is left out, and what the guide wants of the folder.
struct Listed {
    names: NameList,
    guided: Option<GuidedFolder>,
}

/// A folder of a walk with a guide.
struct GuidedFolder {
    path: Vec<u8>,
    interest: FolderInterest,
}

fn joined(mut path: Vec<u8>, name: &[u8]) -> Vec<u8> {
    if !path.is_empty() && !name.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

fn xattrs_of_folder(spot: EntrySpot<'_>) -> Result<Xattrs, XattrsLeftOut> {
    match spot.folder.open_folder(spot.name) {
        Ok(folder) => folder.as_ref().xattrs(),
        // The folder was deleted since the walk: no existing attribute is lost.
        Err(error) if error.is_gone() => Ok(Xattrs::new()),
        Err(_) => Err(XattrsLeftOut(UNREADABLE)),
    }
}
