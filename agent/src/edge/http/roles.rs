//! Who gets where: one table of every route and every caller, held against the router itself.
//!
//! A route that is not in the table fails the test, so no route is added without a word on who may ask. What is looked at
//! is the class of an answer: let in, unknown (401), refused (403) or not there (404); the bodies are looked at where a
//! source that may not be seen must not be told from one that does not exist.

use super::auth::{ProvenKey, as_owner, by_key};
use super::{control_routes, refusing, routes};
use crate::state::pairing::Granted;
use crate::state::{Appliance, sample};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use larder_format::ChunkRef;
use larder_format::block::Encoder;
use larder_format::ledger::{Role, Sees};
use larder_format::tree::{Entry, Kind, Node, Owner, Piece, Time, Totals};
use larder_trust::{PublicKey, SecretKey};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One route: what is asked, and the class of answer for a stranger, push, user, read, admin and the owner at the box.
/// `L` let in, `U` unknown, `R` refused, `N` not there. `other` is about the source of another device; empty where the
/// route names no source.
struct Row {
    route: &'static str,
    query: &'static str,
    body: &'static str,
    own: &'static str,
    other: &'static str,
}

const fn row(route: &'static str, own: &'static str) -> Row {
    Row { route, query: "", body: "", own, other: "" }
}

const fn of_source(route: &'static str, query: &'static str, own: &'static str, other: &'static str) -> Row {
    Row { route, query, body: "", own, other }
}

const fn saying(row: Row, body: &'static str) -> Row {
    Row { body, ..row }
}

