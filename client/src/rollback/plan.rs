//! The plan of a roll-back: what comes back, what changes, what goes.
//!
//! A value that can be shown and refused before anything is done. Not here: the walk (`walk`), doing it (`mod`).

use super::walk::RollbackHand;
use crate::{
    LeftOut, SkippedList, Tally,
    past::tree_reader::TreeReader,
    platform::{Attributes, FileStatus},
    restore::{PathSet, PlannedEntry, Site, TargetSpot, is_back},
};
use larder_format::{
    tree::{Kind, read::Found},
    wire::escape_name,
};

/// What a roll-back would do.
#[derive(Debug, Default)]
pub struct RollbackPlan {
    /// Entries of the snapshot that are not there any more.
    pub back: Tally,
    /// Files that are not what they were.
    pub changed: Tally,
    /// Files and folders that the snapshot lacks.
    pub go: Tally,
    /// Files that are what they were.
    pub same: Tally,
    /// Entries of the snapshot in whose place something stands that no push takes.
    pub left_alone: Tally,
    /// What no push takes, by reason.
    pub left_out: LeftOut,
    /// Folders of the snapshot with names that cannot be told.
    pub damaged: SkippedList,
    pub(super) left_alone_paths: PathSet,
    /// Bytes of changed files as they are now.
    changed_now_bytes: u64,
    largest_change_bytes: u64,
    /// Entries that must go before others can come back.
    pub(super) conflicts: u64,
}

impl RollbackPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.back.count() + self.changed.count() + self.go.count() == 0
    }

    /// Bytes that the folder needs beyond what it takes now, while nothing has gone yet. A changed file is replaced once
    /// the new file is whole, so one file is there twice.
    pub fn growth(&self) -> u64 {
        let grows = self.back.bytes.saturating_add(self.changed.bytes);
        grows.saturating_sub(self.changed_now_bytes).saturating_add(self.largest_change_bytes)
    }

    pub(super) fn sort(&mut self) {
        for tally in [&mut self.back, &mut self.changed, &mut self.go, &mut self.left_alone] {
            tally.named.sort();
        }
    }
}

/// Makes the plan.
pub(super) struct PlanningHand<'a, 'r> {
    pub(super) site: &'a Site<'a>,
    pub(super) reader: &'a TreeReader<'r>,
    pub(super) plan: RollbackPlan,
}

fn told(path: &[u8]) -> String {
    if path.is_empty() { ".".to_owned() } else { escape_name(path) }
}

fn bytes_of(found: &Found) -> u64 {
    if let Kind::File { size, .. } = found.entry.kind { size } else { 0 }
}

impl PlanningHand<'_, '_> {
    /// The attributes that the entry would get; nothing for an entry that would not be made.
    fn attributes(&self, found: &Found) -> Option<Attributes> {
        let attributes = Attributes::of(&found.entry, found.owner.clone());
        self.site.special.permitted(&found.entry.kind, attributes).attributes
    }
}

impl RollbackHand for PlanningHand<'_, '_> {
    fn lacks(&mut self, found: &Found, path: &[u8]) {
        match found.entry.kind {
            Kind::Directory { .. } => self.plan.back.add_folder(|| told(path)),
            _ if self.attributes(found).is_none() => {}
            _ => self.plan.back.add_file(bytes_of(found), || told(path)),
        }
    }

    fn meets(&mut self, spot: TargetSpot<'_>, found: &Found, path: &[u8]) {
        let Some(attributes) = self.attributes(found) else { return };
        let bytes = bytes_of(found);
        let planned = PlannedEntry { spot, entry: &found.entry, attributes: &attributes };
        if is_back(self.site, self.reader, planned).unwrap_or(false) {
            return self.plan.same.add_file(bytes, String::new);
        }
        let now = spot.folder.status_at(spot.name).map_or(0, |status| status.size);
        self.plan.changed.add_file(bytes, || told(path));
        self.plan.changed_now_bytes = self.plan.changed_now_bytes.saturating_add(now);
        self.plan.largest_change_bytes = self.plan.largest_change_bytes.max(bytes);
    }

    fn conflicts(&mut self) {
        self.plan.conflicts += 1;
    }

    fn leaves_alone(&mut self, path: &[u8]) {
        self.plan.left_alone_paths.insert(path);
        self.plan.left_alone.add_file(0, || told(path));
    }

    fn is_damaged(&mut self, path: &[u8]) {
        let why = "a list of the names in this folder is damaged on the appliance, so nothing in it goes";
        self.plan.damaged.add(told(path), why);
    }

    fn has_extra(&mut self, _: TargetSpot<'_>, status: &FileStatus, path: &[u8]) {
        self.plan.go.add_file(status.size, || told(path));
    }

    fn has_extra_folder(&mut self, _: TargetSpot<'_>, path: &[u8]) {
        self.plan.go.add_folder(|| told(path));
    }
}
