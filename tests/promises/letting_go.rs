//! Letting go, on the real agent: what goes, what stays, what it takes to stop it, and how it is told.

use crate::old_disks::python;
use harness::home::{Home, text};
use harness::plain::{self, Files, files};
use larder_format::ledger::WallStamp;
use larder_store::disk::{Disk, RealDisk};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY_S: u64 = 24 * 3600;
/// How long ago the first day was on which `laptop/notes` was pushed every hour.
const DAYS_AGO: u64 = 400;
const PUSHES: u64 = 12;
/// A day ages only by days on which there are snapshots, 30 of them before anything goes.
const DAYS_AFTER: u64 = 40;
const ALL: u64 = PUSHES + DAYS_AFTER + 1;

fn version(number: u64) -> Files {
    files([("diary.txt", format!("day one, hour {number}").as_bytes()), ("same.txt", b"never changes")])
}

/// An appliance with a day of hourly pushes long ago, one push on each of the days after it, and one of today. From the
/// first to the last it was switched on for so many days.
fn with_a_past(switched_on_days: u64) -> Home {
    let mut home = Home::new();
    home.kill_agent();
    fs::remove_dir_all(home.path("disk")).expect("removed");
    fs::create_dir_all(home.path("disk")).expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&home.disk()).expect("a disk"));
    let vault = plain::open(vec![disk]).expect("a vault");
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let midnight_ms = i64::try_from(now_ms).expect("this century") / 86_400_000 * 86_400_000;
    let at = |days: u64, hour: u64, powered_on_s: u64| {
        let ago_ms = i64::try_from((DAYS_AGO - days) * DAY_S * 1000).expect("some years");
        let time_ms = midnight_ms - ago_ms + i64::try_from(hour * 3_600_000).expect("some hours");
        WallStamp { time_ms, trusted: true, powered_on_s }
    };
    // `plain` opened it at a moment of its own; nothing but the order of the numbers counts there.
    let push = |number: u64, stamp: WallStamp| {
        plain::push(&vault, "laptop/notes", &version(number), number.into(), stamp).expect("a push");
    };
    (1..=PUSHES).for_each(|hour| push(hour, at(0, hour, hour * 3600)));
    (1..=DAYS_AFTER).for_each(|day| {
        push(PUSHES + day, at(day, 0, PUSHES * 3600 + day * DAY_S * switched_on_days / DAYS_AGO))
    });
    push(ALL, at(DAYS_AGO, 0, PUSHES * 3600 + switched_on_days * DAY_S));
    drop(vault);
    home.start();
    home.pair("laptop", "admin");
    home
}

fn larderd(home: &Home, args: &[&str]) -> String {
    let output = home.larderd(args).output().expect("larderd runs");
    assert!(output.status.success(), "larderd {args:?}: {}", text(&output));
    text(&output)
}

/// Diaries of the snapshots that are listed, oldest first, as restored.
fn diaries(home: &Home) -> Vec<String> {
    let listed = home.json(&["snapshots", "laptop/notes"]);
    let numbers = listed.as_array().expect("a list").iter();
    let mut numbers: Vec<u64> = numbers.map(|one| one["snapshot"].as_u64().expect("a number")).collect();
    numbers.sort_unstable();
    let read = |number: u64| fs::read_to_string(home.restore("notes", number).join("diary.txt"));
    numbers.into_iter().map(|number| read(number).expect("it comes back")).collect()
}

fn hours(list: impl IntoIterator<Item = u64>) -> Vec<String> {
    list.into_iter().map(|number| format!("day one, hour {number}")).collect()
}

