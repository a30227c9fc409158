//! Names of files and sources as people and programs type them.
#![no_main]

use larder_format::Hash;
use larder_format::ledger::{is_plain_name, is_source_name};
use larder_format::wire::{escape_name, unescape_name};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let shown = escape_name(bytes);
    assert!(!shown.chars().any(char::is_control));
    assert_eq!(unescape_name(&shown).as_deref(), Some(bytes));
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let _ = (unescape_name(text), Hash::from_hex(text));
    if is_source_name(text) {
        assert!(text.len() <= 129 && !text.starts_with('.'));
        assert!(text.split('/').all(is_plain_name));
    }
});
