//! The past can be held against what the box itself signed: by the computers with their receipts, by the box with what a broker
//! kept for it, and by a pulled disk without any box.

use crate::messages::check;
use crate::mqtt::{Mosquitto, wait_for};
use harness::home::{Home, free_port, memory_peak_of, text};
use harness::plain;
use jiff::Timestamp;
use larder_format::ledger::chapter::{ChapterBuilder, entries_of};
use larder_format::ledger::{Entry, Event, Head, WallStamp};
use larder_format::statement::{Statement, StatementKind, vault_name};
use larder_format::{Hash, layout};
use larder_store::disk::{Disk, RealDisk};
use larder_trust::{SecretKey, to_hex};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const HEAD: &str = "larder/larder/head";
const HEALTH: &str = "larder/larder/health";
const OLDER: &str = "is older than it was";

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs").success());
}

fn push_output(home: &Home, day: u8) -> Output {
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("a.txt"), [day; 100]).expect("written");
    let args = ["push", &folder.display().to_string(), "--source", "data", "--json"];
    home.larder(&args).output().expect("larder runs")
}

/// The receipt of a push.
fn pushed(home: &Home, day: u8) -> Value {
    let output = push_output(home, day);
    assert!(output.status.success(), "{}", text(&output));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    told["pushes"][0]["receipt"].clone()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn verify(home: &Home, more: &[&str], code: i32) -> Value {
    let output = home.larder(&[&["verify", "--json"], more].concat()).output().expect("larder runs");
    assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn publish(port: u16, topic: &str, retain: bool, message: &str) {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-p", &port.to_string(), "-q", "1", "-t", topic, "-m", message]);
    if retain {
        command.arg("-r");
    }
    assert!(command.status().expect("mosquitto_pub runs: `tests/run` installs it").success());
}

fn on_a_broker(folder: &Path) -> (Mosquitto, u16, Home) {
    let port = free_port();
    let broker = Mosquitto::with_listeners(folder, port, "");
    let home = Home::with_settings(&format!("[mqtt]\nbroker = \"127.0.0.1:{port}\"\n"));
    (broker, port, home)
}

fn sequence(head: &str) -> u64 {
    let told: Value = serde_json::from_str(head).unwrap_or(Value::Null);
    told["sequence"].as_u64().unwrap_or(0)
}

/// The head as it stands at the broker, once it is signed and not older than so.
fn head_from(port: u16, at_least: u64) -> String {
    let topics = wait_for(port, "a signed head", |topics| {
        topics.get(HEAD).is_some_and(|head| sequence(head) >= at_least && head.contains("\"signature\":\""))
    });
    topics[HEAD].clone()
}

/// An old copy of the disk is put back: the computer says so, and so does the box, by what a broker in the house kept. What proves
/// it is not overwritten, not by a restart either, until somebody at the box has said that it is right.
#[test]
fn an_old_copy_of_the_disk_is_noticed_by_the_computer_and_by_the_box_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_broker, port, mut home) = on_a_broker(folder.path());
    pushed(&home, 1);
    assert_eq!(home.stop_agent(), Some(0));
    copy(&home.path("disk"), &home.path("copy"));
    home.start();
    let lost = pushed(&home, 2);
    let newest = number(&lost["snapshot"]);
    let evidence = head_from(port, newest);
    verify(&home, &[], 0);
    assert_eq!(home.stop_agent(), Some(0));
    fs::remove_dir_all(home.path("disk")).expect("removed");
    copy(&home.path("copy"), &home.path("disk"));
    home.start();
    let alarmed = |topics: &std::collections::BTreeMap<String, String>| {
        topics.get(HEALTH).is_some_and(|health| health.contains(OLDER) && health.contains("\"alarm\""))
    };
    let topics = wait_for(port, "the alarm of the box", alarmed);
    assert_eq!(topics[HEAD], evidence, "what proves it stays");
    // The computer, asked and unasked.
    let found = verify(&home, &[], 6);
    assert_eq!((number(&found["beyond"]), &found["past_was_changed"]), (1, &Value::Bool(true)), "{found}");
    check(&home, &["verify"], 6, &["ALARM", "1 receipt is for entries behind its end", "larder pair"]);
    let told = push_output(&home, 3);
    assert_eq!(told.status.code(), Some(6), "{}", text(&told));
    let said = text(&told);
    assert!(
        said.contains("signed both records with its own key") && said.contains("This push goes on"),
        "{said}"
    );
    let vault = found["vault"].as_str().expect("a name");
    let proof = home.path("state/larder").join(format!("{vault}.changed.json"));
    let proof: Value = serde_json::from_slice(&fs::read(proof).expect("a proof")).expect("JSON");
    assert_eq!(number(&proof["before"]["entry"]["sequence"]), newest, "{proof}");
    assert!(number(&proof["now"]["entry"]["sequence"]) < newest, "{proof}");
    // Neither a word over MQTT, nor a restart, nor a ledger that grew again ends it.
    publish(port, "larder/larder/command/acknowledge", false, "{}");
    (0..4).for_each(|_| drop(home.device("phone", "push")));
    assert_eq!(home.stop_agent(), Some(0));
    home.start();
    // Asked itself: what the run before said of its health is retained at the broker, too.
    let since = Instant::now();
    while !home.json(&["status"])["health"].to_string().contains("record of the past was changed") {
        assert!(since.elapsed() < Duration::from_secs(40), "no alarm after a restart");
        std::thread::sleep(Duration::from_millis(200));
    }
    let topics = wait_for(port, "the head", |topics| topics.contains_key(HEAD));
    assert_eq!(topics[HEAD], evidence, "what proves it stays");
    // Somebody at the box says that it is right.
    let seen = home.larderd(&["acknowledge"]).output().expect("larderd runs");
    assert!(text(&seen).contains("record of the past was changed"), "{}", text(&seen));
    wait_for(port, "the present head, and no alarm", |topics| {
        topics[HEAD] != evidence && !topics[HEALTH].contains("record of the past")
    });
    home.pair("laptop", "admin");
    pushed(&home, 4);
}

