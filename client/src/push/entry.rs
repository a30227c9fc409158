//! Making the entry of a name: kind, attributes, content.
//!
//! A file that changes during the reading is read again, twice at most; after that the file is kept as read, and
//! named. A file that vanishes between listing and opening was deleted, which is no error. Not here: listing names
//! (`walker`).

use crate::{
    SkippedList, TransferProgress,
    handle::Handle,
    platform::{
        ErrorCause, FileKind, FileStatus, FolderRef, OwnerIds, OwnerNames, SystemError, Xattrs,
        XattrsLeftOut, status_of, xattrs_of,
    },
    progress::FileMeter,
    push::batch::{BatchGoes, Batcher, Queue, Stopped},
    push::cache::{Cache, Fingerprint},
    push::cut_choice::Earlier,
    push::cut_file::{self, Batches, Content, ReadError},
    push::exclude::Excludes,
    push::guide::WalkGuide,
    push::sample::Sample,
};
use larder_format::tree::{Entry, Kind, Owner, Time, hard_link_group};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// Values that the walkers of a push share.
pub(crate) struct PushContext<'a> {
    pub(crate) cache: &'a Cache,
    pub(crate) excludes: &'a Excludes,
    pub(crate) queue: &'a Queue,
    pub(crate) progress: &'a TransferProgress,
    pub(crate) skipped: &'a Mutex<SkippedList>,
    pub(crate) now: &'a (dyn Fn() -> Time + Sync),
    pub(crate) owners: OwnerNames,
    pub(crate) links: Mutex<HashMap<(u64, u64), Arc<Linked>>>,
    pub(crate) own: OwnerIds,
    /// The filesystem of the pushed folder.
    pub(crate) root_device: u64,
    /// Files that are hashed again as a whole, where the appliance takes such hashes.
    pub(crate) sample: Option<Sample>,
    /// Start of the finished write-out of that filesystem's memory; nothing while the write-out goes on.
    pub(crate) written_out: Arc<OnceLock<Time>>,
    /// Whoever follows the walk.
    pub(crate) guide: Option<&'a dyn WalkGuide>,
    pub(crate) nodes_go: BatchGoes,
}

/// Content of a file with several names.
pub(crate) struct Linked {
    fingerprint: Fingerprint,
    kind: Kind,
    xattrs: Xattrs,
    racy: bool,
    fixed_size: bool,
}

/// The status of an entry, and the time before the status was asked for and any byte of the entry was read. With the
/// time after a long reading, a change in the first second of the reading would pass for old.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed {
    pub(crate) status: FileStatus,
    pub(crate) at: Time,
    /// Writes before this time had left the memory of the system before any byte of the entry was read.
    pub(crate) written_out: Option<Time>,
}

/// So many files with several names are read once; the rest is read once for each name.
const LINKS_MAX: usize = 32 * 1024;
/// Files with more pieces than this are not remembered.
const LINKED_PIECES_MAX: usize = 8;
/// A file that goes on changing is kept as read the third time.
const ATTEMPTS_MAX: u32 = 3;
/// Reading larger files again costs more than a second reading gains: writers of large files usually go on.
const AGAIN_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Some filesystems count times in steps of up to two seconds.
const STEP_SECONDS: i64 = 2;
/// A program that writes to a mapped file moves the times with the first write alone, until the system has written
/// the page out. The system does so after half a minute, and looks every five seconds.
const UNSEEN_SECONDS: i64 = 60;

impl Observed {
    /// Whether such an entry may have changed since with the same times: racily clean, in the words of version
    /// control.
    fn is_racy(&self) -> bool {
        let is_before =
            |wait: i64, moment: Time| self.status.changed.seconds.saturating_add(wait) < moment.seconds;
        !is_before(UNSEEN_SECONDS, self.at)
            && !self.written_out.is_some_and(|begun| is_before(STEP_SECONDS, begun))
    }
}

