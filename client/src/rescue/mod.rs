//! Rescue: reading pulled disks with neither agent nor index.
//!
//! On the bad day nothing else works: the box is gone, perhaps the disk is dying. So every whole part of any disk is
//! used, whatever lies around the part. No byte is believed before hashing, and no byte is ever written to a disk. A
//! `Rescue` is a `Past` like an appliance, so files come back through the same `restore`. Not here: the words that
//! the owner types and reads (`owner::rescuing`).

pub(crate) mod damage;
pub(crate) mod disk;
mod found;
mod ledger;
mod packs;
mod places;
pub(crate) mod reading;

use crate::{ClientError, Past, SkippedList, TransferProgress, past::tree_reader::TreeReader};
use damage::DamageLog;
use disk::DiskItem;
use jiff::{Timestamp, Zoned};
use larder_format::{
    ChunkId, ChunkRef,
    ledger::label,
    tree::{Kind, Totals, read},
    when::{SnapshotMoment, WHEN_FORMS, When},
    wire::{Neighbours, SnapshotInfo, escape_name},
};
use ledger::Ledger;
use packs::PulledPacks;
use std::{path::PathBuf, sync::Arc};

pub use disk::PulledDisk;
pub use ledger::{KeptSnapshot, SnapshotStanding};

/// A bit for each disk of a pack.
const DISKS_MAX: usize = 64;
/// Names that stand for a snapshot whose own name is lost.
const SAMPLE_NAMES: usize = 4;
/// Bytes of such names of all found snapshots: a hundred thousand roots with long names would fill the memory.
const SAMPLE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How the names of found snapshots begin; a number follows.
const FOUND: &str = "found-";

/// A snapshot without a ledger entry.
#[derive(Debug, Clone)]
pub struct FoundSnapshot {
    /// `found-1` and so on; stands for the source's name.
    pub name: String,
    /// The root node.
    pub root: ChunkRef,
    /// Last change of the pushed folder, RFC 3339.
    pub modified: String,
    /// Totals of the snapshot, as the device added up.
    pub totals: Totals,
    /// The first names in the snapshot.
    pub names: Vec<String>,
}

/// Pulled disks of a vault.
pub struct Rescue {
    disks: Arc<[PulledDisk]>,
    ledger: Ledger,
    packs: PulledPacks,
    is_looked_through: bool,
    found: Vec<FoundSnapshot>,
    damage: Arc<DamageLog>,
    now: Zoned,
}

impl Rescue {
    /// Opens disks and reads the remains of the ledger. Spans such as `2 weeks ago` count from `now`, and times are
    /// those of its zone.
    ///
    /// # Errors
    /// When there is no backup, or the disks are of several vaults.
    pub fn open(paths: &[PathBuf], now: Zoned) -> Result<Self, ClientError> {
        if paths.len() > DISKS_MAX {
            return Err(ClientError::Usage(format!("at most {DISKS_MAX} disks are read at once")));
        }
        let damage = Arc::new(DamageLog::default());
        let disks =
            paths.iter().map(|path| PulledDisk::open(path, &damage)).collect::<Result<Arc<[_]>, _>>()?;
        one_vault(&disks)?;
        let (mut named, mut stray, mut entries, mut chapters) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (position, disk) in (0u32..).zip(disks.iter()) {
            disk.items(&damage, &mut |item| match item {
                DiskItem::Pack(name) => named.push((name, position)),
                DiskItem::StrayPack(path) => stray.push(path),
                DiskItem::Entry(path, number) => entries.push((path, number)),
                DiskItem::Chapter(path) => chapters.push(path),
            });
        }
        if named.is_empty() && stray.is_empty() && entries.is_empty() {
            let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            return Err(ClientError::NotThere {
                what: format!("There is no Larder backup in {}.", names.join(", ")),
                remedy: "Name the folder where the disk is mounted; there is a folder `larder` in it.",
            });
        }
        disks.iter().filter(|disk| disk.is_newer).for_each(|_| damage.newer());
        let ledger = Ledger::read(entries, chapters, &damage);
        let packs = PulledPacks::new(Arc::clone(&disks), Arc::clone(&damage), named, stray);
        Ok(Self { disks, ledger, packs, is_looked_through: false, found: Vec::new(), damage, now })
    }

