//! What has happened to each source's files over all its snapshots: the facts behind the first two answers.
//!
//! Counted once per snapshot from what differs, in the background; kept in memory, because it can be counted again.

use larder_format::tree::Kind;
use larder_store::{Difference, Fact, StoreError, Vault};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Deleted paths that are remembered one by one, 8 bytes each; beyond it the count says "at least".
const PATHS_MAX: usize = 1_000_000;

/// Counts by source.
#[derive(Debug, Default)]
pub(crate) struct History {
    sources: HashMap<String, SourceHistory>,
}

/// What is told of one source.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Files that were deleted and can be had back.
    pub(crate) deleted: u64,
    /// Whether there may be more of them than were remembered.
    pub(crate) deleted_at_least: bool,
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
    versions: u64,
    changed: u64,
    /// The last snapshot that was counted: number and root.
    counted: Option<(u64, larder_format::ChunkRef)>,
}

impl SourceHistory {
    fn counts(&self) -> Counts {
        Counts {
            deleted: self.deleted.len() as u64,
            deleted_at_least: self.deleted.len() >= PATHS_MAX,
            versions: self.versions,
            changed: self.changed,
        }
    }

    fn count(&mut self, difference: &Difference) {
        let file = |found: &Option<larder_store::Found>| {
            found.as_ref().is_some_and(|found| !matches!(found.entry.kind, Kind::Directory { .. }))
        };
        let path = path_hash(&difference.path);
        match (file(&difference.before), file(&difference.after)) {
            (true, false) if self.deleted.len() < PATHS_MAX => drop(self.deleted.insert(path)),
            (false, true) => {
                self.deleted.remove(&path);
                self.versions += 1;
            }
            (true, true) if content_differs(difference) => {
                self.versions += 1;
                self.changed += 1;
            }
            _ => {}
        }
    }
}

impl History {
    /// Counts of a source; zeros while nothing has been counted yet.
    pub(crate) fn of(&self, source: &str) -> Counts {
        self.sources.get(source).map(SourceHistory::counts).unwrap_or_default()
    }

    /// What has still to be counted of a source: where it stands, and the snapshots after that. Nothing when all is.
    pub(crate) fn pending(
        &self,
        source: &str,
        facts: &[Arc<Fact>],
    ) -> Option<(SourceHistory, Vec<Arc<Fact>>)> {
        let history = self.sources.get(source);
        let from = history.and_then(|history| history.counted).map_or(0, |(sequence, _)| sequence);
        let new = facts.partition_point(|fact| fact.sequence <= from);
        (new < facts.len()).then(|| (history.cloned().unwrap_or_default(), facts[new..].to_vec()))
    }

    /// Has a source counted anew.
    pub(crate) fn forget(&mut self, source: &str) {
        self.sources.remove(source);
    }

    /// Takes in what was counted.
    pub(crate) fn update(&mut self, source: &str, history: SourceHistory) {
        self.sources.insert(source.to_owned(), history);
    }
}

/// Counts on from `history` by one snapshot. One that cannot be read is stepped over, or the count would begin with it
/// again for ever.
pub(crate) fn count(vault: &Vault, history: &mut SourceHistory, fact: &Fact) -> Result<(), StoreError> {
    let root = fact.snapshot.root;
    let before = history.counted.replace((fact.sequence, root));
    let Some((_, before)) = before else {
        history.versions = fact.snapshot.totals.files;
        return Ok(());
    };
    vault.diff(before, root, &mut |difference| {
        history.count(&difference);
        Ok(())
    })
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
