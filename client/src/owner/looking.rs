//! The commands that only look: what is protected, what is kept, what changed, how the appliance is.
//!
//! The appliance answers; here its answers become tables for people, or go on to programs as they came.

use super::{
    cli::Common,
    output::{Column, Failure, Output, count, moment, permissions, size},
    spot::{Spot, full_source},
};
use crate::{Trouble, connection::percent_encode};
use larder_format::wire::{Change, EntryInfo, SnapshotInfo, SourceInfo, VersionInfo, escape_name};
use serde_json::Value;
use std::ffi::OsStr;

use Column::{Left, Right};

pub(super) fn sources(common: &Common, output: &mut Output) -> Result<u8, Failure> {
    let sources: Vec<SourceInfo> = common.ask()?.get("/v1/sources")?;
    if output.is_json() {
        output.json(&sources)?;
        return Ok(0);
    }
    if sources.is_empty() {
        output.line("Nothing is protected yet. `larder push FOLDER` makes the first backup.")?;
        return Ok(0);
    }
    let row = |source: &SourceInfo| {
        let SourceInfo { source, snapshots, newest, oldest } = source;
        vec![
            source.clone(),
            count(*snapshots),
            moment(&newest.time),
            moment(oldest),
            count(newest.totals.files),
            size(newest.totals.bytes),
        ]
    };
    let heads =
        [Left("SOURCE"), Right("SNAPSHOTS"), Left("NEWEST"), Left("OLDEST"), Right("FILES"), Right("SIZE")];
    output.table(&heads, &sources.iter().map(row).collect::<Vec<_>>())?;
    Ok(0)
}

pub(super) fn snapshots(source: &str, common: &Common, output: &mut Output) -> Result<u8, Failure> {
    let connection = common.ask()?;
    let source = full_source(source, &connection)?;
    let snapshots: Vec<SnapshotInfo> = connection.get(&format!("/v1/sources/{source}/snapshots"))?;
    if output.is_json() {
        output.json(&snapshots)?;
    } else {
        snapshot_table(&snapshots, output)?;
    }
    Ok(0)
}

fn snapshot_table(snapshots: &[SnapshotInfo], output: &mut Output) -> std::io::Result<()> {
    let row = |snapshot: &SnapshotInfo| {
        vec![
            snapshot.snapshot.to_string(),
            moment(&snapshot.time),
            count(snapshot.totals.files),
            size(snapshot.totals.bytes),
            if snapshot.skipped > 0 { count(snapshot.skipped) } else { String::new() },
            snapshot.kept_until.as_deref().map_or_else(|| "no end".to_owned(), moment),
            snapshot.reasons.join(", "),
        ]
    };
    let heads = [
        Right("SNAPSHOT"),
        Left("ARRIVED"),
        Right("FILES"),
        Right("SIZE"),
        Right("SKIPPED"),
        Left("KEPT UNTIL"),
        Left("BECAUSE"),
    ];
    output.table(&heads, &snapshots.iter().map(row).collect::<Vec<_>>())
}

pub(super) fn ls(place: &OsStr, common: &Common, output: &mut Output) -> Result<u8, Failure> {
    let spot = Spot::parse(place)?;
    let connection = common.ask()?;
    let source = spot.full_source(&connection)?;
    let when = percent_encode(spot.when.as_bytes());
    let path = query_path(&spot.path);
    let entries: Vec<EntryInfo> =
        connection.get(&format!("/v1/sources/{source}/snapshots/{when}/list?path={path}"))?;
    if output.is_json() {
        output.json(&entries)?;
        return Ok(0);
    }
    let row = |entry: &EntryInfo| {
        let mut name = entry.name.clone();
        if let Some(target) = &entry.target {
            name = format!("{name} -> {target}");
        } else if entry.kind == "directory" {
            name.push('/');
        }
        let mode = format!("{}{}", kind_letter(&entry.kind), permissions(entry.mode));
        vec![mode, entry.user.clone(), entry.group.clone(), size(entry.bytes), moment(&entry.modified), name]
    };
    let heads = [Left("MODE"), Left("USER"), Left("GROUP"), Right("SIZE"), Left("CHANGED"), Left("NAME")];
    output.table(&heads, &entries.iter().map(row).collect::<Vec<_>>())?;
    Ok(0)
}

fn kind_letter(kind: &str) -> char {
    match kind {
        "directory" => 'd',
        "symlink" => 'l',
        "fifo" => 'p',
        "socket" => 's',
        "char_device" => 'c',
        "block_device" => 'b',
        _ => '-',
    }
}

pub(super) fn versions(place: &OsStr, common: &Common, output: &mut Output) -> Result<u8, Failure> {
    let spot = Spot::parse(place)?;
    let connection = common.ask()?;
    let source = spot.full_source(&connection)?;
    if spot.path.is_empty() {
        return Err(Trouble::Usage("versions are those of one file: write SOURCE:PATH".to_owned()).into());
    }
    let path = query_path(&spot.path);
    let versions: Vec<VersionInfo> = connection.get(&format!("/v1/sources/{source}/versions?path={path}"))?;
    if output.is_json() {
        output.json(&versions)?;
        return Ok(0);
    }
    let row = |version: &VersionInfo| {
        let VersionInfo { first, last, since, until, entry, .. } = version;
        let snapshots = if first == last { first.to_string() } else { format!("{first} to {last}") };
        let (bytes, changed) = entry.as_ref().map_or_else(
            || ("deleted".to_owned(), String::new()),
            |entry| (size(entry.bytes), moment(&entry.modified)),
        );
        vec![snapshots, moment(since), moment(until), bytes, changed]
    };
    let heads = [Left("SNAPSHOTS"), Left("FROM"), Left("TO"), Right("SIZE"), Left("CHANGED")];
    output.table(&heads, &versions.iter().map(row).collect::<Vec<_>>())?;
    Ok(0)
}

