//! Lists of chunk names in requests, and of places in answers.
#![no_main]

use larder_format::wire::{IDS_MAX, decode_ids, decode_places, encode_ids, encode_places};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(ids) = decode_ids(bytes) {
        assert!(ids.len() <= IDS_MAX);
        assert_eq!(encode_ids(&ids), bytes);
    }
    if let Ok(places) = decode_places(bytes, bytes.len() / 8) {
        assert_eq!(encode_places(places), bytes);
    }
});
