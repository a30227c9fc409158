//! A snapshot that the owner labels stays, is found by its label, and only somebody at the box ends that.

use harness::home::{Home, text};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

/// The agent looks at everything every five seconds.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

fn pushed(home: &Home, content: &str) -> u64 {
    let folder = home.path("docs");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("a.txt"), content).expect("written");
    home.push(&folder, "docs")
}

/// Runs `larder` on a computer; asserts the exit code.
fn larder(home: &Home, computer: &str, args: &[&str], code: i32) -> String {
    let output = home.larder_on(computer, args).output().expect("larder runs");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output));
    text(&output)
}

/// Waits until the status has these words, or has them no more.
fn status_says(home: &Home, words: &str, says: bool) {
    let since = Instant::now();
    while home.ok(&["status"]).contains(words) != says {
        assert!(since.elapsed() < TOLD_WITHIN, "{words:?}: {}", home.ok(&["status"]));
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn larderd(home: &Home, args: &[&str], code: i32) -> String {
    let output = home.larderd(args).output().expect("larderd runs");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output));
    text(&output)
}

fn info(home: &Home, number: u64) -> Value {
    let all = home.json(&["snapshots", "docs"]);
    all.as_array().expect("a list").iter().find(|one| one["snapshot"] == number).expect("kept").clone()
}

/// "Before the move": a year later it is still there, under that name, in every command.
#[test]
fn a_snapshot_is_kept_under_a_name_of_the_owner_and_found_by_it() {
    let mut home = Home::new();
    let before = pushed(&home, "before");
    pushed(&home, "after");
    let kept = home.ok(&["keep", &format!("docs@{before}"), "--label", "before  the move"]);
    assert!(kept.contains("\"before the move\" of laptop/docs is kept for ever"), "{kept}");
    let until = home.ok(&["keep", "docs", "--until", "2999-12-31"]);
    assert!(until.contains("at least until the end of 2999-12-31 ("), "the day that was named: {until}");
    home.kill_agent();
    home.start();
    let listed = home.ok(&["snapshots", "docs"]);
    assert!(
        listed.contains("kept by the owner: \"before the move\"") && listed.contains("no end"),
        "{listed}"
    );
    assert!(info(&home, before)["reasons"].to_string().contains("kept by the owner"));
    assert_eq!(info(&home, before)["label"], "before the move");
    assert_eq!(info(&home, before)["kept_until"], Value::Null);
    assert!(home.ok(&["retention", "docs"]).contains("before the move"));
    let answers = home.ok(&["answers", "docs"]);
    assert!(answers.contains("Kept by the owner besides: snapshot"), "{answers}");
    assert!(answers.contains("\"before the move\", for ever") && answers.contains(", until "), "{answers}");

    for place in ["docs@before the move:a.txt", "docs@\"before the move\":a.txt"] {
        assert_eq!(home.ok(&["cat", place]), "before", "{place}");
    }
    assert!(home.ok(&["diff", "docs@before the move"]).contains("changed      a.txt"));
    assert!(home.ok(&["du", "docs@before the move"]).contains("6 B"));
    let wrong = larder(&home, "", &["cat", "docs@before the mover:a.txt"], 1);
    assert!(wrong.contains("\"before the mover\" is no moment, and no label"), "{wrong}");
    assert!(wrong.contains("one of its labels (\"before the move\"), or a snapshot number"), "{wrong}");
    // A moment stays a moment, and two snapshots of a source cannot be called the same.
    for label in ["yesterday", "12", "2026-03-31", "", "v\u{ad}2"] {
        larder(&home, "", &["keep", "docs", "--label", label], 2);
    }
    larder(&home, "", &["keep", "docs", "--label", "before the move"], 1);
    larder(&home, "", &["keep", "docs", "--until", "2020-01-01"], 1);
    larder(&home, "", &["keep", "docs:a.txt"], 2);
    let by_hand = home.device("by-hand", "admin");
    let path = format!("/v1/sources/laptop/docs/snapshots/{before}/keep");
    let answer = by_hand.request("POST", &path, r#"{"label":"v\u00ad2"}"#.as_bytes());
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("visible text"), "{answer}");
}

/// A thief with the key of a laptop would have garbage kept until the disk is full.
#[test]
fn a_key_that_may_push_or_look_cannot_have_anything_kept() {
    let home = Home::new();
    let number = pushed(&home, "letter").to_string();
    for role in ["push", "user", "read"] {
        home.pair_on(role, "laptop", role);
        larder(&home, role, &["keep", &format!("laptop/docs@{number}")], 5);
    }
    assert!(!home.ok(&["snapshots", "docs"]).contains("kept by the owner"));
}

/// Over the network a label only grows; the box shortens it, three days later and for all to see.
#[test]
fn a_label_ends_at_the_box_alone_and_not_before_three_days() {
    let home = Home::new();
    let number = pushed(&home, "letter");
    let spot = format!("docs@{number}");
    home.ok(&["keep", &spot, "--label", "v1", "--until", "2999-12-31"]);
    let until = info(&home, number)["kept_until"].clone();
    home.ok(&["keep", &spot, "--until", "2998-12-31"]);
    assert_eq!(info(&home, number)["kept_until"], until, "only for longer");
    assert_eq!(info(&home, number)["label"], "v1", "no words leave the words so far");

    larderd(&home, &["unkeep", "4711"], 1);
    let told = larderd(&home, &["unkeep", &number.to_string()], 0);
    assert!(told.contains("stays for 72 hours at least") && told.contains("larderd keep"), "{told}");
    status_says(&home, "shortens how long snapshot", true);
    assert_eq!(home.json(&["status"])["health"]["lamp"], "needs_you_9");
    assert!(home.ok(&["snapshots", "docs"]).contains("kept by the owner: \"v1\""), "not yet");
    assert!(home.ok(&["cat", "docs@v1:a.txt"]).contains("letter"));

    let kept = larderd(&home, &["keep", &number.to_string()], 0);
    assert!(kept.contains("is kept for ever"), "{kept}");
    status_says(&home, "shortens how long", false);
    assert_eq!(info(&home, number)["kept_until"], Value::Null);
    // What is let go of as a whole leaves what has a label.
    let going = larderd(&home, &["let-go", "laptop/docs"], 0);
    assert!(going.contains("1 backup stays since it has a label"), "{going}");
    assert!(home.ok(&["snapshots", "docs"]).contains("no end"));
}
