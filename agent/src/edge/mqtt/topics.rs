//! The topic tree, and how a report fills it.
//!
//! States are retained, one JSON object per topic, so a dashboard that starts later still sees every state. Events go
//! to `event` and are not retained: a replayed event would happen twice. Keys are promised in docs/mqtt.md: keys are
//! only ever added. Not here: Home Assistant's discovery (`discovery`), when a topic is sent (`outbox`).

use jiff::Timestamp;
use serde::Serialize;

use crate::report::{ConditionCode, Doing, Report, SourceReport, VaultReport, device_of};
use std::collections::BTreeMap;

/// Payload of `availability` while the agent is connected.
pub(crate) const ONLINE: &str = "online";
/// Payload of `availability` after a stop, and the last will after a death.
pub(crate) const OFFLINE: &str = "offline";

/// Sources with a topic. Without a bound one device with thousands of sources would fill the broker, and the sources of others
/// would not be retained.
pub(crate) const SOURCES_SHOWN_MAX: usize = 500;

/// A topic and the text to be shown there; empty text removes a retained topic.
pub(crate) type Shown = (String, String);

/// The names of every topic of one appliance.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    root: String,
    discovery: String,
    uid: String,
}

impl Topics {
    /// `node` is the owner's slug, `uid` the machine's stable id, `discovery` Home Assistant's prefix.
    pub(crate) fn new(node: &str, uid: &str, discovery: &str) -> Topics {
        // A wildcard in a topic would be refused by the client for ever.
        let discovery = discovery.trim_matches('/').replace(['+', '#'], "_");
        Topics { root: format!("larder/{}", level(node)), discovery, uid: level(uid) }
    }

    /// `online` or `offline`, retained; the last will lies here.
    pub(crate) fn availability(&self) -> String {
        format!("{}/availability", self.root)
    }

    /// One of the single state topics: `health`, `vault`, `retention`, `proof`, `head`, `pairing`, `system`.
    pub(crate) fn state(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    /// State of one disk; `+` gives the filter for every disk.
    pub(crate) fn disk(&self, id: &str) -> String {
        format!("{}/disk/{}", self.root, if id == "+" { id.to_owned() } else { level(id) })
    }

    /// State of one source; `+` gives the filter for every source.
    pub(crate) fn source(&self, id: &str) -> String {
        format!("{}/source/{}", self.root, if id == "+" { id.to_owned() } else { level(id) })
    }

    /// Events, not retained.
    pub(crate) fn event(&self) -> String {
        format!("{}/event", self.root)
    }

    /// Where a command is asked for; `+` gives the filter for every command.
    pub(crate) fn command(&self, name: &str) -> String {
        format!("{}/command/{name}", self.root)
    }

    /// Where a command is answered.
    pub(crate) fn answer(&self, name: &str) -> String {
        format!("{}/command/{name}/result", self.root)
    }

    /// The name of the command asked for at `topic`, if `topic` is a command topic.
    pub(crate) fn command_name<'t>(&self, topic: &'t str) -> Option<&'t str> {
        let name = topic.strip_prefix(&self.root)?.strip_prefix("/command/")?;
        (!name.is_empty() && !name.contains('/')).then_some(name)
    }

    /// Discovery payload of one device; the uid is a level of its own, so `+` matches exactly our devices.
    pub(crate) fn discovery(&self, device: &str) -> String {
        format!("{}/device/{}/{device}/config", self.discovery, self.uid)
    }

    /// Whether `topic` carries a discovery payload of ours.
    pub(crate) fn is_discovery(&self, topic: &str) -> bool {
        topic.starts_with(&format!("{}/device/{}/", self.discovery, self.uid)) && topic.ends_with("/config")
    }

    /// Where Home Assistant announces its start.
    pub(crate) fn birth(&self) -> String {
        format!("{}/status", self.discovery)
    }

    /// Retained topics that nobody else writes to, besides those of `outliving`.
    pub(crate) fn single(&self) -> [String; 8] {
        let names = ["health", "vault", "retention", "proof", "head", "pairing", "system"];
        let [health, vault, retention, proof, head, pairing, system] = names.map(|name| self.state(name));
        [self.availability(), health, vault, retention, proof, head, pairing, system]
    }

    /// Retained topics that can outlive their disk or source, as filters.
    pub(crate) fn outliving(&self) -> [String; 3] {
        [self.discovery("+"), self.disk("+"), self.source("+")]
    }

    /// A whole report, as retained topics.
    pub(crate) fn states(&self, report: &Report) -> Vec<Shown> {
        let mut shown = vec![
            (self.state("health"), json(&report.health)),
            (self.state("vault"), json(&VaultTopic::of(report))),
            (self.state("retention"), json(&report.retention)),
            (self.state("proof"), json(&report.proof)),
            (self.state("head"), json(&report.head)),
            (self.state("pairing"), json(&report.pairing)),
            (self.state("system"), json(&report.system)),
        ];
        shown.extend(report.disks.iter().map(|disk| (self.disk(&disk.id), json(disk))));
        shown.extend(
            by_share(&report.sources)
                .take(SOURCES_SHOWN_MAX)
                .map(|source| (self.source(&source.id), json(source))),
        );
        shown
    }
}