/// `SOURCE` in a query is the source asked about.
const TABLE: &[Row] = &[
    row("get /v1/health", "LLLLLL"),
    row("get /v1/openapi.json", "LLLLLL"),
    row("get /v1/me", "ULLLLL"),
    // A key is what these are about, and the owner has none.
    row("post /v1/pair", "LLLLLU"),
    row("post /v1/pair/confirm", "LLLLLU"),
    row("get /v1/ledger/{number}", "ULLLLL"),
    row("get /v1/ledger/{number}/links", "ULLLLL"),
    saying(row("post /v1/ledger/standing", "ULLLLL"), r#"{"snapshots": [1]}"#),
    row("get /v1/status", "ULLLLL"),
    of_source("get /v1/answers", "source=SOURCE", "URLLLL", "URNNLL"),
    row("post /v1/chunks/missing", "ULLRLL"),
    row("post /v1/chunks", "ULLRLL"),
    row("post /v1/chunks/places", "URLLLL"),
    row("post /v1/chunks/fetch", "URLLLL"),
    of_source("get /v1/find", "name=a&source=SOURCE", "URLLLL", "URNNLL"),
    row("get /v1/sources", "URLLLL"),
    of_source("get /v1/sources/{device}/{name}/snapshots", "", "URLLLL", "URNNLL"),
    // No key, of whatever role, commits for another device.
    of_source("post /v1/sources/{device}/{name}/snapshots", "", "ULLRLL", "URRRRL"),
    saying(of_source("post /v1/sources/{device}/{name}/start", "", "ULLRLL", "URRRRL"), "{}"),
    of_source("get /v1/sources/{device}/{name}/snapshots/{when}", "", "URLLLL", "URNNLL"),
    of_source("get /v1/sources/{device}/{name}/snapshots/{when}/list", "", "URLLLL", "URNNLL"),
    of_source("get /v1/sources/{device}/{name}/snapshots/{when}/file", "path=a.txt", "URLLLL", "URNNLL"),
    saying(of_source("post /v1/sources/{device}/{name}/snapshots/{when}/keep", "", "URRRLL", "URNNLL"), "{}"),
    of_source("get /v1/sources/{device}/{name}/expect", "", "ULLLLL", "URNNLL"),
    saying(
        of_source("post /v1/sources/{device}/{name}/expect", "", "ULLRLL", "URRRLL"),
        r#"{"expect": {"within": 7200}}"#,
    ),
    saying(
        of_source("post /v1/sources/{device}/{name}/retire", "", "URRRLL", "URRRLL"),
        r#"{"retired": true}"#,
    ),
    of_source("get /v1/sources/{device}/{name}/versions", "path=a.txt", "URLLLL", "URNNLL"),
    of_source("get /v1/sources/{device}/{name}/diff", "from=newest&to=newest", "URLLLL", "URNNLL"),
    of_source("get /v1/sources/{device}/{name}/retention", "", "URLLLL", "URNNLL"),
    row("post /v1/control/pair", "NNNNNL"),
    row("get /v1/control/keys", "NNNNNL"),
    row("post /v1/control/revoke", "NNNNNL"),
    row("post /v1/control/rebuild-index", "NNNNNL"),
    row("get /v1/control/scrub", "NNNNNL"),
    row("post /v1/control/scrub", "NNNNNL"),
    row("get /v1/control/disks", "NNNNNL"),
    row("get /v1/control/space", "NNNNNL"),
    row("post /v1/control/disks/adopt", "NNNNNL"),
    row("post /v1/control/disks/release", "NNNNNL"),
    row("post /v1/control/disks/forget", "NNNNNL"),
    row("post /v1/control/acknowledge", "NNNNNL"),
    row("post /v1/control/set-aside", "NNNNNL"),
    row("post /v1/control/prune", "NNNNNL"),
    row("post /v1/control/let-go", "NNNNNL"),
    row("post /v1/control/keep", "NNNNNL"),
    row("post /v1/control/unkeep", "NNNNNL"),
    row("post /v1/control/hold", "NNNNNL"),
    row("post /v1/control/unhold", "NNNNNL"),
    row("post /v1/control/confirm-clock", "NNNNNL"),
];

/// An appliance with both of its interfaces, and a caller of each kind.
struct Callers {
    appliance: Arc<Appliance>,
    network: Router,
    local: Router,
    /// The stranger first; none for the owner.
    keys: Vec<Option<PublicKey>>,
}

impl Callers {
    async fn new(appliance: &Arc<Appliance>) -> Self {
        let recognise = from_fn_with_state(appliance.clone(), by_key);
        let network = refusing(routes()).layer(recognise).with_state(appliance.clone());
        let local = refusing(control_routes()).layer(from_fn(as_owner)).with_state(appliance.clone());
        let let_in = |device: &str, role, sees| {
            let key = SecretKey::generate().expect("random").public();
            appliance.take_key(Granted { device: device.to_owned(), role, sees }, &key).expect("let in");
            Some(key)
        };
        let of_role = |role| let_in("laptop", role, Sees::usual(role));
        let stranger = Some(SecretKey::generate().expect("random").public());
        let desk = let_in("desk", Role::Push, Sees::Nothing);
        let roles = [Role::Push, Role::User, Role::Read, Role::Admin].map(of_role);
        let keys = std::iter::once(stranger).chain(roles).chain([None]).collect();
        let callers = Self { appliance: appliance.clone(), network, local, keys };
        let admin = callers.keys[4];
        callers.push(admin, "laptop/docs", 1).await;
        callers.push(desk, "desk/docs", 2).await;
        callers
    }

    async fn ask(&self, key: Option<PublicKey>, route: (&str, &str), body: &[u8]) -> (u16, Vec<u8>) {
        let (method, address) = route;
        let request = Request::builder().method(method.to_uppercase().as_str()).uri(address);
        let request = request.header("content-length", body.len()).header("content-type", "application/json");
        let mut request = request.body(Body::from(body.to_vec())).expect("a request");
        let router = match key {
            Some(key) => {
                request.extensions_mut().insert(ProvenKey(key));
                &self.network
            }
            None => &self.local,
        };
        let answer = TowerToHyperService::new(router.clone()).call(request).await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.into_body().collect().await.expect("a body").to_bytes().to_vec())
    }

    /// Makes a source with one file.
    async fn push(&self, key: Option<PublicKey>, source: &str, number: u128) {
        let file = format!("a secret of {source}").into_bytes();
        let size = file.len() as u64;
        let kind = Kind::File { size, pieces: vec![Piece::Chunk(ChunkRef::to(&file))] };
        let folder = leaf("a.txt", kind).encode();
        let totals = Totals { files: 1, directories: 0, bytes: size };
        let root = leaf("", Kind::Directory { node: ChunkRef::to(&folder), totals }).encode();
        for chunk in [&file, &folder, &root] {
            let block = Encoder::new().encode(chunk, vec![u32::try_from(chunk.len()).expect("short")]);
            let (status, body) = self.ask(key, ("post", "/v1/chunks"), &block).await;
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        }
        let commit = serde_json::json!({
            "push": format!("{number:032x}"), "root": ChunkRef::to(&root), "totals": totals, "skipped": 0,
            "device_time_ms": 0,
        });
        let address = format!("/v1/sources/{source}/snapshots");
        let (status, body) = self.ask(key, ("post", &address), commit.to_string().as_bytes()).await;
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    }

    /// Asks what `row` says about `source`.
    async fn try_row(&self, row: &Row, source: (&str, &str), caller: usize) -> (u16, String) {
        let (method, path) = row.route.split_once(' ').expect("method and path");
        let path = path.replace("{device}", source.0).replace("{name}", source.1);
        let path = path.replace("{when}", "newest").replace("{number}", "1");
        let query = row.query.replace("SOURCE", &format!("{}/{}", source.0, source.1));
        let address = format!("{path}?{query}");
        let (status, body) = self.ask(self.keys[caller], (method, &address), row.body.as_bytes()).await;
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}

fn leaf(name: &str, kind: Kind) -> Node {
    let modified = Time { seconds: 1_700_000_000, nanos: 0 };
    let entry =
        Entry { name: name.into(), owner: 0, mode: 0o644, modified, hard_link: 0, xattrs: Vec::new(), kind };
    let owner = Owner { uid: 0, gid: 0, user: "ada".to_owned(), group: "ada".to_owned() };
    Node::Leaf { owners: vec![owner], entries: vec![entry] }
}

fn class(status: u16) -> char {
    match status {
        401 => 'U',
        403 => 'R',
        404 => 'N',
        _ if status < 500 => 'L',
        _ => '!',
    }
}

fn with_callers(check: impl AsyncFnOnce(&Callers)) {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let appliance = sample::appliance(folder.path());
        check(&Callers::new(&appliance).await).await;
    });
}

