//! Changes in folders as the system tells of them (inotify).
//!
//! The system watches single folders, so each folder of a tree is entered by itself, and a folder that moves away takes
//! the folders below along. An event is a hint that a folder has changed, never a proof of what changed: events may be
//! lost, and then `take` says so. Some filesystems tell nothing of changes by other computers. Not here: entering
//! the folders, which is the walk's task (`watch`).

use super::{error::SystemError, stop::StopRequest};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};
use std::{
    collections::{BTreeMap, HashMap},
    mem::MaybeUninit,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Types of filesystems that other computers or programs change behind the system's back (linux/magic.h).
const SILENT_FILESYSTEMS: [u64; 8] = [
    0x6969,      // nfs
    0x517b,      // smb
    0xff53_4d42, // cifs
    0xfe53_4d42, // smb2
    0x6573_5546, // fuse
    0x0102_1997, // 9p
    0x00c3_6400, // ceph
    0x5346_414f, // afs
];
const WANTED: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW)
    // Without this, a deleted file that a program still writes to would keep the folder busy.
    .union(WatchFlags::EXCL_UNLINK);
/// Events of one call; each has at most 272 bytes.
const READ_BYTES: usize = 16 * 1024;

/// A folder of a watched tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FolderSpot {
    /// Number of the tree.
    pub(crate) tree: usize,
    /// Names from the root of the tree, with slashes between; empty for the root.
    pub(crate) path: Arc<[u8]>,
}

/// What the system tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FolderEvent {
    /// Something in this folder changed.
    Changed(FolderSpot),
    /// Events were lost: anything may have changed.
    Lost,
}

/// The watched folders of some trees.
pub(crate) struct ChangeEvents {
    inotify: OwnedFd,
    watched: Mutex<WatchedFolders>,
}

#[derive(Default)]
struct WatchedFolders {
    spots: HashMap<i32, FolderSpot>,
    /// Sorted, so that the folders below a folder lie side by side.
    numbers: BTreeMap<FolderSpot, i32>,
}

impl ChangeEvents {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// Without inotify, or beyond the number that an account may have.
    pub(crate) fn open() -> Result<Self, SystemError> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self { inotify, watched: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, WatchedFolders> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the folder at `spot`, which lies at `place` now.
    ///
    /// # Errors
    /// `Full` beyond the number of folders that an account may watch.
    pub(crate) fn watch(&self, spot: FolderSpot, place: &Path) -> Result<(), SystemError> {
        let number = inotify::add_watch(&self.inotify, place, WANTED)?;
        self.lock().enter(number, spot);
        Ok(())
    }

    /// Whether the folder is watched.
    pub(crate) fn is_watched(&self, spot: &FolderSpot) -> bool {
        self.lock().numbers.contains_key(spot)
    }

    /// Events since the last call, without waiting.
    pub(crate) fn take(&self) -> Vec<FolderEvent> {
        let mut room = [MaybeUninit::uninit(); READ_BYTES];
        let mut reader = inotify::Reader::new(&self.inotify, &mut room);
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(std::ffi::CStr::to_bytes);
                    self.note(event.wd(), event.events(), name, &mut events);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return events,
                Err(_) => {
                    events.push(FolderEvent::Lost);
                    return events;
                }
            }
        }
    }

    fn note(&self, number: i32, flags: ReadFlags, name: Option<&[u8]>, events: &mut Vec<FolderEvent>) {
        if flags.intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::UNMOUNT) {
            events.push(FolderEvent::Lost);
        }
        let mut watched = self.lock();
        if flags.contains(ReadFlags::IGNORED) {
            watched.leave(number);
            return;
        }
        let Some(spot) = watched.spots.get(&number).cloned() else { return };
        if let (true, Some(name)) = (flags.contains(ReadFlags::MOVED_FROM | ReadFlags::ISDIR), name) {
            // Events of a folder that moved away would be told of the place where the folder was.
            for gone in watched.leave_below(&spot.below(name)) {
                let _ = inotify::remove_watch(&self.inotify, gone);
            }
        }
        // A program that writes a file bit by bit fills the queue with one folder.
        if events.last() != Some(&FolderEvent::Changed(spot.clone())) {
            events.push(FolderEvent::Changed(spot));
        }
    }
}

impl FolderSpot {
    /// The folder called `name` in this folder.
    fn below(&self, name: &[u8]) -> Self {
        let path = if self.path.is_empty() { name.to_vec() } else { [&self.path, &b"/"[..], name].concat() };
        Self { tree: self.tree, path: path.into() }
    }

    fn is_within(&self, top: &Self) -> bool {
        let rest = self.path.strip_prefix(&*top.path);
        self.tree == top.tree && rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }
}

