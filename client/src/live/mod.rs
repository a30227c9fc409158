//! A folder of this computer beside a snapshot: what was added, changed and deleted since.
//!
//! Both are read side by side, a folder at a time and in the order of names, so memory holds the names of the folders on the
//! way down and one node of each. Status tells most files apart; content is read only where size is equal and time is not.
//! Not here: what a push leaves out (`push`), two snapshots beside each other (the appliance), the words for a person.

mod entry;
mod folder;

use crate::{
    ClientError, LeftOut, Past, PushOptions, SkippedList, TransferProgress,
    past::tree_reader::TreeReader,
    platform::{OwnerNames, SystemError, own_ids},
    push::{Excludes, excludes_of, in_words},
};
pub(crate) use entry::ContentLook;
use entry::{EntryComparison, LocalEntry, NotCompared};
use folder::LocalFolder;
use larder_format::{
    ChunkRef,
    tree::{
        DEPTH_MAX, Kind,
        read::{self, Chunks, Entries, Found},
    },
    wire::{Change, ChangeKind, EntryInfo, escape_name},
};
use std::{cmp::Ordering, iter::Peekable, path::Path};

/// The folder of a snapshot, and how it is compared.
pub(crate) struct LiveWish<'a> {
    /// The root of the snapshot.
    pub(crate) root: ChunkRef,
    /// Path of the folder in the snapshot; empty for all of it.
    pub(crate) path: &'a [u8],
    /// What a push would leave out.
    pub(crate) options: &'a PushOptions,
    pub(crate) look: ContentLook,
}

/// The end of a comparison.
#[derive(Debug, Default)]
pub(crate) struct LiveEnd {
    /// What could not be read here.
    pub(crate) skipped: SkippedList,
    /// What a push would leave out, and what was therefore not compared.
    pub(crate) left_out: LeftOut,
    /// Parts of the snapshot that could not be read.
    pub(crate) damaged: SkippedList,
    /// Differences handed over.
    pub(crate) changes: u64,
}

/// Hands each difference between the snapshot and `folder` to `each`, as a change from the snapshot to now.
///
/// # Errors
/// Those of `each`, and errors that stop everything: no such folder here or there, no connection.
pub(crate) fn compare_live<E: From<ClientError>>(
    past: &dyn Past,
    folder: &Path,
    wish: &LiveWish<'_>,
    progress: &TransferProgress,
    each: &mut dyn FnMut(Change) -> Result<(), E>,
) -> Result<LiveEnd, E> {
    let reader = TreeReader::new(past, progress);
    let nodes = reader.nodes();
    let excludes = excludes_of(wish.options)?;
    let stored = top_folder(&nodes, wish)?;
    let opened = LocalFolder::top(folder, &excludes);
    let local = opened.map_err(|error| ClientError::local("reading the folder", folder, error))?;
    let entries =
        EntryComparison { reader: &reader, owners: OwnerNames::default(), own: own_ids(), look: wish.look };
    let mut comparison = LiveComparison {
        nodes: &nodes,
        excludes: &excludes,
        entries,
        levels: vec![FolderPair::new(&nodes, Vec::new(), Some(local), Some(stored))],
        each,
        end: LiveEnd::default(),
    };
    while let Some(mut level) = comparison.levels.pop() {
        let below = comparison.step(&mut level)?;
        if !level.is_done {
            comparison.levels.push(level);
        }
        comparison.levels.extend(below);
    }
    let mut end = comparison.end;
    end.left_out = excludes.take_left_out();
    Ok(end)
}

/// The top node of the folder that is compared.
fn top_folder<C: Chunks<Error = ClientError>>(
    nodes: &C,
    wish: &LiveWish<'_>,
) -> Result<ChunkRef, ClientError> {
    let path = escape_name(wish.path);
    match read::find(nodes, &wish.root, wish.path)?.map(|found| found.entry.kind) {
        Some(Kind::Directory { node, .. }) => Ok(node),
        Some(_) => Err(ClientError::NotThere {
            what: format!("\"{path}\" is no folder in this snapshot."),
            remedy: "Folders are compared: name the folder that it is in.",
        }),
        None => Err(ClientError::NotThere {
            what: format!("There is no \"{path}\" in this snapshot."),
            remedy: "`larder ls` shows what is there, `larder versions` when it was.",
        }),
    }
}

