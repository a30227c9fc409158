//! Opening blocks: the plain bytes, and the name of each chunk by content.
//!
//! The header's claim bounds the memory, and 4 MiB bound the claim. Not here: the header (`header`).

use super::{Codec, Header, WHAT};
use crate::{ChunkId, FormatError, Hash};
use std::{borrow::Cow, ops::Range};

/// Opens blocks; keeps the decompressor's memory between blocks.
pub struct Decoder {
    zstd: zstd::bulk::Decompressor<'static>,
}

impl Decoder {
    /// A decoder.
    ///
    /// # Panics
    /// When not even the decompressor's memory can be had.
    pub fn new() -> Self {
        Self { zstd: zstd::bulk::Decompressor::new().expect("memory for a decompressor") }
    }

    /// Checks the stored bytes and returns the plain bytes: at most 4 MiB, exactly as many as the header says.
    ///
    /// # Errors
    /// `Short`, `Damaged` or `Invalid`; a frame growing beyond the claim is stopped there.
    pub fn plain<'a>(&mut self, header: &Header, stored: &'a [u8]) -> Result<Cow<'a, [u8]>, FormatError> {
        let stored = stored.get(..header.stored_len as usize).ok_or(FormatError::Short { what: WHAT })?;
        if Hash::of(stored) != header.stored_hash {
            return Err(FormatError::Damaged { what: WHAT });
        }
        self.unpack(header, stored)
    }

    /// As `plain`, unchecked: the caller has checked the stored bytes or will name the plain bytes.
    ///
    /// # Errors
    /// `Short` or `Invalid`; a frame growing beyond the claim is stopped there.
    pub fn unpack<'a>(&mut self, header: &Header, stored: &'a [u8]) -> Result<Cow<'a, [u8]>, FormatError> {
        let stored = stored.get(..header.stored_len as usize).ok_or(FormatError::Short { what: WHAT })?;
        let plain = match header.codec {
            Codec::Plain => Cow::Borrowed(stored),
            // Several frames, or a frame without a size, would read here and nowhere else.
            Codec::Zstd if !is_one_frame(stored, header.plain_len) => {
                return Err(FormatError::Invalid { what: WHAT, why: "it is not one zstd frame of its size" });
            }
            Codec::Zstd => self
                .zstd
                .decompress(stored, header.plain_len as usize)
                .map(Cow::Owned)
                .map_err(|_| FormatError::Invalid { what: WHAT, why: "its bytes do not decompress" })?,
        };
        if plain.len() != header.plain_len as usize {
            return Err(FormatError::Invalid { what: WHAT, why: "it holds fewer bytes than it claims" });
        }
        Ok(plain)
    }
}

fn is_one_frame(stored: &[u8], plain_len: u32) -> bool {
    zstd::zstd_safe::find_frame_compressed_size(stored) == Ok(stored.len())
        && zstd::zstd_safe::get_frame_content_size(stored).is_ok_and(|size| size == Some(plain_len.into()))
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// An opened block, with the chunks named by content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBlock<'a> {
    /// The chunks' bytes, back to back; the bytes of a plain block are not copied.
    pub plain: Cow<'a, [u8]>,
    /// Name and place of each chunk in `plain`.
    pub chunks: Vec<(ChunkId, Range<usize>)>,
}

impl<'a> OpenBlock<'a> {
    /// Opens the block at the start of `bytes`.
    ///
    /// # Errors
    /// As `Header::decode` and `Decoder::plain`.
    pub fn read(decoder: &mut Decoder, bytes: &'a [u8]) -> Result<(Header, Self), FormatError> {
        let header = Header::decode(bytes)?;
        let plain = decoder.plain(&header, &bytes[header.len()..])?;
        if header.codec == Codec::Plain && header.lengths.len() == 1 {
            // The stored bytes are the chunk, hashed by `plain` just before.
            let chunks = vec![(header.stored_hash, 0..plain.len())];
            return Ok((header, Self { plain, chunks }));
        }
        let open = Self::named(&header, plain);
        Ok((header, open))
    }

    /// As `read`, for a reader that looks for chunks by name: a chunk under the right name is whole, so the stored
    /// bytes need no hash of their own.
    ///
    /// # Errors
    /// As `Header::decode` and `Decoder::unpack`.
    pub fn read_for_names(decoder: &mut Decoder, bytes: &'a [u8]) -> Result<Self, FormatError> {
        let header = Header::decode(bytes)?;
        let plain = decoder.unpack(&header, &bytes[header.len()..])?;
        Ok(Self::named(&header, plain))
    }

    fn named(header: &Header, plain: Cow<'a, [u8]>) -> Self {
        let chunks = header.ranges().map(|range| (Hash::of(&plain[range.clone()]), range)).collect();
        Self { plain, chunks }
    }

    /// The same block, free of the input bytes.
    pub fn into_owned(self) -> OpenBlock<'static> {
        OpenBlock { plain: Cow::Owned(self.plain.into_owned()), chunks: self.chunks }
    }

    /// Bytes of the chunk `id`, if in the block.
    pub fn chunk(&self, id: &ChunkId) -> Option<&[u8]> {
        self.chunks.iter().find(|(name, _)| name == id).map(|(_, range)| &self.plain[range.clone()])
    }
}
