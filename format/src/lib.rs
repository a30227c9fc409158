//! The bytes shared by both ends: the layouts on a disk and on the wire.
//!
//! No code here does I/O, reads a clock or panics on any input, so every parser can be fuzzed and both ends share the
//! rules. Bytes from outside are read under caps: a length in a file is a claim, not a fact. Layouts in full, with a
//! worked example: FORMAT.md. Not here: where bytes lie (`store`), who may send bytes (`agent`).

pub mod block;
pub mod care;
pub mod cut;
pub mod id;
pub mod layout;
pub mod ledger;
pub mod mdns;
pub mod names;
pub mod pack;
pub mod parity;
pub mod scan;
pub mod statement;
pub mod tree;
pub mod when;
pub mod wire;

pub use id::{ChunkId, ChunkRef, Hash};

/// A fault in bytes from outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Fewer bytes than the layout needs: a torn write or a cut connection.
    #[error("{what} ends too early")]
    Short {
        /// The thing being read.
        what: &'static str,
    },
    /// The bytes do not match the hash written beside them.
    #[error("{what} is damaged: its checksum does not match")]
    Damaged {
        /// The thing being read.
        what: &'static str,
    },
    /// The bytes are whole but break a rule of the format.
    #[error("{what} is not valid: {why}")]
    Invalid {
        /// The thing being read.
        what: &'static str,
        /// The broken rule.
        why: &'static str,
    },
    /// Written by a newer Larder that forbids older readers to guess.
    #[error("{what} needs a newer Larder (format {version})")]
    TooNew {
        /// The thing being read.
        what: &'static str,
        /// The oldest format version that may read the bytes.
        version: u16,
    },
}

/// Little-endian fields out of a slice, without panics.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(FormatError::Short { what: self.what })?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(FormatError::Short { what: self.what })?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FormatError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn magic(&mut self, magic: &[u8; 8]) -> Result<(), FormatError> {
        if self.array::<8>()? == *magic {
            Ok(())
        } else {
            Err(FormatError::Invalid { what: self.what, why: "it does not start with its magic bytes" })
        }
    }
}
