//! Blocks: from clients, from disks. The checksums are made right first, or nothing would be reached behind them.
#![no_main]

use larder_format::Hash;
use larder_format::block::{BLOCK_PLAIN_BYTES_MAX, Decoder, Header, OpenBlock};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new();
    let _ = OpenBlock::read(&mut decoder, bytes);
    let _ = OpenBlock::read_for_names(&mut decoder, bytes);
    let Ok(len) = Header::needed(bytes) else { return };
    if len > bytes.len() {
        return;
    }
    let mut bytes = bytes.to_vec();
    let stored = u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize;
    if let Some(stored) = bytes[len..].get(..stored) {
        let hash = Hash::of(stored);
        bytes[24..56].copy_from_slice(&hash.0);
    }
    let check = Hash::of(&bytes[..len - 16]);
    bytes[len - 16..len].copy_from_slice(&check.0[..16]);
    if let Ok((header, open)) = OpenBlock::read(&mut decoder, &bytes) {
        assert!(header.block_len() <= bytes.len());
        assert!(open.plain.len() <= BLOCK_PLAIN_BYTES_MAX);
        assert_eq!(open.chunks.last().unwrap().1.end, open.plain.len());
        assert!(open.chunks.iter().all(|(id, range)| *id == Hash::of(&open.plain[range.clone()])));
        assert_eq!(OpenBlock::read_for_names(&mut decoder, &bytes), Ok(open));
    }
});
