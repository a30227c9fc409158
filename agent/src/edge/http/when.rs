//! WHEN: which snapshot somebody means.

use jiff::{Span, Timestamp, Zoned, civil, tz::TimeZone};
use larder_store::Fact;
use std::sync::Arc;

/// The snapshot that `when` means: a number, `newest`, a date, a time, or a span such as `2 weeks ago`. For times it
/// is the newest that had arrived by then; a date means its end, in the zone of `now`.
pub(crate) fn resolve<'a>(facts: &'a [Arc<Fact>], when: &str, now: &Zoned) -> Result<&'a Arc<Fact>, String> {
    let when = when.trim();
    if when.is_empty() || when == "newest" || when == "live" {
        return facts.last().ok_or_else(|| "there is no snapshot yet".to_owned());
    }
    if let Ok(number) = when.parse::<u64>() {
        let found = facts.iter().find(|fact| fact.sequence == number);
        return found.ok_or_else(|| format!("there is no snapshot {number}"));
    }
    let moment = moment(when, now).ok_or_else(|| {
        format!("`{when}` is no snapshot: write a number, `newest`, a date like 2026-03-31, a time, or `2 weeks ago`")
    })?;
    let arrived = |fact: &&Arc<Fact>| fact.stamp.time_ms <= moment.as_millisecond();
    let found = facts.iter().rev().find(arrived);
    found.ok_or_else(|| format!("nothing had been backed up by {}", moment.strftime("%Y-%m-%d %H:%M UTC")))
}

fn moment(when: &str, now: &Zoned) -> Option<Timestamp> {
    let zone = now.time_zone().clone();
    match when {
        "today" | "now" => return Some(now.timestamp()),
        "yesterday" => return end_of(now.date().yesterday().ok()?, zone),
        _ => {}
    }
    if let Ok(moment) = when.parse::<Timestamp>() {
        return Some(moment);
    }
    // A bare date would read as its midnight, but means its end.
    if when.len() > 10
        && let Ok(time) = when.parse::<civil::DateTime>()
    {
        return time.to_zoned(zone).ok().map(|zoned| zoned.timestamp());
    }
    if let Ok(date) = when.parse::<civil::Date>() {
        return end_of(date, zone);
    }
    let span: Span = when.parse().ok()?;
    // Without "ago" a span would point into the future, where there is nothing to see.
    let past = if span.is_positive() { span.negate() } else { span };
    now.checked_add(past).ok().map(|moment| moment.timestamp())
}

fn end_of(date: civil::Date, zone: TimeZone) -> Option<Timestamp> {
    date.at(23, 59, 59, 999_999_999).to_zoned(zone).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::ledger::{Snapshot, Stamp};
    use larder_format::{ChunkRef, tree::Totals};

    fn fact(sequence: u64, time: &str) -> Arc<Fact> {
        let time_ms = time.parse::<Timestamp>().unwrap().as_millisecond();
        let snapshot = Snapshot {
            source: "a/b".into(),
            push: [0; 16],
            root: ChunkRef::to(b""),
            totals: Totals::default(),
            skipped: 0,
            device_time_ms: 0,
        };
        Arc::new(Fact { sequence, stamp: Stamp { time_ms, trusted: true, powered_on_s: 0 }, snapshot })
    }

    fn check(given: &str, expect: Result<u64, &str>) {
        let facts = [
            fact(2, "2026-03-01T10:00:00Z"),
            fact(5, "2026-03-10T10:00:00Z"),
            fact(9, "2026-03-20T10:00:00Z"),
        ];
        let now = "2026-03-20T12:00:00+00:00[UTC]".parse::<Zoned>().unwrap();
        let found = resolve(&facts, given, &now).map(|fact| fact.sequence);
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
