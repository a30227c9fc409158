//! Nobody listens in, and nobody passes for the appliance or for a computer.

use crate::messages::check;
use harness::device::{Encrypted, head};
use harness::home::{Home, text};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::thread;

/// The code of a new window for a computer called `laptop`.
fn code(home: &Home) -> String {
    let opened = home.larderd(&["pair", "--device", "laptop", "--role", "admin"]).output().expect("runs");
    assert!(opened.status.success(), "{}", text(&opened));
    let code = String::from_utf8(opened.stdout).expect("text").trim().to_owned();
    assert!(code.len() == 8 && code.bytes().all(|digit| digit.is_ascii_digit()), "{code}");
    code
}

/// What becomes of a pairing with the appliance at `port`.
fn pair(home: &Home, port: u16, code: &str) -> Output {
    home.pair_by("", &format!("127.0.0.1:{port}"), code.as_bytes())
}

fn other_than(code: &str) -> &'static str {
    if code == "00000000" { "00000001" } else { "00000000" }
}

/// A neighbour in the network: every byte goes through, and is written down.
pub(crate) fn listening_in(port: u16) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let between = listener.local_addr().expect("an address").port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&heard);
    thread::spawn(move || {
        for near in listener.incoming() {
            let near = near.expect("a connection");
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            for (mut from, mut to) in
                [(near.try_clone().expect("a stream"), far.try_clone().expect("a stream")), (far, near)]
            {
                let heard = Arc::clone(&all);
                thread::spawn(move || {
                    let mut bytes = [0; 65536];
                    while let Ok(read @ 1..) = from.read(&mut bytes) {
                        heard.lock().expect("whole").extend_from_slice(&bytes[..read]);
                        if to.write_all(&bytes[..read]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (between, heard)
}

fn has(heard: &[u8], word: &[u8]) -> bool {
    heard.windows(word.len()).any(|window| window == word)
}

fn letter(home: &Home) -> std::path::PathBuf {
    let folder = home.path("Correspondence");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("to-the-doctor.txt"), "what nobody else is to read ".repeat(40)).expect("written");
    folder
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// From the pairing to the restore nothing that goes over the network can be read on the way, and no secret lies in it.
#[test]
fn nothing_travels_in_the_clear() {
    let home = Home::new();
    let folder = letter(&home);
    let (between, heard) = listening_in(home.port);
    let code = code(&home);
    let paired = pair(&home, between, &code);
    assert!(paired.status.success(), "{}", text(&paired));
    assert!(text(&paired).contains("as laptop"), "{}", text(&paired));
    home.ok(&["push", &shown(&folder)]);
    let back = home.path("back");
    home.ok(&["restore", "Correspondence", "--to", &shown(&back)]);
    assert_eq!(
        fs::read(back.join("to-the-doctor.txt")).expect("restored"),
        fs::read(folder.join("to-the-doctor.txt")).expect("there")
    );
    let heard = heard.lock().expect("whole");
    assert!(heard.len() > 3000, "it went this way: {}", heard.len());
    let pairing = fs::read_to_string(home.path("config/larder/appliance.toml")).expect("a pairing");
    assert!(pairing.contains("https://") && !pairing.contains("token"), "{pairing}");
    let plain = ["HTTP/1.1", "/v1/", "laptop", "Correspondence", "doctor", "nobody else", &code];
    for word in plain {
        assert!(!has(&heard, word.as_bytes()), "{word} can be read on the way");
    }
}

/// The code counts, five times, and the key counts afterwards: a computer whose key was ended is a stranger at once.
#[test]
fn a_computer_is_known_by_its_key_and_pairs_by_the_code_alone() {
    let home = Home::new();
    let folder = letter(&home);
    let closed = pair(&home, home.port, "12345678");
    assert!(text(&closed).contains("does not pair with anybody now"), "{}", text(&closed));
    assert!(text(&closed).contains("larderd pair") && closed.status.code() == Some(1), "{}", text(&closed));
    let code = code(&home);
    for left in (1..5).rev() {
        let wrong = pair(&home, home.port, other_than(&code));
        assert!(text(&wrong).contains(&format!("{left} more can be tried")), "{}", text(&wrong));
    }
    let paired = pair(&home, home.port, &format!("{} {}", &code[..4], &code[4..]));
    assert!(paired.status.success(), "the right one within the tries: {}", text(&paired));
    home.ok(&["push", &shown(&folder)]);
    let again = pair(&home, home.port, &code);
    assert!(!again.status.success(), "a code is used once: {}", text(&again));
    // A pairing that fails leaves the one that is there.
    home.ok(&["push", &shown(&folder)]);
    assert!(home.larderd(&["revoke", "laptop"]).output().expect("runs").status.success());
    check(&home, &["push", &shown(&folder)], 4, &["does not know the key of this computer"]);
}

/// An open window, a lock and their ends are seen on lamp and status; the code is seen by whoever opened the window alone.
#[test]
fn a_window_is_seen_by_the_owner_and_its_code_by_nobody_else() {
    let mut home = Home::new();
    home.pair_on("desk", "desk", "admin");
    let status = |args: &[&str]| {
        let told = home.larder_on("desk", args).output().expect("runs");
        assert!(told.status.success(), "{}", text(&told));
        String::from_utf8(told.stdout).expect("text")
    };
    let seen = |state: &str, lamp: &str| {
        let is_seen = || {
            let told: serde_json::Value = serde_json::from_str(&status(&["status", "--json"])).expect("JSON");
            let is_lamp = lamp.is_empty() || told["health"]["lamp"] == lamp;
            (told["pairing"]["state"] == state && is_lamp).then_some(told)
        };
        let found = (0..100).find_map(|_| {
            is_seen().or_else(|| {
                thread::sleep(std::time::Duration::from_millis(100));
                None
            })
        });
        found.unwrap_or_else(|| panic!("{state} is not seen: {}", status(&["status", "--json"])))
    };
    assert_eq!(seen("closed", "")["pairing"]["until"], serde_json::Value::Null);
    for window in 1..=3 {
        let code = code(&home);
        let open = seen("open", "pairing");
        assert_eq!(
            (&open["pairing"]["device"], &open["pairing"]["role"]),
            (&"laptop".into(), &"admin".into())
        );
        let words = status(&["status"]);
        assert!(words.contains("A window is open until") && words.contains("\"laptop\""), "{words}");
        assert!(!open.to_string().contains(&code) && !words.contains(&code), "window {window}");
        assert!(!home.log().contains(&code), "the log is read by others than the owner");
        for _ in 0..5 {
            pair(&home, home.port, other_than(&code));
        }
        seen(if window == 3 { "locked" } else { "closed" }, "");
    }
    let words = status(&["status"]);
    assert!(words.contains("no computer can be paired until"), "{words}");
    assert!(home.stop_agent().is_some());
}

/// Whoever answers at the appliance's address with another key hears nothing, and the owner hears why.
#[test]
fn another_box_at_the_same_address_is_not_talked_to() {
    let mut home = Home::new();
    let folder = letter(&home);
    home.pair("laptop", "admin");
    home.ok(&["push", &shown(&folder)]);
    let twin = Home::new();
    let file = home.path("config/larder/appliance.toml");
    let pairing = fs::read_to_string(&file).expect("a pairing");
    let of_twin = pairing.replace(&format!(":{}", home.port), &format!(":{}", twin.port));
    assert_ne!(of_twin, pairing);
    fs::write(&file, of_twin).expect("written");
    check(&home, &["push", &shown(&folder)], 4, &["not the appliance that this computer was paired with"]);
    check(&home, &["status"], 4, &["another key", "--replace"]);
    fs::write(&file, pairing).expect("written");
    // The same appliance after a restart, by the key on its disk.
    assert_eq!(home.stop_agent(), Some(0));
    home.start();
    home.ok(&["push", &shown(&folder)]);
}

/// Without encryption the lamp is all that anybody hears, whatever they show.
#[test]
fn without_encryption_nobody_hears_more_than_the_lamp() {
    let home = Home::new();
    let folder = letter(&home);
    home.push(&folder, "Correspondence");
    let lamp = home.get("/").expect("an answer");
    assert!(lamp.contains("All is fine.") && lamp.contains("larderd pair"), "{lamp}");
    for path in ["/v1/me", "/v1/sources", "/v1/status", "/v1/pair", "/v1/openapi.json", "/v1/control/keys"] {
        let refused = home.get(path).expect("an answer");
        assert!(
            refused.contains("encrypted_only") && !refused.contains("Correspondence"),
            "{path}: {refused}"
        );
    }
}

/// A key that was ended is out at once, also from what it is reading at that moment.
#[test]
fn an_ended_key_is_cut_off_in_the_middle() {
    let home = Home::new();
    let folder = home.path("films");
    fs::create_dir_all(&folder).expect("a folder");
    let film = crate::byte_exact::Dice(9).bytes(60_000_000);
    fs::write(folder.join("film.mkv"), &film).expect("written");
    home.push(&folder, "films");
    let [thief, other] = ["thief", "other"].map(|device| home.device(device, "read"));
    let path = "/v1/sources/laptop/films/snapshots/newest/file?path=film.mkv";
    let [mut stolen, mut kept] = [&thief, &other].map(|device| {
        let mut stream = device.connect();
        stream.write_all(head("GET", path, 0).as_bytes()).expect("sent");
        let mut first = [0; 100];
        stream.read_exact(&mut first).expect("the answer begins");
        assert!(first.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first));
        stream
    });
    assert!(home.larderd(&["revoke", "thief"]).output().expect("runs").status.success());
    let rest = |stream: &mut Encrypted| {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        rest.len()
    };
    assert!(rest(&mut stolen) < film.len() / 2, "only what was on its way");
    assert!(rest(&mut kept) + 100 > film.len(), "the other one reads on");
}
