//! Lists of chunk names in requests.
#![no_main]

use larder_format::wire::{IDS_MAX, decode_ids, encode_ids};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(ids) = decode_ids(bytes) {
        assert!(ids.len() <= IDS_MAX);
        assert_eq!(encode_ids(&ids), bytes);
    }
});
