//! A restore: from a root to files on this computer's disk.
//!
//! A planner walks the tree, makes folders and plans a place for each chunk. A few fetchers ask for chunks in large
//! groups, check the chunks and write each chunk on arrival, in the order of the appliance's disk. A missing or
//! unwritable file is named, and the rest goes on. Memory holds a block for each fetcher, the plan of ten thousand
//! files and the next folders. Not here: fetching and checking chunks (`past::fetch`).

mod already;
mod choice;
mod content;
mod fetching;
mod filesystems;
mod growing;
mod links;
mod naming;
mod options;
mod plan;
mod preview;
mod replacing;
mod room;
mod site;
mod special;
mod survey;
mod target_folder;
mod visit;

pub(crate) use already::{PlannedEntry, is_back};
pub use choice::RestoreChoice;
pub(crate) use choice::{Choice, EntryFate, PathSet};
pub(crate) use content::{ContentTrouble, holds};
pub(crate) use naming::words;
pub use options::{Existing, RestoreOptions, Restored, RoomCheck, SpecialEntries};
pub use preview::{RestorePreview, preview};
pub(crate) use replacing::{NOT_IN_THE_BACKUP, PushRecord, PushedEntry, Replacing, TargetSpot, is_pushed};
pub(crate) use room::{check_room, free_at};
pub(crate) use site::Site;
pub(crate) use survey::joined;
pub(crate) use visit::{SnapshotVisitor, visit};

use crate::{
    ClientError, Past, TransferProgress,
    handle::{Budget, Handle},
    past::{selection::Selection, tree_reader::TreeReader},
    platform::{Acls, Attributes, OpenFolder, is_unfinished, make_unfinished, own_ids},
};
use fetching::write_groups;
use larder_format::tree::{Kind, read::Found};
use plan::WantedTree;
use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{channel, sync_channel},
    },
    thread,
};
use survey::WantedPart;
use target_folder::TargetFolder;

/// Requests for chunks that are under way at once.
const FETCHERS: usize = 3;
/// Groups that are planned ahead of the fetchers.
const GROUPS_AHEAD: usize = 2;

/// Restores the selection into the folder `to`.
///
/// # Errors
/// Errors that stop the whole restore. Single files stop nothing: `Restored::skipped` names such files.
pub fn restore(
    past: &dyn Past,
    wanted: &Selection<'_>,
    to: &Path,
    options: &RestoreOptions,
    progress: &TransferProgress,
) -> Result<Restored, ClientError> {
    let reader = TreeReader::new(past, progress);
    let Chosen { found, choice, bytes } = Chosen::of(past, &reader, wanted, options)?;
    if options.room == RoomCheck::First {
        check_room(to, bytes)?;
    }
    let target = Target::open(to, is_root(&found))?;
    progress.expect_bytes(bytes);
    let site = Site::new(options, progress, to);
    bring_back(past, WantedTree { reader: &reader, choice: &choice }, site, TargetOf { found, target })
}

/// Bytes of the files that a restore would bring back.
///
/// # Errors
/// As `restore`.
pub fn wanted_bytes(
    past: &dyn Past,
    wanted: &Selection<'_>,
    options: &RestoreOptions,
) -> Result<u64, ClientError> {
    let progress = TransferProgress::default();
    Chosen::of(past, &TreeReader::new(past, &progress), wanted, options).map(|chosen| chosen.bytes)
}

fn is_root(found: &Found) -> bool {
    found.entry.name.is_empty() && matches!(found.entry.kind, Kind::Directory { .. })
}

/// The selected entry, and what of it is wanted.
struct Chosen {
    found: Found,
    choice: Choice,
    /// Bytes of the wanted files.
    bytes: u64,
}

