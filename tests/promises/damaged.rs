//! What is lost, and what only could not be read, as the owner sees it: which backups and versions are whole, until all are.

use harness::home::{Home, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Time for the agent to have looked at everything that is kept.
const SEEN_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn packs(home: &Home) -> BTreeSet<PathBuf> {
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    below(&home.disk().join("packs")).iter().flat_map(|folder| below(folder)).collect()
}

/// Numbers of the snapshots that are said to be damaged.
fn said_to_be_damaged(home: &Home) -> Vec<u64> {
    let all = home.json(&["snapshots", "laptop/data"]);
    let all = all.as_array().expect("snapshots").iter();
    all.filter(|one| one["damaged"] == true).filter_map(|one| one["snapshot"].as_u64()).collect()
}

fn wait_for(what: &str, home: &Home, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < SEEN_WITHIN, "{what}: {}", home.log());
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn scrub(home: &Home) -> (Option<i32>, Value, String) {
    let json = home.larderd(&["scrub", "--json"]).output().expect("larderd runs");
    let words = home.larderd(&["scrub"]).output().expect("larderd runs");
    assert_eq!(json.status.code(), words.status.code());
    (words.status.code(), serde_json::from_slice(&json.stdout).expect("JSON"), text(&words))
}

fn is_restored(home: &Home, number: u64) -> bool {
    let to = home.path(&format!("back-{number}"));
    let _ = fs::remove_dir_all(&to);
    let spot = format!("laptop/data@{number}");
    home.larder(&["restore", &spot, "--to", &to.display().to_string()])
        .output()
        .expect("runs")
        .status
        .success()
}

/// Packs of some backups are gone: each of these is named and marked, and no other, until pushes have brought all back.
#[test]
fn every_backup_that_is_not_whole_is_marked_until_it_is() {
    let mut home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(folder.join("sub")).expect("a folder");
    // With the times of its day: a folder comes back only where all of its entries are what they were.
    let write = |day: u8| {
        for (name, byte) in [("a.txt", day), ("sub/b.txt", day + 100)] {
            let mut file = fs::File::create(folder.join(name)).expect("made");
            file.write_all(&[byte; 3000]).expect("written");
            file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000 + u64::from(day))).expect("set");
        }
    };
    let mut numbers = Vec::new();
    let mut came_with = Vec::new();
    for day in 1..=5 {
        let before = packs(&home);
        write(day);
        numbers.push(home.push(&folder, "data"));
        came_with.push(packs(&home).difference(&before).cloned().collect::<Vec<_>>());
    }
    assert_eq!(scrub(&home).0, Some(0));
    assert_eq!(said_to_be_damaged(&home), [0; 0]);
    assert_eq!(home.stop_agent(), Some(0));
    for file in came_with[1..4].iter().flatten() {
        fs::remove_file(file).expect("it was there");
        let _ = fs::remove_file(file.with_extension("parity"));
    }
    home.start();
    let mut lost = numbers[1..4].to_vec();
    let mut days = vec![2, 3, 4];
    while !lost.is_empty() {
        wait_for("the marks", &home, || said_to_be_damaged(&home) == lost);
        let (code, json, words) = scrub(&home);
        assert_eq!(code, Some(6), "{words}");
        assert!(!words.contains("all of it is as it should be"), "{words}");
        let named = json["damaged_snapshots"].as_array().expect("snapshots").iter();
        assert!(named.filter_map(|one| one["snapshot"].as_u64()).eq(lost.iter().copied()), "{json}");
        for number in &lost {
            assert!(words.contains(&format!("laptop/data@{number}")), "{words}");
        }
        for number in &numbers {
            assert_eq!(is_restored(&home, *number), !lost.contains(number), "{number}");
        }
        let versions = home.json(&["versions", "laptop/data:sub/b.txt"]);
        let of = |key: &str| -> Vec<u64> {
            let runs = versions.as_array().expect("versions").iter().filter(|run| run[key] == true);
            runs.filter_map(|run| Some(run["first"].as_u64()?..=run["last"].as_u64()?)).flatten().collect()
        };
        let is_listed = |number: &u64| of("damaged").iter().any(|first| first <= number);
        assert!(lost.iter().all(is_listed) && of("unknown") == of("damaged"), "{versions}");
        assert!(home.ok(&["versions", "laptop/data:sub/b.txt"]).contains("not known"));
        assert!(home.ok(&["snapshots", "laptop/data"]).contains("What is not whole"));
        let answers = home.json(&["answers", "laptop/data"]);
        assert_eq!(answers[0]["answers"]["damaged"], serde_json::json!(lost), "{answers}");
        assert!(home.ok(&["answers", "laptop/data"]).contains("cannot be given back whole"));
        let status = home.ok(&["status"]);
        assert!(status.contains(&format!("laptop/data@{}", lost[0])), "{status}");
        // The newest of them comes back; a computer sends what its cache says only if it is asked.
        lost.pop();
        write(days.pop().expect("one for each"));
        numbers.push(home.push(&folder, "data"));
        assert_eq!(home.stop_agent(), Some(0));
        home.start();
    }
    wait_for("no marks", &home, || said_to_be_damaged(&home).is_empty());
    let (code, _, words) = scrub(&home);
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("all of it is as it should be"), "{words}");
    assert!(numbers.iter().all(|number| is_restored(&home, *number)));
}

/// An earlier version gave everything up because the reads of the disk failed for a moment: the next start takes it back.
#[test]
fn what_was_given_up_although_it_is_there_comes_back_at_the_next_start() {
    let mut home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("a.txt"), [1; 3000]).expect("written");
    let number = home.push(&folder, "data");
    assert_eq!(home.stop_agent(), Some(0));
    let quarantine = home.disk().join("quarantine");
    fs::create_dir_all(&quarantine).expect("made");
    for pack in packs(&home) {
        let name = pack.file_name().expect("a name").to_owned();
        fs::rename(&pack, quarantine.join(&name)).expect("moved");
        let record = larder_format::care::encode(&larder_format::care::Losses::default());
        fs::write(quarantine.join(Path::new(&name).with_extension("lost")), record).expect("written");
    }
    home.start();
    assert!(is_restored(&home, number));
    assert_eq!(scrub(&home).0, Some(0));
}
