//! The entities of each device in Home Assistant, and how each reads its value out of our topics.
//!
//! The first page of a device shows an owner's questions; the rest is `diagnostic`, and figures for support are off
//! until switched on. Words follow Home Assistant's own backup entities where there are any. A null in our JSON must
//! end as *unknown*, never as a good value: Home Assistant's templates make the text `None` of null, and Home
//! Assistant reads that text as unknown. Not here: the envelope around entities (`discovery`).

use serde_json::{Map, Value, json};

use super::topics::{OFFLINE, ONLINE, Topics};
use crate::report::{EventType, PairingState, SystemReport};

/// One entity: its key within the device and the fields of its component.
pub(crate) struct Entity {
    key: &'static str,
    platform: &'static str,
    fields: Map<String, Value>,
}

impl Entity {
    fn new(platform: &'static str, key: &'static str, name: &str) -> Entity {
        Entity { key, platform, fields: Map::new() }.with("name", name)
    }

    /// A value read from JSON at `topic` by the expression `value`.
    fn sensor(key: &'static str, name: &str, topic: &str, value: &str) -> Entity {
        let entity = Entity::new("sensor", key, name).with("state_topic", topic);
        entity.with("value_template", format!("{{{{ {value} }}}}"))
    }

    /// Yes or no; `value` may also be none, for unknown.
    fn binary(key: &'static str, name: &str, topic: &str, value: &str) -> Entity {
        let entity = Entity::new("binary_sensor", key, name).with("state_topic", topic);
        let template =
            format!("{{% set it = {value} %}}{{{{ 'None' if it is none else ('ON' if it else 'OFF') }}}}");
        entity.with("value_template", template)
    }

