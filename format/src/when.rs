//! WHEN: the choice of a snapshot, in everyday words.
//!
//! Both ends use this parser: the agent for callers over the network, the client for reading a disk by itself. The
//! current moment comes in as an argument. Not here: the list of snapshots.

use jiff::{Span, Timestamp, Zoned, civil, tz::TimeZone};

/// A parsed WHEN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The newest snapshot.
    Newest,
    /// The snapshot with this number.
    Number(u64),
    /// The newest snapshot by then.
    By(Timestamp),
}

impl When {
    /// Reads a number, `newest`, a date (meaning the end of the day, in the zone of `now`), a time, or a span such as
    /// `2 weeks ago`. `None` for any other text, or a moment outside all time.
    pub fn parse(text: &str, now: &Zoned) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text == "newest" || text == "live" {
            return Some(Self::Newest);
        }
        if let Ok(number) = text.parse() {
            return Some(Self::Number(number));
        }
        moment(text, now).map(Self::By)
    }
}

fn moment(text: &str, now: &Zoned) -> Option<Timestamp> {
    let zone = now.time_zone().clone();
    match text {
        "today" | "now" => return Some(now.timestamp()),
        "yesterday" => return end_of(now.date().yesterday().ok()?, zone),
        _ => {}
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    // A bare date would read as midnight, but means the end of the day.
    if text.len() > 10
        && let Ok(time) = text.parse::<civil::DateTime>()
    {
        return time.to_zoned(zone).ok().map(|zoned| zoned.timestamp());
    }
    if let Ok(date) = text.parse::<civil::Date>() {
        return end_of(date, zone);
    }
    let span: Span = text.parse().ok()?;
    // Without "ago" a span would point into the future, where there are no snapshots.
    let past = if span.is_positive() { span.negate() } else { span };
    now.checked_add(past).ok().map(|moment| moment.timestamp())
}

fn end_of(date: civil::Date, zone: TimeZone) -> Option<Timestamp> {
    date.at(23, 59, 59, 999_999_999).to_zoned(zone).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Zoned {
        "2026-03-20T12:00:00+00:00[UTC]".parse().unwrap()
    }

    #[test]
    fn people_say_when_in_many_ways() {
        let check = |text: &str, expect: Option<&str>| {
            let expect = expect.map(|time| When::By(time.parse().unwrap()));
            assert_eq!(When::parse(text, &now()), expect, "{text}");
        };
        check("2026-03-10", Some("2026-03-10T23:59:59.999999999Z"));
        check("2026-03-10 09:59", Some("2026-03-10T09:59:00Z"));
        check("2026-03-10T09:59:00+02:00", Some("2026-03-10T07:59:00Z"));
        check("2 weeks ago", Some("2026-03-06T12:00:00Z"));
        check("10 days", Some("2026-03-10T12:00:00Z"));
        check("yesterday", Some("2026-03-19T23:59:59.999999999Z"));
        check("now", Some("2026-03-20T12:00:00Z"));
        check("last tuesday-ish", None);
        check("20000 years ago", None);
        assert_eq!(When::parse(" newest ", &now()), Some(When::Newest));
        assert_eq!(When::parse("", &now()), Some(When::Newest));
        assert_eq!(When::parse("12", &now()), Some(When::Number(12)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = When::parse(&text, &now());
        }
    }
}
