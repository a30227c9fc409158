//! What people type: SOURCE[@WHEN][:PATH], with what WHEN means in it.
#![no_main]

use jiff::Zoned;
use larder_format::when::When;
use std::sync::OnceLock;

static NOW: OnceLock<Zoned> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let now = NOW.get_or_init(|| "2026-03-20T12:00:00+01:00[+01:00]".parse().expect("a time"));
    if let Some((source, when, path)) = larder_client::fuzzing::spot(bytes) {
        assert!(!source.is_empty());
        assert!(!when.trim().is_empty());
        assert!(!path.starts_with(b"/") && !path.ends_with(b"/"));
        let _ = When::parse(&when, now);
        // Whatever was understood can be written so that nothing else is meant.
        if !when.contains('"') {
            let name: String = source.chars().flat_map(|c| ['\\', c]).collect();
            let written = format!("{name}@\"{when}\":{}", larder_format::wire::escape_name(&path));
            assert_eq!(larder_client::fuzzing::spot(written.as_bytes()), Some((source, when, path)));
        }
    }
});
