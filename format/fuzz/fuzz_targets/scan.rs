//! Scanning a pack without its table. The header checks of the blocks that a magic begins are made right first, or
//! nothing behind them would be reached; windows must change nothing.
#![no_main]

use larder_format::Hash;
use larder_format::block::{BLOCK_MAGIC, Decoder, Header};
use larder_format::scan::{Scanned, may_hold_nodes, scan};

fn found(bytes: &[u8]) -> (Vec<(usize, Hash)>, Scanned) {
    let mut found = Vec::new();
    let scanned = scan(&mut Decoder::new(), bytes, true, &mut |at, block| {
        assert!(block.chunks.iter().all(|(id, range)| *id == Hash::of(&block.plain[range.clone()])));
        found.extend(block.chunks.iter().map(|(id, _)| (at, *id)));
    });
    (found, scanned)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    let magics: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(BLOCK_MAGIC)).take(16).collect();
    for at in magics.into_iter().rev() {
        let Ok(len) = Header::needed(&bytes[at..]) else { continue };
        if at + len > bytes.len() {
            continue;
        }
        let stored = u32::from_le_bytes(bytes[at + 16..at + 20].try_into().unwrap()) as usize;
        if let Some(stored) = bytes[at + len..].get(..stored) {
            let hash = Hash::of(stored);
            bytes[at + 24..at + 56].copy_from_slice(&hash.0);
        }
        let check = Hash::of(&bytes[at..at + len - 16]);
        bytes[at + len - 16..at + len].copy_from_slice(&check.0[..16]);
    }
    let (whole, scanned) = found(&bytes);
    assert_eq!(scanned.done, bytes.len());
    assert!(whole.is_sorted_by_key(|(at, _)| *at));
    // With something in front and a window that is not the last one, nothing is lost and nothing is found twice.
    let mut first = Vec::new();
    let part = scan(&mut Decoder::new(), &bytes, false, &mut |at, block| {
        first.extend(block.chunks.iter().map(|(id, _)| (at, *id)));
    });
    assert!(part.done <= bytes.len());
    let (rest, _) = found(&bytes[part.done..]);
    first.extend(rest.into_iter().map(|(at, id)| (at + part.done, id)));
    assert_eq!(first, whole);
    if let Ok(header) = Header::decode(&bytes) {
        let _ = may_hold_nodes(&header);
    }
});