impl WatchedFolders {
    fn enter(&mut self, number: i32, spot: FolderSpot) {
        // The same folder under another name: the old name leads nowhere.
        self.leave(number);
        if let Some(other) = self.numbers.insert(spot.clone(), number) {
            self.spots.remove(&other);
        }
        self.spots.insert(number, spot);
    }

    fn leave(&mut self, number: i32) {
        if let Some(spot) = self.spots.remove(&number) {
            self.numbers.remove(&spot);
        }
    }

    /// Forgets a folder and all below; returns their numbers.
    fn leave_below(&mut self, top: &FolderSpot) -> Vec<i32> {
        // Names between the folder and the folders below it (`a`, `a-b`, `a/c`) only lie in between.
        let is_near = |spot: &FolderSpot| spot.tree == top.tree && spot.path.starts_with(&top.path);
        let from_top = self.numbers.range(top.clone()..).take_while(|(spot, _)| is_near(spot));
        let gone: Vec<i32> =
            from_top.filter(|(spot, _)| spot.is_within(top)).map(|(_, number)| *number).collect();
        gone.iter().for_each(|number| self.leave(*number));
        gone
    }
}

/// Waits for an event, for the wish to stop, or for `at_most`.
pub(crate) fn wait_for_event(events: Option<&ChangeEvents>, stop: &StopRequest, at_most: Duration) {
    let mut sources = vec![PollFd::new(&stop.woken, PollFlags::IN)];
    sources.extend(events.map(|events| PollFd::new(&events.inotify, PollFlags::IN)));
    let seconds = i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX);
    let timeout = Timespec { tv_sec: seconds, tv_nsec: at_most.subsec_nanos().into() };
    // Interrupted: whoever waits looks again anyway.
    let _ = poll(&mut sources, Some(&timeout));
}

/// Whether the system hears of every change below `folder`.
pub(crate) fn tells_of_changes(folder: &Path) -> bool {
    #[allow(clippy::unnecessary_cast, reason = "the field's type differs between architectures")]
    rustix::fs::statfs(folder)
        .is_ok_and(|stat| !SILENT_FILESYSTEMS.contains(&((stat.f_type as i64).cast_unsigned() & 0xffff_ffff)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn spot(path: &str) -> FolderSpot {
        FolderSpot { tree: 0, path: path.as_bytes().into() }
    }

    #[test]
    fn a_change_names_its_folder_and_a_folder_that_moves_takes_those_below_along() {
        let top = tempfile::tempdir().expect("a folder");
        let events = ChangeEvents::open().expect("inotify");
        let paths = ["", "a", "a/b", "a-c", "d"];
        paths.iter().for_each(|path| fs::create_dir_all(top.path().join(path)).expect("made"));
        for path in paths {
            events.watch(spot(path), &top.path().join(path)).expect("watched");
        }
        assert_eq!(events.take(), []);
        fs::write(top.path().join("a/b/letter"), b"dear all").expect("written");
        assert_eq!(events.take(), [FolderEvent::Changed(spot("a/b"))]);
        fs::rename(top.path().join("a"), top.path().join("d/a")).expect("moved");
        assert_eq!(events.take(), [FolderEvent::Changed(spot("")), FolderEvent::Changed(spot("d"))]);
        let watched = |path| events.is_watched(&spot(path));
        assert_eq!(["a", "a/b", "a-c", "d"].map(watched), [false, false, true, true]);
        // The end of their watches is told too, and nothing of their new place under the old name.
        fs::write(top.path().join("d/a/b/letter"), b"again").expect("written");
        assert_eq!(events.take(), []);
        events.watch(spot("d/a/b"), &top.path().join("d/a/b")).expect("watched again");
        fs::remove_dir_all(top.path().join("d/a/b")).expect("removed");
        assert_eq!(events.take(), [FolderEvent::Changed(spot("d/a/b"))]);
        assert!(!events.is_watched(&spot("d/a/b")));
        assert_eq!(events.lock().numbers.len(), 3);
    }

    #[test]
    fn a_folder_known_under_another_name_has_one_name_in_the_end() {
        let top = tempfile::tempdir().expect("a folder");
        let events = ChangeEvents::open().expect("inotify");
        events.watch(spot("old"), top.path()).expect("watched");
        events.watch(spot("new"), top.path()).expect("watched");
        assert_eq!([spot("old"), spot("new")].map(|spot| events.is_watched(&spot)), [false, true]);
        fs::write(top.path().join("letter"), b"dear all").expect("written");
        assert_eq!(events.take(), [FolderEvent::Changed(spot("new"))]);
    }
}
