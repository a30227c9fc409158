//! What WHEN means: numbers, dates, times, spans.
#![no_main]

use jiff::Zoned;
use larder_format::when::When;
use std::sync::OnceLock;

static NOW: OnceLock<Zoned> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let now = NOW.get_or_init(|| "2026-03-20T12:00:00+01:00[+01:00]".parse().expect("a time"));
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Some(When::Number(number)) = When::parse(text, now) {
        assert_eq!(text.trim().trim_start_matches(['+', '0']).parse().unwrap_or(0), number);
    }
});
