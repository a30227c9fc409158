//! The snapshots meant by a request. Not here: reading from snapshots (`read`), how a moment is written (`when`).

use super::entries::snapshot_info;
use super::{Refusal, when};
use crate::state::Appliance;
use axum::http::StatusCode;
use jiff::Zoned;
use larder_format::ledger::{composed, label};
use larder_format::when::WHEN_FORMS;
use larder_format::wire::SnapshotInfo;
use larder_store::{Scope, SnapshotRecord};
use serde::Deserialize;
use std::ops::Range;
use std::sync::Arc;

/// The wire form of every snapshot of a source.
pub(super) fn infos(
    appliance: &Appliance,
    source: &str,
    records: &[Arc<SnapshotRecord>],
) -> Vec<SnapshotInfo> {
    infos_of(appliance, source, records, 0..records.len())
}

/// The wire form of those of a source's snapshots at these positions. All of them come in: the rule judges each beside
/// the others.
pub(super) fn infos_of(
    appliance: &Appliance,
    source: &str,
    records: &[Arc<SnapshotRecord>],
    positions: Range<usize>,
) -> Vec<SnapshotInfo> {
    let damaged = appliance.vault.damaged_among(&records[positions.clone()]);
    let judged = appliance.judge(source, records);
    // Only now: judging asks for the ledger too.
    let view = appliance.vault.ledger();
    let info = |(record, verdict): &(Arc<SnapshotRecord>, _)| {
        snapshot_info(&view, record, verdict, damaged.binary_search(&record.sequence).is_ok())
    };
    judged[positions].iter().map(info).collect()
}

/// A part of a source's snapshots, for a reader who leafs back from the newest.
#[derive(Debug, Deserialize)]
pub(crate) struct PageQuery {
    /// So many at most, the newest of them.
    limit: Option<usize>,
    /// Only those with a lower number.
    before: Option<u64>,
}

impl PageQuery {
    /// Positions of the snapshots asked for; everything for a caller that says nothing.
    pub(super) fn positions(&self, records: &[Arc<SnapshotRecord>]) -> Range<usize> {
        let end =
            self.before.map_or(records.len(), |before| records.partition_point(|it| it.sequence < before));
        self.limit.map_or(0, |limit| end.saturating_sub(limit))..end
    }
}

/// Every snapshot of a source, with the source's name. A source that the asker may not see is answered like one that is not
/// there, by the same words: otherwise a guessed name would be confirmed.
pub(super) fn of(
    appliance: &Appliance,
    scope: &Scope,
    device: &str,
    name: &str,
) -> Result<(String, Vec<Arc<SnapshotRecord>>), Refusal> {
    let source = format!("{device}/{}", composed(name));
    let records = appliance.vault.by(scope).snapshots(&source).map_err(|_| no_source(&source))?;
    Ok((source, records))
}

/// The place of a snapshot among all of its source.
pub(super) fn position(records: &[Arc<SnapshotRecord>], snapshot: u64) -> Option<usize> {
    records.binary_search_by_key(&snapshot, |record| record.sequence).ok()
}

/// The snapshots behind versions and differences.
pub(super) fn looked_at(
    appliance: &Appliance,
    scope: &Scope,
    device: &str,
    name: &str,
) -> Result<Vec<Arc<SnapshotRecord>>, Refusal> {
    let (source, _) = of(appliance, scope, device, name)?;
    Ok(appliance.vault.ledger().looked_at(&source))
}

/// The snapshot meant by `when`, said at the moment and in the zone of `now`. A snapshot let go of is named with its
/// date, a snapshot set aside with the reason, where the asker may know that they were of this source. Any other text may be
/// the label of a snapshot.
pub(super) fn resolve<'a>(
    appliance: &Appliance,
    scope: &Scope,
    records: &'a [Arc<SnapshotRecord>],
    when: &str,
    now: &Zoned,
) -> Result<&'a Arc<SnapshotRecord>, Refusal> {
    let found = when::resolve(records, when, now);
    let found = found.or_else(|why| labelled(appliance, records, when).ok_or(why));
    found.map_err(|why| {
        if let Some(no_label) = no_label(appliance, records, when, now) {
            return no_label;
        }
        let view = appliance.vault.ledger();
        let number = when.trim().parse().ok();
        // Numbers are given over all sources: the next one may be another computer's.
        let source = records.first().map_or("", |record| &record.snapshot.source);
        let is_own = |number: &u64| scope.sees_everything() || view.was_of(*number, source);
        let number = number.filter(is_own);
        let gone = number.and_then(|number| view.let_go_of(number));
        let why = gone.map_or(why, |gone| {
            let at = jiff::Timestamp::from_millisecond(gone.at.stamp.time_ms).unwrap_or_default();
            let at = larder_format::when::in_words(at, now.time_zone());
            format!("snapshot {} was let go of on {at}: {}", when.trim(), gone.why)
        });
        if let Some(aside) = number.and_then(|number| view.why_set_aside(number)) {
            return Refusal::set_aside(when.trim(), aside);
        }
        Refusal::not_found(&format!("such snapshot: {why}"), "`larder snapshots SOURCE` lists what there is.")
    })
}

