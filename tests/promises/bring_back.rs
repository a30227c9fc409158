//! Bringing back: a folder becomes what it was, everything of a home comes back at once, and a dry run is only a word.

use harness::home::{Home, text};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

fn run(home: &Home, args: &[&str]) -> (Option<i32>, String) {
    let output: Output = home.larder(args).output().expect("larder runs");
    (output.status.code(), text(&output))
}

fn json(home: &Home, args: &[&str]) -> (Option<i32>, Value) {
    let output = home.larder(&[args, &["--json"]].concat()).output().expect("larder runs");
    let value = serde_json::from_slice(&output.stdout);
    (output.status.code(), value.unwrap_or_else(|error| panic!("{error}: {}", text(&output))))
}

/// Every file by its path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below").to_owned();
                found.insert(name, fs::read(&path).expect("read"));
            }
        }
    }
    found
}

fn documents(home: &Home) -> PathBuf {
    let folder = home.path("Documents").canonicalize().unwrap_or_else(|_| home.path("Documents"));
    fs::create_dir_all(folder.join("letters")).expect("made");
    for number in 1..=4 {
        fs::write(folder.join(format!("letters/{number}.odt")), format!("letter {number}")).expect("written");
    }
    fs::write(folder.join("taxes.ods"), "sums").expect("written");
    folder.canonicalize().expect("there")
}

