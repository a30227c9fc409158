//! Each form of WHEN in several zones, and clocks that are set.

use super::*;
use jiff::tz::Offset;
use proptest::prelude::*;

/// A Friday.
fn now() -> Zoned {
    "2026-03-20T12:00:00+00:00[UTC]".parse().unwrap()
}

fn check_at(now: &Zoned, text: &str, expect: Option<&str>) {
    let expect = expect.map(|time| When::By(time.parse().unwrap()));
    assert_eq!(When::parse(text, now), expect, "{text} at {now}");
}

#[test]
fn people_say_when_in_many_ways() {
    let check = |text: &str, expect| check_at(&now(), text, expect);
    check("2026-03-10", Some("2026-03-10T23:59:59.999999999Z"));
    check("2026-03-10 09:59", Some("2026-03-10T09:59:59.999999999Z"));
    check("2026-03-10T09:59", Some("2026-03-10T09:59:59.999999999Z"));
    check("2026-03-10 09:59:07", Some("2026-03-10T09:59:07.999999999Z"));
    check("2026-03-10 09:59:07.25", Some("2026-03-10T09:59:07.25Z"));
    check("2026-03-10T09:59:00+02:00", Some("2026-03-10T07:59:00.999999999Z"));
    check("2026-03-10T09:59:00.5Z", Some("2026-03-10T09:59:00.5Z"));
    check("2026-03-10 09:59 UTC", Some("2026-03-10T09:59:59.999999999Z"));
    check("2026-03-10T09:59+01:00[Europe/Berlin]", Some("2026-03-10T08:59:59.999999999Z"));
    check("2026-03-10 09:59 -0330", Some("2026-03-10T13:29:59.999999999Z"));
    check("2 weeks ago", Some("2026-03-06T12:00:00Z"));
    check("5 hours ago", Some("2026-03-20T07:00:00Z"));
    check("a week ago", Some("2026-03-13T12:00:00Z"));
    check("An Hour Ago", Some("2026-03-20T11:00:00Z"));
    check("10 days", Some("2026-03-10T12:00:00Z"));
    check("yesterday", Some("2026-03-19T23:59:59.999999999Z"));
    check("yesterday 14:00", Some("2026-03-19T14:00:59.999999999Z"));
    check("today 08:15", Some("2026-03-20T08:15:59.999999999Z"));
    check("now", Some("2026-03-20T12:00:00Z"));
    check("Tuesday", Some("2026-03-17T23:59:59.999999999Z"));
    check("last  tuesday", Some("2026-03-17T23:59:59.999999999Z"));
    check("last tue 14:00", Some("2026-03-17T14:00:59.999999999Z"));
    check("friday", Some("2026-03-20T23:59:59.999999999Z"));
    check("friday 11:00", Some("2026-03-20T11:00:59.999999999Z"));
    check("friday 13:00", Some("2026-03-13T13:00:59.999999999Z"));
    check("last friday", Some("2026-03-13T23:59:59.999999999Z"));
    check("last friday 11:00", Some("2026-03-13T11:00:59.999999999Z"));
    check("saturday", Some("2026-03-14T23:59:59.999999999Z"));
    for no_moment in [
        "last tuesday-ish",
        "last",
        "tuesday at noon",
        "20000 years ago",
        "2026-03-10 9",
        "2026-03-10 24:00",
        "2026-03-10 09:59:07:20",
        "2026-02-30",
        "2026-03-10T",
        "2026-03-10 09:59+99:00",
        "12:34",
        "12:34:56",
        "2026-03-10 09:59 here",
        "ñ026-03-10",
    ] {
        check(no_moment, None);
    }
    check(" 2026-03-10 ", Some("2026-03-10T23:59:59.999999999Z"));
    check(&"2026-03-10 ".repeat(WHEN_BYTES_MAX), None);
}

#[test]
fn snapshots_are_named_by_number_and_by_place() {
    let check = |text: &str, expect| assert_eq!(When::parse(text, &now()), expect, "{text}");
    for newest in [" newest ", "", "Latest", "live", "-0"] {
        check(newest, Some(When::Newest));
    }
    check("12", Some(When::Number(12)));
    check("+12", Some(When::Number(12)));
    check("-1", Some(When::Before(1)));
    check("-250", Some(When::Before(250)));
    check("--1", None);
    check("99999999999999999999", None);
}