/// A head as somebody else at the broker could make it up, or replay it.
fn made_up(key: &SecretKey, vault: &str, sequence: u64, hash: Hash) -> String {
    let said: Timestamp = "2026-05-02T03:04:05.678Z".parse().expect("a time");
    let (entry, name) = (Head { sequence, hash }, vault_name(vault).expect("a vault"));
    let statement =
        Statement { vault: name, entry, said_ms: said.as_millisecond(), kind: StatementKind::Newest };
    serde_json::json!({
        "sequence": sequence, "hash": hash, "time": null, "vault": vault, "said": said.to_string(),
        "key": key.public().to_string(), "signature": to_hex(&key.sign(&statement.encode())),
    })
    .to_string()
}

/// Whoever writes to the broker makes the box cry wolf with nothing that the box did not sign: made-up heads, those of another box
/// or another vault, and an old head of its own are passed over, and overwritten.
#[test]
fn nobody_at_the_broker_rings_a_false_alarm() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_broker, port, mut home) = on_a_broker(folder.path());
    let entry = number(&pushed(&home, 1)["snapshot"]);
    let old = head_from(port, entry);
    pushed(&home, 2);
    head_from(port, entry + 1);
    let told: Value = serde_json::from_str(&old).expect("JSON");
    let vault = told["vault"].as_str().expect("a vault").to_owned();
    let own = fs::read_to_string(home.disk().join("box-key")).expect("the appliance's key");
    let own = SecretKey::from_hex(own.trim()).expect("a key");
    let other = SecretKey::generate().expect("random");
    let hash = Hash::of(b"made up");
    let unsigned = made_up(&own, &vault, 99, hash).replace("\"signature\"", "\"no_signature\"");
    let forged =
        made_up(&other, &vault, 99, hash).replace(&other.public().to_string(), &own.public().to_string());
    let foreign = made_up(&own, &"f".repeat(32), 99, hash);
    let far = made_up(&own, &vault, 99, hash).replace("99", "100");
    let long = format!("{}{}", " ".repeat(100_000), made_up(&own, &vault, 99, hash));
    for nothing in [unsigned, forged, foreign, far, long, "{".to_owned(), old] {
        assert_eq!(home.stop_agent(), Some(0));
        publish(port, HEAD, true, &nothing);
        home.start();
        wait_for(port, "the head of the box", |topics| {
            topics.get(HEAD).is_some_and(|head| *head != nothing && sequence(head) == entry + 1)
        });
        let health = home.json(&["status"])["health"].to_string();
        assert!(!health.contains("record of the past"), "{nothing:.200}: {health}");
    }
    // What the box did sign does ring.
    assert_eq!(home.stop_agent(), Some(0));
    publish(port, HEAD, true, &made_up(&own, &vault, 99, hash));
    home.start();
    wait_for(port, "the alarm", |topics| topics.get(HEALTH).is_some_and(|health| health.contains(OLDER)));
}

fn open(home: &Home) -> larder_store::Vault {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&home.disk()).expect("a disk"));
    plain::open(vec![disk]).expect("a vault")
}

