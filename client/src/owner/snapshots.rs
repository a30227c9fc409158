//! `larder snapshots`: the kept snapshots of a source, the newest first.
//!
//! An old source has tens of thousands: without a wish the newest come, and the number of all others. Not here: what the
//! snapshots hold (`listing`), why the rule keeps them (`looking`).

use super::{
    options::GlobalOptions,
    output::{CommandError, Output, count, end_there, moment, size},
    spot::full_source,
    table::{Column, print_table},
};
use crate::{ClientError, Connection, link::questions};
use clap::Args;
use larder_format::wire::SnapshotInfo;
use std::{io, num::NonZeroUsize};

use Column::{Left, Right};

/// Snapshots shown without a wish, some two screens.
const SHOWN: usize = 50;

pub(super) const NOT_WHOLE: &str = "What is not whole cannot be given back entirely: pieces of it are lost, or could not be read. A push from the computer \
     that it is from heals what that still has.";

#[derive(Debug, Args)]
pub(super) struct SnapshotsArgs {
    /// DEVICE/NAME as in `larder sources`; NAME alone where it is clear
    source: String,
    /// Show the newest COUNT snapshots; without this the newest 50, or with --json all
    #[arg(long, value_name = "COUNT", conflicts_with = "all")]
    limit: Option<NonZeroUsize>,
    /// Show all of them
    #[arg(long)]
    all: bool,
}

impl SnapshotsArgs {
    /// How many at most; nothing for all. Programs always got all, and count on the last.
    fn limit(&self, is_for_programs: bool) -> Option<usize> {
        match self.limit {
            Some(limit) => Some(limit.get()),
            None if self.all || is_for_programs => None,
            None => Some(SHOWN),
        }
    }
}

pub(super) fn snapshots(
    args: &SnapshotsArgs,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    let connection = global.ask()?;
    let source = full_source(&args.source, &connection)?;
    let (snapshots, older) = match args.limit(output.is_json()) {
        Some(limit) => newest(&connection, &source, limit)?,
        None => (questions::snapshots(&connection, &source)?, 0),
    };
    if output.is_json() {
        output.json(&snapshots)?;
        return Ok(0);
    }
    snapshot_table(snapshots.iter().rev(), output)?;
    if older > 0 {
        output.line(format!(
            "{} older: `larder snapshots {} --all` shows all of them, `--limit COUNT` some more.",
            if older == 1 { "1 more is".to_owned() } else { format!("{} more are", count(older)) },
            args.source
        ))?;
    }
    Ok(0)
}

fn newest(
    connection: &Connection,
    source: &str,
    limit: usize,
) -> Result<(Vec<SnapshotInfo>, u64), ClientError> {
    let newest = questions::newest_snapshots(connection, source, limit)?;
    Ok((newest.snapshots, newest.older))
}

/// A table of snapshots, in the order given.
pub(super) fn snapshot_table<'a>(
    snapshots: impl Iterator<Item = &'a SnapshotInfo>,
    output: &mut Output,
) -> io::Result<()> {
    let (mut any_damaged, mut any_by_the_owner) = (false, false);
    let row = |snapshot: &SnapshotInfo| {
        any_damaged |= snapshot.damaged;
        any_by_the_owner |= snapshot.reasons.iter().any(|reason| reason == KEPT_BY_THE_OWNER);
        vec![
            snapshot.snapshot.to_string(),
            moment(&snapshot.time),
            count(snapshot.totals.files),
            size(snapshot.totals.bytes),
            if snapshot.skipped > 0 { count(snapshot.skipped) } else { String::new() },
            yes_unless(snapshot.damaged),
            kept(snapshot),
            because(snapshot),
        ]
    };
    let heads = [
        Right("SNAPSHOT"),
        Left("ARRIVED"),
        Right("FILES"),
        Right("SIZE"),
        Right("SKIPPED"),
        Left("WHOLE"),
        Left("KEPT"),
        Left("BECAUSE"),
    ];
    print_table(&heads, snapshots.map(row).collect(), output)?;
    if any_damaged {
        output.line(NOT_WHOLE)?;
    }
    if any_by_the_owner {
        output.line("Where the owner keeps one, the date is that of the owner's wish or of the rule, whichever is later.")?;
    }
    output.line("Nothing goes before its date, and what goes then is named by `larderd prune --dry-run` on the appliance.")
}

/// Why the rule keeps it, and why nothing but a restore looks at it.
fn because(snapshot: &SnapshotInfo) -> String {
    let aside = snapshot.set_aside.iter().map(|why| format!("set aside: {why}"));
    let reason = |reason: &String| match &snapshot.label {
        Some(label) if reason == KEPT_BY_THE_OWNER => format!("{reason}: \"{label}\""),
        _ => reason.clone(),
    };
    snapshot.reasons.iter().map(reason).chain(aside).collect::<Vec<_>>().join(", ")
}

/// Whether it can be given back.
pub(super) fn yes_unless(is_damaged: bool) -> String {
    if is_damaged { "no" } else { "yes" }.to_owned()
}

/// The appliance's words.
const ONE_OF_THE_NEWEST: &str = "one of the newest";
const KEPT_BY_THE_OWNER: &str = "kept by the owner";

/// How long rule and label keep a snapshot. A snapshot among the newest has no date, unless the owner gave one: the date of
/// the rule begins to count when newer snapshots come.
fn kept(snapshot: &SnapshotInfo) -> String {
    let has = |word: &str| snapshot.reasons.iter().any(|reason| reason == word);
    match &snapshot.kept_until {
        None => "no end".to_owned(),
        Some(_) if has(ONE_OF_THE_NEWEST) && !has(KEPT_BY_THE_OWNER) => "while it is so new".to_owned(),
        Some(until) => format!("at least until {}", end_there(until)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_for(reasons: &[&str], label: Option<&str>) -> SnapshotInfo {
        serde_json::from_value(serde_json::json!({
            "source": "a/b", "snapshot": 7, "time": "2026-03-31T10:00:00Z", "skipped": 0,
            "root": { "id": larder_format::Hash::ZERO, "len": 0 },
            "totals": { "files": 1, "directories": 0, "bytes": 1 },
            "reasons": reasons, "kept_until": "2030-01-01T12:00:00Z", "label": label,
        }))
        .unwrap()
    }

    #[test]
    fn a_label_is_shown_with_its_reason_and_its_date() {
        let named = kept_for(&[ONE_OF_THE_NEWEST, KEPT_BY_THE_OWNER], Some("before the move"));
        assert_eq!(because(&named), "one of the newest, kept by the owner: \"before the move\"");
        assert!(kept(&named).starts_with("at least until 2030-01-01"));
        assert_eq!(because(&kept_for(&[KEPT_BY_THE_OWNER], None)), "kept by the owner");
        assert_eq!(kept(&kept_for(&[ONE_OF_THE_NEWEST], None)), "while it is so new");
    }

    #[test]
    fn people_see_the_newest_and_programs_all() {
        let args = |limit, all| SnapshotsArgs { source: "a/b".into(), limit: NonZeroUsize::new(limit), all };
        assert_eq!(args(0, false).limit(false), Some(SHOWN));
        assert_eq!(args(0, false).limit(true), None);
        assert_eq!(args(0, true).limit(false), None);
        assert_eq!(args(7, false).limit(false), Some(7));
        assert_eq!(args(7, false).limit(true), Some(7));
    }
}
