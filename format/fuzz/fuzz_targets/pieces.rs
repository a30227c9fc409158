//! Lists of pieces of large files.
#![no_main]

use larder_format::tree::{Piece, decode_pieces, encode_pieces};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(pieces) = decode_pieces(bytes) else { return };
    assert_eq!(decode_pieces(&encode_pieces(&pieces)).as_ref(), Ok(&pieces));
    // What decoding promises to everybody who adds sizes up: it cannot overflow.
    let _: u64 = pieces.iter().map(Piece::bytes).sum();
});
