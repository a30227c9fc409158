//! The header of a block: how the bytes are stored, and where each chunk ends.
//!
//! Every length is a claim, checked against the remaining lengths before any memory is asked for. Not here: the stored
//! bytes (`encode`, `open`).

use super::{BLOCK_CHUNKS_MAX, BLOCK_MAGIC, BLOCK_PLAIN_BYTES_MAX, HEADER_FIXED_BYTES, WHAT};
use crate::{Fields, FormatError, Hash};
use std::ops::Range;

const CHECK_BYTES: usize = 16;
const LENGTH_BYTES: usize = 3;

/// How stored bytes become plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Stored unchanged.
    Plain,
    /// A single zstd frame.
    Zstd,
}

/// The header of a block, without the stored bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// How to decode.
    pub codec: Codec,
    /// Bytes after the header.
    pub stored_len: u32,
    /// Bytes after decoding: the sum of `lengths`.
    pub plain_len: u32,
    /// BLAKE3 of the stored bytes, so a scrub need not decode.
    pub stored_hash: Hash,
    /// Plain length of each chunk, in order.
    pub lengths: Vec<u32>,
}

impl Header {
    /// Bytes of the header itself.
    pub fn len(&self) -> usize {
        header_len(self.lengths.len())
    }

    /// Never: a header has bytes.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Bytes of header and stored bytes together.
    pub fn block_len(&self) -> usize {
        self.len() + self.stored_len as usize
    }

    /// Where each chunk lies in the plain bytes, in order.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut end = 0;
        self.lengths.iter().map(move |len| {
            let start = end;
            end += *len as usize;
            start..end
        })
    }

    /// Bytes of a block to read for the whole header.
    ///
    /// # Errors
    /// `Short` below 56 bytes; `Invalid` when this is no block.
    pub fn needed(bytes: &[u8]) -> Result<usize, FormatError> {
        let mut fields = Fields::new(bytes, WHAT);
        fields.magic(BLOCK_MAGIC)?;
        let (_version, _codec, _reserved) = (fields.u8()?, fields.u8()?, fields.u16()?);
        let chunks = fields.u32()? as usize;
        if chunks == 0 || chunks > BLOCK_CHUNKS_MAX {
            return Err(FormatError::Invalid { what: WHAT, why: "it claims no chunks or too many" });
        }
        Ok(header_len(chunks))
    }

    /// Reads the header at the start of `bytes`; ignores the bytes behind.
    ///
    /// # Errors
    /// Every kind of malformed header; never a panic, and no allocation above 32 KiB.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let header = bytes.get(..Self::needed(bytes)?).ok_or(FormatError::Short { what: WHAT })?;
        let (checked, check) = header.split_at(header.len() - CHECK_BYTES);
        if Hash::of(checked).0[..CHECK_BYTES] != *check {
            return Err(FormatError::Damaged { what: "a block's header" });
        }
        let mut fields = Fields::new(checked, WHAT);
        fields.take(BLOCK_MAGIC.len())?;
        let version = fields.u8()?;
        if version != 1 {
            return Err(FormatError::TooNew { what: WHAT, version: version.into() });
        }
        let codec = match fields.u8()? {
            0 => Codec::Plain,
            1 => Codec::Zstd,
            _ => return Err(FormatError::TooNew { what: WHAT, version: 2 }),
        };
        let _reserved = fields.u16()?;
        let chunks = fields.u32()?;
        let (stored_len, plain_len) = (fields.u32()?, fields.u32()?);
        let stored_hash = Hash(fields.array()?);
        let lengths = (0..chunks)
            .map(|_| fields.array::<LENGTH_BYTES>().map(|b| u32::from_le_bytes([b[0], b[1], b[2], 0])))
            .collect::<Result<Vec<_>, _>>()?;
        let sum: u64 = lengths.iter().map(|len| u64::from(*len)).sum();
        let plain_fits = plain_len as usize <= BLOCK_PLAIN_BYTES_MAX && u64::from(plain_len) == sum;
        // Bytes that do not shrink are written plain, so a larger stored form is a lie.
        if !plain_fits || stored_len > plain_len || (codec == Codec::Plain && stored_len != plain_len) {
            return Err(FormatError::Invalid { what: WHAT, why: "its lengths contradict each other" });
        }
        Ok(Self { codec, stored_len, plain_len, stored_hash, lengths })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        bytes.extend_from_slice(BLOCK_MAGIC);
        bytes.extend_from_slice(&[1, u8::from(self.codec == Codec::Zstd), 0, 0]);
        let chunks = u32::try_from(self.lengths.len()).expect("at most BLOCK_CHUNKS_MAX");
        for field in [chunks, self.stored_len, self.plain_len] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&self.stored_hash.0);
        for len in &self.lengths {
            bytes.extend_from_slice(&len.to_le_bytes()[..LENGTH_BYTES]);
        }
        let check = Hash::of(&bytes);
        bytes.extend_from_slice(&check.0[..CHECK_BYTES]);
        bytes
    }
}

fn header_len(chunks: usize) -> usize {
    HEADER_FIXED_BYTES + chunks * LENGTH_BYTES + CHECK_BYTES
}
