//! The box is gone: `larder rescue` brings everything back from disks that were pulled out, and never writes to them.

use crate::byte_exact::{Dice, describe, grow};
use harness::home::{Home, text};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

type Described = BTreeMap<Vec<u8>, String>;

/// A vault on two disks with several trees, and what was in each at its newest push. The agent was killed.
struct Lost {
    home: Home,
    trees: BTreeMap<String, Described>,
    first: (u64, Described),
}

impl Lost {
    fn with_trees(seeds: u64) -> Self {
        let mut home = Home::new();
        assert_eq!(home.stop_agent(), Some(0));
        home.use_disks(&["disk", "second"]);
        home.start();
        let mut trees = BTreeMap::new();
        let mut first = (0, BTreeMap::new());
        for seed in 0..seeds {
            let folder = home.path(&format!("tree{seed}"));
            grow(&folder, &mut Dice(seed + 50), 3);
            let number = home.push(&folder, &format!("tree{seed}"));
            if seed == 0 {
                first = (number, describe(&folder));
                fs::write(folder.join("new"), "a second state").expect("written");
                home.push(&folder, "tree0");
            }
            trees.insert(format!("laptop/tree{seed}"), describe(&folder));
        }
        home.kill_agent();
        for disk in ["disk", "second"] {
            let _ = fs::remove_dir_all(home.path(disk).join("larder/index"));
        }
        Self { home, trees, first }
    }

    fn disk(&self, name: &str) -> PathBuf {
        self.home.path(name)
    }

    /// Brings everything back; returns the exit code, what was said, and where it is.
    fn rescue(&self, disks: &[&str], to: &str, more: &[&str]) -> (i32, String, PathBuf) {
        let to = self.home.path(to);
        let mut command = self.home.larder(&["rescue"]);
        command.args(disks.iter().map(|disk| self.disk(disk))).arg("--to").arg(&to).args(more);
        let output = command.output().expect("larder runs");
        (output.status.code().expect("an exit code"), text(&output), to)
    }

    /// Everything that is back is as it was pushed; returns how many names are not back.
    fn compare(&self, to: &Path, context: &str) -> usize {
        let mut lacking = 0;
        for (source, expected) in &self.trees {
            let folder = to.join(source);
            let found = if folder.exists() { describe(&folder) } else { Described::new() };
            for (name, facts) in &found {
                let shown = String::from_utf8_lossy(name);
                let pushed = expected.get(name).unwrap_or_else(|| panic!("{context}: {source}: {shown}"));
                // Of files with several names one may be lost, and then the others share less.
                let same = facts == pushed || (has_twin(pushed) && !has_all(expected, &found));
                assert!(same, "{context}: {source}: {shown}\n{pushed}\n{facts}");
            }
            lacking += expected.len() - found.len();
        }
        lacking
    }
}

fn has_twin(facts: &str) -> bool {
    !facts.contains(" \"\" ")
}

fn has_all(expected: &Described, found: &Described) -> bool {
    expected.len() == found.len()
}

/// Names, sizes, content, times and modes of all files below: a write of any kind would show.
fn fingerprint(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("a name").path();
            let meta = fs::symlink_metadata(&path).expect("it is there");
            let content = if meta.is_file() {
                blake3::hash(&fs::read(&path).expect("a file")).to_string()
            } else {
                folders.extend(meta.is_dir().then(|| path.clone()));
                String::new()
            };
            let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
            found.insert(path, format!("{:o} {} {times:?} {content}", meta.mode(), meta.len()));
        }
    }
    found
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fingerprint(folder).into_keys().filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    found.sort();
    found
}

/// Flips bytes at places that the dice choose.
fn damage(path: &Path, dice: &mut Dice, hits: u64) {
    let before = fs::metadata(path).expect("it is there");
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("made writable");
    let file = fs::OpenOptions::new().write(true).open(path).expect("opens");
    for _ in 0..hits {
        let at = dice.below(before.len());
        let mut byte = dice.bytes(1);
        byte[0] |= 1;
        file.write_all_at(&byte, at).expect("written");
    }
}

