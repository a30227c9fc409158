//! A roll-back: a living folder becomes what it was in a snapshot.
//!
//! First a plan, which touches nothing. Then the caller has the present pushed, and only what that push holds is
//! replaced or removed: after a roll-back everything that was there before is in the backup. Files come back first, by
//! the rules of a restore; what the snapshot lacks goes afterwards. Where room is short, or a folder and a file have
//! exchanged places, the removal goes first. A roll-back that broke off is run again and finishes. Not here: asking, and
//! the push (`owner`). Why so: docs/why/019-rollback.md.

mod live;
mod plan;
mod pushed_files;
mod removal;
mod walk;

pub use plan::RollbackPlan;
pub use removal::Removed;

use crate::{
    ClientError, NotWritten, Past, PushOptions, RestoreChoice, RestoreOptions, Restored, RoomCheck,
    SkippedList, SpecialEntries, TransferProgress,
    handle::{Budget, Handle},
    past::tree_reader::TreeReader,
    platform::OpenFolder,
    push::{cache::Cache, excludes_of},
    restore::{Choice, EntryFate, InPlace, Replacing, Site, free_at, restore_in_place, visit},
};
use larder_format::{
    ChunkRef,
    tree::{Kind, read::Found},
};
use live::{LiveFolder, LiveLook};
use plan::PlanningHand;
use pushed_files::PushedFiles;
use removal::RemovingHand;
use std::{
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};
use walk::{LiveWalk, RollbackHand};

/// The part of this computer that a roll-back is about.
#[derive(Debug, Clone, Copy)]
pub struct FolderPart<'a> {
    /// The folder of the source, a whole path without symlinks.
    pub folder: &'a Path,
    /// Names with slashes between, below the folder: nothing outside of this path is touched. Empty for the whole folder.
    pub path: &'a [u8],
}

/// A living folder, and the snapshot that it becomes again.
pub struct Rollback<'a> {
    past: &'a dyn Past,
    /// The folder itself, a whole path without symlinks.
    folder: PathBuf,
    handle: Arc<Handle>,
    root: ChunkRef,
    /// Nothing outside of this path is touched; empty for the whole folder.
    scope: Vec<u8>,
    /// How the folder is pushed.
    push: &'a PushOptions,
}

/// What a roll-back did.
#[derive(Debug)]
pub struct RolledBack {
    /// What came back, or was there already.
    pub restored: Restored,
    /// What went.
    pub removed: Removed,
    /// Files and folders that could not go.
    pub not_removed: SkippedList,
}

impl<'a> Rollback<'a> {
    /// Of a folder, or of a part of it, to the tree `root`. `push` is how the folder is pushed.
    ///
    /// # Errors
    /// `Local` when the folder cannot be opened.
    pub fn new(
        past: &'a dyn Past,
        root: ChunkRef,
        part: FolderPart<'_>,
        push: &'a PushOptions,
    ) -> Result<Self, ClientError> {
        let FolderPart { folder, path: scope } = part;
        let opened = OpenFolder::open(folder).and_then(|open| Handle::root(open, Budget::of_this_process()));
        let handle = opened.map_err(|error| ClientError::local("opening the folder", folder, error))?;
        Ok(Self { past, folder: folder.to_owned(), handle, root, scope: scope.to_owned(), push })
    }

    /// Finds out what would be done. Changes nothing.
    ///
    /// # Errors
    /// Errors of the appliance; `Refused` with `not_found` where the snapshot lacks the path.
    pub fn plan(&self, progress: &TransferProgress) -> Result<RollbackPlan, ClientError> {
        let reader = TreeReader::new(self.past, progress);
        let root = self.root_of(&reader)?;
        if !self.scope.is_empty() {
            reader.find(&self.root, &self.scope)?;
        }
        // What the last push saw needs no reading.
        let cache = self.cache();
        let files = PushedFiles::new(&cache, &self.folder);
        let options = RestoreOptions { special: SpecialEntries::LeaveOut, ..RestoreOptions::default() };
        let site =
            Site::new(&options, progress, &self.folder).only_looking().replacing(Replacing::Pushed(&files));
        let excludes = excludes_of(self.push)?;
        let choice = self.choice()?;
        let hand = PlanningHand { site: &site, reader: &reader, plan: RollbackPlan::default() };
        let mut walk = LiveWalk { look: LiveLook::new(&excludes), choice: &choice, hand };
        self.walk(&reader, &root, &mut walk)?;
        let mut plan = walk.hand.plan;
        plan.left_out = excludes.take_left_out();
        plan.sort();
        Ok(plan)
    }

    /// Refuses a plan that has no room.
    ///
    /// # Errors
    /// `Unwritten`.
    pub fn check_room(&self, plan: &RollbackPlan) -> Result<(), ClientError> {
        let needed = plan.growth().saturating_sub(plan.go.bytes);
        match free_at(&self.folder) {
            Some(free) if free < needed => {
                let why = NotWritten::NoRoom { needed, free };
                Err(ClientError::Unwritten { path: self.folder.clone(), why })
            }
            _ => Ok(()),
        }
    }

