//! A push, from the folder to the receipt.
//!
//! Walkers read and cut, senders ask and send; a bounded queue lies between. The commit comes after every
//! acknowledgement. Where the appliance lacks a part that the cache took for stored, the push runs again as if
//! without a cache. Not here: the output for a person (`owner`).

mod batch;
pub(crate) mod cache;
mod changed;
mod cut_choice;
mod cut_file;
mod entry;
mod exclude;
mod folder;
pub(crate) mod followed;
mod frontier;
mod gone;
pub(crate) mod guide;
mod left_out;
mod measure;
mod mounted;
mod node_merge;
mod origin;
mod preview;
mod sample;
mod send;
mod shares;
mod threads;
mod walk;
mod walker;
mod written_out;

use crate::{
    ClientError, Remote, SkippedList, TransferProgress,
    handle::{Budget, Handle},
    platform::{OpenFolder, OwnerNames, SystemError, device_of, name_bytes, own_ids},
};
use batch::{BatchGoes, Queue, Stopped};
use cache::{Cache, FolderKey};
pub use changed::ChangedFiles;
use entry::PushContext;
pub(crate) use entry::in_words;
pub use exclude::DefaultExcludes;
use exclude::ExcludeRules;
pub(crate) use exclude::{Excludes, Ignores, SiftedFolder, check_patterns, patterns};
use frontier::Frontier;
use guide::WalkGuide;
use larder_format::{
    ChunkRef,
    tree::Totals,
    wire::{
        COMMIT_CONTENTS, COMMIT_ORIGIN, Commit, ContentHash, PushStart, PushWelcome, Receipt, SOURCE_ORIGIN,
    },
};
pub use left_out::{LeftOut, LeftOutNames, LeftOutReason};
pub(crate) use measure::{PushMeasure, measured};
pub(crate) use origin::origin;
use origin::zone;
pub use preview::{PushPreview, preview_push};
use sample::Sample;
use send::Senders;
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};
use threads::Threads;
use walk::take_part;
use walker::Walker;
use written_out::{time_of, write_out};

/// How to push a folder.
#[derive(Debug, Clone)]
pub struct PushOptions {
    /// Patterns as in a `.gitignore`, relative to the folder.
    pub exclude: Vec<String>,
    /// What is left out without a pattern.
    pub default_excludes: DefaultExcludes,
    /// Files and folders with the key of this computer; never in a backup.
    pub own_keys: Vec<PathBuf>,
    /// Folders on another filesystem stay empty.
    pub one_filesystem: bool,
    /// Path of the cache of this source; without a cache every file is read.
    pub cache: Option<PathBuf>,
    /// The owner says that the folder of the source has moved here.
    pub moved: bool,
    /// The owner says that a folder with backups may be empty now.
    pub may_be_empty: bool,
    /// Features of the appliance (`Identity::features`), without which a commit has the fields of the first version.
    pub features: Vec<String>,
    /// The clock of this computer.
    pub clock: fn() -> SystemTime,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self {
            exclude: Vec::new(),
            default_excludes: DefaultExcludes::default(),
            own_keys: Vec::new(),
            one_filesystem: false,
            cache: None,
            moved: false,
            may_be_empty: false,
            features: Vec::new(),
            clock: SystemTime::now,
        }
    }
}

impl PushOptions {
    /// Whether `feature` is among the appliance's features.
    fn is_understood(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }
}

/// The cache may count on parts that are lost, and a box forgets its last chunks at each loss of power.
const ATTEMPTS_MAX: u32 = 4;

/// A committed push.
#[derive(Debug)]
pub struct Pushed {
    /// The appliance's proof.
    pub receipt: Receipt,
    /// Root of the tree that the receipt is for.
    pub root: ChunkRef,
    /// Totals of the snapshot.
    pub totals: Totals,
    /// Files that could not be read, or changed during the reading.
    pub skipped: SkippedList,
    /// What was left out on purpose.
    pub left_out: LeftOut,
    /// What is new in the snapshot; none where this computer does not know its last push.
    pub changed: Option<ChangedFiles>,
}

/// Pushes the folder `folder` as `source` (`DEVICE/NAME`).
///
/// # Errors
/// Errors that stop the whole push. Unreadable files stop nothing: `Pushed::skipped` names such files.
pub fn push(
    remote: &dyn Remote,
    source: &str,
    folder: &Path,
    options: &PushOptions,
    progress: &TransferProgress,
) -> Result<Pushed, ClientError> {
    let welcome = start(remote, source, folder, options)?;
    if let Some(PushWelcome { snapshots, room_bytes: Some(room_bytes), .. }) = welcome {
        progress.tell_room(room_bytes, snapshots == 0);
    }
    let attempt = Attempt::new(remote, source, folder, options, progress)?;
    with_attempts(options, progress, |cache| attempt.run(cache))
}