/// The box burnt down; each of its disks alone brings everything back, and is not written to.
#[test]
fn each_pulled_disk_alone_brings_everything_back() {
    let lost = Lost::with_trees(4);
    for disk in ["disk", "second"] {
        let before = fingerprint(&lost.disk(disk));
        let to = format!("from-{disk}");
        let (code, said, to) = lost.rescue(&[disk], &to, &[]);
        assert_eq!(code, 0, "{said}");
        assert_eq!(lost.compare(&to, disk), 0, "{said}");
        let listed = lost.home.json(&["rescue", &lost.disk(disk).display().to_string(), "--list"]);
        assert_eq!(listed["snapshots"].as_array().expect("snapshots").len(), lost.trees.len() + 1);
        assert_eq!(fingerprint(&lost.disk(disk)), before, "a rescue writes nothing");
    }
    // An older state, and one folder of it; straight into the target.
    let spot = format!("tree0@{}", lost.first.0);
    let (code, said, to) = lost.rescue(&["second"], "older", &[&spot]);
    assert_eq!((code, describe(&to)), (0, lost.first.1.clone()), "{said}");
    // Again into the same place: all is back already. What changed since is not replaced, and is named.
    let (code, said, to) = lost.rescue(&["second"], "older", &[&spot]);
    assert_eq!((code, describe(&to)), (0, lost.first.1.clone()), "{said}");
    let changed = files(&to, "").into_iter().find(|path| path.is_file() && !path.is_symlink());
    let changed = changed.expect("a file");
    fs::write(&changed, "worked on").expect("written");
    let (code, said, _) = lost.rescue(&["second"], "older", &[&spot]);
    assert_eq!((code, fs::read(&changed).expect("a file")), (3, b"worked on".to_vec()), "{said}");
}

/// Disks that are damaged here and there: what is whole on any of them comes back, and what does not is named.
#[test]
fn what_is_whole_on_any_disk_comes_back_and_the_rest_is_named() {
    let rounds: u64 = std::env::var("LARDER_RESCUES").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let lost = Lost::with_trees(3);
    let copy = |from: &str, to: &str| {
        let _ = fs::remove_dir_all(lost.disk(to));
        let copied = Command::new("cp").arg("-a").arg(lost.disk(from)).arg(lost.disk(to)).status();
        assert!(copied.expect("cp runs").success());
    };
    let mut names_lost = 0;
    for round in 0..rounds {
        let mut dice = Dice(round + 900);
        copy("disk", "a");
        copy("second", "b");
        // One disk has damaged packs, the other a damaged ledger and no tables.
        for pack in files(&lost.disk("a/larder/packs"), ".pack") {
            damage(&pack, &mut dice, 1 + round);
        }
        for entry in files(&lost.disk("b/larder/ledger"), ".entry").iter().skip(1) {
            if dice.below(2) == 0 {
                damage(entry, &mut dice, 2);
            }
        }
        for pack in files(&lost.disk("b/larder/packs"), ".pack") {
            let len = fs::metadata(&pack).expect("it is there").len();
            fs::set_permissions(&pack, fs::Permissions::from_mode(0o644)).expect("made writable");
            let file = fs::OpenOptions::new().write(true).open(&pack).expect("opens");
            file.set_len(len - 1 - dice.below(64)).expect("cut");
        }
        let before = (fingerprint(&lost.disk("a")), fingerprint(&lost.disk("b")));
        let both = format!("both-{round}");
        let (code, said, to) = lost.rescue(&["a", "b"], &both, &[]);
        assert_eq!(code, 6, "damage was met: {said}");
        assert_eq!(lost.compare(&to, &both), 0, "{said}");
        let (code, said, to) = lost.rescue(&["a"], &format!("a-{round}"), &[]);
        assert_eq!(code, 6, "{said}");
        let lacking = lost.compare(&to, &format!("round {round}"));
        assert!(lacking == 0 || said.contains("should be:"), "{said}");
        names_lost += lacking;
        assert_eq!((fingerprint(&lost.disk("a")), fingerprint(&lost.disk("b"))), before);
    }
    println!("{rounds} rounds of damage: both disks together lost nothing, one alone {names_lost} names");
    assert!(names_lost > 0, "the damage really hit something");
}

/// Neither ledger nor names of files are left, only some packs in a folder: the folders are found by themselves.
#[test]
fn without_any_ledger_the_folders_are_still_found() {
    let lost = Lost::with_trees(2);
    let heap = lost.home.path("heap");
    fs::create_dir_all(&heap).expect("a folder");
    for (number, pack) in files(&lost.disk("disk/larder/packs"), ".pack").iter().enumerate() {
        fs::copy(pack, heap.join(format!("recovered{number}.pack"))).expect("copied");
    }
    let listed = lost.home.json(&["rescue", &heap.display().to_string(), "--list"]);
    let found = listed["found"].as_array().expect("found");
    assert_eq!(found.len(), 3, "{listed}");
    let (code, said, to) = lost.rescue(&["heap"], "from-heap", &[]);
    assert_eq!(code, 6, "names and days are lost: {said}");
    assert!(said.contains("The list of backups is gone") && !said.contains("should be:"), "{said}");
    let mut expected: Vec<Described> = lost.trees.values().cloned().chain([lost.first.1.clone()]).collect();
    for number in 1..=3 {
        let described = describe(&to.join(format!("found-{number}")));
        let known = expected.iter().position(|tree| *tree == described);
        expected.remove(known.unwrap_or_else(|| panic!("found-{number} is none of what was pushed")));
    }
}

