//! Each computer restores its own files, and a stolen one reads nothing of the others'.

use crate::hostile::Sender;
use crate::messages::check;
use harness::device::Device;
use harness::home::{Home, text};
use larder_format::ChunkRef;
use larder_format::tree::{Kind, Totals};
use larder_format::wire::NOWHERE;
use std::fs;

const MARK: &[u8] = b"diary of Anna: the boat costs 4711, and nobody may know";

/// Body of an answer without a block: the end of a body of unknown length.
const NO_BLOCK: &[u8] = b"0\r\n\r\n";

/// A large part of its block: less would be cut out for whoever asks.
const SHARED: &[u8] = &[b's'; 400];

/// A home in which `laptop` has a diary.
fn with_a_diary() -> Home {
    let home = Home::new();
    let folder = home.path("diary");
    fs::create_dir_all(folder.join("june")).expect("a folder");
    fs::write(folder.join("june/monday.txt"), MARK).expect("written");
    fs::write(folder.join("plain.txt"), SHARED).expect("written");
    home.push(&folder, "diary");
    home
}

fn post(device: &Device, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let answer = device.request("POST", path, body);
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("an answer has a head");
    let status = String::from_utf8_lossy(&answer[9..12]).parse().expect("a status");
    (status, answer[head + 4..].to_vec())
}

/// The root of a source and the diary's page, as a key that sees everything knows them.
fn names_of(admin: &Device, source: &str) -> Vec<ChunkRef> {
    let newest = admin.ask("GET", &format!("/v1/sources/{source}/snapshots/newest")).1;
    let newest: serde_json::Value = serde_json::from_str(&newest).expect("JSON");
    let root: ChunkRef = serde_json::from_value(newest["root"].clone()).expect("a root");
    vec![root, ChunkRef::to(MARK)]
}

/// The laptop of another member of the family is stolen: by no route and by no name does it give a byte of the diary.
#[test]
fn a_stolen_computer_reads_nothing_of_the_others() {
    let home = with_a_diary();
    let admin = home.device("laptop", "admin");
    let ids: Vec<u8> = names_of(&admin, "laptop/diary").iter().flat_map(|chunk| chunk.id.0).collect();
    let nowhere = NOWHERE.to_le_bytes();
    for role in ["user", "read"] {
        let thief = home.device("tablet", role);
        for path in [
            "/v1/sources",
            "/v1/answers",
            "/v1/status",
            "/v1/find?name=monday",
            "/v1/me",
            "/v1/sources/laptop/diary/snapshots",
            "/v1/sources/laptop/diary/snapshots/newest",
            "/v1/sources/laptop/diary/snapshots/newest/list?recursive=true",
            "/v1/sources/laptop/diary/snapshots/newest/file?path=june/monday.txt",
            "/v1/sources/laptop/diary/versions?path=june/monday.txt",
            "/v1/sources/laptop/diary/diff?from=newest&to=newest",
            "/v1/sources/laptop/diary/retention",
            "/v1/sources/laptop/diary/expect",
        ] {
            let (status, told) = thief.ask("GET", path);
            assert!(status == 200 || status == 404, "{role} {path}: {status} {told}");
            let asked_for = path.contains("diary");
            assert_eq!(status == 404, asked_for, "{role} {path}: {told}");
            assert!(!told.contains("boat") && !told.contains("june"), "{role} {path}: {told}");
            assert!(asked_for || !told.contains("diary"), "{role} {path}: {told}");
        }
        let (status, placed) = post(&thief, "/v1/chunks/places", &ids);
        assert_eq!((status, placed), (200, nowhere.repeat(ids.len() / 32)), "{role}");
        for neighbours in ["", "?neighbours=welcome"] {
            for asked in [&ids[..], &ids[32..]] {
                let (status, blocks) = post(&thief, &format!("/v1/chunks/fetch{neighbours}"), asked);
                assert_eq!((status, &blocks[..]), (200, NO_BLOCK), "{role}: not a byte");
            }
        }
        let (_, blocks) = post(&admin, "/v1/chunks/fetch", &ids);
        assert!(blocks.len() > MARK.len(), "a key that sees everything has them by these names");
    }
}

