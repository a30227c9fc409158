//! How each source's files changed over all its snapshots: the facts behind the first two answers.
//!
//! Counted once per snapshot from the difference, in the background, and kept in memory, since a second count gives
//! the same. A snapshot's claims are its device's word, so no figure here may overflow, grow or run without end: a
//! snapshot that takes too much is stepped over, and the count says "at least". Devices take turns of seconds, and a
//! comparison pauses at the end of its device's turn, so a device with endless trees keeps nobody's counts waiting. No
//! start and no lamp waits for a count.

use crate::decide::facts::Counts;
use crate::report::device_of;
use larder_format::ChunkRef;
use larder_format::tree::read::{DiffEntry, EntryView, OpenComparison, TreeComparison, Visitor, Walked};
use larder_store::{LedgerView, Scope, SnapshotRecord, StoreError, Vault};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Deleted paths remembered one by one over all sources, some 20 bytes each; beyond the limit a count says "at
/// least".
const PATHS_MAX: usize = 250_000;
/// Limits of one comparison, over all its turns. Without limits it would never end, nor would the next one of its
/// device begin.
const LIMITS: Limits = Limits { folders: 2_000_000, bytes: 4 << 30, time_s: 600 };
/// A new snapshot waits so long for each other device with uncounted snapshots.
const TURN_S: u64 = 2;
/// Folders that wait in a comparison, in bytes. One comparison of each device may be paused.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// A paused comparison beyond is given up. Only trees of a thousand levels come so far, and each device could have one.
const PAUSED_BYTES_MAX: usize = 2 << 20;

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
#[derive(Default)]
pub(crate) struct History {
    sources: HashMap<String, SourceCount>,
    /// Number of the last turn of each device.
    turns: HashMap<String, u64>,
    /// Turns and sources begun, one after the other.
    serial: u64,
}

/// The count of one source.
#[derive(Default)]
struct SourceCount {
    /// Tells this count from an earlier one of a source that was forgotten meanwhile.
    serial: u64,
    figures: SourceHistory,
    paused: Option<PausedCount>,
}

/// A snapshot whose comparison is under way.
struct PausedCount {
    record: Arc<SnapshotRecord>,
    comparison: OpenComparison,
    /// In the turns before.
    spent_s: u64,
}

/// The figures of one source.
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
    counted: Option<(u64, ChunkRef)>,
}

impl SourceHistory {
    fn counts(&self, newest: u64) -> Counts {
        Counts {
            deleted: self.deleted.len() as u64,
            deleted_at_least: self.is_cut || self.is_stepped_over,
            is_complete: self.counted.is_some() && self.counted_up_to() >= newest,
            versions: self.versions,
            changed: self.changed,
            changed_at_least: self.is_stepped_over,
        }
    }

    /// Number of the last counted snapshot.
    fn counted_up_to(&self) -> u64 {
        self.counted.map_or(0, |(sequence, _)| sequence)
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
    figures: &'a mut SourceHistory,
    room: usize,
    limits: Limits,
    watch: &'a CountWatch<'a>,
    /// Start of the comparison, as if it had begun in this turn.
    begun_s: u64,
    turn_ends_s: u64,
}

impl Visitor<StoreError> for CountVisitor<'_> {
    fn may_go_on(&mut self, so_far: &Walked) -> bool {
        let Limits { folders, bytes, time_s } = self.limits;
        let is_within = so_far.folders <= folders && so_far.bytes <= bytes;
        is_within && (self.watch.now_s)().saturating_sub(self.begun_s) <= time_s && (self.watch.go_on)()
    }

    fn pauses(&mut self, _: &Walked) -> bool {
        (self.watch.now_s)() >= self.turn_ends_s
    }

    fn entry(&mut self, entry: &DiffEntry<'_>) -> Result<(), StoreError> {
        self.figures.count(entry, self.room);
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
        self.sources.get(source).map(|count| count.figures.counts(newest)).unwrap_or_default()
    }