/// Finding of a first user: a restore left the scrambled copies, and no command took them away.
#[test]
fn after_a_bad_edit_one_command_makes_the_folder_what_it_was() {
    let home = Home::new();
    let folder = documents(&home);
    let good = home.push(&folder, "Documents");
    let before = files(&folder);
    for number in 1..=3 {
        let path = folder.join(format!("letters/{number}.odt"));
        fs::write(&path, format!("scrambled {number}")).expect("written");
        fs::rename(&path, path.with_extension("odt.locked")).expect("renamed");
    }
    fs::write(folder.join("taxes.ods"), "scrambled").expect("written");
    fs::write(folder.join("READ ME.txt"), "pay").expect("written");
    let attacked = files(&folder);
    let place = format!("Documents@{good}");

    let (code, told) = run(&home, &["rollback", &place, "--dry-run"]);
    assert_eq!(code, Some(0), "{told}");
    for word in ["Comes back: 3 files", "Changes: 1 file", "Goes: 4 files", "letters/2.odt.locked", "dry run"]
    {
        assert!(told.contains(word), "{word}: {told}");
    }
    // Nobody to ask, and no yes: the plan, and wrong usage.
    let (code, told) = run(&home, &["rollback", &place]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("Goes: 4 files") && told.contains("--yes"), "{told}");
    let (code, planned) = json(&home, &["rollback", &place]);
    assert_eq!((code, &planned["plan"]["go"]["files"]), (Some(2), &Value::from(4)), "{planned}");
    assert_eq!(files(&folder), attacked, "a plan changes nothing");
    assert_eq!(home.json(&["snapshots", "Documents"]).as_array().map(Vec::len), Some(1));

    let (code, told) = run(&home, &["rollback", &place, "--yes"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("3 files are back, 1 changed, 4 gone"), "{told}");
    assert_eq!(files(&folder), before);
    let present = home.newest("Documents");
    assert!(told.contains(&format!("larder rollback laptop/Documents@{present}")), "{told}");
    // And what it undid can be had again.
    let (code, done) = json(&home, &["rollback", &format!("Documents@{present}"), "--yes"]);
    assert_eq!((code, &done["gone"]), (Some(0), &Value::from(3)), "{done}");
    assert_eq!(files(&folder), attacked);
    let (code, told) = run(&home, &["rollback", "Documents@-1", "--dry-run"]);
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn a_folder_of_which_a_file_cannot_be_backed_up_is_not_touched() {
    let home = Home::new();
    let folder = documents(&home);
    let good = home.push(&folder, "Documents");
    fs::write(folder.join("extra.txt"), "new").expect("written");
    // Tests may run as root, who may read everything; this no push takes.
    make_deep(&folder, 2100);
    let before = fs::read_dir(&folder).expect("a folder").count();
    let (code, told) = run(&home, &["rollback", &format!("Documents@{good}"), "--yes"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("nothing was replaced or removed"), "{told}");
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), before);
    assert!(folder.join("extra.txt").exists());
    // Left as it is, the rest goes on.
    let (code, told) = run(&home, &["rollback", &format!("Documents@{good}"), "--yes", "--exclude", "/deep"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(!folder.join("extra.txt").exists() && folder.join("deep").exists());
}

/// More levels than a backup keeps; each is made in the one above, since no path is that long.
fn make_deep(folder: &Path, levels: usize) {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut at = openat(CWD, folder, flags, Mode::empty()).expect("opens");
    for level in 0..levels {
        let name = if level == 0 { "deep" } else { "d" };
        mkdirat(&at, name, Mode::RWXU).expect("made");
        at = openat(&at, name, flags, Mode::empty()).expect("opens");
    }
}

#[test]
fn another_folder_becomes_what_it_was_only_when_it_is_named() {
    let home = Home::new();
    let folder = documents(&home);
    let good = home.push(&folder, "Documents");
    let copy = home.restore("Documents", good);
    fs::write(copy.join("taxes.ods"), "other sums").expect("written");
    fs::rename(&folder, home.path("Moved")).expect("moved");
    let (code, told) = run(&home, &["rollback", &format!("Documents@{good}"), "--yes"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(&folder.display().to_string()) && told.contains("--to"), "{told}");
    let to = copy.display().to_string();
    let (code, done) = json(&home, &["rollback", &format!("Documents@{good}"), "--to", &to, "--yes"]);
    assert_eq!((code, &done["changed"]), (Some(0), &Value::from(1)), "{done}");
    assert_eq!(fs::read_to_string(copy.join("taxes.ods")).expect("read"), "sums");
    // Its present went into a source of its own, so that the past of the other goes on.
    let present = done["present"]["source"].as_str().expect("a source").to_owned();
    assert!(present.starts_with("laptop/restored-"), "{present}");
    assert_eq!(home.json(&["snapshots", "Documents"]).as_array().map(Vec::len), Some(1));
    let back = format!("{present}@{}", done["present"]["snapshot"]);
    assert_eq!(json(&home, &["rollback", &back, "--yes"]).0, Some(0));
    assert_eq!(fs::read_to_string(copy.join("taxes.ods")).expect("read"), "other sums");
}

#[test]
fn everything_comes_back_at_once_and_one_lost_source_costs_no_other() {
    let mut home = Home::new();
    let folder = documents(&home);
    home.push(&folder, "Documents");
    let packs_before = super::damaged::packs(&home);
    let photos = home.path("Photos");
    fs::create_dir_all(&photos).expect("made");
    fs::write(photos.join("cat.jpg"), [7; 90_000]).expect("written");
    home.push(&photos, "Photos");
    home.pair_on("desk", "desk", "push");
    let music = home.path("Music");
    fs::create_dir_all(&music).expect("made");
    fs::write(music.join("song.ogg"), [9; 40_000]).expect("written");
    let path = music.display().to_string();
    assert!(home.larder_on("desk", &["push", &path]).output().expect("larder runs").status.success());

    let to = home.path("all").display().to_string();
    let (code, told) = run(&home, &["restore", "--all", "--to", &to, "--dry-run"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(!home.path("all").exists() && told.contains("desk/Music"), "{told}");
    let (code, done) = json(&home, &["restore", "--all", "--to", &to]);
    assert_eq!(code, Some(0), "{done}");
    assert_eq!(done["sources"].as_array().map(Vec::len), Some(3));
    assert_eq!(files(&home.path("all/laptop/Documents")), files(&folder));
    assert_eq!(files(&home.path("all/desk/Music")), files(&music));
    let of_desk = home.path("of-desk").display().to_string();
    assert_eq!(run(&home, &["restore", "--all", "--device", "desk", "--to", &of_desk]).0, Some(0));
    assert_eq!(fs::read_dir(&of_desk).expect("made").count(), 1);
    let (code, told) = run(&home, &["restore", "--all", "--device", "desc", "--to", &of_desk]);
    assert_eq!((code, told.contains("desc")), (Some(1), true), "{told}");

    // The packs of one source are lost.
    let lost: Vec<_> = super::damaged::packs(&home).difference(&packs_before).cloned().collect();
    assert_eq!(home.stop_agent(), Some(0));
    let of_photos = lost.first().expect("the pack of the pictures");
    fs::remove_file(of_photos).expect("removed");
    home.start();
    let again = home.path("again").display().to_string();
    let (code, told) = run(&home, &["restore", "--all", "--to", &again]);
    assert_eq!(code, Some(6), "{told}");
    assert_eq!(files(&home.path("again/laptop/Documents")), files(&folder), "{told}");
    let back = [("desk/Music", &music), ("laptop/Photos", &photos)]
        .into_iter()
        .filter(|(name, was)| {
            let path = home.path("again").join(name);
            path.exists() && files(&path) == files(was)
        })
        .count();
    assert_eq!(back, 1, "one of the two is lost: {told}");
}

#[test]
fn a_part_comes_back_by_patterns_and_a_dry_run_writes_nothing() {
    let home = Home::new();
    let folder = documents(&home);
    home.push(&folder, "Documents");
    let to = home.path("part").display().to_string();
    let args = ["restore", "Documents", "--to", &to, "--include", "*.odt", "--exclude", "3.odt"];
    let (code, told) = run(&home, &[&args[..], &["--dry-run"]].concat());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("letters/4.odt") && !told.contains("3.odt") && !told.contains("taxes"), "{told}");
    assert!(!home.path("part").exists());
    assert_eq!(run(&home, &args).0, Some(0));
    let back: Vec<_> = files(&home.path("part")).into_keys().collect();
    assert_eq!(back, ["letters/1.odt", "letters/2.odt", "letters/4.odt"].map(PathBuf::from));
    fs::write(home.path("part/letters/1.odt"), "mine").expect("written");
    let (code, seen) = json(&home, &[&args[..], &["--dry-run"]].concat());
    assert_eq!((code, &seen["in_the_way"]["names"][0]), (Some(3), &Value::from("letters/1.odt")), "{seen}");
    let (code, told) = run(&home, &["restore", "Documents", "--to", &to, "--include", "*.xyz"]);
    assert_eq!(code, Some(1), "{told}");
}