    /// Finds the place of every chunk. Nothing can be restored before.
    pub fn look_through(&mut self, progress: &TransferProgress) {
        if !std::mem::replace(&mut self.is_looked_through, true) {
            self.packs.look_through(progress);
        }
    }

    /// Finds the snapshots that are still there, in case an event let go of snapshots. A snapshot that retention let
    /// go of is only listed while the snapshot is there.
    pub fn settle(&mut self, progress: &TransferProgress) {
        if !self.ledger.needs_proof() {
            return;
        }
        self.look_through(progress);
        let mut snapshots = std::mem::take(&mut self.ledger.snapshots);
        snapshots.retain_mut(|kept| {
            // Most snapshots that were let go of are gone; no dying disk is searched for such a snapshot.
            let is_worth_it =
                kept.standing == SnapshotStanding::KeptSnapshot || self.packs.claims(&kept.root.id);
            let is_here = is_worth_it && self.begins(&kept.root);
            if !is_here && kept.standing == SnapshotStanding::KeptSnapshot {
                kept.standing = SnapshotStanding::NotHere;
            }
            is_here || kept.standing == SnapshotStanding::NotHere
        });
        self.ledger.snapshots = snapshots;
    }

    /// Whether root and topmost folder are there. A restore shows the rest.
    fn begins(&self, root: &ChunkRef) -> bool {
        let progress = TransferProgress::default();
        let reader = TreeReader::new(self, &progress);
        let found = reader.find(root, b"");
        found.is_ok_and(|found| match found.entry.kind {
            Kind::Directory { node, .. } => read::node(&reader.nodes(), &node).is_ok(),
            _ => false,
        })
    }

    /// Looks among the chunks for snapshots without a ledger entry.
    pub fn search(&mut self, progress: &TransferProgress) {
        self.look_through(progress);
        let roots = found::roots(&self.packs, progress);
        let is_known =
            |root: &found::FoundRoot| self.ledger.snapshots.iter().any(|kept| kept.root == root.root);
        let unknown = roots.into_iter().filter(|root| !is_known(root));
        let mut room = SAMPLE_BYTES_MAX;
        let candidates = unknown.zip(1u64..).map(|(root, number)| {
            let mut candidate = self.candidate(&root, number);
            match room.checked_sub(candidate.names.iter().map(String::len).sum()) {
                Some(left) => room = left,
                None => candidate.names = Vec::new(),
            }
            candidate
        });
        self.found = candidates.collect();
    }

    fn candidate(&self, root: &found::FoundRoot, number: u64) -> FoundSnapshot {
        let progress = TransferProgress::default();
        let reader = TreeReader::new(self, &progress);
        let nodes = reader.nodes();
        let first = read::entries(&nodes, root.folder).map_while(Result::ok).take(SAMPLE_NAMES);
        let names = first.map(|found| escape_name(&found.entry.name)).collect();
        let modified = Timestamp::new(root.modified.seconds, 0).unwrap_or(Timestamp::UNIX_EPOCH);
        FoundSnapshot {
            name: format!("{FOUND}{number}"),
            root: root.root,
            modified: modified.to_string(),
            totals: root.totals,
            names,
        }
    }

    /// The disks, in the order of the command.
    pub fn disks(&self) -> &[PulledDisk] {
        &self.disks
    }

    /// Snapshots in the ledger, by number.
    pub fn snapshots(&self) -> &[KeptSnapshot] {
        &self.ledger.snapshots
    }

    /// Snapshots that `search` found.
    pub fn found(&self) -> &[FoundSnapshot] {
        &self.found
    }

    /// Numbers without a whole ledger entry, as first and last of each run.
    pub fn missing_entries(&self) -> &[(u64, u64)] {
        &self.ledger.missing
    }

    /// Whether nothing is left of the ledger: names of sources and times of arrival are lost.
    pub fn is_ledger_gone(&self) -> bool {
        self.ledger.is_gone
    }

    /// Number of known packs and places of chunks.
    pub fn size(&self) -> (usize, usize) {
        (self.packs.len(), self.packs.places())
    }

    /// Damage on the disks so far.
    pub fn damage(&self) -> SkippedList {
        self.damage.list()
    }

    /// Folders beside the vault that this account may not read: no damage, since usually nothing lies there.
    pub fn not_looked_at(&self) -> Vec<PathBuf> {
        self.damage.places_not_looked_at()
    }

