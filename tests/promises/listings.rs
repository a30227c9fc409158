//! Long lists of the past: the newest first, everything below a folder, and no list that looks whole and is not.

use crate::damaged::packs;
use crate::hostile::Sender;
use crate::messages::check;
use harness::home::{Home, memory_peak_of, text};
use larder_format::tree::{Child, Kind, Node, Totals};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

fn numbers(snapshots: &Value) -> Vec<u64> {
    let all = snapshots.as_array().expect("an array").iter();
    all.map(|one| one["snapshot"].as_u64().expect("a number")).collect()
}

/// The newest snapshots come first, and the rest is told; programs get all, the oldest first, as ever.
#[test]
fn the_newest_snapshots_come_first() {
    let home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    let mut all = Vec::new();
    for day in 0..53 {
        fs::write(folder.join("file"), format!("day {day}")).expect("written");
        all.push(home.push(&folder, "data"));
    }
    assert_eq!(numbers(&home.json(&["snapshots", "data"])), all);
    assert_eq!(numbers(&home.json(&["snapshots", "data", "--limit", "2"])), all[51..]);
    let shown = |args: &[&str]| -> (Vec<u64>, String) {
        let printed = home.ok(&[&["snapshots", "data"], args].concat());
        let rows = printed.lines().skip(1);
        let first = rows.map_while(|line| line.split_whitespace().next()?.parse().ok());
        (first.collect(), printed.clone())
    };
    let newest_first: Vec<u64> = all.iter().rev().copied().collect();
    let (rows, printed) = shown(&[]);
    assert_eq!(rows, newest_first[..50]);
    assert!(printed.contains("3 more are older"), "{printed}");
    let (rows, printed) = shown(&["--limit", "52"]);
    assert_eq!(rows, newest_first[..52]);
    assert!(printed.contains("1 more is older"), "{printed}");
    for args in [&["--all"][..], &["--limit", "53"], &["--limit", "1000000"]] {
        let (rows, printed) = shown(args);
        assert_eq!(rows, newest_first);
        assert!(!printed.contains("older:"), "{printed}");
    }
    check(&home, &["snapshots", "data", "--limit", "0"], 2, &["--limit"]);
    check(&home, &["snapshots", "data", "--limit", "3", "--all"], 2, &["--all"]);
    // Leafing back over the network.
    let admin = home.device("laptop", "admin");
    let get = |query: &str| {
        let (status, body) = admin.ask("GET", &format!("/v1/sources/laptop/data/snapshots{query}"));
        (status, serde_json::from_str::<Value>(&body).expect("JSON"))
    };
    assert_eq!(numbers(&get("").1), all);
    assert_eq!(numbers(&get("?limit=3").1), all[50..]);
    assert_eq!(numbers(&get(&format!("?limit=3&before={}", all[50])).1), all[47..50]);
    assert_eq!(numbers(&get(&format!("?limit=3&before={}", all[1])).1), all[..1]);
    assert_eq!(numbers(&get("?before=0").1), [0; 0]);
    assert_eq!(numbers(&get("?limit=0").1), [0; 0]);
    for bad in ["?limit=-1", "?limit=many", "?before=x"] {
        assert_eq!(get(bad).0, 400, "{bad}");
    }
}

/// `ls -R` lists everything below, each with its path, in names that harm no terminal; and as lines for programs.
#[test]
fn a_folder_is_listed_with_everything_below() {
    let home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(folder.join("a/b/c")).expect("folders");
    fs::create_dir_all(folder.join("empty")).expect("a folder");
    let strange = std::ffi::OsStr::from_bytes(b"new\nline \x1b[31m\xff");
    for path in ["top", "a/one", "a/b/two", "a/b/c/three"] {
        fs::write(folder.join(path), path).expect("written");
    }
    fs::write(folder.join("a/b").join(strange), b"x").expect("written");
    std::os::unix::fs::symlink("../top", folder.join("a/link")).expect("a link");
    home.push(&folder, "data");
    let everything = [
        "a",
        "empty",
        "top",
        "a/b",
        "a/link",
        "a/one",
        "a/b/c",
        "a/b/new\\x0aline \\x1b[31m\\xff",
        "a/b/two",
        "a/b/c/three",
    ];
    let lines = |args: &[&str]| -> Vec<Value> {
        let printed = home.ok(&[&["ls", "-R", "--json"], args].concat());
        printed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    };
    let paths = |lines: &[Value]| -> Vec<String> {
        lines.iter().map(|line| line["path"].as_str().expect("a path").to_owned()).collect()
    };
    let all = lines(&["data"]);
    assert_eq!(paths(&all), everything);
    assert_eq!(all[4]["target"], "../top");
    assert_eq!(
        (&all[9]["name"], &all[9]["kind"], &all[9]["bytes"]),
        (&"three".into(), &"file".into(), &11.into())
    );
    let below: Vec<&str> = everything.iter().copied().filter(|path| path.starts_with("a/b/")).collect();
    assert_eq!(paths(&lines(&["data:a/b"])), below);
    assert_eq!(paths(&lines(&["data:a/one"])), ["a/one"]);
    assert_eq!(paths(&lines(&["data:empty"])), [""; 0]);
    let printed = home.ok(&["ls", "--recursive", "data@-0"]);
    assert_eq!(printed.lines().count(), 1 + everything.len(), "{printed}");
    for path in ["a/b/c/", "a/link -> ../top", "a/b/new\\x0aline \\x1b[31m\\xff", "a/b/c/three"] {
        assert!(printed.lines().any(|line| line.ends_with(path)), "{path}: {printed}");
    }
    // A printed path can be typed again.
    check(&home, &["cat", "data:a/b/new\\x0aline \\x1b[31m\\xff"], 0, &["x"]);
    check(&home, &["ls", "-R", "data:nowhere"], 1, &["nowhere"]);
    let refused = home.larder(&["ls", "--json", "data:nowhere"]).output().expect("larder runs");
    let problem: Value = serde_json::from_slice(&refused.stdout).expect("the problem alone");
    assert_eq!(problem["problem"]["code"], "not_found", "{}", text(&refused));
}