/// A disk without any backup on it is not told as one that came back.
#[test]
fn a_disk_without_a_backup_is_told() {
    let lost = Lost::with_trees(0);
    let (code, said, to) = lost.rescue(&["disk"], "nothing", &[]);
    assert_eq!(code, 6, "{said}");
    assert!(
        said.contains("No snapshot can be made out on this disk.") && !said.contains("are back"),
        "{said}"
    );
    assert!(!to.exists());
}

/// A newer Larder wrote things that this one does not know: they are told, they are no damage, and everything is back.
#[test]
fn what_a_newer_larder_wrote_is_told_and_stepped_over() {
    let lost = Lost::with_trees(1);
    let ledger = lost.disk("disk/larder/ledger/000000");
    let newest = files(&ledger, ".entry").pop().expect("an entry");
    let bytes = fs::read(&newest).expect("an entry");
    let (before, hash, _) = larder_format::ledger::Entry::decode(&bytes).expect("a whole entry");
    let event = larder_format::ledger::Event::HoldCleared { sequence: 0 };
    let sequence = before.sequence + 1;
    let next = larder_format::ledger::Entry { sequence, previous: hash, stamp: before.stamp, event };
    let (mut bytes, _) = next.encode();
    let body = bytes.len() - 32;
    // Its event has a number that nobody has given yet, and it says that it takes version 9 to know it.
    (bytes[10], bytes[body - 2]) = (9, 0x7f);
    let hash = larder_format::Hash::of(&bytes[..body]);
    bytes[body..].copy_from_slice(&hash.0);
    fs::write(ledger.join(format!("{sequence:012}.entry")), bytes).expect("written");
    let (code, said, to) = lost.rescue(&["disk"], "newer", &[]);
    assert_eq!((code, lost.compare(&to, "newer")), (0, 0), "{said}");
    assert!(said.contains("written by a newer Larder"), "{said}");
    let to = lost.home.path("without-us");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("independent/larder_read.py");
    let mut reader = Command::new(crate::old_disks::python());
    let read = reader.arg(program).arg(lost.disk("disk")).arg("--to").arg(&to).output().expect("python runs");
    assert_eq!(read.status.code(), Some(0), "{}", text(&read));
    assert_eq!(lost.compare(&to, "independent"), 0);
}

/// A disk that nobody may write to is read like any other.
#[test]
fn a_disk_that_cannot_be_written_to_is_read() {
    let lost = Lost::with_trees(1);
    let disk = lost.disk("disk");
    let mounted = lost.home.path("mounted");
    fs::create_dir_all(&mounted).expect("a folder");
    // Only root may mount; for everybody else the modes say the same thing.
    let mount = |args: &[&str]| {
        let done = Command::new("mount").args(args).arg(&mounted).output();
        done.is_ok_and(|done| done.status.success())
    };
    let is_mounted = mount(&["--bind", &disk.display().to_string()]) && mount(&["-o", "remount,bind,ro"]);
    if is_mounted {
        assert!(fs::write(mounted.join("x"), "x").is_err(), "it is read-only");
    } else {
        fs::set_permissions(&disk, fs::Permissions::from_mode(0o555)).expect("a mode");
        fs::set_permissions(disk.join("larder"), fs::Permissions::from_mode(0o555)).expect("a mode");
    }
    let (code, said, to) = lost.rescue(&[if is_mounted { "mounted" } else { "disk" }], "back", &[]);
    let refused = lost.rescue(&["disk"], "disk/back", &[]);
    if is_mounted {
        let ended = Command::new("umount").arg(&mounted).status().expect("umount runs");
        assert!(ended.success());
    }
    assert_eq!(code, 0, "{said}");
    assert_eq!(lost.compare(&to, "read-only"), 0);
    assert_eq!(refused.0, 2, "never onto the disk itself: {}", refused.1);
}
