//! What has happened to each source's files over all its snapshots: the facts behind the first two answers.
//!
//! Counted once per snapshot from what differs, in the background; kept in memory, because it can be counted again. What
//! a snapshot claims of itself is its device's word, so nothing here may overflow, grow or run without end.

use larder_format::tree::Kind;
use larder_store::{Difference, Fact, Scope, StoreError, Vault};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Deleted paths that are remembered one by one over all sources, some 20 bytes each; beyond it a count says "at least".
const PATHS_MAX: usize = 250_000;
/// Folders that are compared of two snapshots. Forty of them, each named twice in the one above, have 2^40 paths.
const FOLDERS_MAX: u64 = 2_000_000;

/// Counts by source.
#[derive(Debug, Default)]
pub(crate) struct History {
    sources: HashMap<String, SourceHistory>,
    /// How often something was forgotten: what was counted before that and comes later is not taken in.
    forgotten: u64,
}

/// What is told of one source.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Files that were deleted and can be had back.
    pub(crate) deleted: u64,
    /// Whether there may be more of them than were remembered.
    pub(crate) deleted_at_least: bool,
    /// Whether every snapshot has been counted.
    pub(crate) is_complete: bool,
    /// Versions of files that are kept, the newest ones among them.
    pub(crate) versions: u64,
    /// Times that a file's content changed between two snapshots.
    pub(crate) changed: u64,
}

/// Everything counted of one source.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceHistory {
    /// Hashes of the paths of files that are not in the newest snapshot but in an older one.
    deleted: HashSet<u64>,
    /// Some were not remembered, or a snapshot could not be compared.
    is_cut: bool,
    versions: u64,
    changed: u64,
    /// The last snapshot that was counted: number and root.
    counted: Option<(u64, larder_format::ChunkRef)>,
}

impl SourceHistory {
    fn counts(&self, newest: u64) -> Counts {
        Counts {
            deleted: self.deleted.len() as u64,
            deleted_at_least: self.is_cut,
            is_complete: self.counted.is_some_and(|(sequence, _)| sequence >= newest),
            versions: self.versions,
            changed: self.changed,
        }
    }

    /// `room` is how many paths may be remembered.
    fn count(&mut self, difference: &Difference, room: usize) {
        let file = |found: &Option<larder_store::Found>| {
            found.as_ref().is_some_and(|found| !matches!(found.entry.kind, Kind::Directory { .. }))
        };
        let path = path_hash(&difference.path);
        match (file(&difference.before), file(&difference.after)) {
            (true, false) if self.deleted.len() < room => drop(self.deleted.insert(path)),
            (true, false) => self.is_cut = true,
            (false, true) => {
                self.deleted.remove(&path);
                self.versions = self.versions.saturating_add(1);
            }
            (true, true) if content_differs(difference) => {
                self.versions = self.versions.saturating_add(1);
                self.changed = self.changed.saturating_add(1);
            }
            _ => {}
        }
    }
}

impl History {
    /// Counts of a source whose newest snapshot to be counted has the number `newest`; zeros while nothing has been counted yet.
    /// Without any, it is as with one that could not be compared.
    pub(crate) fn of(&self, source: &str, newest: Option<u64>) -> Counts {
        let Some(newest) = newest else {
            return Counts { deleted_at_least: true, is_complete: true, ..Counts::default() };
        };
        self.sources.get(source).map(|history| history.counts(newest)).unwrap_or_default()
    }

    /// What has still to be counted of a source. Nothing when all is.
    pub(crate) fn pending(&self, source: &str, facts: &[Arc<Fact>]) -> Option<Pending> {
        let history = self.sources.get(source);
        let from = history.and_then(|history| history.counted).map_or(0, |(sequence, _)| sequence);
        let new = facts.partition_point(|fact| fact.sequence <= from);
        let others = self.sources.iter().filter(|(other, _)| *other != source);
        let taken = others.map(|(_, history)| history.deleted.len()).sum();
        (new < facts.len()).then(|| Pending {
            history: history.cloned().unwrap_or_default(),
            new: facts[new..].to_vec(),
            room: PATHS_MAX.saturating_sub(taken),
            forgotten: self.forgotten,
        })
    }

    /// Has a source counted anew.
    pub(crate) fn forget(&mut self, source: &str) {
        self.sources.remove(source);
        self.forgotten += 1;
    }

    /// Takes in what was counted.
    pub(crate) fn update(&mut self, source: &str, counted: Pending) {
        if counted.forgotten == self.forgotten {
            self.sources.insert(source.to_owned(), counted.history);
        }
    }
}

/// Snapshots that have still to be counted, and where their source stands.
pub(crate) struct Pending {
    history: SourceHistory,
    new: Vec<Arc<Fact>>,
    room: usize,
    forgotten: u64,
}

impl Pending {
    /// Counts on as long as `go_on` says so; cut short by that, it is good for nothing but the end. A snapshot that cannot be compared is stepped over, or the count would begin
    /// with it again for ever.
    pub(crate) fn count(&mut self, vault: &Vault, go_on: &dyn Fn() -> bool) {
        for fact in std::mem::take(&mut self.new) {
            match self.count_one(vault, &fact, go_on) {
                Ok(true) => {}
                Ok(false) => self.history.is_cut = true,
                Err(error) => {
                    self.history.is_cut = true;
                    let source = &fact.snapshot.source;
                    tracing::warn!(source, %error, "could not count what changed in this source");
                }
            }
        }
    }

    fn count_one(
        &mut self,
        vault: &Vault,
        fact: &Fact,
        go_on: &dyn Fn() -> bool,
    ) -> Result<bool, StoreError> {
        let root = fact.snapshot.root;
        let Some((_, before)) = self.history.counted.replace((fact.sequence, root)) else {
            self.history.versions = fact.snapshot.totals.files;
            return Ok(true);
        };
        let compared = Cell::new(0);
        let goes_on = || {
            compared.set(compared.get() + 1);
            compared.get() <= FOLDERS_MAX && go_on()
        };
        let (history, room) = (&mut self.history, self.room);
        vault.by(&Scope::appliance()).diff(before, root, &goes_on, &mut |difference| {
            history.count(&difference, room);
            Ok(())
        })
    }
}

fn content_differs(difference: &Difference) -> bool {
    let kind = |found: &Option<larder_store::Found>| found.as_ref().map(|found| found.entry.kind.clone());
    kind(&difference.before) != kind(&difference.after)
}

fn path_hash(path: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}