/// `larder verify` says of each backup what became of it, at the box and on a pulled disk alone: what the rule let go of is not
/// missing, and the entry that says so is named.
#[test]
fn each_backup_is_accounted_for_at_the_box_and_on_a_pulled_disk() {
    let mut home = Home::new();
    check(&home, &["verify"], 0, &["no receipt", "larder push"]);
    let numbers: Vec<u64> = (1..=5).map(|day| number(&pushed(&home, day)["snapshot"])).collect();
    let found = verify(&home, &[], 0);
    assert_eq!((number(&found["whole"]), number(&found["kept"])), (5, 5), "{found}");
    assert_eq!(home.stop_agent(), Some(0));
    let event = Event::Pruned { snapshots: numbers[..2].to_vec(), why: "the rule".to_owned() };
    let stamp = WallStamp { time_ms: Timestamp::now().as_millisecond(), trusted: true, powered_on_s: 9000 };
    let entry = open(&home).append(stamp, event).expect("an entry").sequence;
    let disk = home.path("disk").display().to_string();
    let alone = verify(&home, &["--disk", &disk], 0);
    home.start();
    let found = verify(&home, &[], 0);
    for found in [&found, &alone] {
        assert_eq!((number(&found["whole"]), number(&found["kept"])), (5, 3), "{found}");
        assert_eq!(number(&found["let_go"][0]["entry"]), entry, "{found}");
        assert_eq!(found["let_go"][0]["snapshots"], serde_json::json!(numbers[..2]), "{found}");
        assert_eq!(found["past_was_changed"], false);
    }
    let told = "2 snapshots were let go of on ";
    check(
        &home,
        &["verify"],
        0,
        &["Everything that was promised", told, &format!("as entry {entry} says: the rule")],
    );
    check(&home, &["verify", "--disk", &disk], 0, &["Everything that was promised", told]);
    // Another computer has receipts of its own, and hears nothing of these snapshots.
    let phone = home.device("phone", "push");
    let body = serde_json::json!({ "snapshots": numbers }).to_string();
    let answer = phone.request("POST", "/v1/ledger/standing", body.as_bytes());
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        answer.contains("\"unknown\"") && !answer.contains("let_go") && !answer.contains("kept"),
        "{answer}"
    );
    // A disk that was pulled before the last backups lacks them, and nobody cries wolf.
    copy(&home.path("disk"), &home.path("copy"));
    pushed(&home, 6);
    let copy = home.path("copy").display().to_string();
    let older = verify(&home, &["--disk", &copy], 3);
    assert_eq!((number(&older["beyond"]), &older["past_was_changed"]), (1, &Value::Bool(false)), "{older}");
    // A receipt that somebody changed on this computer is told as that.
    let receipts = home.path("state/larder/receipts");
    let mut files = fs::read_dir(receipts).expect("a folder").map(|file| file.expect("a name").path());
    let is_book = |path: &PathBuf| path.extension().is_some_and(|it| it == "receipts");
    let file = files.find(is_book).expect("a file");
    let lines = fs::read_to_string(&file).expect("receipts");
    fs::write(&file, lines.replacen("laptop/data", "laptop/dada", 1)).expect("written");
    let found = verify(&home, &[], 3);
    assert_eq!(found["damaged_lines"], serde_json::json!([1]), "{found}");
}

/// A snapshot's entry is taken out of the ledger, on the disk itself: the computer names the snapshot, the box tells of the hole, and
/// the pulled disk alone shows it as well.
#[test]
fn an_entry_taken_out_of_the_ledger_is_noticed_at_both_ends() {
    let mut home = Home::new();
    let numbers: Vec<u64> = (1..=3).map(|day| number(&pushed(&home, day)["snapshot"])).collect();
    assert_eq!(home.stop_agent(), Some(0));
    fs::remove_file(home.disk().join(layout::entry(numbers[1]))).expect("removed");
    let disk = home.path("disk").display().to_string();
    let is_missing = |found: &Value| {
        assert_eq!(number(&found["fault_count"]), 1, "{found}");
        assert_eq!(number(&found["faults"][0]["snapshot"]), numbers[1], "{found}");
        assert_eq!(found["faults"][0]["fault"], "missing", "{found}");
        assert_eq!(found["broken_entries"], serde_json::json!([[numbers[1], numbers[1]]]), "{found}");
    };
    is_missing(&verify(&home, &["--disk", &disk], 6));
    home.start();
    is_missing(&verify(&home, &[], 6));
    check(&home, &["verify"], 6, &["ALARM", &format!("snapshot {}: its entry is missing", numbers[1])]);
    assert_eq!(home.json(&["status"])["health"]["level"], "alarm");
    // With the newest one gone as well the ledger only looks shorter, and another entry is written in the place of the first.
    assert_eq!(home.stop_agent(), Some(0));
    fs::remove_file(home.disk().join(layout::entry(numbers[2]))).expect("removed");
    home.start();
    drop(home.device("phone", "push"));
    let found = verify(&home, &[], 6);
    assert_eq!(number(&found["faults"][0]["snapshot"]), numbers[1], "{found}");
    assert_eq!((&found["faults"][0]["fault"], number(&found["beyond"])), (&"exchanged".into(), 1), "{found}");
    let told = push_output(&home, 4);
    assert_eq!(told.status.code(), Some(6), "{}", text(&told));
}

