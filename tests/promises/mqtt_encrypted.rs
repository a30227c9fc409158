//! The home's broker behind encryption: it is the right one or it hears nothing, and what is wrong is told with what ends it.
//!
//! A real mosquitto has two listeners: one for the appliance, encrypted, and one in the clear, at which the test watches.

use crate::encrypted::listening_in;
use crate::mqtt::{Mosquitto, is_complete, push_something, wait_for};
use harness::home::{Home, free_port, program, text};
use harness::moved_clock::MovedClock;
use jiff::SignedDuration;
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A look at the box comes every five seconds, and a try every half minute at the latest.
const TOLD_WITHIN: Duration = Duration::from_secs(60);

/// An authority, and the folder in which its certificates lie.
struct HomeAuthority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl HomeAuthority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut wanted = CertificateParams::new(Vec::new()).expect("no names");
        wanted.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        wanted.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(wanted, key).expect("an authority");
        let authority = Self { folder: folder.join(name), issuer };
        fs::create_dir_all(&authority.folder).expect("a folder");
        fs::write(authority.path("ca.pem"), authority.issuer.pem()).expect("written");
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes `NAME.pem` and `NAME.key` for these hosts; `change` may spoil the certificate.
    fn make(&self, name: &str, hosts: &[&str], change: impl FnOnce(&mut CertificateParams)) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut wanted = CertificateParams::new(hosts).expect("names");
        wanted.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut wanted);
        let key = KeyPair::generate().expect("a key");
        let certificate = wanted.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).expect("written");
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).expect("written");
    }

    /// SHA-256 of `NAME.pem`, as openssl shows it.
    fn fingerprint(&self, name: &str) -> String {
        let pem = fs::read(self.path(&format!("{name}.pem"))).expect("there");
        let der = CertificateDer::from_pem_slice(&pem).expect("a certificate");
        let hash = ring::digest::digest(&ring::digest::SHA256, &der);
        let pairs: Vec<String> = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }

    /// Lines of a listener of mosquitto that shows `NAME.pem`.
    fn listener(&self, port: u16, name: &str, more: &str) -> String {
        let at = |file: String| self.path(&file).display().to_string();
        let (certificate, key) = (at(format!("{name}.pem")), at(format!("{name}.key")));
        format!("listener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n{more}\n")
    }

    /// The setting for this authority.
    fn setting(&self) -> String {
        format!("ca_file = \"{}\"", self.path("ca.pem").display())
    }
}

/// A home whose agent connects to an encrypted broker at `port`.
fn home(port: u16, lines: &str) -> Home {
    Home::with_settings(&format!("[mqtt]\nbroker = \"mqtts://127.0.0.1:{port}\"\n{lines}\n"))
}

/// Waits until the condition about the broker says all of these; returns it.
fn told(home: &Home, parts: &[&str]) -> String {
    let since = Instant::now();
    loop {
        let status = home.json(&["status"]);
        let conditions = status["health"]["conditions"].as_array().cloned().unwrap_or_default();
        let of_broker = conditions.iter().find(|condition| condition["code"] == 8);
        let said = of_broker.map_or(String::new(), |condition| {
            let part = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
            format!("{}\n{}\n{}", part("what"), part("meaning"), part("remedy"))
        });
        if parts.iter().all(|part| said.contains(part)) {
            return said;
        }
        assert!(since.elapsed() < TOLD_WITHIN, "{parts:?} in {said:?}\n{}", home.log());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// No backup waits for a broker, whatever is wrong with it.
fn backups_run(home: &Home) {
    push_something(home);
}

fn occurs(text: &str, bytes: &[u8]) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// With an authority of one's own and a password, everything is on the broker, and whoever listens in learns neither the
/// password nor a single topic.
#[test]
fn whoever_listens_in_hears_neither_password_nor_topic() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = HomeAuthority::new(folder.path(), "home");
    authority.make("broker", &["127.0.0.1"], |_| {});
    let passwords = folder.path().join("passwords");
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&passwords)
        .args(["attic", "hunter2"])
        .status();
    assert!(made.expect("mosquitto_passwd runs: `tests/run` installs mosquitto").success());
    let (watch, encrypted) = (free_port(), free_port());
    let login = format!("password_file {}\nallow_anonymous false", passwords.display());
    let listener = authority.listener(encrypted, "broker", &login);
    let broker = Mosquitto::with_listeners(folder.path(), watch, &listener);
    let password = folder.path().join("password");
    fs::write(&password, "hunter2\n").expect("written");
    let settings = format!("username = \"attic\"\npassword_file = \"{}\"", password.display());

    let (between, heard) = listening_in(encrypted);
    let home = home(between, &format!("{}\n{settings}", authority.setting()));
    push_something(&home);
    wait_for(watch, "the whole device", is_complete);
    assert!(heard.lock().expect("whole").len() > 10_000, "all of it went this way");
    for secret in ["hunter2", "attic", "larder/", "homeassistant", "availability"] {
        assert!(!occurs(secret, &heard.lock().expect("whole")), "{secret} was heard");
    }
    drop(home);
    drop(broker);

    // The same ear hears it all in the clear.
    let clear = free_port();
    let listener = format!("listener {clear} 127.0.0.1\n{login}\n");
    let _broker = Mosquitto::with_listeners(folder.path(), watch, &listener);
    let (between, heard) = listening_in(clear);
    let home = Home::with_settings(&format!("[mqtt]\nbroker = \"127.0.0.1:{between}\"\n{settings}\n"));
    push_something(&home);
    wait_for(watch, "the whole device", is_complete);
    for secret in ["hunter2", "attic", "larder/", "homeassistant", "availability"] {
        assert!(occurs(secret, &heard.lock().expect("whole")), "{secret} was not heard");
    }
}

