//! The walk of a roll-back: a snapshot and the living folder side by side, then what only the living folder has.
//!
//! The plan and the removal are the same walk with different hands (`RollbackHand`), so that nothing can go that no plan
//! would show. Where a list of names in the snapshot is damaged, nothing of that folder counts as extra: the missing
//! names may be among them. Not here: opening living folders (`live`), the plan, the removal.

use super::live::{LiveFolder, LiveListing, LiveLook, LiveName, LiveOpening};
use crate::{
    handle::Handle,
    platform::{FileStatus, KindHint},
    push::Ignores,
    restore::{Choice, EntryFate, SnapshotVisitor, TargetSpot, joined},
};
use larder_format::tree::read::Found;
use std::{rc::Rc, sync::Arc};

/// What the walk meets. Paths are below the source's folder.
pub(crate) trait RollbackHand {
    /// An entry of the snapshot that the living folder lacks.
    fn lacks(&mut self, _found: &Found, _path: &[u8]) {}

    /// An entry of the snapshot, and an entry other than a folder in its place.
    fn meets(&mut self, _spot: TargetSpot<'_>, _found: &Found, _path: &[u8]) {}

    /// A folder stands where the snapshot has a file, or a file where it has a folder.
    fn conflicts(&mut self) {}

    /// Something that no push takes stands under a name of the snapshot.
    fn leaves_alone(&mut self, _path: &[u8]) {}

    /// Names of the snapshot that cannot be told.
    fn is_damaged(&mut self, _path: &[u8]) {}

    /// An entry other than a folder that the snapshot lacks.
    fn has_extra(&mut self, _spot: TargetSpot<'_>, _status: &FileStatus, _path: &[u8]) {}

    /// A folder that the snapshot lacks, after everything in the folder.
    fn has_extra_folder(&mut self, _spot: TargetSpot<'_>, _path: &[u8]) {}

    /// A folder of both, after everything in the folder.
    fn leaves(&mut self, _folder: &LiveFolder) {}
}

/// The walk.
pub(crate) struct LiveWalk<'a, H> {
    pub(crate) look: LiveLook<'a>,
    pub(crate) choice: &'a Choice,
    pub(crate) hand: H,
}

/// A folder that the snapshot lacks.
struct ExtraFolder {
    above: Arc<Handle>,
    name: Vec<u8>,
    path: Vec<u8>,
    ignores: Option<Arc<Ignores>>,
}

enum ExtraStep {
    Look(ExtraFolder),
    /// Everything in the folder was met.
    End(ExtraFolder),
}

impl<H: RollbackHand> SnapshotVisitor for LiveWalk<'_, H> {
    type Place = Rc<LiveFolder>;

    fn folder(&mut self, above: &Rc<LiveFolder>, found: &Found) -> Option<Rc<LiveFolder>> {
        let name = &found.entry.name[..];
        let path = joined(&above.path, name);
        let fate = self.choice.fate(true, || path.clone());
        let standing = above.standing(name);
        if let (EntryFate::LeftOut, LiveName::Wanted(position, _)) = (fate, standing) {
            above.keep(position);
        }
        if fate == EntryFate::LeftOut {
            return None;
        }
        let live = match (standing, &above.live) {
            (LiveName::LeftOut, _) => {
                self.hand.leaves_alone(&path);
                return None;
            }
            (LiveName::Wanted(position, KindHint::Folder), Some(live)) => {
                above.keep(position);
                let ignores = live.ignores.as_ref();
                match self.look.open(LiveOpening { above: &live.handle, name, path: &path, ignores }) {
                    Ok(Some(listing)) => Some(listing),
                    // Another filesystem, our own key, or a folder that cannot be read.
                    Ok(None) | Err(_) => {
                        self.hand.leaves_alone(&path);
                        return None;
                    }
                }
            }
            (LiveName::Wanted(..), _) => {
                self.hand.conflicts();
                None
            }
            (LiveName::Nothing, _) => None,
        };
        if live.is_none() && fate == EntryFate::Wanted {
            self.hand.lacks(found, &path);
        }
        Some(Rc::new(LiveFolder::new(path, live, found.clone(), fate)))
    }

    fn other(&mut self, place: &Rc<LiveFolder>, found: &Found) {
        let name = &found.entry.name[..];
        let path = joined(&place.path, name);
        let is_wanted = self.choice.fate(false, || path.clone()) == EntryFate::Wanted;
        match (place.standing(name), &place.live) {
            (LiveName::LeftOut, _) => self.hand.leaves_alone(&path),
            (LiveName::Wanted(position, _), _) if !is_wanted => place.keep(position),
            (_, _) if !is_wanted => {}
            (LiveName::Wanted(_, KindHint::Folder), _) => {
                self.hand.conflicts();
                self.hand.lacks(found, &path);
            }
            (LiveName::Wanted(position, _), Some(live)) => {
                place.keep(position);
                // A folder that cannot be reached any more is not the folder of a moment ago.
                let Ok(folder) = live.handle.open() else { return };
                let spot = TargetSpot { handle: &live.handle, folder: folder.as_ref(), name };
                self.hand.meets(spot, found, &path);
            }
            _ => self.hand.lacks(found, &path),
        }
    }

    fn unreadable(&mut self, place: &Rc<LiveFolder>) {
        place.is_told.set(false);
        self.hand.is_damaged(&place.path);
    }

    fn leave(&mut self, place: Rc<LiveFolder>) {
        let Some(folder) = Rc::into_inner(place) else { return };
        if folder.is_told.get()
            && let Some(live) = &folder.live
        {
            for position in folder.extras() {
                self.extra(live, &folder.path, position);
            }
        }
        self.hand.leaves(&folder);
    }
}

impl<H: RollbackHand> LiveWalk<'_, H> {
    fn extra(&mut self, live: &LiveListing, above: &[u8], position: usize) {
        let (name, hint) = (live.wanted.name(position), live.wanted.hint(position));
        let path = joined(above, name);
        let is_folder = hint == KindHint::Folder;
        if self.choice.fate(is_folder, || path.clone()) != EntryFate::Wanted {
            return;
        }
        if !is_folder {
            return self.extra_file(&live.handle, name, &path);
        }
        let (above, ignores) = (Arc::clone(&live.handle), live.ignores.clone());
        self.extra_folder(ExtraFolder { above, name: name.to_owned(), path, ignores });
    }

