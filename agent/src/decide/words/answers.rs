//! The four questions to ask of any backup, answered from facts.

use super::labels;
use super::rules::promise_in_words;
use crate::decide::facts::{Counts, SourceFacts};
use crate::decide::figures::moment;
use crate::phrase::moment_in;
use crate::report::Answers;
use jiff::tz::TimeZone;
use larder_format::ledger::typed;
use larder_format::when::end_in_words;
use larder_store::SnapshotRecord;

/// Snapshots numbered in one sentence; `larder snapshots` shows the rest.
const NUMBERED_MAX: usize = 10;

/// The answers for one source, in whole sentences, with the times of a reader in `zone`.
pub(crate) fn of(source: &SourceFacts, zone: &TimeZone) -> Answers {
    let SourceFacts { snapshots, rule, .. } = source;
    let promise = promise_in_words(rule);
    let Counts { deleted, deleted_at_least, is_complete, versions, changed, changed_at_least } =
        source.counts;
    let (oldest, newest) = (day(&source.oldest, zone), day(&source.newest, zone));
    let backups = if *snapshots == 1 { "1 backup".to_owned() } else { format!("{snapshots} backups") };
    let deleted_files = match deleted {
        0 if !is_complete => format!("Yes, back to {oldest}. What was deleted since then is being counted."),
        0 if deleted_at_least => {
            format!("Yes, back to {oldest}. What was deleted since then could not be counted.")
        }
        0 => format!("Yes, back to {oldest}. No file has been deleted since then."),
        1 if is_complete && !deleted_at_least => {
            format!("Yes. One deleted file can be restored, back to {oldest}.")
        }
        n if deleted_at_least || !is_complete => {
            format!("Yes. At least {n} deleted files can be restored, back to {oldest}.")
        }
        n => format!("Yes. {n} deleted files can be restored, back to {oldest}."),
    };
    let between =
        if oldest == newest { format!("at {oldest}") } else { format!("between {oldest} and {newest}") };
    let older_versions = match changed {
        _ if !is_complete => {
            format!("Yes, back to {oldest} ({backups}). What changed since then is being counted.")
        }
        0 if changed_at_least => {
            format!("Yes, back to {oldest} ({backups}). What changed since then could not be counted.")
        }
        n if changed_at_least => format!(
            "Yes. At least {versions} versions in {backups}; files changed {n} times or more {between}."
        ),
        0 => format!("Yes, back to {oldest}. No file has changed since then ({backups})."),
        1 => {
            format!("Yes. {versions} versions in {backups}; one file changed {between}.")
        }
        n => format!("Yes. {versions} versions in {backups}; {n} times a file changed {between}."),
    };
    let older_versions = match source.damaged.as_slice() {
        [] => older_versions,
        [one] => format!("{older_versions} Snapshot {one} cannot be given back whole."),
        damaged => format!("{older_versions} Snapshots {} cannot be given back whole.", numbers(damaged)),
    };
    // The date speaks of every backup together, not of the backup with the date: that backup may be among the newest,
    // kept whatever its date says.
    let next = match (&source.next_to_go, source.on_hold) {
        (_, true) => "History is on hold: nothing is let go of.".to_owned(),
        (None, _) => "Nothing that is kept now goes as long as no newer backup comes.".to_owned(),
        (Some((_, at)), _) => {
            let what = if source.labels.is_empty() { "What" } else { "By rule and labels together, what" };
            format!("{what} is kept now stays at least until {}.", end_in_words(*at, zone))
        }
    };
    let bad_edit = format!(
        "Every earlier backup stays as it is: nothing on the network can change or delete one. `larder rollback {}` makes \
         the folder what it was before the bad edit. Larder does not yet notice suspicious changes by itself.",
        typed(&source.source, "@WHEN")
    );
    // Drills are not built yet, and an unproven restore must not read like a proven restore.
    let deleted_files = format!("{deleted_files} Not yet proven by a drill.");
    let labels = labels::kept(&source.labels, zone).map(|labels| format!(" {labels}")).unwrap_or_default();
    let (kept_how_long, damaged) = (format!("{promise} {next}{labels}"), source.damaged.clone());
    Answers { deleted_files, older_versions, kept_how_long, bad_edit, damaged }
}

/// The first few numbers, in words.
pub(in crate::decide) fn numbers(all: &[u64]) -> String {
    let list = |some: &[u64]| some.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    match all {
        [some @ .., last] if all.len() <= NUMBERED_MAX && !some.is_empty() => {
            format!("{} and {last}", list(some))
        }
        _ if all.len() <= NUMBERED_MAX => list(all),
        _ => format!("{} and {} more", list(&all[..NUMBERED_MAX]), all.len() - NUMBERED_MAX),
    }
}

fn day(record: &SnapshotRecord, zone: &TimeZone) -> String {
    moment(record.stamp).map_or_else(|| "an unknown day".to_owned(), |moment| moment_in(moment, zone))
}