impl PushContext<'_> {
    /// Names a file that is missing in the backup, or different.
    pub(crate) fn skip(&self, path: String, why: impl Into<String>) {
        self.progress.add_skipped(1);
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).add(path, why);
    }

    /// Asks for the status of an entry before any reading.
    pub(crate) fn see(
        &self,
        ask: impl FnOnce() -> Result<FileStatus, SystemError>,
    ) -> Result<Observed, SystemError> {
        let at = (self.now)();
        let written_out = self.written_out.get().copied();
        let status = ask()?;
        Ok(Observed { status, at, written_out: written_out.filter(|_| status.device == self.root_device) })
    }
}

/// Makes entries for a walker, with the shared values and batches of its own.
pub(crate) struct EntryReader<'a> {
    pub(crate) shared: &'a PushContext<'a>,
    pub(crate) out: Batches<'a>,
}

/// A new entry.
pub(crate) struct NewEntry {
    pub(crate) entry: Entry,
    pub(crate) owner: Arc<Owner>,
    pub(crate) fingerprint: Fingerprint,
    /// The next push must not trust the fingerprint.
    pub(crate) racy: bool,
    pub(crate) fixed_size: bool,
}

/// Where an entry is.
#[derive(Clone, Copy)]
pub(crate) struct EntrySpot<'a> {
    pub(crate) handle: &'a Arc<Handle>,
    pub(crate) folder: FolderRef<'a>,
    pub(crate) name: &'a [u8],
}

impl EntrySpot<'_> {
    pub(crate) fn path(&self) -> String {
        self.handle.path_of(self.name)
    }

    pub(crate) fn status(&self) -> Result<FileStatus, SystemError> {
        self.folder.status_at(self.name)
    }
}

/// A file as the last attempt read it.
struct FileRead {
    xattrs: Result<Xattrs, XattrsLeftOut>,
    content: Content,
    /// The file was the same before and after the reading.
    is_whole: bool,
}

/// Why there is no entry.
enum Absent {
    Stopped,
    Gone,
    Unreadable(String),
}

impl From<SystemError> for Absent {
    fn from(error: SystemError) -> Self {
        if error.is_gone() { Self::Gone } else { Self::Unreadable(in_words(error)) }
    }
}

impl<'a> EntryReader<'a> {
    pub(crate) fn new(shared: &'a PushContext<'a>) -> Self {
        let files = Batcher::for_files(shared.queue);
        let trees = Batcher::for_trees(shared.queue, shared.nodes_go);
        Self { shared, out: Batches { files, trees, meter: FileMeter::new(shared.progress) } }
    }

    /// The entry of a name other than a folder; nothing when the entry is gone or unreadable.
    pub(crate) fn entry(
        &mut self,
        spot: EntrySpot<'_>,
        seen: Observed,
        earlier: Option<Earlier>,
    ) -> Result<Option<NewEntry>, Stopped> {
        let made = match seen.status.kind {
            FileKind::File => self.file(spot, seen, earlier),
            FileKind::Symlink => spot
                .folder
                .read_link(spot.name)
                .map(|target| self.other(spot, &seen, Kind::Symlink(target)))
                .map_err(Absent::from),
            _ => seen
                .status
                .special_kind()
                .map(|kind| self.other(spot, &seen, kind))
                .ok_or_else(|| Absent::Unreadable("it changed while it was read".to_owned())),
        };
        match made {
            Ok(fresh) => Ok(Some(fresh)),
            Err(Absent::Stopped) => Err(Stopped),
            Err(Absent::Gone) => Ok(None),
            Err(Absent::Unreadable(why)) => {
                self.shared.skip(spot.path(), why);
                Ok(None)
            }
        }
    }

    fn other(&self, spot: EntrySpot<'_>, seen: &Observed, kind: Kind) -> NewEntry {
        self.fresh(spot, seen, spot.folder.xattrs_at(spot.name), kind)
    }

