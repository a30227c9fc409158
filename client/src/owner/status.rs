//! `larder status`: how the appliance is, for a person, for a program, and as an exit code for a script.

use super::{
    looking::NOTHING_YET,
    options::GlobalOptions,
    output::{CommandError, Output, count, counted, moment, size},
    table::{Column, print_table},
};
use crate::link::questions;
use clap::Args;
use serde_json::Value;

use Column::{Left, Right};

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct StatusArgs {
    /// Tell by the exit code: 0 fine, 3 it needs you, 6 alarm; for scripts
    #[arg(long)]
    check: bool,
}

/// The exit code for a level of the report. A level that this program does not know is nothing to rely on.
fn code_of_level(level: &str) -> u8 {
    match level {
        "fine" => 0,
        "needs_you" => 3,
        "alarm" => 6,
        _ => 1,
    }
}

pub(super) fn status(
    args: StatusArgs,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    let status = questions::status(&global.ask()?)?;
    let level = status["health"]["level"].as_str().unwrap_or_default();
    let code = if args.check { code_of_level(level) } else { 0 };
    if output.is_json() {
        output.json(&status)?;
    } else {
        tell_status(&status, output)?;
    }
    Ok(code)
}

fn tell_status(status: &Value, output: &mut Output) -> std::io::Result<()> {
    let health = &status["health"];
    let level = health["level"].as_str().unwrap_or("unknown").replace('_', " ");
    output.line(format!("The appliance says: {level}."))?;
    for condition in health["conditions"].as_array().into_iter().flatten() {
        let since = condition["since"].as_str().map(moment).unwrap_or_default();
        let since = if since.is_empty() { since } else { format!(" Since {since}.") };
        let seen = if condition["acknowledged"] == true { " (You have seen this.)" } else { "" };
        for (part, behind) in [("what", &*format!("{since}{seen}")), ("meaning", ""), ("remedy", "")] {
            output.line(format!("  {}{behind}", condition[part].as_str().unwrap_or_default()))?;
        }
    }
    if let Some(line) = told_of_pairing(&status["pairing"]) {
        output.line(line)?;
    }
    // A key that only adds backups is told nothing of the whole vault.
    if status["vault"].is_object() {
        output.line(whole(&status["vault"]))?;
    }
    told_of_retention(&status["retention"]).try_for_each(|line| output.line(line))?;
    let row = |source: &Value| {
        let text = |key: &str| source[key].as_str().unwrap_or_default().to_owned();
        vec![
            text("source"),
            moment(&text("last_success")),
            text("last_result"),
            count(number(source, "snapshots")),
        ]
    };
    let rows: Vec<_> = status["sources"].as_array().into_iter().flatten().map(row).collect();
    let is_quiet = health["conditions"].as_array().is_none_or(Vec::is_empty);
    if rows.is_empty() && is_quiet {
        output.line(NOTHING_YET)?;
    }
    if !rows.is_empty() {
        output.line("")?;
        let heads = [Left("SOURCE"), Left("LAST BACKUP"), Left("RESULT"), Right("SNAPSHOTS")];
        print_table(&heads, rows, output)?;
    }
    Ok(())
}

/// Whether the appliance lets a computer in, or somebody tried to guess a code; nothing is said while it is closed.
fn told_of_pairing(pairing: &Value) -> Option<String> {
    let text = |key: &str| pairing[key].as_str().unwrap_or_default();
    let until = moment(text("until"));
    match text("state") {
        "open" if pairing["device"].is_null() => {
            let code =
                pairing["code"].as_str().map(|code| format!(" The code is {code}.")).unwrap_or_default();
            Some(format!(
                "The appliance's button was held: a new computer with the code is paired until {until}, with the role {}.{code}",
                text("role"),
            ))
        }
        "open" => Some(format!(
            "A window is open until {until}: a computer with the code is paired as \"{}\", with the role {}.",
            text("device"),
            text("role"),
        )),
        "locked" => Some(format!(
            "Too many wrong codes were tried: no computer can be paired until {until}. If it was not you, somebody in your \
             network guesses."
        )),
        _ => None,
    }
}

/// How long snapshots are kept, and the obstacles to letting go.
fn told_of_retention(retention: &Value) -> impl Iterator<Item = String> {
    let text = |key: &str| retention[key].as_str();
    let promise = text("promise").map(|promise| format!("Promise: {promise}"));
    let shorter = text("shorter").map(str::to_owned);
    let holds = retention["holds"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let holds = holds.map(|hold| format!("On hold, {hold}"));
    promise.into_iter().chain(shorter).chain(holds).collect::<Vec<_>>().into_iter()
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_default()
}

/// The whole vault, in a line.
fn whole(vault: &Value) -> String {
    let free = vault["free_bytes"].as_u64();
    format!(
        "It keeps {}; {} with {} are protected, and take {} on its disks. {}.",
        counted(number(vault, "snapshots"), "snapshot", "snapshots"),
        counted(number(vault, "files"), "file", "files"),
        size(number(vault, "protected_bytes")),
        size(number(vault, "stored_bytes")),
        free.map_or_else(
            || "How much is free no disk says".to_owned(),
            |free| format!("{} free", size(free))
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_told_and_a_closed_one_is_not() {
        let told = |pairing: Value| told_of_pairing(&pairing);
        let open = serde_json::json!({
            "state": "open", "device": "tablet", "role": "push", "until": "2026-05-02T03:06:05Z",
        });
        let open = told(open).expect("told");
        assert!(
            open.contains("\"tablet\"") && open.contains("the role push") && open.contains("2026"),
            "{open}"
        );
        assert!(told(serde_json::json!({ "state": "locked", "until": "2026-05-02T03:06:05Z" })).is_some());
        assert_eq!(told(serde_json::json!({ "state": "closed", "device": null })), None);
        assert_eq!(told(Value::Null), None, "an appliance that says nothing of it");
    }

    #[test]
    fn only_fine_is_fine_for_a_script() {
        let codes = ["fine", "needs_you", "alarm", "", "splendid"].map(code_of_level);
        assert_eq!(codes, [0, 3, 6, 1, 1]);
    }
}
