//! The network interface as it describes itself: everything that it names is there, and no verb takes away.

use harness::home::Home;
use std::io::{Read, Write};
use std::net::TcpStream;

fn status(home: &Home, method: &str, path: &str, token: &str) -> u16 {
    answer(home, method, path, token).0
}

/// Status and body.
pub(crate) fn answer(home: &Home, method: &str, path: &str, token: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", home.port)).expect("connected");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: larder\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let code = text.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (code.unwrap_or_else(|| panic!("{method} {path}: {text}")), body.to_owned())
}

/// Whatever is wrong with an address, the answer says it in the one form that each client knows.
#[test]
fn an_address_that_makes_no_sense_is_refused_like_everything_else() {
    let home = Home::new();
    let admin = token(&home, "admin");
    for path in [
        "/v1/ledger/abc",
        "/v1/sources/laptop/%ff/snapshots",
        "/v1/sources/laptop/docs/versions?path=%ff",
        "/v1/sources/laptop/docs/versions?path=a&path=b",
    ] {
        let (code, body) = answer(&home, "GET", path, &admin);
        assert!(matches!(code, 400 | 404), "{path}: {code}");
        let problem: serde_json::Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
        for part in ["code", "what", "meaning", "remedy"] {
            assert!(problem[part].is_string(), "{path}: {body}");
        }
    }
    assert_eq!(answer(&home, "GET", "/v1/ledger/abc", &admin).0, 400);
}

pub(crate) fn token(home: &Home, role: &str) -> String {
    let made = home.larderd(&["token", "--device", "laptop", "--role", role]).output().expect("larderd runs");
    String::from_utf8(made.stdout).expect("text").trim().to_owned()
}

/// Every described route answers, nobody gets anywhere without a key, and a key for adding sees nothing of the past.
#[test]
fn the_interface_is_as_it_describes_itself() {
    let home = Home::new();
    let text = home.get("/v1/openapi.json").expect("the description");
    let described: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let (admin, push, read) = (token(&home, "admin"), token(&home, "push"), token(&home, "read"));
    let mut routes = 0;
    for (path, methods) in described["paths"].as_object().expect("paths") {
        let path = path.replace("{device}", "laptop").replace("{name}", "docs").replace("{when}", "newest");
        let path = path.replace("{number}", "1");
        for (method, details) in methods.as_object().expect("methods") {
            let method = method.to_uppercase();
            let role = details["security"][0]["token"][0].as_str();
            let found = status(&home, &method, &path, &admin);
            assert!(found != 405 && found < 500, "{method} {path}: {found}");
            if let Some(role) = role {
                assert_eq!(status(&home, &method, &path, "nobody"), 401, "{method} {path} without a key");
                let other = match role {
                    "push" => Some(&read),
                    "read" => Some(&push),
                    _ => None,
                };
                if let Some(other) = other {
                    assert_eq!(
                        status(&home, &method, &path, other),
                        403,
                        "{method} {path} with the wrong role"
                    );
                }
            }
            routes += 1;
        }
        for verb in ["DELETE", "PUT", "PATCH"] {
            assert_eq!(status(&home, verb, &path, &admin), 405, "{verb} {path}");
        }
    }
    assert!(routes >= 16, "{routes} routes");
    for control in ["/v1/control/tokens", "/v1/control/rebuild-index"] {
        assert_eq!(status(&home, "POST", control, &admin), 404, "{control} is for the box alone");
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
    let lost = token(&home, "admin");
    assert_eq!(status(&home, "GET", "/v1/sources", &lost), 200);
    let listed = home.larderd(&["keys", "--json"]).output().expect("larderd runs");
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    let key = larder_format::Hash::of(lost.as_bytes()).short();
    let none = home.larderd(&["revoke", "laptop", "--key", ""]).output().expect("larderd runs");
    assert_eq!(none.status.code(), Some(5), "no digits mean both keys: {}", harness::home::text(&none));
    assert_eq!(status(&home, "GET", "/v1/sources", &lost), 200);
    let one = home.larderd(&["revoke", "laptop", "--key", &key[..6]]).output().expect("larderd runs");
    assert!(one.status.success(), "{}", harness::home::text(&one));
    let told = harness::home::text(&one);
    assert!(told.contains(&key) && !told.contains("do not know of it"), "every disk is here: {told}");
    assert_eq!(status(&home, "GET", "/v1/sources", &lost), 401);
    home.kill_agent();
    home.start();
    assert_eq!(status(&home, "GET", "/v1/sources", &lost), 401, "after a restart");
    assert_eq!(std::fs::read(home.restore("docs", snapshot).join("a.txt")).expect("it is back"), b"kept");
    let again = home.larderd(&["revoke", "laptop", "--key", &key]).output().expect("larderd runs");
    assert!(!again.status.success() && harness::home::text(&again).contains("larderd keys"), "{again:?}");
    for control in ["/v1/control/keys", "/v1/control/revoke"] {
        assert_eq!(
            status(&home, "POST", control, &token(&home, "admin")),
            404,
            "{control} is for the box alone"
        );
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
    let admin = token(&home, "admin");
    let stalled: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", home.port)).expect("connected");
            let path = "/v1/sources/laptop/films/snapshots/newest/file?path=film.mkv";
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: larder\r\nAuthorization: Bearer {admin}\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("sent");
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