#[test]
fn every_route_is_in_the_table() {
    let listed: BTreeSet<_> =
        control_routes().listed.into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    let told: BTreeSet<_> = TABLE.iter().map(|row| row.route.to_owned()).collect();
    assert_eq!(listed, told);
    assert_eq!(told.len(), TABLE.len(), "a route is in the table twice");
}

#[test]
fn each_caller_gets_where_the_table_says_and_nowhere_else() {
    with_callers(async |callers| {
        let mut wrong = Vec::new();
        for row in TABLE {
            let of_both = [(("laptop", "docs"), row.own), (("desk", "docs"), row.other)];
            for (source, expect) in of_both.into_iter().filter(|(_, expect)| !expect.is_empty()) {
                assert_eq!(expect.len(), callers.keys.len(), "{}", row.route);
                let mut found = String::new();
                for caller in 0..callers.keys.len() {
                    found.push(class(callers.try_row(row, source, caller).await.0));
                }
                if found != expect {
                    wrong.push(format!("{} of {}: {found}, not {expect}", row.route, source.0));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

/// A window that the button opened is for whoever stands at the box; an admin may help, and nobody else reads the code.
#[test]
fn the_code_of_a_pairing_is_told_to_an_admin_and_to_the_box_alone() {
    with_callers(async |callers| {
        assert_eq!(callers.appliance.pairing.open_for_new(&callers.appliance.stamp(), [5; 16]), Ok(true));
        let open = callers.appliance.pairing.open_code(&callers.appliance.stamp());
        let code = open.expect("a window for any new computer").code;
        for (caller, key) in callers.keys.iter().enumerate() {
            for row in TABLE.iter().filter(|row| row.route.starts_with("get ")) {
                let (_, told) = callers.try_row(row, ("laptop", "docs"), caller).await;
                let is_meant = row.route == "get /v1/status" && (caller == 4 || key.is_none());
                assert_eq!(told.contains(&code), is_meant, "{} {caller}: {told}", row.route);
            }
        }
    });
}

/// Whoever guesses the name of another computer's source learns nothing by the answer.
#[test]
fn a_source_that_may_not_be_seen_is_answered_like_one_that_is_not_there() {
    with_callers(async |callers| {
        for row in TABLE.iter().filter(|row| !row.other.is_empty()) {
            for caller in [1, 2, 3] {
                let hidden = callers.try_row(row, ("desk", "docs"), caller).await;
                let absent = callers.try_row(row, ("desk", "nope"), caller).await;
                assert_eq!((hidden.0, hidden.1.replace("docs", "nope")), absent, "{} {caller}", row.route);
                assert!(!hidden.1.contains("secret"), "{}: {}", row.route, hidden.1);
            }
        }
        for row in TABLE.iter().filter(|row| row.other.is_empty()) {
            for caller in [0, 1, 2, 3] {
                let (_, told) = callers.try_row(row, ("laptop", "docs"), caller).await;
                assert!(!told.contains("desk"), "{} {caller}: {told}", row.route);
            }
        }
    });
}