/// Runs a push; where the appliance lacks a part that the cache took for stored, again as if without a cache.
fn with_attempts<T>(
    options: &PushOptions,
    progress: &TransferProgress,
    mut run: impl FnMut(Cache) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let mut pushed = run(options.cache.clone().map_or_else(Cache::none, Cache::open));
    for _ in 1..ATTEMPTS_MAX {
        if !pushed.as_ref().is_err_and(ClientError::is_missing_chunks) {
            break;
        }
        progress.begin_again();
        pushed = run(options.cache.clone().map_or_else(Cache::none, Cache::open_empty));
    }
    pushed
}

/// Asks the appliance whether `folder` may become a snapshot of `source`; nothing from an appliance that cannot tell.
///
/// # Errors
/// `Refused` with `other_folder`, and errors of the question.
pub(crate) fn start(
    remote: &dyn Remote,
    source: &str,
    folder: &Path,
    options: &PushOptions,
) -> Result<Option<PushWelcome>, ClientError> {
    if !options.is_understood(SOURCE_ORIGIN) {
        return Ok(None);
    }
    let start = PushStart { origin: origin(&named_folder(folder)?), moved: options.moved };
    remote.start(source, &start).map(Some)
}

/// The rules for what is left out.
pub(crate) fn excludes_of(options: &PushOptions) -> Result<Excludes, ClientError> {
    Excludes::new(&ExcludeRules {
        globs: &options.exclude,
        defaults: options.default_excludes,
        is_one_filesystem: options.one_filesystem,
        own_cache: options.cache.as_deref().and_then(Path::parent),
        own_keys: &options.own_keys,
    })
}

/// What a walk is for, and whoever follows the walk.
#[derive(Clone, Copy)]
enum PushPlan<'a> {
    Snapshot(Option<&'a dyn WalkGuide>),
    /// Files are sent, and no snapshot is made.
    Ahead(&'a dyn WalkGuide),
}

struct Attempt<'a> {
    remote: &'a dyn Remote,
    source: &'a str,
    options: &'a PushOptions,
    progress: &'a TransferProgress,
    folder: PathBuf,
    excludes: Excludes,
    /// Random, and the same for every attempt of a push, so that a push can only become a single snapshot.
    push: u128,
    plan: PushPlan<'a>,
}

/// Lets the senders go at the end of the walk, also after a panic: otherwise the push would wait for them for ever.
struct ClosesQueue<'a>(&'a Queue);

impl Drop for ClosesQueue<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The result of a finished walk.
struct Tree {
    root: ChunkRef,
    totals: Totals,
    contents: Vec<ContentHash>,
}

