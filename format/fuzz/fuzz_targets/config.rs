//! `larder.toml` and the descriptions of boards: mistakes of people, and files that a dying card made up.
#![no_main]

use larder_firmware_config::{Board, settings_from_toml};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Err(mistakes) = settings_from_toml(text) {
        assert!(!mistakes.is_empty(), "whoever is refused is told why");
    }
    if let Err(mistakes) = Board::from_toml(text) {
        assert!(!mistakes.is_empty(), "whoever is refused is told why");
    }
});