impl Chosen {
    fn of(
        past: &dyn Past,
        reader: &TreeReader<'_>,
        wanted: &Selection<'_>,
        options: &RestoreOptions,
    ) -> Result<Self, ClientError> {
        // Before any request: a mistyped pattern is told at once.
        let mut choice = Choice::new(&options.choice, wanted.path)?;
        let root = past.snapshot(wanted.source, wanted.when)?.root;
        let found = reader.find(&root, wanted.path)?;
        let all = match &found.entry.kind {
            Kind::Directory { totals, .. } => totals.bytes,
            Kind::File { size, .. } => *size,
            _ => 0,
        };
        if !choice.has_patterns() {
            return Ok(Self { found, choice, bytes: all });
        }
        let WantedPart { entries, bytes, damaged, passages } = WantedPart::of(reader, &found, &choice)?;
        if entries == 0 && damaged == 0 {
            return Err(ClientError::NothingWanted { of: wanted.source.to_owned() });
        }
        choice.pass_through(passages);
        Ok(Self { found, choice, bytes })
    }
}

/// An entry, and the folder that it comes back into.
struct TargetOf {
    found: Found,
    target: Target,
}

/// Brings the content of the root `found` back into the open folder `folder`, as far as `choice` and the rules of `site`
/// go.
///
/// # Errors
/// As `restore`.
pub(crate) fn restore_in_place(
    past: &dyn Past,
    choice: &Choice,
    site: Site<'_>,
    InPlace { found, handle }: InPlace,
) -> Result<Restored, ClientError> {
    let reader = TreeReader::new(past, site.progress);
    let target = Target { handle, is_ours: false, is_empty: false };
    bring_back(past, WantedTree { reader: &reader, choice }, site, TargetOf { found, target })
}

/// The root of a snapshot, and the living folder in its place.
pub(crate) struct InPlace {
    pub(crate) found: Found,
    pub(crate) handle: Arc<Handle>,
}

fn bring_back(
    past: &dyn Past,
    wanted: WantedTree<'_, '_>,
    site: Site<'_>,
    TargetOf { found, target: Target { handle, is_ours, is_empty } }: TargetOf,
) -> Result<Restored, ClientError> {
    let Found { entry, owner } = &found;
    let keeps = is_root(&found) && (is_ours || matches!(site.replacing, Replacing::Everything));
    let attributes = Attributes::of(entry, owner.clone());
    let attributes = if keeps { site.permitted(&entry.kind, attributes, || ".".to_owned()) } else { None };
    let opened = handle.open().and_then(|folder| {
        if keeps && is_ours {
            // Before the first file: otherwise every file in the folder would have to lose an inherited ACL.
            site.restorer.remove_acls(folder.as_ref(), Acls::OfFolder);
        }
        site.filesystems.note(handle.device(), folder.as_ref())
    });
    opened.map_err(|error| ClientError::local("opening the target folder", site.target(), error))?;
    let place = TargetFolder::root(handle, attributes, is_empty);
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
            let mut planner = plan::Planner::new(site, past, wanted, sender);
            planner.run(place, found);
            planner.into_links()
        })
    });
    links.make(&site, wanted.reader);
    site.finish()
}

struct Target {
    handle: Arc<Handle>,
    /// Whether this restore made the folder, or an earlier restore that broke off; any other folder keeps its own
    /// attributes.
    is_ours: bool,
    /// Nothing in the folder can be in the way.
    is_empty: bool,
}

impl Target {
    /// Opens the target, and makes a missing target. `becomes` says that the target will be the pushed folder itself,
    /// with its attributes.
    fn open(to: &Path, becomes: bool) -> Result<Self, ClientError> {
        let local = |cause: std::io::Error| ClientError::local("opening the target folder", to, cause);
        if to.exists() && !to.is_dir() {
            return Err(ClientError::no_folder(to));
        }
        let is_made = !to.exists();
        if is_made {
            Self::make(to, becomes).map_err(local)?;
        }
        let is_empty = std::fs::read_dir(to).map_err(local)?.next().is_none();
        let folder = OpenFolder::open(to).map_err(|error| local(error.into()))?;
        let status = folder.as_ref().status().map_err(|error| local(error.into()))?;
        let is_own = status.owner.user == own_ids().user;
        let is_ours = is_made || (is_unfinished(&status) && is_own);
        let handle = Handle::root(folder, Budget::of_this_process()).map_err(|error| local(error.into()))?;
        Ok(Self { handle, is_ours, is_empty })
    }

    fn make(to: &Path, becomes: bool) -> std::io::Result<()> {
        to.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        match if becomes { make_unfinished(to) } else { std::fs::create_dir(to) } {
            Err(_) if to.is_dir() => Ok(()),
            made => made,
        }
    }
}
