//! What WHEN means: numbers, places, dates, times, weekdays, spans; in a zone whose clocks are set twice a year.
#![no_main]

use jiff::Zoned;
use larder_format::when::{SnapshotMoment, When, in_words};
use std::sync::OnceLock;

static NOW: OnceLock<Zoned> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let now = NOW.get_or_init(|| "2026-03-31T12:00:00+02:00[Europe/Berlin]".parse().expect("a time"));
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let when = When::parse(text, now);
    if let Some(fixed) = When::fixed(text, now) {
        let elsewhere = now.with_time_zone(jiff::tz::TimeZone::UTC);
        assert_eq!(When::parse(&fixed, &elsewhere), when);
    }
    let Some(when) = when else { return };
    assert!(text.trim().is_empty() || When::is_form(text));
    let digits = text.trim().trim_start_matches(['+', '-']).trim_start_matches('0');
    match when {
        When::Number(number) | When::Before(number) => assert_eq!(digits.parse().unwrap_or(0), number),
        When::By(moment) => assert!(in_words(moment, now.time_zone()).ends_with("(Europe/Berlin)")),
        When::Newest => {}
    }
    let all = [(1, i64::MIN), (2, 0), (3, i64::MAX)];
    let chosen = when.choose(&all, |one| SnapshotMoment { number: one.0, time_ms: one.1 });
    assert_eq!(chosen.is_none(), matches!(when, When::Number(0 | 4..) | When::Before(3..)));
});
