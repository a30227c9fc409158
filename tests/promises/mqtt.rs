//! The appliance on MQTT, as any dashboard sees it: on its own broker and on a mosquitto of the home.

use harness::home::{Home, free_port};
use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SEEN_WITHIN: Duration = Duration::from_secs(40);

/// What is retained at a broker right now, by topic; read with mosquitto's own client.
fn retained(port: u16) -> BTreeMap<String, String> {
    let output = Command::new("mosquitto_sub")
        .args(["-p", &port.to_string(), "-t", "#", "-W", "2", "--retained-only", "-F", "%t\t%p"])
        .output()
        .expect("mosquitto_sub runs: `tests/run` installs it");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.split_once('\t')).map(|(t, p)| (t.to_owned(), p.to_owned())).collect()
}

/// Waits until the retained topics are as wanted; returns them.
pub(crate) fn wait_for(
    port: u16,
    what: &str,
    wanted: impl Fn(&BTreeMap<String, String>) -> bool,
) -> BTreeMap<String, String> {
    let since = Instant::now();
    loop {
        let found = retained(port);
        if wanted(&found) {
            return found;
        }
        assert!(since.elapsed() < SEEN_WITHIN, "{what} did not appear; there is {found:#?}");
    }
}

pub(crate) fn is_complete(topics: &BTreeMap<String, String>) -> bool {
    let has = |end: &str| topics.keys().any(|topic| topic.ends_with(end));
    let states = ["health", "vault", "retention", "proof", "head", "pairing", "system"];
    topics.get("larder/larder/availability").is_some_and(|text| text == "online")
        && states.iter().all(|state| has(&format!("larder/larder/{state}")))
        && topics.keys().any(|topic| topic.starts_with("larder/larder/disk/"))
        && topics.keys().any(|topic| topic.starts_with("larder/larder/source/"))
        && topics.keys().filter(|topic| topic.starts_with("homeassistant/device/")).count() == 3
}

pub(crate) struct Mosquitto(Child);

impl Mosquitto {
    fn start(folder: &Path, port: u16) -> Self {
        Self::with_listeners(folder, port, "")
    }

