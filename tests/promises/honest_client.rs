//! The client tells the truth: what it left out, whom it waits for, why nobody answers, and nothing that somebody else
//! wants to do to the screen.

use crate::messages::{check, with_a_letter};
use harness::device::{Device, pass_on};
use harness::home::{Home, program, put_program, text};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

/// Far below the two minutes for which a push goes on trying.
const SAID_WITHIN: Duration = Duration::from_secs(60);
const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n";

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn push_json(home: &Home, args: &[&str]) -> serde_json::Value {
    let pushed = home.json(&[&["push"], args].concat());
    pushed["pushes"][0]["left_out"].clone()
}

/// A folder that a program marked as its cache is not in the backup, and the push says so, with its name; and so it does
/// of everything else that it leaves out.
#[test]
fn nothing_is_left_out_in_silence() {
    let (home, folder) = with_a_letter();
    let notes = folder.join("Proj/notes");
    fs::create_dir_all(&notes).expect("a folder");
    fs::write(notes.join("CACHEDIR.TAG"), TAG).expect("written");
    fs::write(notes.join("thesis.tex"), b"years of work").expect("written");
    fs::write(folder.join(".larderignore"), "*.bak\n").expect("written");
    for name in ["a.bak", "a.o", "b.o", "c.o", "d.o", "e.o", ".larder-restore-1-2"] {
        fs::write(folder.join(name), name).expect("written");
    }
    let data = shown(&folder);
    let args = ["push", &data, "--source", "data", "--exclude", "*.o"];
    check(
        &home,
        &args,
        0,
        &[
            "Left out on purpose:",
            "1 folder that is marked as a cache (CACHEDIR.TAG): Proj/notes; --include-caches",
            "5 names that --exclude matches: a.o, b.o, c.o, d.o and 1 more",
            "1 name that a .larderignore matches: a.bak",
            "1 half of a file that a broken-off restore left: .larder-restore-1-2",
        ],
    );
    assert!(!home.ok(&["ls", "data:Proj/notes"]).contains("thesis"));
    assert_eq!(home.ok(&[&args[..], &["--quiet"]].concat()), "", "a timer hears nothing of what goes well");
    let left_out = push_json(&home, &args[1..]);
    let reasons: Vec<_> =
        left_out.as_array().expect("a list").iter().map(|one| one["reason"].clone()).collect();
    assert_eq!(reasons, ["cachedir_tag", "exclude", "larderignore", "broken_restore"], "{left_out}");
    assert_eq!(left_out[1]["count"], 5);
    let left_out = push_json(&home, &[&data, "--source", "data", "--include-caches"]);
    assert!(!left_out.to_string().contains("cachedir_tag"), "{left_out}");
    assert!(home.ok(&["ls", "data:Proj/notes"]).contains("thesis.tex"));
    let left_out = push_json(&home, &[&data, "--source", "data", "--no-default-excludes"]);
    assert_eq!(
        (left_out.as_array().map(Vec::len), &left_out[0]["reason"]),
        (Some(1), &"larderignore".into())
    );
}

/// The key of a computer is in none of its backups, also when its settings are backed up, and wherever the key lies.
#[test]
fn the_key_is_in_no_backup() {
    let (home, _) = with_a_letter();
    let config = home.path("config");
    fs::write(config.join("other.toml"), b"a setting of another program").expect("written");
    let left_out = push_json(&home, &[&shown(&config), "--source", "config", "--no-default-excludes"]);
    assert_eq!((&left_out[0]["reason"], &left_out[0]["names"][0]), (&"own_key".into(), &"larder".into()));
    let back = home.restore("config", home.newest("config"));
    assert!(back.join("other.toml").exists() && !back.join("larder/appliance.toml").exists());
    let left_out = push_json(&home, &[&shown(&config.join("larder")), "--source", "itself"]);
    assert_eq!(left_out[0]["names"][0], ".", "{left_out}");
    let elsewhere = home.path("elsewhere");
    fs::create_dir_all(&elsewhere).expect("a folder");
    let pairing = elsewhere.join("box.toml");
    fs::copy(config.join("larder/appliance.toml"), &pairing).expect("copied");
    let named = ["--appliance", &shown(&pairing)].map(str::to_owned);
    let push: [&str; 5] = [&shown(&elsewhere), "--source", "elsewhere", &named[0], &named[1]];
    let left_out = push_json(&home, &push);
    assert_eq!(left_out[0]["names"][0], "box.toml", "{left_out}");
    assert!(home.ok(&["push", &shown(&config), "--source", "config"]).contains("this computer's key"));
}