/// A folder with more entries than are printed together: every entry comes, once and in order.
#[test]
fn a_long_list_is_whole() {
    let home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    let names: Vec<String> =
        (0..3500).map(|number| format!("{}-{number:05}", "x".repeat(number % 40))).collect();
    for name in &names {
        fs::write(folder.join(name), b"").expect("written");
    }
    home.push(&folder, "data");
    let mut sorted = names.clone();
    sorted.sort();
    let listed = home.json(&["ls", "data"]);
    let listed: Vec<&str> =
        listed.as_array().expect("an array").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(listed, sorted);
    for args in [&["ls", "data"][..], &["ls", "-R", "data"]] {
        let printed = home.ok(args);
        let rows: Vec<&str> =
            printed.lines().skip(1).filter_map(|line| line.split_whitespace().last()).collect();
        assert_eq!(rows, sorted);
    }
    let empty = home.path("empty");
    fs::create_dir_all(&empty).expect("a folder");
    home.push(&empty, "empty");
    assert_eq!(home.ok(&["ls", "empty", "--json"]).trim(), "[]");
    assert!(home.ok(&["ls", "empty"]).starts_with("MODE"));
}

/// A folder of a million entries is listed while it arrives: neither end holds it.
#[test]
fn a_million_entries_take_no_memory() {
    let home = Home::new();
    let sender = Sender(home.device("laptop", "admin"));
    let children = (0..250).map(|part| {
        let names: Vec<_> =
            (0..4000).map(|number| format!("{part:03} a name as long as most {number:04}.jpg")).collect();
        let entries: Vec<_> = names.iter().map(|name| (&**name, Kind::Fifo)).collect();
        Child { last: names[3999].clone().into_bytes(), node: sender.keep_folder(&entries) }
    });
    let node = sender.keep(&Node::Branch(children.collect()).encode());
    sender.commit("many", 1, Kind::Directory { node, totals: Totals::default() }, Totals::default());
    for (args, heads) in [(&["ls", "laptop/many"][..], 1), (&["ls", "-R", "--json", "laptop/many"], 0)] {
        let mut larder = home.larder(args).stdout(Stdio::piped()).spawn().expect("larder runs");
        let mut printed = BufReader::new(larder.stdout.take().expect("a pipe"));
        let (mut line, mut lines, mut peak) = (Vec::new(), 0, 0);
        while printed.read_until(b'\n', &mut line).expect("read") > 0 {
            line.clear();
            lines += 1;
            if lines % 1000 == 0 {
                peak = peak.max(memory_peak_of(larder.id()));
            }
        }
        assert!(larder.wait().expect("it ends").success());
        assert_eq!(lines, 1_000_000 + heads, "{args:?}");
        assert!(peak > 0 && peak < 64 << 20, "{args:?}: {peak} bytes");
    }
    assert!(home.memory_peak() < 64 << 20, "the agent: {} bytes", home.memory_peak());
}

/// A folder that is lost is counted and turns the exit code; everything else is listed all the same.
#[test]
fn a_lost_folder_hides_no_other() {
    let mut home = Home::new();
    let folder = home.path("data");
    let mut of_the_first = None;
    for (name, place) in [("lost", "lost/deep"), ("kept", "kept")] {
        fs::create_dir_all(folder.join(place)).expect("folders");
        fs::write(folder.join(place).join("file"), name).expect("written");
        home.push(&folder, "data");
        of_the_first.get_or_insert_with(|| packs(&home));
    }
    assert_eq!(home.stop_agent(), Some(0));
    for pack in of_the_first.into_iter().flatten() {
        fs::remove_file(pack).expect("removed");
    }
    home.start();
    let listed = home.larder(&["ls", "-R", "--json", "data"]).output().expect("larder runs");
    assert_eq!(listed.status.code(), Some(6), "{}", text(&listed));
    let said = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert!(said.contains("1 folder") && said.lines().count() == 3, "{said}");
    let paths: Vec<String> = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"))
        .map(|line| line["path"].as_str().expect("a path").to_owned())
        .collect();
    assert_eq!(paths, ["kept", "lost", "kept/file"]);
}