/// What the rule no longer keeps goes when you say so, exactly that, and a pulled disk says the same.
#[test]
fn the_past_goes_as_the_rule_says_and_no_sooner() {
    let home = with_a_past(DAYS_AGO);
    assert_eq!(diaries(&home), hours(1..=ALL), "nothing goes by starting");
    let told = larderd(&home, &["prune", "--dry-run"]);
    assert!(told.contains("10 snapshots would be let go of. Nothing was done."), "{told}");
    assert!(told.contains("neither the first nor the last of its month"), "{told}");
    assert_eq!(diaries(&home), hours(1..=ALL), "a dry run does nothing");
    let told = larderd(&home, &["prune"]);
    assert!(told.contains("10 snapshots were let go of."), "{told}");
    // The first and the last of that day, and of each other one.
    assert_eq!(diaries(&home), hours([1].into_iter().chain(PUSHES..=ALL)));
    let told = larderd(&home, &["prune"]);
    assert!(told.contains("There is nothing to let go of."), "{told}");
    check_pulled_disk(&home, diaries(&home).len());
}

/// Rescue and the independent reader list as many kept snapshots.
fn check_pulled_disk(home: &Home, snapshots: usize) {
    let disk = home.disk().display().to_string();
    let rescued = home.json(&["rescue", &disk, "--list"]);
    let listed = rescued["snapshots"].as_array().expect("a list").iter();
    let kept = listed.filter(|snapshot| snapshot["standing"] == "kept").count();
    assert_eq!(kept, snapshots, "rescue: {rescued}");
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("independent/larder_read.py");
    let output = Command::new(python()).arg(reader).args([&disk, "--list"]).output().expect("python runs");
    assert!(output.status.success(), "{}", text(&output));
    let listed = String::from_utf8_lossy(&output.stdout).matches("laptop/notes").count();
    assert_eq!(listed, snapshots, "the independent reader: {}", text(&output));
}

/// A hold stops all of it, goes on for three days after it was ended, and is told everywhere meanwhile.
#[test]
fn a_hold_keeps_everything() {
    let home = with_a_past(DAYS_AGO);
    let held = home.larderd(&["hold", "--all", "--reason", "looks odd", "--json"]).output().expect("runs");
    let held: serde_json::Value = serde_json::from_slice(&held.stdout).expect("JSON");
    let number = held["hold"].as_u64().expect("a number").to_string();
    let told = larderd(&home, &["prune"]);
    assert!(told.contains("There is nothing to let go of."), "{told}");
    let status = home.json(&["status"]).to_string();
    assert!(status.contains("looks odd"), "{status}");
    let told = larderd(&home, &["unhold", &number]);
    assert!(told.contains("ends in three days"), "{told}");
    larderd(&home, &["prune"]);
    assert_eq!(diaries(&home), hours(1..=ALL), "it goes on for three days");
    let status = home.json(&["status"]).to_string();
    assert!(status.contains("ends in about 72 hours"), "{status}");
    let unknown = home.larderd(&["unhold", "4711"]).output().expect("runs");
    assert!(!unknown.status.success() && text(&unknown).contains("hold 4711"), "{}", text(&unknown));
    let bad = home.larderd(&["hold", "no source", "--reason", "x"]).output().expect("runs");
    assert_eq!(bad.status.code(), Some(2), "{}", text(&bad));
    let nobody = home.larderd(&["hold", "laptop/music", "--reason", "x"]).output().expect("runs");
    assert!(!nobody.status.success() && text(&nobody).contains("laptop/music"), "{}", text(&nobody));
    let for_people = home.ok(&["status"]);
    assert!(for_people.contains("On hold, everything: looks odd"), "{for_people}");
}

/// A clock that jumped makes nothing old, also when a person says that it is right.
#[test]
fn a_clock_that_jumped_makes_nothing_old() {
    let home = with_a_past(10);
    let told = larderd(&home, &["prune"]);
    assert!(told.contains("If there were, it would wait: the clock jumped or is new"), "{told}");
    let told = larderd(&home, &["confirm-clock"]);
    assert!(told.contains("takes its clock to be right"), "{told}");
    let told = larderd(&home, &["prune"]);
    assert!(told.contains("There is nothing to let go of."), "the box has lived ten days: {told}");
    assert_eq!(diaries(&home), hours(1..=ALL));
}
