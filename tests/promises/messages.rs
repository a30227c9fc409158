//! Wrong input of every kind: each message names the place and the remedy, and the exit code is the promised one.

use harness::device::pass_on;
use harness::home::{Home, program, text};
use std::fs;
use std::process::{Command, Output, Stdio};

pub(crate) fn check(home: &Home, args: &[&str], code: i32, parts: &[&str]) {
    let output = home.larder(args).output().expect("larder runs");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(code), "larder {args:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "larder {args:?} does not say {part:?}: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

/// What the first line of the message says, and that it names no number of the system's.
pub(crate) fn check_first_line(output: &Output, code: i32, first_line: &str) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors.lines().next(), Some(first_line), "{said}");
    let for_people = errors.lines().filter(|line| !line.starts_with("details:"));
    assert!(for_people.clone().all(|line| !line.contains("os error")), "{said}");
    assert!(for_people.count() >= 3, "what happened, what it means, what to do: {said}");
}

/// A home with one backup of a folder with one file.
pub(crate) fn with_a_letter() -> (Home, std::path::PathBuf) {
    let home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("letter.txt"), b"dear all").expect("written");
    home.push(&folder, "data");
    (home, folder)
}

/// Mistakes of a person at the computer are told in words, with the promised exit codes.
#[test]
fn mistakes_at_the_computer_are_told_in_words() {
    let (home, folder) = with_a_letter();
    check(&home, &["push"], 2, &["FOLDER"]);
    check(&home, &["push", "/nowhere/at/all"], 1, &["/nowhere/at/all"]);
    check(&home, &["push", &folder.display().to_string(), "--source", "a/b"], 2, &["a/b"]);
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

/// The first line names the thing that is wrong, for people and for programs.
#[test]
fn the_first_line_names_the_thing() {
    let (home, folder) = with_a_letter();
    let file = folder.join("letter.txt").display().to_string();
    let is_file = format!("{file} is a file, not a folder.");
    let run = |args: &[&str]| home.larder(args).output().expect("larder runs");
    check_first_line(&run(&["push", "/nope"]), 1, "There is no folder /nope.");
    check_first_line(&run(&["push", "/nope", "--source", "x"]), 1, "There is no folder /nope.");
    check_first_line(&run(&["push", &file]), 2, &is_file);
    check_first_line(&run(&["restore", "laptop/data", "--to", &file]), 2, &is_file);
    check_first_line(&run(&["cat", "laptop/data"]), 2, "laptop/data is a folder, not a file.");
    let below = format!("{file}/below");
    let failed = format!("On this computer something failed while opening the target folder ({below}).");
    check_first_line(&run(&["restore", "laptop/data", "--to", &below]), 1, &failed);
    let told = run(&["push", &file, "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!(told["problem"]["what"], is_file);
    assert_eq!(told["problem"]["remedy"], "Name a folder.");
    let demo = Command::new(program("larderd")).args(["demo", &file, "--once"]).output();
    let demo = demo.expect("larderd runs");
    check_first_line(&demo, 2, &is_file);
    assert!(demo.stdout.is_empty(), "{}", text(&demo));
}

/// What is not there ends with 1, however it is asked for.
#[test]
fn the_same_mistake_has_one_exit_code() {
    let (home, folder) = with_a_letter();
    let to = home.path("to").display().to_string();
    for missing in ["music", "laptop/music"] {
        for args in [
            &["ls", missing][..],
            &["snapshots", missing],
            &["retention", missing],
            &["diff", missing],
            &["answers", missing],
            &["versions", &format!("{missing}:a")],
            &["cat", &format!("{missing}:a")],
            &["restore", missing, "--to", &to],
        ] {
            check(&home, args, 1, &[missing, "larder sources"]);
        }
    }
    let missing = folder.join("gone").display().to_string();
    check(&home, &["push", &missing], 1, &[&missing]);
}

/// An answer says what the question was about.
#[test]
fn answers_do_not_mislead() {
    let (home, folder) = with_a_letter();
    check(&home, &["diff", "data"], 0, &["one snapshot"]);
    check(&home, &["versions", "data:gone.txt"], 1, &["No kept snapshot", "gone.txt"]);
    fs::write(folder.join("letter.txt"), b"dear me").expect("written");
    let taken = home.larder(&["restore", "data", "--to", &folder.display().to_string()]);
    let taken = text(&{ taken }.output().expect("larder runs"));
    assert!(taken.contains("No file was brought back"), "{taken}");
    assert!(!taken.contains("Everything else is back") && !taken.contains("0 files"), "{taken}");
    fs::write(folder.join("letter.txt"), b"dear all of you").expect("written");
    fs::write(folder.join(".larder-restore-4711-0"), b"half of a file").expect("written");
    home.push(&folder, "data");
    check(&home, &["diff", "data"], 0, &["changed", "letter.txt"]);
    assert!(
        !home.ok(&["ls", "data"]).contains(".larder-restore"),
        "what a broken restore left is not pushed"
    );
    for args in [["snapshots", "data"], ["retention", "data"]] {
        let told = home.ok(&args);
        assert!(told.contains("Nothing goes before its date"), "{told}");
        // Both are among the newest three.
        assert!(!told.contains("until 2"), "a date for what always stays: {told}");
    }
    let answers = home.ok(&["answers", "data"]);
    assert!(
        !answers.contains("Next to go") && answers.contains("as long as no newer backup comes"),
        "{answers}"
    );
}

/// The appliance and the computer ask the four questions in the same words.
#[test]
fn the_four_questions_have_one_wording() {
    let (home, _) = with_a_letter();
    let at_the_box = home.larderd(&["answers"]).output().expect("larderd runs");
    let questions = |told: &str| -> Vec<String> {
        told.lines().filter(|line| line.ends_with('?')).map(str::to_owned).collect()
    };
    let asked = questions(&home.ok(&["answers"]));
    assert_eq!(asked, questions(&String::from_utf8_lossy(&at_the_box.stdout)));
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert_eq!(asked[3].trim(), "What happens if a bad edit reaches every device?");
}

/// Both programs can be completed, and the client has a page for each command.
#[test]
fn completions_and_pages_are_there() {
    let home = Home::new();
    assert!(home.ok(&["completions", "bash"]).contains("versions"));
    assert!(home.ok(&["man"]).contains("larder\\-push(1)"));
    assert!(home.ok(&["man", "push"]).contains("one\\-filesystem"));
    check(&home, &["man", "frobnicate"], 2, &["frobnicate", "larder --help"]);
    let completions = Command::new(program("larderd")).args(["completions", "bash"]).output();
    assert!(text(&completions.expect("larderd runs")).contains("rebuild-index"));
}

/// The demo says of each topic whether the broker keeps it.
#[test]
fn the_demo_tells_which_topics_are_retained() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a", "b", "c"] {
        fs::write(folder.path().join(name), name.repeat(1000)).expect("written");
    }
    let told = Command::new(program("larderd")).args(["demo", "--once"]).arg(folder.path()).output();
    let told = text(&told.expect("larderd runs"));
    for topic in ["head", "health", "vault", "retention", "availability"] {
        assert!(told.contains(&format!("larder/larder/{topic}  (retained)\n")), "{topic}: {told}");
    }
    assert!(told.contains("larder/larder/event\n"), "{told}");
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
    check(&home, &["sources"], 4, &["when nothing was encrypted", "larder pair --replace"]);
    fs::remove_file(home.path("config/larder/appliance.toml")).expect("removed");
    check(&home, &["sources"], 4, &["larder pair"]);
    home.pair("laptop", "admin");
    home.stop_agent();
    check(&home, &["sources"], 4, &[&home.port.to_string()]);
}

/// Each role hears what it can do, and nothing that it cannot.
#[test]
fn a_computer_that_pairs_hears_what_it_can_do() {
    let home = Home::new();
    for (role, can, cannot) in [
        ("push", "larder push", "larder sources"),
        ("read", "larder sources", "larder push"),
        ("user", "list and restore its own backups", "of every computer"),
        ("admin", "of every computer", "nothing of the past"),
    ] {
        let code = home.larderd(&["pair", "--device", "laptop", "--role", role]).output();
        let paired =
            home.pair_by("", &format!("127.0.0.1:{}", home.port), &code.expect("larderd runs").stdout);
        let told = text(&paired);
        assert!(told.contains(can) && !told.contains(cannot), "{role}: {told}");
    }
}

/// A name that cannot be one is told as such, not as a broken agent.
#[test]
fn mistakes_at_the_box_are_told_in_words() {
    let home = Home::new();
    for bad in ["my photos", "laptop", "a b/c"] {
        let output = home.larderd(&["answers", bad]).output().expect("larderd runs");
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(bad) && said.contains("DEVICE/NAME"), "{said}");
    }
    let output = home.larderd(&["pair", "--device", "my laptop"]).output().expect("larderd runs");
    check_first_line(&output, 2, "\"my laptop\" cannot be a computer's name.");
    assert!(
        text(&output).contains("a to z") && text(&output).contains("such as my-laptop."),
        "{}",
        text(&output)
    );
    for command in ["release", "forget"] {
        let output = home.larderd(&[command, "x"]).output().expect("larderd runs");
        check_first_line(&output, 1, "The appliance has no disk called \"x\".");
        assert!(text(&output).contains("larderd disks"), "{}", text(&output));
        let only = home.larderd(&[command, &home.path("disk").display().to_string()]).output();
        let only = only.expect("larderd runs");
        let has_to_stay = format!(
            "The disk at {} has to stay: no other disk that is connected holds everything.",
            home.disk().display()
        );
        check_first_line(&only, 5, &has_to_stay);
        assert!(text(&only).contains("larderd disks"), "{}", text(&only));
    }
}

