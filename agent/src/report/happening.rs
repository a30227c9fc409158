//! Events, for people who automate: topic `event`, not retained.

use super::health::ConditionCode;
use jiff::Timestamp;
use larder_format::ledger::Role;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// One event at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Happening {
    /// Unique per event, so that a repeated delivery can be told from a second event.
    pub(crate) id: String,
    /// When.
    pub(crate) time: Timestamp,
    /// The event itself.
    pub(crate) what: Happened,
}

/// An event with its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Happened {
    /// A device began to send.
    PushStarted {
        /// The device's name.
        device: String,
    },
    /// A snapshot was committed, with or without every file.
    Pushed(PushFacts),
    /// Files were given back.
    RestoreServed {
        /// Name of the asking device.
        device: String,
    },
    /// A condition came up.
    ConditionRaised {
        /// The code of its kind.
        code: ConditionCode,
        /// The condition, in the owner's words.
        what: String,
    },
    /// A condition is over.
    ConditionCleared {
        /// The key of the condition.
        condition: String,
    },
    /// The owner has seen the present conditions.
    Acknowledged,
    /// A window opened in which a computer may pair.
    PairingOpened {
        /// Name that the computer would get; none for one that brings its own.
        device: Option<String>,
        /// Role that the computer would get.
        role: Role,
    },
    /// Too many codes were wrong, so that nobody is let in for a while.
    PairingLocked,
    /// A computer was let in.
    Paired {
        /// The computer's name.
        device: String,
        /// The key's role.
        role: Role,
    },
    /// A key opens nothing any more.
    KeyEnded {
        /// The computer's name.
        device: String,
    },
}

/// A push that ended with a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PushFacts {
    /// `DEVICE/NAME`.
    pub(crate) source: String,
    /// Number of the snapshot.
    pub(crate) snapshot: u64,
    /// Files in the snapshot.
    pub(crate) files: u64,
    /// Bytes in these files.
    pub(crate) bytes: u64,
    /// Files unreadable on the device.
    pub(crate) skipped: u64,
}

/// Every kind of event, by the promised name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventType {
    PushStarted,
    PushSucceeded,
    PushPartial,
    RestoreServed,
    ConditionRaised,
    ConditionCleared,
    Acknowledged,
    PairingOpened,
    PairingLocked,
    Paired,
    KeyEnded,
}

impl EventType {
    /// Every type, for dashboards with a list.
    pub(crate) const ALL: [Self; 11] = [
        Self::PushStarted,
        Self::PushSucceeded,
        Self::PushPartial,
        Self::RestoreServed,
        Self::ConditionRaised,
        Self::ConditionCleared,
        Self::Acknowledged,
        Self::PairingOpened,
        Self::PairingLocked,
        Self::Paired,
        Self::KeyEnded,
    ];
}

impl Happened {
    /// The kind of event.
    pub(crate) fn event_type(&self) -> EventType {
        match self {
            Self::PushStarted { .. } => EventType::PushStarted,
            Self::Pushed(PushFacts { skipped: 0, .. }) => EventType::PushSucceeded,
            Self::Pushed(_) => EventType::PushPartial,
            Self::RestoreServed { .. } => EventType::RestoreServed,
            Self::ConditionRaised { .. } => EventType::ConditionRaised,
            Self::ConditionCleared { .. } => EventType::ConditionCleared,
            Self::Acknowledged => EventType::Acknowledged,
            Self::PairingOpened { .. } => EventType::PairingOpened,
            Self::PairingLocked => EventType::PairingLocked,
            Self::Paired { .. } => EventType::Paired,
            Self::KeyEnded { .. } => EventType::KeyEnded,
        }
    }
}

/// One flat object: the kind, id and time first, then the fields of the kind.
impl Serialize for Happening {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event_type", &self.what.event_type())?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("time", &self.time)?;
        match &self.what {
            Happened::PushStarted { device }
            | Happened::RestoreServed { device }
            | Happened::KeyEnded { device } => map.serialize_entry("device", device)?,
            Happened::PairingOpened { device, role } => {
                map.serialize_entry("device", device)?;
                map.serialize_entry("role", role)?;
            }
            Happened::Paired { device, role } => {
                map.serialize_entry("device", device)?;
                map.serialize_entry("role", role)?;
            }
            Happened::Pushed(PushFacts { source, snapshot, files, bytes, skipped }) => {
                map.serialize_entry("bytes", bytes)?;
                map.serialize_entry("files", files)?;
                map.serialize_entry("skipped", skipped)?;
                map.serialize_entry("snapshot", snapshot)?;
                map.serialize_entry("source", source)?;
            }
            Happened::ConditionRaised { code, what } => {
                map.serialize_entry("code", code)?;
                map.serialize_entry("what", what)?;
            }
            Happened::ConditionCleared { condition } => map.serialize_entry("condition", condition)?,
            Happened::Acknowledged | Happened::PairingLocked => {}
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys and words are promised (docs/mqtt.md).
    #[test]
    fn each_event_is_one_flat_object() {
        let check = |what: Happened, expect: &str| {
            let happening = Happening { id: "1".to_owned(), time: Timestamp::UNIX_EPOCH, what };
            let text = serde_json::to_string(&happening).unwrap();
            assert_eq!(text.replace(r#","id":"1","time":"1970-01-01T00:00:00Z""#, ""), expect);
        };
        let device = || "laptop".to_owned();
        check(
            Happened::PushStarted { device: device() },
            r#"{"event_type":"push_started","device":"laptop"}"#,
        );
        check(
            Happened::RestoreServed { device: device() },
            r#"{"event_type":"restore_served","device":"laptop"}"#,
        );
        let pushed = |skipped| {
            Happened::Pushed(PushFacts {
                source: "laptop/a".to_owned(),
                snapshot: 7,
                files: 3,
                bytes: 5,
                skipped,
            })
        };
        let whole = r#"{"event_type":"push_succeeded","bytes":5,"files":3,"skipped":0,"snapshot":7,"source":"laptop/a"}"#;
        check(pushed(0), whole);
        check(pushed(2), &whole.replace("succeeded", "partial").replace(r#""skipped":0"#, r#""skipped":2"#));
        check(
            Happened::ConditionRaised { code: ConditionCode::LittleRoom, what: "full".to_owned() },
            r#"{"event_type":"condition_raised","code":5,"what":"full"}"#,
        );
        check(
            Happened::ConditionCleared { condition: "clock".to_owned() },
            r#"{"event_type":"condition_cleared","condition":"clock"}"#,
        );
        check(Happened::Acknowledged, r#"{"event_type":"acknowledged"}"#);
        check(
            Happened::PairingOpened { device: Some(device()), role: Role::Read },
            r#"{"event_type":"pairing_opened","device":"laptop","role":"read"}"#,
        );
        check(Happened::PairingLocked, r#"{"event_type":"pairing_locked"}"#);
        check(
            Happened::Paired { device: device(), role: Role::Admin },
            r#"{"event_type":"paired","device":"laptop","role":"admin"}"#,
        );
        check(Happened::KeyEnded { device: device() }, r#"{"event_type":"key_ended","device":"laptop"}"#);
    }
}
