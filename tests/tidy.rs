//! The house rules that a machine can check: rooms, sizes, headers, names, and what documents point at.
//!
//! A rule without a checker drifts, so these run with every other test. Each finding names the rule, the place and
//! what to do. A line knows its room by its giveaway word (ARCHITECTURE.md, "Rooms"): the tables below say which words
//! belong where. Comments and strings are taken out first, and test code is held only to the rules that say so.
//!
//! Where a rule makes some code worse, add the place to `except` with its reason; do not bend the code.
//! Not here: what clippy and the compiler already refuse (`Cargo.toml`, "lints"; each crate's `clippy.toml`).

#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/graph.rs"]
mod graph;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use files::{files, names_in, read, texts};
use graph::{Graph, names_after};
use rules::{ARROWS, Applies, RULES, broken};
use source::{Source, sources};
use std::collections::{BTreeMap, BTreeSet};

const LINES_MAX: usize = 400;
/// Folders of the store from the lowest up: each knows itself and those before it.
const STORE_LAYERS: [&str; 12] = [
    "locks",
    "disk",
    "disks",
    "ledger",
    "packs",
    "core",
    "upkeep",
    "keep",
    "membership",
    "past",
    "take",
    "vault",
];
/// Type names that still stand for two things or more.
const TYPE_NAMES_TWICE: usize = 5;
/// Tuples that still stand where a struct would name the arguments.
const TUPLES: usize = 8;
/// Letters of the subject of a commit.
const SUBJECT_MAX: usize = 72;
/// Commits that came before the rule for subjects stay as they are.
const RULES_SINCE: &str = "e06a414..HEAD";
/// Type names that stand for the same thing in several places.
const ALIKE: [&str; 1] = ["Result"];
/// Words of file names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 9] =
    ["util", "utils", "common", "manager", "managers", "helper", "helpers", "misc", "stuff"];
/// Beginnings of paths that exist on one machine only. In two parts, or this file would find itself.
const MACHINE_PATHS: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tmp/", "bash_jobs"),
    concat!("/home/", "runner"),
];

#[test]
fn every_line_is_in_its_room() {
    let found =
        sources().into_iter().flat_map(|source| RULES.iter().flat_map(move |rule| broken(rule, &source)));
    report("rooms", found.collect());
}

#[test]
fn arrows_between_crates_point_one_way() {
    let mut found = Vec::new();
    for (name, may) in ARROWS {
        let text = read(&format!("{name}/Cargo.toml"));
        for (number, line) in section(&text, "[dependencies]") {
            let Some(other) =
                line.strip_prefix("larder-").and_then(|rest| rest.split(['.', ' ', '=']).next())
            else {
                continue;
            };
            if !may.contains(&other) {
                found.push(format!(
                    "{name}/Cargo.toml:{number}: {name} must not know {other}; move the code or pass a value"
                ));
            }
            if (*name, other) == ("agent", "client") && !line.contains("optional = true") {
                let what = "the client comes in with the feature `demo` only; write `optional = true`";
                found.push(format!("agent/Cargo.toml:{number}: {what} (docs/why/001-rooms.md)"));
            }
        }
    }
    let text = read("Cargo.toml");
    let members = text.lines().find(|line| line.starts_with("members")).expect("the workspace has members");
    let expected: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).chain(["tests", "bench"]).collect();
    let listed: BTreeSet<&str> = members.split('"').skip(1).step_by(2).collect();
    for crate_name in listed.difference(&expected) {
        found.push(format!(
            "Cargo.toml: {crate_name} is a new crate; a crate must forbid something or run somewhere else. If it does, \
             add it to ARROWS here and to ARCHITECTURE.md"
        ));
    }
    report("arrows", found);
}

