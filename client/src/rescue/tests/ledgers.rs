//! Damaged ledgers, ledgers from the future, and ledgers of two vaults.

use super::*;

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
