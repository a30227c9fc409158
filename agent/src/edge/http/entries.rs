//! Entries, snapshots and differences as JSON shows them.

use jiff::Timestamp;
use larder_format::tree::Kind;
use larder_format::wire::{
    Change, ChangeKind, EntryInfo, SnapshotInfo, SourceExpectation, SourceInfo, VersionInfo, escape_name,
};
use larder_store::retention::{Reason, Verdict};
use larder_store::{Difference, Found, LedgerView, Run, SnapshotRecord};

/// RFC 3339 in UTC.
pub(crate) fn time_text(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// `view` is the ledger behind the verdict.
pub(crate) fn snapshot_info(
    view: &LedgerView,
    record: &SnapshotRecord,
    verdict: &Verdict,
    damaged: bool,
) -> SnapshotInfo {
    SnapshotInfo {
        source: record.snapshot.source.clone(),
        snapshot: record.sequence,
        time: time_text(record.stamp.time_ms),
        root: record.snapshot.root,
        totals: record.snapshot.totals,
        skipped: record.snapshot.skipped,
        reasons: verdict.reasons.iter().map(|reason| reason.words().to_owned()).collect(),
        kept_until: verdict.kept_until.map(|moment| moment.to_string()),
        label: view
            .label_words(record.sequence)
            .filter(|_| verdict.reasons.contains(&Reason::Label))
            .map(str::to_owned),
        set_aside: view.why_set_aside(record.sequence).map(str::to_owned),
        damaged,
        origin: view.origin(record).cloned(),
    }
}

/// None for a source without snapshots.
pub(crate) fn source_info(
    all: Vec<SnapshotInfo>,
    expectation: Option<SourceExpectation>,
) -> Option<SourceInfo> {
    let snapshots = all.len() as u64;
    let oldest = all.first()?.time.clone();
    let newest = all.into_iter().next_back()?;
    Some(SourceInfo { source: newest.source.clone(), snapshots, newest, oldest, expectation })
}

pub(crate) fn version_info(run: &Run) -> VersionInfo {
    VersionInfo {
        first: run.first.sequence,
        last: run.last.sequence,
        since: time_text(run.first.stamp.time_ms),
        until: time_text(run.last.stamp.time_ms),
        snapshots: run.snapshots,
        entry: run.found.as_ref().map(EntryInfo::of),
        damaged: !run.is_whole,
        unknown: !run.is_known,
    }
}

pub(crate) fn change_info(difference: &Difference) -> Change {
    let kind = |found: &Found| std::mem::discriminant(&found.entry.kind);
    let change = match (&difference.before, &difference.after) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        (Some(a), Some(b)) if kind(a) != kind(b) => ChangeKind::Kind,
        (Some(a), Some(b)) if a.entry.kind == b.entry.kind => ChangeKind::Attributes,
        (Some(a), _) if matches!(a.entry.kind, Kind::Directory { .. }) => ChangeKind::Attributes,
        _ => ChangeKind::Content,
    };
    let content = match (&difference.before, &difference.after) {
        (None, Some(found)) | (Some(found), None) => found.entry.kind.content(),
        _ => None,
    };
    Change {
        change,
        path: escape_name(&difference.path),
        before: difference.before.as_ref().map(EntryInfo::of),
        after: difference.after.as_ref().map(EntryInfo::of),
        content: content.map(|name| name.to_string()),
        from: None,
    }
}