    /// The next turn: of the device whose last turn is longest ago, among those with uncounted snapshots. None when
    /// every count is complete. A device's paused comparison goes first, so that one device has one; sources with a
    /// snapshot that took too much go last.
    pub(crate) fn next_turn(&mut self, view: &LedgerView) -> Option<CountTurn> {
        let pending = view.sources.iter().filter(|(source, records)| {
            let newest = records.iter().rev().find(|record| !view.is_set_aside(record.sequence));
            let counted = self.sources.get(*source).map_or(0, |count| count.figures.counted_up_to());
            newest.is_some_and(|newest| newest.sequence > counted)
        });
        let order = |source: &String| {
            let count = self.sources.get(source);
            let is_paused = count.is_some_and(|count| count.paused.is_some());
            let is_slow = count.is_some_and(|count| count.figures.is_stepped_over);
            let device = device_of(source);
            (self.turns.get(device).copied(), device.to_owned(), Reverse(is_paused), is_slow)
        };
        let source = pending.map(|(source, _)| source).min_by_key(|source| order(source))?.clone();
        self.serial += 1;
        self.turns.insert(device_of(&source).to_owned(), self.serial);
        let others = self.sources.iter().filter(|(other, _)| **other != source);
        let taken: usize = others.map(|(_, count)| count.figures.deleted.len()).sum();
        let new_count = || SourceCount { serial: self.serial, ..SourceCount::default() };
        let count = self.sources.entry(source.clone()).or_insert_with(new_count);
        let (figures, paused) = (count.figures.clone(), count.paused.take());
        let from = paused.as_ref().map_or(figures.counted_up_to(), |paused| paused.record.sequence);
        let mut new = view.looked_at(&source);
        new.drain(..new.partition_point(|record| record.sequence <= from));
        let (room, serial) = (PATHS_MAX.saturating_sub(taken), count.serial);
        Some(CountTurn { source, serial, figures, paused, new: new.into(), room, limits: LIMITS })
    }

    /// Has a source counted anew.
    pub(crate) fn forget(&mut self, source: &str) {
        self.sources.remove(source);
    }

    /// Takes in the figures at the end of a turn.
    pub(crate) fn update(&mut self, turn: CountTurn) {
        if let Some(count) = self.sources.get_mut(&turn.source)
            && count.serial == turn.serial
        {
            (count.figures, count.paused) = (turn.figures, turn.paused);
        }
    }
}

/// Uncounted snapshots of a source, and the state of its count.
pub(crate) struct CountTurn {
    source: String,
    serial: u64,
    figures: SourceHistory,
    paused: Option<PausedCount>,
    /// Behind the paused one.
    new: VecDeque<Arc<SnapshotRecord>>,
    room: usize,
    limits: Limits,
}

impl CountTurn {
    /// Counts until the end of the turn, or as long as `watch` allows; then the result is useless. A snapshot whose
    /// comparison fails is stepped over, or the count would begin with it again for ever.
    pub(crate) fn count(&mut self, vault: &Vault, watch: &CountWatch<'_>) {
        let turn_ends_s = (watch.now_s)().saturating_add(TURN_S);
        while let Some(mut under_way) = self.paused.take().or_else(|| self.begin_next()) {
            let resumed_s = (watch.now_s)();
            let mut visitor = CountVisitor {
                figures: &mut self.figures,
                room: self.room,
                limits: self.limits,
                watch,
                begun_s: resumed_s.saturating_sub(under_way.spent_s),
                turn_ends_s,
            };
            let compared = vault.by(&Scope::appliance()).compare(&mut under_way.comparison, &mut visitor);
            under_way.spent_s += (watch.now_s)().saturating_sub(resumed_s);
            if let Ok(Walked { is_paused: true, .. }) = compared
                && under_way.spent_s <= self.limits.time_s
                && under_way.comparison.pending_bytes() <= PAUSED_BYTES_MAX
            {
                self.paused = Some(under_way);
                return;
            }
            if !(watch.go_on)() {
                return;
            }
            self.finish(&under_way.record, compared);
        }
    }

    /// The comparison of the next snapshot with the one before. The first one has nothing to be compared with.
    fn begin_next(&mut self) -> Option<PausedCount> {
        loop {
            let record = self.new.pop_front()?;
            let root = record.snapshot.root;
            if let Some((_, before)) = self.figures.counted {
                let trees = TreeComparison::new(Some(before), Some(root));
                let comparison = trees.with_pending_bytes_max(WAITING_BYTES_MAX).begin();
                return Some(PausedCount { record, comparison, spent_s: 0 });
            }
            self.figures.versions = record.snapshot.totals.files;
            self.figures.counted = Some((record.sequence, root));
        }
    }

    fn finish(&mut self, record: &SnapshotRecord, compared: Result<Walked, StoreError>) {
        let (source, snapshot) = (&self.source, record.sequence);
        self.figures.counted = Some((snapshot, record.snapshot.root));
        self.figures.is_stepped_over |= !compared.as_ref().is_ok_and(|walked| walked.is_complete);
        match compared {
            Ok(walked) if walked.is_complete => {}
            Ok(_) => {
                tracing::warn!(source, snapshot, "a snapshot takes too long to compare and is not counted");
            }
            Err(error) => tracing::warn!(source, %error, "could not count what changed in this source"),
        }
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
        push_to(SOURCE, vault, node);
    }

