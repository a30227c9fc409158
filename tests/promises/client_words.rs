//! What the client says, and how it ends, where somebody else answers, nobody reads, or something is mistyped.

use crate::messages::{check, check_first_line, with_a_letter};
use harness::home::{Home, text};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

/// Runs a command whose output and errors nobody reads; returns its exit code.
fn code_without_reader(mut command: Command) -> Option<i32> {
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        writer
    };
    command.stdout(closed()).stderr(closed()).status().expect("larder runs").code()
}

/// `larder push … 2>&1 | head` ends with what was done, not with a panic: every folder is safe, and the receipts are
/// remembered.
#[test]
fn where_nobody_reads_the_work_is_done_all_the_same() {
    let (home, folder) = with_a_letter();
    let taken = home.path("taken");
    fs::create_dir_all(&taken).expect("a folder");
    fs::write(taken.join("letter.txt"), b"mine").expect("written");
    let [disk, taken] = [home.path("disk"), taken].map(|path| path.display().to_string());
    for (args, expect) in [
        (&["sources"][..], 0),
        (&["ls", "data"], 0),
        (&["cat", "data:letter.txt"], 0),
        (&["status", "--json"], 0),
        (&["man"], 0),
        (&["ls", "laptop/music"], 1),
        (&["push", "/nope"], 1),
        (&["push", "/nope", "--json"], 1),
        (&["restore", "data", "--to", &taken], 3),
        (&["rescue", &disk, "--list"], 0),
    ] {
        assert_eq!(code_without_reader(home.larder(args)), Some(expect), "larder {args:?}");
    }
    let other = home.path("other");
    fs::create_dir_all(&other).expect("a folder");
    fs::write(other.join("letter.txt"), b"dear you").expect("written");
    let [folder, other] = [folder, other].map(|path| path.display().to_string());
    assert_eq!(code_without_reader(home.larder(&["push", &folder, &other])), Some(0));
    let newest = home.newest("other");
    let state = fs::read_dir(home.path("state/larder")).expect("a folder");
    let mut files = state.map(|item| item.expect("a name").path()).filter(|path| path.is_file());
    let seen = fs::read(files.next().expect("what was seen")).expect("readable");
    let seen: serde_json::Value = serde_json::from_slice(&seen).expect("JSON");
    assert_eq!(seen["receipt"]["snapshot"], newest, "{seen}");
    let verified: serde_json::Value = serde_json::from_str(&home.ok(&["verify", "--json"])).expect("JSON");
    assert_eq!(verified["receipts"], 3, "{verified}");
}

/// A server that answers everything with this; returns its port.
fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut asked = Vec::new();
            let mut bytes = [0; 4096];
            // What does not begin like a request is answered at once, as by any web server.
            while !asked.windows(4).any(|end| end == b"\r\n\r\n") && !asked.starts_with(&[0x16]) {
                match client.read(&mut bytes) {
                    Ok(len @ 1..) => asked.extend_from_slice(&bytes[..len]),
                    _ => break,
                }
            }
            let _ = client.write_all(answer.as_bytes());
        }
    });
    port
}

/// Another server at the address is told as such: nobody is sent to look for damage.
#[test]
fn what_is_no_appliance_is_told_as_such() {
    let (home, folder) = with_a_letter();
    let folder = folder.display().to_string();
    let web_server = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>";
    let newer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    let plain = answering(web_server);
    // With the appliance's own key.
    let proven = |answer: &'static str| home.change_on_the_way(move |_, _| answer.as_bytes().to_vec());
    let answering = [
        (plain, "an older one: it does not speak our encryption."),
        (proven(web_server), "a newer one."),
        (proven(newer), "a newer one."),
    ];
    for (port, or) in answering {
        home.go_to(port);
        let first_line = format!("What answers at https://127.0.0.1:{port} is no Larder appliance, or {or}");
        for args in [&["sources"][..], &["push", &folder], &["diff", "laptop/data@1", "laptop/data@2"]] {
            let output = home.larder(args).output().expect("larder runs");
            check_first_line(&output, 4, &first_line);
            assert!(!text(&output).contains("amaged"), "{}", text(&output));
        }
    }
    proven("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    check(&home, &["sources"], 1, &["Check the address"]);
}

/// What cannot be meant is told, and an answer is never left out.
#[test]
fn what_is_mistyped_is_not_passed_over() {
    check(&Home::new(), &["answers"], 0, &["Nothing is protected yet"]);
    let (home, _) = with_a_letter();
    check(&home, &["pair", ":84777"], 2, &[":84777"]);
    check(&home, &["pair", "fe80::1"], 2, &["[fe80::1]:8477"]);
    check(&home, &["versions", "data@1:letter.txt"], 2, &["@WHEN"]);
    let [disk, to] = ["disk", "to"].map(|name| home.path(name).display().to_string());
    check(&home, &["ls", "data@nonsense"], 1, &["nonsense", "2 weeks ago"]);
    check(&home, &["rescue", &disk, "--to", &to, "data@nonsense"], 1, &["nonsense", "2 weeks ago"]);
}
