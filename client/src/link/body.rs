//! Bodies of requests and answers that hold blocks back to back.

use larder_format::{block::Header, cut::CHUNK_BYTES_MAX};
use std::io::{self, Read};

/// Blocks as one body, without a copy in memory.
pub(super) struct BackToBack<'a> {
    pub(super) blocks: &'a [&'a [u8]],
    /// Bytes of the first block that were read already.
    pub(super) at: usize,
}

impl Read for BackToBack<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some((first, rest)) = self.blocks.split_first() {
            let read = (&first[self.at..]).read(into)?;
            self.at += read;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            (self.blocks, self.at) = (rest, 0);
        }
        Ok(0)
    }
}

/// Reads a whole block; false at the end of the answer.
pub(super) fn read_block(reader: &mut impl Read, block: &mut Vec<u8>) -> io::Result<bool> {
    const START: usize = 16;
    let invalid = |error: larder_format::FormatError| io::Error::new(io::ErrorKind::InvalidData, error);
    block.resize(START, 0);
    let mut have = 0;
    while have < START {
        match reader.read(&mut block[have..])? {
            0 if have == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => have += more,
        }
    }
    let header_len = Header::needed(block).map_err(invalid)?;
    block.resize(header_len, 0);
    reader.read_exact(&mut block[START..])?;
    let header = Header::decode(block).map_err(invalid)?;
    debug_assert!(header.stored_len as usize <= CHUNK_BYTES_MAX);
    block.resize(header.block_len(), 0);
    reader.read_exact(&mut block[header_len..])?;
    Ok(true)
}