/// Who reads the output of `larderd`, or no longer does, changes nothing of what it does; and a code that did not fit onto
/// a full disk is not lost without a word.
#[test]
fn commands_at_the_box_do_not_need_a_reader() {
    let (home, _) = with_a_letter();
    let config = home.path("larder.toml").display().to_string();
    let left = || -> Stdio {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        writer.into()
    };
    let check = |mut command: Command, code: i32| {
        let output = command.output().expect("larderd ends");
        let said = text(&output);
        assert!(output.status.code() == Some(code) && !said.contains("panicked"), "{command:?}: {said}");
    };
    for (args, code) in [
        (&["keys"][..], 0),
        (&["disks"], 0),
        (&["answers"], 0),
        (&["prune", "--dry-run"], 0),
        (&["scrub"], 0),
        (&["rebuild-index"], 0),
        (&["pair", "--device", "phone"], 0),
        (&["pair", "--device", "a b"], 2),
        (&["revoke", "laptop"], 0),
        (&["forget", "x"], 1),
        (&["hold", "--all", "--reason", "a test"], 0),
    ] {
        let mut unread = home.larderd(args);
        unread.stdout(left()).stderr(left());
        check(unread, code);
    }
    for args in [&["completions", "bash"][..], &["man"], &["check-config", &config], &["man", "frobnicate"]] {
        let mut unread = Command::new(program("larderd"));
        unread.args(args).stdout(left()).stderr(left());
        check(unread, if args.contains(&"frobnicate") { 2 } else { 0 });
    }
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let lost = home.larderd(&["pair", "--device", "phone"]).stdout(full).output().expect("larderd runs");
    check_first_line(&lost, 1, "The answer could not be written.");
}

