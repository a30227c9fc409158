//! Somebody with a stolen key for adding backups, and somebody without any: what they may do to the box is nothing.

use harness::device::Device;
use harness::home::Home;
use harness::plain::leaf;
use larder_format::ChunkRef;
use larder_format::block::Encoder;
use larder_format::tree::{Child, Kind, Node, Piece, Totals};
use larder_format::wire::Commit;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A device that speaks for itself, without `larder`.
pub(crate) struct Sender(pub(crate) Device);

impl Sender {
    fn post(&self, path: &str, body: &[u8]) -> String {
        String::from_utf8_lossy(&self.answer(path, body)).into_owned()
    }

    /// The body of the answer.
    fn post_for_bytes(&self, path: &str, body: &[u8]) -> Vec<u8> {
        let answer = self.answer(path, body);
        let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("an answer has a head");
        answer[head + 4..].to_vec()
    }

    fn answer(&self, path: &str, body: &[u8]) -> Vec<u8> {
        self.0.request("POST", path, body)
    }

    pub(crate) fn keep(&self, bytes: &[u8]) -> ChunkRef {
        let len = u32::try_from(bytes.len()).expect("small");
        let answer = self.post("/v1/chunks", &Encoder::new().encode(bytes, vec![len]));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        ChunkRef::to(bytes)
    }

    pub(crate) fn keep_folder(&self, entries: &[(&str, Kind)]) -> ChunkRef {
        self.keep(&leaf(entries).encode())
    }

    pub(crate) fn commit(&self, name: &str, push: u128, top: Kind, totals: Totals) {
        let answer = self.try_commit(&format!("laptop/{name}"), push, top, totals);
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }

    /// Commits to `source` (`DEVICE/NAME`) and returns the answer.
    fn try_commit(&self, source: &str, push: u128, top: Kind, totals: Totals) -> String {
        let root = self.keep_folder(&[("", top)]);
        let commit = Commit {
            push: format!("{push:032x}"),
            root,
            totals,
            skipped: 0,
            device_time_ms: 0,
            origin: None,
            zone: None,
            contents: Vec::new(),
            moved: false,
        };
        let body = serde_json::to_vec(&commit).expect("plain values encode");
        self.post(&format!("/v1/sources/{source}/snapshots"), &body)
    }
}

/// A second source that looks like the first is one click away from the wrong restore; `larder` refuses it, a client of
/// one's own does not.
#[test]
fn a_source_with_a_character_that_nobody_sees_is_refused() {
    let home = Home::new();
    let sender = Sender(home.device("laptop", "push"));
    let top = || Kind::Directory { node: sender.keep_folder(&[]), totals: Totals::default() };
    for name in ["pho%C2%ADtos", "photos%E3%85%A4"] {
        let started = sender.post(&format!("/v1/sources/laptop/{name}/start"), b"{}");
        let committed = sender.try_commit(&format!("laptop/{name}"), 1, top(), Totals::default());
        for answer in [started, committed] {
            assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("nobody sees"), "{answer}");
        }
    }
    sender.commit("photos", 2, top(), Totals::default());
}