#[test]
fn every_source_file_says_what_it_is_and_stays_readable() {
    let mut found = Vec::new();
    for source in sources() {
        let Source { path, text, is_test_module, .. } = &source;
        if !is_test_module && !text.starts_with("//!") {
            found.push(format!(
                "{path}:1: no header; begin with `//!`: what it is, why it is so, what is not here"
            ));
        }
        let lines = source.code(Applies::Shipped).trim_end().lines().count();
        if !source.is_test && lines > LINES_MAX {
            found.push(format!(
                "{path}: {lines} lines without its tests, {LINES_MAX} at most; split it by what it answers"
            ));
        }
    }
    report("headers and sizes", found);
}

#[test]
fn names_say_something() {
    let mut found = Vec::new();
    for path in files() {
        let words = path.rsplit('/').next().unwrap_or_default().split(['-', '_', '.']);
        for word in words.filter(|word| EMPTY_NAMES.contains(word)) {
            found.push(format!("{path}: \"{word}\" says nothing; name the file for the thing that is in it"));
        }
    }
    report("names", found);
}

#[test]
fn nothing_names_a_path_of_one_machine() {
    let mut found = Vec::new();
    for (path, text) in texts() {
        for (number, line) in (1..).zip(text.lines()) {
            for machine_path in MACHINE_PATHS {
                let stands_alone =
                    |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                if line.match_indices(machine_path).any(|(at, _)| stands_alone(at)) {
                    found.push(format!(
                        "{path}:{number}: {machine_path} exists on one machine only; name it some other way"
                    ));
                }
            }
        }
    }
    report("machine paths", found);
}

#[test]
fn documents_name_only_what_is_there() {
    let files: BTreeSet<String> = files().into_iter().collect();
    let mut found = Vec::new();
    for (path, text) in texts() {
        for (number, line) in (1..).zip(text.lines()) {
            for name in names_in(&path, line) {
                let is_there =
                    files.contains(&name) || files.iter().any(|file| file.starts_with(&format!("{name}/")));
                if !is_there {
                    found.push(format!(
                        "{path}:{number}: {name} is not there; correct the name or write the file"
                    ));
                }
            }
        }
    }
    report("names in documents", found);
}

#[test]
fn every_decision_is_linked_from_somewhere() {
    let texts = texts();
    let mut found = Vec::new();
    let mut numbers = BTreeMap::new();
    for page in texts.keys().filter(|path| path.starts_with("docs/why/") && path.ends_with(".md")) {
        let name = page.rsplit('/').next().unwrap_or_default();
        if !texts.iter().any(|(path, text)| path != page && text.contains(name)) {
            found.push(format!(
                "{page}: nobody points here; link it where the decision shows, or from ARCHITECTURE.md"
            ));
        }
        if let Some(other) = numbers.insert(name.split('-').next(), page) {
            found.push(format!("{page}: has the number of {other}; take the next free one"));
        }
    }
    report("decisions", found);
}

/// Modules that know each other cannot be read one by one.
#[test]
fn no_modules_know_each_other_in_a_circle() {
    let mut found = Vec::new();
    for (name, _) in ARROWS {
        for circle in Graph::of(name).circles() {
            let (count, names) = (circle.len(), circle.join(", "));
            found.push(format!("{name}: {count} know each other; move what they need below them: {names}"));
        }
    }
    report("circles", found);
}

/// A room of the store is built from those below it, so that each can be read without those above.
#[test]
fn the_store_knows_only_what_lies_below() {
    let upward = Graph::of("store").upward(&STORE_LAYERS);
    report("layers", upward.into_iter().map(|edge| format!("store: {edge} points up")).collect());
}

#[test]
fn the_checker_sees_arrows_that_point_up_and_rooms_without_a_place() {
    let module = |path: &str| path.split("::").map(str::to_owned).collect();
    let texts = [("low", "use crate::high::b::X;"), ("high::b", "use crate::low;"), ("new", "")];
    let graph = Graph::from_texts(texts.iter().map(|(path, code)| (module(path), (*code).to_owned())));
    assert_eq!(graph.upward(&["low", "high"]), ["low -> high::b", "new -> (no layer)"]);
}

