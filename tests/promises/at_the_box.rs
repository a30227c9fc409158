//! What an owner meets at the box itself: a command while the disk is away, an address in use, files for nobody else.

use crate::messages::{check_first_line, with_a_letter};
use harness::home::{Home, text};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode()
        & 0o777
}

/// The owner page sends people to `larderd disks` when the only disk is pulled: the agent of the service answers then, too.
#[test]
fn a_service_answers_at_the_box_without_any_disk() {
    let (mut home, _) = with_a_letter();
    home.stop_agent();
    let folder = home.path("run");
    fs::create_dir(&folder).expect("a folder");
    home.set_variables(&[("RUNTIME_DIRECTORY", folder.display().to_string())]);
    home.start();
    let socket = folder.join("control.sock");
    assert_eq!(mode(&socket), 0o600);
    fs::rename(home.path("disk"), home.path("pulled")).expect("pulled");
    let mut stream = UnixStream::connect(&socket).expect("it listens");
    let ask = "GET /v1/control/disks HTTP/1.1\r\nHost: larder\r\nConnection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"disks\""), "{answer}");
    // An agent that was started by hand is spoken to over its disks alone: the words say so.
    let asked = home.larderd(&["disks"]).output().expect("larderd runs");
    let expect =
        format!("No agent answers, and no backup disk is connected at {}.", home.path("disk").display());
    check_first_line(&asked, 4, &expect);
    fs::rename(home.path("pulled"), home.path("disk")).expect("put back");
    home.stop_agent();
    assert!(!socket.exists(), "the next command must hear at once that nobody is there");
}

/// Trying `larderd run` where another program has the port leaves no second vault behind.
#[test]
fn an_address_in_use_leaves_no_vault_behind() {
    let (mut home, _) = with_a_letter();
    home.stop_agent();
    let settings = fs::read_to_string(home.path("larder.toml")).expect("settings");
    let listen = settings.lines().find_map(|line| line.strip_prefix("listen = ")).expect("an address");
    let _taken = TcpListener::bind(listen.trim_matches('"')).expect("it is free");
    fs::remove_dir_all(home.disk()).expect("removed");
    let run = home.larderd(&["run"]).output().expect("larderd runs");
    let said = text(&run);
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains("another program uses it") && said.contains("network.listen"), "{said}");
    assert!(!home.disk().exists(), "a new vault was begun all the same");
}

/// An agent started by hand, with the umask of a login shell, lets no other user of the box read along.
#[test]
fn packs_and_ledger_are_for_the_agent_alone() {
    let mut home = Home::new();
    let folder = home.path("docs");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("letter"), b"dear all").expect("written");
    home.push(&folder, "docs");
    home.stop_agent();
    let files = harness::fault_injection::files_below(&home.disk());
    let packs: Vec<_> =
        files.iter().filter(|file| file.extension().is_some_and(|end| end == "pack")).collect();
    assert!(!packs.is_empty(), "{files:?}");
    // Whoever may not enter a folder reads nothing in it, whatever the mode of a file.
    for folder in files.iter().filter_map(|file| file.parent()) {
        assert_eq!(mode(folder) & 0o077, 0, "{}", folder.display());
    }
}

/// Whoever looks into the log on the bad day finds each backup and each restore, in words and without our type names.
#[test]
fn the_log_has_a_line_for_each_backup_and_restore() {
    let (home, folder) = with_a_letter();
    let number = home.push(&folder, "letters");
    home.restore("letters", number);
    let log = home.log();
    let line = log.lines().find(|line| line.contains("a backup was made") && line.contains("laptop/letters"));
    assert!(line.is_some_and(|line| line.contains(&format!("snapshot={number}"))), "{log}");
    assert!(log.contains("a restore began"), "{log}");
    for internal in ["Some(", "None", "Opened {", "Round {", "Rule {"] {
        assert!(!log.contains(internal), "{internal} in\n{log}");
    }
}
