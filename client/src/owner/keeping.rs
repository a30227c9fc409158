//! `larder keep`: a snapshot that stays whatever the rule says, under a name of the owner's.
//!
//! There is no command here that ends it: that is a word at the appliance. Not here: the list with the labels (`snapshots`).

use super::{
    options::GlobalOptions,
    output::{CommandError, Output, end_in_words},
    spot::{AtOption, Spot},
};
use crate::{ClientError, Past, link::questions};
use clap::Args;
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use larder_format::{
    ledger::{LABEL_BYTES_MAX, is_visible, label, typed},
    wire::{KeepWish, SnapshotInfo},
};
use std::ffi::OsString;

/// Keeps a snapshot whatever the rule says, until a day or for ever. Said again, only for longer: no command over the
/// network ends it. Needs a key of the role admin.
#[derive(Debug, Args)]
pub(super) struct KeepArgs {
    /// SOURCE[@WHEN]; the newest snapshot without WHEN
    place: OsString,
    #[command(flatten)]
    at: AtOption,
    /// What it is called from now on, such as "before the move"; the label is a WHEN of its source then
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Up to the end of this day, such as 2030-12-31; for ever if left out
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
}

pub(super) fn keep(args: &KeepArgs, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    let spot = Spot::parse_at(&args.place, &args.at)?;
    if !spot.path.is_empty() {
        let why = "a snapshot is kept as a whole; leave out the path";
        return Err(ClientError::Usage(why.to_owned()).into());
    }
    let wish = wish(args.label.as_deref(), args.until.as_deref(), &TimeZone::system())?;
    let connection = global.ask()?;
    let source = spot.full_source(&connection)?;
    // By its number: asked again after a lost answer, `newest` may be another snapshot.
    let number = connection.snapshot(&source, &spot.when)?.snapshot;
    let kept = questions::keep(&connection, &source, number, &wish)?;
    if output.is_json() {
        output.json(&kept)?;
        return Ok(0);
    }
    for line in told(&kept) {
        output.line(line)?;
    }
    Ok(0)
}

fn wish(text: Option<&str>, until: Option<&str>, zone: &TimeZone) -> Result<KeepWish, ClientError> {
    let read = |text: &str| {
        label(text).filter(|words| is_visible(words)).ok_or_else(|| {
            ClientError::Usage(format!(
                "{text:?} can be no label: write at most {LABEL_BYTES_MAX} bytes of visible text, without quotes, and not \
                 like a date, a time, or the number of a snapshot"
            ))
        })
    };
    let label = text.map(read).transpose()?;
    let until = until.map(|day| end_of(day, zone)).transpose()?;
    Ok(KeepWish { label, until: until.map(|until| until.to_string()) })
}

fn end_of(day: &str, zone: &TimeZone) -> Result<Timestamp, ClientError> {
    let next = day.trim().parse::<Date>().and_then(|date| date.checked_add(1.day()));
    let end = next.and_then(|date| date.to_zoned(zone.clone())).map(|midnight| midnight.timestamp());
    end.map_err(|_| {
        ClientError::Usage(format!("{day:?} is no day: write year, month and day, such as 2030-12-31"))
    })
}

fn told(kept: &SnapshotInfo) -> Vec<String> {
    let SnapshotInfo { source, snapshot, label, kept_until, .. } = kept;
    let until = kept_until
        .as_ref()
        .map_or("for ever".to_owned(), |until| format!("at least until {}", end_in_words(until)));
    let name = label.as_ref().map_or(String::new(), |label| format!(" \"{label}\""));
    let mut lines = vec![format!("Snapshot {snapshot}{name} of {source} is kept {until}.")];
    if let Some(label) = label {
        let place = typed(source, &format!("@{label}"));
        lines.push(format!(
            "`larder ls {place}` shows it, and every other command that takes a WHEN finds it so."
        ));
    }
    lines.push(format!(
        "Only somebody at the appliance can end that: `larderd unkeep {snapshot}`, three days ahead."
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_understood_or_wrong_usage() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let all = wish(Some(" before  the move "), Some("2030-12-31"), &zone).unwrap();
        assert_eq!(all.label.as_deref(), Some("before the move"));
        assert_eq!(all.until.as_deref(), Some("2030-12-31T23:00:00Z"), "the end of the day there");
        assert_eq!(wish(None, None, &zone).unwrap(), KeepWish::default());
        for (label, until) in [(Some("yesterday"), None), (Some("12"), None), (None, Some("next year"))] {
            assert_eq!(wish(label, until, &zone).unwrap_err().exit_code(), 2, "{label:?} {until:?}");
        }
    }
}