/// The sources in the order of shares: the first one of each device, then the second of each. Whatever is cut off at the end is of
/// the devices with most, and a device loses nothing to another one with fewer.
pub(crate) fn by_share(sources: &[SourceReport]) -> impl Iterator<Item = &SourceReport> {
    let mut of_device: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ranked: Vec<_> = sources
        .iter()
        .map(|source| {
            let rank = of_device.entry(device_of(&source.source)).or_default();
            *rank += 1;
            (*rank, source)
        })
        .collect();
    // Stable, so that devices and their sources keep the order of the report.
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, source)| source)
}

/// Topic `vault`: the report's figures, and the newest success over every source, a dashboard's first question.
#[derive(Serialize)]
struct VaultTopic<'r> {
    #[serde(flatten)]
    vault: &'r VaultReport,
    last_success: Option<Timestamp>,
}

impl VaultTopic<'_> {
    fn of(report: &Report) -> VaultTopic<'_> {
        let last_success = report.sources.iter().filter_map(|source| source.last_success).max();
        VaultTopic { vault: &report.vault, last_success }
    }
}

/// Whether a thing missing from `report` has really gone. While disks are being opened, or a disk is missing, sources
/// may only be out of sight; removal from the owner's dashboard would hide exactly the sources in need of care.
pub(crate) fn is_whole(report: &Report) -> bool {
    report.health.doing != Doing::Starting
        && report.health.conditions.iter().all(|condition| condition.code != ConditionCode::DiskMissing)
}

/// `value` as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a report is plain data with text keys, which JSON can always hold")
}

