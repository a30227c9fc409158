//! How each source's files changed over all its snapshots: the facts behind the first two answers.
//!
//! Counted once per snapshot from the difference, in the background, and kept in memory, since a second count gives
//! the same. A snapshot's claims are its device's word, so no figure here may overflow, grow or run without end: a
//! snapshot that takes too much is stepped over, and the count says "at least". No start and no lamp waits for a
//! count.

use crate::decide::facts::Counts;
use larder_format::tree::read::{DiffEntry, EntryView, Visitor, Walked};
use larder_store::{Scope, SnapshotRecord, StoreError, Vault};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Deleted paths remembered one by one over all sources, some 20 bytes each; beyond the limit a count says "at
/// least".
const PATHS_MAX: usize = 250_000;
/// Limits of one comparison. Without limits a single device keeps the counts of the rest waiting.
const LIMITS: Limits = Limits { folders: 2_000_000, bytes: 4 << 30, time_s: 600 };

/// The limits of a comparison.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Forty folders, each named twice in its parent, have 2^40 paths.
    folders: u64,
    /// Bytes of nodes read: a folder may have as many entries as its device cares to send.
    bytes: u64,
    /// A disk with a seek for each folder takes hours where most disks take minutes.
    time_s: u64,
}

/// A count's questions while under way.
pub(crate) struct CountWatch<'a> {
    /// Whether to go on; asked often.
    pub(crate) go_on: &'a dyn Fn() -> bool,
    /// Seconds of a clock that only runs forward.
    pub(crate) now_s: &'a dyn Fn() -> u64,
}

/// Counts by source.
#[derive(Debug, Default)]
pub(crate) struct History {
    sources: HashMap<String, SourceHistory>,
    /// How often a source was forgotten: a count begun before and finished after is not taken in.
    forgotten: u64,
}

/// The counts of one source.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceHistory {
    /// Hashes of the paths of files missing in the newest snapshot and present in an older snapshot.
    deleted: HashSet<u64>,
    /// Some paths were not remembered.
    is_cut: bool,
    /// A snapshot was not compared.
    is_stepped_over: bool,
    versions: u64,
    changed: u64,
    /// The last counted snapshot: number and root.
    counted: Option<(u64, larder_format::ChunkRef)>,
}

impl SourceHistory {
    fn counts(&self, newest: u64) -> Counts {
        Counts {
            deleted: self.deleted.len() as u64,
            deleted_at_least: self.is_cut || self.is_stepped_over,
            is_complete: self.counted.is_some_and(|(sequence, _)| sequence >= newest),
            versions: self.versions,
            changed: self.changed,
            changed_at_least: self.is_stepped_over,
        }
    }

    /// `room` is how many paths may be remembered.
    fn count(&mut self, entry: &DiffEntry<'_>, room: usize) {
        let file = |view: Option<EntryView<'_>>| view.is_some_and(|view| view.folder().is_none());
        match (file(entry.before), file(entry.after)) {
            (true, false) if self.deleted.len() < room => drop(self.deleted.insert(path_hash(entry))),
            (true, false) => self.is_cut = true,
            (false, true) => {
                self.deleted.remove(&path_hash(entry));
                self.versions = self.versions.saturating_add(1);
            }
            (true, true) if content_differs(entry) => {
                self.versions = self.versions.saturating_add(1);
                self.changed = self.changed.saturating_add(1);
            }
            _ => {}
        }
    }
}

/// Counts the entries of a comparison within the limits.
struct CountVisitor<'a> {
    history: &'a mut SourceHistory,
    room: usize,
    limits: Limits,
    watch: &'a CountWatch<'a>,
    begun_s: u64,
}

impl Visitor<StoreError> for CountVisitor<'_> {
    fn may_go_on(&mut self, so_far: &Walked) -> bool {
        let Limits { folders, bytes, time_s } = self.limits;
        let is_within = so_far.folders <= folders && so_far.bytes <= bytes;
        is_within && (self.watch.now_s)().saturating_sub(self.begun_s) <= time_s && (self.watch.go_on)()
    }

    fn entry(&mut self, entry: &DiffEntry<'_>) -> Result<(), StoreError> {
        self.history.count(entry, self.room);
        Ok(())
    }
}

impl History {
    /// Counts of a source whose newest counted snapshot has the number `newest`; zeros before the first count.
    /// Without any, the same as after a failed comparison.
    pub(crate) fn of(&self, source: &str, newest: Option<u64>) -> Counts {
        let Some(newest) = newest else {
            return Counts { deleted_at_least: true, is_complete: true, ..Counts::default() };
        };
        self.sources.get(source).map(|history| history.counts(newest)).unwrap_or_default()
    }

