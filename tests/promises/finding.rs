//! An appliance is found on its network without an address, and whoever passes for it gets nothing.

use harness::home::{Home, text};
use harness::network::HomeNetwork;
use larder_format::mdns::{AnnouncedLevel, Announcement, RecordLifetime, WantedRecords};
use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
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

/// What a false announcement says goes over the network of the twin, ten times a second, until it is dropped.
struct FalseAnnouncement(Child);

impl FalseAnnouncement {
    fn of(announcement: &Announcement, network: &HomeNetwork, folder: &Path) -> Self {
        let message = announcement.message(
            WantedRecords::ANNOUNCED,
            &[network.address(TWIN).into()],
            RecordLifetime::Usual,
        );
        let file = folder.join("announcement");
        fs::write(&file, message).expect("written");
        let script = "while sleep 0.1; do cat \"$0\" > /dev/udp/224.0.0.251/5353; done";
        let mut bash = Command::new("bash");
        bash.args(["-c", script]).arg(file);
        Self(command(network, TWIN, &bash).spawn().expect("bash runs"))
    }
}

impl Drop for FalseAnnouncement {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
    let key = own.lines().find_map(|line| line.strip_prefix("appliance = \"")).expect("a key");
    let claimed = Announcement {
        name: "Attic\u{1b}[2J\u{202e}".to_owned(),
        version: "9".to_owned(),
        level: AnnouncedLevel::Fine,
        key_start: key[..8].to_owned(),
        port: twin.port,
    };
    let claims = FalseAnnouncement::of(&claimed, &network, &home.path(""));
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