    /// The same with further listeners; at `port` everybody may watch.
    pub(crate) fn with_listeners(folder: &Path, port: u16, listeners: &str) -> Self {
        let config = folder.join("mosquitto.conf");
        let text = format!(
            "per_listener_settings true\nuser root\nlistener {port} 127.0.0.1\nallow_anonymous true\n{listeners}"
        );
        fs::write(&config, text).expect("a config");
        let program = ["/usr/sbin/mosquitto", "mosquitto"]
            .into_iter()
            .find(|name| !name.starts_with('/') || Path::new(name).exists());
        let child = Command::new(program.expect("a name"))
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto runs: `tests/run` installs it");
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(since.elapsed() < Duration::from_secs(10), "mosquitto is not there");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self(child)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn push_something(home: &Home) {
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("letter.txt"), b"dear all").expect("written");
    home.push(&folder, "data");
}

/// With nothing configured, any dashboard can watch at once.
#[test]
fn the_appliance_is_complete_on_its_own_broker() {
    let port = free_port();
    let home = Home::with_settings(&format!("[mqtt]\nlisten = \"127.0.0.1:{port}\"\n"));
    push_something(&home);
    // The health from before the push may still be there.
    let is_ready = |topics: &BTreeMap<String, String>| {
        is_complete(topics) && topics["larder/larder/health"].contains("\"ready\"")
    };
    let topics = wait_for(port, "the whole device", is_ready);
    let health: serde_json::Value = serde_json::from_str(&topics["larder/larder/health"]).expect("JSON");
    let status = home.json(&["status"]);
    assert_eq!(health["level"], "fine", "{health}");
    assert_eq!(health["level"], status["health"]["level"], "the command line says the same as MQTT");
    assert_eq!(health["lamp"], "ready");
}

/// Another program has the port of the appliance's own broker: no dashboard will ever show anything, so it is told, and
/// backups run.
#[test]
fn a_broker_that_cannot_listen_is_told() {
    let other = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = other.local_addr().expect("an address").port();
    let home = Home::with_settings(&format!("[mqtt]\nlisten = \"127.0.0.1:{port}\"\n"));
    push_something(&home);
    let since = Instant::now();
    loop {
        let told = home.json(&["status"])["health"]["conditions"].to_string();
        if told.contains("own MQTT broker could not be started") && told.contains(&port.to_string()) {
            break;
        }
        assert!(since.elapsed() < SEEN_WITHIN, "{told}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// On the home's own broker everything is there too, comes back after the broker lost it, and ends with `offline`.
#[test]
fn the_homes_broker_may_restart_and_forget_everything() {
    let port = free_port();
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start(folder.path(), port);
    let mut home = Home::with_settings(&format!("[mqtt]\nbroker = \"127.0.0.1:{port}\"\n"));
    push_something(&home);
    wait_for(port, "the whole device", is_complete);
    drop(broker);
    let _broker = Mosquitto::start(folder.path(), port);
    wait_for(port, "the whole device after the broker's restart", is_complete);
    assert_eq!(home.stop_agent(), Some(0));
    let offline = |topics: &BTreeMap<String, String>| {
        topics.get("larder/larder/availability").is_some_and(|text| text == "offline")
    };
    wait_for(port, "offline after a stop", offline);
    home.start();
    wait_for(port, "the whole device after the agent's restart", is_complete);
    home.kill_agent();
    wait_for(port, "offline after a crash", offline);
}

/// A backup does not care whether anybody watches.
#[test]
fn backups_run_without_a_broker() {
    let home = Home::with_settings(&format!("[mqtt]\nbroker = \"127.0.0.1:{}\"\n", free_port()));
    push_something(&home);
    assert_eq!(home.json(&["sources"]).as_array().map(Vec::len), Some(1));
}

/// Publishes to be retained, as anybody with the broker's login can.
fn publish(port: u16, topic: &str, text: Option<&str>) {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-p", &port.to_string(), "-q", "1", "-r", "-t", topic]);
    match text {
        Some(text) => command.args(["-m", text]),
        None => command.arg("-n"),
    };
    assert!(command.status().expect("mosquitto_pub runs: `tests/run` installs it").success());
}

/// Somebody else at the broker says that all is well, removes the ledger's head, and makes up a source: dashboards and the
/// outside witness see the truth again at once, and two writers make no storm.
#[test]
fn what_others_write_to_its_topics_is_put_right() {
    let port = free_port();
    let folder = tempfile::tempdir().expect("a folder");
    let _broker = Mosquitto::start(folder.path(), port);
    let home = Home::with_settings(&format!("[mqtt]\nbroker = \"127.0.0.1:{port}\"\n"));
    push_something(&home);
    let before = wait_for(port, "the whole device", is_complete);
    let source = before.keys().find(|topic| topic.starts_with("larder/larder/source/")).expect("one").clone();
    let config = before.keys().find(|topic| topic.starts_with("homeassistant/device/")).expect("one").clone();
    let made_up = "larder/larder/source/laptop_40made-up";
    publish(port, "larder/larder/health", Some("{\"level\":\"fine\",\"lamp\":\"spoofed\"}"));
    publish(port, "larder/larder/head", None);
    publish(port, "larder/larder/availability", Some("offline"));
    publish(port, &source, None);
    publish(port, &config, Some("{}"));
    publish(port, made_up, Some("{}"));
    let is_right = |topics: &BTreeMap<String, String>| {
        is_complete(topics)
            && !topics["larder/larder/health"].contains("spoofed")
            && topics[&config] != "{}"
            && !topics.contains_key(made_up)
    };
    wait_for(port, "the truth", is_right);
    // Somebody with a loop: the last word is the truth, and the appliance has not joined the loop.
    let heard = Command::new("mosquitto_sub")
        .args(["-p", &port.to_string(), "-t", "larder/larder/head", "-W", "4", "-F", "%p"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("mosquitto_sub runs");
    for number in 0..100 {
        publish(port, "larder/larder/head", Some(&format!("{{\"sequence\":{number}}}")));
    }
    let heard = heard.wait_with_output().expect("it ends");
    let truths =
        String::from_utf8_lossy(&heard.stdout).lines().filter(|line| line.contains("\"hash\"")).count();
    assert!(truths <= 4, "{truths} repairs in four seconds");
    wait_for(port, "the truth after a loop", |topics| topics["larder/larder/head"].contains("\"hash\""));
}

/// Whoever connects under our name at the broker ends our connection; the uid in discovery does not tell the name.
#[test]
fn its_name_at_the_broker_cannot_be_guessed_from_discovery() {
    let port = free_port();
    let folder = tempfile::tempdir().expect("a folder");
    let _broker = Mosquitto::start(folder.path(), port);
    let home = Home::with_settings(&format!("[mqtt]\nbroker = \"127.0.0.1:{port}\"\n"));
    push_something(&home);
    let topics = wait_for(port, "the whole device", is_complete);
    let config = topics.keys().find(|topic| topic.starts_with("homeassistant/device/")).expect("one");
    let uid = config.split('/').nth(2).expect("the uid is a level of its own");
    let heard = Command::new("mosquitto_sub")
        .args(["-p", &port.to_string(), "-t", "larder/larder/availability", "-W", "6", "-F", "%r %p"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("mosquitto_sub runs");
    for name in [format!("larder-{uid}"), uid.to_owned(), "larder".to_owned()] {
        let taken = Command::new("mosquitto_sub")
            .args(["-p", &port.to_string(), "-i", &name, "-t", "nothing", "-W", "1"])
            .status();
        taken.expect("mosquitto_sub runs");
    }
    let heard = String::from_utf8_lossy(&heard.wait_with_output().expect("it ends").stdout).into_owned();
    assert_eq!(heard.trim(), "1 online", "the connection never broke");
}