/// The loop has looked since: whatever it looked at did not stop it.
fn goes_on(home: &Home, wanted: u64) {
    let since = Instant::now();
    loop {
        let status = home.json(&["status"]);
        if status["head"]["sequence"].as_u64().is_some_and(|head| head >= wanted) {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "the loop hangs: {status}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A backup may claim any size. The box adds them up, goes on, and starts again.
#[test]
fn a_backup_that_claims_to_be_endless_stops_nothing() {
    let mut home = Home::new();
    let folder = home.path("docs");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("a.txt"), b"kept").expect("written");
    let snapshot = home.push(&folder, "docs");
    let sender = Sender(home.device("laptop", "push"));
    let nothing = sender.keep_folder(&[]);
    let totals = Totals { files: u64::MAX, directories: u64::MAX, bytes: u64::MAX };
    sender.commit("endless", 1, Kind::Directory { node: nothing, totals }, totals);
    sender.commit(
        "endless",
        2,
        Kind::Directory { node: sender.keep_folder(&[("b", Kind::Fifo)]), totals },
        totals,
    );
    goes_on(&home, snapshot + 2);
    home.kill_agent();
    home.start();
    goes_on(&home, snapshot + 2);
    assert_eq!(std::fs::read(home.restore("docs", snapshot).join("a.txt")).expect("it is back"), b"kept");
}

impl Sender {
    /// A snapshot of forty folders that each name the next one twice, 2^40 paths, unlike that of another number.
    fn commit_maze(&self, source: &str, number: u8) {
        let chunk = self.keep(&[number; 100]);
        let file = Kind::File { size: 100, pieces: vec![Piece::Chunk(chunk)] };
        let totals = Totals::default();
        let mut node = self.keep_folder(&[("file", file)]);
        for _ in 0..40 {
            let below = || Kind::Directory { node, totals };
            let twice = [("a", below()), ("b", below())];
            node = self.keep_folder(&twice);
        }
        let answer = self.try_commit(source, number.into(), Kind::Directory { node, totals }, totals);
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
}

/// Forty folders that each name the next one twice are 2^40 paths to compare. Nobody waits for that, and it ends with the box.
#[test]
fn a_comparison_without_end_stops_nothing() {
    let mut home = Home::new();
    let folder = home.path("docs");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("a.txt"), b"kept").expect("written");
    let sender = Sender(home.device("laptop", "push"));
    for number in 0..2 {
        sender.commit_maze("laptop/maze", number);
    }
    let snapshot = home.push(&folder, "docs");
    goes_on(&home, snapshot);
    let since = Instant::now();
    assert_eq!(home.stop_agent(), Some(0));
    assert!(
        since.elapsed() < Duration::from_secs(20),
        "it must not wait for the comparison: {:?}",
        since.elapsed()
    );
    home.start();
    goes_on(&home, snapshot);
}

/// Trees without end of one computer, in as many sources as snapshots, take minutes to be looked at; what another computer
/// deleted is counted meanwhile.
#[test]
fn endless_trees_of_one_computer_delay_no_other_computers_counts() {
    let home = Home::new();
    let folder = home.path("docs");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("a.txt");
    std::fs::write(&file, b"kept").expect("written");
    let sender = Sender(home.device("a-phone", "push"));
    std::fs::write(folder.join("b.txt"), b"stays").expect("written");
    for number in 0..12 {
        sender.commit_maze(&format!("a-phone/maze-{}", number / 2), number);
    }
    home.push(&folder, "docs");
    std::fs::remove_file(&file).expect("removed");
    home.push(&folder, "docs");
    let since = Instant::now();
    let answer = |source: &str| home.json(&["answers", source]).to_string();
    while !answer("laptop/docs").contains("One deleted file can be restored") {
        assert!(since.elapsed() < Duration::from_secs(15), "not counted: {}", answer("laptop/docs"));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(answer("a-phone/maze-5").contains("being counted"), "the maze was no maze");
}

/// Sixty-four folders with names of a thousand bytes, and 40,000 folders in the last one: 2.5 GB of paths in 20 KB. The box
/// takes it in, starts again, and counts what changed.
#[test]
fn a_tree_with_endless_paths_takes_no_memory() {
    let mut home = Home::new();
    let sender = Sender(home.device("laptop", "push"));
    let file = sender.keep_folder(&[("file", Kind::Fifo)]);
    let below = |node| Kind::Directory { node, totals: Totals::default() };
    let children: Vec<Child> = (0..10)
        .map(|part| {
            let names: Vec<_> = (0..4000).map(|name| format!("{part}{name:04}")).collect();
            let folders: Vec<_> = names.iter().map(|name| (name.as_str(), below(file))).collect();
            let last = names.last().expect("many").clone().into_bytes();
            Child { last, node: sender.keep_folder(&folders) }
        })
        .collect();
    let mut node = sender.keep(&Node::Branch(children).encode());
    for level in 0..64 {
        let name = format!("{level:01000}");
        node = sender.keep_folder(&[(name.as_str(), below(node))]);
    }
    sender.commit("paths", 1, below(file), Totals::default());
    sender.commit("paths", 2, below(node), Totals::default());
    for start in 0..2 {
        let since = Instant::now();
        while home.json(&["answers", "laptop/paths"]).to_string().contains("being counted") {
            assert!(since.elapsed() < Duration::from_secs(60), "start {start}: it is not counted");
            std::thread::sleep(Duration::from_millis(200));
        }
        let peak = home.memory_peak();
        assert!(peak < 100 * 1024 * 1024, "start {start}: {peak} bytes");
        home.kill_agent();
        home.start();
    }
}

/// Somebody without a key takes every place there is, and keeps asking: the next one still gets in, and the box stops when
/// it is asked to.
#[test]
fn a_crowd_without_keys_keeps_nobody_out() {
    let mut home = Home::new();
    let folder = home.path("docs");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("a.txt"), b"kept").expect("written");
    let crowd: Vec<_> = (0..300)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", home.port)).expect("connected");
            stream.write_all(b"GET /v1/health HTTP/1.1\r\nHost: larder\r\n\r\n").expect("sent");
            stream
        })
        .collect();
    home.push(&folder, "docs");
    drop(crowd);
    let silent: Vec<_> =
        (0..300).map(|_| TcpStream::connect(("127.0.0.1", home.port)).expect("connected")).collect();
    let since = Instant::now();
    assert_eq!(home.stop_agent(), Some(0));
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    drop(silent);
}

