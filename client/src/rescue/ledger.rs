//! Which snapshots the ledger of pulled disks tells of, whatever is left of it.
//!
//! Every copy of every entry is read. What is damaged on all disks is named and stepped over: entries prove themselves,
//! so those behind a gap are as good as before. Events that only a newer Larder knows are whole and mean something
//! unknown; then a snapshot may have been let go of, and only its chunks tell. Not here: chunks.

use super::{damage::DamageLog, reading::read};
use larder_format::{
    ChunkRef, Hash, layout,
    ledger::chapter::{CHAPTER_BYTES_MAX, Chapter, chapter_of, entries_of},
    ledger::{Chain, ENTRY_BYTES_MAX, Entry, Event, Link, Without, is_source_name},
    tree::Totals,
};
use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

/// Whether a snapshot is still what the vault keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotStanding {
    /// Nothing says otherwise.
    KeptSnapshot,
    /// Retention let go of it, and its files are still on the disk.
    LetGo,
    /// Its folders are nowhere on the disks: damaged, or let go of by a newer Larder.
    NotHere,
}

/// A snapshot that the ledger tells of.
#[derive(Debug, Clone)]
pub struct KeptSnapshot {
    /// Its number.
    pub snapshot: u64,
    /// `DEVICE/NAME`.
    pub source: String,
    /// When it arrived, in milliseconds since 1970.
    pub time_ms: i64,
    /// Whether the appliance's clock was known to be right.
    pub is_time_trusted: bool,
    /// The root node.
    pub root: ChunkRef,
    /// Everything in it, added up.
    pub totals: Totals,
    /// Files that the device could not read.
    pub skipped: u64,
    /// Whether it is still kept.
    pub standing: SnapshotStanding,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// In the order of their numbers.
    pub(crate) snapshots: Vec<KeptSnapshot>,
    /// Numbers that are nowhere whole, as first and last of each run.
    pub(crate) missing: Vec<(u64, u64)>,
    /// Whether there are events whose meaning only a newer Larder knows.
    pub(crate) has_unknown: bool,
    /// Whether there is no entry at all, not even a damaged one.
    pub(crate) is_gone: bool,
    let_go: HashSet<u64>,
}

impl Ledger {
    /// Reads entries: files with the numbers that their names say, in any order. What none of them has whole comes out of a
    /// chapter, if there is one.
    pub(crate) fn read(
        files: Vec<(PathBuf, Option<u64>)>,
        chapters: Vec<PathBuf>,
        damage: &DamageLog,
    ) -> Self {
        let is_gone = files.is_empty() && chapters.is_empty();
        let mut by_number: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
        for (path, number) in files {
            let number = number.or_else(|| entry(&path).ok().map(|whole| whole.entry.sequence));
            match number {
                Some(number) => by_number.entry(number).or_default().push(path),
                None => damage.file(&path, "no number can be read in it, so nothing is known of it"),
            }
        }
        let chapters = Chapters::open(chapters, damage);
        for number in chapters.0.keys().flat_map(|chapter| entries_of(*chapter)) {
            by_number.entry(number).or_default();
        }
        let (mut ledger, mut chain) = (Self { is_gone, ..Self::default() }, Chain::new());
        for (number, copies) in by_number {
            ledger.step((number, &copies), &chapters, &mut chain, damage);
        }
        for kept in ledger.snapshots.iter_mut().filter(|kept| ledger.let_go.contains(&kept.snapshot)) {
            kept.standing = SnapshotStanding::LetGo;
        }
        ledger
    }

    fn step(
        &mut self,
        (number, copies): (u64, &[PathBuf]),
        chapters: &Chapters,
        chain: &mut Chain,
        damage: &DamageLog,
    ) {
        let mut whole: Vec<(&PathBuf, Whole)> = Vec::new();
        for path in copies {
            match entry(path) {
                Ok(found) if found.entry.sequence != number => {
                    let is = found.entry.sequence;
                    damage.file(path, format!("it is entry {is}, not {number} as its name says"));
                }
                Ok(found) => whole.push((path, found)),
                Err(why) => damage.file(path, why),
            }
        }
        if whole.is_empty() {
            whole.extend(chapters.entry(number));
        }
        let differs = |found: &&(&PathBuf, Whole)| found.1.hash != whole[0].1.hash;
        if let Some((path, _)) = whole.iter().skip(1).find(differs) {
            damage.file(path, format!("it says something else than {}", whole[0].0.display()));
        }
        // Where disks tell different stories, the one that goes on from the entry before.
        let follows = whole.iter().position(|(_, found)| chain.is_next(&found.entry)).unwrap_or(0);
        if whole.is_empty() {
            self.miss(chain.step_over(number));
            self.miss(Some((number, number)));
            return;
        }
        let (path, Whole { entry, hash }) = whole.swap_remove(follows);
        match chain.step(&entry, hash) {
            Link::Follows | Link::Unchecked => {}
            Link::AfterGap { first, last } => self.miss(Some((first, last))),
            Link::Broken => {
                damage.file(path, "it does not follow the entry before it: one of them was changed")
            }
        }
        self.take(path, entry, damage);
    }