fn pair(home: &Home, args: &[&str], key: &[u8]) -> Output {
    let mut command = home.larder(&[&["pair"], args].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("larder runs");
    // Where the question is never asked, nobody reads.
    let _ = child.stdin.take().expect("a pipe").write_all(key);
    child.wait_with_output().expect("larder ends")
}

/// The secret of a pairing is nowhere else. No pairing is replaced by a command that nobody confirmed, and each mistake of pairing is told
/// as what it is.
#[test]
fn a_pairing_is_not_lost_by_pairing_again() {
    let (home, _) = with_a_letter();
    let file = home.path("config/larder/appliance.toml");
    let before = fs::read(&file).expect("a pairing");
    let here = format!("127.0.0.1:{}", home.port);
    let check = |args: &[&str], key: &[u8], code, parts: &[&str]| {
        let output = pair(&home, args, key);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "{args:?}: {part}: {said}"));
        assert_eq!(fs::read(&file).expect("a pairing"), before, "{args:?}: the pairing is as it was");
    };
    check(&[&here], &[b'0'; 64], 2, &["is paired with https://127.0.0.1", "stays so", "--replace"]);
    check(&[&here, "--replace"], b"\n", 2, &["No code was entered", "larderd pair"]);
    check(&[&here, "--replace"], &[b'0'; 64], 2, &["no code", "eight digits"]);
    check(&[&here, "--replace"], b"12345678", 1, &["does not pair with anybody now", "larderd pair"]);
    check(&["nowhere.invalid", "--replace"], b"12345678", 4, &["No computer with the name", "192.168"]);
}

/// The first line of the error output, and the program is ended.
fn first_line(mut command: std::process::Command) -> (String, Duration) {
    let since = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("larder runs");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let took = since.elapsed();
    let _ = child.kill();
    let _ = child.wait();
    (line, took)
}

/// Whoever sits before a silent box learns within seconds for what the program waits, and why it ends.
#[test]
fn why_nobody_answers_is_told_and_soon() {
    let (mut home, folder) = with_a_letter();
    let pairing = home.path("config/larder/appliance.toml");
    let good = fs::read_to_string(&pairing).expect("a pairing");
    let go_to = |host: &str| {
        let address = format!("127.0.0.1:{}", home.port);
        fs::write(&pairing, good.replace(&address, host)).expect("written");
    };
    go_to("nowhere.invalid:8477");
    check(&home, &["status"], 4, &["No computer with the name in https://nowhere.invalid:8477"]);
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    go_to(&silent.local_addr().expect("an address").to_string());
    let push = ["push", &shown(&folder)];
    let (line, took) = first_line(home.larder(&push));
    assert!(line.starts_with("Trying to reach the appliance at https://127.0.0.1:"), "{line}");
    assert!(took < SAID_WITHIN, "{took:?}");
    fs::write(&pairing, &good).expect("written");
    home.stop_agent();
    check(&home, &["status"], 4, &["is there, but Larder does not answer on it", "network.listen"]);
    let (line, took) = first_line(home.larder(&push));
    assert!(
        line.contains("Larder does not answer on it") && line.contains("Trying again for 2 minutes"),
        "{line}"
    );
    assert!(took < SAID_WITHIN, "{took:?}");
}

/// A key that was ended is not "not paired": the computer is, and needs a new key.
#[test]
fn an_ended_key_is_told_as_such() {
    let (home, folder) = with_a_letter();
    let ended = home.larderd(&["revoke", "laptop"]).output().expect("larderd runs");
    assert!(ended.status.success(), "{}", text(&ended));
    check(&home, &["push", &shown(&folder)], 4, &["does not know the key of this computer", "larderd pair"]);
}