pub(super) fn diff(
    from: &OsStr,
    to: Option<&OsStr>,
    common: &Common,
    output: &mut Output,
) -> Result<u8, Failure> {
    let from = Spot::parse(from)?;
    let to = to.map(Spot::parse).transpose()?;
    let connection = common.ask()?;
    let source = from.full_source(&connection)?;
    let until = match &to {
        Some(to) if to.full_source(&connection)? != source => {
            return Err(Trouble::Usage("both snapshots must be of the same source".to_owned()).into());
        }
        Some(to) => to.when.as_str(),
        None => "newest",
    };
    let (since, until) = (percent_encode(from.when.as_bytes()), percent_encode(until.as_bytes()));
    let lines = connection.get_bytes(&format!("/v1/sources/{source}/diff?from={since}&to={until}"))?;
    let strange = |error: serde_json::Error| Trouble::Damaged(format!("the answer cannot be read: {error}"));
    let changes: Vec<Change> = serde_json::Deserializer::from_slice(&lines)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(strange)?;
    if output.is_json() {
        output.json(&changes)?;
        return Ok(0);
    }
    for change in &changes {
        output.line(format!("{}  {}", change_word(&change.change), change.path))?;
    }
    if changes.is_empty() {
        output.line("Nothing changed.")?;
    }
    Ok(0)
}

fn change_word(change: &str) -> &str {
    match change {
        "added" => "added      ",
        "removed" => "deleted    ",
        "content" => "changed    ",
        "attributes" => "attributes ",
        "kind" => "other kind ",
        other => other,
    }
}

pub(super) fn answers(source: Option<&str>, common: &Common, output: &mut Output) -> Result<u8, Failure> {
    let connection = common.ask()?;
    let query = match source {
        Some(source) => format!("?source={}", percent_encode(full_source(source, &connection)?.as_bytes())),
        None => String::new(),
    };
    let answers: Value = connection.get(&format!("/v1/answers{query}"))?;
    if output.is_json() {
        output.json(&answers)?;
        return Ok(0);
    }
    const QUESTIONS: [(&str, &str); 4] = [
        ("deleted_files", "Can I restore deleted files?"),
        ("older_versions", "Can I recover older versions?"),
        ("kept_how_long", "How long are versions kept?"),
        ("bad_edit", "What happens if a bad edit reaches every device?"),
    ];
    for source in answers.as_array().into_iter().flatten() {
        output.line(source["source"].as_str().unwrap_or_default())?;
        for (key, question) in QUESTIONS {
            let answer = source["answers"][key].as_str().unwrap_or("The appliance gave no answer.");
            output.line(format!("  {question}\n    {answer}"))?;
        }
    }
    Ok(0)
}

pub(super) fn status(common: &Common, output: &mut Output) -> Result<u8, Failure> {
    let status: Value = common.ask()?.get("/v1/status")?;
    if output.is_json() {
        output.json(&status)?;
        return Ok(0);
    }
    let health = &status["health"];
    let level = health["level"].as_str().unwrap_or("unknown").replace('_', " ");
    output.line(format!("The appliance says: {level}."))?;
    for condition in health["conditions"].as_array().into_iter().flatten() {
        for part in ["what", "meaning", "remedy"] {
            output.line(format!("  {}", condition[part].as_str().unwrap_or_default()))?;
        }
    }
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let vault = &status["vault"];
    output.line(format!(
        "It keeps {} snapshots; {} files with {} are protected, and take {} on its disks. {} free.",
        count(number(&vault["snapshots"])),
        count(number(&vault["files"])),
        size(number(&vault["protected_bytes"])),
        size(number(&vault["stored_bytes"])),
        size(number(&vault["free_bytes"])),
    ))?;
    if let Some(promise) = status["retention"]["promise"].as_str() {
        output.line(format!("Promise: {promise}"))?;
    }
    let row = |source: &Value| {
        let text = |key: &str| source[key].as_str().unwrap_or_default().to_owned();
        vec![
            text("source"),
            moment(&text("last_success")),
            text("last_result"),
            count(number(&source["snapshots"])),
        ]
    };
    let rows: Vec<_> = status["sources"].as_array().into_iter().flatten().map(row).collect();
    if !rows.is_empty() {
        output.line("")?;
        let heads = [Left("SOURCE"), Left("LAST BACKUP"), Left("RESULT"), Right("SNAPSHOTS")];
        output.table(&heads, &rows)?;
    }
    Ok(0)
}

pub(super) fn retention(source: &str, common: &Common, output: &mut Output) -> Result<u8, Failure> {
    let connection = common.ask()?;
    let source = full_source(source, &connection)?;
    let retention: Value = connection.get(&format!("/v1/sources/{source}/retention"))?;
    if output.is_json() {
        output.json(&retention)?;
        return Ok(0);
    }
    for (key, name) in [("rule", "Rule"), ("promise", "Promise")] {
        if let Some(text) = retention[key].as_str() {
            output.line(format!("{name}: {text}"))?;
        }
    }
    let snapshots: Vec<SnapshotInfo> =
        serde_json::from_value(retention["snapshots"].clone()).unwrap_or_default();
    output.line("")?;
    snapshot_table(&snapshots, output)?;
    Ok(0)
}

/// A path for a query: as the appliance writes it, then percent-encoded.
fn query_path(path: &[u8]) -> String {
    percent_encode(escape_name(path).as_bytes())
}