    fn miss(&mut self, run: Option<(u64, u64)>) {
        match (run, self.missing.last_mut()) {
            (Some((first, last)), Some(before)) if before.1.checked_add(1) == Some(first) => before.1 = last,
            (Some(run), _) => self.missing.push(run),
            (None, _) => {}
        }
    }

    fn take(&mut self, path: &Path, entry: Entry, damage: &DamageLog) {
        let Entry { sequence, stamp, event, .. } = entry;
        if let Event::Newer(newer) = &event {
            self.has_unknown |= newer.without > Without::StepOver;
            damage.newer();
        }
        self.let_go.extend(lets_go_of(&event));
        if let Event::Snapshot(snapshot) = event {
            // It becomes the name of a folder.
            if !is_source_name(&snapshot.source) {
                let why = format!("entry {sequence} names a source as none can be called");
                return damage.file(path, why);
            }
            self.snapshots.push(KeptSnapshot {
                snapshot: sequence,
                source: snapshot.source,
                time_ms: stamp.time_ms,
                is_time_trusted: stamp.trusted,
                root: snapshot.root,
                totals: snapshot.totals,
                skipped: snapshot.skipped,
                standing: SnapshotStanding::KeptSnapshot,
            });
        }
    }

    /// Whether it takes a look at the chunks to know which snapshots are still there.
    pub(crate) fn needs_proof(&self) -> bool {
        self.has_unknown || !self.let_go.is_empty()
    }
}

/// Numbers of the snapshots that an event ends. No catch-all arm: a new kind of event does not compile until somebody
/// has said here whether it ends any.
fn lets_go_of(event: &Event) -> &[u64] {
    match event {
        Event::VaultCreated { .. }
        | Event::Snapshot(_)
        | Event::DevicePaired(_)
        | Event::DeviceRevoked { .. }
        | Event::HoldSet { .. }
        | Event::HoldCleared { .. }
        | Event::Scrubbed(_)
        | Event::Disk(_)
        | Event::RetentionSet(_)
        | Event::Swept { .. }
        | Event::ClockConfirmed
        | Event::SetAside { .. }
        | Event::SetAsideCleared { .. }
        | Event::Newer(_) => &[],
        Event::Pruned { snapshots, .. } => snapshots,
    }
}

/// Files of chapters that are whole, by number.
struct Chapters(BTreeMap<u64, Vec<PathBuf>>);

impl Chapters {
    fn open(files: Vec<PathBuf>, damage: &DamageLog) -> Self {
        let mut chapters: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
        for path in files {
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(number) = name.and_then(layout::chapter_number) else { continue };
            let bytes = read(&path, CHAPTER_BYTES_MAX).map_err(|cause| format!("it cannot be read: {cause}"));
            match bytes
                .and_then(|bytes| Chapter::decode(number, &bytes).map(drop).map_err(|why| why.to_string()))
            {
                Ok(()) => chapters.entry(number).or_default().push(path),
                Err(why) => damage.file(&path, why),
            }
        }
        Self(chapters)
    }

    fn entry(&self, number: u64) -> Option<(&PathBuf, Whole)> {
        let chapter = chapter_of(number);
        self.0.get(&chapter)?.iter().find_map(|path| {
            let bytes = read(path, CHAPTER_BYTES_MAX).ok()?;
            let mut entries = Chapter::decode(chapter, &bytes).ok()?.entries.into_iter();
            let found = entries.find(|found| found.entry.sequence == number)?;
            Some((path, Whole { entry: found.entry, hash: found.hash }))
        })
    }
}

/// An entry that is whole, and its own hash.
struct Whole {
    entry: Entry,
    hash: Hash,
}

fn entry(path: &Path) -> Result<Whole, String> {
    let bytes = read(path, ENTRY_BYTES_MAX).map_err(|cause| format!("it cannot be read: {cause}"))?;
    let (entry, hash, _) = Entry::decode(&bytes).map_err(|error| error.to_string())?;
    Ok(Whole { entry, hash })
}
