//! A restore: from a root to files on this computer's disk.
//!
//! One planner walks the tree, makes folders and says which chunk belongs where; a few fetchers ask for chunks in
//! large groups, check them and write them as they arrive, in whatever order they lie on the disk. What
//! cannot be had or written is named and the rest goes on. Memory holds one block a fetcher, the plan of some ten thousand
//! files and the folders that come next. Not here: how chunks are had and checked (`fetch`).

mod already;
mod attributes;
mod filesystems;
mod growing;
mod links;
mod naming;
mod place;
mod plan;

use crate::{
    Past, Progress, SkippedList, Trouble,
    handle::{Budget, Handle},
    past::fetch::Fetcher,
    platform::unix::attributes::Status,
};
use attributes::{Acls, Attributes, Restorer};
use filesystems::Filesystems;
use growing::{Failure, Growing};
use larder_format::{ChunkId, ChunkRef, tree::Kind};
use naming::Unnamed;
use place::Place;
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{Mode, OFlags},
};
use std::{
    ffi::CString,
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, channel, sync_channel},
    },
    thread,
};

/// What happens to what is already in the target under a name that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// It stays; the file that would have taken its name is skipped and named, unless it is what stands there.
    #[default]
    Keep,
    /// It is replaced, once the restored file is whole.
    Replace,
}

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// What happens to files that are already there.
    pub existing: Existing,
}

/// What came of a restore.
#[derive(Debug, Default)]
pub struct Restored {
    /// Files and other entries that are there now.
    pub files: u64,
    /// Folders that are there now.
    pub folders: u64,
    /// Bytes of the files, as the owner sees them.
    pub bytes: u64,
    /// What could not be brought back, or not as it was.
    pub skipped: SkippedList,
    /// How many of them because their data is damaged where it is kept.
    pub damaged: u64,
    /// Entries that belong to whoever restored them, because only root may give files away.
    pub owners_left_out: u64,
    /// Permissions, times and extended attributes that the target did not take, each counted by itself.
    pub attributes_left_out: u64,
}

/// How the names of files begin that a restore has not finished; two numbers follow.
pub(crate) const UNFINISHED: &str = ".larder-restore-";
/// Requests for chunks that are under way at once.
const FETCHERS: usize = 3;
/// Groups that are planned ahead of them.
const GROUPS_AHEAD: usize = 2;

/// What to bring back.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// `DEVICE/NAME`.
    pub source: &'a str,
    /// A snapshot number, `newest`, a date, a time, or a span such as `2 weeks ago`.
    pub when: &'a str,
    /// Names with slashes between, below the pushed folder. A folder's path and a file's bring back that name in the
    /// target; the empty path brings back what is in the pushed folder, so that the target becomes it.
    pub path: &'a [u8],
}

/// Brings back what is wanted into the folder `to`.
///
/// # Errors
/// Whatever stops the whole restore. Single files do not: they are in `Restored::skipped`.
pub fn restore(
    past: &dyn Past,
    wanted: &Wanted<'_>,
    to: &Path,
    options: &RestoreOptions,
    progress: &Progress,
) -> Result<Restored, Trouble> {
    let root = past.snapshot(wanted.source, wanted.when)?.root;
    let mut reader = crate::TreeReader::new(past, progress);
    let (entry, owner) = reader.find(&root, wanted.path)?;
    let is_root = entry.name.is_empty() && matches!(entry.kind, Kind::Directory { .. });
    let Target { handle, is_ours, is_empty } = Target::open(to, is_root)?;
    progress.expect_bytes(match &entry.kind {
        Kind::Directory { totals, .. } => totals.bytes,
        Kind::File { size, .. } => *size,
        _ => 0,
    });
    let attributes = Attributes::of(&entry, owner.clone());
    let keeps = is_root && (is_ours || options.existing == Existing::Replace);
    let site = Site::new(options.existing, progress, to);
    let opened = handle.open().and_then(|folder| {
        if keeps && is_ours {
            // Here, or every file in it would have to be rid of what it inherits.
            site.restorer.remove_acls(folder.as_fd(), Acls::OfFolder);
        }
        site.filesystems.note(handle.device(), folder.as_fd())
    });
    opened.map_err(|errno| Trouble::local("opening the target folder", to, errno))?;
    let place = Place::root(handle, keeps.then_some(attributes), is_empty);
    let (sender, groups) = sync_channel(GROUPS_AHEAD);
    let groups = Mutex::new(groups);
    let (going_on, over) = channel();
    let links = thread::scope(|scope| {
        let site = &site;
        scope.spawn(move || site.filesystems.flush_until(&over));
        let _going_on = going_on;
        thread::scope(|scope| {
            for _ in 0..FETCHERS {
                scope.spawn(|| write_groups(past, site, &groups));
            }
            let mut planner = plan::Planner::new(site, past, reader, sender);
            planner.run(place, entry, owner);
            planner.into_links()
        })
    });
    links.make(&site);
    site.finish()
}

struct Target {
    handle: Arc<Handle>,
    /// Whether this restore made it, or one that broke off; a folder that was there keeps its own attributes.
    is_ours: bool,
    /// Nothing in it can be in the way.
    is_empty: bool,
}