    fn push_to(source: &str, vault: &Vault, node: ChunkRef) {
        let root = keep(vault, vec![(String::new(), directory(node))]);
        let mut push = [0; 16];
        push[..8].copy_from_slice(&vault.ledger().head.sequence.to_le_bytes());
        let snapshot = Snapshot::new(source, push, root, Totals::default());
        vault.by(&Scope::appliance()).commit(snapshot, STAMP).expect("complete");
    }

    /// Counts on a clock that goes by the number of questions.
    struct Bench {
        history: History,
        asked: Cell<u64>,
        asks_per_s: u64,
    }

    /// For a clock that stands still.
    const STILL: u64 = u64::MAX;

    impl Bench {
        fn new(asks_per_s: u64) -> Self {
            Self { history: History::default(), asked: Cell::new(0), asks_per_s }
        }

        /// Takes a turn, and returns its source.
        fn turn(&mut self, vault: &Vault, limits: Limits) -> Option<String> {
            let mut turn = self.history.next_turn(&vault.ledger())?;
            turn.limits = limits;
            let now_s = || self.asked.replace(self.asked.get() + 1) / self.asks_per_s;
            turn.count(vault, &CountWatch { go_on: &|| true, now_s: &now_s });
            let source = turn.source.clone();
            self.history.update(turn);
            Some(source)
        }

        fn counts_of(&self, vault: &Vault, source: &str) -> Counts {
            let newest = vault.ledger().snapshots(source).last().map(|record| record.sequence);
            self.history.of(source, newest)
        }
    }

    /// Counts everything; returns the number of turns, and the counts of the source.
    fn count(vault: &Vault, limits: Limits, asks_per_s: u64) -> (usize, Counts) {
        let mut bench = Bench::new(asks_per_s);
        let turns = std::iter::from_fn(|| bench.turn(vault, limits)).count();
        (turns, bench.counts_of(vault, SOURCE))
    }

    /// Each folder names the one below twice.
    fn maze(vault: &Vault, mut node: ChunkRef, levels: usize) -> ChunkRef {
        for _ in 0..levels {
            node = keep(vault, ["a", "b"].map(|name| (name.to_owned(), directory(node))).into());
        }
        node
    }

    fn fifos(vault: &Vault, names: std::ops::Range<u32>) -> ChunkRef {
        keep(vault, names.map(|name| (format!("{name:06}"), Kind::Fifo)).collect())
    }

    #[test]
    fn what_was_deleted_and_what_came_is_counted() {
        let vault = vault();
        for names in [0..10, 5..12, 0..3] {
            push(&vault, fifos(&vault, names));
        }
        let (turns, counts) = count(&vault, LIMITS, STILL);
        assert!(turns == 1 && counts.is_complete && !counts.deleted_at_least);
        assert_eq!((counts.deleted, counts.versions, counts.changed), (9, 5, 0));
    }

    /// Sixty-four long names above many folders: counting makes no path.
    #[test]
    fn a_path_bomb_is_counted_like_anything_else() {
        let vault = vault();
        let below = fifos(&vault, 0..1);
        let many = (0..5000).map(|name| (format!("{name:06}"), directory(below))).collect();
        let mut node = keep(&vault, many);
        push(&vault, below);
        for level in 0..64 {
            node = keep(&vault, vec![(format!("{level:01000}"), directory(node))]);
        }
        push(&vault, node);
        let (_, counts) = count(&vault, LIMITS, STILL);
        assert!(counts.is_complete && !counts.deleted_at_least);
        assert_eq!((counts.deleted, counts.versions), (1, 5000));
    }

