//! The words of every decision: made last, from data, and only here.
//!
//! Each condition says what happened, the meaning for the files, and the one thing to do. Not here: the truth
//! (`causes`, `facts`), words of the command line (`owner`).

pub(crate) mod answers;
mod disks;
mod labels;
mod past;
pub(super) mod proof;
pub(crate) mod rules;
pub(crate) mod sources;

use super::causes::Cause;
use super::facts::{HoldFacts, WhyRejected};
use crate::phrase::{counted, sentence};
use crate::report::{Condition, Level};
use jiff::Timestamp;
use larder_format::ledger::typed;

/// A cause in words, with the begin of its condition, and whether the owner has seen it.
pub(super) fn condition(cause: &Cause, since: Timestamp, acknowledged: bool) -> Condition {
    let [what, meaning, remedy] = of(cause);
    let (code, about) = (cause.code(), cause.about(proof::UNNAMED));
    Condition { code, level: code.level(), since, what, meaning, remedy, acknowledged, about }
}

fn of(cause: &Cause) -> [String; 3] {
    match cause {
        Cause::LedgerGap { entries, away_at } => proof::ledger_gap(*entries, away_at.as_deref()),
        Cause::PastLost { said, newest, standing, away_at } => {
            past::lost(*said, *newest, *standing, away_at.as_deref())
        }
        Cause::Damage(damage) => proof::damage(damage),
        Cause::Unread(disk) => proof::unread(disk),
        Cause::Unrepaired(disk) => proof::unrepaired(disk),
        Cause::Repaired { disk, files } => proof::repaired(disk, *files),
        Cause::NotReadBack(disk) => proof::not_read_back(disk),
        Cause::Disk { disk, fault, is_last } => disks::fault(disk, *fault, *is_last),
        Cause::Leaving(disk) => disks::leaving(disk),
        Cause::Rejected { path, why } => disks::rejected(path, why),
        Cause::FewCopies { copies, wanted } => disks::few_copies(*copies, *wanted),
        Cause::Full { path } => full(path),
        Cause::NearlyFull { path, days } => nearly_full(path, *days),
        Cause::NewerLarder => newer_larder(),
        Cause::NoBackupYet { is_paired } => no_backup_yet(*is_paired),
        Cause::Overdue { source, limit } => overdue(source, limit),
        Cause::Retiring { source, left_s } => sources::retiring(source, *left_s),
        Cause::LettingGo { source, what, on_hold } => sources::letting_go(source, *what, *on_hold),
        Cause::LabelEnding { source, label } => labels::ending(source, label),
        Cause::ShorterRule { rule, left_s } => shorter_rule(rules::shorter(rule, *left_s)),
        Cause::ClockNotSet => clock_not_set(),
        Cause::WeakPower => weak_power(),
        Cause::BrokerNotStarted { error } => broker_not_started(error.as_deref()),
        Cause::BrokerAway { error, remedy } => broker_away(error.as_deref(), remedy.as_deref()),
    }
}

/// A hold's source and reason, and its end once cleared.
pub(super) fn hold(hold: &HoldFacts) -> String {
    let what = hold.source.as_deref().unwrap_or("everything");
    let ends = hold.ends_in_s.map_or(String::new(), |left_s| {
        format!("; cleared, ends in about {}", counted(left_s.div_ceil(3600), "hour", "hours"))
    });
    format!("{what}: {} (hold {}{ends})", hold.reason, hold.number)
}

/// Why a connected disk is not used, and the remedy, in one line for the log.
pub(crate) fn rejected(path: &str, why: &WhyRejected) -> String {
    disks::rejected(path, why).join(" ")
}

fn full(path: &str) -> [String; 3] {
    [
        format!("The backup disk at {path} is full."),
        "Everything kept stays kept; new backups are refused.".to_owned(),
        "Connect a larger disk, or exclude what needs no backup; `larderd space` shows what takes the room."
            .to_owned(),
    ]
}

fn nearly_full(path: &str, days: u64) -> [String; 3] {
    [
        format!("The backup disk at {path} will be full in about {}.", counted(days, "day", "days")),
        "Everything kept stays kept.".to_owned(),
        "Connect a larger disk.".to_owned(),
    ]
}

fn newer_larder() -> [String; 3] {
    [
        "The backup disks were used by a newer Larder than this appliance runs.".to_owned(),
        "Everything on them is safe and can be restored; new backups are refused.".to_owned(),
        "Update larderd on the appliance.".to_owned(),
    ]
}

/// The lamp in words, for a caller who may hear no more.
pub(crate) fn level_sentence(level: Level) -> &'static str {
    match level {
        Level::Fine => "All is fine.",
        Level::NeedsYou => "It needs its owner: no file is at risk now.",
        Level::Alarm => "It gives an alarm: files are at risk.",
    }
}

fn no_backup_yet(is_paired: bool) -> [String; 3] {
    let remedy = if is_paired {
        "Run `larder push FOLDER` on the computer that has the key (`larder pair` first, if it never did); `larder schedule \
         FOLDER` does it by itself from then on."
    } else {
        "Run `larderd pair` here, then `larder pair` and `larder push` on the computer."
    };
    ["No computer has made a backup yet.", "Nothing is protected yet.", remedy].map(str::to_owned)
}

fn overdue(source: &str, limit: &str) -> [String; 3] {
    [
        format!("{source} has not made a backup for more than {limit}."),
        "Its older backups are safe; what changed since then is not protected.".to_owned(),
        format!(
            "Switch that computer on and run `larder push` there; `larder schedule` does that by itself. If it may be silent for \
             longer: `larder source {0} --expect weekly`; if it is gone for good: `larder source {0} --retire`.",
            typed(source, "")
        ),
    ]
}

fn shorter_rule(what: String) -> [String; 3] {
    [
        what,
        "Until then everything is kept as it was promised.".to_owned(),
        "Nothing, if you changed the settings. If not, set `[retention]` back to what it was and restart the agent."
            .to_owned(),
    ]
}

fn clock_not_set() -> [String; 3] {
    [
        "The appliance's clock is not set.".to_owned(),
        "Backups still work; nothing is let go of until the clock is right.".to_owned(),
        "Connect the appliance to the internet, or set its clock.".to_owned(),
    ]
}

fn weak_power() -> [String; 3] {
    [
        "The power supply was too weak at some moment since the start.".to_owned(),
        "Disks may drop out or lose what they were writing.".to_owned(),
        "Use a stronger power supply.".to_owned(),
    ]
}

fn broker_not_started(error: Option<&str>) -> [String; 3] {
    [
        format!("The appliance's own MQTT broker could not be started{}.", in_brackets(error)),
        "Backups work; no dashboard shows them.".to_owned(),
        "Name the broker of your home in `mqtt.broker`, or correct `mqtt.listen` in the settings; then restart the agent."
            .to_owned(),
    ]
}

fn broker_away(error: Option<&str>, remedy: Option<&str>) -> [String; 3] {
    let (what, remedy) = match error.zip(remedy) {
        Some((error, remedy)) => (sentence(error), remedy),
        None => (
            format!("The MQTT broker cannot be reached{}.", in_brackets(error)),
            "Start the broker, or correct `mqtt.broker` in the settings.",
        ),
    };
    [what, "Backups work; dashboards show old values.".to_owned(), remedy.to_owned()]
}

fn in_brackets(error: Option<&str>) -> String {
    error.map_or(String::new(), |error| format!(" ({error})"))
}
