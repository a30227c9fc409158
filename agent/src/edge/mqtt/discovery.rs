//! Discovery: the appliance appears in Home Assistant without a line of configuration.
//!
//! One retained payload per device: the appliance, each disk, each source, the latter two joined to the first by
//! `via_device`. Home Assistant throws a whole device away for one unknown key at the top of its payload, and
//! silently keeps entities left out of the payload; hence the fixed set of top keys in `device`, and `farewell`.
//! Entities are chosen in `entities`. Not here: when a payload is sent (`outbox`, `link`).

use serde_json::{Map, Value, json};

use super::entities::{self, Entity};
use super::topics::{Shown, Topics, by_share, level};
use crate::report::Report;

/// Sources beyond this number still have their topics, but no device of their own: every device adds ten entities to
/// the owner's Home Assistant, and several hundred make its device list useless.
pub(crate) const SOURCE_DEVICES_MAX: usize = 64;

/// Who this appliance is, for dashboards.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The owner's slug, which entity ids start with.
    pub(crate) node: String,
    /// Stable machine id, which survives renaming.
    pub(crate) uid: String,
    /// The appliance's name as people read it.
    pub(crate) name: String,
}

/// Discovery payloads for `report`; `buttons` are the names of the served commands.
pub(crate) fn devices(topics: &Topics, who: &Identity, report: &Report, buttons: &[&str]) -> Vec<Shown> {
    let version = &report.system.version;
    let appliance = Device { id: String::new(), name: who.name.clone(), model: "Backup appliance" };
    let of_appliance = entities::of_appliance(topics, &report.system, buttons);
    let mut shown = vec![appliance.shown(topics, who, version, of_appliance)];
    for disk in &report.disks {
        let name = format!("{} disk {}", who.name, disk.id);
        let device = Device { id: format!("disk_{}", level(&disk.id)), name, model: "Backup disk" };
        shown.push(device.shown(topics, who, version, entities::of_disk(&topics.disk(&disk.id))));
    }
    for source in by_share(&report.sources).take(SOURCE_DEVICES_MAX) {
        let name = format!("{} {}", who.name, source.source);
        let device = Device { id: format!("source_{}", level(&source.id)), name, model: "Protected folder" };
        shown.push(device.shown(topics, who, version, entities::of_source(&topics.source(&source.id))));
    }
    shown
}

/// `new`, together with the removal of entities in `old`, an earlier payload for the same device, that `new` lacks.
///
/// Leaving an entity out does nothing in Home Assistant; the entity goes when only its platform is sent. The marks
/// stay in the retained payload until the next start and then vanish, harmlessly and without a second message.
pub(crate) fn farewell(old: &str, new: &str) -> Option<String> {
    let old: Value = serde_json::from_str(old).ok()?;
    let mut new: Value = serde_json::from_str(new).ok()?;
    let kept = new.get_mut("components")?.as_object_mut()?;
    let before = kept.len();
    for (key, component) in old.get("components")?.as_object()? {
        // Only a platform: this one was removed by an earlier farewell.
        let already_gone = component.as_object().is_none_or(|fields| fields.len() < 2);
        if !already_gone && !kept.contains_key(key) {
            kept.insert(key.clone(), json!({ "platform": component.get("platform")? }));
        }
    }
    (kept.len() > before).then(|| new.to_string())
}

/// One device as Home Assistant sees it.
struct Device {
    /// Empty for the appliance itself, else unique among its parts.
    id: String,
    name: String,
    model: &'static str,
}

impl Device {
    fn shown(self, topics: &Topics, who: &Identity, version: &str, entities: Vec<Entity>) -> Shown {
        let object = if self.id.is_empty() { "appliance" } else { &self.id };
        (topics.discovery(object), self.payload(topics, who, version, entities).to_string())
    }

    fn payload(&self, topics: &Topics, who: &Identity, version: &str, entities: Vec<Entity>) -> Value {
        let main = format!("larder_{}", level(&who.uid));
        let mut device = json!({
            "identifiers": [self.below(&main)],
            "name": self.name,
            "manufacturer": "Larder",
            "model": self.model,
            "sw_version": version,
        });
        if !self.id.is_empty() {
            device["via_device"] = json!(main);
        }
        let entity_ids = self.below(&who.node).to_lowercase().replace('-', "_");
        let components: Map<String, Value> =
            entities.into_iter().map(|entity| entity.component(&self.below(&main), &entity_ids)).collect();
        json!({
            "device": device,
            "origin": { "name": "Larder", "sw_version": version },
            "availability": [{ "topic": topics.availability() }],
            "qos": 1,
            "components": components,
        })
    }