/// A key that may only add guesses what another computer keeps: it is told nothing, it may not cite it, and what it sends
/// itself it has.
#[test]
fn a_stolen_key_learns_and_takes_nothing_of_another_computer() {
    let home = Home::new();
    let folder = home.path("docs");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("pin.txt"), b"the PIN is 4711").expect("written");
    home.push(&folder, "docs");
    let sender = Sender(home.device("phone", "push"));
    let pin = |pin: u32| ChunkRef::to(format!("the PIN is {pin}").as_bytes());
    let guesses: Vec<u8> = (4000..5000).flat_map(|number| pin(number).id.0).collect();
    let answer = sender.post_for_bytes("/v1/chunks/missing", &guesses);
    assert_eq!(answer, guesses, "every guess gets the same answer");
    // The tree is its own, the bytes of the file are not.
    let file = Kind::File { size: 15, pieces: vec![Piece::Chunk(pin(4711))] };
    let node = sender.keep_folder(&[("stolen.txt", file)]);
    let totals = Totals { files: 1, directories: 0, bytes: 15 };
    let answer = sender.try_commit("phone/steal", 1, Kind::Directory { node, totals }, totals);
    assert!(answer.starts_with("HTTP/1.1 409") && answer.contains("missing_chunks"), "{answer}");
    sender.keep(b"the PIN is 4711");
    let answer = sender.try_commit("phone/steal", 1, Kind::Directory { node, totals }, totals);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

/// A key makes sources without end, then snapshots: at some point it is refused with what to do, and others go on.
#[test]
fn a_stolen_key_makes_no_sources_and_snapshots_without_end() {
    let home = Home::new();
    let folder = home.path("docs");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("a.txt"), b"kept").expect("written");
    let sender = Sender(home.device("phone", "push"));
    let nothing = sender.keep_folder(&[]);
    let totals = Totals::default();
    let top = || Kind::Directory { node: nothing, totals };
    let mut refused = None;
    for number in 0..300u32 {
        let answer = sender.try_commit(&format!("phone/{number}"), u128::from(number), top(), totals);
        if !answer.starts_with("HTTP/1.1 201") {
            refused = Some((number, answer));
            break;
        }
    }
    let (number, answer) = refused.expect("300 sources are too many");
    assert_eq!(number, 200);
    assert!(answer.starts_with("HTTP/1.1 409") && answer.contains("too_many_sources"), "{answer}");
    assert!(answer.contains("larderd let-go"), "{answer}");
    let answer = sender.try_commit("phone/7", 1000, top(), totals);
    assert!(answer.starts_with("HTTP/1.1 201"), "what is there goes on: {answer}");
    // And of snapshots a day: 201 are made.
    let more = (2000..2900u128).map(|push| sender.try_commit("phone/7", push, top(), totals));
    let taken = more.take_while(|answer| answer.starts_with("HTTP/1.1 201")).count();
    assert_eq!(taken, 799);
    let answer = sender.try_commit("phone/8", 3000, top(), totals);
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("too_many_snapshots"), "{answer}");
    assert!(answer.contains("is taken in"), "{answer}");
    home.push(&folder, "docs");
}

/// Words that stay in the ledger for ever are bounded: a key says a few a day, and none that is long.
#[test]
fn a_stolen_key_fills_the_ledger_with_no_words() {
    let home = Home::new();
    let phone = Sender(home.device("phone", "push"));
    let (nothing, totals) = (phone.keep_folder(&[]), Totals::default());
    let top = Kind::Directory { node: nothing, totals };
    let kept = phone.try_commit("phone/a", 1, top.clone(), totals);
    assert!(kept.starts_with("HTTP/1.1 201"), "{kept}");
    let tighter = |second: u64| {
        let wish = format!("{{\"expect\": {{\"within\": {}}}}}", 160_000 - second);
        phone.post("/v1/sources/phone/a/expect", wish.as_bytes())
    };
    let refused = (0..250)
        .find_map(|second| Some((second, tighter(second))).filter(|(_, said)| !said.contains(" 200 ")));
    let (second, said) = refused.expect("an end");
    assert!(second == 200 && said.contains(" 429 ") && said.contains("too_many_wishes"), "{second}: {said}");
    // Another computer's source is not there for a key that may say nothing of it.
    let [theirs, nowhere] = ["laptop/docs", "laptop/nowhere"].map(|source| {
        let other = Sender(home.device("other", "push"));
        other.post(&format!("/v1/sources/{source}/expect"), b"{\"expect\": {\"within\": 7200}}")
    });
    assert!(theirs.contains(" 403 ") && nowhere.contains(" 403 "), "{theirs} {nowhere}");
    let root = phone.keep_folder(&[("", top)]);
    let far = format!("/{}", "x".repeat(5000));
    let commit = serde_json::json!({
        "push": format!("{:032x}", 2), "root": root, "totals": totals, "skipped": 0, "device_time_ms": 0,
        "origin": { "computer": "phone", "path": far }, "moved": true,
    });
    let long = phone.post("/v1/sources/phone/a/snapshots", commit.to_string().as_bytes());
    assert!(long.contains("`origin` is longer"), "{long}");
}