    /// How many things on the disks only a newer Larder understands.
    pub fn too_new(&self) -> u64 {
        self.damage.too_new()
    }
}

impl Rescue {
    /// The snapshot meant, as an appliance would choose. A snapshot that was let go of is only meant by its number, or
    /// where no other snapshot fits.
    fn chosen(&self, source: &str, said: When) -> Option<&KeptSnapshot> {
        let of_source = |is_offered: fn(&KeptSnapshot) -> bool| {
            let all = self.ledger.snapshots.iter();
            let offered: Vec<_> = all.filter(|kept| kept.source == source && is_offered(kept)).collect();
            let look = |kept: &&KeptSnapshot| SnapshotMoment { number: kept.snapshot, time_ms: kept.time_ms };
            said.choose(&offered, look).copied()
        };
        let kept = match said {
            When::Number(_) => None,
            // What cannot be had whole must not stand for everything, while an older snapshot can be had.
            When::Newest => of_source(|kept| kept.standing == SnapshotStanding::KeptSnapshot),
            // A moment is not answered with another moment: what is not here is told by the restore.
            When::Before(_) | When::By(_) => of_source(|kept| kept.standing != SnapshotStanding::LetGo),
        };
        kept.or_else(|| of_source(|_| true))
    }

    /// The newest snapshot with the label `when`.
    fn labelled(&self, source: &str, when: &str) -> Option<&KeptSnapshot> {
        let words = label(when)?;
        let mut all = self.ledger.snapshots.iter();
        all.rfind(|kept| kept.source == source && kept.label.as_deref() == Some(&words))
    }
}

impl Past for Rescue {
    fn fetch(
        &self,
        names: &[ChunkId],
        _: Neighbours,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ClientError> {
        self.packs.fetch(names, each);
        Ok(())
    }

    fn places(&self, names: &[ChunkId]) -> Result<Vec<u64>, ClientError> {
        Ok(names.iter().map(|id| self.packs.place(id)).collect())
    }

    fn snapshot(&self, source: &str, when: &str) -> Result<SnapshotInfo, ClientError> {
        if let Some(found) = self.found.iter().find(|found| found.name == source) {
            let FoundSnapshot { root, modified, totals, .. } = found.clone();
            return Ok(info(source, 0, modified, (root, totals), 0));
        }
        // Like the answer of an appliance, with the same exit code.
        let kept = match (When::parse(when, &self.now), self.labelled(source, when)) {
            (Some(said), _) => self.chosen(source, said).ok_or_else(|| ClientError::NotThere {
                what: format!("Of {source}, {} on this disk.", said.why_none(self.now.time_zone())),
                remedy: "`larder rescue DISK --list` shows what there is.",
            })?,
            (None, Some(kept)) => kept,
            (None, None) => {
                return Err(ClientError::NotThere {
                    what: format!(
                        "\"{when}\" is no moment, and no label of {source} on this disk. Write a label, or {WHEN_FORMS}."
                    ),
                    remedy: "`larder rescue DISK --list` shows the snapshots on it, with their numbers.",
                });
            }
        };
        let time = Timestamp::from_millisecond(kept.time_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(info(source, kept.snapshot, time.to_string(), (kept.root, kept.totals), kept.skipped))
    }
}

fn info(
    source: &str,
    snapshot: u64,
    time: String,
    (root, totals): (ChunkRef, Totals),
    skipped: u64,
) -> SnapshotInfo {
    let source = source.to_owned();
    SnapshotInfo {
        source,
        snapshot,
        time,
        root,
        totals,
        skipped,
        reasons: Vec::new(),
        kept_until: None,
        set_aside: None,
        label: None,
        damaged: false,
        origin: None,
    }
}

/// Two vaults have the same numbers for different things.
fn one_vault(disks: &[PulledDisk]) -> Result<(), ClientError> {
    let mut known = disks.iter().filter_map(|disk| Some((disk, disk.vault.as_deref()?)));
    let Some((first, vault)) = known.next() else { return Ok(()) };
    match known.find(|(_, other)| *other != vault) {
        Some((other, _)) => Err(ClientError::Usage(format!(
            "{} and {} belong to different vaults; read each by itself",
            first.path.display(),
            other.path.display()
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