    /// Does what was planned, after the push that made the tree `present`.
    ///
    /// # Errors
    /// `Local` when this computer does not know what the push saw; errors of a restore.
    pub fn run(
        &self,
        plan: RollbackPlan,
        present: &ChunkRef,
        options: &RestoreOptions,
        progress: &TransferProgress,
    ) -> Result<RolledBack, ClientError> {
        let cache = self.cache();
        let files = PushedFiles::new(&cache, &self.folder);
        let root = {
            let reader = TreeReader::new(self.past, progress);
            if !node_of(&reader.find(present, b"")?).is_some_and(|node| files.is_of(&node)) {
                let cause = std::io::Error::other("without that nothing may be replaced or removed");
                let path = self.push.cache.clone().unwrap_or_default();
                return Err(ClientError::local("noting what was backed up", path, cause));
            }
            self.root_of(&reader)?
        };
        let lacks_room = free_at(&self.folder).is_some_and(|free| free < plan.growth());
        let mut removed = Removed::default();
        if plan.conflicts > 0 || lacks_room {
            // What stays is named by the second removal.
            removed = self.remove(&files, options, progress)?.0;
        }
        progress
            .expect_bytes(plan.same.bytes.saturating_add(plan.back.bytes).saturating_add(plan.changed.bytes));
        let mut choice = self.choice()?;
        choice.leave_alone(plan.left_alone_paths);
        let options = RestoreOptions { room: RoomCheck::Never, ..options.clone() };
        let site = Site::new(&options, progress, &self.folder).replacing(Replacing::Pushed(&files));
        let place = InPlace { found: root, handle: Arc::clone(&self.handle) };
        let restored = restore_in_place(self.past, &choice, site, place)?;
        let (more, not_removed) = self.remove(&files, &options, progress)?;
        removed.files += more.files;
        removed.folders += more.folders;
        Ok(RolledBack { restored, removed, not_removed })
    }

    fn remove(
        &self,
        files: &PushedFiles<'_>,
        options: &RestoreOptions,
        progress: &TransferProgress,
    ) -> Result<(Removed, SkippedList), ClientError> {
        let reader = TreeReader::new(self.past, progress);
        let root = self.root_of(&reader)?;
        let site = Site::new(options, progress, &self.folder).replacing(Replacing::Pushed(files));
        let opened = self.handle.open();
        let noted = opened.and_then(|folder| site.filesystems.note(self.handle.device(), folder.as_ref()));
        noted.map_err(|error| ClientError::local("opening the folder", &self.folder, error))?;
        let excludes = excludes_of(self.push)?;
        let choice = self.choice()?;
        let removed = Removed::default();
        let hand = RemovingHand { site: &site, reader: &reader, pushed: files, removed };
        let mut walk = LiveWalk { look: LiveLook::new(&excludes), choice: &choice, hand };
        self.walk(&reader, &root, &mut walk)?;
        let removed = walk.hand.removed;
        Ok((removed, site.finish()?.skipped))
    }

    fn walk<H: RollbackHand>(
        &self,
        reader: &TreeReader<'_>,
        root: &Found,
        walk: &mut LiveWalk<'_, H>,
    ) -> Result<(), ClientError> {
        let listed = walk.look.list(Arc::clone(&self.handle), b"", None);
        let listing =
            listed.map_err(|error| ClientError::local("reading the folder", &self.folder, error))?;
        if listing.is_none() {
            let folder = self.folder.display();
            return Err(ClientError::Usage(format!("{folder} holds what no backup takes")));
        }
        let fate = if self.scope.is_empty() { EntryFate::Wanted } else { EntryFate::Passage };
        let top = LiveFolder::new(Vec::new(), listing, root.clone(), fate);
        visit(reader, Rc::new(top), root, walk)
    }

    fn root_of(&self, reader: &TreeReader<'_>) -> Result<Found, ClientError> {
        let root = reader.find(&self.root, b"")?;
        // A source is a folder; anything else would be a tree that nobody pushed.
        if node_of(&root).is_some() {
            Ok(root)
        } else {
            Err(ClientError::Damaged("the root is no folder".into()))
        }
    }

    fn choice(&self) -> Result<Choice, ClientError> {
        // What a push leaves out is left alone on both sides.
        let patterns = RestoreChoice { include: Vec::new(), exclude: self.push.exclude.clone() };
        Ok(Choice::new(&patterns, b"")?.within(&self.scope))
    }

    fn cache(&self) -> Cache {
        self.push.cache.as_deref().map_or_else(Cache::none, Cache::open_unchanging)
    }
}

fn node_of(found: &Found) -> Option<ChunkRef> {
    if let Kind::Directory { node, .. } = found.entry.kind { Some(node) } else { None }
}
