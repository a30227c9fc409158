//! The plan of a restore: makes folders, and plans a place for each chunk.
//!
//! The tree is walked as the reader of trees goes, the folders in a folder before its files, in the order of a push. The
//! appliance tells where chunks lie, and neighbouring chunks are asked for together: a copy of a file lies beside the
//! first copy, several walkers pushed at once, and a partly wanted block has to be cut.

use super::{
    already::{PlannedEntry, is_back},
    choice::{Choice, EntryFate},
    fetching::{FetchGroup, Write},
    growing::{FileFailure, GrowingFile},
    links::{LinkName, Links},
    naming::words,
    replacing::{NameMustBe, Replacing, TargetSpot, name_must_be},
    site::Site,
    survey::joined,
    target_folder::{OtherEntry, TargetFolder, make_other},
};
use crate::{
    ClientError, Past,
    past::tree_reader::TreeReader,
    platform::{Attributes, SystemError},
};
use larder_format::{
    ChunkId,
    tree::{
        Entry, Kind, Piece,
        read::{FolderWalk, Found, InnerFolder, Segment, WalkStep, ranges},
    },
    wire::{IDS_MAX, NOWHERE},
};
use std::sync::{Arc, atomic::Ordering::Relaxed, mpsc::SyncSender};

/// Writes that are sorted by the places of their chunks. Blocks at the borders are cut, and each write waits in
/// memory. The first window is small, so that the fetchers need not wait for every folder.
const WINDOW_WRITES_MAX: usize = 16 * 1024;
const WINDOW_WRITES_MIN: usize = 1024;
/// Bytes of files in a group: enough groups for the fetchers, each worth a request.
const GROUP_BYTES_MAX: u64 = 16 * 1024 * 1024;
const GROUP_BYTES_MIN: u64 = 4 * 1024 * 1024;
const GROUPS_WANTED: u64 = 12;
/// Files of several chunks in a window; each stays open until its last chunk is there.
const WINDOW_OPEN_FILES_MAX: usize = 64;
/// Bytes of names and attributes of the files in a window: a file may have 128 KiB of attributes and an owner with a long
/// name, and sixteen thousand such files would take gigabytes.
const WINDOW_ATTRIBUTES_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(crate) struct Planner<'a, 'r> {
    site: &'a Site<'a>,
    past: &'a dyn Past,
    reader: &'a TreeReader<'r>,
    choice: &'a Choice,
    groups: SyncSender<FetchGroup>,
    walk: FolderWalk<Arc<TargetFolder>>,
    window: Vec<Write>,
    window_writes_aim: usize,
    open_files: usize,
    attributes_bytes: usize,
    group_bytes_aim: u64,
    links: Links,
}

/// The tree of a restore, and what of it is wanted.
#[derive(Clone, Copy)]
pub(crate) struct WantedTree<'a, 'r> {
    pub(crate) reader: &'a TreeReader<'r>,
    pub(crate) choice: &'a Choice,
}

/// What becomes of an entry other than a folder.
enum EntryOutcome {
    /// The entry stands in the target already.
    Back,
    /// Something else stands there and stays.
    Stays(&'static str),
    Comes(NameMustBe),
}

impl<'a, 'r> Planner<'a, 'r> {
    pub(crate) fn new(
        site: &'a Site<'a>,
        past: &'a dyn Past,
        WantedTree { reader, choice }: WantedTree<'a, 'r>,
        groups: SyncSender<FetchGroup>,
    ) -> Self {
        Self {
            site,
            past,
            reader,
            choice,
            groups,
            walk: FolderWalk::default(),
            window: Vec::new(),
            window_writes_aim: WINDOW_WRITES_MIN,
            open_files: 0,
            attributes_bytes: 0,
            group_bytes_aim: (site.progress.expected_bytes() / GROUPS_WANTED)
                .clamp(GROUP_BYTES_MIN, GROUP_BYTES_MAX),
            links: Links::default(),
        }
    }

    /// Plans an entry and the entries below into `place`. A nameless folder is the root: its content goes into
    /// `place`.
    pub(crate) fn run(&mut self, place: Arc<TargetFolder>, found: Found) {
        match found.entry.kind {
            Kind::Directory { node, .. } if found.entry.name.is_empty() => {
                self.site.progress.add_folders(1);
                self.walk.enter(place, InnerFolder::top(node));
            }
            Kind::Directory { node, .. } => self.folder(place, found, InnerFolder::top(node)),
            _ => {
                self.other_than_folder(&place, found);
                TargetFolder::release(place, self.site);
            }
        }
        while !self.site.is_stopped()
            && let Some(step) = self.walk.next(&self.reader.nodes())
        {
            match step {
                WalkStep::Folder { above, found, inner } => self.folder(above, found, inner),
                WalkStep::Others { place, entries } => {
                    entries.for_each(|found| self.other_than_folder(&place, found));
                    TargetFolder::release(place, self.site);
                }
                WalkStep::Unreadable { place, error } => {
                    match error {
                        ClientError::Damaged(_) => self.site.skip_names(place.handle.path_of(b"")),
                        trouble => self.site.stop(trouble),
                    }
                    TargetFolder::release(place, self.site);
                }
            }
        }
        self.send_window();
    }

