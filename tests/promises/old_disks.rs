//! Vaults of every released format open for ever, and disks can be read without us.

use crate::byte_exact::{Dice, describe};
use harness::home::{Home, text};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The key of `laptop` on the disks that a newer Larder is made to have used: nobody can be paired where nothing is written.
const KNOWN_KEY: &str = "3051020101300506032b65700422042049755e0f3033f5719f6fe5fb7143584bfb271eeaef19d1cab6c\
    16727ac86b6c0812100abec158e493efd60a204e0e19ad6777e75ea75437cce13f47bffa642542176f0";

fn tests_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn python() -> PathBuf {
    // `tests/run` makes an environment with the two packages that the reader needs.
    std::env::var_os("LARDER_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(copied.success());
}

/// A vault that an earlier version wrote gives back everything, and takes new backups. So does one that a newer version
/// used, as far as that version's entries and packs allow it.
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
        let name = version.file_name().and_then(|name| name.to_str()).expect("a name");
        match name.starts_with("newer-") {
            true => home.is_paired_with(KNOWN_KEY),
            false => home.pair("laptop", "admin"),
        }
        let audit = Command::new(python())
            .arg(tests_folder().join("independent/check_old_disks.py"))
            .output()
            .expect("python runs");
        assert!(audit.status.success(), "{}", text(&audit));
        check_rescue(&home, &version, &expected);
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
        if ["newer-read-only", "newer-frame", "newer-pack"].contains(&name) {
            let folder = folder.display().to_string();
            let refused = home.larder(&["push", &folder, "--source", "notes"]).output().expect("larder runs");
            assert!(
                !refused.status.success() && text(&refused).contains("newer Larder"),
                "{}",
                text(&refused)
            );
            let status = home.larder(&["status"]).output().expect("larder runs");
            assert!(text(&status).contains("newer Larder"), "{name}: {}", text(&status));
        } else {
            assert!(home.push(&folder, "notes") > newest, "{name}");
        }
        versions += 1;
    }
    println!("{versions} old vaults opened");
    assert!(versions >= 6);
}

/// The same disk, read by `larder rescue` where it lies.
fn check_rescue(home: &Home, version: &Path, expected: &serde_json::Value) {
    for snapshot in expected.as_array().expect("snapshots") {
        let number = snapshot["snapshot"].as_u64().expect("a number");
        let source = snapshot["source"].as_str().expect("a source");
        let to = home.path(&format!("rescued-{number}"));
        let spot = format!("{source}@{number}");
        home.ok(&["rescue", &version.display().to_string(), "--to", &to.display().to_string(), &spot]);
        let entries = snapshot["entries"].as_array().expect("entries");
        for entry in entries.iter().filter(|entry| entry["kind"] == "file") {
            let name = larder_format::wire::unescape_name(entry["path"].as_str().expect("a path"));
            let path = to.join(std::ffi::OsStr::from_bytes(&name.expect("escaped")));
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(blake3::hash(&bytes).to_string(), entry["blake3"], "{}", path.display());
        }
        assert_eq!(describe(&to).len(), entries.len(), "snapshot {number}");
    }
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

/// Tables and packs of a pulled disk are damaged; that program still finds what is whole, as FORMAT.md tells.
#[test]
fn a_damaged_disk_is_read_without_us() {
    let mut home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    let mut dice = Dice(6);
    for number in 0..40 {
        fs::write(folder.join(format!("file{number}")), dice.bytes(90_000)).expect("written");
    }
    home.push(&folder, "data");
    home.stop_agent();
    let packs = fs::read_dir(home.disk().join("packs")).expect("packs");
    let packs = packs.flat_map(|folder| fs::read_dir(folder.expect("a name").path()).expect("a folder"));
    let packs: Vec<PathBuf> = packs.map(|pack| pack.expect("a name").path()).collect();
    let read = |to: &Path| {
        let program = tests_folder().join("independent/larder_read.py");
        let mut command = Command::new(python());
        command.arg(program).arg(home.path("disk")).arg("--to").arg(to);
        command.output().expect("python runs")
    };
    for pack in &packs {
        let mut bytes = fs::read(pack).expect("a pack");
        let len = bytes.len();
        bytes[len - 30] ^= 1;
        fs::remove_file(pack).expect("removed");
        fs::write(pack, bytes).expect("written");
    }
    let to = home.path("without-tables");
    let output = read(&to);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output));
    assert_eq!(describe(&to.join("laptop/data")), describe(&folder));
    // Now a byte of one file's content as well: that file is named and lost, the others are not.
    let hurt = packs.iter().max_by_key(|pack| fs::metadata(pack).expect("a pack").len()).expect("one");
    let mut bytes = fs::read(hurt).expect("a pack");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(hurt, bytes).expect("written");
    let to = home.path("hurt");
    let output = read(&to);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output));
    let (found, pushed) = (describe(&to.join("laptop/data")), describe(&folder));
    assert!(found.len() < pushed.len() && found.len() > pushed.len() / 2, "{}", text(&output));
    assert!(found.iter().all(|(name, facts)| name.is_empty() || pushed.get(name) == Some(facts)));
}