/// The disk with the newest backups is not connected, and an older one is: that is one thing to do, and no alarm. When it is
/// connected, nothing is left to say.
#[test]
fn a_disk_that_is_away_with_the_newest_backups_is_one_thing_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_broker, port, mut home) = on_a_broker(folder.path());
    assert_eq!(home.stop_agent(), Some(0));
    home.use_disks(&["disk", "second"]);
    home.start();
    crate::yanked::all_healthy(&home, 2);
    pushed(&home, 1);
    let move_disk = |home: &Home, from: &str, to: &str| {
        fs::rename(home.path(from), home.path(to)).expect("moved");
    };
    assert_eq!(home.stop_agent(), Some(0));
    move_disk(&home, "second", "second-away");
    home.start();
    let lost = number(&pushed(&home, 2)["snapshot"]);
    let evidence = head_from(port, lost);
    assert_eq!(home.stop_agent(), Some(0));
    move_disk(&home, "disk", "disk-away");
    move_disk(&home, "second-away", "second");
    home.start();
    let topics = wait_for(port, "what the disks lack", |topics| {
        topics.get(HEALTH).is_some_and(|health| health.contains("lack backups that this appliance had made"))
    });
    let health: Value = serde_json::from_str(&topics[HEALTH]).expect("JSON");
    assert_eq!(
        (health["level"].as_str(), health["conditions"].as_array().map(Vec::len)),
        (Some("needs_you"), Some(1)),
        "{health}"
    );
    assert!(
        health["conditions"][0]["remedy"].as_str().is_some_and(|it| it.starts_with("Connect the disk")),
        "{health}"
    );
    assert_eq!(topics[HEAD], evidence, "the newest word stays");
    move_disk(&home, "disk-away", "disk");
    wait_for(port, "nothing left to say", |topics| {
        sequence(&topics[HEAD]) >= lost && !topics[HEALTH].contains("lack backups")
    });
    verify(&home, &[], 0);
}

/// The memory for a ledger does not grow with the ledger: a box that lived for decades is checked on a small computer. More with
/// `LARDER_ENTRIES`.
#[test]
fn a_ledger_of_decades_is_checked_in_the_memory_of_one_chapter() {
    const MEMORY_MAX: u64 = 48 << 20;
    let entries = std::env::var("LARDER_ENTRIES").ok().and_then(|it| it.parse().ok()).unwrap_or(100_000u64);
    let home = Home::new();
    let disk = home.path("long");
    fs::create_dir_all(disk.join("ledger")).expect("a folder");
    let (mut previous, mut newest) = (Hash::ZERO, 0);
    for number in 0..entries / 1000 {
        let mut chapter = ChapterBuilder::default();
        for sequence in entries_of(number) {
            let event = match sequence {
                1 => Event::VaultCreated { vault: [7; 16] },
                _ => Event::ClockConfirmed,
            };
            let (bytes, hash) = Entry { sequence, previous, stamp: WallStamp::default(), event }.encode();
            (previous, newest) = (hash, sequence);
            assert!(chapter.push(&bytes));
        }
        fs::write(disk.join(layout::chapter(number)), chapter.finish()).expect("written");
    }
    let mut command = home.larder(&["verify", "--json", "--disk", &disk.display().to_string()]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("larder runs");
    let mut peak = 0;
    while child.try_wait().expect("it is ours").is_none() {
        peak = peak.max(memory_peak_of(child.id()));
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("it ended");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (number(&found["entries"]), number(&found["newest"]["sequence"])),
        (newest, newest),
        "{found}"
    );
    assert_eq!(found["past_was_changed"], false, "{found}");
    assert!(peak > 0 && peak < MEMORY_MAX, "{peak} bytes for {entries} entries");
}