    /// Further names of files, to be made after the files. Ends the plan.
    pub(crate) fn into_links(self) -> Links {
        self.links
    }

    fn folder(&mut self, parent: Arc<TargetFolder>, found: Found, inner: InnerFolder) {
        let Found { entry, owner } = found;
        let below = || joined(&parent.handle.path(), &entry.name);
        let is_made = match self.choice.fate(true, below) {
            EntryFate::Wanted => true,
            EntryFate::Passage => self.choice.leads_on(&below()),
            EntryFate::LeftOut => false,
        };
        if !is_made {
            return TargetFolder::release(parent, self.site);
        }
        let path = || parent.handle.path_of(&entry.name);
        let attributes = self.site.permitted(&entry.kind, Attributes::of(&entry, owner), path);
        // A folder is never left out.
        let Some(attributes) = attributes else { return TargetFolder::release(parent, self.site) };
        // Only a root may be nameless; the system refuses to make a folder without a name.
        let name = usable(&entry.name);
        let entered = name.and_then(|name| TargetFolder::enter(&parent, name, attributes, self.site));
        match entered {
            Ok(place) => {
                self.site.progress.add_folders(1);
                self.walk.enter(place, inner);
            }
            Err(error) => {
                let why = format!("the folder and all in it were left out: {}", words(error));
                self.site.skip(parent.handle.path_of(&entry.name), why);
            }
        }
        TargetFolder::release(parent, self.site);
    }

    fn other_than_folder(&mut self, place: &Arc<TargetFolder>, found: Found) {
        let held_bytes = found.bytes();
        let Found { entry, owner } = found;
        let Ok(name) = usable(&entry.name) else { return };
        if name.is_empty() {
            // Only a root may be nameless, and a root does not lie in a folder.
            self.site.skip_damaged(place.handle.path_of(b""));
            return;
        }
        if self.choice.fate(false, || joined(&place.handle.path(), name)) != EntryFate::Wanted {
            return;
        }
        let first_name = match self.links.take(place, name, &entry) {
            LinkName::Only => None,
            LinkName::First(is_there) => Some(is_there),
            LinkName::Further => return,
        };
        let path = || place.handle.path_of(&entry.name);
        let attributes = self.site.permitted(&entry.kind, Attributes::of(&entry, owner), path);
        let Some(attributes) = attributes else { return };
        let must_be = match self.standing(place, &entry, &attributes) {
            EntryOutcome::Comes(must_be) => must_be,
            EntryOutcome::Stays(why) => return self.site.skip(path(), why),
            EntryOutcome::Back => {
                self.note_back(&entry.kind);
                first_name.iter().for_each(|is_there| is_there.store(true, Relaxed));
                return;
            }
        };
        match entry.kind {
            Kind::File { size, pieces } => {
                self.attributes_bytes += held_bytes;
                let file = GrowingFile::new(self.site, place, entry.name, attributes, size).over(must_be);
                self.file(&file.linked(first_name), place, size, pieces);
            }
            kind => match make_other(
                self.site,
                place,
                OtherEntry { name: &entry.name, kind: &kind, attributes: &attributes, must_be },
            ) {
                Ok(()) => {
                    self.site.note_named(must_be);
                    self.site.progress.add_files(1);
                    first_name.iter().for_each(|is_there| is_there.store(true, Relaxed));
                }
                Err(why) => self.site.skip(place.handle.path_of(&entry.name), why),
            },
        }
    }

    fn standing(&self, place: &TargetFolder, entry: &Entry, attributes: &Attributes) -> EntryOutcome {
        let replacing = self.site.replacing;
        if place.is_new || matches!(replacing, Replacing::Everything) {
            return EntryOutcome::Comes(replacing.unseen());
        }
        // Whoever cannot open the folder cannot write into it either, and is told so then.
        let Ok(folder) = place.handle.open() else { return EntryOutcome::Comes(NameMustBe::Free) };
        let spot = TargetSpot { handle: &place.handle, folder: folder.as_ref(), name: &entry.name };
        if is_back(self.site, self.reader, PlannedEntry { spot, entry, attributes }).unwrap_or(false) {
            return EntryOutcome::Back;
        }
        match name_must_be(replacing, self.reader, spot) {
            Ok(must_be) => EntryOutcome::Comes(must_be),
            Err(why) => EntryOutcome::Stays(why),
        }
    }