#[test]
fn the_checker_sees_circles() {
    let check = |texts: &[(&str, &str)], expect: usize| {
        let module = |path: &str| path.split("::").map(str::to_owned).collect();
        let graph = Graph::from_texts(texts.iter().map(|(path, code)| (module(path), (*code).to_owned())));
        assert_eq!(graph.circles().len(), expect, "{texts:?}");
    };
    check(&[("a", "use crate::b::X;"), ("b", "struct X;")], 0);
    check(&[("a", "use crate::b::X;"), ("b", "use super::a;")], 1);
    check(&[("a", "use crate::{b::{X, Y}, c};"), ("b", "fn f() { crate::a::g() }"), ("c", "")], 1);
    // The home of a type needs whatever its methods need, wherever these are written.
    check(&[("a", "struct A;"), ("b", "use crate::a::A;\nimpl A { fn f() {} }")], 1);
    check(&[("a", "struct A;"), ("a::b", "use super::A;\nimpl A { fn f() {} }")], 0);
    check(&[("a", "struct A;"), ("b", "use crate::a::A;\nimpl Clone for A { }")], 0);
}

/// A mistake whose line was changed is made by nobody any more, and its rule is without a guard.
#[test]
fn every_deliberate_mistake_can_be_made() {
    let list = read("tests/mutations/mistakes.toml");
    let list: toml::Table = list.parse().expect("TOML");
    let mistakes = list["mistake"].as_array().expect("a list of mistakes");
    let word = |mistake: &toml::Value, key: &str| mistake[key].as_str().expect("a text").to_owned();
    let misses = mistakes.iter().filter(|mistake| {
        let places = read(&word(mistake, "file")).matches(&word(mistake, "text")).count();
        places != 1
    });
    let found = misses.map(|mistake| {
        let (name, file) = (word(mistake, "name"), word(mistake, "file"));
        format!(
            "{name}: its text must stand once in {file}; change tests/mutations/mistakes.toml with the line"
        )
    });
    report("mistakes", found.collect());
}

/// Whoever reads a name must not have to ask which of five things it means.
#[test]
fn a_type_name_means_one_thing() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        let code = source.code(Applies::Shipped);
        for word in ["struct ", "enum ", "trait ", "type "] {
            // A type within an `impl` belongs to its trait.
            let items: String =
                code.lines().filter(|line| !line.starts_with(' ')).map(|line| format!("{line}\n")).collect();
            for name in names_after(&items, word) {
                places.entry(name).or_default().insert(source.path.clone());
            }
        }
    }
    let twice = places.iter().filter(|(name, places)| places.len() > 1 && !ALIKE.contains(&name.as_str()));
    let found = twice.map(|(name, places)| {
        format!("{name} is in {}", places.iter().cloned().collect::<Vec<_>>().join(" and "))
    });
    still("type names", TYPE_NAMES_TWICE, found.collect());
}

/// A tuple hides from the limit of five arguments what a struct would name.
#[test]
fn no_tuple_smuggles_arguments() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        for (number, line) in (1..).zip(source.code(Applies::Shipped).lines()) {
            let is_parameter = |text: &str| {
                let text = text.trim_start();
                text.starts_with('(') && text.split_once("): (").is_some_and(|(names, _)| names.contains(','))
            };
            let in_signature = line.split_once("fn ").is_some_and(|(_, rest)| {
                rest.match_indices(['(', ',']).any(|(at, _)| is_parameter(&rest[at + 1..]))
            });
            // A parameter on a line of its own; a closure or a pattern has no type there that ends with a comma.
            if in_signature || (is_parameter(line) && line.trim_end().ends_with("),")) {
                found.push(format!("{}:{number}: name a struct for these arguments", source.path));
            }
        }
    }
    still("tuples", TUPLES, found);
}