/// Numbers of snapshots run on over all computers: what is said of a number is said to whoever may see its source.
#[test]
fn a_number_of_another_computer_tells_nothing() {
    let home = Home::new();
    home.pair_on("desk", "desk", "admin");
    let folder = home.path("diary");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("monday.txt"), MARK).expect("written");
    check_on(&home, "desk", &["push", &folder.display().to_string()], 0, "");
    let admin = home.device("desk", "admin");
    let newest = admin.ask("GET", "/v1/sources/desk/diary/snapshots/newest").1;
    let newest: serde_json::Value = serde_json::from_str(&newest).expect("JSON");
    let number = newest["snapshot"].to_string();
    let aside = home.larderd(&["set-aside", &number, "--reason", "the boat"]).output().expect("runs");
    assert!(aside.status.success(), "{}", text(&aside));
    let thief = Sender(home.device("laptop", "user"));
    let totals = Totals::default();
    thief.commit("own", 1, Kind::Directory { node: thief.keep_folder(&[]), totals }, totals);
    let path = format!("/v1/sources/laptop/own/snapshots/{number}");
    let (status, told) = thief.0.ask("GET", &path);
    assert!(status == 404 && !told.contains("boat") && !told.contains("aside"), "{status} {told}");
    let (_, told) = admin.ask("GET", &path);
    assert!(told.contains("the boat"), "whoever sees everything is told: {told}");
}

/// A part of a block that another computer brought: the rest of the block stays where it is.
#[test]
fn what_two_computers_share_gives_neither_the_rest() {
    let home = with_a_diary();
    let admin = home.device("laptop", "admin");
    // A single name would be answered by the chunk alone, to anybody.
    let names = [ChunkRef::to(SHARED).id.0, [0; 32]].concat();
    let guest = Sender(home.device("guest", "user"));
    let fetch = |device: &Device| post(device, "/v1/chunks/fetch?neighbours=welcome", &names).1;
    assert_eq!(fetch(&guest.0), NO_BLOCK);
    guest.keep(SHARED);
    let come = fetch(&guest.0);
    assert_ne!(come, NO_BLOCK, "it sent this itself");
    let whole = fetch(&admin);
    assert!(come.len() < whole.len(), "{} of {} bytes", come.len(), whole.len());
}

/// A new laptop takes the place of the old one: it is let see what the old one backed up, at the box and nowhere else.
#[test]
fn a_new_computer_gets_the_old_one_s_files() {
    let home = with_a_diary();
    home.pair_with("new", &["--device", "new"]);
    check_on(&home, "new", &["ls", "laptop/diary"], 1, "laptop/diary");
    let told = home.larderd(&["pair", "--device", "new", "--sees", "laptop"]).output().expect("larderd runs");
    assert!(text(&told).contains("its own backups and those of laptop"), "{}", text(&told));
    let paired = home.pair_by("new", &format!("127.0.0.1:{}", home.port), &told.stdout);
    assert!(text(&paired).contains("its own backups and those of laptop"), "{}", text(&paired));
    let to = home.path("back");
    check_on(&home, "new", &["restore", "laptop/diary", "--to", to.to_str().expect("text")], 0, "");
    assert_eq!(fs::read(to.join("june/monday.txt")).expect("it is back"), MARK);
    // It sees the old one's and pushes as itself.
    let folder = home.path("diary").display().to_string();
    check_on(&home, "new", &["push", &folder, "--source", "diary"], 0, "");
    check_on(
        &home,
        "new",
        &["restore", "new/diary", "--to", home.path("own").to_str().expect("text")],
        0,
        "",
    );
    let keys = home.larderd(&["keys"]).output().expect("larderd runs");
    assert!(text(&keys).contains("itself, laptop") && text(&keys).contains("everything"), "{}", text(&keys));
}

/// A wish that no key can have is told with what to say instead, before a code is shown.
#[test]
fn what_a_key_cannot_see_is_told_at_the_box() {
    let home = Home::new();
    for (args, code, words) in [
        (&["--role", "push", "--sees", "laptop"][..], 2, "sees no backups"),
        (&["--role", "admin", "--sees", "laptop"], 2, "every computer"),
        (&["--sees", "lap top"], 2, "cannot be a computer's name"),
        (&["--sees", "labtop"], 1, "no computer called labtop"),
    ] {
        let output = home.larderd(&[&["pair", "--device", "new"], args].concat()).output().expect("runs");
        let told = text(&output);
        assert!(told.contains(words) && output.stdout.is_empty(), "{args:?}: {told}");
        assert!(
            output.status.code() == Some(code) || code == 1 && !output.status.success(),
            "{args:?}: {told}"
        );
    }
    check(&home, &["sources"], 0, &[]);
}

fn check_on(home: &Home, computer: &str, args: &[&str], code: i32, words: &str) {
    let output = home.larder_on(computer, args).output().expect("larder runs");
    let told = text(&output);
    assert!(output.status.code() == Some(code) && told.contains(words), "{args:?}: {told}");
}
