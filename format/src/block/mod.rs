//! Blocks: chunks compressed and written together.
//!
//! Chunks that shrink share a block and a zstd frame: a fifth less room than a frame each, at half the CPU. A very
//! large chunk, or a photo, is a block of its own (docs/why/004-blocks.md). A block does not carry the names of its
//! chunks: every reader hashes the plain bytes, so wrong content under a trusted name cannot be expressed.
//!
//! The header has a hash of its own, so a scan past damage can tell a real block from the magic bytes in a user's file
//! and go on with the next block. Bytes: FORMAT.md, "Block".

mod encode;
mod header;
mod open;

use crate::cut::CHUNK_BYTES_MAX;

pub use encode::{Encoder, looks_random};
pub use header::{Codec, Header};
pub use open::{Decoder, OpenBlock};

/// First bytes of a block, and the search key in a damaged pack.
pub const BLOCK_MAGIC: &[u8; 8] = b"LRDRBLK1";
/// Header bytes before the list of lengths.
pub const HEADER_FIXED_BYTES: usize = 56;
/// Plain bytes of a block: a chunk of the largest kind fits.
pub const BLOCK_PLAIN_BYTES_MAX: usize = CHUNK_BYTES_MAX;
/// Small chunks are gathered up to about this many plain bytes.
pub const BLOCK_PLAIN_BYTES_AIM: usize = 1024 * 1024;
/// Chunks in a block; bounds the header at 24 KiB.
pub const BLOCK_CHUNKS_MAX: usize = 8192;
/// Level of compression. Measured: above this level the time grows faster than the gain, also on a Pi.
pub const ZSTD_LEVEL: i32 = 3;

const WHAT: &str = "a block";

#[cfg(test)]
mod tests;
