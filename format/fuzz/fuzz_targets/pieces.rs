//! Lists of pieces of large files.
#![no_main]

use larder_format::tree::read::{OneChunk, covering};
use larder_format::tree::{Piece, encode_pieces};
use larder_format::ChunkRef;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let read = |bytes: &[u8]| covering(&OneChunk(bytes), &ChunkRef::to(bytes));
    let Ok((pieces, covered)) = read(bytes) else { return };
    assert_eq!(read(&encode_pieces(&pieces)), Ok((pieces.clone(), covered)));
    // What decoding promises to everybody who adds sizes up: it cannot overflow.
    assert_eq!(pieces.iter().map(Piece::bytes).sum::<u64>(), covered);
});
