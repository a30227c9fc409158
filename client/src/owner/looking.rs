//! The commands that only look: versions of a file, the four answers, the rule.
//!
//! The appliance answers; here the answers become tables for people, or go on to programs unchanged.

use super::{
    options::GlobalOptions,
    output::{CommandError, Output, moment, size},
    snapshots::{NOT_WHOLE, snapshot_table, yes_unless},
    spot::{NEWEST, Spot, full_source},
    table::{Column, print_table},
};
use crate::{ClientError, Connection, link::questions};
use larder_format::wire::{SnapshotInfo, VersionInfo, escape_name};
use std::ffi::OsStr;

use Column::{Left, Right};

pub(super) const NOTHING_YET: &str =
    "Nothing is protected yet, as far as this computer may see. `larder push FOLDER` makes the first backup.";

pub(super) fn versions(
    place: &OsStr,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    let spot = Spot::parse(place)?;
    if spot.path.is_empty() {
        return Err(ClientError::Usage("versions are those of one file: write SOURCE:PATH".to_owned()).into());
    }
    if spot.when != NEWEST {
        let why = "versions are those of all snapshots: leave out @WHEN and write SOURCE:PATH";
        return Err(ClientError::Usage(why.to_owned()).into());
    }
    let connection = global.ask()?;
    let source = spot.full_source(&connection)?;
    let versions = questions::versions(&connection, &source, &spot.path);
    let versions = versions.map_err(|trouble| match trouble {
        // The source may be missing; then the appliance's words are right.
        trouble if !trouble.has_code("not_found") || !is_there(&source, &connection) => trouble,
        _ => ClientError::NotThere {
            what: format!("No kept snapshot of {source} has \"{}\".", escape_name(&spot.path)),
            remedy: "Check the name: `larder ls SOURCE` shows the newest snapshot, `larder ls SOURCE@WHEN` an older one.",
        },
    })?;
    if output.is_json() {
        output.json(&versions)?;
        return Ok(0);
    }
    let row = |version: &VersionInfo| {
        let VersionInfo { first, last, since, until, entry, damaged, unknown, .. } = version;
        let snapshots = if first == last { first.to_string() } else { format!("{first} to {last}") };
        let (bytes, changed) = match entry {
            Some(entry) => (size(entry.bytes), moment(&entry.modified)),
            None if *unknown => ("not known".to_owned(), String::new()),
            None => ("deleted".to_owned(), String::new()),
        };
        vec![snapshots, moment(since), moment(until), bytes, changed, yes_unless(*damaged)]
    };
    let heads = [Left("SNAPSHOTS"), Left("FROM"), Left("TO"), Right("SIZE"), Left("CHANGED"), Left("WHOLE")];
    print_table(&heads, versions.iter().map(row).collect(), output)?;
    if versions.iter().any(|version| version.damaged) {
        output.line(NOT_WHOLE)?;
    }
    Ok(0)
}

fn is_there(source: &str, connection: &Connection) -> bool {
    questions::newest_snapshots(connection, source, 1).is_ok()
}

pub(super) fn answers(
    source: Option<&str>,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    let connection = global.ask()?;
    let source = source.map(|source| full_source(source, &connection)).transpose()?;
    let answers = questions::answers(&connection, source.as_deref())?;
    if output.is_json() {
        output.json(&answers)?;
        return Ok(0);
    }
    // In the same words as `larderd answers`: no crate of both programs has words for people.
    const QUESTIONS: [(&str, &str); 4] = [
        ("deleted_files", "Can I restore deleted files?"),
        ("older_versions", "Can I recover older versions?"),
        ("kept_how_long", "How long are versions kept?"),
        ("bad_edit", "What happens if a bad edit reaches every device?"),
    ];
    let answers = answers.as_array().map_or(&[][..], Vec::as_slice);
    if answers.is_empty() {
        output.line(NOTHING_YET)?;
    }
    for source in answers {
        output.line(source["source"].as_str().unwrap_or_default())?;
        for (key, question) in QUESTIONS {
            let answer = source["answers"][key].as_str().unwrap_or("The appliance gave no answer.");
            output.line(format!("  {question}"))?;
            output.line(format!("    {answer}"))?;
        }
    }
    Ok(0)
}

pub(super) fn retention(
    source: &str,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    let connection = global.ask()?;
    let source = full_source(source, &connection)?;
    let retention = questions::retention(&connection, &source)?;
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
    snapshot_table(snapshots.iter().rev(), output)?;
    Ok(0)
}
