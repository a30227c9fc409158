//! The description of the interface, made from the routes and the wire types, and compared with the served file.
//!
//! A description by hand said only its writer's belief. After a change of a type or a route: `LARDER_OPENAPI=write
//! cargo test -p larder-agent openapi`. Not here: the rules of a push (docs/protocol.md).

use super::read::Retention;
use super::routes;
use crate::report::SourceAnswers;
use larder_format::wire::{
    BLOCKS_TYPE, Change, Commit, EntryInfo, EntryWord, Expectation, FoundNames, IDS_TYPE, Identity, KeepWish,
    LINKS_TYPE, LISTING_TYPE, ListingLine, Neighbours, PLACES_TYPE, PairingAnswer, PairingBegin,
    PairingProof, Problem, PushStart, PushWelcome, Receipt, ReceiptStanding, Received, Retirement,
    SnapshotInfo, SourceExpectation, SourceInfo, StandingAsked, VersionInfo,
};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

const JSON: &str = "application/json";
const WHEN: &str = "A snapshot number, `newest`, `-1` for the one before it, a date, a time, `last tuesday 18:00`, a span such as \
     `2 weeks ago`, or a label";
const ZONE: &str = "Time zone of the reader, for a WHEN without one: an IANA name or a distance such as `+02:00`; the \
     appliance's own without it";
const PATH: &str = "Names with `/` between; a backslash is `\\\\`, a byte that is not UTF-8 is `\\xNN`";

/// The callers with access.
enum Key {
    /// Anybody.
    None,
    /// Every paired device.
    Any,
    Push,
    Read,
}

/// The body of an answer or a request.
enum Body {
    Json(Value),
    /// A value, or lines of values.
    Either(Value, Value),
    /// Bytes of this content type.
    Bytes(&'static str),
}

/// A value beside the path, or inside.
struct Parameter {
    name: &'static str,
    place: &'static str,
    is_required: bool,
    what: &'static str,
    schema: Value,
}

struct Described {
    method: &'static str,
    path: &'static str,
    key: Key,
    summary: &'static str,
    takes: Option<Body>,
    gives: (&'static str, &'static str, Body),
    parameters: Vec<Parameter>,
}

/// The level alone.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is asked for; the handler makes it from the report")]
struct Level {
    level: LevelName,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "as above")]
enum LevelName {
    Fine,
    NeedsYou,
    Alarm,
}

fn text(name: &'static str, place: &'static str, is_required: bool, what: &'static str) -> Parameter {
    Parameter { name, place, is_required, what, schema: json!({ "type": "string" }) }
}

