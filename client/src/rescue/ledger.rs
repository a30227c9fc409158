//! Which snapshots the ledger of pulled disks tells of, whatever is left of it.
//!
//! Every copy of every entry is read. What is damaged on all disks is named and stepped over: entries prove themselves,
//! so those behind a gap are as good as before. Events that only a newer Larder knows are whole and mean something
//! unknown; then a snapshot may have been let go of, and only its chunks tell. Not here: chunks.

use super::{damage::Damage, reading::read};
use larder_format::{
    ChunkRef,
    ledger::{ENTRY_BYTES_MAX, Event, is_source_name},
    outline::{Chain, Link, Outline},
    tree::Totals,
};
use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

/// Whether a snapshot is still what the vault keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing says otherwise.
    Kept,
    /// Retention let go of it, and its files are still on the disk.
    LetGo,
    /// Its folders are nowhere on the disks: damaged, or let go of by a newer Larder.
    NotHere,
}

/// A snapshot that the ledger tells of.
#[derive(Debug, Clone)]
pub struct Kept {
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
    pub standing: Standing,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// In the order of their numbers.
    pub(crate) snapshots: Vec<Kept>,
    /// Numbers that are nowhere whole, as first and last of each run.
    pub(crate) missing: Vec<(u64, u64)>,
    /// Whether there are events whose meaning only a newer Larder knows.
    pub(crate) has_unknown: bool,
    /// Whether there is no entry at all, not even a damaged one.
    pub(crate) is_gone: bool,
    let_go: HashSet<u64>,
}

impl Ledger {
    /// Reads entries: files with the numbers that their names say, in any order.
    pub(crate) fn read(files: Vec<(PathBuf, Option<u64>)>, damage: &Damage) -> Self {
        let is_gone = files.is_empty();
        let mut by_number: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
        for (path, number) in files {
            let number = number.or_else(|| outline(&path).ok().map(|entry| entry.sequence));
            match number {
                Some(number) => by_number.entry(number).or_default().push(path),
                None => damage.file(&path, "no number can be read in it, so nothing is known of it"),
            }
        }
        let (mut ledger, mut chain) = (Self { is_gone, ..Self::default() }, Chain::new());
        for (number, copies) in by_number {
            ledger.step(number, &copies, &mut chain, damage);
        }
        for kept in ledger.snapshots.iter_mut().filter(|kept| ledger.let_go.contains(&kept.snapshot)) {
            kept.standing = Standing::LetGo;
        }
        ledger
    }

    fn step(&mut self, number: u64, copies: &[PathBuf], chain: &mut Chain, damage: &Damage) {
        let mut whole: Vec<(&PathBuf, Outline)> = Vec::new();
        for path in copies {
            match outline(path) {
                Ok(entry) if entry.sequence != number => {
                    damage
                        .file(path, format!("it is entry {}, not {number} as its name says", entry.sequence));
                }
                Ok(entry) => whole.push((path, entry)),
                Err(why) => damage.file(path, why),
            }
        }
        let differs = |entry: &&(&PathBuf, Outline)| entry.1.hash != whole[0].1.hash;
        if let Some((path, _)) = whole.iter().skip(1).find(differs) {
            damage.file(path, format!("it says something else than {}", whole[0].0.display()));
        }
        // Where disks tell different stories, the one that goes on from the entry before.
        let follows = whole.iter().position(|(_, entry)| chain.is_next(entry)).unwrap_or(0);
        if whole.is_empty() {
            self.miss(chain.step_over(number));
            self.miss(Some((number, number)));
            return;
        }
        let (path, entry) = whole.swap_remove(follows);
        match chain.step(&entry) {
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

    fn take(&mut self, path: &Path, entry: Outline, damage: &Damage) {
        let Outline { sequence, stamp, event, .. } = entry;
        let Some(event) = event else {
            self.has_unknown = true;
            damage.newer();
            return;
        };
        self.let_go.extend(lets_go_of(&event));
        if let Event::Snapshot(snapshot) = event {
            // It becomes the name of a folder.
            if !is_source_name(&snapshot.source) {
                let why = format!("entry {sequence} names a source as none can be called");
                return damage.file(path, why);
            }
            self.snapshots.push(Kept {
                snapshot: sequence,
                source: snapshot.source,
                time_ms: stamp.time_ms,
                is_time_trusted: stamp.trusted,
                root: snapshot.root,
                totals: snapshot.totals,
                skipped: snapshot.skipped,
                standing: Standing::Kept,
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
        | Event::SetAsideCleared { .. } => &[],
        Event::Pruned { snapshots, .. } => snapshots,
    }
}

fn outline(path: &Path) -> Result<Outline, String> {
    let bytes = read(path, ENTRY_BYTES_MAX).map_err(|cause| format!("it cannot be read: {cause}"))?;
    Outline::decode(&bytes).map_err(|error| error.to_string())
}