    fn with(mut self, field: &str, value: impl Into<Value>) -> Entity {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    fn class(self, class: &str) -> Entity {
        self.with("device_class", class)
    }

    fn icon(self, name: &str) -> Entity {
        self.with("icon", format!("mdi:{name}"))
    }

    /// Off the first page.
    fn diagnostic(self) -> Entity {
        self.with("entity_category", "diagnostic")
    }

    /// Not shown until the owner switches it on.
    fn quiet(self) -> Entity {
        self.diagnostic().with("enabled_by_default", false)
    }

    /// A number with a history.
    fn measured(self) -> Entity {
        self.with("state_class", "measurement")
    }

    /// A size. Home Assistant cannot be told to convert, so sizes are sent in the unit they are read in.
    fn gib(self) -> Entity {
        let sized = self.class("data_size").with("unit_of_measurement", "GiB");
        sized.measured().with("suggested_display_precision", 1)
    }

    fn one_of(self, options: &[&str]) -> Entity {
        self.class("enum").with("options", options)
    }

    /// Stays meaningful while the agent is off: without this it would turn to *unavailable* when most needed.
    fn always(self) -> Entity {
        self.with("availability", json!([]))
    }

    /// Reasons, longer than the 255 characters of a state. `value` is an expression that gives a map.
    fn details(self, topic: &str, value: &str) -> Entity {
        self.with("json_attributes_topic", topic)
            .with("json_attributes_template", format!("{{{{ ({value}) | tojson }}}}"))
    }

    /// Key and component, with ids below `unique` and entity ids below `entity_ids`.
    pub(crate) fn component(self, unique: &str, entity_ids: &str) -> (String, Value) {
        let entity_id = format!("{}.{entity_ids}_{}", self.platform, self.key);
        let mut fields = self.fields;
        fields.insert("platform".to_owned(), json!(self.platform));
        fields.insert("unique_id".to_owned(), json!(format!("{unique}_{}", self.key)));
        fields.insert("default_entity_id".to_owned(), json!(entity_id));
        (self.key.to_owned(), Value::Object(fields))
    }
}

/// The appliance as a whole; `buttons` are the names of the commands that are served.
pub(crate) fn of_appliance(topics: &Topics, now: &SystemReport, buttons: &[&str]) -> Vec<Entity> {
    let mut entities = first_page(topics);
    entities.extend(diagnostics(topics));
    entities.extend(system(topics));
    entities.extend(sensors(topics, now));
    entities.extend(buttons.iter().filter_map(|name| button(topics, name)));
    entities
}

fn first_page(topics: &Topics) -> Vec<Entity> {
    let (health, vault) = (topics.state("health"), topics.state("vault"));
    let retention = topics.state("retention");
    vec![
        Entity::binary("problem", "Problem", &health, "value_json.level != 'fine'")
            .class("problem")
            .details(&health, "{'level': value_json.level, 'conditions': value_json.conditions}"),
        Entity::sensor("level", "Health", &health, "value_json.level")
            .one_of(&["fine", "needs_you", "alarm"])
            .icon("shield-check"),
        Entity::sensor("status", "Status", &health, "value_json.doing")
            .one_of(&["starting", "idle", "receiving", "restoring"])
            .icon("archive-sync"),
        Entity::binary("running", "Running", &health, "value_json.doing not in ['idle', 'starting']")
            .class("running"),
        Entity::binary(
            "overdue",
            "Backup overdue",
            &health,
            "3 in value_json.conditions | map(attribute='code')",
        )
        .class("problem"),
        Entity::sensor("last_success", "Last successful backup", &vault, "value_json.last_success")
            .class("timestamp")
            .always(),
        Entity::sensor("protected", "Protected size", &vault, "value_json.protected_gib").gib(),
        Entity::sensor("free", "Free space", &vault, "value_json.free_gib").gib(),
        Entity::sensor("days_left", "Full in", &vault, "value_json.days_left")
            .class("duration")
            .with("unit_of_measurement", "d"),
        Entity::sensor("snapshots", "Snapshots kept", &vault, "value_json.snapshots")
            .measured()
            .icon("history"),
        Entity::sensor("oldest", "Oldest snapshot", &retention, "value_json.oldest").class("timestamp"),
        next_to_go(&retention),
        happened(topics),
    ]
}

fn next_to_go(retention: &str) -> Entity {
    let value = "value_json.next_to_go.at if value_json.next_to_go else none";
    Entity::sensor("next_to_go", "Everything kept until at least", retention, value)
        .class("timestamp")
        .details(retention, "value_json.next_to_go or {}")
}

fn happened(topics: &Topics) -> Entity {
    Entity::new("event", "event", "Event")
        .with("state_topic", topics.event())
        .with("event_types", json!(EventType::ALL))
        .icon("bell-outline")
}

fn diagnostics(topics: &Topics) -> Vec<Entity> {
    let (vault, retention) = (topics.state("vault"), topics.state("retention"));
    let (proof, head, pairing) = (topics.state("proof"), topics.state("head"), topics.state("pairing"));
    vec![
        Entity::new("binary_sensor", "connectivity", "Connectivity")
            .with("state_topic", topics.availability())
            .with("payload_on", ONLINE)
            .with("payload_off", OFFLINE)
            .class("connectivity")
            .diagnostic()
            .always(),
        Entity::binary(
            "copies_missing",
            "Copies missing",
            &vault,
            "value_json.copies < value_json.copies_wanted",
        )
        .class("problem")
        .diagnostic(),
        Entity::sensor("stored", "Stored size", &vault, "value_json.stored_gib").gib().diagnostic(),
        Entity::sensor("files", "Protected files", &vault, "value_json.files")
            .measured()
            .icon("file-multiple")
            .diagnostic(),
        Entity::binary("hold", "History on hold", &retention, "value_json.holds | count > 0")
            .icon("lock-clock")
            .diagnostic()
            .details(&retention, "{'holds': value_json.holds}"),
        Entity::sensor("promise", "Retention promise", &retention, "value_json.promise | truncate(250)")
            .icon("calendar-lock")
            .diagnostic()
            .details(&retention, "{'rule': value_json.rule, 'promise': value_json.promise}"),
        Entity::sensor("last_scrub", "Last full check", &proof, "value_json.last_scrub")
            .class("timestamp")
            .diagnostic(),
        Entity::binary("damage", "Damage found", &proof, "value_json.damaged > 0")
            .class("problem")
            .diagnostic()
            .details(&proof, "{'damaged': value_json.damaged, 'repaired': value_json.repaired}"),
        Entity::sensor("pairing", "Pairing", &pairing, "value_json.state")
            .one_of(&PairingState::NAMES)
            .icon("key-plus")
            .diagnostic()
            .details(
                &pairing,
                "{'device': value_json.device, 'role': value_json.role, 'until': value_json.until}",
            ),
        Entity::sensor("head", "Ledger entry", &head, "value_json.sequence")
            .icon("book-lock")
            .quiet()
            .details(&head, "{'hash': value_json.hash, 'time': value_json.time}"),
    ]
}

fn system(topics: &Topics) -> Vec<Entity> {
    let (system, health) = (topics.state("system"), topics.state("health"));
    let counter = |key, name, value| {
        Entity::sensor(key, name, &system, value).with("state_class", "total_increasing").quiet()
    };
    vec![
        Entity::binary("clock", "Clock", &system, "not value_json.clock_trusted")
            .class("problem")
            .diagnostic(),
        Entity::sensor("started", "Started", &system, "value_json.started").class("timestamp").diagnostic(),
        Entity::sensor("lamp", "Lamp", &health, "value_json.lamp").icon("lightbulb-on-outline").quiet(),
        Entity::sensor("memory", "Memory", &system, "value_json.memory_mib")
            .class("data_size")
            .with("unit_of_measurement", "MiB")
            .measured()
            .quiet(),
        Entity::sensor("address", "Address", &system, "value_json.address").icon("ip-network").quiet(),
        Entity::sensor("spooled", "Events waiting", &system, "value_json.mqtt_spooled").measured().quiet(),
        counter("dropped", "Events dropped", "value_json.mqtt_dropped"),
        counter("connects", "Connections to the broker", "value_json.mqtt_connects"),
    ]
}

/// What only some boards measure: elsewhere a row would be unknown for ever.
fn sensors(topics: &Topics, now: &SystemReport) -> Vec<Entity> {
    let system = topics.state("system");
    let cpu = Entity::sensor("cpu", "Processor temperature", &system, "value_json.cpu_celsius")
        .class("temperature")
        .with("unit_of_measurement", "°C")
        .measured()
        .diagnostic();
    let undervoltage = Entity::binary("undervoltage", "Supply voltage", &system, "value_json.undervoltage")
        .class("problem")
        .diagnostic();
    let measured = [(now.cpu_celsius.is_some(), cpu), (now.undervoltage.is_some(), undervoltage)];
    measured.into_iter().filter_map(|(is_measured, entity)| is_measured.then_some(entity)).collect()
}

/// A command as a button; none for a command that has no place on a dashboard.
fn button(topics: &Topics, name: &str) -> Option<Entity> {
    let entity = match name {
        "identify" => Entity::new("button", "identify", "Identify").class("identify").diagnostic(),
        "acknowledge" => Entity::new("button", "acknowledge", "Acknowledge").icon("check"),
        _ => return None,
    };
    Some(entity.with("command_topic", topics.command(name)))
}

/// One disk, with its state at `topic`.
pub(crate) fn of_disk(topic: &str) -> Vec<Entity> {
    let suspect = "none if value_json.health == 'unknown' else value_json.health != 'fine'";
    vec![
        Entity::binary("present", "Present", topic, "value_json.present").class("connectivity"),
        Entity::binary("health", "Disk health", topic, suspect).class("problem"),
        Entity::sensor("free", "Free space", topic, "value_json.free_gib").gib(),
        Entity::sensor("used", "Used", topic, "value_json.used_percent")
            .with("unit_of_measurement", "%")
            .with("suggested_display_precision", 0)
            .measured()
            .icon("harddisk"),
        Entity::sensor("behind", "Entries behind", topic, "value_json.behind").measured().diagnostic(),
        Entity::sensor("flush", "Flush", topic, "value_json.flush")
            .one_of(&["trusted", "unproven"])
            .diagnostic(),
        Entity::sensor("path", "Mounted at", topic, "value_json.path").icon("folder").quiet(),
    ]
}

/// What is expected of a source, and of which folder.
const EXPECTATION: &str = "{'source': value_json.source, 'expected': value_json.expected, 'standing': value_json.standing, \
                           'folder': value_json.folder}";

/// One source, with its state at `topic`.
pub(crate) fn of_source(topic: &str) -> Vec<Entity> {
    vec![
        Entity::sensor("last_success", "Last successful backup", topic, "value_json.last_success")
            .class("timestamp")
            .always(),
        Entity::binary("overdue", "Backup overdue", topic, "value_json.overdue")
            .class("problem")
            .details(topic, EXPECTATION),
        Entity::sensor("last_result", "Last result", topic, "value_json.last_result")
            .one_of(&["success", "partial"])
            .icon("clipboard-check"),
        Entity::sensor("protected", "Protected size", topic, "value_json.gib").gib(),
        Entity::sensor("snapshots", "Snapshots kept", topic, "value_json.snapshots")
            .measured()
            .icon("history")
            .details(topic, "value_json.answers"),
        Entity::sensor("oldest", "Oldest snapshot", topic, "value_json.oldest").class("timestamp"),
        Entity::sensor("files", "Files", topic, "value_json.files")
            .measured()
            .icon("file-multiple")
            .diagnostic(),
        Entity::sensor("skipped", "Files skipped", topic, "value_json.skipped")
            .measured()
            .icon("file-alert")
            .diagnostic(),
    ]
}
