//! An appliance is found on its network without an address, and whoever passes for it gets nothing.

use harness::home::{Home, text};
use harness::network::HomeNetwork;
use larder_format::mdns::{AnnouncedLevel, Announcement, RecordLifetime, WantedRecords};
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const BOX: usize = 0;
const LAPTOP: usize = 1;
const TWIN: usize = 2;
const ATTIC: &str = "[appliance]\nname = \"Attic\"\n";
/// For what a look around every ten seconds finds out.
const NOTICED_WITHIN: Duration = Duration::from_secs(40);

fn network(hosts: usize) -> Option<HomeNetwork> {
    if let Some(why) = HomeNetwork::missing() {
        println!("not tested, since there can be no network of its own here: {why}");
        return None;
    }
    Some(HomeNetwork::new(hosts))
}

/// A command on a host of the network.
fn command(network: &HomeNetwork, host: usize, of: &Command) -> Command {
    let prefix = network.on(host);
    let mut command = Command::new(&prefix[0]);
    command.args(&prefix[1..]).arg(of.get_program()).args(of.get_args());
    command.envs(of.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null());
    command
}

/// What `larder` says on the laptop of the network, with this on its standard input.
fn larder(network: &HomeNetwork, home: &Home, args: &[&str], typed: &str) -> Output {
    let mut larder = command(network, LAPTOP, &home.larder(args));
    larder.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut larder = larder.spawn().expect("larder runs");
    // A command that ends before it asks has closed the pipe.
    let _ = larder.stdin.take().expect("a pipe").write_all(typed.as_bytes());
    larder.wait_with_output().expect("larder ends")
}

fn check(output: &Output, code: i32, parts: &[&str]) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not said: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn discovered(network: &HomeNetwork, home: &Home) -> Vec<serde_json::Value> {
    let output = larder(network, home, &["discover", "--json", "--wait", "2"], "");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    found.as_array().cloned().unwrap_or_default()
}

fn code(home: &Home) -> String {
    let opened = home.larderd(&["pair", "--device", "laptop", "--role", "admin"]).output().expect("runs");
    assert!(opened.status.success(), "{}", text(&opened));
    String::from_utf8(opened.stdout).expect("text")
}

fn pairing(home: &Home) -> String {
    fs::read_to_string(home.path("config/larder/appliance.toml")).unwrap_or_default()
}

/// From the box in the cupboard to the first backup nobody types an address, and a router that gives another address later
/// on is no trouble.
#[test]
fn an_appliance_is_found_without_its_address() {
    let Some(network) = network(2) else { return };
    let mut home = Home::on_network(network.on(BOX), "", ATTIC);
    let at = |host: Ipv4Addr| format!("{host}:{}", home.port);
    let first = at(network.address(BOX));
    let told = larder(&network, &home, &["discover"], "");
    check(&told, 0, &["Attic", &first, "fine", "not paired yet"]);
    let paired = larder(&network, &home, &["pair"], &code(&home));
    check(&paired, 0, &[&format!("Found \"Attic\" at {first}"), "is paired with \"Attic\" as laptop"]);
    let found = discovered(&network, &home);
    assert_eq!((found.len(), &found[0]["paired"]), (1, &true.into()), "{found:?}");
    let key = found[0]["key_start"].as_str().expect("a key");
    assert!(key.len() == 8 && pairing(&home).contains(&format!("\"{key}")), "{found:?}");

    let moved = Ipv4Addr::new(10, 77, 0, 99);
    network.set_address(BOX, moved);
    let second = at(moved);
    let since = Instant::now();
    while discovered(&network, &home).first().is_none_or(|one| one["address"] != *second) {
        assert!(since.elapsed() < NOTICED_WITHIN, "the new address is announced: {}", home.log());
    }
    let told = larder(&network, &home, &["status"], "");
    check(&told, 0, &[&format!("not at https://{first} any more, but at https://{second}"), "says: fine"]);
    assert!(pairing(&home).contains(&second), "it is asked there from now on");
    let told = larder(&network, &home, &["status"], "");
    assert!(told.status.success() && !text(&told).contains("any more"), "{}", text(&told));

    fs::rename(home.path("disk"), home.path("elsewhere")).expect("the disk is pulled");
    let since = Instant::now();
    while discovered(&network, &home).first().is_none_or(|one| one["level"] == "fine") {
        assert!(since.elapsed() < NOTICED_WITHIN, "the trouble is announced: {}", home.log());
    }
    fs::rename(home.path("elsewhere"), home.path("disk")).expect("the disk is back");

    assert_eq!(home.stop_agent(), Some(0));
    let told = larder(&network, &home, &["discover", "--wait", "1"], "");
    check(&told, 4, &["No appliance was found on this network.", "larder pair ADDRESS"]);
    check(&larder(&network, &home, &["pair", "--replace"], ""), 4, &["No appliance was found"]);
}