/// `name` as one topic level that Home Assistant also takes as an id: `A-Z a-z 0-9 _ -`, the rest as `_` and hex.
///
/// A stray `/`, `+` or `#` would tear the tree or make the broker drop the connection.
pub(crate) fn level(name: &str) -> String {
    let mut level = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => level.push(char::from(byte)),
            other => level.push_str(&format!("_{other:02x}")),
        }
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::mqtt::sample;
    use crate::report::source_id;
    use larder_format::ledger::{composed, is_source_name};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn topics() -> Topics {
        Topics::new("attic", "abc123", "homeassistant")
    }

    #[test]
    fn every_part_of_a_report_has_its_topic() {
        let shown = topics().states(&sample::report());
        let names: Vec<&str> = shown.iter().map(|(topic, _)| topic.as_str()).collect();
        assert_eq!(
            names,
            [
                "larder/attic/health",
                "larder/attic/vault",
                "larder/attic/retention",
                "larder/attic/proof",
                "larder/attic/head",
                "larder/attic/pairing",
                "larder/attic/system",
                "larder/attic/disk/0a1b2c3d",
                "larder/attic/source/laptop-photos",
                "larder/attic/source/phone-camera",
            ]
        );
        for (topic, text) in shown {
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(value.is_object(), "{topic}");
        }
    }

    /// One computer with sources without end, whose name comes first, and two with a few each.
    #[test]
    fn a_device_with_many_sources_pushes_no_other_device_out() {
        let mut report = sample::report();
        let one = report.sources[0].clone();
        let named = |source: String| SourceReport { id: source_id(&source), source, ..one.clone() };
        let many = (0..3000).map(|number| format!("a-thief/{number:04}"));
        let few = ["laptop/docs", "laptop/photos", "phone/camera"].map(str::to_owned);
        report.sources = many.chain(few.clone()).map(named).collect();
        let shown: Vec<_> = topics().states(&report).into_iter().map(|(topic, _)| topic).collect();
        for source in few {
            assert!(shown.contains(&topics().source(&source_id(&source))), "{source}");
        }
        let sources = shown.iter().filter(|topic| topic.contains("/source/")).count();
        assert_eq!(sources, SOURCES_SHOWN_MAX);
        let first: Vec<_> = by_share(&report.sources).take(5).map(|source| source.source.as_str()).collect();
        assert_eq!(first, ["a-thief/0000", "laptop/docs", "phone/camera", "a-thief/0001", "laptop/photos"]);
    }

    #[test]
    fn the_vault_tells_the_newest_success_of_all_sources() {
        let (_, vault) = topics().states(&sample::report()).swap_remove(1);
        let vault: serde_json::Value = serde_json::from_str(&vault).unwrap();
        assert_eq!(vault["last_success"], "2026-05-02T03:04:05Z");
        assert_eq!(vault["snapshots"], 412);
    }

    #[test]
    fn a_name_never_tears_the_tree() {
        assert_eq!(level("laptop-photos_2"), "laptop-photos_2");
        assert_eq!(level("a/b+c#"), "a_2fb_2bc_23");
        assert_eq!(topics().source("a/b"), "larder/attic/source/a_2fb");
    }

    /// Any name that a source may have, and those that were made to look like the topic of another.
    fn source_name() -> impl Strategy<Value = String> {
        let tricky = "[a_@.~240e7-]{1,6}/[a_@.~240e7 :ä-]{1,8}";
        let any = any::<String>().prop_map(|name| format!("laptop/{}", composed(name.trim())));
        prop_oneof![any, tricky.prop_map(|source| composed(source.trim()))]
            .prop_filter("a source's name", |source| is_source_name(source))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        /// `My Files` and `My-Files` were one source once.
        #[test]
        fn no_two_sources_share_a_topic(names in prop::collection::btree_set(source_name(), 2..40)) {
            let topics: BTreeSet<_> = names.iter().map(|name| topics().source(&source_id(name))).collect();
            prop_assert_eq!(topics.len(), names.len());
            for topic in topics {
                let level = topic.strip_prefix("larder/attic/source/").unwrap();
                prop_assert!(level.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
            }
        }
    }

    #[test]
    fn a_source_out_of_sight_is_not_a_source_that_went() {
        let mut report = sample::report();
        assert!(is_whole(&report));
        report.health.conditions[0].code = ConditionCode::DiskMissing;
        assert!(!is_whole(&report));
        report.health.conditions.clear();
        report.health.doing = Doing::Starting;
        assert!(!is_whole(&report));
    }

    #[test]
    fn only_direct_children_are_commands() {
        assert_eq!(topics().command_name("larder/attic/command/identify"), Some("identify"));
        for other in
            ["larder/attic/command/identify/result", "larder/attic/command/", "larder/attic2/command/x"]
        {
            assert_eq!(topics().command_name(other), None, "{other}");
        }
    }

    #[test]
    fn our_discovery_is_told_from_that_of_others() {
        assert!(topics().is_discovery("homeassistant/device/abc123/appliance/config"));
        assert!(!topics().is_discovery("homeassistant/device/abc1234/appliance/config"));
        assert!(!topics().is_discovery("homeassistant/device/zigbee/config"));
    }
}
