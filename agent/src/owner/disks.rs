//! Disks at the box: the list, taking a disk in, letting a disk go. Over the local socket of the running agent.

use super::asking::ask;
use super::output::{hint, say};
use super::which::{Which, settings_of};
use super::words::Trouble;
use crate::edge::http::disks::Meant;
use crate::phrase::size;
use crate::report::{DiskReport, DiskState};
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn list(which: &Which, json: bool) -> Result<ExitCode, Trouble> {
    let value: serde_json::Value = ask(which, "/v1/control/disks", None)?;
    if json {
        say(&value)?;
        return Ok(ExitCode::SUCCESS);
    }
    let disks: Vec<DiskReport> = serde_json::from_value(value["disks"].clone()).unwrap_or_default();
    print_table(&disks)?;
    for condition in value["conditions"].as_array().into_iter().flatten() {
        let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
        say(format_args!("\n{}\n{}\n{}", text("what"), text("meaning"), text("remedy")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_table(disks: &[DiskReport]) -> Result<(), Trouble> {
    let width = disks.iter().map(|disk| disk.path.len()).max().unwrap_or(0).max(4);
    say(format_args!("DISK      {:width$}  ROLE     STATE     BEHIND  FREE        FLUSH", "PATH"))?;
    for disk in disks {
        let free = disk.free_bytes.map_or_else(|| "-".to_owned(), size);
        let DiskReport { id, path, role, state, behind, flush, .. } = disk;
        let behind = behind.map_or_else(|| "-".to_owned(), |entries| entries.to_string());
        let flush = if disk.present { flush.to_string() } else { "-".to_owned() };
        say(format_args!("{id}  {path:width$}  {role:7}  {state:8}  {behind:<6}  {free:10}  {flush}"))?;
    }
    Ok(())
}

/// Names the disks without the newest entry: the entry holds only while another disk is there.
pub(super) fn name_those_without(which: &Which, json: bool, what_then: &str) -> Result<(), Trouble> {
    let value: serde_json::Value = ask(which, "/v1/control/disks", None)?;
    let disks: Vec<DiskReport> = serde_json::from_value(value["disks"].clone()).unwrap_or_default();
    let Some(paths) = without(&disks) else { return Ok(()) };
    let text = format!(
        "These disks do not know of it yet: {paths}.\n\
         An appliance that starts with one of them alone would {what_then}; connect them once."
    );
    // A program reads one JSON.
    if json {
        hint(text);
        return Ok(());
    }
    say(text)
}

fn without(disks: &[DiskReport]) -> Option<String> {
    let paths = disks.iter().filter(|disk| disk.state != DiskState::Healthy).map(|disk| disk.path.as_str());
    let paths = paths.collect::<Vec<_>>().join(", ");
    (!paths.is_empty()).then_some(paths)
}

pub(crate) fn adopt(which: &Which, path: &Path, offsite: bool) -> Result<ExitCode, Trouble> {
    let path = std::path::absolute(path).map_err(|error| {
        Trouble::new(2, "That is no path.", "Name the folder where the disk is mounted.", error)
    })?;
    if !path.is_dir() {
        let what = format!("There is no folder {}.", path.display());
        return Err(Trouble::new(
            2,
            what,
            "Mount the disk there, or name the folder where it is mounted.",
            "",
        ));
    }
    let body = serde_json::json!({ "path": path, "offsite": offsite });
    let Meant { id } = ask(which, "/v1/control/disks/adopt", Some(body))?;
    say(format_args!("The disk {} at {} belongs to the appliance now.", &id[..8], path.display()))?;
    say("It is being filled; `larderd disks` shows how far it is.")?;
    say("It gets a copy of what the others have. Disks of one size together have the room of one.")?;
    let named = settings_of(which)?.vault;
    if !named.disks.iter().chain(&named.offsite).any(|known| *known == path) {
        let list = if offsite { "vault.offsite" } else { "vault.disks" };
        say(format_args!(
            "Add it to `{list}` in the settings: without the other disks the appliance would not look for it."
        ))?;
    }
    if offsite {
        say("When it has everything, the lamp says that you may unplug it.")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn release(which: &Which, disk: &str) -> Result<ExitCode, Trouble> {
    let Meant { id } = ask(which, "/v1/control/disks/release", Some(serde_json::json!({ "disk": disk })))?;
    say(format_args!("The disk {} holds everything up to now. You may unmount and unplug it.", &id[..8]))?;
    say("Nothing more is written to it until it is connected again.")?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn forget(which: &Which, disk: &str, undo: bool, gone: bool) -> Result<ExitCode, Trouble> {
    let body = serde_json::json!({ "disk": disk, "undo": undo, "gone": gone });
    let Meant { id } = ask(which, "/v1/control/disks/forget", Some(body))?;
    if undo {
        say(format_args!("The disk {} stays.", &id[..8]))?;
    } else {
        say(format_args!(
            "The disk {} is forgotten after 72 hours of running, and no longer missed then.",
            &id[..8]
        ))?;
        if gone {
            say("What only it has is then given up: named file by file, and asked for at the next push.")?;
        }
        say(format_args!(
            "What is on it stays on it. To take this back: `larderd forget {} --undo`.",
            &id[..8]
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