    /// An entry of a known kind; the caller may raise `racy` and `fixed_size`. An entry with incomplete extended attributes
    /// is named, and always racy: otherwise the entry would be named once and kept incomplete from then on.
    pub(crate) fn fresh(
        &self,
        spot: EntrySpot<'_>,
        seen: &Observed,
        xattrs: Result<Xattrs, XattrsLeftOut>,
        kind: Kind,
    ) -> NewEntry {
        let status = &seen.status;
        let racy = xattrs.is_err() || seen.is_racy();
        let xattrs = xattrs.unwrap_or_else(|XattrsLeftOut(why)| {
            self.shared.skip(spot.path(), format!("it is kept, but {why}"));
            Xattrs::new()
        });
        let is_linked = status.links > 1 && !matches!(kind, Kind::Directory { .. });
        let filesystem = if status.device == self.shared.root_device { 0 } else { status.device };
        let hard_link = if is_linked { hard_link_group(filesystem, status.inode) } else { 0 };
        let entry = Entry {
            name: spot.name.to_vec(),
            owner: 0,
            mode: status.permissions,
            modified: status.modified,
            hard_link,
            xattrs,
            kind,
        };
        NewEntry {
            entry,
            owner: self.shared.owners.of(status.owner),
            fingerprint: Fingerprint::of(status),
            racy,
            fixed_size: false,
        }
    }

    fn file(
        &mut self,
        spot: EntrySpot<'_>,
        seen: Observed,
        earlier: Option<Earlier>,
    ) -> Result<NewEntry, Absent> {
        if let Some(linked) = self.linked(&seen.status) {
            let fresh = self.fresh(spot, &seen, Ok(linked.xattrs.clone()), linked.kind.clone());
            // The file was read under its first name, and the time since then makes nothing sure that was unsure.
            return Ok(NewEntry { racy: fresh.racy || linked.racy, fixed_size: linked.fixed_size, ..fresh });
        }
        let Observed { status: mut before, mut at, mut written_out } = seen;
        let mut attempt = 1;
        loop {
            let file = spot.folder.open_file_quietly(spot.name, &before, self.shared.own)?;
            let content = cut_file::read(&file, spot.name, &before, earlier, &mut self.out);
            let content = match content {
                Ok(content) => content,
                Err(ReadError::Stopped) => return Err(Absent::Stopped),
                Err(ReadError::Io(error)) => return Err(Absent::from(error)),
            };
            let after = status_of(&file)?;
            if after.kind != FileKind::File {
                return Err(Absent::Unreadable("it changed while it was read".to_owned()));
            }
            let is_whole = after.same_state(&before) && content.size == before.size;
            if is_whole || attempt == ATTEMPTS_MAX || before.size > AGAIN_BYTES_MAX {
                let xattrs = xattrs_of(&file);
                if !is_whole {
                    let why = "it is kept, but it changed while it was read";
                    self.shared.skip(spot.path(), why);
                }
                let seen = Observed { status: after, at, written_out };
                return Ok(self.finish_file(spot, &seen, FileRead { xattrs, content, is_whole }));
            }
            attempt += 1;
            Observed { status: before, at, written_out } = self.shared.see(|| spot.status())?;
        }
    }

    fn finish_file(&self, spot: EntrySpot<'_>, seen: &Observed, read: FileRead) -> NewEntry {
        let FileRead { xattrs, content: Content { size, pieces, fixed_size }, is_whole } = read;
        let status = &seen.status;
        let remember = status.links > 1 && is_whole && xattrs.is_ok() && pieces.len() <= LINKED_PIECES_MAX;
        let kind = Kind::File { size, pieces };
        let mut fresh = self.fresh(spot, seen, xattrs, kind);
        fresh.fixed_size = fixed_size;
        fresh.racy |= !is_whole;
        if remember {
            let mut links = self.shared.links.lock().unwrap_or_else(PoisonError::into_inner);
            if links.len() < LINKS_MAX {
                let NewEntry { entry, fingerprint, racy, .. } = &fresh;
                let (kind, xattrs) = (entry.kind.clone(), entry.xattrs.clone());
                let linked = Linked { fingerprint: *fingerprint, kind, xattrs, racy: *racy, fixed_size };
                links.insert(status.identity(), Arc::new(linked));
            }
        }
        fresh
    }

    /// The content as read under another name of the same file.
    fn linked(&self, status: &FileStatus) -> Option<Arc<Linked>> {
        if status.links < 2 {
            return None;
        }
        let links = self.shared.links.lock().unwrap_or_else(PoisonError::into_inner);
        let linked = links.get(&status.identity())?;
        (linked.fingerprint == Fingerprint::of(status)).then(|| Arc::clone(linked))
    }
}

