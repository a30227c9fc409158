//! The network interface as it describes itself: everything that it names is there, and no verb takes away.

use harness::device::{Device, head};
use harness::home::Home;
use std::io::{Read, Write};

fn status(device: &Device, method: &str, path: &str) -> u16 {
    device.ask(method, path).0
}

/// Whatever is wrong with an address, the answer says it in the one form that each client knows.
#[test]
fn an_address_that_makes_no_sense_is_refused_like_everything_else() {
    let home = Home::new();
    let admin = home.device("laptop", "admin");
    for path in [
        "/v1/ledger/abc",
        "/v1/sources/laptop/%ff/snapshots",
        "/v1/sources/laptop/docs/versions?path=%ff",
        "/v1/sources/laptop/docs/versions?path=a&path=b",
    ] {
        let (code, body) = admin.ask("GET", path);
        assert!(matches!(code, 400 | 404), "{path}: {code}");
        let problem: serde_json::Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
        for part in ["code", "what", "meaning", "remedy"] {
            assert!(problem[part].is_string(), "{path}: {body}");
        }
    }
    assert_eq!(status(&admin, "GET", "/v1/ledger/abc"), 400);
}

/// Every described route answers, nobody gets anywhere without a key, and a key for adding sees nothing of the past.
#[test]
fn the_interface_is_as_it_describes_itself() {
    let home = Home::new();
    let stranger = Device::stranger(home.port);
    let text = stranger.ask("GET", "/v1/openapi.json").1;
    let described: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let [admin, push, read] = ["admin", "push", "read"].map(|role| home.device("laptop", role));
    let mut routes = 0;
    for (path, methods) in described["paths"].as_object().expect("paths") {
        let path = path.replace("{device}", "laptop").replace("{name}", "docs").replace("{when}", "newest");
        let path = path.replace("{number}", "1");
        for (method, details) in methods.as_object().expect("methods") {
            let method = method.to_uppercase();
            let role = details["security"][0]["key"][0].as_str();
            let found = status(&admin, &method, &path);
            assert!(found != 405 && found < 500, "{method} {path}: {found}");
            if let Some(role) = role {
                assert_eq!(status(&stranger, &method, &path), 401, "{method} {path} without a key");
                let other = match role {
                    "push" => Some(&read),
                    "read" => Some(&push),
                    _ => None,
                };
                if let Some(other) = other {
                    assert_eq!(status(other, &method, &path), 403, "{method} {path} with the wrong role");
                }
            }
            routes += 1;
        }
        for verb in ["DELETE", "PUT", "PATCH"] {
            assert_eq!(status(&admin, verb, &path), 405, "{verb} {path}");
        }
    }
    assert!(routes >= 16, "{routes} routes");
    for control in ["/v1/control/pair", "/v1/control/rebuild-index"] {
        assert_eq!(status(&admin, "POST", control), 404, "{control} is for the box alone");
    }
}

/// A key for adding hears whether all is well and of its own computer, and nothing of the others.
#[test]
fn a_key_for_adding_hears_nothing_of_other_computers() {
    let home = Home::new();
    let folder = home.path("secret-plans");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("plan.txt"), b"buy a boat").expect("written");
    home.push(&folder, "secret-plans");
    home.pair("guest", "push");
    let status = home.json(&["status"]);
    assert!(status["health"]["level"].is_string(), "{status}");
    assert!(!status.to_string().contains("secret-plans"), "{status}");
    assert!(!status.to_string().contains("laptop"), "{status}");
}

/// A key that was ended opens nothing any more, also after a restart; what its computer backed up stays.
#[test]
fn an_ended_key_opens_nothing() {
    let mut home = Home::new();
    let folder = home.path("docs");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("a.txt"), b"kept").expect("written");
    let snapshot = home.push(&folder, "docs");
    let lost = home.device("laptop", "admin");
    assert_eq!(status(&lost, "GET", "/v1/sources"), 200);
    let listed = home.larderd(&["keys", "--json"]).output().expect("larderd runs");
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    let key = lost.key_name();
    let none = home.larderd(&["revoke", "laptop", "--key", ""]).output().expect("larderd runs");
    assert_eq!(none.status.code(), Some(5), "no digits mean both keys: {}", harness::home::text(&none));
    assert_eq!(status(&lost, "GET", "/v1/sources"), 200);
    let one = home.larderd(&["revoke", "laptop", "--key", &key[..6]]).output().expect("larderd runs");
    assert!(one.status.success(), "{}", harness::home::text(&one));
    let told = harness::home::text(&one);
    assert!(told.contains(&key) && !told.contains("do not know of it"), "every disk is here: {told}");
    assert_eq!(status(&lost, "GET", "/v1/sources"), 401);
    home.kill_agent();
    home.start();
    assert_eq!(status(&lost, "GET", "/v1/sources"), 401, "after a restart");
    assert_eq!(std::fs::read(home.restore("docs", snapshot).join("a.txt")).expect("it is back"), b"kept");
    let again = home.larderd(&["revoke", "laptop", "--key", &key]).output().expect("larderd runs");
    assert!(!again.status.success() && harness::home::text(&again).contains("larderd keys"), "{again:?}");
    for control in ["/v1/control/keys", "/v1/control/revoke"] {
        let admin = home.device("laptop", "admin");
        assert_eq!(status(&admin, "POST", control), 404, "{control} is for the box alone");
    }
}

/// Readers that stop reading and never hang up do not keep the others from their files.
#[test]
fn readers_that_stop_reading_stop_nobody_else() {
    let home = Home::new();
    let folder = home.path("films");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("film.mkv"), crate::byte_exact::Dice(3).bytes(40_000_000)).expect("written");
    home.push(&folder, "films");
    let admin = home.device("laptop", "admin");
    let stalled: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = admin.connect();
            let path = "/v1/sources/laptop/films/snapshots/newest/file?path=film.mkv";
            stream.write_all(head("GET", path, 0).as_bytes()).expect("sent");
            let mut first = [0; 100];
            stream.read_exact(&mut first).expect("the answer begins");
            assert!(first.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first));
            stream
        })
        .collect();
    let listed = home.json(&["ls", "laptop/films"]);
    assert!(listed.to_string().contains("film.mkv"), "{listed}");
    let since = std::time::Instant::now();
    let restored = home.larder(&["cat", "laptop/films:film.mkv"]).output().expect("larder runs");
    assert_eq!(
        restored.stdout.len(),
        40_000_000,
        "after {:?}: {}",
        since.elapsed(),
        harness::home::text(&restored)
    );
    drop(stalled);
}
