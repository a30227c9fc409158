//! Ledger entries. The length and the hash are made right first, or nothing would be reached behind them.
#![no_main]

use larder_format::Hash;
use larder_format::ledger::Entry;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Entry::decode(bytes);
    let Some(frame) = bytes.first_chunk::<16>() else { return };
    let mut sealed = frame.to_vec();
    sealed[12..].copy_from_slice(&u32::try_from(bytes.len() - 16).unwrap().to_le_bytes());
    sealed.extend_from_slice(&bytes[16..]);
    let hash = Hash::of(&sealed);
    sealed.extend_from_slice(&hash.0);
    if let Ok((entry, found, len)) = Entry::decode(&sealed) {
        assert_eq!((found, len), (hash, sealed.len()));
        let (again, _) = entry.encode();
        assert_eq!(Entry::decode(&again).unwrap().0, entry);
    }
});
