//! The lamp can be quiet: each source has a rhythm, can be retired, and what was seen is seen.

use harness::home::{Home, text};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// The agent looks at everything every five seconds.
const SEEN_WITHIN: Duration = Duration::from_secs(20);

fn push_something(home: &Home, name: &str) {
    let folder = home.path(name);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("letter.txt"), name).expect("written");
    home.push(&folder, name);
}

fn of(home: &Home, name: &str) -> Value {
    let status = home.json(&["status"]);
    let sources = status["sources"].as_array().expect("a list").clone();
    let found = sources.into_iter().find(|source| source["source"] == format!("laptop/{name}"));
    found.expect("the source")
}

fn fails(home: &Home, computer: &str, args: &[&str], code: i32) -> String {
    let output = home.larder_on(computer, args).output().expect("larder runs");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output));
    text(&output)
}

/// A stolen key asks for more attention, and never for less.
#[test]
fn a_computer_shortens_its_own_rhythm_and_only_an_admin_lengthens_one() {
    let mut home = Home::new();
    push_something(&home, "docs");
    assert_eq!(of(&home, "docs")["expected"], "within 2 days");
    let told = home.ok(&["source", "docs", "--expect", "weekly"]);
    assert!(told.contains("within 9 days (weekly)"), "{told}");
    home.pair_on("thief", "laptop", "push");
    home.pair_on("other", "phone", "push");
    home.pair_with("reader", &["--device", "tablet", "--role", "read", "--sees", "all"]);
    let refused = fails(&home, "thief", &["source", "laptop/docs", "--expect", "never"], 5);
    assert!(refused.contains("role admin"), "{refused}");
    fails(&home, "thief", &["source", "laptop/docs", "--expect", "10 days"], 5);
    fails(&home, "thief", &["source", "laptop/docs", "--retire"], 5);
    fails(&home, "other", &["source", "laptop/docs", "--expect", "daily"], 5);
    fails(&home, "other", &["source", "laptop/docs"], 5);
    fails(&home, "reader", &["source", "laptop/docs", "--expect", "daily"], 5);
    fails(&home, "", &["source", "laptop/docs", "--expect", "often"], 2);
    fails(&home, "", &["source", "laptop/nothing", "--expect", "daily"], 1);
    let shorter = home.larder_on("thief", &["source", "laptop/docs", "--expect", "daily"]).output();
    assert!(shorter.expect("larder runs").status.success());
    assert!(home.ok(&["sources"]).contains("within 2 days (daily)"));
    home.ok(&["source", "docs", "--expect", "never"]);
    home.kill_agent();
    home.start();
    assert_eq!(of(&home, "docs")["standing"], "never", "also after a restart");
    assert_eq!(of(&home, "docs")["overdue_after_s"], Value::Null);
}

/// A sold computer, a renamed folder: the owner says so, everybody sees it for three days, and one word takes it back.
#[test]
fn a_retired_source_is_shown_and_taken_back_by_a_word_or_a_push() {
    let home = Home::new();
    push_something(&home, "old");
    let kept = home.json(&["snapshots", "old"]);
    let told = home.ok(&["source", "old", "--retire"]);
    assert!(told.contains("72 hours") && told.contains("--unretire"), "{told}");
    let shown =
        home.status_until(SEEN_WITHIN, "a condition", |status| status["health"]["lamp"] == "needs_you_9");
    assert!(shown["health"]["conditions"][0]["what"].as_str().expect("words").contains("laptop/old"));
    assert_eq!(of(&home, "old")["standing"], "retiring");
    home.ok(&["source", "old", "--unretire"]);
    home.status_until(SEEN_WITHIN, "no condition", |status| status["health"]["lamp"] == "ready");
    home.ok(&["source", "old", "--retire"]);
    push_something(&home, "old");
    assert_eq!(of(&home, "old")["standing"], "expected", "it pushes");
    assert_eq!(kept.as_array().map(Vec::len), Some(1));
    // Its computer's keys are ended: nobody can push there, so nobody is waited for.
    home.pair_on("sold", "phone", "push");
    let folder = home.path("old").display().to_string();
    assert!(home.larder_on("sold", &["push", &folder]).output().expect("larder runs").status.success());
    let revoked = home.larderd(&["revoke", "phone"]).output().expect("larderd runs");
    assert!(revoked.status.success(), "{}", text(&revoked));
    assert!(home.ok(&["sources"]).contains("no longer (its computer's keys were ended)"));
}

/// What was seen is quiet, also after a restart, and never says that a restore would succeed.
#[test]
fn what_was_seen_is_quiet_until_something_new_happens() {
    let mut home = Home::new();
    let health = home.json(&["status"])["health"].clone();
    assert_eq!((&health["level"], &health["lamp"]), (&"fine".into(), &"quiet".into()), "a new box: {health}");
    assert!(home.ok(&["status"]).contains("Nothing is protected yet"));
    push_something(&home, "docs");
    home.status_until(SEEN_WITHIN, "ready", |status| status["health"]["lamp"] == "ready");
    home.ok(&["source", "docs", "--retire"]);
    let raised =
        home.status_until(SEEN_WITHIN, "a condition", |status| status["health"]["lamp"] == "needs_you_9");
    let told = home.larderd(&["acknowledge"]).output().expect("larderd runs");
    assert!(told.status.success() && text(&told).contains("laptop/docs"), "{}", text(&told));
    assert!(text(&told).contains("None of it is mended"), "{}", text(&told));
    let seen = home.status_until(SEEN_WITHIN, "quiet", |status| status["health"]["lamp"] == "quiet");
    assert_eq!(seen["health"]["level"], "fine");
    assert!(home.ok(&["status"]).contains("(You have seen this.)"));
    home.kill_agent();
    home.start();
    let after = home.status_until(SEEN_WITHIN, "quiet", |status| status["health"]["lamp"] == "quiet");
    let since = |status: &Value| status["health"]["conditions"][0]["since"].clone();
    assert_eq!(since(&after), since(&raised), "since the same moment as before the restart");
    push_something(&home, "more");
    home.ok(&["source", "more", "--retire"]);
    home.status_until(SEEN_WITHIN, "something new", |status| status["health"]["lamp"] == "needs_you_9");
}
