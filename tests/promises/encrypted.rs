//! Nobody listens in, and nobody passes for the appliance or for a computer.

use crate::messages::check;
use harness::device::{Device, Encrypted, head};
use harness::home::{Home, text};
use harness::moved_clock::MovedClock;
use jiff::SignedDuration;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

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

/// A way to the appliance on which the first answer is lost that comes after `device` has a key.
fn losing_the_last_answer(home: &Home, device: &'static str) -> (u16, Arc<AtomicBool>) {
    let way = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (own, port) = (way.local_addr().expect("an address").port(), home.port);
    let mut keys = home.larderd(&["keys", "--json"]);
    let mut is_paired = move || {
        let told = keys.output().expect("runs");
        String::from_utf8_lossy(&told.stdout).contains(&format!("\"{device}\""))
    };
    let is_lost = Arc::<AtomicBool>::default();
    let lost = Arc::clone(&is_lost);
    thread::spawn(move || {
        for computer in way.incoming() {
            let (Ok(mut computer), Ok(mut appliance)) = (computer, TcpStream::connect(("127.0.0.1", port)))
            else {
                return;
            };
            let (mut asks, mut takes) =
                (computer.try_clone().expect("a socket"), appliance.try_clone().expect("a socket"));
            let asked = thread::spawn(move || {
                let _ = std::io::copy(&mut asks, &mut takes);
                let _ = takes.shutdown(std::net::Shutdown::Write);
            });
            let mut answer = [0; 4096];
            while let Ok(read @ 1..) = appliance.read(&mut answer) {
                if !lost.load(Ordering::SeqCst) && is_paired() {
                    lost.store(true, Ordering::SeqCst);
                    break;
                }
                if computer.write_all(&answer[..read]).is_err() {
                    break;
                }
            }
            let _ = computer.shutdown(std::net::Shutdown::Both);
            let _ = asked.join();
        }
    });
    (own, is_lost)
}

/// Given up, the key would stay in force, and nobody would have it.
#[test]
fn a_pairing_whose_last_answer_is_lost_is_a_pairing() {
    let home = Home::new();
    let opened = home.larderd(&["pair", "--device", "desk", "--role", "push"]).output().expect("runs");
    assert!(opened.status.success(), "{}", text(&opened));
    let code = String::from_utf8(opened.stdout).expect("text");
    let (way, is_lost) = losing_the_last_answer(&home, "desk");
    let paired = home.pair_by("desk", &format!("127.0.0.1:{way}"), code.trim().as_bytes());
    assert!(paired.status.success(), "{}", text(&paired));
    assert!(is_lost.load(Ordering::SeqCst), "no answer was lost");
    let folder = letter(&home);
    let pushed = home.larder_on("desk", &["push", &shown(&folder)]).output().expect("runs");
    assert!(pushed.status.success(), "{}", text(&pushed));
}

/// A peer that sends a byte now and then would otherwise hold a backup for ever: each byte alone comes in time.
#[test]
fn a_handshake_that_trickles_is_given_up() {
    let home = Home::new();
    let way = TcpListener::bind("127.0.0.1:0").expect("a port");
    home.go_to(way.local_addr().expect("an address").port());
    let mut asking = home.larder(&["status"]).stderr(Stdio::piped()).spawn().expect("runs");
    let trickle = |mut stream: TcpStream| {
        // The head of a record of 16 KiB, and its bytes, for a minute.
        let bytes = [0x16, 3, 3, 0x40, 0].into_iter().chain(std::iter::repeat(0)).take(600);
        let is_waiting = |byte: &u8| {
            thread::sleep(Duration::from_millis(100));
            stream.write_all(&[*byte]).is_ok()
        };
        bytes.take_while(is_waiting).count()
    };
    let (first, _) = way.accept().expect("a caller");
    let sent = trickle(first);
    assert!(sent < 600, "the caller waited as long as bytes came");
    drop(way);
    assert_eq!(asking.wait().expect("ended").code(), Some(4));
}

