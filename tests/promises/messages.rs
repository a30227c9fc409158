//! Wrong input of every kind: each message names the place and the remedy, and the exit code is the promised one.

use harness::home::{Home, text};
use std::fs;

fn check(home: &Home, args: &[&str], code: i32, parts: &[&str]) {
    let output = home.larder(args).output().expect("larder runs");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(code), "larder {args:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "larder {args:?} does not say {part:?}: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

/// Mistakes of a person at the computer are told in words, with the promised exit codes.
#[test]
fn mistakes_at_the_computer_are_told_in_words() {
    let home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("letter.txt"), b"dear all").expect("written");
    home.push(&folder, "data");
    check(&home, &["push"], 2, &["FOLDER"]);
    check(&home, &["push", "/nowhere/at/all"], 1, &["/nowhere/at/all"]);
    check(&home, &["push", &folder.display().to_string(), "--source", "a b"], 2, &["a b"]);
    check(&home, &["ls", "laptop/music"], 1, &["laptop/music", "larder sources"]);
    check(&home, &["ls", "laptop/data@last-week-ish"], 1, &["2 weeks ago"]);
    check(&home, &["ls", "laptop/data@99999"], 1, &["99999"]);
    check(&home, &["cat", "laptop/data:nothing.txt"], 1, &["nothing.txt"]);
    check(&home, &["cat", "laptop/data"], 2, &[]);
    check(
        &home,
        &["restore", "laptop/data:gone", "--to", &home.path("to").display().to_string()],
        1,
        &["gone"],
    );
    check(&home, &["frobnicate"], 2, &["frobnicate"]);
    let taken = home.path("taken");
    fs::create_dir_all(&taken).expect("a folder");
    fs::write(taken.join("letter.txt"), b"mine").expect("written");
    check(&home, &["restore", "laptop/data", "--to", &taken.display().to_string()], 3, &["letter.txt"]);
    assert_eq!(fs::read(taken.join("letter.txt")).expect("there"), b"mine", "nothing is overwritten unasked");
}

/// An agent that is not there, a key that is not known, a role that does not reach: each has its exit code.
#[test]
fn who_may_not_is_told_why() {
    let mut home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("letter.txt"), b"dear all").expect("written");
    let data = folder.display().to_string();
    home.pair("laptop", "push");
    home.push(&folder, "data");
    check(&home, &["sources"], 5, &["only add backups"]);
    home.pair("laptop", "read");
    check(&home, &["push", &data], 5, &["not add any"]);
    check(&home, &["cat", "laptop/data:letter.txt"], 0, &["dear all"]);
    fs::write(
        home.path("config/larder/appliance.toml"),
        format!("address = \"http://127.0.0.1:{}\"\ntoken = \"wrong\"\n", home.port),
    )
    .expect("written");
    check(&home, &["sources"], 4, &["larder pair"]);
    fs::remove_file(home.path("config/larder/appliance.toml")).expect("removed");
    check(&home, &["sources"], 4, &["larder pair"]);
    home.pair("laptop", "admin");
    home.stop_agent();
    check(&home, &["sources"], 4, &[&home.port.to_string()]);
}

/// A name that cannot be one is told as such, not as a broken agent.
#[test]
fn mistakes_at_the_box_are_told_in_words() {
    let home = Home::new();
    for bad in ["my photos", "laptop", "a/b c"] {
        let output = home.larderd(&["answers", bad]).output().expect("larderd runs");
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(bad) && said.contains("DEVICE/NAME"), "{said}");
    }
}

/// A settings file with many mistakes is answered with all of them, each with its line.
#[test]
fn every_mistake_in_the_settings_is_told_at_once() {
    let home = Home::new();
    let file = home.path("bad.toml");
    fs::write(&file, "[netwrok]\nlisten = 3\n[vault]\ncopies = 0\nreserve = \"12 parsecs\"\n")
        .expect("written");
    let output = home.larderd(&["check-config", &file.display().to_string()]);
    let mut command = std::process::Command::new(output.get_program());
    let output = command.args(["check-config", &file.display().to_string()]).output().expect("larderd runs");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in ["line 1", "network", "line 4", "copies", "line 5", "reserve"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
