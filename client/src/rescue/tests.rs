//! Rescue from small disks that are made here and damaged in every way of a disk.

use super::*;
use crate::{
    PushOptions, Remote, RestoreOptions, Restored, Selection, platform::set_permissions, push, restore,
};
use larder_format::{
    Hash,
    block::{Decoder, OpenBlock},
    ledger::{Entry, Event, Head, Snapshot, Stamp},
    pack::{self, FOOTER_BYTES, Table},
    wire::{Commit, Identity, Neighbours, Receipt, Received},
};
use std::{collections::BTreeMap, fs, path::Path, sync::Mutex};
use tempfile::TempDir;

/// An appliance that writes each upload as a pack, and each commit as a ledger entry.
struct Writer {
    folder: TempDir,
    head: Mutex<Head>,
}

fn unused() -> ClientError {
    ClientError::Usage("not in this test".into())
}

impl Past for Writer {
    fn fetch(&self, _: &[ChunkId], _: Neighbours, _: &mut dyn FnMut(&[u8])) -> Result<(), ClientError> {
        Err(unused())
    }

    fn places(&self, _: &[ChunkId]) -> Result<Vec<u64>, ClientError> {
        Err(unused())
    }

    fn snapshot(&self, _: &str, _: &str) -> Result<SnapshotInfo, ClientError> {
        Err(unused())
    }
}

impl Remote for Writer {
    fn identity(&self) -> Result<Identity, ClientError> {
        Err(unused())
    }

    fn missing(&self, names: &[ChunkId]) -> Result<Vec<ChunkId>, ClientError> {
        Ok(names.to_vec())
    }

    fn upload(&self, blocks: &[&[u8]]) -> Result<Received, ClientError> {
        let blocks = blocks.concat();
        let (mut table, mut names) = (Table::default(), Vec::new());
        let mut bytes = pack::header(0).to_vec();
        let (mut rest, mut decoder) = (&blocks[..], Decoder::new());
        while !rest.is_empty() {
            let (header, block) = OpenBlock::read(&mut decoder, rest).unwrap();
            block.chunks.iter().for_each(|(id, _)| names.extend_from_slice(&id.0));
            table.push(bytes.len() as u64, header.block_len(), block.chunks.iter().map(|(id, _)| *id));
            bytes.extend_from_slice(&rest[..header.block_len()]);
            rest = &rest[header.block_len()..];
        }
        bytes.extend(table.encode(bytes.len() as u64));
        let name = Hash::of(&bytes).to_string();
        let folder = self.disk().join("larder/packs").join(&name[..2]);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.pack")), bytes).unwrap();
        Ok(Received { chunks: names.len() as u64 / 32, names: Hash::of(&names) })
    }

    fn commit(&self, source: &str, commit: &Commit) -> Result<Receipt, ClientError> {
        let Commit { root, totals, skipped, device_time_ms, .. } = *commit;
        let source = source.to_owned();
        let push = [7; 16];
        let snapshot =
            Snapshot { skipped, device_time_ms, ..Snapshot::new(source.clone(), push, root, totals) };
        let head = self.write(Event::Snapshot(snapshot));
        Ok(Receipt { source, snapshot: head.sequence, head, disks: vec![], degraded: vec![] })
    }
}

impl Writer {
    fn new() -> Self {
        let writer = Self { folder: tempfile::tempdir().unwrap(), head: Mutex::new(Head::EMPTY) };
        writer.write(Event::VaultCreated { vault: [1; 16] });
        writer
    }