/// The snapshot with the label `when`. No label reads like a moment, and a source has no two labels with the same words.
fn labelled<'a>(
    appliance: &Appliance,
    records: &'a [Arc<SnapshotRecord>],
    when: &str,
) -> Option<&'a Arc<SnapshotRecord>> {
    let (words, stamp) = (label(when)?, appliance.stamp());
    let view = appliance.vault.ledger();
    let now = view.at(stamp);
    let has_words =
        |it: &&Arc<SnapshotRecord>| view.label(it.sequence, &now).is_some_and(|it| it.text == words);
    records.iter().find(has_words)
}

/// Why no snapshot has the label `when`, with the labels that there are; none for a text that is a moment, and can be no
/// label. Told of moments alone, the owner would look for the mistake in the words of a label that ended.
fn no_label(
    appliance: &Appliance,
    records: &[Arc<SnapshotRecord>],
    when: &str,
    now: &Zoned,
) -> Option<Refusal> {
    let (words, stamp) = (label(when)?, appliance.stamp());
    let view = appliance.vault.ledger();
    let at = view.at(stamp);
    let ended = records.iter().rev().find_map(|record| {
        let (text, until_ms) = view.ended_label(record.sequence, &at)?;
        (text == words).then_some((record.sequence, until_ms))
    });
    let ended = ended.map(|(snapshot, until_ms)| {
        let until = jiff::Timestamp::from_millisecond(until_ms).unwrap_or_default();
        (snapshot, larder_format::when::end_in_words(until, now.time_zone()))
    });
    let labels = records.iter().rev().filter_map(|record| view.label(record.sequence, &at));
    let labels: Vec<_> =
        labels.filter(|label| !label.text.is_empty()).map(|label| format!("\"{}\"", label.text)).collect();
    let [what, meaning, remedy] = no_label_in_words(&words, ended, &labels);
    Some(Refusal::new(StatusCode::NOT_FOUND, "not_found", [&what, &meaning, &remedy]))
}

/// Labels named in one sentence; `larder snapshots` shows the rest.
const LABELS_NAMED_MAX: usize = 5;

/// `ended` has the number of the snapshot that had the label, and the end of the label; `labels` are those of the source.
fn no_label_in_words(words: &str, ended: Option<(u64, String)>, labels: &[String]) -> [String; 3] {
    match ended {
        Some((snapshot, until)) => [
            format!(
                "The label \"{words}\" of snapshot {snapshot} kept it until {until}, and is none any more."
            ),
            "The snapshot stays as long as the rule says.".to_owned(),
            format!("Write its number, {snapshot}."),
        ],
        None => [
            format!("\"{words}\" is no moment, and no label of this source."),
            "What is kept is kept as before.".to_owned(),
            format!("Write {}{WHEN_FORMS}.", labels_in_words(labels)),
        ],
    }
}

fn labels_in_words(labels: &[String]) -> String {
    let more = match labels.len().saturating_sub(LABELS_NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more, as `larder snapshots SOURCE` shows them"),
    };
    match labels {
        [] => String::new(),
        some => {
            format!("one of its labels ({}{more}), or ", some[..some.len().min(LABELS_NAMED_MAX)].join(", "))
        }
    }
}

pub(super) fn no_source(source: &str) -> Refusal {
    Refusal::not_found(&format!("source {source}"), "`larder sources` lists what this computer may see.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_ended_is_told_as_such_and_the_others_are_named() {
        let labels: Vec<_> = (1..=7).map(|number| format!("\"v{number}\"")).collect();
        let until = "2026-12-06 05:43 (UTC)".to_owned();
        let [what, meaning, remedy] = no_label_in_words("first", Some((5, until)), &labels);
        assert_eq!(
            what,
            "The label \"first\" of snapshot 5 kept it until 2026-12-06 05:43 (UTC), and is none any more."
        );
        assert!(
            meaning.contains("as long as the rule says") && remedy.contains("number, 5"),
            "{meaning} {remedy}"
        );
        let [what, meaning, remedy] = no_label_in_words("yestreday", None, &labels);
        assert_eq!(what, "\"yestreday\" is no moment, and no label of this source.");
        assert!(meaning.contains("kept as before") && remedy.contains("`yesterday`"), "{meaning} {remedy}");
        assert!(remedy.contains("(\"v1\", \"v2\"") && remedy.contains("and 2 more"), "{remedy}");
        let [_, _, remedy] = no_label_in_words("yestreday", None, &[]);
        assert!(!remedy.contains("label"), "{remedy}");
    }
}
