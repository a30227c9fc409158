//! How the appliance is: level, conditions, present work, lamp. Topic `health`.

use jiff::Timestamp;
use larder_panel::Rhythm;
use serde::{Deserialize, Serialize, Serializer};

/// How worried the owner has to be. Unknown is never `Fine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// No work for the owner.
    Fine,
    /// A task waits for the owner; files are not at risk now.
    NeedsYou,
    /// Files are at risk.
    Alarm,
}

/// The kind of a condition, by its promised number. Number 1 is an alarm; the rest are the lamp's pulse counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum ConditionCode {
    /// Files are at risk.
    FilesAtRisk = 1,
    /// A source is overdue.
    Overdue = 3,
    /// A disk is missing, or there are too few copies.
    DiskMissing = 4,
    /// A disk is full, or nearly.
    LittleRoom = 5,
    /// A disk gave damaged files.
    DiskHealth = 6,
    /// Power supply or clock.
    PowerOrClock = 7,
    /// Network or broker.
    Network = 8,
    /// A shorter rule waits to come into force.
    ShorterRule = 9,
    /// A disk was not read back for too long.
    ProofStale = 10,
}

impl ConditionCode {
    /// The number on the wire and of the lamp's pulses.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// How worried the owner has to be about a condition with this code.
    pub(crate) fn level(self) -> Level {
        if self == Self::FilesAtRisk { Level::Alarm } else { Level::NeedsYou }
    }
}

impl Serialize for ConditionCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

/// One condition: a state of affairs that needs the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Condition {
    /// The kind.
    pub(crate) code: ConditionCode,
    /// `Alarm` or `NeedsYou`.
    pub(crate) level: Level,
    /// First sight.
    pub(crate) since: Timestamp,
    /// The event, in the owner's words.
    pub(crate) what: String,
    /// The meaning for the owner's files.
    pub(crate) meaning: String,
    /// The one thing to do.
    pub(crate) remedy: String,
    /// The owner has seen it, and it has not become worse since.
    pub(crate) acknowledged: bool,
    /// The audience.
    #[serde(skip)]
    pub(crate) about: About,
}

/// The private part of a condition: a key that only adds backups hears nothing of other devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum About {
    /// The appliance, public to every caller.
    #[default]
    Appliance,
    /// One source, by its name.
    Source(String),
    /// Files named in the meaning; other callers get this text instead.
    Files {
        /// The meaning without names.
        unnamed: String,
    },
}

impl Condition {
    /// How worried the owner has to be beyond what the owner has seen. Files at risk stay at risk, whoever looked.
    pub(crate) fn open_level(&self) -> Level {
        match self.level {
            level if !self.acknowledged => level,
            Level::Alarm => Level::NeedsYou,
            Level::NeedsYou | Level::Fine => Level::Fine,
        }
    }

    /// The condition for a key that does not see everything, whose sources `is_own` picks.
    fn without_names(&self, is_own: &dyn Fn(&str) -> bool) -> Self {
        match &self.about {
            About::Appliance => self.clone(),
            About::Source(source) if is_own(source) => self.clone(),
            // Not left out: "needs you" without any reason is a riddle.
            About::Source(_) => Self {
                what: "Another computer's backups need a look.".to_owned(),
                meaning: "Yours are not affected.".to_owned(),
                remedy: "Nothing here; a key that sees everything tells which one.".to_owned(),
                about: About::Appliance,
                ..self.clone()
            },
            About::Files { unnamed } => Self { meaning: unnamed.clone(), ..self.clone() },
        }
    }
}

/// The agent's present work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doing {
    /// Opening disks and ledger.
    Starting,
    /// No particular work.
    Idle,
    /// A device is pushing.
    Receiving,
    /// Files are being given back.
    Restoring,
}

/// Level, reasons and present work: topic `health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Health {
    /// The worst of the conditions, less what the owner has seen.
    pub(crate) level: Level,
    /// Worst first; empty when fine.
    pub(crate) conditions: Vec<Condition>,
    /// Present work.
    pub(crate) doing: Doing,
    /// The lamp's rhythm; its name on the wire.
    #[serde(serialize_with = "name")]
    pub(crate) lamp: Rhythm,
}

impl Health {
    /// The same for callers who may not look into backups.
    pub(crate) fn without_names(&self, is_own: &dyn Fn(&str) -> bool) -> Self {
        let mut conditions: Vec<Condition> = Vec::new();
        for condition in self.conditions.iter().map(|condition| condition.without_names(is_own)) {
            // The number of other devices is private too.
            if !conditions.iter().any(|told| (told.code, &told.what) == (condition.code, &condition.what)) {
                conditions.push(condition);
            }
        }
        Self { conditions, ..self.clone() }
    }
}

fn name<S: Serializer>(rhythm: &Rhythm, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rhythm.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are promised: the lamp pulses them, dashboards ask for them.
    #[test]
    fn a_condition_travels_under_its_number_and_a_rhythm_under_its_name() {
        for number in [1, 3, 4, 5, 6, 7, 8, 9, 10_u8] {
            use ConditionCode::*;
            let all = [
                FilesAtRisk,
                Overdue,
                DiskMissing,
                LittleRoom,
                DiskHealth,
                PowerOrClock,
                Network,
                ShorterRule,
                ProofStale,
            ];
            let code =
                all.into_iter().find(|code| code.number() == number).expect("each number has its code");
            assert_eq!(serde_json::to_string(&code).unwrap(), number.to_string());
            assert_eq!(code.level() == Level::Alarm, number == 1);
        }
        let health = Health {
            level: Level::Fine,
            conditions: Vec::new(),
            doing: Doing::Idle,
            lamp: Rhythm::needs_you(7),
        };
        let text = r#"{"level":"fine","conditions":[],"doing":"idle","lamp":"needs_you_7"}"#;
        assert_eq!(serde_json::to_string(&health).unwrap(), text);
    }
}
