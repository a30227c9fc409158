//! Damaged, swapped, moved and unreadable packs: what is whole anywhere comes back, and never a wrong byte.

use super::*;

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
