//! Receipts held against a pulled disk, without any box.
//!
//! The whole chain of the ledger is read and computed here, a chapter at a time, so memory does not grow with it; nobody's word is
//! needed but the receipts'. Nothing is written to the disk. Not here: getting files back (`rescue`).

use super::{
    KeptReceipt,
    check::{ReceiptCheck, ReceiptFindings},
};
use crate::{
    ClientError, TransferProgress,
    platform::path_of_bytes,
    rescue::{
        damage::DamageLog,
        disk::PulledDisk,
        reading::{names, read},
    },
};
use jiff::Timestamp;
use larder_format::{
    Hash, layout,
    ledger::{
        Chain, ENTRY_BYTES_MAX, Entry, Event, Link,
        chapter::{CHAPTER_BYTES_MAX, Chapter, chapter_of, entries_of},
    },
};
use larder_trust::PublicKey;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
};

/// Beyond such a hole the name of a folder is a stray one: no box writes a million entries in its life.
const CHAPTERS_MISSING_MAX: u64 = 1000;

/// What came out, and of which vault the disk is.
#[derive(Debug)]
pub(crate) struct DiskCheck {
    pub(crate) vault: String,
    /// Receipts of another vault.
    pub(crate) of_others: u64,
    pub(crate) findings: ReceiptFindings,
}

/// Holds receipts against the ledger of a disk.
pub(crate) fn check(
    path: &Path,
    receipts: &[KeptReceipt],
    key: &PublicKey,
    progress: &TransferProgress,
) -> Result<DiskCheck, ClientError> {
    let disk = PulledDisk::open(path, &DamageLog::default())?;
    let ledger = PulledLedger::open(&disk, progress)?;
    let vault = ledger.vault().or(disk.vault).ok_or_else(|| no_ledger(path))?;
    let mine = || receipts.iter().filter(|kept| kept.vault == vault);
    let of_others = (receipts.len() - mine().count()) as u64;
    let wanted: HashSet<u64> = mine().map(|kept| kept.receipt.snapshot).collect();
    let mut check = ReceiptCheck::of(mine(), key);
    let mut let_go: HashMap<u64, (u64, i64, String)> = HashMap::new();
    ledger.each(&mut |number, found| {
        let Some((entry, hash)) = found else { return check.step(number, None, |_| false) };
        if let Event::Pruned { snapshots, why } = &entry.event {
            for snapshot in snapshots.iter().filter(|snapshot| wanted.contains(snapshot)) {
                let_go.insert(*snapshot, (number, entry.stamp.time_ms, why.clone()));
            }
        }
        check.step(number, Some(hash), |kept| is_of(kept, &entry.event));
    });
    check.end();
    let ReceiptCheck { mut findings, whole, .. } = check;
    for kept in whole {
        match let_go.get(&kept.receipt.snapshot) {
            Some((entry, time_ms, why)) => {
                let time = Timestamp::from_millisecond(*time_ms).unwrap_or(Timestamp::UNIX_EPOCH);
                findings.add_let_go(kept.receipt.snapshot, *entry, &time.to_string(), why);
            }
            None => findings.kept += 1,
        }
    }
    Ok(DiskCheck { vault, of_others, findings })
}

/// Whether an entry is the snapshot that a receipt is for.
fn is_of(kept: &KeptReceipt, event: &Event) -> bool {
    matches!(event, Event::Snapshot(found) if found.source == kept.receipt.source && found.root == kept.root)
}

fn no_ledger(path: &Path) -> ClientError {
    ClientError::NotThere {
        what: format!("There is no record of backups in {}.", path.display()),
        remedy: "Name the folder where the disk is mounted; there is a folder `larder` in it.",
    }
}

/// The ledger of a pulled disk.
struct PulledLedger<'a> {
    folder: PathBuf,
    /// Numbers of folders and chapters.
    chapters: BTreeSet<u64>,
    progress: &'a TransferProgress,
}

impl<'a> PulledLedger<'a> {
    fn open(disk: &PulledDisk, progress: &'a TransferProgress) -> Result<Self, ClientError> {
        let folder = disk.folder.clone();
        let ledger = folder.join(layout::LEDGER);
        let listed = names(&ledger).map_err(|_| no_ledger(&disk.path))?;
        let number = |name: &[u8]| {
            let name = str::from_utf8(name).ok()?;
            layout::chapter_number(name).or_else(|| name.parse().ok())
        };
        let chapters = (0..listed.len()).filter_map(|place| number(listed.name(place))).collect();
        Ok(Self { folder, chapters, progress })
    }

