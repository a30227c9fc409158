//! Blocks: chunks that are compressed and written together.
//!
//! Chunks that shrink share a block and its zstd frame, which takes a fifth less room than a frame each at half the CPU; a
//! very large one, or a photo, is a block of its own (docs/why/004-blocks.md). A block does not carry the names of
//! its chunks: whoever opens it hashes the plain bytes, so wrong content under a trusted name cannot be expressed.
//!
//! The header has a hash of its own, so a scan that met damage can tell a real block from the magic bytes in
//! somebody's file and go on with the next one. Bytes: FORMAT.md, "Block".

use crate::{ChunkId, Fields, FormatError, Hash, cut::CHUNK_BYTES_MAX};
use std::{borrow::Cow, ops::Range};

/// First bytes of a block; a damaged pack is searched for them.
pub const BLOCK_MAGIC: &[u8; 8] = b"LRDRBLK1";
/// Header bytes before the list of lengths.
pub const HEADER_FIXED_BYTES: usize = 56;
/// Plain bytes of a block: one chunk of the largest kind fits.
pub const BLOCK_PLAIN_BYTES_MAX: usize = CHUNK_BYTES_MAX;
/// Small chunks are gathered up to about this many plain bytes.
pub const BLOCK_PLAIN_BYTES_AIM: usize = 1024 * 1024;
/// Chunks in one block; bounds the header at 24 KiB.
pub const BLOCK_CHUNKS_MAX: usize = 8192;
/// Level of compression. Measured: above it the time grows faster than the gain, also on a Pi.
pub const ZSTD_LEVEL: i32 = 3;
/// Level for blocks that are sent and then forgotten: three times as fast, for a tenth more bytes on the wire.
const ZSTD_LEVEL_PASSING: i32 = 1;

const CHECK_BYTES: usize = 16;
const LENGTH_BYTES: usize = 3;
const WHAT: &str = "a block";

/// How the stored bytes become the plain ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    Plain,
    /// One zstd frame.
    Zstd,
}

/// A block's header: everything but its stored bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// How to decode.
    pub codec: Codec,
    /// Bytes after the header.
    pub stored_len: u32,
    /// Bytes after decoding: the sum of `lengths`.
    pub plain_len: u32,
    /// BLAKE3 of the stored bytes, so that a scrub need not decode.
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

    /// How many bytes of a block must be read to know its whole header.
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

    /// Reads the header at the start of `bytes`; what follows it is left alone.
    ///
    /// # Errors
    /// Every way in which bytes can fail to be a header; never a panic, and no allocation above 32 KiB.
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
        // A stored form that is not smaller is written plain, so anything larger is a lie.
        if !plain_fits || stored_len > plain_len || (codec == Codec::Plain && stored_len != plain_len) {
            return Err(FormatError::Invalid { what: WHAT, why: "its lengths contradict each other" });
        }
        Ok(Self { codec, stored_len, plain_len, stored_hash, lengths })
    }

    fn encode(&self) -> Vec<u8> {
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

/// Makes blocks; keeps the compressor's memory (about 1 MiB) between them.
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

    /// An encoder for blocks that nobody stores.
    ///
    /// # Panics
    /// As `new`.
    pub fn passing() -> Self {
        Self::at(ZSTD_LEVEL_PASSING)
    }

    fn at(level: i32) -> Self {
        Self { zstd: zstd::bulk::Compressor::new(level).expect("memory for a compressor") }
    }

    /// One block of the chunks that lie back to back in `plain`; `lengths` tells where each ends.
    /// What does not shrink is stored as it is.
    ///
    /// # Panics
    /// When the lengths do not add up or break the limits: the caller's mistake, not the input's.
    pub fn encode(&mut self, plain: &[u8], lengths: Vec<u32>) -> Vec<u8> {
        self.encode_named(plain, lengths, None).concat()
    }

    /// As `encode`, in two parts, so that what is stored as it is need not be copied.
    ///
    /// # Panics
    /// As `encode`.
    pub fn encode_parts<'a>(&mut self, plain: &'a [u8], lengths: Vec<u32>) -> [Cow<'a, [u8]>; 2] {
        self.encode_named(plain, lengths, None)
    }

    /// As `encode_parts`, for one chunk whose name is known: where it is stored as it is, its name is the hash of the
    /// stored bytes too, and a photo is not hashed twice. A wrong name makes a block that nobody opens.
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

/// Whether compressing is a waste: photos, films and archives have all 256 bytes about equally often.
/// Looks at 16 KiB at most, from four places, since headers of such files do compress. Below 64 KiB nothing does.
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
    // 16 KiB of true noise measure 7.988 bits a byte; text that was encoded densely stays below 7.5.
    bits > 7.9
}

