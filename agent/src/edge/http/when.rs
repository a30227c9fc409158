//! WHEN among the present snapshots, in the zone of whoever asks. The meaning of the words: `larder_format::when`, read
//! by rescue too.

use super::Refusal;
use jiff::{
    Zoned,
    tz::{Offset, TimeZone},
};
use larder_format::when::{SnapshotMoment, WHEN_FORMS, When};
use larder_store::SnapshotRecord;
use std::sync::Arc;

/// This moment in the zone that a request names; in the zone of the box for a caller that names none.
pub(super) fn now_in(zone: Option<&str>) -> Result<Zoned, Refusal> {
    let now = Zoned::now();
    match zone {
        None => Ok(now),
        Some(name) => {
            zone_of(name).map(|zone| now.with_time_zone(zone)).ok_or_else(|| Refusal::unknown_zone(name))
        }
    }
}

/// A zone by its IANA name, or by its distance from UTC such as `+09:00`.
fn zone_of(name: &str) -> Option<TimeZone> {
    if let [sign @ (b'+' | b'-'), hour @ .., b':', minute_tens, minute] = name.as_bytes() {
        let two = |digits: &[u8]| match digits {
            [a, b] if a.is_ascii_digit() && b.is_ascii_digit() => {
                Some(i32::from(a - b'0') * 10 + i32::from(b - b'0'))
            }
            _ => None,
        };
        let (hours, minutes) = (two(hour)?, two(&[*minute_tens, *minute]).filter(|minutes| *minutes < 60)?);
        let seconds = hours * 3600 + minutes * 60;
        let offset = Offset::from_seconds(if *sign == b'-' { -seconds } else { seconds }).ok()?;
        return Some(TimeZone::fixed(offset));
    }
    // Names come from the system's list of zones: no path outside can be asked for.
    TimeZone::get(name).ok().filter(|zone| !zone.is_unknown())
}

/// The snapshot meant by `when`, said at the moment and in the zone of `now`.
pub(super) fn resolve<'a>(
    records: &'a [Arc<SnapshotRecord>],
    when: &str,
    now: &Zoned,
) -> Result<&'a Arc<SnapshotRecord>, String> {
    let said = When::parse(when, now).ok_or_else(|| {
        let when = when.trim();
        format!("`{when}` is no snapshot: write {WHEN_FORMS}")
    })?;
    let look = |record: &Arc<SnapshotRecord>| SnapshotMoment {
        number: record.sequence,
        time_ms: record.stamp.time_ms,
    };
    said.choose(records, look).ok_or_else(|| said.why_none(now.time_zone()))
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

    fn check_in(zone: &str, given: &str, expect: Result<u64, &str>) {
        let records = [
            record(2, "2026-03-01T10:00:00Z"),
            record(5, "2026-03-10T10:00:30.250Z"),
            record(9, "2026-03-20T10:00:00Z"),
        ];
        let now = "2026-03-20T12:00:00+00:00[UTC]".parse::<Zoned>().unwrap();
        let now = now.with_time_zone(zone_of(zone).unwrap());
        let found = resolve(&records, given, &now).map(|record| record.sequence);
        match expect {
            Ok(number) => assert_eq!(found, Ok(number), "{given} in {zone}"),
            Err(part) => assert!(found.as_ref().is_err_and(|text| text.contains(part)), "{given}: {found:?}"),
        }
    }

    #[test]
    fn people_say_when_in_many_ways() {
        let check = |given: &str, expect| check_in("UTC", given, expect);
        for newest in ["", "newest", "latest", "now", "9", "2026-03-20", "2026-03-20T10:00:00Z", "1 hour ago"]
        {
            check(newest, Ok(9));
        }
        check("5", Ok(5));
        check("-1", Ok(5));
        check("2026-03-10", Ok(5));
        check("2026-03-10 10:00", Ok(5));
        check("2026-03-10 09:59", Ok(2));
        check("last tuesday 10:01", Ok(5));
        check("2 weeks ago", Ok(2));
        check("10 days", Ok(5));
        check("yesterday", Ok(5));
        check("7", Err("no snapshot 7"));
        check("-3", Err("not 3 snapshots before"));
        check("2025-01-01 08:00", Err("nothing had been backed up by 2025-01-01 08:00 (UTC)"));
        check("last tuesday-ish", Err("write a snapshot number"));
    }

    /// What is printed beside a snapshot on the reader's screen names it, wherever the box stands.
    #[test]
    fn a_time_is_read_and_told_in_the_zone_of_whoever_asks() {
        for (zone, printed, minute_before) in [
            ("UTC", "2026-03-10 10:00", "2026-03-10 09:59"),
            ("Asia/Tokyo", "2026-03-10 19:00", "2026-03-10 18:59"),
            ("America/Los_Angeles", "2026-03-10 03:00", "2026-03-10 02:59"),
            ("+05:45", "2026-03-10 15:45", "2026-03-10 15:44"),
            ("-03:30", "2026-03-10 06:30", "2026-03-10 06:29"),
        ] {
            check_in(zone, printed, Ok(5));
            check_in(zone, minute_before, Ok(2));
        }
        check_in("Asia/Tokyo", "2026-03-01 18:59", Err("by 2026-03-01 18:59 (Asia/Tokyo)"));
        check_in("-03:30", "2026-03-01 06:29", Err("by 2026-03-01 06:29 (UTC-03:30)"));
    }

    #[test]
    fn a_zone_is_a_name_or_a_distance() {
        for known in ["UTC", "Europe/Berlin", "europe/berlin", "+00:00", "-12:00", "+14:00"] {
            assert!(zone_of(known).is_some(), "{known}");
        }
        for unknown in [
            "",
            " ",
            "Mars/Base",
            "+9",
            "+0900",
            "09:00",
            "+09:60",
            "+99:00",
            "++9:00",
            "+09:00:00",
            "../../etc/passwd",
            "/etc/localtime",
            "Etc/Unknown",
            "Europe",
        ] {
            assert!(zone_of(unknown).is_none(), "{unknown}");
        }
    }
}