/// No key and no pairing asks for the date: a box that wakes up in 1970, or after its battery ran wild, is reached all the same.
#[test]
fn a_wrong_clock_keeps_nobody_out() {
    for (clock_of, years) in [("appliance", -56), ("appliance", 74), ("computer", -56), ("computer", 74)] {
        let mut home = Home::new();
        let mut clock = MovedClock::new(&home.path(""));
        clock.advance(SignedDuration::from_hours(years * 365 * 24));
        assert!(home.stop_agent().is_some());
        let by_clock = clock.time_of_day();
        if clock_of == "appliance" {
            home.set_variables(&by_clock);
        }
        home.start();
        let larder = |computer: &str, args: &[&str]| {
            let mut larder = home.larder_on(computer, args);
            if clock_of == "computer" {
                larder.envs(by_clock.clone());
            }
            larder
        };
        let opened = home.larderd(&["pair", "--device", "desk", "--role", "admin"]).output().expect("runs");
        assert!(opened.status.success(), "{}", text(&opened));
        let mut pairing = larder("desk", &["pair", &format!("127.0.0.1:{}", home.port)]);
        let mut pairing = pairing
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs");
        pairing.stdin.take().expect("piped").write_all(&opened.stdout).expect("typed");
        let paired = pairing.wait_with_output().expect("ended");
        assert!(paired.status.success(), "{clock_of} {years}: {}", text(&paired));
        let folder = letter(&home);
        let back = shown(&home.path("back"));
        // Paired under the right clock, and under the wrong one.
        for computer in ["", "desk"] {
            let source = if computer.is_empty() { "laptop/folder" } else { "desk/folder" };
            let pushed = larder(computer, &["push", "--source", "folder", &shown(&folder)]).output();
            let pushed = pushed.expect("runs");
            assert!(pushed.status.success(), "{clock_of} {years} {computer}: {}", text(&pushed));
            let back = format!("{back}{computer}");
            let restored = larder(computer, &["restore", source, "--to", &back]).output().expect("runs");
            assert!(restored.status.success(), "{clock_of} {years} {computer}: {}", text(&restored));
        }
    }
}

/// Whoever has no key sends no more than a pairing has: bodies of megabytes would fill a small box.
#[test]
fn a_stranger_sends_a_kibibyte_at_most() {
    let home = Home::new();
    let stranger = Device::stranger(home.port);
    for route in ["/v1/pair", "/v1/pair/confirm"] {
        let answered = |len: usize| {
            let mut stream = stranger.connect();
            let json = format!("\r\nContent-Type: application/json\r\nContent-Length: {len}");
            let head = head("POST", route, len).replace(&format!("\r\nContent-Length: {len}"), &json);
            stream.write_all(&[head.as_bytes(), &vec![b' '; len]].concat()).expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            answer.split_whitespace().nth(1).map(str::to_owned)
        };
        assert_eq!(answered(1024).as_deref(), Some("400"), "{route}: blanks are no message");
        assert_eq!(answered(1025).as_deref(), Some("413"), "{route}");
    }
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
                thread::sleep(Duration::from_millis(100));
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

/// One connection of a TLS that no one here wrote, without a key: the certificate's fingerprint, and what is answered.
const BROWSER: &str = r#"
import hashlib, socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as raw, context.wrap_socket(raw) as tls:
    seen = hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest().upper()
    print(":".join(seen[at : at + 2] for at in range(0, 64, 2)), tls.version())
    tls.sendall(f"GET {sys.argv[2]} HTTP/1.1\r\nHost: larder\r\n\r\n".encode())
    answer = b""
    while part := tls.recv(65536):
        answer += part
    print(answer.decode())
"#;

/// Whoever types the address into a browser is told the lamp, over a certificate that stays the same over restarts, and nothing that
/// a key is needed for.
#[test]
fn a_browser_sees_one_certificate_and_the_lamp_alone() {
    let mut home = Home::new();
    let folder = letter(&home);
    home.push(&folder, "Correspondence");
    let python = std::env::var_os("LARDER_PYTHON").unwrap_or_else(|| "python3".into());
    let ask = |home: &Home, path: &str| {
        let port = home.port.to_string();
        let told = Command::new(&python).args(["-c", BROWSER, &port, path]).output().expect("python runs");
        assert!(told.status.success(), "{}", text(&told));
        let told = String::from_utf8(told.stdout).expect("text");
        let (line, answer) = told.split_once('\n').expect("a line");
        let fingerprint = line.strip_suffix(" TLSv1.3").unwrap_or_else(|| panic!("{line}"));
        (fingerprint.to_owned(), answer.to_owned())
    };
    let (fingerprint, lamp) = ask(&home, "/");
    assert!(lamp.contains("All is fine.") && lamp.starts_with("HTTP/1.1 200"), "{lamp}");
    assert_eq!(home.json(&["status"])["system"]["certificate_sha256"], fingerprint);
    for path in ["/v1/me", "/v1/sources", "/v1/status", "/v1/pair", "/v1/control/keys"] {
        let (_, refused) = ask(&home, path);
        assert!(
            refused.starts_with("HTTP/1.1 401") && !refused.contains("Correspondence"),
            "{path}: {refused}"
        );
    }
    assert!(home.stop_agent().is_some());
    home.start();
    assert_eq!(ask(&home, "/").0, fingerprint, "a browser that was told to go on would warn again");
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
    let seeing = |device| home.device_with(&["--device", device, "--role", "read", "--sees", "all"]);
    let [thief, other] = ["thief", "other"].map(seeing);
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
