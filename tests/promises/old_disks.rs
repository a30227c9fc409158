//! Vaults of every released format open for ever, and disks can be read without us.

use crate::byte_exact::{Dice, describe};
use harness::home::{Home, text};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn tests_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn python() -> PathBuf {
    // `tests/run` makes an environment with the two packages that the reader needs.
    std::env::var_os("LARDER_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(copied.success());
}

/// A vault that an earlier version wrote gives back everything, and takes new backups.
#[test]
fn old_vaults_stay_readable() {
    let mut versions = 0;
    for version in fs::read_dir(tests_folder().join("old_disks")).expect("a folder") {
        let version = version.expect("a name").path();
        let expected: serde_json::Value =
            serde_json::from_slice(&fs::read(version.join("expected.json")).expect("expected.json"))
                .expect("JSON");
        let mut home = Home::new();
        home.kill_agent();
        fs::remove_dir_all(home.path("disk")).expect("removed");
        fs::create_dir_all(home.path("disk")).expect("a folder");
        copy(&version.join("larder"), &home.disk());
        home.start();
        home.pair("laptop", "admin");
        let audit = Command::new(python())
            .arg(tests_folder().join("independent/check_old_disks.py"))
            .output()
            .expect("python runs");
        assert!(audit.status.success(), "{}", text(&audit));
        let mut newest = 0;
        for snapshot in expected.as_array().expect("snapshots") {
            newest = snapshot["snapshot"].as_u64().expect("a number");
            let restored = home.restore("notes", newest);
            let entries = snapshot["entries"].as_array().expect("entries");
            for entry in entries.iter().filter(|entry| entry["kind"] == "file") {
                let name = larder_format::wire::unescape_name(entry["path"].as_str().expect("a path"))
                    .expect("escaped");
                let path = restored.join(std::ffi::OsStr::from_bytes(&name));
                let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                assert_eq!(blake3::hash(&bytes).to_string(), entry["blake3"], "{}", path.display());
            }
            assert_eq!(describe(&restored).len(), entries.len(), "snapshot {newest}");
        }
        let folder = home.path("new");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("letter.txt"), b"dear all").expect("written");
        assert!(home.push(&folder, "notes") > newest);
        versions += 1;
    }
    println!("{versions} old vaults opened");
    assert!(versions >= 1);
}

/// A pulled disk is read by a program that shares no line with Larder.
#[test]
fn a_pulled_disk_is_read_without_us() {
    let mut home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(folder.join("deep/er")).expect("a folder");
    let mut dice = Dice(5);
    for number in 0..30 {
        let len = usize::try_from(dice.below(600_000)).expect("small");
        fs::write(folder.join(format!("deep/er/file{number}")), dice.bytes(len)).expect("written");
    }
    std::os::unix::fs::symlink("deep/er", folder.join("link")).expect("a link");
    home.push(&folder, "data");
    home.stop_agent();
    fs::remove_dir_all(home.disk().join("index")).expect("removed");
    let to = home.path("rescued");
    let read = Command::new(python())
        .arg(tests_folder().join("independent/larder_read.py"))
        .arg(home.path("disk"))
        .arg("--to")
        .arg(&to)
        .output()
        .expect("python runs");
    assert!(read.status.success(), "{}", text(&read));
    assert_eq!(describe(&to.join("laptop/data")), describe(&folder));
}
