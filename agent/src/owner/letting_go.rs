//! Letting go, at the box: telling what would go, letting go, putting history on hold and ending the hold; and
//! setting one snapshot aside, which lets go of nothing.

use super::asking::{ask, ask_if_running};
use super::disks::name_those_without;
use super::output::say;
use super::which::{Which, settings_of};
use super::words::Trouble;
use crate::edge::http::control::Aside;
use crate::edge::http::letting_go::{HoldNumber, NewHold, Prune, Pruned};
use crate::phrase::{counted, moment_in};
use crate::state::keeping::{self, SetAside};
use crate::state::opening::{Opening, open_vault};
use jiff::tz::TimeZone;
use larder_format::ledger::{composed, is_source_name};
use std::process::ExitCode;

pub(crate) fn prune(which: &Which, dry_run: bool, json: bool) -> Result<ExitCode, Trouble> {
    let body = serde_json::to_value(Prune { dry_run }).expect("plain values encode");
    let pruned: Pruned = ask(which, "/v1/control/prune", Some(body))?;
    if json {
        say(serde_json::to_string(&pruned).expect("plain values encode"))?;
        return Ok(ExitCode::SUCCESS);
    }
    for going in &pruned.snapshots {
        let time = going.time.map_or_else(|| "at an unknown time".to_owned(), in_words);
        say(format_args!("{}  snapshot {}  of {time}  {}", going.source, going.snapshot, going.why))?;
    }
    say(told(&pruned, dry_run))?;
    Ok(ExitCode::SUCCESS)
}

/// The fate of the snapshots that no rule keeps.
fn told(pruned: &Pruned, dry_run: bool) -> String {
    let count = counted(pruned.snapshots.len() as u64, "snapshot", "snapshots");
    match (&pruned.locked, dry_run) {
        (Some(why), _) if pruned.snapshots.is_empty() => {
            format!("There is nothing to let go of. If there were, it would wait: {why}.")
        }
        (None, _) if pruned.snapshots.is_empty() => "There is nothing to let go of.".to_owned(),
        (Some(why), _) => {
            // No word about the clock mends a ledger.
            let remedy = if pruned.is_clock {
                "Nothing need be done. If the clock is right, `larderd confirm-clock` says so."
            } else {
                "`larder status` says what to do."
            };
            format!(
                "Nothing is let go of: {why}.\n\
                 Everything is kept meanwhile. {count} would go otherwise.\n\
                 {remedy}"
            )
        }
        (None, true) => format!("{count} would be let go of. Nothing was done."),
        (None, false) => {
            let (was, its) = if pruned.snapshots.len() == 1 { ("was", "Its") } else { ("were", "Their") };
            format!("{count} {was} let go of. {its} room is free in about eight days.")
        }
    }
}

fn in_words(time: jiff::Timestamp) -> String {
    moment_in(time, &TimeZone::system())
}

pub(crate) fn hold(
    which: &Which,
    source: Option<&str>,
    reason: &str,
    json: bool,
) -> Result<ExitCode, Trouble> {
    let source = source.map(composed);
    if let Some(source) = source.as_ref().filter(|source| !is_source_name(source)) {
        let what = format!("`{source}` is no source: a source is named DEVICE/NAME.");
        return Err(Trouble::new(2, what, "`larderd hold --all --reason TEXT` holds everything.", ""));
    }
    let new = NewHold { source: source.clone(), reason: reason.to_owned() };
    let body = serde_json::to_value(new).expect("plain values encode");
    let HoldNumber { hold } = ask(which, "/v1/control/hold", Some(body))?;
    if json {
        say(serde_json::json!({ "hold": hold }))?;
    } else {
        say(format_args!(
            "Nothing of {} is let go of from now on.",
            source.as_deref().unwrap_or("any source")
        ))?;
        say(format_args!("`larderd unhold {hold}` ends that."))?;
    }
    name_those_without(which, json, "hold nothing")?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn unhold(which: &Which, hold: u64, json: bool) -> Result<ExitCode, Trouble> {
    let body = serde_json::json!({ "hold": hold });
    let HoldNumber { hold } = ask(which, "/v1/control/unhold", Some(body))?;
    if json {
        say(serde_json::json!({ "hold": hold }))?;
    } else {
        say(format_args!(
            "Hold {hold} ends in three days. Until then everything is kept, and every dashboard says so."
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the running agent. A snapshot that keeps the agent from running is set aside without an agent.
pub(crate) fn set_aside(
    which: &Which,
    snapshot: u64,
    why: Option<String>,
    json: bool,
) -> Result<ExitCode, Trouble> {
    let body = serde_json::to_value(Aside { snapshot, why: why.clone() }).expect("plain values encode");
    if ask_if_running::<Aside>(which, "/v1/control/set-aside", Some(body))?.is_none() {
        set_aside_here(which, SetAside { snapshot, why: why.clone() })?;
    }
    if json {
        say(serde_json::json!({ "snapshot": snapshot, "set_aside": why }))?;
    } else if why.is_some() {
        say(format_args!(
            "Snapshot {snapshot} is set aside: it is kept and can be restored, and nothing else looks at it."
        ))?;
        say(format_args!("`larderd set-aside {snapshot} --undo` ends that."))?;
    } else {
        say(format_args!("Snapshot {snapshot} counts again like any other."))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn set_aside_here(which: &Which, wish: SetAside) -> Result<(), Trouble> {
    let Opening { vault, clock, .. } = open_vault(&settings_of(which)?)?;
    let newest = vault.ledger().newest.map(|stamp| stamp.time_ms);
    let snapshot = wish.snapshot;
    if keeping::set_aside(&vault, clock.stamp(newest), &wish)?.is_some() {
        return Ok(());
    }
    let what = if wish.why.is_some() { "kept" } else { "set aside" };
    let remedy = "`larder snapshots SOURCE` lists them by their numbers, once the agent runs.";
    Err(Trouble::new(1, format!("No snapshot {snapshot} is {what}."), remedy, ""))
}

pub(crate) fn confirm_clock(which: &Which, json: bool) -> Result<ExitCode, Trouble> {
    let value: serde_json::Value = ask(which, "/v1/control/confirm-clock", Some(serde_json::json!({})))?;
    if json {
        say(&value)?;
    } else {
        let time = value["time"].as_str().unwrap_or("unknown");
        say(format_args!("The appliance takes its clock to be right: {time}."))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::http::letting_go::PrunedSnapshot;

    #[test]
    fn a_person_vouches_for_the_clock_and_not_for_the_ledger() {
        let going =
            || PrunedSnapshot { snapshot: 3, source: "a/b".to_owned(), time: None, why: "old".to_owned() };
        let locked = |is_clock, why: &str| {
            let locked = Some(why.to_owned());
            told(&Pruned { locked, is_clock, snapshots: vec![going()] }, false)
        };
        assert!(locked(true, "the clock is behind").contains("confirm-clock"));
        let hole = locked(false, "2 entries of the ledger are missing or damaged");
        assert!(!hole.contains("clock") && hole.contains("larder status"), "{hole}");
    }
}
