//! Looking into the past: what takes the room, and what a folder here has become since.

use crate::messages::check;
use harness::home::{Home, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

fn write(folder: &Path, name: &str, bytes: usize) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, vec![b'x'; bytes]).expect("written");
}

/// A pushed folder with some folders in it.
fn pushed(home: &Home) -> PathBuf {
    let folder = home.path("docs");
    for (name, bytes) in
        [("a/1", 1000), ("a/deep/2", 20_000), ("b/3", 300_000), ("b/4", 0), ("empty/5", 0), ("top", 7)]
    {
        write(&folder, name, bytes);
    }
    home.push(&folder, "docs");
    folder
}

/// What takes the room in a backup is told without reading it.
#[test]
fn the_sizes_of_folders_are_what_is_in_them() {
    let home = Home::new();
    let folder = pushed(&home);
    let sizes = |args: &[&str]| -> (Vec<(String, u64, u64)>, Value) {
        let told = home.json(&[&["du"], args].concat());
        let row = |row: &Value| {
            let path = row["path"].as_str().expect("a path").to_owned();
            (path, row["bytes"].as_u64().expect("bytes"), row["files"].as_u64().unwrap_or(0))
        };
        (told["folders"].as_array().expect("a list").iter().map(row).collect(), told["total"].clone())
    };
    let row = |path: &str, bytes, files| (path.to_owned(), bytes, files);
    let (rows, total) = sizes(&["docs"]);
    assert_eq!(rows, [row("empty", 0, 1), row("a", 21_000, 2), row("b", 300_000, 2)]);
    assert_eq!((total["bytes"].as_u64(), total["files"].as_u64()), (Some(321_007), Some(6)));
    assert_eq!(
        sizes(&["docs", "--depth", "2"]).0,
        [row("empty", 0, 1), row("a/deep", 20_000, 1), row("a", 21_000, 2), row("b", 300_000, 2)]
    );
    assert_eq!(sizes(&["docs:a"]).0, [row("a/deep", 20_000, 1)]);
    assert_eq!(sizes(&["docs:a", "--all"]).0, [row("a/1", 1000, 0), row("a/deep", 20_000, 1)]);
    assert!(sizes(&["docs", "--depth", "0"]).0.is_empty());
    assert_eq!(sizes(&["docs:a/1", "--depth", "0"]).1["bytes"].as_u64(), Some(1000), "a file is its own sum");
    // As it was, whatever it is now.
    write(&folder, "b/3", 1);
    home.push(&folder, "docs");
    assert_eq!(sizes(&["docs@-1"]).1["bytes"].as_u64(), Some(321_007));
    let told = home.ok(&["du", "docs@-1"]);
    assert!(told.lines().last().expect("lines").contains("321.0 kB"), "{told}");
}

/// What each path has become, by the folder of this computer.
fn live(home: &Home, args: &[&str]) -> BTreeMap<String, String> {
    let told = home.json(&[&["diff", "--live"], args].concat());
    let word = |change: &Value| {
        let text = |key: &str| change[key].as_str().expect("text").to_owned();
        (text("path"), text("change"))
    };
    told.as_array().expect("a list").iter().map(word).collect()
}

/// Before anything is put back, one wants to know what is different here.
#[test]
fn a_folder_of_this_computer_is_compared_with_any_backup() {
    let home = Home::new();
    let folder = pushed(&home);
    assert!(home.ok(&["diff", "docs", "--live"]).contains("Nothing changed."));
    write(&folder, "a/1", 1001);
    write(&folder, "new/6", 1);
    write(&folder, "junk.o", 1);
    fs::remove_file(folder.join("b/3")).expect("removed");
    let changed =
        [("a/1", "content"), ("b/3", "removed"), ("junk.o", "added"), ("new", "added"), ("new/6", "added")];
    let changed: BTreeMap<_, _> = changed.map(|(path, word)| (path.to_owned(), word.to_owned())).into();
    assert_eq!(live(&home, &["docs"]), changed);
    let mut without = changed.clone();
    without.remove("junk.o");
    assert_eq!(live(&home, &["docs", "--exclude", "*.o"]), without);
    let part = live(&home, &["docs:a", folder.join("a").to_str().expect("text")]);
    assert_eq!(part.into_iter().collect::<Vec<_>>(), [("1".to_owned(), "content".to_owned())]);
    // A push says the same, once it is made.
    home.push(&folder, "docs");
    let pushed: BTreeMap<_, _> = {
        let told = home.json(&["diff", "docs"]);
        let all = told.as_array().expect("a list").iter();
        all.map(|it| {
            (it["path"].as_str().expect("text").to_owned(), it["change"].as_str().expect("text").to_owned())
        })
        .collect()
    };
    assert_eq!(pushed, changed);
    assert!(live(&home, &["docs"]).is_empty());
    assert_eq!(live(&home, &["docs@-1"]), changed);
    let told = home.ok(&["diff", "docs@-1", "--live"]);
    assert!(told.contains("deleted      b/3") && told.contains(folder.to_str().expect("text")), "{told}");
    // A change behind the same size and time.
    let path = folder.join("top");
    let modified = fs::metadata(&path).expect("there").modified().expect("known");
    fs::write(&path, "another").expect("written");
    let file = fs::File::options().write(true).open(&path).expect("opened");
    file.set_times(fs::FileTimes::new().set_modified(modified)).expect("set");
    assert!(live(&home, &["docs"]).is_empty());
    assert_eq!(live(&home, &["docs", "--contents"]).into_keys().collect::<Vec<_>>(), ["top"]);
}