    /// The uncounted snapshots of a source; none when the count is complete.
    pub(crate) fn pending(&self, source: &str, records: &[Arc<SnapshotRecord>]) -> Option<PendingCount> {
        let history = self.sources.get(source);
        let from = history.and_then(|history| history.counted).map_or(0, |(sequence, _)| sequence);
        let new = records.partition_point(|record| record.sequence <= from);
        let others = self.sources.iter().filter(|(other, _)| *other != source);
        let taken = others.map(|(_, history)| history.deleted.len()).sum();
        (new < records.len()).then(|| PendingCount {
            history: history.cloned().unwrap_or_default(),
            new: records[new..].to_vec(),
            room: PATHS_MAX.saturating_sub(taken),
            limits: LIMITS,
            forgotten: self.forgotten,
        })
    }

    /// Whether a snapshot of the source was not compared.
    pub(crate) fn is_stepped_over(&self, source: &str) -> bool {
        self.sources.get(source).is_some_and(|history| history.is_stepped_over)
    }

    /// Has a source counted anew.
    pub(crate) fn forget(&mut self, source: &str) {
        self.sources.remove(source);
        self.forgotten += 1;
    }

    /// Takes in a finished count.
    pub(crate) fn update(&mut self, source: &str, counted: PendingCount) {
        if counted.forgotten == self.forgotten {
            self.sources.insert(source.to_owned(), counted.history);
        }
    }
}

/// Uncounted snapshots, and the state of their source.
pub(crate) struct PendingCount {
    history: SourceHistory,
    new: Vec<Arc<SnapshotRecord>>,
    room: usize,
    limits: Limits,
    forgotten: u64,
}

impl PendingCount {
    /// Counts as long as `watch` allows; the result of a count cut short is useless. A snapshot whose comparison
    /// fails is stepped over, or the count would begin with it again for ever. Then the count ends with false: the
    /// snapshots behind wait for the next count, so a slow source lets the others go first.
    pub(crate) fn count(&mut self, vault: &Vault, watch: &CountWatch<'_>) -> bool {
        for record in std::mem::take(&mut self.new) {
            match self.count_one(vault, &record, watch) {
                Ok(true) => continue,
                Ok(false) => {
                    let (source, snapshot) = (&record.snapshot.source, record.sequence);
                    tracing::warn!(
                        source,
                        snapshot,
                        "a snapshot takes too long to compare and is not counted"
                    );
                }
                Err(error) => {
                    let source = &record.snapshot.source;
                    tracing::warn!(source, %error, "could not count what changed in this source");
                }
            }
            self.history.is_stepped_over = true;
            return false;
        }
        true
    }

    fn count_one(
        &mut self,
        vault: &Vault,
        record: &SnapshotRecord,
        watch: &CountWatch<'_>,
    ) -> Result<bool, StoreError> {
        let root = record.snapshot.root;
        let Some((_, before)) = self.history.counted.replace((record.sequence, root)) else {
            self.history.versions = record.snapshot.totals.files;
            return Ok(true);
        };
        let (room, limits, begun_s) = (self.room, self.limits, (watch.now_s)());
        let mut count = CountVisitor { history: &mut self.history, room, limits, watch, begun_s };
        Ok(vault.by(&Scope::appliance()).compare(before, root, &mut count)?.is_complete)
    }
}

fn content_differs(entry: &DiffEntry<'_>) -> bool {
    entry.before.map(|view| &view.entry.kind) != entry.after.map(|view| &view.entry.kind)
}

