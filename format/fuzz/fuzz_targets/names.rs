//! Names of files and sources as people and programs type them.
#![no_main]

use larder_format::Hash;
use larder_format::ledger::{composed, is_plain_name, is_source_name, typed};
use larder_format::wire::{escape_name, unescape_name};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let shown = escape_name(bytes);
    assert!(!shown.chars().any(char::is_control));
    assert_eq!(unescape_name(&shown).as_deref(), Some(bytes));
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let _ = (unescape_name(text), Hash::from_hex(text));
    let _ = typed(text, "@12");
    let composed = composed(text);
    assert_eq!(larder_format::ledger::composed(&composed), composed);
    if is_source_name(text) {
        assert!(text.len() <= 320 && !text.starts_with('.') && !text.chars().any(char::is_control));
        let (device, name) = text.split_once('/').expect("a device and a name");
        assert!(is_plain_name(device) && !name.contains('/') && composed == text);
    }
});
