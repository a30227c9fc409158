//! Several disks: one that joins is filled by itself, and each of them alone is a whole backup.

use crate::byte_exact::{Dice, describe};
use harness::home::Home;
use std::fs;
use std::time::{Duration, Instant};

/// Time for a disk to be filled: it holds a few megabytes.
const FILLED_WITHIN: Duration = Duration::from_secs(60);

/// A second disk is named in the settings, and after a while the first one may be lost.
#[test]
fn a_new_disk_is_filled_and_then_replaces_the_old_one() {
    let mut home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    let mut dice = Dice(11);
    for number in 0..30 {
        fs::write(folder.join(format!("file{number}")), dice.bytes(100_000)).expect("written");
    }
    let first = home.push(&folder, "data");
    let before = describe(&folder);
    assert_eq!(home.stop_agent(), Some(0));
    home.use_disks(&["disk", "second"]);
    home.start();
    fs::write(folder.join("new"), dice.bytes(200_000)).expect("written");
    let second = home.push(&folder, "data");
    let since = Instant::now();
    loop {
        let status = home.json(&["status"]);
        let disks = status["disks"].as_array().expect("disks");
        if disks.len() == 2 && disks.iter().all(|disk| disk["behind"] == 0) {
            break;
        }
        assert!(since.elapsed() < FILLED_WITHIN, "{status}");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(home.stop_agent(), Some(0));
    fs::remove_dir_all(home.path("disk")).expect("the first disk is lost");
    home.use_disks(&["second"]);
    home.start();
    assert_eq!(describe(&home.restore("data", first)), before);
    assert_eq!(describe(&home.restore("data", second)), describe(&folder));
}

/// A disk rots, and heals by itself: one command says so, and the status shows when everything was last read.
#[test]
fn a_disk_that_rots_heals_and_the_owner_is_told() {
    let home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    let mut dice = Dice(12);
    for number in 0..10 {
        fs::write(folder.join(format!("file{number}")), dice.bytes(400_000)).expect("written");
    }
    let number = home.push(&folder, "data");
    let scrub = || {
        let output = home.larderd(&["scrub", "--json"]).output().expect("larderd runs");
        let text = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), serde_json::from_str::<serde_json::Value>(&text).expect("JSON"))
    };
    let (code, clean) = scrub();
    assert_eq!((code, &clean["disks"][0]["found"]["damaged"]), (Some(0), &0.into()), "{clean}");
    let sidecar = find(&home, "parity");
    assert!(sidecar.is_some(), "parity is made before the first round ends");
    let pack = find(&home, "pack").expect("a pack");
    let ruin = |from: u64, bytes: usize| {
        fs::set_permissions(&pack, std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .expect("rot asks nobody");
        let file = fs::OpenOptions::new().write(true).open(&pack).expect("open");
        std::os::unix::fs::FileExt::write_all_at(&file, &vec![7; bytes], from).expect("write");
    };
    ruin(100_000, 100_000);
    let (code, healed) = scrub();
    let found = &healed["disks"][0]["found"];
    assert_eq!((code, &found["damaged"], &found["repaired"]), (Some(0), &1.into(), &1.into()), "{healed}");
    assert_eq!(describe(&home.restore("data", number)), describe(&folder));
    // What was set aside the first time would help once more.
    fs::remove_dir_all(home.disk().join("quarantine")).expect("the damaged pack was set aside");
    ruin(100_000, 1_500_000);
    let (code, lost) = scrub();
    assert_eq!(code, Some(6), "{lost}");
    let named = lost["lost"].as_array().expect("a list");
    assert!(!named.is_empty() && named.iter().all(|file| file["source"] == "laptop/data"), "{lost}");
    let _ = fs::remove_dir_all(home.path("cache"));
    home.push(&folder, "data");
    let (code, back) = scrub();
    assert_eq!((code, back["lost"].as_array().map(Vec::len)), (Some(0), Some(0)), "{back}");
    assert_eq!(describe(&home.restore("data", number)), describe(&folder));
}

fn find(home: &Home, extension: &str) -> Option<std::path::PathBuf> {
    let folders = fs::read_dir(home.disk().join("packs")).expect("packs");
    let files = folders.flat_map(|folder| fs::read_dir(folder.expect("entry").path()).expect("list"));
    let mut files: Vec<_> = files.map(|file| file.expect("entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.into_iter().max_by_key(|file| fs::metadata(file).expect("metadata").len())
}