fn path_hash(entry: &DiffEntry<'_>) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = entry.path_hash().0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::ChunkRef;
    use larder_format::block::Encoder;
    use larder_format::ledger::{Snapshot, WallStamp};
    use larder_format::tree::{Entry, Kind, Node, Owner, Time, Totals};
    use larder_store::disk::MemoryDisk;
    use larder_store::{IndexPlace, Options};
    use std::cell::Cell;

    const SOURCE: &str = "laptop/docs";
    const STAMP: WallStamp = WallStamp { time_ms: 1_780_000_000_000, trusted: true, powered_on_s: 0 };

    fn vault() -> Vault {
        let options = Options {
            disks: vec![Arc::new(MemoryDisk::new())],
            index: IndexPlace::Memory,
            random: Box::new(|| [7; 16]),
            reserve_bytes: 0,
            stamp: STAMP,
        };
        Vault::open(options).expect("opens").0
    }

    fn keep(vault: &Vault, entries: Vec<(String, Kind)>) -> ChunkRef {
        let owners = vec![Owner { uid: 0, gid: 0, user: String::new(), group: String::new() }];
        let entry = |(name, kind): (String, Kind)| {
            let (name, modified, xattrs) = (name.into_bytes(), Time::default(), Vec::new());
            Entry { name, owner: 0, mode: 0o644, modified, hard_link: 0, xattrs, kind }
        };
        let bytes = Node::Leaf { owners, entries: entries.into_iter().map(entry).collect() }.encode();
        let len = u32::try_from(bytes.len()).expect("small");
        vault.by(&Scope::appliance()).receive(&Encoder::new().encode(&bytes, vec![len])).expect("taken in");
        ChunkRef::to(&bytes)
    }

    fn directory(node: ChunkRef) -> Kind {
        Kind::Directory { node, totals: Totals::default() }
    }

    /// One more snapshot of the source, with this folder in it.
    fn push(vault: &Vault, node: ChunkRef) {
        let root = keep(vault, vec![(String::new(), directory(node))]);
        let mut push = [0; 16];
        push[..8].copy_from_slice(&vault.ledger().head.sequence.to_le_bytes());
        let snapshot = Snapshot::new(SOURCE, push, root, Totals::default());
        vault.by(&Scope::appliance()).commit(snapshot, STAMP).expect("complete");
    }

    /// Counts once with these limits, on a clock that advances by `step_s` at each question.
    fn count(history: &mut History, vault: &Vault, limits: Limits, step_s: u64) -> (bool, Counts) {
        let records = vault.ledger().snapshots(SOURCE).to_vec();
        let newest = records.last().map(|record| record.sequence);
        let Some(mut pending) = history.pending(SOURCE, &records) else {
            return (true, history.of(SOURCE, newest));
        };
        pending.limits = limits;
        let clock = Cell::new(0);
        let now_s = || clock.replace(clock.get() + step_s);
        let is_all = pending.count(vault, &CountWatch { go_on: &|| true, now_s: &now_s });
        history.update(SOURCE, pending);
        (is_all, history.of(SOURCE, newest))
    }

    fn fifos(vault: &Vault, names: std::ops::Range<u32>) -> ChunkRef {
        keep(vault, names.map(|name| (format!("{name:06}"), Kind::Fifo)).collect())
    }

    #[test]
    fn what_was_deleted_and_what_came_is_counted() {
        let (vault, mut history) = (vault(), History::default());
        for names in [0..10, 5..12, 0..3] {
            push(&vault, fifos(&vault, names));
        }
        let (is_all, counts) = count(&mut history, &vault, LIMITS, 0);
        assert!(is_all && counts.is_complete && !counts.deleted_at_least);
        assert_eq!((counts.deleted, counts.versions, counts.changed), (9, 5, 0));
    }

    /// Sixty-four long names above many folders: counting makes no path.
    #[test]
    fn a_path_bomb_is_counted_like_anything_else() {
        let (vault, mut history) = (vault(), History::default());
        let below = fifos(&vault, 0..1);
        let many = (0..5000).map(|name| (format!("{name:06}"), directory(below))).collect();
        let mut node = keep(&vault, many);
        push(&vault, below);
        for level in 0..64 {
            node = keep(&vault, vec![(format!("{level:01000}"), directory(node))]);
        }
        push(&vault, node);
        let (is_all, counts) = count(&mut history, &vault, LIMITS, 0);
        assert!(is_all && counts.is_complete && !counts.deleted_at_least);
        assert_eq!((counts.deleted, counts.versions), (1, 5000));
    }

    /// Each limit by itself: the snapshot is stepped over, the count says so, and goes on behind it the next time.
    #[test]
    fn a_snapshot_that_takes_too_much_is_stepped_over() {
        let vault = vault();
        let below = fifos(&vault, 0..1);
        push(&vault, below);
        let many =
            (0..500).map(|name| (format!("{name:06}"), directory(fifos(&vault, name..name + 1)))).collect();
        let many = keep(&vault, many);
        for node in [many, below, many] {
            push(&vault, node);
        }
        let narrow = [
            (Limits { folders: 100, ..LIMITS }, 0),
            (Limits { bytes: 20_000, ..LIMITS }, 0),
            (Limits { time_s: 99, ..LIMITS }, 1),
        ];
        for (limits, step_s) in narrow {
            let mut history = History::default();
            for left in [2, 1, 0] {
                let (is_all, counts) = count(&mut history, &vault, limits, step_s);
                assert_eq!((is_all, counts.deleted_at_least), (false, true), "{limits:?}");
                assert_eq!(counts.is_complete, left == 0, "{limits:?}");
                assert!(history.is_stepped_over(SOURCE) && counts.changed_at_least);
            }
            assert!(count(&mut history, &vault, limits, step_s).0, "nothing is left to count");
        }
    }

    #[test]
    fn paths_are_told_apart() {
        let (vault, mut history) = (vault(), History::default());
        let (file, other) = (fifos(&vault, 0..1), fifos(&vault, 1..2));
        let both = |a: ChunkRef, b: ChunkRef| {
            keep(&vault, vec![("a".to_owned(), directory(a)), ("b".to_owned(), directory(b))])
        };
        for node in [both(file, file), both(file, other), both(other, other)] {
            push(&vault, node);
        }
        assert_eq!(count(&mut history, &vault, LIMITS, 0).1.deleted, 2);
    }
}