/// A settings file with many mistakes is answered with all of them, each with its line.
#[test]
fn every_mistake_in_the_settings_is_told_at_once() {
    let home = Home::new();
    let file = home.path("bad.toml");
    fs::write(&file, "[netwrok]\nlisten = 3\n[vault]\ncopies = 0\nreserve = \"1 MB\"\n").expect("written");
    let output = home.larderd(&["check-config", &file.display().to_string()]);
    let mut command = Command::new(output.get_program());
    let output = command.args(["check-config", &file.display().to_string()]).output().expect("larderd runs");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in ["line 1", "network", "line 4", "copies", "line 5", "reserve", "128 MiB"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// A program that pushes two folders learns of the one that is safe, also when the other one is not.
#[test]
fn one_folder_that_fails_does_not_hide_the_receipt_of_another() {
    let home = Home::new();
    for name in ["first", "second"] {
        fs::create_dir_all(home.path(name)).expect("a folder");
        fs::write(home.path(name).join("letter.txt"), name).expect("written");
    }
    home.change_on_the_way(|request, on| {
        if request.starts_with(b"POST /v1/sources/laptop/second/snapshots") {
            return b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}".to_vec();
        }
        pass_on(request, on)
    });
    let [first, second] = ["first", "second"].map(|name| home.path(name).display().to_string());
    let output = home.larder(&["push", &first, &second, "--json"]).output().expect("larder runs");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON");
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told["pushes"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(told["pushes"][0]["receipt"]["source"], "laptop/first", "{told}");
    assert!(told["problem"]["what"].is_string(), "{told}");
}
