//! The snapshots that the ledger of pulled disks tells of, however little of the ledger is left.
//!
//! Every copy of every entry is read. An entry that is damaged on every disk is named and stepped over: entries prove
//! themselves, so entries behind a gap are as good as before. An event that only a newer Larder knows is whole and of
//! unknown meaning; the event may have let go of a snapshot, so only the chunks tell. Not here: chunks.

use super::{damage::DamageLog, reading::read};
use larder_format::{
    ChunkRef, Hash, layout,
    ledger::chapter::{CHAPTER_BYTES_MAX, Chapter, chapter_of, entries_of},
    ledger::{Chain, ENTRY_BYTES_MAX, Entry, Event, Link, Without, is_source_name, label},
    tree::Totals,
};
use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

/// Whether the vault still keeps a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotStanding {
    /// No event says otherwise.
    KeptSnapshot,
    /// Retention let go of the snapshot, and the files are still on the disk.
    LetGo,
    /// The folders are nowhere on the disks: damaged, or let go of by a newer Larder.
    NotHere,
}

/// A snapshot in the ledger.
#[derive(Debug, Clone)]
pub struct KeptSnapshot {
    /// Number of the snapshot.
    pub snapshot: u64,
    /// `DEVICE/NAME`.
    pub source: String,
    /// Time of arrival, in milliseconds since 1970.
    pub time_ms: i64,
    /// Whether the appliance's clock was known to be right.
    pub is_time_trusted: bool,
    /// The root node.
    pub root: ChunkRef,
    /// Totals of the snapshot.
    pub totals: Totals,
    /// Files that the device could not read.
    pub skipped: u64,
    /// The owner's words for it, if any.
    pub label: Option<String>,
    /// Whether the snapshot is still kept.
    pub standing: SnapshotStanding,
}

/// The readable part of the ledger.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// In the order of their numbers.
    pub(crate) snapshots: Vec<KeptSnapshot>,
    /// Numbers without a whole entry, as first and last of each run.
    pub(crate) missing: Vec<(u64, u64)>,
    /// Whether there are events whose meaning only a newer Larder knows.
    pub(crate) has_unknown: bool,
    /// Whether there is no entry at all, not even a damaged entry.
    pub(crate) is_gone: bool,
    let_go: HashSet<u64>,
}

impl Ledger {
    /// Reads entries: files with the numbers in their names, in any order. An entry without a whole file comes out of
    /// a chapter, if there is a chapter.
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
        // Where disks tell different stories, the entry that follows the entry before.
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
        if let Event::Labelled { snapshot, label: words, .. } = &event
            && let Ok(place) = self.snapshots.binary_search_by_key(snapshot, |kept| kept.snapshot)
        {
            let words = label(words);
            // Without words, the words so far stay.
            self.snapshots[place].label = words.or(self.snapshots[place].label.take());
        }
        if let Event::Snapshot(snapshot) = event {
            // The source becomes the name of a folder.
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
                label: None,
                standing: SnapshotStanding::KeptSnapshot,
            });
        }
    }

    /// Whether only the chunks can tell which snapshots are still there.
    pub(crate) fn needs_proof(&self) -> bool {
        self.has_unknown || !self.let_go.is_empty()
    }
}

/// Numbers of the snapshots that an event ends. No catch-all arm: a new kind of event does not compile until this
/// function names the kind.
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
        | Event::SourceExpected { .. }
        | Event::SourceRetired { .. }
        | Event::SourceReturned { .. }
        | Event::SourceLetGo { .. }
        | Event::SourceKept { .. }
        | Event::Labelled { .. }
        | Event::LabelEnded { .. }
        | Event::Newer(_) => &[],
        Event::Pruned { snapshots, .. } => snapshots,
    }
}

/// Files of whole chapters, by number.
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

/// A whole entry, and its hash.
struct Whole {
    entry: Entry,
    hash: Hash,
}

fn entry(path: &Path) -> Result<Whole, String> {
    let bytes = read(path, ENTRY_BYTES_MAX).map_err(|cause| format!("it cannot be read: {cause}"))?;
    let (entry, hash, _) = Entry::decode(&bytes).map_err(|error| error.to_string())?;
    Ok(Whole { entry, hash })
}