    /// Each limit by itself: the snapshot is stepped over, the count says so, and goes on behind it.
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
            (Limits { folders: 100, ..LIMITS }, STILL),
            (Limits { bytes: 20_000, ..LIMITS }, STILL),
            (Limits { time_s: 99, ..LIMITS }, 5),
            // A pause at the first question of each turn.
            (Limits { time_s: 99, ..LIMITS }, 1),
        ];
        for (limits, asks_per_s) in narrow {
            let (turns, counts) = count(&vault, limits, asks_per_s);
            assert!(counts.is_complete && counts.deleted_at_least && counts.changed_at_least, "{limits:?}");
            assert_eq!(turns > 30, asks_per_s < STILL, "{turns} turns with {limits:?}");
        }
    }

    /// Figures are the same however often a comparison pauses.
    #[test]
    fn a_paused_count_goes_on_where_it_was() {
        let vault = vault();
        let folders = |of: &dyn Fn(u32) -> std::ops::Range<u32>| {
            let one = |name: u32| (format!("{name:04}"), directory(fifos(&vault, of(name))));
            keep(&vault, (0..100).map(one).collect())
        };
        push(&vault, folders(&|name| name..name + 10));
        push(&vault, folders(&|name| name + 3..name + 10));
        push(&vault, folders(&|name| name..name + name % 7));
        let (turns, at_once) = count(&vault, LIMITS, STILL);
        assert!(turns == 1 && at_once.deleted > 300 && at_once.versions > 200, "{at_once:?}");
        let (turns, paused) = count(&vault, LIMITS, 3);
        assert!(turns > 100, "{turns} turns");
        assert_eq!(paused, at_once);
    }

    /// One device has endless trees in many sources, another one a few files.
    #[test]
    fn a_maze_keeps_no_other_device_waiting() {
        let vault = vault();
        let mut bench = Bench::new(20);
        for source in ["aaa/1", "aaa/2", "aaa/3"] {
            for name in 0..3 {
                push_to(source, &vault, maze(&vault, fifos(&vault, name..name + 1), 40));
            }
        }
        for _ in 0..20 {
            assert!(bench.turn(&vault, LIMITS).is_some_and(|source| source == "aaa/1"), "one at a time");
        }
        push(&vault, fifos(&vault, 0..2));
        assert_eq!(bench.turn(&vault, LIMITS).as_deref(), Some(SOURCE));
        assert!(bench.counts_of(&vault, SOURCE).is_complete);
        // Also behind the turns of the small one.
        push(&vault, fifos(&vault, 0..1));
        assert_eq!(bench.turn(&vault, LIMITS).as_deref(), Some("aaa/1"));
        assert_eq!(bench.turn(&vault, LIMITS).as_deref(), Some(SOURCE));
        assert_eq!(bench.counts_of(&vault, SOURCE).deleted, 1);
        let rest: Vec<_> =
            std::iter::from_fn(|| bench.turn(&vault, Limits { folders: 500, ..LIMITS })).collect();
        assert!(rest.iter().any(|source| source == "aaa/3"), "the maze ends: {rest:?}");
    }

    /// What was begun before a source is forgotten is taken in no more, nor is it gone on with.
    #[test]
    fn a_source_forgotten_within_its_count_is_counted_anew() {
        let vault = vault();
        for names in [0..10, 5..12] {
            push(&vault, maze(&vault, fifos(&vault, names), 6));
        }
        let (_, expected) = count(&vault, LIMITS, STILL);
        let mut bench = Bench::new(5);
        (0..10).for_each(|_| drop(bench.turn(&vault, LIMITS)));
        assert!(!bench.counts_of(&vault, SOURCE).is_complete);
        bench.history.forget(SOURCE);
        let begun = bench.history.next_turn(&vault.ledger()).expect("a turn");
        bench.history.forget(SOURCE);
        bench.history.update(begun);
        while bench.turn(&vault, LIMITS).is_some() {}
        assert_eq!(bench.counts_of(&vault, SOURCE), expected);
    }

    /// Names of a thousand bytes in folders a thousand levels deep: paused, they would be megabytes for each device.
    #[test]
    fn a_paused_count_keeps_little() {
        let vault = vault();
        let below = fifos(&vault, 0..1);
        push(&vault, below);
        let mut node = below;
        for _ in 0..1500 {
            let name = |side: &str| (format!("{side}{:01000}", 0), directory(node));
            node = keep(&vault, ["a", "b", "c", "d", "e"].map(name).into());
        }
        push(&vault, node);
        let mut bench = Bench::new(20);
        let mut peak = 0;
        while bench.turn(&vault, LIMITS).is_some() {
            let paused = bench.history.sources[SOURCE].paused.as_ref();
            peak = peak.max(paused.map_or(0, |paused| paused.comparison.pending_bytes()));
        }
        assert!(peak > PAUSED_BYTES_MAX / 2 && peak <= PAUSED_BYTES_MAX, "{peak} bytes");
        assert!(bench.counts_of(&vault, SOURCE).deleted_at_least, "it is given up");
    }

    #[test]
    fn paths_are_told_apart() {
        let vault = vault();
        let (file, other) = (fifos(&vault, 0..1), fifos(&vault, 1..2));
        let both = |a: ChunkRef, b: ChunkRef| {
            keep(&vault, vec![("a".to_owned(), directory(a)), ("b".to_owned(), directory(b))])
        };
        for node in [both(file, file), both(file, other), both(other, other)] {
            push(&vault, node);
        }
        assert_eq!(count(&vault, LIMITS, STILL).1.deleted, 2);
    }
}