impl Target {
    /// Opens the target, and makes it where it is not there. `becomes` says that it will be the pushed folder itself,
    /// with its attributes.
    fn open(to: &Path, becomes: bool) -> Result<Self, Trouble> {
        let local = |cause: std::io::Error| Trouble::local("opening the target folder", to, cause);
        if to.exists() && !to.is_dir() {
            return Err(Trouble::no_folder(to));
        }
        let is_made = !to.exists();
        if is_made {
            Self::make(to, becomes).map_err(local)?;
        }
        let is_empty = std::fs::read_dir(to).map_err(local)?.next().is_none();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd: OwnedFd = rustix::fs::open(to, flags, Mode::empty()).map_err(|errno| local(errno.into()))?;
        let status = Status::from(rustix::fs::fstat(&fd).map_err(|errno| local(errno.into()))?);
        let is_own = status.uid == rustix::process::geteuid().as_raw();
        let is_ours = is_made || (place::is_unfinished(&status) && is_own);
        let handle = Handle::root(fd, Budget::of_this_process()).map_err(|errno| local(errno.into()))?;
        Ok(Self { handle, is_ours, is_empty })
    }

    fn make(to: &Path, becomes: bool) -> std::io::Result<()> {
        to.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        let mode = if becomes { place::UNFINISHED_MODE.bits() } else { 0o777 };
        match std::fs::DirBuilder::new().mode(mode).create(to) {
            Err(_) if to.is_dir() => Ok(()),
            made => made,
        }
    }
}

/// What planner and fetchers share.
pub(crate) struct Site<'a> {
    existing: Existing,
    progress: &'a Progress,
    target: &'a Path,
    restorer: Restorer,
    unnamed: Unnamed,
    filesystems: Filesystems,
    skipped: Mutex<SkippedList>,
    damaged: AtomicU64,
    /// Tells this run's unfinished files from those of another one.
    process: u32,
    beside: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
    stopped: AtomicBool,
}

impl<'a> Site<'a> {
    fn new(existing: Existing, progress: &'a Progress, target: &'a Path) -> Self {
        Self {
            existing,
            progress,
            target,
            restorer: Restorer::new(),
            unnamed: Unnamed::new(existing),
            filesystems: Filesystems::default(),
            skipped: Mutex::default(),
            damaged: AtomicU64::new(0),
            process: std::process::id(),
            beside: AtomicU64::new(0),
            trouble: Mutex::default(),
            stopped: AtomicBool::new(false),
        }
    }

    fn skip(&self, path: String, why: impl Into<String>) {
        self.progress.add_skipped(1);
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).add(path, why);
    }

    /// Names what cannot come back because the appliance does not hold it whole.
    fn skip_damaged(&self, path: String) {
        self.damaged.fetch_add(1, Relaxed);
        self.skip(path, "its data is damaged or missing");
    }

    /// Names a folder of which a list of names is gone: what it named cannot even be named.
    fn skip_names(&self, path: String) {
        self.damaged.fetch_add(1, Relaxed);
        self.skip(
            path,
            "a list of the names in this folder is damaged or missing, and with it what they stood for",
        );
    }

    /// Ends the restore; the first reason counts.
    fn stop(&self, trouble: Trouble) {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(trouble);
        self.stopped.store(true, Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// A name that no other file of this run has; a run that broke off leaves such files, never halves under a
    /// real name.
    fn name_beside(&self) -> CString {
        let number = self.beside.fetch_add(1, Relaxed);
        let name = format!("{UNFINISHED}{}-{number}", self.process);
        CString::new(name).expect("letters and digits")
    }

    fn finish(self) -> Result<Restored, Trouble> {
        // Before any other trouble is told: "run this again" is no remedy for files that look whole and are not.
        self.filesystems.settle(self.target)?;
        if let Some(trouble) = self.trouble.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(trouble);
        }
        Ok(Restored {
            files: self.progress.files(),
            folders: self.progress.folders(),
            bytes: self.progress.bytes(),
            skipped: self.skipped.into_inner().unwrap_or_else(PoisonError::into_inner),
            damaged: self.damaged.into_inner(),
            owners_left_out: self.restorer.owners_left.into_inner(),
            attributes_left_out: self.restorer.attributes_left.into_inner(),
        })
    }
}

/// One chunk's place in one file.
struct Write {
    chunk: ChunkRef,
    file: Arc<Growing>,
    offset: u64,
}

/// Chunks that are asked for together.
type Group = Vec<Write>;

/// Fetches groups until the planner is done.
fn write_groups(past: &dyn Past, site: &Site<'_>, groups: &Mutex<Receiver<Group>>) {
    let mut fetcher = Fetcher::new(past, site.progress);
    loop {
        let group = groups.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut group) = group else { return };
        // The same chunk may belong in many places and is asked for once; sorting brings those places together.
        group.sort_by_key(|write| write.chunk.id);
        write_group(&mut fetcher, site, &group);
    }
}

fn write_group(fetcher: &mut Fetcher<'_>, site: &Site<'_>, group: &[Write]) {
    let mut names: Vec<ChunkId> = group.iter().map(|write| write.chunk.id).collect();
    names.dedup();
    let mut arrived = vec![false; names.len()];
    let fetched = if site.is_stopped() {
        Ok(Vec::new())
    } else {
        fetcher.fetch(&names, &mut |chunk, bytes| {
            arrived[names.partition_point(|name| name < chunk)] = true;
            for write in places_of(group, chunk) {
                write.file.write(site, bytes, write.offset);
                write.file.written(site);
            }
        })
    };
    // First: a folder whose files fail because of it must be known to be unfinished.
    if let Err(trouble) = fetched {
        site.stop(trouble);
    }
    // Every planned write comes to an end, or its file would stay behind under the name beside.
    for (name, _) in names.iter().zip(&arrived).filter(|(_, arrived)| !**arrived) {
        for write in places_of(group, name) {
            write.file.fail(Failure::Damaged);
            write.file.written(site);
        }
    }
}

fn places_of<'g>(group: &'g [Write], chunk: &ChunkId) -> impl Iterator<Item = &'g Write> {
    let from = group.partition_point(|write| write.chunk.id < *chunk);
    let to = group.partition_point(|write| write.chunk.id <= *chunk);
    group[from..to].iter()
}