    /// The vault, as its first entry says.
    fn vault(&self) -> Option<String> {
        let (entry, _) = self.chapter(0).remove(&1).or_else(|| self.entry(1))?;
        let Event::VaultCreated { vault } = entry.event else { return None };
        Some(vault.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Hands over each number up to the last one, with the entry where it is whole and follows the one before.
    fn each(&self, each: &mut dyn FnMut(u64, Option<(Entry, Hash)>)) {
        let (mut chain, mut next) = (Chain::new(), 1);
        for chapter in &self.chapters {
            if *chapter > chapter_of(next) + CHAPTERS_MISSING_MAX {
                break;
            }
            let mut sealed = self.chapter(*chapter);
            let last = sealed.keys().last().copied().or_else(|| self.last_in(*chapter));
            let Some(last) = last else { continue };
            let numbers = entries_of(*chapter);
            while next <= last.min(numbers.end - 1) {
                let found = sealed.remove(&next).or_else(|| self.entry(next));
                each(next, follow(&mut chain, next, found));
                next += 1;
            }
        }
    }

    /// Entries of a whole chapter; none where it is not whole, or not sealed yet.
    fn chapter(&self, number: u64) -> BTreeMap<u64, (Entry, Hash)> {
        let Some(bytes) = self.read(&layout::chapter(number), CHAPTER_BYTES_MAX) else {
            return BTreeMap::new();
        };
        let Ok(chapter) = Chapter::decode(number, &bytes) else { return BTreeMap::new() };
        chapter.entries.into_iter().map(|found| (found.entry.sequence, (found.entry, found.hash))).collect()
    }

    fn entry(&self, number: u64) -> Option<(Entry, Hash)> {
        let bytes = self.read(&layout::entry(number), ENTRY_BYTES_MAX + 1024)?;
        let (entry, hash, len) = Entry::decode(&bytes).ok()?;
        (entry.sequence == number && len == bytes.len()).then_some((entry, hash))
    }

    /// The highest number of an entry's file in a folder.
    fn last_in(&self, chapter: u64) -> Option<u64> {
        let listed = names(&self.folder.join(layout::entry_folder(chapter))).ok()?;
        let number = |name: &[u8]| layout::entry_number(str::from_utf8(name).ok()?);
        let numbers = (0..listed.len()).filter_map(|place| number(listed.name(place)));
        numbers.filter(|number| entries_of(chapter).contains(number)).max()
    }

    fn read(&self, path: &str, bytes_max: usize) -> Option<Vec<u8>> {
        let bytes = read(&self.folder.join(path_of_bytes(path.as_bytes())), bytes_max).ok()?;
        self.progress.pass(bytes.len() as u64);
        self.progress.add_sent_bytes(bytes.len() as u64);
        Some(bytes)
    }
}

/// The entry, if it follows the one before as far as that can be told.
fn follow(chain: &mut Chain, number: u64, found: Option<(Entry, Hash)>) -> Option<(Entry, Hash)> {
    let Some((entry, hash)) = found else {
        chain.step_over(number);
        return None;
    };
    match chain.step(&entry, hash) {
        Link::Follows | Link::AfterGap { .. } | Link::Unchecked => Some((entry, hash)),
        Link::Broken => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::ReceiptFault;
    use super::*;
    use larder_format::{
        ChunkRef,
        ledger::{Head, Snapshot, WallStamp, chapter::ChapterBuilder},
        tree::Totals,
        wire::Receipt,
    };
    use larder_trust::SecretKey;
    use std::fs;

    const NAME: [u8; 16] = [7; 16];

    fn snapshot(number: u64) -> Snapshot {
        let totals = Totals { files: 0, directories: 0, bytes: 0 };
        Snapshot::new("laptop/data", NAME, ChunkRef::to(&number.to_le_bytes()), totals)
    }

    /// A ledger of 2,100 entries, each tenth a snapshot, of which the last entry lets go of the first two; its first chapter is sealed.
    fn ledger() -> (tempfile::TempDir, Vec<KeptReceipt>) {
        let top = tempfile::tempdir().unwrap();
        let (mut previous, mut builder, mut receipts) = (Hash::ZERO, ChapterBuilder::default(), Vec::new());
        for sequence in 1..=2100 {
            let event = match sequence {
                1 => Event::VaultCreated { vault: NAME },
                2100 => Event::Pruned { snapshots: vec![10, 20], why: "the rule".to_owned() },
                _ if sequence % 10 == 0 => Event::Snapshot(snapshot(sequence)),
                _ => Event::ClockConfirmed,
            };
            let (bytes, hash) = Entry { sequence, previous, stamp: WallStamp::default(), event }.encode();
            previous = hash;
            let path = top.path().join(layout::entry(sequence));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &bytes).unwrap();
            if sequence < 1000 {
                assert!(builder.push(&bytes));
            }
            if sequence % 10 == 0 && sequence < 2100 {
                let head = Head { sequence, hash };
                let (source, disks, degraded) = ("laptop/data".to_owned(), vec![], vec![]);
                let receipt = Receipt { source, snapshot: sequence, head, disks, degraded, signed: None };
                let root = ChunkRef::to(&sequence.to_le_bytes());
                receipts.push(KeptReceipt { vault: "07".repeat(16), root, receipt });
            }
        }
        fs::write(top.path().join(layout::chapter(0)), builder.finish()).unwrap();
        (top, receipts)
    }

    fn checked(top: &Path, receipts: &[KeptReceipt]) -> ReceiptFindings {
        let key = SecretKey::generate().unwrap().public();
        let checked = check(top, receipts, &key, &TransferProgress::local()).unwrap();
        assert_eq!(checked.vault, "07".repeat(16));
        checked.findings
    }

    #[test]
    fn a_whole_ledger_agrees_also_without_its_sealed_files_or_its_chapter() {
        let (top, receipts) = ledger();
        for gone in [None, Some(layout::entry(500)), Some(layout::chapter(0))] {
            if let Some(gone) = gone {
                // One of the two is enough; both of one entry are lost only below.
                fs::remove_file(top.path().join(&gone)).unwrap();
                if gone == layout::chapter(0) {
                    let findings = checked(top.path(), &receipts);
                    assert_eq!((findings.broken, findings.fault_count), (vec![(500, 500)], 1));
                    continue;
                }
            }
            let findings = checked(top.path(), &receipts);
            assert!(!findings.is_changed(), "{findings:?}");
            assert_eq!((findings.whole, findings.kept, findings.entries), (209, 207, 2100));
            assert_eq!((findings.let_go[0].entry, &findings.let_go[0].snapshots[..]), (2100, &[10, 20][..]));
        }
    }

    #[test]
    fn an_exchanged_entry_and_a_receipt_for_another_tree_are_told() {
        let (top, mut receipts) = ledger();
        receipts[150].root = ChunkRef::to(b"another");
        // Written anew without its neighbours: whole in itself.
        let event = Event::Snapshot(snapshot(2000));
        let entry = Entry { sequence: 2000, previous: Hash::of(b"no"), stamp: WallStamp::default(), event };
        fs::write(top.path().join(layout::entry(2000)), entry.encode().0).unwrap();
        let findings = checked(top.path(), &receipts);
        let faults: Vec<_> = findings.faults.iter().map(|it| (it.snapshot, it.fault)).collect();
        assert_eq!(faults, [(1510, ReceiptFault::OtherSnapshot), (2000, ReceiptFault::Missing)]);
        assert_eq!(findings.broken, [(2000, 2001)], "it does not follow, and is not followed");
    }

    #[test]
    fn a_cut_off_ledger_has_receipts_beyond_its_end_and_a_stray_name_makes_no_million_holes() {
        let (top, receipts) = ledger();
        fs::remove_dir_all(top.path().join(layout::entry_folder(2))).unwrap();
        fs::create_dir_all(top.path().join(layout::entry_folder(900_000_000))).unwrap();
        let findings = checked(top.path(), &receipts);
        assert_eq!((findings.beyond, findings.newest.unwrap().sequence), (10, 1999));
        assert!(!findings.is_changed());
        let empty = tempfile::tempdir().unwrap();
        let key = SecretKey::generate().unwrap().public();
        assert!(check(empty.path(), &receipts, &key, &TransferProgress::local()).is_err());
    }
}