/// A folder on the way down.
struct FolderPair<'n, C: Chunks<Error = ClientError> + ?Sized> {
    /// Path below the folder that is compared.
    path: Vec<u8>,
    /// None where the folder is not here any more.
    local: Option<LocalFolder>,
    /// Position of the next name in `local`.
    next: usize,
    /// None where the snapshot has no such folder.
    stored: Option<Peekable<Entries<'n, C>>>,
    is_done: bool,
}

/// The next name of two folders side by side.
enum PairStep {
    Stored(Box<Found>),
    Local(usize),
    Both(Box<Found>, usize),
    /// The rest of the stored folder cannot be read.
    Unreadable(ClientError),
    End,
}

impl<'n, C: Chunks<Error = ClientError> + ?Sized> FolderPair<'n, C> {
    fn new(nodes: &'n C, path: Vec<u8>, local: Option<LocalFolder>, stored: Option<ChunkRef>) -> Self {
        let stored = stored.map(|node| read::entries(nodes, node).peekable());
        Self { path, local, next: 0, stored, is_done: false }
    }

    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() { name.to_owned() } else { [&self.path[..], name].join(&b'/') }
    }

    fn step(&mut self) -> PairStep {
        let here = self.local.as_ref().filter(|local| self.next < local.names.len());
        let here = here.map(|local| local.names.name(self.next));
        let order = match (self.stored.as_mut().and_then(Peekable::peek), here) {
            (None, None) => return PairStep::End,
            (None, Some(_)) => Ordering::Greater,
            (Some(Ok(found)), Some(name)) => found.entry.name[..].cmp(name),
            (Some(_), _) => Ordering::Less,
        };
        let position = self.next;
        self.next += usize::from(order != Ordering::Less);
        let stored = self.stored.as_mut().filter(|_| order != Ordering::Greater);
        match stored.and_then(Peekable::next) {
            None => PairStep::Local(position),
            Some(Err(error)) => PairStep::Unreadable(error),
            Some(Ok(found)) if order == Ordering::Equal => PairStep::Both(Box::new(found), position),
            Some(Ok(found)) => PairStep::Stored(Box::new(found)),
        }
    }
}

struct LiveComparison<'c, 'a, 'n, C: Chunks<Error = ClientError> + ?Sized, E> {
    nodes: &'n C,
    excludes: &'c Excludes,
    entries: EntryComparison<'c, 'a>,
    /// The folder at hand is the last.
    levels: Vec<FolderPair<'n, C>>,
    each: &'c mut dyn FnMut(Change) -> Result<(), E>,
    end: LiveEnd,
}

impl<'n, C: Chunks<Error = ClientError> + ?Sized, E: From<ClientError>> LiveComparison<'_, '_, 'n, C, E> {
    /// Looks at the next name of a folder; returns the folder of that name.
    fn step(&mut self, level: &mut FolderPair<'n, C>) -> Result<Option<FolderPair<'n, C>>, E> {
        match level.step() {
            PairStep::End => level.is_done = true,
            PairStep::Unreadable(error) => {
                // Whatever comes behind would be called new.
                level.is_done = true;
                self.is_damaged(level.path.clone(), error)?;
            }
            PairStep::Stored(found) => return self.only_stored(level, &found),
            PairStep::Local(position) => return self.only_local(level, position),
            PairStep::Both(found, position) => return self.both(level, &found, position),
        }
        Ok(None)
    }

    /// A name that the snapshot has, and that the listing of the folder has not.
    fn only_stored(
        &mut self,
        level: &FolderPair<'n, C>,
        found: &Found,
    ) -> Result<Option<FolderPair<'n, C>>, E> {
        let name = &found.entry.name[..];
        // What a push leaves out is not listed, and is no deletion for that.
        if level.local.as_ref().is_some_and(|local| local.leaves_out(name)) {
            return Ok(None);
        }
        let path = level.path_of(name);
        self.tell(ChangeKind::Removed, &path, [Some(found), None])?;
        let stored = folder_of(found);
        if stored.is_some() && self.levels.len() >= DEPTH_MAX {
            // A folder that names itself has no end.
            self.is_damaged(path, ClientError::Damaged("its folders are nested too deeply".to_owned()))?;
            return Ok(None);
        }
        Ok(self.below(path, None, stored))
    }