/// A broker that asks for a certificate gets the appliance's, in TLS 1.3 and in 1.2; without one it is told what is missing.
#[test]
fn a_broker_that_wants_a_certificate_is_shown_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, stranger) =
        (HomeAuthority::new(folder.path(), "home"), HomeAuthority::new(folder.path(), "stranger"));
    authority.make("broker", &["127.0.0.1"], |_| {});
    authority.make("larder", &["larder"], |_| {});
    stranger.make("larder", &["larder"], |_| {});
    let shown = |by: &HomeAuthority| {
        let (certificate, key) = (by.path("larder.pem"), by.path("larder.key"));
        format!("certificate_file = \"{}\"\nkey_file = \"{}\"", certificate.display(), key.display())
    };
    for version in ["tlsv1.3", "tlsv1.2"] {
        let (watch, port) = (free_port(), free_port());
        let more = format!(
            "cafile {}\nrequire_certificate true\nallow_anonymous true\ntls_version {version}",
            authority.path("ca.pem").display()
        );
        let folder = tempfile::tempdir().expect("a folder");
        let listener = authority.listener(port, "broker", &more);
        let _broker = Mosquitto::with_listeners(folder.path(), watch, &listener);
        let with = |lines: &str| home(port, &format!("{}\n{lines}", authority.setting()));
        let without = with("");
        told(&without, &["lets in only whoever shows a certificate", "Backups work", "certificate_file"]);
        drop(without);
        told(
            &with(&shown(&stranger)),
            &["refuses the appliance's certificate", "its authority is not known there"],
        );
        let home = with(&shown(&authority));
        push_something(&home);
        wait_for(watch, "the whole device", is_complete);
    }
}

/// A home without an authority pins the one certificate that its broker has, whatever names and dates it bears.
#[test]
fn a_pinned_certificate_is_the_only_one_that_is_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = HomeAuthority::new(folder.path(), "home");
    authority.make("old", &["elsewhere.lan"], |wanted| {
        wanted.not_before = date_time_ymd(2015, 1, 1);
        wanted.not_after = date_time_ymd(2016, 1, 1);
    });
    authority.make("other", &["127.0.0.1"], |_| {});
    let (watch, port, other) = (free_port(), free_port(), free_port());
    let listeners = [(port, "old"), (other, "other")]
        .map(|(port, name)| authority.listener(port, name, "allow_anonymous true"))
        .concat();
    let _broker = Mosquitto::with_listeners(folder.path(), watch, &listeners);
    let pin = format!("fingerprint = \"sha256 Fingerprint={}\"", authority.fingerprint("old"));
    // An impostor's certificate may be right in everything else.
    let fooled = home(other, &pin);
    let seen = authority.fingerprint("other");
    let said = told(&fooled, &["is not the one that `mqtt.fingerprint` names", "Nothing was sent", &seen]);
    assert!(!said.lines().next().expect("a line").contains(&seen), "{said}");
    backups_run(&fooled);
    drop(fooled);
    let home = home(port, &pin);
    push_something(&home);
    wait_for(watch, "the whole device", is_complete);
}