#[test]
fn a_time_is_the_readers() {
    let there = |text: &str| text.parse::<Zoned>().unwrap();
    // The same moment on three clocks; in Tokyo it is Saturday already.
    for (now, date, weekday) in [
        ("2026-03-20T16:00:00Z[UTC]", "2026-03-20T23:59:59.999999999Z", "2026-03-20T23:59:59.999999999Z"),
        (
            "2026-03-21T01:00:00+09:00[Asia/Tokyo]",
            "2026-03-20T14:59:59.999999999Z",
            "2026-03-20T14:59:59.999999999Z",
        ),
        (
            "2026-03-20T09:00:00-07:00[America/Los_Angeles]",
            "2026-03-21T06:59:59.999999999Z",
            "2026-03-21T06:59:59.999999999Z",
        ),
    ] {
        check_at(&there(now), "2026-03-20", Some(date));
        check_at(&there(now), "friday", Some(weekday));
        check_at(&there(now), "2026-03-20T18:30:05Z", Some("2026-03-20T18:30:05.999999999Z"));
        check_at(&there(now), "3 hours ago", Some("2026-03-20T13:00:00Z"));
    }
}

/// Whoever asks for this very minute of today does not mean last week.
#[test]
fn a_time_of_a_weekday_is_todays_once_it_has_begun() {
    let now: Zoned = "2026-03-20T16:00:30Z[UTC]".parse().unwrap();
    check_at(&now, "friday 16:00", Some("2026-03-20T16:00:59.999999999Z"));
    check_at(&now, "friday 16:00:30", Some("2026-03-20T16:00:30.999999999Z"));
    check_at(&now, "friday 16:01", Some("2026-03-13T16:01:59.999999999Z"));
    check_at(&now, "friday 16:00:31", Some("2026-03-13T16:00:31.999999999Z"));
    check_at(&now, "last friday 16:00", Some("2026-03-13T16:00:59.999999999Z"));
}

/// Berlin sets its clocks forward from 02:00 to 03:00 in March, and back from 03:00 to 02:00 in October.
#[test]
fn times_that_clocks_show_twice_or_never_have_one_meaning() {
    let berlin: Zoned = "2026-11-01T12:00:00+01:00[Europe/Berlin]".parse().unwrap();
    let check = |text: &str, expect| check_at(&berlin, text, Some(expect));
    // Twice: at 00:30 UTC and again at 01:30 UTC, which is meant.
    check("2026-10-25 02:30", "2026-10-25T01:30:59.999999999Z");
    check("2026-10-25 02:30+02:00", "2026-10-25T00:30:59.999999999Z");
    // Never: all of it means the moment of setting, so that nothing printed as 03:00 or later comes along.
    for never in ["2026-03-29 02:00", "2026-03-29 02:30", "2026-03-29 02:59:59"] {
        check(never, "2026-03-29T00:59:59.999999999Z");
    }
    check("2026-03-29 01:59", "2026-03-29T00:59:59.999999999Z");
    check("2026-03-29 03:00", "2026-03-29T01:00:59.999999999Z");
    // A day has 23 hours then, and a week ago the clocks showed the same time.
    let after: Zoned = "2026-03-30T12:00:00+02:00[Europe/Berlin]".parse().unwrap();
    check_at(&after, "1 week ago", Some("2026-03-23T11:00:00Z"));
    check_at(&after, "24 hours ago", Some("2026-03-29T10:00:00Z"));
    // Samoa left out a whole day.
    let apia: Zoned = "2012-01-05T12:00:00+14:00[Pacific/Apia]".parse().unwrap();
    check_at(&apia, "2011-12-30", Some("2011-12-30T09:59:59.999999999Z"));
}

#[test]
fn only_dates_are_fixed() {
    let tokyo: Zoned = "2026-03-21T01:00:00+09:00[Asia/Tokyo]".parse().unwrap();
    let fixed = |text: &str| When::fixed(text, &tokyo);
    assert_eq!(fixed("2026-03-20 18:00").as_deref(), Some("2026-03-20T09:00:59.999999999Z"));
    assert_eq!(fixed("2026-03-20T18:00:00.5Z").as_deref(), Some("2026-03-20T18:00:00.500000000Z"));
    assert_eq!(fixed("2026-03-20T18:00:00.0Z").as_deref(), Some("2026-03-20T18:00:00.000000000Z"));
    for words in
        ["yesterday", "friday 10:00", "2 weeks ago", "-1", "12", "latest", "", "nonsense", "0000-01-01 00:00"]
    {
        assert_eq!(fixed(words), None, "{words}");
    }
}

#[test]
fn moments_are_told_with_their_zone() {
    let check = |moment: &str, zone: TimeZone, expect: &str| {
        assert_eq!(in_words(moment.parse().unwrap(), &zone), expect);
    };
    let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
    check("2026-03-31T09:00:59.999999999Z", tokyo, "2026-03-31 18:00 (Asia/Tokyo)");
    check("2026-03-31T09:00:20Z", TimeZone::UTC, "2026-03-31 09:00:20 (UTC)");
    let nameless = TimeZone::fixed(Offset::from_seconds(-12_600).unwrap());
    check("2026-03-31T09:00:00Z", nameless, "2026-03-31 05:30 (UTC-03:30)");
}