/// Who tidied up wants to see what is gone, not everything twice; and asks about one folder.
#[test]
fn what_only_has_another_path_is_told_once() {
    let home = Home::new();
    let folder = pushed(&home);
    fs::rename(folder.join("a"), folder.join("holidays")).expect("moved");
    fs::rename(folder.join("top"), folder.join("b/top")).expect("moved");
    fs::remove_file(folder.join("b/3")).expect("removed");
    let before = home.newest("docs");
    let newest = home.push(&folder, "docs");
    for args in [&["diff", "docs"][..], &["diff", "docs@-1", "docs"], &["diff", "docs@-1"]] {
        let heading = home.ok(args).lines().next().expect("a heading").to_owned();
        let [from, to] = [before, newest].map(|number| format!(" snapshot {number} (2"));
        assert!(
            heading.contains(&format!("from{from}")) && heading.contains(&format!("to{to}")),
            "{heading}"
        );
    }
    let told = home.ok(&["diff", "docs"]);
    let lines: Vec<_> = told.lines().skip(1).filter(|line| !line.starts_with("attributes")).collect();
    assert_eq!(
        lines,
        ["moved        a -> holidays", "deleted      b/3", "moved        top -> b/top"],
        "{told}"
    );
    let told = home.json(&["diff", "docs"]);
    let moved = |it: &&Value| it["change"] == "moved" && it["from"] == "a" && it["path"] == "holidays";
    assert_eq!(told.as_array().expect("a list").iter().filter(moved).count(), 1, "{told}");
    let told = home.ok(&["diff", "docs:b"]);
    assert!(told.contains("added        b/top") && !told.contains("holidays"), "{told}");
    assert!(home.ok(&["diff", "docs:b/4"]).contains("Nothing changed."));
    check(&home, &["diff", "docs:nothing"], 1, &["nothing"]);
    check(&home, &["diff", "docs@-1:a", "docs:b"], 2, &["one path is compared at two moments"]);
}

/// The four answers tell their times in the zone of whoever asks.
#[test]
fn answers_are_in_the_readers_zone() {
    let home = Home::new();
    pushed(&home);
    for zone in ["Asia/Tokyo", "America/Los_Angeles"] {
        let told = home.larder(&["answers", "docs"]).env("TZ", zone).output().expect("larder runs");
        let told = text(&told);
        assert!(told.contains(&format!("({zone})")) && !told.contains("UTC"), "{told}");
    }
}

/// A wrong folder, or none, is told before anything is called deleted.
#[test]
fn a_folder_that_is_not_there_is_told_and_not_called_deleted() {
    let home = Home::new();
    let folder = pushed(&home);
    let elsewhere = home.path("elsewhere");
    fs::rename(&folder, &elsewhere).expect("moved");
    let place = folder.display().to_string();
    check(
        &home,
        &["diff", "docs", "--live"],
        1,
        &[&place, "no such folder is there any more", "--live FOLDER"],
    );
    let first = format!("docs@{}", home.newest("docs"));
    let between = home.path("between");
    fs::rename(&elsewhere, &between).expect("moved");
    home.ok(&["push", &between.display().to_string(), "--source", "docs", "--moved"]);
    // Also for a snapshot of the time before: the source lives elsewhere now.
    assert!(home.ok(&["diff", &first, "--live"]).contains("Nothing changed."));
    fs::rename(&between, &elsewhere).expect("moved again");
    for (args, code) in [
        (vec!["diff", "docs", "--live"], 1),
        (vec!["diff", "docs:nothing", "--live", "."], 1),
        (vec!["diff", "docs:top", "--live", "."], 1),
        (vec!["diff", "docs", "--contents"], 2),
    ] {
        let output = home.larder(&args).output().expect("larder runs");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output));
        assert!(!text(&output).contains("deleted      "), "{}", text(&output));
    }
    assert!(live(&home, &["docs", home.path("elsewhere").to_str().expect("text")]).is_empty());
}

