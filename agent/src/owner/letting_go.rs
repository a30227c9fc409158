//! Letting go, at the box: what would go, letting it go, putting history on hold and ending that.

use super::cli::Which;
use super::commands::ask;
use super::words::Trouble;
use crate::edge::http::letting_go::{HoldNumber, NewHold, Prune, Pruned};
use larder_format::ledger::is_source_name;
use std::process::ExitCode;

pub(crate) fn prune(which: &Which, dry_run: bool, json: bool) -> Result<ExitCode, Trouble> {
    let body = serde_json::to_value(Prune { dry_run }).expect("plain values encode");
    let pruned: Pruned = ask(which, "/v1/control/prune", Some(body))?;
    if json {
        println!("{}", serde_json::to_string(&pruned).expect("plain values encode"));
        return Ok(ExitCode::SUCCESS);
    }
    for going in &pruned.snapshots {
        let time = going.time.map_or_else(|| "at an unknown time".to_owned(), in_words);
        println!("{}  snapshot {}  of {time}  {}", going.source, going.snapshot, going.why);
    }
    let count = match pruned.snapshots.len() {
        1 => "1 snapshot".to_owned(),
        count => format!("{count} snapshots"),
    };
    match (&pruned.locked, dry_run) {
        (Some(why), _) if pruned.snapshots.is_empty() => {
            println!("There is nothing to let go of. Nothing would go at this moment either: {why}.");
        }
        (Some(why), _) => {
            println!(
                "Nothing is let go of: {why}.\n\
                 Everything is kept meanwhile. {count} would go otherwise.\n\
                 Nothing need be done. If the clock is right, `larderd confirm-clock` says so."
            );
        }
        (None, _) if pruned.snapshots.is_empty() => println!("There is nothing to let go of."),
        (None, true) => println!("{count} would be let go of. Nothing was done."),
        (None, false) => {
            let (was, its) = if pruned.snapshots.len() == 1 { ("was", "Its") } else { ("were", "Their") };
            println!("{count} {was} let go of. {its} room is free in about eight days.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

pub(crate) fn hold(
    which: &Which,
    source: Option<&str>,
    reason: &str,
    json: bool,
) -> Result<ExitCode, Trouble> {
    if let Some(source) = source.filter(|source| !is_source_name(source)) {
        let what = format!("`{source}` is no source: a source is named DEVICE/NAME.");
        return Err(Trouble::new(2, what, "`larderd hold --all --reason TEXT` holds everything.", ""));
    }
    let new = NewHold { source: source.map(str::to_owned), reason: reason.to_owned() };
    let body = serde_json::to_value(new).expect("plain values encode");
    let HoldNumber { hold } = ask(which, "/v1/control/hold", Some(body))?;
    if json {
        println!("{}", serde_json::json!({ "hold": hold }));
    } else {
        println!("Nothing of {} is let go of from now on.", source.unwrap_or("any source"));
        println!("`larderd unhold {hold}` ends that.");
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn unhold(which: &Which, hold: u64, json: bool) -> Result<ExitCode, Trouble> {
    let body = serde_json::json!({ "hold": hold });
    let HoldNumber { hold } = ask(which, "/v1/control/unhold", Some(body))?;
    if json {
        println!("{}", serde_json::json!({ "hold": hold }));
    } else {
        println!(
            "Hold {hold} ends in three days. Until then everything is kept, and every dashboard says so."
        );
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn confirm_clock(which: &Which, json: bool) -> Result<ExitCode, Trouble> {
    let value: serde_json::Value = ask(which, "/v1/control/confirm-clock", Some(serde_json::json!({})))?;
    if json {
        println!("{value}");
    } else {
        println!(
            "The appliance takes its clock to be right: {}.",
            value["time"].as_str().unwrap_or("unknown")
        );
    }
    Ok(ExitCode::SUCCESS)
}
