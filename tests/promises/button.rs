//! The button of the box, on the real agent. No machine that tests has one, so a file yields the records that the kernel
//! would (`simulated:` in the settings); finding real ones is tested beside their code.

use harness::home::{Home, text};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A gesture takes nine seconds at most, a look at the box five.
const WITHIN: Duration = Duration::from_secs(60);
const LET_GO: Duration = Duration::from_millis(200);
const EV_KEY: u16 = 1;
const KEY_COPY: u16 = 133;

/// A button that is pressed by writing the kernel's records.
struct SimulatedButton(File);

/// Time is the gesture here, so these tests wait for time.
fn pass(span: Duration) {
    let since = Instant::now();
    while since.elapsed() < span {
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl SimulatedButton {
    fn set(&mut self, value: i32) {
        let time = [0; 2 * size_of::<usize>()];
        let fields = [&EV_KEY.to_ne_bytes()[..], &KEY_COPY.to_ne_bytes(), &value.to_ne_bytes()].concat();
        self.0.write_all(&[&time[..], &fields].concat()).expect("the agent reads");
    }

    /// Held for so long, and let go of for a moment: a contact that closes again at once has only bounced.
    fn hold(&mut self, span: Duration) {
        self.set(1);
        pass(span);
        self.set(0);
        pass(LET_GO);
    }

    fn press(&mut self) {
        self.hold(Duration::from_millis(150));
    }
}

fn fifo() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("button");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).expect("a pipe");
    (folder, path)
}

fn box_with(button: &Path) -> Home {
    Home::with_settings(&format!(
        "[mqtt]\nenabled = false\n[panel]\nbutton = \"simulated:{}\"\n",
        button.display()
    ))
}

fn push_letters(home: &Home) -> PathBuf {
    let folder = home.path("letters");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("letter"), b"dear all").expect("written");
    home.push(&folder, "letters");
    folder
}

/// Whoever stands before the box and has seen the lamp presses once: it is quiet until something new happens.
#[test]
fn a_press_at_the_box_quiets_the_lamp_and_mends_nothing() {
    let (_folder, pipe) = fifo();
    let home = box_with(&pipe);
    let mut button = SimulatedButton(OpenOptions::new().write(true).open(&pipe).expect("the agent reads"));
    push_letters(&home);
    home.status_until(WITHIN, "ready", |status| status["health"]["lamp"] == "ready");
    home.ok(&["source", "letters", "--retire"]);
    home.status_until(WITHIN, "a condition", |status| status["health"]["lamp"] == "needs_you_9");
    button.press();
    let seen = home.status_until(WITHIN, "quiet", |status| status["health"]["lamp"] == "quiet");
    assert_eq!(seen["health"]["conditions"][0]["acknowledged"], true, "{seen}");
}

/// Held for three seconds, the button lets in one new computer: under its own name, with the usual role, and with no past of
/// another. Whoever has the key of an admin reads the code, and nobody else who asks over the network.
#[test]
fn a_hold_of_three_seconds_lets_in_a_new_computer() {
    let (_folder, pipe) = fifo();
    let home = box_with(&pipe);
    let mut button = SimulatedButton(OpenOptions::new().write(true).open(&pipe).expect("the agent reads"));
    push_letters(&home);
    home.pair_on("reader", "reader", "read");
    home.pair_on("user", "user", "user");
    button.hold(Duration::from_millis(3_500));
    let open = home.status_until(WITHIN, "a window", |status| status["pairing"]["state"] == "open");
    assert_eq!((&open["pairing"]["device"], &open["pairing"]["role"]), (&Value::Null, &"user".into()));
    assert_eq!(open["health"]["lamp"], "pairing", "the lamp's name tells no digit");
    let code = open["pairing"]["code"].as_str().expect("an admin may read it").to_owned();
    assert!(code.len() == 8 && code.bytes().all(|digit| (b'1'..=b'6').contains(&digit)), "{code}");
    for computer in ["reader", "user"] {
        let told = home.larder_on(computer, &["status", "--json"]).output().expect("larder runs");
        assert!(told.status.success() && !text(&told).contains(&code), "{}", text(&told));
    }
    let words = home.ok(&["status"]);
    assert!(words.contains(&format!("The code is {code}.")), "{words}");
    // The name of another computer is none for a new one, whoever asks first.
    let address = format!("127.0.0.1:{}", home.port);
    let pair = |name: &str| {
        let mut pairing = home.larder_on("new", &["pair", "--replace", &address, "--name", name]);
        pairing.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut typing = pairing.spawn().expect("larder runs");
        // A name that cannot be one is refused before a code is asked for.
        let _ = typing.stdin.take().expect("piped").write_all(code.as_bytes());
        typing.wait_with_output().expect("it ends")
    };
    let taken = pair("laptop");
    assert_eq!(taken.status.code(), Some(1), "{}", text(&taken));
    for word in ["laptop already", "--name ANOTHER", "larderd pair --device laptop"] {
        assert!(text(&taken).contains(word), "{word}: {}", text(&taken));
    }
    let unusable = pair("a/b");
    assert_eq!(unusable.status.code(), Some(2), "{}", text(&unusable));
    let paired = pair("netbook");
    assert!(paired.status.success(), "{}", text(&paired));
    assert!(text(&paired).contains("as netbook"), "{}", text(&paired));
    let sources = home.larder_on("new", &["sources", "--json"]).output().expect("larder runs");
    assert!(sources.status.success() && !text(&sources).contains("letters"), "{}", text(&sources));
    let closed = home.status_until(WITHIN, "closed", |status| status["pairing"]["state"] == "closed");
    assert_eq!(closed["pairing"]["code"], Value::Null, "{closed}");
    assert_eq!(pair("second").status.code(), Some(1), "a code lets in one");
}