    fn disk(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn entry(&self, number: u64) -> PathBuf {
        self.disk().join(format!("larder/ledger/000000/{number:012}.entry"))
    }

    fn write(&self, event: Event) -> Head {
        let mut head = self.head.lock().unwrap();
        let sequence = head.sequence + 1;
        let stamp = Stamp {
            time_ms: 1_790_000_000_000 + sequence as i64 * 86_400_000,
            trusted: true,
            powered_on_s: 9,
        };
        let (bytes, hash) = Entry { sequence, previous: head.hash, stamp, event }.encode();
        fs::create_dir_all(self.entry(sequence).parent().unwrap()).unwrap();
        fs::write(self.entry(sequence), bytes).unwrap();
        *head = Head { sequence, hash };
        *head
    }

    /// Pushes two states of a source; returns the files of the second state.
    fn two_pushes(&self) -> BTreeMap<String, Vec<u8>> {
        let files = self.folder.path().join("files");
        fs::create_dir_all(files.join("deep/er")).unwrap();
        let push = || {
            let options = PushOptions { cache: None, ..PushOptions::default() };
            push(self, "laptop/docs", &files, &options, &TransferProgress::default()).unwrap();
        };
        for number in 0..20u32 {
            let seed = Hash::of(&number.to_le_bytes());
            let content = seed.0.repeat(if number % 5 == 0 { 20_000 } else { 40 });
            fs::write(files.join(format!("deep/file{number}")), content).unwrap();
        }
        fs::write(files.join("deep/er/note"), "before").unwrap();
        push();
        fs::write(files.join("deep/er/note"), "after").unwrap();
        push();
        contents(&files)
    }

    fn packs(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.disk().join("larder/packs")).unwrap();
        let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().path()).collect()
    }

    fn copy(&self, name: &str) -> PathBuf {
        let to = self.folder.path().join(name);
        for from in walk(&self.disk()) {
            let path = to.join(from.strip_prefix(self.disk()).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy(from, path).unwrap();
        }
        to
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |path: &Path| path.strip_prefix(folder).unwrap().display().to_string();
    walk(folder).into_iter().map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

fn now() -> Zoned {
    "2027-01-01T00:00:00+00:00[UTC]".parse().unwrap()
}

fn open(disks: &[PathBuf]) -> Rescue {
    let mut rescue = Rescue::open(disks, now()).unwrap();
    rescue.settle(&TransferProgress::local());
    rescue.look_through(&TransferProgress::local());
    rescue
}

fn bring(rescue: &Rescue, source: &str, when: &str) -> (Restored, BTreeMap<String, Vec<u8>>) {
    let target = tempfile::tempdir().unwrap();
    let wanted = Selection { source, when, path: b"" };
    let options = RestoreOptions::default();
    let restored = restore(rescue, &wanted, target.path(), &options, &TransferProgress::local()).unwrap();
    (restored, contents(target.path()))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

#[test]
fn everything_comes_back_from_a_whole_disk() {
    let vault = Writer::new();
    let newest = vault.two_pushes();
    for path in [vault.disk(), vault.disk().join("larder")] {
        let rescue = open(&[path]);
        let (restored, found) = bring(&rescue, "laptop/docs", "newest");
        assert_eq!((found, restored.skipped.count), (newest.clone(), 0));
        assert_eq!(bring(&rescue, "laptop/docs", "2").1["deep/er/note"], b"before");
        assert_eq!(bring(&rescue, "laptop/docs", "99 days ago").1["deep/er/note"], b"before");
        assert_eq!((rescue.damage().count, rescue.missing_entries().len(), rescue.too_new()), (0, 0, 0));
    }
}

#[test]
fn a_pack_without_its_table_is_scanned_and_nothing_is_lost() {
    let vault = Writer::new();
    let newest = vault.two_pushes();
    for pack in vault.packs() {
        let len = fs::read(&pack).unwrap().len();
        flip(&pack, len - FOOTER_BYTES - 5);
    }
    let rescue = open(&[vault.disk()]);
    assert_eq!(bring(&rescue, "laptop/docs", "newest").1, newest);
    assert_eq!(rescue.damage().count, vault.packs().len() as u64);
    // Cut short, as by a filesystem that lost the end.
    for pack in vault.packs() {
        let bytes = fs::read(&pack).unwrap();
        fs::write(&pack, &bytes[..bytes.len() - FOOTER_BYTES - 20]).unwrap();
    }
    assert_eq!(bring(&open(&[vault.disk()]), "laptop/docs", "newest").1, newest);
}

#[test]
fn two_damaged_disks_make_a_whole_one() {
    let vault = Writer::new();
    let newest = vault.two_pushes();
    let (a, b) = (vault.copy("a"), vault.copy("b"));
    // Every other byte of damage is on the other disk; each disk alone lacks files.
    for (number, pack) in vault.packs().iter().enumerate() {
        let path = pack.strip_prefix(vault.disk()).unwrap();
        let len = fs::read(pack).unwrap().len();
        flip(&a.join(path), 100);
        flip(&b.join(path), len - 10);
        if number == 0 {
            fs::remove_file(b.join(path)).unwrap();
            fs::copy(pack, a.join(path)).unwrap();
        }
    }
    let rescue = open(&[a.clone(), b]);
    let (restored, found) = bring(&rescue, "laptop/docs", "newest");
    assert_eq!((found, restored.skipped.count), (newest.clone(), 0));
    assert!(rescue.damage().count > 0);
    let alone = Rescue::open(&[a], now()).unwrap();
    assert!(restore_all_is_worse(alone, &newest));
}

fn restore_all_is_worse(mut rescue: Rescue, newest: &BTreeMap<String, Vec<u8>>) -> bool {
    rescue.look_through(&TransferProgress::local());
    let target = tempfile::tempdir().unwrap();
    let wanted = Selection { source: "laptop/docs", when: "newest", path: b"" };
    let restored =
        restore(&rescue, &wanted, target.path(), &RestoreOptions::default(), &TransferProgress::local());
    let found = contents(target.path());
    assert!(found.iter().all(|(name, content)| newest.get(name) == Some(content)), "never a wrong byte");
    restored.is_err() || restored.is_ok_and(|restored| restored.damaged > 0 && found.len() < newest.len())
}

#[test]
fn a_lost_ledger_entry_is_named_and_its_snapshot_found() {
    let vault = Writer::new();
    let newest = vault.two_pushes();
    flip(&vault.entry(3), 60);
    let mut rescue = open(&[vault.disk()]);
    assert_eq!(rescue.missing_entries(), [(3, 3)]);
    assert_eq!(rescue.snapshots().len(), 1);
    rescue.search(&TransferProgress::local());
    let [found] = rescue.found() else { panic!("one that no entry names") };
    assert_eq!((found.name.as_str(), found.names.as_slice()), ("found-1", &["deep".to_owned()][..]));
    assert_eq!(bring(&rescue, "found-1", "newest").1, newest);
    fs::remove_dir_all(vault.disk().join("larder/ledger")).unwrap();
    let mut rescue = open(&[vault.disk()]);
    rescue.search(&TransferProgress::local());
    assert_eq!(rescue.found().len(), 2);
}

#[test]
fn what_a_filesystem_check_brought_together_is_used() {
    let vault = Writer::new();
    let newest = vault.two_pushes();
    let lost = vault.disk().join("lost+found");
    fs::create_dir(&lost).unwrap();
    for (number, file) in vault.packs().into_iter().chain((1..=3).map(|n| vault.entry(n))).enumerate() {
        fs::rename(file, lost.join(format!("#{number}"))).unwrap();
    }
    let rescue = open(&[vault.disk()]);
    assert_eq!(bring(&rescue, "laptop/docs", "newest").1, newest);
    // Only some packs, copied into any folder.
    let heap = vault.folder.path().join("heap");
    fs::create_dir(&heap).unwrap();
    for (number, file) in walk(&lost).into_iter().enumerate() {
        let is_pack = fs::read(&file).unwrap().starts_with(pack::PACK_MAGIC);
        fs::copy(&file, heap.join(format!("{number}.{}", if is_pack { "pack" } else { "entry" }))).unwrap();
    }
    assert_eq!(bring(&open(&[heap]), "laptop/docs", "newest").1, newest);
}

/// An event from the future may have let go of a snapshot: a snapshot that is still there is listed all the same.
#[test]
fn unknown_events_are_stepped_over_and_told() {
    let vault = Writer::new();
    let newest = vault.two_pushes();
    vault.write(Event::HoldCleared { sequence: 0 });
    let mut bytes = fs::read(vault.entry(4)).unwrap();
    let body = bytes.len() - 32;
    (bytes[10], bytes[body - 2]) = (9, 99);
    let hash = Hash::of(&bytes[..body]);
    bytes[body..].copy_from_slice(&hash.0);
    fs::write(vault.entry(4), bytes).unwrap();
    let rescue = open(&[vault.disk()]);
    assert_eq!((rescue.too_new(), rescue.damage().count, rescue.missing_entries().len()), (1, 0, 0));
    assert!(rescue.snapshots().iter().all(|kept| kept.standing == SnapshotStanding::KeptSnapshot));
    assert_eq!(bring(&rescue, "laptop/docs", "newest").1, newest);
    vault.packs().iter().for_each(|pack| fs::remove_file(pack).unwrap());
    let rescue = open(&[vault.disk()]);
    assert!(rescue.snapshots().iter().all(|kept| kept.standing == SnapshotStanding::NotHere));
}

#[test]
fn a_source_that_would_lead_out_of_the_target_is_not_listed() {
    let vault = Writer::new();
    let root = ChunkRef::to(b"");
    let (push, totals) = ([1; 16], Totals::default());
    for source in ["../../etc", "a/..", "/x/y"] {
        let evil = Snapshot::new(source, push, root, totals);
        vault.write(Event::Snapshot(evil));
    }
    let rescue = open(&[vault.disk()]);
    assert_eq!((rescue.snapshots().len(), rescue.damage().count), (0, 3));
}

#[test]
fn disks_of_two_vaults_are_not_mixed() {
    let vault = Writer::new();
    let (a, b) = (vault.copy("a"), vault.copy("b"));
    for (disk, vault) in [(&a, "aa"), (&b, "bb")] {
        let check = Hash::of(format!("1 1 {vault} dd").as_bytes()).to_string();
        let facts = serde_json::json!({
            "format": 1, "oldest_reader": 1, "vault": vault, "disk": "dd", "check": check
        });
        fs::write(disk.join("larder/disk.json"), facts.to_string()).unwrap();
    }
    let refused = Rescue::open(&[a.clone(), b.clone()], now()).err().unwrap();
    assert_eq!(refused.exit_code(), 2, "{refused}");
    // A damaged disk.json is told and costs nothing.
    flip(&b.join("larder/disk.json"), 20);
    assert_eq!(Rescue::open(&[a, b], now()).unwrap().damage().count, 1);
    assert!(Rescue::open(&[vault.folder.path().join("nowhere")], now()).is_err());
}

/// A file may hold another pack, whole: the file looks undamaged, and the other disk has the right pack.
#[test]
fn packs_that_were_swapped_or_overwritten_on_one_disk_hide_nothing_of_the_other() {
    let vault = Writer::new();
    let newest = vault.two_pushes();
    let packs = vault.packs();
    let on = |disk: &Path, pack: &Path| disk.join(pack.strip_prefix(vault.disk()).unwrap());
    let comes_back = |disks: &[PathBuf], context: &str| {
        let mut rescue = open(disks);
        let (restored, found) = bring(&rescue, "laptop/docs", "newest");
        assert!(found == newest && restored.damaged == 0, "{context}: {} names", found.len());
        assert!(rescue.damage().count > 0, "{context}: it is told");
        assert_eq!(bring(&rescue, "laptop/docs", "2").1["deep/er/note"], b"before", "{context}");
        rescue.ledger.snapshots.clear();
        rescue.search(&TransferProgress::local());
        assert_eq!(rescue.found().len(), 2, "{context}: both roots are found by their look");
    };
    assert!(packs.len() > 1);
    // Each pack is hidden by the next one.
    for (round, (one, other)) in packs.iter().zip(packs.iter().cycle().skip(1)).enumerate() {
        let [swapped, over, cut] =
            ["swapped", "over", "cut"].map(|name| vault.copy(&format!("{name}{round}")));
        fs::copy(other, on(&swapped, one)).unwrap();
        fs::copy(one, on(&swapped, other)).unwrap();
        fs::copy(other, on(&over, one)).unwrap();
        for disk in [&swapped, &over] {
            for disks in [[disk.clone(), vault.disk()], [vault.disk(), disk.clone()]] {
                comes_back(&disks, &format!("{disks:?}"));
            }
        }
        // The right copy has lost its table, so only a scan of the copy finds the hidden chunks.
        let len = fs::read(one).unwrap().len();
        flip(&on(&cut, one), len - FOOTER_BYTES - 5);
        for disks in [[over.clone(), cut.clone()], [cut, over]] {
            comes_back(&disks, &format!("{disks:?}"));
        }
    }
}

/// A file in the wrong folder is known by its content.
#[test]
fn packs_in_wrong_folders_are_used() {
    let vault = Writer::new();
    let newest = vault.two_pushes();
    for (number, pack) in vault.packs().into_iter().enumerate() {
        let folder = vault.disk().join(["larder/packs/zz", "larder/packs", "larder/packs/0/1"][number % 3]);
        fs::create_dir_all(&folder).unwrap();
        fs::rename(&pack, folder.join(pack.file_name().unwrap())).unwrap();
    }
    let (restored, found) = bring(&open(&[vault.disk()]), "laptop/docs", "newest");
    assert_eq!((found, restored.skipped.count), (newest, 0));
}

/// An entry that cannot be opened costs itself: the rest of the disk comes back, and the lost part from the other
/// disk.
#[test]
fn what_cannot_be_read_is_named_and_the_rest_comes_back() {
    let vault = Writer::new();
    let newest = vault.two_pushes();
    let whole = vault.copy("whole");
    let packs = vault.packs();
    // A folder under a pack's name, and a folder that does not open (root opens the folder all the same).
    fs::remove_file(&packs[0]).unwrap();
    fs::create_dir(&packs[0]).unwrap();
    let shut = packs[1].parent().unwrap();
    set_permissions(shut, 0o000).unwrap();
    let rescue = open(&[vault.disk(), whole]);
    let (restored, found) = bring(&rescue, "laptop/docs", "newest");
    assert_eq!((found, restored.skipped.count), (newest.clone(), 0));
    assert!(rescue.damage().count > 0);
    let alone = open(&[vault.disk()]);
    let told = alone.damage().count;
    set_permissions(shut, 0o755).unwrap();
    assert!(told > 0);
    // Perhaps only the older snapshot needs the lost chunks.
    let _is_worse = restore_all_is_worse(alone, &newest);
}

/// Any flipped byte anywhere: no panic, no wrong byte, and every loss is named.
#[test]
fn damage_anywhere_never_gives_back_a_wrong_byte() {
    let vault = Writer::new();
    let newest = vault.two_pushes();
    let files = walk(&vault.disk());
    for round in 0..60u64 {
        let dice = Hash::of(&round.to_le_bytes()).0;
        let disk = vault.copy(&format!("copy{round}"));
        for hit in 0..1 + usize::from(dice[0] % 4) {
            let file = &files[usize::from(dice[1 + hit]) % files.len()];
            let at = usize::from(u16::from_le_bytes([dice[8 + hit], dice[16 + hit]]));
            flip(&disk.join(file.strip_prefix(vault.disk()).unwrap()), at);
        }
        let mut rescue = open(std::slice::from_ref(&disk));
        if !rescue.snapshots().iter().any(|kept| kept.snapshot == 3) {
            assert!(rescue.damage().count > 0, "{round}");
            rescue.search(&TransferProgress::local());
        } else {
            let target = tempfile::tempdir().unwrap();
            let wanted = Selection { source: "laptop/docs", when: "3", path: b"" };
            let options = RestoreOptions::default();
            let restored = restore(&rescue, &wanted, target.path(), &options, &TransferProgress::local());
            let found = contents(target.path());
            assert!(found.iter().all(|(name, content)| newest.get(name) == Some(content)), "{round}");
            let is_told = restored.map_or(true, |restored| restored.damaged > 0);
            assert!(is_told || found == newest, "{round}");
        }
        fs::remove_dir_all(disk).unwrap();
    }
}