    fn extra_file(&mut self, handle: &Arc<Handle>, name: &[u8], path: &[u8]) {
        let Ok(folder) = handle.open() else { return };
        let spot = TargetSpot { handle, folder: folder.as_ref(), name };
        if let Ok(status) = spot.folder.status_at(name) {
            self.hand.has_extra(spot, &status, path);
        }
    }

    /// The folder and all below, each folder after everything in the folder.
    fn extra_folder(&mut self, top: ExtraFolder) {
        let mut steps = vec![ExtraStep::Look(top)];
        while let Some(step) = steps.pop() {
            let at = match step {
                ExtraStep::Look(at) => at,
                ExtraStep::End(ExtraFolder { above, name, path, .. }) => {
                    if let Ok(folder) = above.open() {
                        let spot = TargetSpot { handle: &above, folder: folder.as_ref(), name: &name };
                        self.hand.has_extra_folder(spot, &path);
                    }
                    continue;
                }
            };
            let opening = LiveOpening {
                above: &at.above,
                name: &at.name,
                path: &at.path,
                ignores: at.ignores.as_ref(),
            };
            // Another filesystem, our own key, or a folder that was exchanged for something else: it stays.
            let Ok(Some(listing)) = self.look.open(opening) else { continue };
            let path = at.path.clone();
            steps.push(ExtraStep::End(at));
            for position in (0..listing.wanted.len()).rev() {
                let name = listing.wanted.name(position);
                if listing.wanted.hint(position) == KindHint::Folder {
                    let (above, ignores) = (Arc::clone(&listing.handle), listing.ignores.clone());
                    let path = joined(&path, name);
                    steps.push(ExtraStep::Look(ExtraFolder { above, name: name.to_owned(), path, ignores }));
                }
            }
            for position in 0..listing.wanted.len() {
                let name = listing.wanted.name(position);
                if listing.wanted.hint(position) != KindHint::Folder {
                    self.extra_file(&listing.handle, name, &joined(&path, name));
                }
            }
        }
    }
}