/// Ctrl-C says what it means for the files, and the program ends by it as any other.
#[test]
fn ctrl_c_says_what_it_means() {
    use std::os::unix::process::ExitStatusExt;
    let (home, folder) = with_a_letter();
    let pairing = home.path("config/larder/appliance.toml");
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let to = silent.local_addr().expect("an address").to_string();
    let good = fs::read_to_string(&pairing).expect("a pairing");
    fs::write(&pairing, good.replace(&format!("127.0.0.1:{}", home.port), &to)).expect("written");
    let mut push = home.larder_heeding_ctrl_c(&["push", &shown(&folder)]);
    let mut child = push.stderr(Stdio::piped()).spawn().expect("larder runs");
    let mut said = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("told");
    line.clear();
    said.read_line(&mut line).expect("a line");
    assert!(line.starts_with("Stopped. No new snapshot was made"), "{line}");
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(2), "{status:?}");
}

/// Text that drives a terminal, as an appliance would write it into JSON: a title, a cleared screen, a line of its own,
/// a control of the second set, a mark that turns names around.
const HOSTILE: &str =
    "\\u001b]0;owned\\u0007\\u001b[2J\\nrun: curl evil\\r\\u009b31m\\u202etxt\\u2066\\u061c";

/// The answer to a request, with hostile text wherever it says one of `words`.
fn made_hostile(request: &[u8], on: &Device, words: &[&str]) -> Vec<u8> {
    let answer = pass_on(request, on);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.lines().next().expect("a status");
    let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { without_chunks(body) } else { body.to_owned() };
    let body = words.iter().fold(body, |body, word| body.replace(word, HOSTILE));
    let len = body.len();
    let head = format!("{status}\r\nContent-Type: application/json\r\nContent-Length: {len}");
    format!("{head}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

fn without_chunks(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((len, rest)) = body.split_once("\r\n") {
        let len = usize::from_str_radix(len.trim(), 16).unwrap_or(0);
        if len == 0 {
            break;
        }
        whole.push_str(&rest[..len]);
        body = &rest[len + 2..];
    }
    whole
}

/// Whatever the appliance says, and whatever is called whatever, nothing of it acts on the terminal or makes a line of
/// its own.
#[test]
fn no_answer_drives_the_terminal() {
    let (home, folder) = with_a_letter();
    fs::write(folder.join("letter.txt"), b"dear all of you").expect("written");
    home.push(&folder, "data");
    // Names of everything, and words of every message; by somebody with the keys of both ends, or nobody could.
    let words = ["letter", "root", "laptop", "There ", " is ", " are ", "Nothing"];
    let port = home.change_on_the_way(move |request, on| made_hostile(request, on, &words));
    let (to, data) = (shown(&home.path("to")), shown(&folder));
    let mut met = 0;
    let mut harmless = |args: &[&str], output: &Output| {
        for printed in [&output.stdout, &output.stderr] {
            let printed = String::from_utf8(printed.clone()).expect("text");
            let acts = |c: char| c.is_control() && c != '\n' || "\u{202e}\u{2066}\u{61c}".contains(c);
            assert!(!printed.contains(acts), "larder {args:?}: {printed:?}");
            assert!(!printed.lines().any(|line| line.starts_with("run: curl")), "larder {args:?}: {printed}");
            met += usize::from(printed.contains("curl evil"));
        }
    };
    for args in [
        &["sources"][..],
        &["snapshots", "laptop/data"],
        &["ls", "laptop/data"],
        &["versions", "laptop/data:letter.txt"],
        &["diff", "laptop/data@2", "laptop/data@3"],
        &["answers"],
        &["status"],
        &["retention", "laptop/data"],
        &["ls", "laptop/music"],
        &["cat", "laptop/data:gone"],
        &["restore", "laptop/data@999", "--to", &to],
        &["push", &data, "--source", "data"],
    ] {
        for args in [args.to_vec(), [args, &["--json"]].concat()] {
            harmless(&args, &home.larder(&args).output().expect("larder runs"));
        }
    }
    let address = format!("127.0.0.1:{port}");
    let opened =
        home.larderd(&["pair", "--device", "laptop", "--role", "admin"]).output().expect("larderd runs");
    harmless(&["pair"], &pair(&home, &[&address, "--replace"], &opened.stdout));
    assert!(met >= 18, "the hostile text came through in {met} answers only");
}

/// Root is asked before a restore makes what could take over the computer; without a word, none of it is made, each is
/// named, and the code says so.
#[test]
fn a_restore_as_root_makes_no_door_unasked() {
    let (home, folder) = with_a_letter();
    let program = folder.join("program");
    fs::write(&program, b"#!/bin/sh").expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("set");
    if !rustix::process::geteuid().is_root() {
        return;
    }
    home.push(&folder, "data");
    let mode = |name: &str| {
        fs::metadata(home.path(name).join("program")).expect("there").permissions().mode() & 0o7777
    };
    let to = |name: &str| shown(&home.path(name));
    check(&home, &["restore", "data", "--to", &to("a")], 3, &["program: it comes back without", "--special"]);
    assert_eq!(mode("a"), 0o755);
    check(&home, &["restore", "data", "--to", &to("b"), "--special"], 0, &["2 files", "are back"]);
    assert_eq!(mode("b"), 0o4755);
    let disk = to("disk");
    check(&home, &["rescue", &disk, "--to", &to("c"), "data"], 3, &["--special"]);
    check(&home, &["rescue", &disk, "--to", &to("d"), "data", "--special"], 0, &[]);
    assert_eq!((mode("c"), mode("d")), (0o755, 0o4755));
    check(&home, &["rescue", &disk], 0, &["laptop/data", "larder rescue DISK --to DIR"]);
}

/// A restore that cannot fit says so before the first byte, with both numbers.
#[test]
fn what_cannot_fit_is_told_before_the_first_byte() {
    let (home, folder) = with_a_letter();
    let image = fs::File::create(folder.join("image")).expect("a file");
    // Only a hole, so that it can come back after all.
    image.set_len(8 << 40).expect("eight tebibytes of nothing");
    home.push(&folder, "data");
    let to = home.path("to");
    check(
        &home,
        &["restore", "data", "--to", &shown(&to)],
        1,
        &["There is no room", "8.8 TB", "--no-room-check"],
    );
    assert!(!to.exists(), "nothing was written");
    check(&home, &["restore", "data", "--to", &shown(&to), "--no-room-check"], 0, &["2 files", "are back"]);
    check(
        &home,
        &["restore", "data:letter.txt", "--to", &shown(&home.path("one"))],
        0,
        &["1 file, 8 B, is back"],
    );
}

/// A script learns from the exit code how the appliance is.
#[test]
fn a_script_learns_how_the_appliance_is() {
    let (home, _) = with_a_letter();
    let level = home.json(&["status"])["health"]["level"].clone();
    let code = match level.as_str() {
        Some("fine") => 0,
        Some("needs_you") => 3,
        other => panic!("{other:?}"),
    };
    check(&home, &["status", "--check"], code, &["The appliance says"]);
    check(&home, &["status"], 0, &[]);
}

/// Every ext4 has a `lost+found` that only root may read. Whoever reads a pulled disk without being root is told of it, and not
/// of damage.
#[test]
fn a_folder_that_only_root_may_read_is_no_damage() {
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (mut home, _) = with_a_letter();
    home.stop_agent();
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(home.path(""), everybody.clone()).expect("set");
    // The agent keeps its folders to itself; this owner has opened them.
    for folder in
        harness::fault_injection::files_below(&home.path("disk")).iter().filter_map(|file| file.parent())
    {
        for above in folder.ancestors().take_while(|above| above.starts_with(home.path("disk"))) {
            fs::set_permissions(above, everybody.clone()).expect("set");
        }
    }
    let lost = home.path("disk/lost+found");
    fs::create_dir(&lost).expect("a folder");
    fs::set_permissions(&lost, fs::Permissions::from_mode(0o700)).expect("set");
    // The program itself may lie where only root looks.
    let copy = home.path("larder-for-all");
    put_program(&copy, &fs::read(program("larder")).expect("read"));
    let rescue = |args: &[&str]| {
        let mut command = std::process::Command::new(&copy);
        command.arg("rescue").arg(home.path("disk")).args(args).uid(65534).gid(65534);
        command.output().expect("larder runs")
    };
    let listed = rescue(&[]);
    let said = text(&listed);
    assert_eq!(listed.status.code(), Some(0), "{said}");
    assert!(said.contains("laptop/data") && said.contains("lost+found was not looked at"), "{said}");
    let listed: serde_json::Value = serde_json::from_slice(&rescue(&["--json"]).stdout).expect("JSON");
    assert_eq!(
        (&listed["damage"]["count"], listed["not_looked_at"].as_array().map(Vec::len)),
        (&0.into(), Some(1))
    );
}