    fn below(&self, parent: &str) -> String {
        if self.id.is_empty() { level(parent) } else { format!("{}_{}", level(parent), self.id) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::edge::mqtt::sample;

    fn shown() -> Vec<(String, Value)> {
        let who =
            Identity { node: "Attic-NAS".to_owned(), uid: "abc123".to_owned(), name: "Attic".to_owned() };
        let topics = Topics::new(&who.node, &who.uid, "homeassistant");
        devices(&topics, &who, &sample::report(), &["identify", "acknowledge"])
            .into_iter()
            .map(|(topic, text)| (topic, serde_json::from_str(&text).unwrap()))
            .collect()
    }

    #[test]
    fn appliance_disk_and_sources_are_devices_of_their_own() {
        let topics: Vec<String> = shown().into_iter().map(|(topic, _)| topic).collect();
        assert_eq!(
            topics,
            [
                "homeassistant/device/abc123/appliance/config",
                "homeassistant/device/abc123/disk_0a1b2c3d/config",
                "homeassistant/device/abc123/source_laptop-photos/config",
                "homeassistant/device/abc123/source_phone-camera/config",
            ]
        );
    }

    #[test]
    fn the_top_keys_are_those_that_every_version_knows() {
        for (topic, payload) in shown() {
            let keys: Vec<&str> = payload.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, ["availability", "components", "device", "origin", "qos"], "{topic}");
        }
    }

    #[test]
    fn parts_are_joined_to_the_appliance() {
        for (topic, payload) in shown().into_iter().skip(1) {
            assert_eq!(payload["device"]["via_device"], "larder_abc123", "{topic}");
        }
    }

    #[test]
    fn every_entity_is_unique_and_named_after_the_appliance() {
        let (mut ids, mut names) = (HashSet::new(), HashSet::new());
        for (topic, payload) in shown() {
            for (key, component) in payload["components"].as_object().unwrap() {
                let id = component["unique_id"].as_str().unwrap().to_owned();
                let name = component["default_entity_id"].as_str().unwrap().to_owned();
                let platform = component["platform"].as_str().unwrap();
                assert!(name.starts_with(&format!("{platform}.attic_nas_")), "{name}");
                assert!(
                    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._".contains(&b))
                );
                assert!(ids.insert(id) && names.insert(name), "{topic} {key}");
            }
        }
    }

    #[test]
    fn connectivity_and_last_success_outlive_the_agent() {
        for (topic, payload) in shown() {
            for (key, component) in payload["components"].as_object().unwrap() {
                let outlives = ["connectivity", "last_success"].contains(&key.as_str());
                assert_eq!(component.get("availability") == Some(&json!([])), outlives, "{topic} {key}");
            }
        }
    }

    #[test]
    fn only_commands_that_are_served_become_buttons() {
        let (_, appliance) = shown().swap_remove(0);
        let components = appliance["components"].as_object().unwrap();
        let buttons: Vec<&str> = components
            .iter()
            .filter(|(_, component)| component["platform"] == "button")
            .map(|(_, component)| component["command_topic"].as_str().unwrap())
            .collect();
        assert_eq!(buttons, ["larder/Attic-NAS/command/acknowledge", "larder/Attic-NAS/command/identify"]);
    }

    #[test]
    fn an_entity_of_an_older_agent_is_taken_off_the_page_once() {
        let old = r#"{"components":{"gone":{"platform":"sensor","unique_id":"x"},"kept":{"platform":"sensor",
            "unique_id":"y"},"long_gone":{"platform":"button"}}}"#;
        let new = r#"{"components":{"kept":{"platform":"sensor","unique_id":"y"}}}"#;
        let with_farewell: Value = serde_json::from_str(&farewell(old, new).unwrap()).unwrap();
        assert_eq!(with_farewell["components"]["gone"], json!({ "platform": "sensor" }));
        assert!(with_farewell["components"].get("long_gone").is_none());
        assert_eq!(farewell(new, new), None);
        assert_eq!(farewell("not json", new), None, "bytes of others never stop the agent");
    }

    #[test]
    fn the_largest_payload_stays_far_below_what_brokers_take() {
        let largest = shown().iter().map(|(_, payload)| payload.to_string().len()).max().unwrap();
        assert!(largest < 32 * 1024, "{largest} bytes");
    }
}