/// Why a file cannot be read, in words of an owner.
pub(crate) fn in_words(error: SystemError) -> String {
    match error.cause() {
        ErrorCause::Denied => "you are not allowed to read it".to_owned(),
        ErrorCause::BadDisk => "this computer's disk could not read it".to_owned(),
        ErrorCause::Exchanged => "it changed while it was read".to_owned(),
        ErrorCause::Gone | ErrorCause::Taken | ErrorCause::Full | ErrorCause::Other => error.to_string(),
    }
}

#[cfg(test)]
pub(in crate::push) mod tests {
    use super::*;
    use crate::{platform::OpenFolder, push::exclude::ExcludeRules};

    /// Hands over the shared values of a push without cache, excludes or senders; `now` is the clock of the walkers.
    pub(in crate::push) fn with_context<R>(
        now: &(dyn Fn() -> Time + Sync),
        test: impl FnOnce(&PushContext<'_>) -> R,
    ) -> R {
        // Without senders, each walker must find room for its rest at the end.
        let (queue, progress, skipped) = (Queue::new(9), TransferProgress::default(), Mutex::default());
        let (cache, excludes) = (Cache::none(), Excludes::new(&ExcludeRules::default()).expect("none"));
        test(&PushContext {
            cache: &cache,
            excludes: &excludes,
            queue: &queue,
            progress: &progress,
            skipped: &skipped,
            now,
            owners: OwnerNames::default(),
            links: Mutex::default(),
            own: OwnerIds { user: 0, group: 0 },
            root_device: 0,
            sample: None,
            written_out: Arc::default(),
            guide: None,
            nodes_go: BatchGoes::ToSenders,
        })
    }

    /// Two names of a file, each looked at so many seconds after the last change. Tells which entries are not racy;
    /// the last entry has unreadable extended attributes, and was looked at after an hour.
    fn trusted(seen_after: [i64; 2]) -> [bool; 3] {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), b"content").expect("written");
        std::fs::hard_link(folder.path().join("a"), folder.path().join("b")).expect("linked");
        let opened = OpenFolder::open(folder.path()).expect("opens");
        let handle = Handle::root(opened, crate::handle::Budget::new(9)).expect("a handle");
        let folder = handle.open().expect("open");
        // Reading takes until the end of the world.
        let now = || Time { seconds: i64::MAX, nanos: 0 };
        with_context(&now, |shared| {
            let mut walker = EntryReader::new(shared);
            let spot = |name| EntrySpot { handle: &handle, folder: folder.as_ref(), name };
            let seen = |name, after| {
                let status = spot(name).status().expect("there");
                let at = Time { seconds: status.changed.seconds + after, nanos: 0 };
                Observed { status, at, written_out: None }
            };
            let mut is_trusted = |name, after| {
                let fresh = walker.entry(spot(name), seen(name, after), None);
                !fresh.expect("not stopped").expect("an entry").racy
            };
            let [first, second] = [is_trusted(b"a", seen_after[0]), is_trusted(b"b", seen_after[1])];
            assert_eq!(shared.progress.skipped(), 0);
            let lacking = walker.fresh(spot(b"a"), &seen(b"a", 3600), Err(XattrsLeftOut("x")), Kind::Fifo);
            assert_eq!(shared.progress.skipped(), 1, "it is named");
            [first, second, !lacking.racy]
        })
    }

    #[test]
    fn what_changed_shortly_before_it_was_read_is_read_again() {
        assert_eq!(trusted([61, 61]), [true, true, false]);
        assert_eq!(trusted([60, 61]), [false, false, false], "a second name makes nothing sure");
        assert_eq!(trusted([61, 3]), [true, false, false]);
    }

    #[test]
    fn what_was_written_out_before_it_was_read_is_trusted_sooner() {
        let at = |seconds| Time { seconds, nanos: 0 };
        let status = OpenFolder::open(std::path::Path::new("/"))
            .and_then(|root| root.as_ref().status())
            .expect("there");
        let changed = status.changed.seconds;
        let is_trusted = |written_out| !Observed { status, at: at(changed + 10), written_out }.is_racy();
        assert!(!is_trusted(None) && !is_trusted(Some(at(changed + 2))) && is_trusted(Some(at(changed + 3))));
    }
}