    fn note_back(&self, kind: &Kind) {
        let bytes = if let Kind::File { size, .. } = kind { *size } else { 0 };
        self.site.note_already();
        self.site.progress.add_files(1);
        self.site.progress.add_bytes(bytes);
        self.site.progress.pass(bytes);
    }

    fn file(&mut self, file: &Arc<GrowingFile>, place: &TargetFolder, size: u64, pieces: Vec<Piece>) {
        // Looked at before anything is fetched for it; the rename at the end looks again.
        let is_kept = !place.is_new && matches!(self.site.replacing, Replacing::Nothing);
        if is_kept && place.handle.open().is_ok_and(|folder| folder.as_ref().holds(file.name())) {
            file.fail(SystemError::TAKEN);
            file.written(self.site);
            return;
        }
        self.open_files += usize::from(pieces.len() > 1);
        if let Err(trouble) = self.pieces(file, size, pieces) {
            // Whatever ended the plan: the file is not whole, and would be given its name with a gap in it.
            file.fail(FileFailure::Damaged);
            if !matches!(trouble, ClientError::Damaged(_)) {
                self.site.stop(trouble);
            }
        }
        file.written(self.site);
        if self.open_files >= WINDOW_OPEN_FILES_MAX || self.attributes_bytes >= WINDOW_ATTRIBUTES_BYTES_MAX {
            self.send_window();
        }
    }

    fn pieces(&mut self, file: &Arc<GrowingFile>, size: u64, pieces: Vec<Piece>) -> Result<(), ClientError> {
        let lists = self.reader.lists();
        let mut offset = 0;
        for segment in ranges(&lists, pieces, 0..size) {
            match segment? {
                Segment::Zeros(bytes) => offset += bytes,
                Segment::Chunk { chunk, .. } => {
                    file.expect_write();
                    self.window.push(Write { chunk, file: Arc::clone(file), offset });
                    offset += u64::from(chunk.len);
                    if self.window.len() >= self.window_writes_aim {
                        self.send_window();
                    }
                    if self.site.is_stopped() {
                        // What was planned of it may still arrive; the rest never will.
                        file.fail(SystemError::CANCELED);
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends the plan so far, in groups of neighbours.
    fn send_window(&mut self) {
        (self.open_files, self.attributes_bytes) = (0, 0);
        self.window_writes_aim = (2 * self.window_writes_aim).min(WINDOW_WRITES_MAX);
        let window = std::mem::take(&mut self.window);
        let mut in_order: Vec<(u64, Write)> = self.places(&window).into_iter().zip(window).collect();
        // Stable: what lies in one block, or nobody knows where, stays in the order of the tree.
        in_order.sort_by_key(|(place, _)| *place);
        let (mut group, mut bytes, mut last) = (FetchGroup::new(), 0, None);
        for (place, write) in in_order {
            let is_full = bytes >= self.group_bytes_aim || group.len() >= IDS_MAX;
            // A block is not parted, unless it is wanted in very many places.
            if is_full && (last != Some(place) || group.len() >= 4 * IDS_MAX || place == NOWHERE) {
                self.send(std::mem::take(&mut group));
                bytes = 0;
            }
            bytes += u64::from(write.chunk.len);
            last = Some(place);
            group.push(write);
        }
        self.send(group);
    }

    /// The places of the chunks of these writes. Only the order depends on the places: without an answer, the
    /// fetchers will tell of the error.
    fn places(&self, window: &[Write]) -> Vec<u64> {
        let mut places = Vec::with_capacity(window.len());
        for some in window.chunks(IDS_MAX) {
            let names: Vec<ChunkId> = some.iter().map(|write| write.chunk.id).collect();
            let told = if self.site.is_stopped() { None } else { self.past.places(&names).ok() };
            places.extend(told.unwrap_or_else(|| vec![NOWHERE; names.len()]));
        }
        places
    }

    fn send(&self, group: FetchGroup) {
        if !group.is_empty() {
            // The fetchers only go away when the restore has stopped.
            let _ = self.groups.send(group);
        }
    }
}

/// Refuses a name that no system takes.
fn usable(name: &[u8]) -> Result<&[u8], SystemError> {
    if name.contains(&0) { Err(SystemError::NO_NAME) } else { Ok(name) }
}

#[cfg(test)]
mod tests;
