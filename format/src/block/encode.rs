//! Making blocks, compressed where compression saves room.
//!
//! Not here: the choice of chunks for a block (`push` of the client, `repack` of the store).

use super::{BLOCK_CHUNKS_MAX, BLOCK_PLAIN_BYTES_MAX, Codec, Header, ZSTD_LEVEL};
use crate::{ChunkId, Hash};
use std::borrow::Cow;

/// Level for blocks sent and then forgotten: three times as fast, for a tenth more bytes on the wire.
const ZSTD_LEVEL_PASSING: i32 = 1;

/// Makes blocks; keeps the compressor's memory (about 1 MiB) between blocks.
pub struct Encoder {
    zstd: zstd::bulk::Compressor<'static>,
}

impl Encoder {
    /// An encoder at `ZSTD_LEVEL`.
    ///
    /// # Panics
    /// When not even the compressor's memory can be had.
    pub fn new() -> Self {
        Self::at(ZSTD_LEVEL)
    }

    /// An encoder for blocks that are never stored.
    ///
    /// # Panics
    /// As `new`.
    pub fn passing() -> Self {
        Self::at(ZSTD_LEVEL_PASSING)
    }

    fn at(level: i32) -> Self {
        Self { zstd: zstd::bulk::Compressor::new(level).expect("memory for a compressor") }
    }

    /// A block of the chunks back to back in `plain`; `lengths` tells where each ends. Bytes that do not shrink are
    /// stored plain.
    ///
    /// # Panics
    /// When the lengths do not add up or break the limits: the caller's mistake, not the input's.
    pub fn encode(&mut self, plain: &[u8], lengths: Vec<u32>) -> Vec<u8> {
        self.encode_named(plain, lengths, None).concat()
    }

    /// As `encode`, in two parts, so bytes stored plain need no copy.
    ///
    /// # Panics
    /// As `encode`.
    pub fn encode_parts<'a>(&mut self, plain: &'a [u8], lengths: Vec<u32>) -> [Cow<'a, [u8]>; 2] {
        self.encode_named(plain, lengths, None)
    }

    /// As `encode_parts`, for a chunk with a known name. For a chunk stored plain the name is also the hash of the
    /// stored bytes, so a photo is not hashed twice. A wrong name makes a block that no reader opens.
    ///
    /// # Panics
    /// As `encode`.
    pub fn encode_one<'a>(&mut self, plain: &'a [u8], name: ChunkId) -> [Cow<'a, [u8]>; 2] {
        let len = u32::try_from(plain.len()).expect("a block is at most 4 MiB");
        self.encode_named(plain, vec![len], Some(name))
    }

    fn encode_named<'a>(
        &mut self,
        plain: &'a [u8],
        lengths: Vec<u32>,
        name: Option<ChunkId>,
    ) -> [Cow<'a, [u8]>; 2] {
        assert!(!lengths.is_empty() && lengths.len() <= BLOCK_CHUNKS_MAX, "1 to {BLOCK_CHUNKS_MAX} chunks");
        assert!(plain.len() <= BLOCK_PLAIN_BYTES_MAX, "a block is at most {BLOCK_PLAIN_BYTES_MAX} bytes");
        assert_eq!(lengths.iter().map(|len| *len as usize).sum::<usize>(), plain.len(), "lengths add up");
        let packed = if looks_random(plain) { None } else { self.zstd.compress(plain).ok() };
        let packed = packed.filter(|packed| packed.len() + packed.len() / 64 < plain.len());
        let (codec, stored) =
            packed.map_or((Codec::Plain, Cow::Borrowed(plain)), |packed| (Codec::Zstd, Cow::Owned(packed)));
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a block is at most 4 MiB");
        let header = Header {
            codec,
            stored_len: len(&stored),
            plain_len: len(plain),
            stored_hash: name.filter(|_| codec == Codec::Plain).unwrap_or_else(|| Hash::of(&stored)),
            lengths,
        };
        [Cow::Owned(header.encode()), stored]
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether compressing is a waste: photos, films and archives have the 256 byte values about equally often. Looks at
/// 16 KiB at most, from four places, since headers of such files do compress. False below 64 KiB.
pub fn looks_random(plain: &[u8]) -> bool {
    const WINDOW: usize = 4096;
    const LOOKED_AT: f64 = 4.0 * 4096.0;
    if plain.len() < 16 * WINDOW {
        return false;
    }
    let mut seen = [0u32; 256];
    for quarter in 0..4 {
        let from = plain.len() / 4 * quarter + plain.len() / 16;
        plain[from..from + WINDOW].iter().for_each(|byte| seen[usize::from(*byte)] += 1);
    }
    let bits: f64 =
        seen.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / LOOKED_AT).map(|p| -p * p.log2()).sum();
    // 16 KiB of true noise measure 7.988 bits a byte; densely encoded text stays below 7.5.
    bits > 7.9
}