fn get(path: &'static str, key: Key, summary: &'static str, gives: (&'static str, Body)) -> Described {
    let gives = ("200", gives.0, gives.1);
    Described { method: "get", path, key, summary, takes: None, gives, parameters: Vec::new() }
}

#[expect(clippy::too_many_lines, reason = "a table: a route is found in it at one look")]
fn described(types: &mut SchemaGenerator) -> Vec<Described> {
    fn of<T: JsonSchema>(types: &mut SchemaGenerator) -> Body {
        Body::Json(types.subschema_for::<T>().to_value())
    }
    fn either<T: JsonSchema, L: JsonSchema>(types: &mut SchemaGenerator) -> Body {
        Body::Either(types.subschema_for::<T>().to_value(), types.subschema_for::<L>().to_value())
    }
    let with = |route: Described, parameters: Vec<Parameter>| Described { parameters, ..route };
    let post = |route: Described, takes: Body| Described { method: "post", takes: Some(takes), ..route };
    let when = || text("when", "path", true, WHEN);
    let path = || text("path", "query", false, PATH);
    let zone = || text("zone", "query", false, ZONE);
    let query = |name, what, kind: &str| Parameter {
        name,
        place: "query",
        is_required: false,
        what,
        schema: json!({ "type": kind }),
    };
    let neighbours = Parameter {
        name: "neighbours",
        place: "query",
        is_required: false,
        what: "Whether chunks that nobody asked for may come along",
        schema: types.subschema_for::<Neighbours>().to_value(),
    };
    let limit = Parameter {
        name: "limit",
        place: "query",
        is_required: false,
        what: "Hits at most, up to 1000",
        schema: json!({ "type": "integer" }),
    };
    let number = || Parameter {
        name: "number",
        place: "path",
        is_required: true,
        what: "Number of the entry",
        schema: json!({ "type": "integer" }),
    };
    let commit = Described {
        gives: ("201", "Proof", of::<Receipt>(types)),
        ..get(
            "/v1/sources/{device}/{name}/snapshots",
            Key::Push,
            "Commit a root; the same push twice is one snapshot (then 200)",
            ("", Body::Json(Value::Null)),
        )
    };
    vec![
        get("/v1/health", Key::None, "The level alone, for anybody", ("The level", of::<Level>(types))),
        get(
            "/v1/openapi.json",
            Key::None,
            "This description",
            ("OpenAPI 3.1", Body::Json(json!({ "type": "object" }))),
        ),
        get(
            "/v1/me",
            Key::Any,
            "Who the appliance takes the caller for",
            ("Identity", of::<Identity>(types)),
        ),
        post(
            get(
                "/v1/pair",
                Key::None,
                "Try the code of an open window; the caller has shown a key of its own in TLS",
                ("Answer of the exchange", of::<PairingAnswer>(types)),
            ),
            of::<PairingBegin>(types),
        ),
        post(
            get(
                "/v1/pair/confirm",
                Key::None,
                "Prove the code; the key is known from then on",
                ("Identity", of::<Identity>(types)),
            ),
            of::<PairingProof>(types),
        ),
        with(
            get(
                "/v1/ledger/{number}",
                Key::Any,
                "One entry of the ledger: its number and hash, by which a device knows that the past is the one it saw",
                ("Number, hash, and the appliance's signature", of::<EntryWord>(types)),
            ),
            vec![number()],
        ),
        with(
            get(
                "/v1/ledger/{number}/links",
                Key::Any,
                "The hash of each entry from NUMBER on, 8192 at most, each read from the disks now and checked to follow the one \
                 before; zeros for one that is missing or does not",
                ("Hashes, 32 bytes each; fewer than 8192 end with the newest entry", Body::Bytes(LINKS_TYPE)),
            ),
            vec![number()],
        ),
        post(
            get(
                "/v1/ledger/standing",
                Key::Any,
                "What became of snapshots of the asking device: its own alone",
                ("For each number, in their order", of::<Vec<ReceiptStanding>>(types)),
            ),
            of::<StandingAsked>(types),
        ),
        get(
            "/v1/status",
            Key::Any,
            "The whole report, as lamp and MQTT show it",
            ("Report, see docs/mqtt.md", Body::Json(json!({ "type": "object" }))),
        ),
        with(
            get("/v1/answers", Key::Read, "The four answers", ("Answers", of::<Vec<SourceAnswers>>(types))),
            vec![text("source", "query", false, "DEVICE/NAME; all of them without it")],
        ),
        post(
            get(
                "/v1/chunks/missing",
                Key::Push,
                "Those of the named chunks that the vault does not hold",
                ("Names, 32 bytes each", Body::Bytes(IDS_TYPE)),
            ),
            Body::Bytes(IDS_TYPE),
        ),
        post(
            get(
                "/v1/chunks",
                Key::Push,
                "Take in blocks, 8 MiB at most; Content-Length is required",
                ("What was computed from them", of::<Received>(types)),
            ),
            Body::Bytes(BLOCKS_TYPE),
        ),
        post(
            get(
                "/v1/chunks/places",
                Key::Read,
                "Where the named chunks lie, as numbers that are equal for chunks of one block and rise in the order of reading",
                ("Places, 8 bytes each", Body::Bytes(PLACES_TYPE)),
            ),
            Body::Bytes(IDS_TYPE),
        ),
        post(
            with(
                get(
                    "/v1/chunks/fetch",
                    Key::Read,
                    "Blocks that hold the named chunks, and maybe some of their neighbours",
                    ("Blocks back to back", Body::Bytes(BLOCKS_TYPE)),
                ),
                vec![neighbours],
            ),
            Body::Bytes(IDS_TYPE),
        ),
        with(
            get("/v1/find", Key::Read, "Names over all time", ("What was found", of::<FoundNames>(types))),
            vec![
                text("name", "query", true, "A part of a name in any case, or a pattern with `*` and `?`"),
                text("source", "query", false, "`DEVICE/NAME`; every source if left out"),
                limit,
            ],
        ),
        get("/v1/sources", Key::Read, "Every source", ("Sources", of::<Vec<SourceInfo>>(types))),
        with(
            get(
                "/v1/sources/{device}/{name}/snapshots",
                Key::Read,
                "Kept snapshots, oldest first; the header larder-older tells how many are older than those listed",
                ("Snapshots", of::<Vec<SnapshotInfo>>(types)),
            ),
            vec![
                query("limit", "The newest of them, so many at most", "integer"),
                query("before", "Only those with a lower number", "integer"),
            ],
        ),
        post(commit, of::<Commit>(types)),
        post(
            get(
                "/v1/sources/{device}/{name}/start",
                Key::Push,
                "Whether a push from this folder may become a snapshot; 409 where the source is another folder",
                ("It may", of::<PushWelcome>(types)),
            ),
            of::<PushStart>(types),
        ),
        get(
            "/v1/sources/{device}/{name}/expect",
            Key::Any,
            "What is expected of a source; for push only of its own",
            ("Expectation", of::<SourceExpectation>(types)),
        ),
        post(
            get(
                "/v1/sources/{device}/{name}/expect",
                Key::Any,
                "How long a source may be silent; push may only shorten it, of its own sources",
                ("Expectation", of::<SourceExpectation>(types)),
            ),
            of::<Expectation>(types),
        ),
        post(
            get(
                "/v1/sources/{device}/{name}/retire",
                Key::Any,
                "Retire a source after 72 hours, or take that back; for admin",
                ("Expectation", of::<SourceExpectation>(types)),
            ),
            of::<Retirement>(types),
        ),
        with(
            get(
                "/v1/sources/{device}/{name}/snapshots/{when}",
                Key::Read,
                "One snapshot",
                ("Snapshot", of::<SnapshotInfo>(types)),
            ),
            vec![when(), zone()],
        ),
        with(
            get(
                "/v1/sources/{device}/{name}/snapshots/{when}/list",
                Key::Read,
                "A folder's entries, or the one file; with recursive=true everything below, one ListingLine a line (application/jsonl)",
                ("Entries", either::<Vec<EntryInfo>, ListingLine>(types)),
            ),
            vec![
                when(),
                path(),
                zone(),
                query("recursive", "Everything below the folder too", "boolean"),
                query(
                    "depth",
                    "Levels of a recursive list: 1 for the folder's own entries; all without it",
                    "integer",
                ),
            ],
        ),
        with(
            get(
                "/v1/sources/{device}/{name}/snapshots/{when}/file",
                Key::Read,
                "A file's bytes; Range is honoured",
                ("Bytes", Body::Bytes("application/octet-stream")),
            ),
            vec![when(), path(), zone()],
        ),
        with(
            post(
                get(
                    "/v1/sources/{device}/{name}/snapshots/{when}/keep",
                    Key::Any,
                    "Keeps a snapshot whatever the rule says, with a label that is a WHEN from then on; an admin key only. Said \
                     again, it only makes that longer; nothing on the network ends it",
                    ("Kept", of::<SnapshotInfo>(types)),
                ),
                of::<KeepWish>(types),
            ),
            vec![when(), zone()],
        ),
        with(
            get(
                "/v1/sources/{device}/{name}/versions",
                Key::Read,
                "Every version of one path, oldest first",
                ("Versions", of::<Vec<VersionInfo>>(types)),
            ),
            vec![path()],
        ),
        with(
            get(
                "/v1/sources/{device}/{name}/diff",
                Key::Read,
                "What changed between two snapshots, one JSON object a line (application/jsonl)",
                ("Changes", of::<Change>(types)),
            ),
            vec![text("from", "query", false, WHEN), text("to", "query", false, WHEN), zone()],
        ),
        get(
            "/v1/sources/{device}/{name}/retention",
            Key::Read,
            "Rule, promise, and why each snapshot is kept",
            ("Retention", of::<Retention>(types)),
        ),
    ]
}

fn content(body: Body) -> Value {
    match body {
        Body::Json(schema) => json!({ JSON: { "schema": schema } }),
        Body::Either(whole, line) => json!({ JSON: { "schema": whole }, LISTING_TYPE: { "schema": line } }),
        Body::Bytes(kind) => json!({ kind: { "schema": { "type": "string", "format": "binary" } } }),
    }
}

fn operation(route: Described, problem: &Value) -> Value {
    let security = match route.key {
        Key::None => json!([]),
        Key::Any => json!([{ "key": ["any"] }]),
        Key::Push => json!([{ "key": ["push"] }]),
        Key::Read => json!([{ "key": ["read"] }]),
    };
    let mut parameters = route.parameters;
    if route.path.contains("{device}") {
        parameters.insert(0, text("device", "path", true, "First half of a source's name"));
        parameters.insert(1, text("name", "path", true, "Second half of a source's name"));
    }
    let parameters = parameters.into_iter().map(|parameter| {
        let Parameter { name, place, is_required, what, schema } = parameter;
        json!({ "name": name, "in": place, "required": is_required, "description": what, "schema": schema })
    });
    let (status, what, gives) = route.gives;
    let mut operation = json!({
        "summary": route.summary,
        "security": security,
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": {
            status: { "description": what, "content": content(gives) },
            "default": { "description": "Anything that is not 2xx", "content": { JSON: { "schema": problem } } },
        },
    });
    if let Some(takes) = route.takes {
        operation["requestBody"] = json!({ "required": true, "content": content(takes) });
    }
    operation
}

