//! Which words belong in which room, and which crate may know which.
//!
//! A rule has a reason that is told to whoever breaks it. Not here: telling code from comments and tests (`source`).

use crate::source::Source;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Applies {
    /// To what ships.
    Shipped,
    /// To tests only.
    Tests,
    /// To both.
    Everywhere,
}
use Applies::{Everywhere, Shipped, Tests};

/// Words that may stand only in some places.
pub(crate) struct Rule {
    words: &'static [&'static str],
    to: Applies,
    /// Folders and files that the rule is about; all if empty.
    within: &'static [&'static str],
    /// Folders and files of these where the words belong.
    except: &'static [&'static str],
    /// What to do.
    say: &'static str,
}

pub(crate) const RULES: &[Rule] = &[
    Rule {
        words: &["sled"],
        to: Shipped,
        within: &[],
        except: &["store/src/packs/index.rs"],
        say: "only the index knows sled; ask `store::packs::index`",
    },
    Rule {
        words: &["std::fs", "fs::", "File::", "rustix"],
        to: Shipped,
        within: &["store/"],
        except: &[
            "store/src/disk/real.rs",
            "store/src/packs/index.rs",
            "store/src/packs/owners",
            "store/src/past/names",
        ],
        say: "the store reaches files through the trait `Disk`, so that simulated disks see every call",
    },
    Rule {
        words: &["sync_all", "sync_data", "rename", "renameat", "renameat_with", "fs::hard_link"],
        to: Shipped,
        within: &[],
        // Beside the vault: the powered-on count, the pairing and the cache, and files that a restore brings back.
        except: &[
            "store/src/disk/",
            "store/src/packs/index.rs",
            "store/src/packs/owners/",
            "agent/src/edge/small_file.rs",
            "client/src/settings.rs",
            "client/src/push/cache/",
            "client/src/platform/",
            "client/src/restore/",
        ],
        say: "making things durable is the store's word; hand the bytes to `store::disk`",
    },
    Rule {
        words: &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now"],
        to: Shipped,
        within: &[],
        // `owner` runs a stopwatch for a person's eyes; `push/mod.rs` names the clock that is its default.
        except: &[
            "agent/src/edge/",
            "agent/src/run.rs",
            "agent/src/owner/",
            // How fast an upload comes in is measured on a clock that nobody sets.
            "agent/src/state/upload_memory.rs",
            "client/src/owner/",
            "client/src/push/mod.rs",
        ],
        say: "time comes in as an argument; only `agent::edge`, `agent::run` and what people watch read a clock",
    },
    Rule {
        words: &["tokio", "axum", "hyper", "rumqttc", "rmqtt", "async", "await"],
        to: Shipped,
        within: &["format/", "store/", "panel/", "client/", "firmware-config/"],
        except: &[],
        say: "this crate runs without a runtime; the network of the agent is in `agent::edge`",
    },
    Rule {
        words: &[
            "std::fs",
            "std::io",
            "std::net",
            "std::env",
            "std::thread",
            "std::time",
            "std::process",
            "fs::",
            "io::",
        ],
        to: Shipped,
        within: &["format/src/"],
        except: &[],
        say: "`format` does no I/O, so that it can be fuzzed and shared; take bytes, give bytes",
    },
    Rule {
        words: &["std", "alloc"],
        to: Shipped,
        within: &["panel/"],
        except: &[],
        say: "`panel` is `no_std`; pass in what it needs",
    },
    Rule {
        words: &["std::fs", "std::env", "std::process", "std::thread"],
        to: Shipped,
        within: &["firmware-config/"],
        except: &[],
        say: "settings and boards are read from text; whoever has the file reads it (`agent`)",
    },
    Rule {
        words: &[
            "crate::edge",
            "crate::run",
            "crate::state",
            "crate::owner",
            "crate::jobs",
            "edge::",
            "tokio",
            "fs::",
        ],
        to: Shipped,
        within: &["agent/src/decide/"],
        except: &[],
        say: "`decide` is a pure function of facts; gather the fact in `state::gather` and pass it in",
    },
    Rule {
        words: &["crate::run", "crate::owner", "crate::jobs"],
        to: Shipped,
        within: &["agent/src/edge/"],
        except: &[],
        say: "an edge touches one outside thing and knows nobody above it; pass a value or a channel",
    },
    Rule {
        words: &["Scope::device", "Scope::appliance"],
        to: Shipped,
        within: &["agent/src/edge/"],
        except: &["agent/src/edge/http/auth.rs"],
        say: "a handler gets its scope from an extractor of `edge/http/auth.rs`, or a route could leave out its role",
    },
    Rule {
        words: &["crate::state"],
        to: Shipped,
        within: &["agent/src/edge/"],
        // What a request asks for is there.
        except: &["agent/src/edge/http/"],
        say: "an edge knows nothing of the agent's state, which is made of edges; pass a value or a channel",
    },
    Rule {
        words: &["axum"],
        to: Shipped,
        within: &["agent/"],
        except: &["agent/src/edge/http/"],
        say: "routes live in `agent::edge::http`",
    },
    Rule {
        words: &["delete", "put", "patch"],
        to: Shipped,
        within: &["agent/src/edge/http/"],
        except: &[],
        say: "the network has no verb that deletes or overwrites, for any role",
    },
    Rule {
        words: &["blocking", "spawn_blocking"],
        to: Shipped,
        within: &["agent/src/edge/http/read.rs", "agent/src/edge/http/listing.rs"],
        except: &[],
        say: "what reads the past takes one of the few places for it: `Appliance::looking_up`, or `stream` for long answers",
    },
    Rule {
        words: &["hyper", "hyper_util"],
        to: Shipped,
        within: &["agent/"],
        except: &["agent/src/edge/http/", "agent/src/edge/control.rs"],
        say: "connections are made in `agent::edge::http` and, to the local socket, in `agent::edge::control`",
    },
    Rule {
        words: &["mdns_sd"],
        to: Shipped,
        within: &["agent/"],
        except: &[],
        say: "what strangers announce must not pile up in a daemon (docs/why/024-finding.md); only the client listens",
    },
    Rule {
        words: &["mdns_sd"],
        to: Shipped,
        within: &["client/"],
        except: &["client/src/link/announced.rs"],
        say: "announcements are put in bounds in `link::announced`",
    },
    Rule {
        words: &["socket2", "if_addrs"],
        to: Shipped,
        within: &["agent/"],
        except: &["agent/src/edge/discovery/link.rs"],
        say: "interfaces and multicast are the business of `agent::edge::discovery`",
    },
    Rule {
        words: &["rumqttc"],
        to: Shipped,
        within: &["agent/"],
        except: &["agent/src/edge/mqtt/", "agent/src/edge/broker_listener.rs"],
        say: "the MQTT client lives in `agent::edge::mqtt`",
    },
    Rule {
        words: &["rmqtt"],
        to: Shipped,
        within: &["agent/"],
        except: &["agent/src/edge/mqtt/broker"],
        say: "the broker is a feature that can be left out; only its own files may name it",
    },
    Rule {
        words: &["linux_embedded_hal"],
        to: Shipped,
        within: &["agent/"],
        except: &["agent/src/edge/panel/", "agent/src/edge/button/", "agent/src/edge/gpio.rs"],
        say: "real pins are found in `agent::edge::gpio`, and opened for the lamp or the button beside it",
    },
    Rule {
        words: &["OutputPin", "InputPin"],
        to: Shipped,
        within: &[],
        except: &["panel/", "agent/src/edge/panel"],
        say: "pins belong to `panel` and its adapter; send a `Rhythm` instead",
    },
    Rule {
        words: &["sd_notify"],
        to: Shipped,
        within: &["agent/"],
        except: &["agent/src/edge/notify.rs"],
        say: "systemd is spoken to in `agent::edge::notify`",
    },
    Rule {
        words: &["getrandom"],
        to: Shipped,
        within: &["agent/"],
        except: &["agent/src/edge/random.rs"],
        say: "random bytes come from `agent::edge::random`, so that tests can give others",
    },
    Rule {
        words: &["ureq"],
        to: Shipped,
        within: &["client/"],
        except: &["client/src/link/"],
        say: "HTTP is the business of `link`; the rest speaks to the trait `Remote`",
    },
    Rule {
        words: &["os::unix", "os::linux", "os::fd", "rustix", "nix", "libc"],
        to: Everywhere,
        within: &["client/src/"],
        // The tests of `live` make a folder with the links and rights that only one system has.
        except: &["client/src/platform/unix/", "client/src/live/tests.rs"],
        say: "calls that only one system has live in `platform`, so that the client can run on another; ask it",
    },
    Rule {
        words: &["larder_store", "sled", "embedded_hal"],
        to: Shipped,
        within: &["client/"],
        except: &[],
        say: "the client runs on laptops and drags in nothing of the box",
    },
    Rule {
        words: &[
            "fs::write",
            "File::create",
            "fs::copy",
            "fs::rename",
            "fs::hard_link",
            "fs::set_permissions",
            "fs::symlink",
            "fs::remove_dir_all",
        ],
        to: Shipped,
        within: &["client/"],
        except: &[],
        say: "these follow symlinks and replace; write through `restore::target_folder`, or `settings` for our own",
    },
    Rule {
        words: &["Node::decode", "decode_pieces"],
        to: Shipped,
        within: &[],
        except: &["format/src/tree/"],
        say: "trees are read in one place, under caps; use `format::tree::read`",
    },
    Rule {
        words: &["Node::Leaf", "Node::Branch"],
        to: Shipped,
        within: &["agent/", "client/"],
        except: &[],
        say: "the reader of trees takes nodes apart; use `format::tree::read`",
    },
    Rule {
        words: &["zstd"],
        to: Shipped,
        within: &[],
        except: &["format/src/block/", "format/src/names.rs"],
        say: "compressing is part of the format; use `format::block`",
    },
    Rule {
        words: &["fastcdc"],
        to: Shipped,
        within: &[],
        except: &["format/src/cut.rs"],
        say: "where a file is cut is part of the format; use `format::cut`",
    },
    Rule {
        words: &["postcard"],
        to: Shipped,
        within: &[],
        except: &["format/src/", "client/src/push/cache/"],
        say: "encoding is the format's word; only the client's disposable cache has an encoding of its own",
    },
    Rule {
        words: &["Serialize"],
        to: Shipped,
        within: &[],
        // `identity.rs`, `settings.rs` and `schedule` write small files, with a version or unknown fields refused;
        // `output.rs` prints any payload of `wire` for `--json`.
        except: &[
            "format/",
            "firmware-config/",
            "agent/src/report/",
            "agent/src/edge/http/",
            "agent/src/edge/mqtt/",
            "store/src/disks/identity.rs",
            "client/src/settings.rs",
            "client/src/schedule/",
            "client/src/owner/output.rs",
        ],
        say: "serialised means promised: give it a payload type in `format::wire` or `agent::report`",
    },
    Rule {
        words: &["println!", "print!", "eprintln!", "eprint!"],
        to: Shipped,
        within: &[],
        except: &[],
        say: "they panic when nobody reads: `owner` of each program has words for people that do not (`say`); elsewhere \
              return a value, or use `tracing`",
    },
    Rule {
        words: &["unwrap()", "unwrap_err()"],
        to: Shipped,
        within: &[],
        except: &[],
        say: "handle it, or `expect` with the invariant that makes it impossible",
    },
    Rule {
        words: &["unsafe"],
        to: Everywhere,
        within: &[],
        except: &[],
        say: "our crates have no unsafe code",
    },
    Rule {
        words: &["thread::sleep"],
        to: Tests,
        within: &[],
        // Real programs live in real time: killed at a moment that a seed chose, or looked for again under a deadline.
        except: &["tests/harness/", "tests/promises/"],
        say: "no test sleeps: pass the time in, or wait for the thing itself",
    },
    Rule {
        words: &["#[ignore"],
        to: Everywhere,
        within: &[],
        except: &[],
        say: "nothing is ignored: mend the test, or remove it and say so in the changelog",
    },
];

/// Which of our crates each crate may depend on. Arrows point one way.
pub(crate) const ARROWS: &[(&str, &[&str])] = &[
    ("format", &[]),
    ("panel", &[]),
    ("firmware-config", &[]),
    ("trust", &[]),
    ("store", &["format"]),
    ("client", &["format", "trust"]),
    ("agent", &["client", "firmware-config", "format", "panel", "store", "trust"]),
];

pub(crate) fn broken(rule: &Rule, source: &Source) -> Vec<String> {
    let begins = |places: &[&str]| places.iter().any(|place| source.path.starts_with(place));
    let is_meant = rule.within.is_empty() || begins(rule.within);
    if !is_meant || begins(rule.except) {
        return Vec::new();
    }
    let code = source.code(rule.to);
    let mut found = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        for word in rule.words.iter().filter(|word| has_word(line, word)) {
            found.push(format!("{}:{number}: `{word}` does not belong here: {}", source.path, rule.say));
        }
    }
    found
}

pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    let ends_as_name = word.ends_with(in_name);
    line.match_indices(word).any(|(at, _)| {
        let goes_on = ends_as_name && line[at + word.len()..].starts_with(in_name);
        !(goes_on || line[..at].ends_with(in_name))
    })
}
