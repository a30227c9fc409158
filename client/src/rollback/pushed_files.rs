//! What the last push of a folder saw, from the cache that the push left behind.
//!
//! The cache names every file that a committed push sent, each with the state in which the push read it. So a file in
//! that state is in the backup, and a file without a record is not: excluded, unreadable, new or changed since. A cache
//! that is lost costs no file, since nothing may be touched then. Not here: the cache itself (`push::cache`).

use crate::{
    platform::FileStatus,
    push::cache::{Cache, Fingerprint, FolderKey, RecordReader},
    restore::{PushRecord, PushedEntry, TargetSpot},
};
use larder_format::{
    ChunkRef,
    tree::{Entry, Kind},
};
use std::{
    cmp::Ordering,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// The files of a push.
pub(crate) struct PushedFiles<'c> {
    cache: &'c Cache,
    root: FolderKey,
    open: Mutex<Option<OpenRecord<'c>>>,
}

/// The record of the folder that was asked for last.
struct OpenRecord<'c> {
    path: Vec<u8>,
    reader: RecordReader<'c>,
    last_name: Vec<u8>,
}

/// An entry of the record.
struct RememberedEntry {
    fingerprint: Fingerprint,
    is_racy: bool,
    entry: Entry,
}

impl<'c> PushedFiles<'c> {
    /// The files of `folder`, a whole path without symlinks.
    pub(crate) fn new(cache: &'c Cache, folder: &Path) -> Self {
        let root = FolderKey::root(&crate::platform::name_bytes(folder.as_os_str()));
        Self { cache, root, open: Mutex::new(None) }
    }

    /// Whether the cache is of the push that made a folder with this node.
    pub(crate) fn is_of(&self, node: &ChunkRef) -> bool {
        RecordReader::open(self.cache, self.root).is_some_and(|record| record.folded.node == *node)
    }

    fn remembered(&self, spot: TargetSpot<'_>) -> Option<RememberedEntry> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let path = spot.handle.path();
        if open.as_ref().is_none_or(|record| record.path != path) {
            let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
            let key = names.fold(self.root, FolderKey::child);
            let reader = RecordReader::open(self.cache, key)?;
            *open = Some(OpenRecord { path, reader, last_name: Vec::new() });
        }
        open.as_mut()?.find(spot.name)
    }
}

impl OpenRecord<'_> {
    /// Names are mostly asked for in order, so the record is read once and not once for each name.
    fn find(&mut self, name: &[u8]) -> Option<RememberedEntry> {
        if name <= &self.last_name[..] {
            self.reader.rewind()?;
        }
        self.last_name = name.to_owned();
        loop {
            let cached = self.reader.peek()?;
            match cached.name.cmp(name) {
                Ordering::Less => {}
                Ordering::Greater => return None,
                Ordering::Equal => {
                    let (fingerprint, is_racy) = (cached.fingerprint, cached.racy);
                    return Some(RememberedEntry { fingerprint, is_racy, entry: cached.decode()? });
                }
            }
            self.reader.step();
        }
    }
}

impl PushRecord for PushedFiles<'_> {
    fn entry(&self, spot: TargetSpot<'_>, status: &FileStatus) -> Option<PushedEntry> {
        let RememberedEntry { fingerprint, is_racy, entry } = self.remembered(spot)?;
        let now = Fingerprint::of(status);
        let is_same = fingerprint == now;
        // Another name of the file went a moment before, which moves the time of change of them all. The content is
        // compared then.
        let is_other_name =
            entry.hard_link != 0 && Fingerprint { changed: now.changed, ..fingerprint } == now;
        let is_sure = is_same && !is_racy;
        (is_same || is_other_name).then_some(PushedEntry { kind: entry.kind, is_sure })
    }

    fn has_folder(&self, spot: TargetSpot<'_>) -> bool {
        self.remembered(spot).is_some_and(|known| matches!(known.entry.kind, Kind::Directory { .. }))
    }
}