    fn only_local(
        &mut self,
        level: &FolderPair<'n, C>,
        position: usize,
    ) -> Result<Option<FolderPair<'n, C>>, E> {
        let Some((path, entry)) = self.seen(level, position) else { return Ok(None) };
        let found = self.entries.as_found(&entry);
        self.tell(ChangeKind::Added, &path, [None, Some(&found)])?;
        let local = if entry.is_folder() { self.enter(level, &path, entry.name) } else { None };
        Ok(self.below(path, local, None))
    }

    fn both(
        &mut self,
        level: &FolderPair<'n, C>,
        found: &Found,
        position: usize,
    ) -> Result<Option<FolderPair<'n, C>>, E> {
        let Some((path, entry)) = self.seen(level, position) else { return Ok(None) };
        match self.entries.change(found, &entry) {
            Ok(None) => {}
            Ok(Some(change)) => {
                let now = self.entries.as_found(&entry);
                self.tell(change, &path, [Some(found), Some(&now)])?;
            }
            Err(NotCompared::Gone) => self.tell(ChangeKind::Removed, &path, [Some(found), None])?,
            Err(NotCompared::Here(error)) => self.end.skipped.add(escape_name(&path), in_words(error)),
            Err(NotCompared::Stored(error)) => self.is_damaged(path.clone(), error)?,
        }
        let stored = folder_of(found);
        if !entry.is_folder() {
            return Ok(self.below(path, None, stored));
        }
        // Of a folder that cannot be read here, nobody knows what was deleted.
        let Some(local) = self.enter(level, &path, entry.name) else { return Ok(None) };
        Ok(self.below(path, Some(local), stored))
    }

    /// Path and status of a listed name; none where it is gone, or cannot be seen and is named so.
    fn seen<'l>(
        &mut self,
        level: &'l FolderPair<'n, C>,
        position: usize,
    ) -> Option<(Vec<u8>, LocalEntry<'l>)> {
        let local = level.local.as_ref()?;
        let name = local.names.name(position);
        let path = level.path_of(name);
        match LocalEntry::see(local, name) {
            Ok(entry) => {
                self.entries.reader.progress().add_files(u64::from(!entry.is_folder()));
                Some((path, entry))
            }
            Err(error) => {
                self.skip(&path, error);
                None
            }
        }
    }

    fn enter(&mut self, level: &FolderPair<'n, C>, path: &[u8], name: &[u8]) -> Option<LocalFolder> {
        let entered = level.local.as_ref()?.enter(name, self.excludes);
        entered.map_err(|error| self.skip(path, error)).ok()
    }

    fn below(
        &self,
        path: Vec<u8>,
        local: Option<LocalFolder>,
        stored: Option<ChunkRef>,
    ) -> Option<FolderPair<'n, C>> {
        (local.is_some() || stored.is_some()).then(|| FolderPair::new(self.nodes, path, local, stored))
    }

    fn skip(&mut self, path: &[u8], error: SystemError) {
        if !error.is_gone() {
            self.end.skipped.add(escape_name(path), in_words(error));
        }
    }

    /// Names a part of the snapshot that is damaged; any other trouble ends the comparison.
    fn is_damaged(&mut self, path: Vec<u8>, error: ClientError) -> Result<(), E> {
        let ClientError::Damaged(why) = error else { return Err(error.into()) };
        let path = if path.is_empty() { ".".to_owned() } else { escape_name(&path) };
        self.end.damaged.add(path, why);
        Ok(())
    }

    fn tell(
        &mut self,
        change: ChangeKind,
        path: &[u8],
        [before, after]: [Option<&Found>; 2],
    ) -> Result<(), E> {
        self.end.changes += 1;
        let [before, after] = [before, after].map(|found| found.map(EntryInfo::of));
        (self.each)(Change { change, path: escape_name(path), before, after, content: None, from: None })
    }
}

fn folder_of(found: &Found) -> Option<ChunkRef> {
    match found.entry.kind {
        Kind::Directory { node, .. } => Some(node),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