/// Each certificate that cannot be believed is told with its own reason and its own remedy, and no message reaches that broker.
#[test]
fn a_certificate_that_cannot_be_believed_is_told_with_what_ends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, stranger) =
        (HomeAuthority::new(folder.path(), "home"), HomeAuthority::new(folder.path(), "stranger"));
    authority.make("name", &["elsewhere.lan"], |_| {});
    authority.make("nameless", &[], |_| {});
    authority.make("old", &["127.0.0.1"], |wanted| {
        wanted.not_before = date_time_ymd(2015, 1, 1);
        wanted.not_after = date_time_ymd(2016, 1, 1);
    });
    authority.make("early", &["127.0.0.1"], |wanted| wanted.not_before = date_time_ymd(2990, 1, 1));
    authority.make("vouching", &["127.0.0.1"], |wanted| {
        wanted.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    stranger.make("foreign", &["127.0.0.1"], |_| {});
    let ports: Vec<u16> = (0..7).map(|_| free_port()).collect();
    let watch = free_port();
    let by_home = ["name", "nameless", "old", "early", "vouching"];
    let mut listeners: String = by_home
        .iter()
        .zip(&ports)
        .map(|(name, port)| authority.listener(*port, name, "allow_anonymous true"))
        .collect();
    listeners += &stranger.listener(ports[5], "foreign", "allow_anonymous true");
    let _broker = Mosquitto::with_listeners(folder.path(), watch, &listeners);
    let (by_authority, by_system) = (authority.setting(), String::new());
    let (foreign, vouching) = (stranger.fingerprint("foreign"), authority.fingerprint("vouching"));
    for (port, lines, parts) in [
        (ports[0], &by_authority, vec!["is for elsewhere.lan, not for 127.0.0.1", "mqtt.broker"]),
        (ports[1], &by_authority, vec!["names no host and no address", "subjectAltName"]),
        (ports[2], &by_authority, vec!["has expired on 2016-01-01", "Renew the certificate"]),
        (ports[3], &by_authority, vec!["is valid from 2990-01-01 only", "Check the clocks"]),
        (ports[4], &by_authority, vec!["is an authority's own", &vouching, "fingerprint"]),
        (ports[5], &by_authority, vec!["not made by the authority in `mqtt.ca_file`", &foreign]),
        (ports[5], &by_system, vec!["made by an authority that is not known here", "ca_file", &foreign]),
        // A port at which another kind of connection is expected.
        (watch, &by_authority, vec!["does not take encrypted connections on this port", "8883"]),
        (
            ports[6],
            &format!("ca_file = \"{}\"", folder.path().join("none").display()),
            vec!["no broker answers"],
        ),
    ] {
        let home = home(port, lines);
        if parts == ["no broker answers"] {
            // This one may end by itself, so it is only in the log at first.
            let since = Instant::now();
            while !home.log().contains(parts[0]) {
                assert!(since.elapsed() < TOLD_WITHIN, "{}", home.log());
                std::thread::sleep(Duration::from_millis(50));
            }
            continue;
        }
        let said = told(&home, &parts);
        assert!(said.contains("Backups work; dashboards show old values."), "{said}");
    }
    let topics = wait_for(watch, "nothing", |_| true);
    assert!(topics.is_empty(), "{topics:#?}");
}

/// A file that a setting names is there later: the connection comes about without a restart.
#[test]
fn a_file_that_is_missing_is_told_and_used_once_it_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = HomeAuthority::new(folder.path(), "home");
    authority.make("broker", &["127.0.0.1"], |_| {});
    let (watch, port) = (free_port(), free_port());
    let listener = authority.listener(port, "broker", "allow_anonymous true");
    let _broker = Mosquitto::with_listeners(folder.path(), watch, &listener);
    let later = folder.path().join("later.pem");
    let home = home(port, &format!("ca_file = \"{}\"", later.display()));
    told(&home, &["`mqtt.ca_file`", "which is not there", "put the file there"]);
    let checked = Command::new(program("larderd")).arg("check-config").arg(home.path("larder.toml")).output();
    let said = text(&checked.expect("larderd runs"));
    assert!(said.contains("exit Some(2)") && said.contains("line 9: mqtt.ca_file"), "{said}");
    push_something(&home);
    fs::copy(authority.path("ca.pem"), later).expect("copied");
    wait_for(watch, "the whole device", is_complete);
}