fn description() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut types = settings.into_generator();
    let problem = types.subschema_for::<Problem>().to_value();
    let routes = described(&mut types);
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let (path, method) = (route.path, route.method);
        let of_path = paths.entry(path).or_insert_with(|| json!({}));
        of_path[method] = operation(route, &problem);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Larder",
            "version": "1",
            "description": "Push, look and restore. No verb deletes, overwrites or shortens, for any role. Words and order \
                            of a push: docs/protocol.md.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "mutualTLS" } },
            "schemas": types.take_definitions(true),
        },
    })
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test that writes the file when it is asked to")]
fn the_description_is_made_from_the_types_that_travel() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/edge/http/openapi.json");
    let made = serde_json::to_string_pretty(&description()).unwrap() + "\n";
    if std::env::var("LARDER_OPENAPI").is_ok_and(|wish| wish == "write") {
        std::fs::write(&file, &made).unwrap();
    }
    let served = std::fs::read_to_string(&file).unwrap();
    assert!(
        served == made,
        "openapi.json is not what the types say; see the head of this file for how to make it anew"
    );
}

#[test]
fn every_route_is_described_and_every_description_has_a_route() {
    let routes: BTreeSet<_> =
        routes().listed.into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    let mut types = SchemaSettings::draft2020_12().into_generator();
    let described: BTreeSet<_> =
        described(&mut types).iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    assert_eq!(routes, described);
}
