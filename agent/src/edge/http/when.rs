//! WHEN among the present snapshots. The meaning of the words: `larder_format::when`, read by rescue too.

use jiff::Zoned;
use larder_format::when::When;
use larder_store::SnapshotRecord;
use std::sync::Arc;

/// The snapshot meant by `when`: a number, `newest`, a date, a time, or a span such as `2 weeks ago`. A time means
/// the newest snapshot by then; a date means its end, in the zone of `now`.
pub(crate) fn resolve<'a>(
    records: &'a [Arc<SnapshotRecord>],
    when: &str,
    now: &Zoned,
) -> Result<&'a Arc<SnapshotRecord>, String> {
    let said = When::parse(when, now).ok_or_else(|| {
        let when = when.trim();
        format!("`{when}` is no snapshot: write a number, `newest`, a date like 2026-03-31, a time, or `2 weeks ago`")
    })?;
    match said {
        When::Newest => records.last().ok_or_else(|| "there is no snapshot yet".to_owned()),
        When::Number(number) => {
            let found = records.iter().find(|record| record.sequence == number);
            found.ok_or_else(|| format!("there is no snapshot {number}"))
        }
        When::By(moment) => {
            let found = records.iter().rev().find(|record| record.stamp.time_ms <= moment.as_millisecond());
            found.ok_or_else(|| {
                format!("nothing had been backed up by {}", moment.strftime("%Y-%m-%d %H:%M UTC"))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use larder_format::ledger::{Snapshot, WallStamp};
    use larder_format::{ChunkRef, tree::Totals};
    use larder_store::retention::Runs;

    fn record(sequence: u64, time: &str) -> Arc<SnapshotRecord> {
        let time_ms = time.parse::<Timestamp>().unwrap().as_millisecond();
        let snapshot = Snapshot::new("a/b", [0; 16], ChunkRef::to(b""), Totals::default());
        let stamp = WallStamp { time_ms, trusted: true, powered_on_s: 0 };
        Arc::new(SnapshotRecord { sequence, stamp, lived_s: 0, runs: Runs::default(), snapshot })
    }

    fn check(given: &str, expect: Result<u64, &str>) {
        let records = [
            record(2, "2026-03-01T10:00:00Z"),
            record(5, "2026-03-10T10:00:00Z"),
            record(9, "2026-03-20T10:00:00Z"),
        ];
        let now = "2026-03-20T12:00:00+00:00[UTC]".parse::<Zoned>().unwrap();
        let found = resolve(&records, given, &now).map(|record| record.sequence);
        match expect {
            Ok(number) => assert_eq!(found, Ok(number), "{given}"),
            Err(part) => assert!(found.as_ref().is_err_and(|text| text.contains(part)), "{given}: {found:?}"),
        }
    }

    #[test]
    fn people_say_when_in_many_ways() {
        for newest in ["", "newest", "now", "9", "2026-03-20", "2026-03-20T10:00:00Z", "1 hour ago"] {
            check(newest, Ok(9));
        }
        check("5", Ok(5));
        check("2026-03-10", Ok(5));
        check("2026-03-10 09:59", Ok(2));
        check("2 weeks ago", Ok(2));
        check("10 days", Ok(5));
        check("yesterday", Ok(5));
        check("7", Err("no snapshot 7"));
        check("2025-01-01", Err("nothing had been backed up"));
        check("last tuesday-ish", Err("write a number"));
    }
}