/// Opens blocks; keeps the decompressor's memory between them.
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

    /// Checks the stored bytes and gives the plain ones: at most 4 MiB, exactly as many as the header says.
    ///
    /// # Errors
    /// `Short`, `Damaged` or `Invalid`; a frame that would grow beyond its claim is stopped there.
    pub fn plain<'a>(&mut self, header: &Header, stored: &'a [u8]) -> Result<Cow<'a, [u8]>, FormatError> {
        let stored = stored.get(..header.stored_len as usize).ok_or(FormatError::Short { what: WHAT })?;
        if Hash::of(stored) != header.stored_hash {
            return Err(FormatError::Damaged { what: WHAT });
        }
        self.unpack(header, stored)
    }

    /// The same for whoever checked the stored bytes already, or will name the plain ones.
    ///
    /// # Errors
    /// `Short` or `Invalid`; a frame that would grow beyond its claim is stopped there.
    pub fn unpack<'a>(&mut self, header: &Header, stored: &'a [u8]) -> Result<Cow<'a, [u8]>, FormatError> {
        let stored = stored.get(..header.stored_len as usize).ok_or(FormatError::Short { what: WHAT })?;
        let plain = match header.codec {
            Codec::Plain => Cow::Borrowed(stored),
            // Several frames, or one without its size, would read here and nowhere else.
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

/// A block that was opened and whose chunks were named by their content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBlock<'a> {
    /// The chunks' bytes, back to back; those of a plain block are not copied.
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
            // The stored bytes are the chunk, and `plain` has just hashed them.
            let chunks = vec![(header.stored_hash, 0..plain.len())];
            return Ok((header, Self { plain, chunks }));
        }
        let open = Self::named(&header, plain);
        Ok((header, open))
    }

    /// The same for a reader who looks for chunks by name: what has the right name is whole, so the stored bytes need
    /// no hash of their own.
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

    /// The same, free of the bytes that it was read from.
    pub fn into_owned(self) -> OpenBlock<'static> {
        OpenBlock { plain: Cow::Owned(self.plain.into_owned()), chunks: self.chunks }
    }

    /// Bytes of the chunk called `id`, if it is in here.
    pub fn chunk(&self, id: &ChunkId) -> Option<&[u8]> {
        self.chunks.iter().find(|(name, _)| name == id).map(|(_, range)| &self.plain[range.clone()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(parts: &[&[u8]]) -> Vec<u8> {
        let lengths = parts.iter().map(|part| u32::try_from(part.len()).unwrap()).collect();
        Encoder::new().encode(&parts.concat(), lengths)
    }

    #[test]
    fn chunks_come_back_under_their_own_names() {
        let text = b"a word, ".repeat(9000);
        let bytes = block(&[b"first", b"", &text]);
        let (header, open) = OpenBlock::read(&mut Decoder::new(), &bytes).unwrap();
        assert_eq!((header.codec, header.block_len()), (Codec::Zstd, bytes.len()));
        assert_eq!(open.chunk(&Hash::of(&text)), Some(&text[..]));
        assert_eq!(open.chunk(&Hash::of(b"first")), Some(&b"first"[..]));
    }

    #[test]
    fn what_does_not_shrink_is_stored_plain() {
        let mut noise = vec![0; 300_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert_eq!(Header::decode(&block(&[&noise])).unwrap().codec, Codec::Plain);
        assert_eq!(Header::decode(&block(&[b"x"])).unwrap().codec, Codec::Plain);
    }

    /// A chunk that is named by its sender is read like any other; under a wrong name it is not read at all.
    #[test]
    fn a_name_that_came_along_saves_a_hash_and_is_still_checked() {
        let mut noise = vec![0; 300_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        for chunk in [&noise[..], &b"shrinks ".repeat(9000)] {
            let bytes = Encoder::new().encode_one(chunk, Hash::of(chunk)).concat();
            assert_eq!(bytes, block(&[chunk]));
            let (_, open) = OpenBlock::read(&mut Decoder::new(), &bytes).unwrap();
            assert_eq!(open.chunk(&Hash::of(chunk)), Some(chunk));
        }
        let wrong = Encoder::new().encode_one(&noise, Hash::of(b"another")).concat();
        assert_eq!(OpenBlock::read(&mut Decoder::new(), &wrong), Err(FormatError::Damaged { what: WHAT }));
    }

    /// Whoever looks for names does without the hash of the stored bytes, and still gets nothing under a wrong one.
    #[test]
    fn a_chunk_under_its_name_is_whole_although_its_block_is_not() {
        let mut noise = vec![0; 300_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        for (text, codec) in [(&noise[..], Codec::Plain), (&b"shrinks, ".repeat(9000), Codec::Zstd)] {
            let bytes = block(&[b"first", text]);
            let (header, open) = OpenBlock::read(&mut Decoder::new(), &bytes).unwrap();
            assert_eq!(header.codec, codec);
            assert_eq!(OpenBlock::read_for_names(&mut Decoder::new(), &bytes), Ok(open));
            let mut spoiled = bytes.clone();
            *spoiled.last_mut().unwrap() ^= 1;
            if let Ok(open) = OpenBlock::read_for_names(&mut Decoder::new(), &spoiled) {
                assert_eq!(open.chunk(&Hash::of(text)), None);
                assert!(open.chunks.iter().all(|(id, range)| *id == Hash::of(&open.plain[range.clone()])));
            }
        }
        let mut spoiled = block(&[b"first", &noise]);
        *spoiled.last_mut().unwrap() ^= 1;
        let open = OpenBlock::read_for_names(&mut Decoder::new(), &spoiled).unwrap();
        assert_eq!(open.chunk(&Hash::of(b"first")), Some(&b"first"[..]));
    }

    /// A header may be whole and still ask for more memory than any block has, or contradict itself.
    #[test]
    fn no_header_claims_more_than_a_block_may_hold() {
        let read = |codec, stored_len, plain_len, lengths: &[u32]| {
            let (stored_hash, lengths) = (Hash::ZERO, lengths.to_vec());
            Header::decode(&Header { codec, stored_len, plain_len, stored_hash, lengths }.encode())
        };
        let max = u32::try_from(BLOCK_PLAIN_BYTES_MAX).unwrap();
        assert!(read(Codec::Zstd, 9, max, &[max - 1, 1]).is_ok());
        for (codec, stored_len, plain_len, lengths) in [
            (Codec::Zstd, 9, max + 1, [max, 1]),
            (Codec::Plain, max + 1, max + 1, [max, 1]),
            (Codec::Zstd, 9, max, [max - 1, 0]),
            (Codec::Zstd, 11, 10, [9, 1]),
            (Codec::Plain, 9, 10, [9, 1]),
        ] {
            let refused = read(codec, stored_len, plain_len, &lengths);
            assert!(matches!(refused, Err(FormatError::Invalid { .. })), "{refused:?}");
        }
    }

    /// Two frames in a row, or one that does not tell its size, unpack here and nowhere else.
    #[test]
    fn only_one_frame_that_tells_its_size_is_a_block() {
        let plain = b"a word, ".repeat(100);
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        let read = |stored: &[u8]| {
            let (stored_hash, lengths) = (Hash::of(stored), vec![len(&plain)]);
            let (stored_len, plain_len) = (len(stored), len(&plain));
            let header = Header { codec: Codec::Zstd, stored_len, plain_len, stored_hash, lengths };
            OpenBlock::read(&mut Decoder::new(), &[&header.encode()[..], stored].concat()).map(drop)
        };
        let mut zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).unwrap();
        assert_eq!(read(&zstd.compress(&plain).unwrap()), Ok(()));
        let two = [zstd.compress(&plain[..400]).unwrap(), zstd.compress(&plain[400..]).unwrap()].concat();
        assert!(matches!(read(&two), Err(FormatError::Invalid { .. })));
        zstd.set_parameter(zstd::zstd_safe::CParameter::ContentSizeFlag(false)).unwrap();
        assert!(matches!(read(&zstd.compress(&plain).unwrap()), Err(FormatError::Invalid { .. })));
    }

    /// A small frame that claims little but unpacks to much must be stopped at its claim.
    #[test]
    fn a_bomb_is_stopped_at_its_claim() {
        let frame = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
        let header = Header {
            codec: Codec::Zstd,
            stored_len: u32::try_from(frame.len()).unwrap(),
            plain_len: 3 << 20,
            stored_hash: Hash::of(&frame),
            lengths: vec![3 << 20],
        };
        let bytes = [header.encode(), frame].concat();
        assert!(matches!(OpenBlock::read(&mut Decoder::new(), &bytes), Err(FormatError::Invalid { .. })));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(text in "[a-z ]{1,400}", at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = block(&[text.as_bytes(), b"tail"]);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(OpenBlock::read(&mut Decoder::new(), &bytes).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = OpenBlock::read(&mut Decoder::new(), &bytes);
            let _ = Header::decode(&[&BLOCK_MAGIC[..], &bytes].concat());
        }
    }
}
