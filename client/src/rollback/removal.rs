//! What goes in a roll-back: files that the snapshot lacks, each only as the last push saw it.
//!
//! Every file is looked at again just before it goes. One that changed since, that no push takes, or that lies on
//! another filesystem stays, and is named. Files go by their name in an open folder, so neither a symlink nor a folder
//! that was moved leads anywhere else. Folders go when they are empty. Not here: what the push saw (`pushed_files`).

use super::{live::LiveFolder, walk::RollbackHand};
use crate::{
    past::tree_reader::TreeReader,
    platform::{Acls, Attributes, ErrorCause, FileStatus},
    restore::{EntryFate, NOT_IN_THE_BACKUP, PushRecord, Site, TargetSpot, is_pushed, words},
    unfinished::is_unfinished,
};
use larder_format::wire::escape_name;

/// Removes extra files and folders, and gives folders back the attributes that they had.
pub(super) struct RemovingHand<'a, 'r> {
    pub(super) site: &'a Site<'a>,
    pub(super) reader: &'a TreeReader<'r>,
    pub(super) pushed: &'a dyn PushRecord,
    pub(super) removed: Removed,
}

/// What went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Removed {
    /// Files and other entries than folders.
    pub files: u64,
    /// Folders.
    pub folders: u64,
}

impl RollbackHand for RemovingHand<'_, '_> {
    fn has_extra(&mut self, spot: TargetSpot<'_>, status: &FileStatus, path: &[u8]) {
        if is_unfinished(spot.name) {
            return;
        }
        let is_unchanged = is_pushed(self.pushed, self.reader, spot, status)
            && spot.folder.status_at(spot.name).is_ok_and(|now| now.same_state(status));
        if !is_unchanged {
            return self.site.skip(escape_name(path), NOT_IN_THE_BACKUP);
        }
        match spot.folder.remove(spot.name) {
            Ok(()) => self.removed.files += 1,
            Err(error) if error.is_gone() => {}
            Err(error) => {
                self.site.skip(escape_name(path), format!("it could not be removed: {}", words(error)))
            }
        }
    }

    fn has_extra_folder(&mut self, spot: TargetSpot<'_>, path: &[u8]) {
        if !self.pushed.has_folder(spot) {
            return self.site.skip(escape_name(path) + "/", NOT_IN_THE_BACKUP);
        }
        match spot.folder.remove_folder(spot.name) {
            Ok(()) => self.removed.folders += 1,
            // What is still in it was named, or is left out of backups.
            Err(error) if error.is_gone() || error.cause() == ErrorCause::Taken => {}
            Err(error) => {
                self.site.skip(escape_name(path) + "/", format!("it could not be removed: {}", words(error)));
            }
        }
    }

    fn leaves(&mut self, folder: &LiveFolder) {
        let (Some(live), EntryFate::Wanted) = (&folder.live, folder.fate) else { return };
        let attributes = Attributes::of(&folder.found.entry, folder.found.owner.clone());
        let permitted = self.site.special.permitted(&folder.found.entry.kind, attributes).attributes;
        let (Some(attributes), Ok(opened)) = (permitted, live.handle.open()) else { return };
        let is_alike = opened
            .as_ref()
            .status()
            .is_ok_and(|status| status.permissions == attributes.mode && attributes.is_time(status.modified));
        if !is_alike {
            self.site.restorer.apply(opened.as_ref(), &attributes, None, Acls::OfFolder);
        }
    }
}