/// Subjects are read one below the other, in a window of eighty columns.
#[test]
fn commits_have_short_subjects() {
    let log = std::process::Command::new("git").args(["log", "--format=%h %s", RULES_SINCE]).output();
    let Some(log) = log.ok().filter(|log| log.status.success()) else { return };
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    let subjects = log.lines().filter_map(|line| line.split_once(' '));
    let long = subjects.filter(|(_, subject)| subject.chars().count() > SUBJECT_MAX);
    let found =
        long.map(|(commit, subject)| format!("{commit}: \"{subject}\" has more than {SUBJECT_MAX} letters"));
    report("commits", found.collect());
}

/// A rule that never bites proves nothing.
#[test]
fn the_checker_finds_what_it_looks_for() {
    let check = |path: &str, text: &str, expect: usize| {
        let source = Source::new(path.to_owned(), text.to_owned(), &BTreeSet::new());
        let found = RULES.iter().flat_map(|rule| broken(rule, &source)).count();
        assert_eq!(found, expect, "{path}: {text}");
    };
    check("store/src/vault.rs", "fn a() { std::fs::read(x); }", 2);
    check("store/src/vault.rs", "use std::{fs, io}; fn a() { fs::read(x); }", 1);
    check("store/src/vault.rs", "// std::fs::read\nfn a() { say(\"std::fs::read\") }", 0);
    check("store/src/vault.rs", "#[cfg(test)]\nmod tests { fn a() { x.unwrap(); std::fs::read(x); } }", 0);
    check(
        "store/src/vault.rs",
        "#[cfg(test)]\nmod tests { fn a() { std::thread::sleep(x) } }\nfn b() { c.unwrap() }",
        2,
    );
    check("store/src/vault.rs", "fn a<'a>(x: &'a str) { let c = '\"'; let d = 'x'; x.unwrap() }", 1);
    check("store/src/vault.rs", "fn a() { r#\"unsafe \" unsafe\"#; /* /* unsafe */ unsafe */ }", 0);
    check("agent/src/decide/mod.rs", "use crate::edge::clock::Clock;", 2);
    check("agent/src/edge/mqtt/link.rs", "use rmqtt::types::Topic; use rumqttc::v5::Event;", 1);
    check("panel/src/lamp.rs", "use std::fmt;", 1);
    check("client/src/restore/plan.rs", "match node { Node::Leaf { entries, .. } => entries }", 1);
    check("store/src/take/complete.rs", "let node = larder_format::tree::Node::decode(bytes)?;", 1);
    check("format/src/tree/read/mod.rs", "Node::decode(bytes)?", 0);
    check("client/src/push/mod.rs", "fn a() { Instant::now(); eprintln!(); let unsafely = 1; }", 1);
    let names: Vec<String> =
        names_in("docs/x.md", "see `store/src/no.rs`, `docs/why/NNN-title.md`, [it](../README.md#top)")
            .collect();
    assert_eq!(names, ["store/src/no.rs", "README.md"]);
    assert_eq!(
        names_in("store/src/a.rs", "//! docs/why/002-x.md, agent/src").collect::<Vec<_>>(),
        ["docs/why/002-x.md"]
    );
}

fn section<'a>(text: &'a str, title: &str) -> Vec<(usize, &'a str)> {
    let lines = (1..).zip(text.lines()).skip_while(|(_, line)| *line != title).skip(1);
    lines.take_while(|(_, line)| !line.starts_with('[')).collect()
}

/// For rules that the code does not keep everywhere yet: the number only falls.
fn still(rules: &str, known: usize, found: Vec<String>) {
    assert!(found.len() >= known, "{rules}: only {} are left; write that number here", found.len());
    if found.len() > known {
        report(rules, found);
    }
}

fn report(rules: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{rules}: {} to put right\n  {}\n", found.len(), found.join("\n  "));
}