/// Waits until the names of every snapshot are read; that is done beside everything else.
fn found(home: &Home, args: &[&str]) -> Vec<Value> {
    for _ in 0..150 {
        let told = home.json(&[&["find"], args].concat());
        if told["is_complete"] == Value::Bool(true) {
            return told["hits"].as_array().expect("a list").clone();
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("names are not read after half a minute");
}

/// A name that somebody remembers leads to the file, also to one that was deleted behind many that are there.
#[test]
fn a_remembered_name_is_found_and_brought_back_as_it_is_told() {
    let home = Home::new();
    let folder = home.path("It's 9:00");
    for number in 0..30 {
        write(&folder, &format!("Pictures/IMG_{number:04}.JPG"), 10 + number);
    }
    write(&folder, "Zoë's letters/Bu\u{308}ro 1.txt", 77);
    home.ok(&["push", folder.to_str().expect("text"), "--source", "It's @home"]);
    fs::remove_file(folder.join("Pictures/IMG_0029.JPG")).expect("removed");
    fs::remove_dir_all(folder.join("Zoë's letters")).expect("removed");
    home.ok(&["push", folder.to_str().expect("text"), "--source", "It's @home"]);
    let paths = |args: &[&str]| -> Vec<String> {
        let path = |hit: &Value| hit["path"].as_str().expect("a path").to_owned();
        found(&home, args).iter().map(path).collect()
    };
    assert_eq!(paths(&["img_"]).len(), 30);
    assert_eq!(paths(&["img_*9.jpg", "--deleted"]), ["Pictures/IMG_0029.JPG"]);
    // The limit counts what is asked for, not what stands before it.
    assert_eq!(paths(&["img_", "--deleted", "--limit", "1"]), ["Pictures/IMG_0029.JPG"]);
    assert_eq!(paths(&["BÜRO"]), ["Zoë's letters/Bu\u{308}ro 1.txt"]);
    assert!(paths(&["letters/büro", "--source", "It's @home"]).len() == 1 && paths(&["nowhere"]).is_empty());
    let told = home.ok(&["find", "büro"]);
    let place = told.lines().last().and_then(|line| line.find('\'').map(|at| &line[at..])).expect("a place");
    let back = home.path("back");
    let larder = home.larder(&[]);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{:?} restore {place} --to {back:?}", larder.get_program()));
    let variables = larder.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let restored = shell.envs(variables).output().expect("sh runs");
    assert!(restored.status.success(), "{place}: {}", text(&restored));
    assert_eq!(fs::metadata(back.join("Bu\u{308}ro 1.txt")).expect("brought back").len(), 77);
    assert!(home.ok(&["find", "nowhere", "--deleted"]).contains("Nothing deleted is kept"), "{told}");
}

/// The mount point of a disk that is not there is an empty folder. A backup of it would say that all is deleted.
#[test]
fn an_empty_folder_that_was_full_is_not_backed_up_by_mistake() {
    let home = Home::new();
    let folder = pushed(&home);
    let before = home.newest("docs");
    let aside = home.path("aside");
    fs::rename(&folder, &aside).expect("moved");
    fs::create_dir(&folder).expect("made");
    let typed = folder.to_str().expect("text");
    let refused = home.larder(&["push", typed, "--source", "docs"]).output().expect("larder runs");
    let told = text(&refused);
    assert_eq!(refused.status.code(), Some(5), "like another folder under its name: {told}");
    assert!(
        told.contains("is empty, and") && told.contains("mount it") && told.contains("--empty"),
        "{told}"
    );
    assert_eq!(home.newest("docs"), before, "no backup was made");
    home.ok(&["push", typed, "--source", "docs", "--empty"]);
    assert!(home.newest("docs") > before);
    // A folder that never had anything in it hides nothing.
    let empty = home.path("never full");
    fs::create_dir(&empty).expect("made");
    home.ok(&["push", empty.to_str().expect("text")]);
}

/// The same command of an account that may not read everything; root may.
fn without_root_powers(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound.args(["--bounding-set", "-dac_override,-dac_read_search"]);
    bound.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (variable, value) in command.get_envs() {
        bound.env(variable, value.expect("none is taken away"));
    }
    bound
}

/// A dry run of a push tells what the push does then, sends nothing, and is refused where the push is.
#[test]
fn a_dry_run_of_a_push_tells_the_truth_and_sends_nothing() {
    let home = Home::new();
    let folder = home.path("docs");
    for (name, bytes) in [("top", 7), ("a/1", 1000), ("a/old.o", 20_000), ("shut/b", 1), ("locked", 10)] {
        write(&folder, name, bytes);
    }
    let shut = |permissions: [u32; 2]| {
        for (name, mode) in ["shut", "locked"].into_iter().zip(permissions) {
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).expect("set");
        }
    };
    shut([0o000, 0o000]);
    let place = folder.display().to_string();
    let args = ["push", &place, "--source", "docs", "--exclude", "*.o"];
    let run = |more: &[&str]| {
        let command = home.larder(&[&args[..], more].concat());
        without_root_powers(&command).output().expect("larder runs")
    };
    let json = |done: &std::process::Output| -> Value {
        let told: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        told["pushes"][0].clone()
    };
    let dry = run(&["--dry-run"]);
    let told = text(&dry);
    for wanted in [
        "laptop/docs: would become a snapshot with 2 files in 1 folder, 1.0 kB.",
        "This computer has not backed it up yet: all of it would be read.",
        "1 name that --exclude matches: a/old.o",
        "This was a dry run: nothing was sent.",
        "  shut: you are not allowed to read it",
        "  locked: you are not allowed to read it",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    assert_eq!(dry.status.code(), Some(3), "{told}");
    assert!(!home.ok(&["sources"]).contains("docs"), "nothing became of it");
    // A change in the second of a push is told once more.
    std::thread::sleep(Duration::from_millis(1100));
    let (dry, pushed) = (json(&run(&["--dry-run", "--json"])), json(&run(&["--json"])));
    for part in ["totals", "left_out"] {
        assert_eq!(dry[part], pushed[part], "{part}");
    }
    let names = |told: &Value| {
        let files = told["skipped"]["files"].as_array().expect("a list").iter();
        let mut names: Vec<_> = files.map(|file| file["path"].to_string()).collect();
        names.sort();
        names
    };
    assert_eq!((names(&dry), &dry["skipped"]["count"]), (names(&pushed), &pushed["skipped"]["count"]));
    let changed = |told: &Value| told["changed"]["names"].clone();
    assert_eq!((&dry["is_first"], changed(&dry)), (&true.into(), serde_json::json!(["top", "a/1"])));
    shut([0o700, 0o600]);
    std::thread::sleep(Duration::from_millis(1100));
    home.ok(&args);
    std::thread::sleep(Duration::from_millis(1100));
    assert!(text(&run(&["--dry-run"])).contains("Nothing in it changed since its last backup"));
    write(&folder, "a/1", 999);
    let dry = run(&["--dry-run", "--json"]);
    assert_eq!((changed(&json(&dry)), dry.status.code()), (serde_json::json!(["a/1"]), Some(0)));
    assert_eq!(home.json(&["snapshots", "docs"]).as_array().map(Vec::len), Some(2));
    let other = home.path("other").display().to_string();
    write(&home.path("other"), "x", 1);
    check(&home, &["push", &other, "--source", "docs", "--dry-run"], 5, &[&place, &other]);
    fs::remove_dir_all(&folder).expect("removed");
    fs::create_dir(&folder).expect("made");
    check(&home, &["push", &place, "--source", "docs", "--dry-run"], 5, &["is empty", "--empty"]);
    check(&home, &["push", &place, "--dry-run", "--watch"], 2, &["--watch"]);
}

/// What the next backup would have no more is told by name, also what is left out now; and a push tells what is new in it.
#[test]
fn a_dry_run_of_a_push_names_what_would_be_missing_in_it() {
    let home = Home::new();
    let folder = home.path("docs");
    for (name, bytes) in [("top", 7), ("a/1", 1000), ("shut/b", 1)] {
        write(&folder, name, bytes);
    }
    let place = folder.display().to_string();
    let place = place.as_str();
    let run = |more: &[&'static str]| [&["push", place, "--source", "docs"], more].concat();
    home.ok(&run(&[]));
    write(&folder, "a/1", 999);
    fs::remove_dir_all(folder.join("shut")).expect("removed");
    fs::remove_file(folder.join("top")).expect("removed");
    let gone = |more: &[&'static str]| {
        home.json(&run(&[&["--dry-run"], more].concat()))["pushes"][0]["gone"].clone()
    };
    assert_eq!(gone(&[])["names"], serde_json::json!(["shut/", "shut/b", "top"]));
    assert_eq!(gone(&["--exclude", "1"])["names"], serde_json::json!(["shut/", "shut/b", "top", "a/1"]));
    let told = home.ok(&run(&["--dry-run", "--verbose"]));
    for wanted in [
        "In it no more, since deleted, moved or left out now: 2 files and 1 folder, 8 B.",
        "  shut/b\n",
        "  top\n",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    let new = home.json(&run(&[]))["pushes"][0]["changed"].clone();
    assert_eq!(new, serde_json::json!({ "files": 1, "bytes": 999 }));
    assert!(home.ok(&run(&[])).contains("No file is new or changed; new to the appliance: 0 B"));
}