impl<'a> Attempt<'a> {
    fn new(
        remote: &'a dyn Remote,
        source: &'a str,
        folder: &Path,
        options: &'a PushOptions,
        progress: &'a TransferProgress,
    ) -> Result<Self, ClientError> {
        let folder = named_folder(folder)?;
        let excludes = excludes_of(options)?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| {
            let cause = std::io::Error::other(error.to_string());
            ClientError::local("asking this computer for a random number", "", cause)
        })?;
        let push = u128::from_be_bytes(id);
        let plan = PushPlan::Snapshot(None);
        Ok(Self { remote, source, options, progress, folder, excludes, push, plan })
    }

    fn run(&self, cache: Cache) -> Result<Pushed, ClientError> {
        let made = self.run_unless(cache, None)?;
        Ok(made.expect("a tree without a tree to compare with is new"))
    }

    /// Sends everything and makes a snapshot, unless the tree has the root `last`.
    fn run_unless(&self, cache: Cache, last: Option<ChunkRef>) -> Result<Option<Pushed>, ClientError> {
        let skipped = Mutex::new(SkippedList::default());
        // An attempt before may have looked at some folders.
        let _ = self.excludes.take_left_out();
        let Tree { root, totals, contents } = self.send_tree(&cache, &skipped)?;
        if last == Some(root) {
            return Ok(None);
        }
        if !self.options.may_be_empty && totals == Totals::default() {
            let welcome = start(self.remote, self.source, &self.folder, self.options)?;
            mounted::require_mounted(&self.folder, self.source, welcome.as_ref())?;
        }
        let skipped = skipped.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = (self.options.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        let commit = Commit {
            push: format!("{:032x}", self.push),
            root,
            totals,
            skipped: skipped.count,
            device_time_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
            origin: self.options.is_understood(COMMIT_ORIGIN).then(|| origin(&self.folder)).flatten(),
            zone: self.options.is_understood(COMMIT_ORIGIN).then(zone).flatten(),
            contents,
            moved: self.options.moved && self.options.is_understood(SOURCE_ORIGIN),
        };
        let receipt = self.remote.commit(self.source, &commit)?;
        // To the cache, each file of a folder that has moved is new.
        let changed = cache.knows(self.root_key()).then(|| ChangedFiles::of(self.progress));
        // The snapshot stands; without a new cache the next push only takes longer.
        let _ = cache.finish();
        let left_out = self.excludes.take_left_out();
        Ok(Some(Pushed { receipt, root, totals, skipped, left_out, changed }))
    }

    fn send_tree(&self, cache: &Cache, skipped: &Mutex<SkippedList>) -> Result<Tree, ClientError> {
        let threads = Threads::for_this_computer();
        let queue = Queue::new(threads.queued_batches);
        let clock = self.options.clock;
        let now = move || time_of(clock());
        let (guide, is_for_snapshot) = match self.plan {
            PushPlan::Snapshot(guide) => (guide, true),
            PushPlan::Ahead(guide) => (Some(guide), false),
        };
        let has_sample = is_for_snapshot && self.options.is_understood(COMMIT_CONTENTS);
        let shared = PushContext {
            cache,
            excludes: &self.excludes,
            queue: &queue,
            progress: self.progress,
            skipped,
            now: &now,
            owners: OwnerNames::default(),
            links: Mutex::default(),
            own: own_ids(),
            root_device: device_of(&self.folder).unwrap_or(0),
            sample: has_sample.then(|| Sample::new(self.push)),
            // Without new records in the cache nothing needs to be trusted.
            written_out: if is_for_snapshot { write_out(&self.folder, now()) } else { Arc::default() },
            guide,
            nodes_go: if is_for_snapshot { BatchGoes::ToSenders } else { BatchGoes::Nowhere },
        };
        let senders = Senders::new(self.remote, &queue, self.progress);
        let tree = thread::scope(|scope| {
            for _ in 0..threads.senders {
                scope.spawn(|| senders.send_all());
            }
            let _closing = ClosesQueue(&queue);
            self.walk(&shared, threads.walkers)
        });
        // A sender's reason comes first: the walkers only saw the stop.
        queue.trouble().map_or(tree, Err)
    }

    fn root_key(&self) -> FolderKey {
        FolderKey::root(&name_bytes(self.folder.as_os_str()))
    }

    fn walk(&self, shared: &PushContext<'_>, walkers: usize) -> Result<Tree, ClientError> {
        let local = |what, cause: SystemError| ClientError::local(what, &self.folder, cause);
        let handle = OpenFolder::open(&self.folder)
            .and_then(|folder| Handle::root(folder, Budget::of_this_process()))
            .map_err(|error| local("opening the folder", error))?;
        let mut walker = Walker::new(shared);
        let root = walker
            .root(handle.clone(), self.root_key())
            .map_err(|error| local("reading the folder", error))?;
        let frontier = Frontier::new(root);
        thread::scope(|scope| {
            for _ in 1..walkers {
                scope.spawn(|| take_part(&frontier, shared));
            }
            take_part(&frontier, shared);
        });
        let below = frontier.into_root().ok_or_else(stopped)?;
        let root = walker.root_node(&handle, &below).map_err(|Stopped| stopped())?;
        // Senders go on with the queue meanwhile.
        let contents = shared.sample.as_ref().map_or_else(Vec::new, |sample| sample.hash(shared.own));
        Ok(Tree { root, totals: below.folded.totals, contents })
    }
}

fn stopped() -> ClientError {
    ClientError::Usage("the push was stopped".to_owned())
}

/// The folder behind a name that the owner typed.
pub(crate) fn named_folder(named: &Path) -> Result<PathBuf, ClientError> {
    let found = named.canonicalize().map_err(|cause| match cause.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => ClientError::NotThere {
            what: format!("There is no folder {}.", named.display()),
            remedy: "Check the name, then run this again.",
        },
        _ => ClientError::local("looking for the folder to back up", named, cause),
    })?;
    if found.is_dir() { Ok(found) } else { Err(ClientError::no_folder(named)) }
}