#[test]
fn a_snapshot_is_chosen_or_the_reason_told() {
    let all = [(2, 1_000), (5, 2_000), (9, 3_000)];
    let look = |one: &(u64, i64)| SnapshotMoment { number: one.0, time_ms: one.1 };
    let at = |ms| When::By(Timestamp::from_millisecond(ms).unwrap());
    let check = |when: When, expect: Result<u64, &str>| {
        let found = when.choose(&all, look).map(|one| one.0).ok_or_else(|| when.why_none(&TimeZone::UTC));
        assert_eq!(found.as_ref().map_err(String::as_str), expect.as_ref().map_err(|why| *why), "{when:?}");
    };
    check(When::Newest, Ok(9));
    check(When::Before(1), Ok(5));
    check(When::Before(2), Ok(2));
    check(When::Before(3), Err("there are not 3 snapshots before the newest"));
    check(When::Before(u64::MAX), Err("there are not 18446744073709551615 snapshots before the newest"));
    check(When::Number(5), Ok(5));
    check(When::Number(6), Err("there is no snapshot 6"));
    check(at(2_000), Ok(5));
    check(at(2_999), Ok(5));
    check(at(999), Err("nothing had been backed up by 1970-01-01 00:00:00 (UTC)"));
    assert_eq!(When::Newest.choose(&all[..0], look), None);
    assert_eq!(When::Before(1).choose(&all[..0], look), None);
}

/// A path behind a WHEN begins at the same colon on every day.
#[test]
fn a_form_needs_no_moment_inside_all_time() {
    let early = Timestamp::MIN.to_zoned(TimeZone::UTC);
    for text in ["-626006 weeks", "19000 years", "last tuesday", "yesterday 10:00", "9999-12-31 23:59 -23:00"]
    {
        assert!(When::is_form(text), "{text}");
        assert_eq!(When::parse(text, &early), None, "{text}");
    }
    for text in ["", " ", "weeks", "12:30", "99999999999999999999", "last", "2026-13-01"] {
        assert!(!When::is_form(text), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text: String) {
        let _ = When::parse(&text, &now());
        let _ = When::fixed(&text, &now());
    }

    /// Like text that people type, which random letters never are.
    #[test]
    fn text_made_of_known_parts_is_read_without_panic(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "last", "tuesday", " ", "2026-03-29", "T", "02:30", ":", "59", ".5", "+02:00", "-", "9999", "ago", "weeks", "utc",
        ]), 0..7),
        seconds in -377_705_023_201_i64..253_402_207_200,
    ) {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = Timestamp::from_second(seconds).unwrap().to_zoned(zone);
        let _ = When::parse(&parts.concat(), &now);
    }

    /// A printed time, typed again in the reader's zone, means the minute that it was printed for.
    #[test]
    fn a_printed_time_typed_again_is_the_same_minute(seconds in 0_i64..4_102_444_800) {
        for zone in ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Asia/Kathmandu"] {
            let moment = Timestamp::from_second(seconds).unwrap().to_zoned(TimeZone::get(zone).unwrap());
            let printed = moment.strftime("%Y-%m-%d %H:%M").to_string();
            let Some(When::By(read)) = When::parse(&printed, &moment) else { panic!("{printed}") };
            prop_assert!(read >= moment.timestamp());
            let again = read.to_zoned(moment.time_zone().clone()).strftime("%Y-%m-%d %H:%M").to_string();
            prop_assert_eq!(again, printed);
        }
    }
}

/// Kept to the end of a day is not kept for the next day, and a time without its zone is another time elsewhere.
#[test]
fn an_end_is_told_as_the_day_that_was_named_or_to_the_minute() {
    let told = |end: &str, zone: &str| {
        let zone = if zone.is_empty() {
            TimeZone::fixed(jiff::tz::offset(-5))
        } else {
            TimeZone::get(zone).unwrap()
        };
        end_in_words(end.parse().unwrap(), &zone)
    };
    let end = "2030-12-31T23:00:00Z";
    assert_eq!(told(end, "Europe/Berlin"), "the end of 2030-12-31 (Europe/Berlin)");
    assert_eq!(told(end, "UTC"), "2030-12-31 23:00 (UTC)");
    assert_eq!(told(end, ""), "2030-12-31 18:00 (UTC-05:00)");
    assert_eq!(told("2030-12-31T23:00:59.9Z", "UTC"), "2030-12-31 23:00 (UTC)");
}