/// Held for eight seconds, the disk that goes elsewhere is brought up to date and let go of; its going is no trouble, and it
/// alone brings everything back.
#[test]
fn a_long_hold_lets_go_of_the_offsite_disk() {
    let (folder, pipe) = fifo();
    let offsite = folder.path().join("offsite");
    fs::create_dir(&offsite).expect("a folder");
    let settings = format!(
        "offsite = [{offsite:?}]\n[mqtt]\nenabled = false\n[panel]\nbutton = \"simulated:{}\"\n",
        pipe.display()
    );
    let mut home = Home::with_settings(&settings);
    let mut button = SimulatedButton(OpenOptions::new().write(true).open(&pipe).expect("the agent reads"));
    let letters = push_letters(&home);
    let of_offsite = |status: &Value, key: &str| {
        let disks = status["disks"].as_array().cloned().unwrap_or_default();
        disks.iter().find(|disk| disk["role"] == "offsite").map_or(Value::Null, |disk| disk[key].clone())
    };
    home.status_until(WITHIN, "filled", |status| of_offsite(status, "state") == "healthy");
    button.hold(Duration::from_millis(8_500));
    let released = home.status_until(WITHIN, "released", |status| of_offsite(status, "state") == "released");
    assert_eq!(of_offsite(&released, "may_unplug"), true, "{released}");
    assert_eq!(released["health"]["level"], "fine", "{released}");
    assert_eq!(home.stop_agent(), Some(0));
    fs::remove_dir_all(home.disk()).expect("the box burns");
    let rescued = home.path("rescued");
    let rescue =
        home.larder(&["rescue"]).arg(&offsite).arg("--to").arg(&rescued).output().expect("larder runs");
    assert!(rescue.status.success(), "{}", text(&rescue));
    let back = harness::fault_injection::files_below(&rescued);
    let letter = back.iter().find(|file| file.ends_with("letter")).expect("it is there");
    assert_eq!(fs::read(letter).expect("read"), fs::read(letters.join("letter")).expect("kept"));
}

/// A button that is not there, or that sends what no button sends, is told once and costs no backup.
#[test]
fn a_broken_button_is_told_once_and_costs_no_backup() {
    let (folder, pipe) = fifo();
    let absent = box_with(&folder.path().join("nothing"));
    push_letters(&absent);
    let told = absent.log().matches("the button cannot be used").count();
    assert_eq!(told, 1, "{}", absent.log());
    let mut home = box_with(&pipe);
    let mut noise = OpenOptions::new().write(true).open(&pipe).expect("the agent reads");
    let flood = std::thread::spawn(move || {
        // It ends with the agent, which reads no more.
        let garbage: Vec<u8> = (0..24 * 64).map(|at: u32| (at % 251) as u8).collect();
        while noise.write_all(&garbage).is_ok() {}
    });
    let folder = push_letters(&home);
    let back = home.restore("letters", home.newest("letters"));
    assert_eq!(
        fs::read(back.join("letter")).expect("restored"),
        fs::read(folder.join("letter")).expect("kept")
    );
    assert_eq!(home.stop_agent(), Some(0));
    flood.join().expect("it ended");
}