/// A broker with an encrypted port alone is told as such to whoever named it without `mqtts://`.
#[test]
fn a_port_for_encrypted_connections_is_recognised() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = HomeAuthority::new(folder.path(), "home");
    authority.make("broker", &["127.0.0.1"], |_| {});
    let (watch, port) = (free_port(), free_port());
    let listener = authority.listener(port, "broker", "allow_anonymous true");
    let _broker = Mosquitto::with_listeners(folder.path(), watch, &listener);
    let home = Home::with_settings(&format!("[mqtt]\nbroker = \"127.0.0.1:{port}\"\n"));
    let since = Instant::now();
    while !home.log().contains(&format!("mqtts://127.0.0.1:{port}")) {
        assert!(since.elapsed() < TOLD_WITHIN, "{}", home.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A box that wakes up without a clock waits for it before it judges a certificate, says so, and goes on by itself. A pinned
/// certificate needs no clock.
#[test]
fn without_a_clock_no_certificate_is_judged() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = HomeAuthority::new(folder.path(), "home");
    authority.make("broker", &["127.0.0.1"], |_| {});
    let (watch, port) = (free_port(), free_port());
    let listener = authority.listener(port, "broker", "allow_anonymous true");
    let broker = Mosquitto::with_listeners(folder.path(), watch, &listener);
    let mut home = home(port, &authority.setting());
    assert_eq!(home.stop_agent(), Some(0));
    // A backup in the year after next; then the clock is back where it was, before that backup.
    let mut clock = MovedClock::new(folder.path());
    let long = SignedDuration::from_hours(500 * 24);
    clock.advance(long);
    assert!(clock.start(&mut home), "{}", home.log());
    push_something(&home);
    wait_for(watch, "the whole device", is_complete);
    assert_eq!(home.stop_agent(), Some(0));
    drop(broker);
    let _broker = Mosquitto::with_listeners(folder.path(), watch, &listener);
    clock.advance(-long);
    assert!(clock.start(&mut home), "{}", home.log());
    let waiting = "the clock of the appliance is not set";
    let since = Instant::now();
    while !home.log().contains(waiting) {
        assert!(since.elapsed() < TOLD_WITHIN, "{}", home.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    // Not for the first two minutes: a box without a battery is like that after each power cut.
    clock.advance(SignedDuration::from_mins(3));
    told(&home, &["The clock of the appliance is not set", "the certificate of the broker", "set its clock"]);
    assert!(wait_for(watch, "nothing", |_| true).is_empty(), "no message has left");
    backups_run(&home);

    assert_eq!(home.stop_agent(), Some(0));
    let settings = fs::read_to_string(home.path("larder.toml")).expect("settings");
    let pinned = format!("fingerprint = \"{}\"", authority.fingerprint("broker"));
    fs::write(home.path("larder.toml"), settings.replace(&authority.setting(), &pinned)).expect("written");
    assert!(clock.start(&mut home), "{}", home.log());
    wait_for(watch, "the whole device", is_complete);
    assert_eq!(home.stop_agent(), Some(0));

    fs::write(home.path("larder.toml"), settings).expect("written");
    assert!(clock.start(&mut home), "{}", home.log());
    let connected = || home.log().matches("connected to the MQTT broker").count();
    let before = connected();
    clock.advance(long + SignedDuration::from_hours(1));
    let since = Instant::now();
    while connected() == before {
        assert!(since.elapsed() < TOLD_WITHIN, "{}", home.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The agent speaks TLS 1.2 to a broker that has nothing newer; to computers it speaks TLS 1.3 alone.
#[test]
fn nobody_talks_the_appliance_down_to_an_older_encryption() {
    let home = Home::new();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("ring knows it")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("an address");
    let mut near = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut far = std::net::TcpStream::connect(("127.0.0.1", home.port)).expect("the port");
    far.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    near.complete_io(&mut far).expect_err("no handshake");
    assert_eq!(near.protocol_version(), None, "no version was agreed upon");
    backups_run(&home);
}