/// A program of the network that runs until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets this message go over the network of the twin, ten times a second.
fn announce_falsely(message: &[u8], network: &HomeNetwork, folder: &Path) -> Running {
    let file = folder.join("announcement");
    fs::write(&file, message).expect("written");
    let script = "while sleep 0.1; do cat \"$0\" > /dev/udp/224.0.0.251/5353; done";
    let mut bash = Command::new("bash");
    bash.args(["-c", script]).arg(file);
    Running(command(network, TWIN, &bash).spawn().expect("bash runs"))
}

/// What whoever passes for the paired box announces.
fn claimed(home: &Home, name: &str, port: u16) -> Announcement {
    let own = pairing(home);
    let key = own.lines().find_map(|line| line.strip_prefix("appliance = \"")).expect("a key");
    let (version, key_start) = ("9".to_owned(), key[..8].to_owned());
    Announcement { name: name.to_owned(), version, level: AnnouncedLevel::Fine, key_start, port }
}

/// Announcing is free, so an announcement opens nothing: the code proves the box at the pairing, and the key ever after.
#[test]
fn a_false_announcement_leads_nowhere() {
    let Some(network) = network(3) else { return };
    let mut home = Home::on_network(network.on(BOX), "announce = false", ATTIC);
    let twin = Home::on_network(network.on(TWIN), "", ATTIC);
    // The twin is the only one that can be found, and pairs too.
    let (code, _) = (code(&home), code(&twin));
    let refused = larder(&network, &home, &["pair"], &code);
    check(&refused, 1, &["Found \"Attic\"", "code"]);
    assert_eq!(pairing(&home), "", "nothing is kept of it");
    let right = format!("{}:{}", network.address(BOX), home.port);
    check(&larder(&network, &home, &["pair", &right], &code), 0, &["is paired with"]);

    let own = pairing(&home);
    let claimed = claimed(&home, "Attic\u{1b}[2J\u{202e}", twin.port);
    let at_twin = [network.address(TWIN).into()];
    let message = claimed.message(WantedRecords::ANNOUNCED, &at_twin, RecordLifetime::Usual);
    let claims = announce_falsely(&message, &network, &home.path(""));
    let told = larder(&network, &home, &["discover", "--wait", "2"], "");
    check(&told, 0, &["does not prove it", "Attic\\x1b[2J\\xe2\\x80\\xae"]);
    assert!(!text(&told).contains("paired with this computer"), "{}", text(&told));
    let found = discovered(&network, &home);
    assert!(found.len() == 2 && found.iter().all(|one| one["paired"] == false), "{found:?}");
    let several = larder(&network, &home, &["pair", "--replace"], &code);
    check(&several, 2, &["There are 2 appliances on this network.", "larder pair ADDRESS"]);

    // The box is away, and the twin says that it is the box now.
    assert_eq!(home.stop_agent(), Some(0));
    check(&larder(&network, &home, &["status"], ""), 4, &["Larder does not answer"]);
    assert_eq!(pairing(&home), own, "it is still the box that is meant");
    drop(claims);
}

/// A watch has one connection for months. Each time the box comes back at another address it is found there, also where
/// somebody announces that it is where nobody is.
#[test]
fn a_watch_finds_its_appliance_wherever_it_comes_back() {
    let Some(network) = network(3) else { return };
    let mut home = Home::on_network(network.on(BOX), "", ATTIC);
    check(&larder(&network, &home, &["pair"], &code(&home)), 0, &["is paired with"]);
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("first.txt"), b"first").expect("written");

    let nobody: Vec<IpAddr> = (200..204).map(|last| Ipv4Addr::new(10, 77, 0, last).into()).collect();
    let claimed = claimed(&home, "A", home.port);
    let message = claimed.message(WantedRecords::ANNOUNCED, &nobody, RecordLifetime::Usual);
    // Under a host name of its own: the addresses of one name would be taken for the box's.
    let (host, other) = (format!("larder-{}", claimed.key_start), b"larder-somebody");
    let at = message.windows(host.len()).position(|part| part == host.as_bytes()).expect("its host name");
    let message = [&message[..at], other, &message[at + host.len()..]].concat();
    let _claims = announce_falsely(&message, &network, &home.path(""));

    let said = home.path("said");
    let file = fs::File::create(&said).expect("a file");
    let watch = home.larder_heeding_ctrl_c(&["push", "--watch", &folder.display().to_string()]);
    let mut watch = command(&network, LAPTOP, &watch);
    let errors = file.try_clone().expect("the same file");
    let _watch = Running(watch.stdout(file).stderr(errors).spawn().expect("larder runs"));
    let wait_for = |words: &str| {
        let since = Instant::now();
        while !fs::read_to_string(&said).expect("there").contains(words) {
            let text = fs::read_to_string(&said).expect("there");
            assert!(since.elapsed() < 3 * NOTICED_WITHIN, "{words:?} is not said: {text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait_for("laptop/data: snapshot ");
    for moved in [Ipv4Addr::new(10, 77, 0, 99), Ipv4Addr::new(10, 77, 0, 98)] {
        assert_eq!(home.stop_agent(), Some(0));
        network.set_address(BOX, moved);
        home.start();
        fs::write(folder.join("first.txt"), moved.to_string()).expect("written");
        wait_for(&format!("but at https://{moved}:{}", home.port));
    }
}
