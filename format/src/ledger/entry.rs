//! A ledger entry: the frame around an event.
//!
//! Number, hash of the previous entry and time stand first in every layout, so a reader can follow the chain over
//! entries of unknown meaning. A frame counts only with its own hash, or a flipped bit would pass for a newer Larder.
//! Bytes: FORMAT.md, "Ledger". Not here: the meaning of the kinds (`event`), the chain of entries (`chain`).

use super::event::{Event, Newer, Without};
use super::{ENTRY_BYTES_MAX, LEDGER_MAGIC, LEDGER_VERSION, WallStamp};
use crate::{Fields, FormatError, Hash};
use serde::{Deserialize, Serialize};

const WHAT: &str = "a ledger entry";
const FRAME_BYTES: usize = 8 + 2 + 2 + 4;
/// Bytes of the hash behind the body.
const HASH_BYTES: usize = 32;
/// Kind of an entry with a frame newer than this reader.
const UNKNOWN_KIND: u32 = u32::MAX;

/// A ledger entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Gapless, from 1.
    pub sequence: u64,
    /// Hash of the entry before.
    pub previous: Hash,
    /// When.
    pub stamp: WallStamp,
    /// The event.
    pub event: Event,
}

/// How the body of every entry begins, whatever follows.
#[derive(Serialize, Deserialize)]
struct Beginning {
    sequence: u64,
    previous: Hash,
    stamp: WallStamp,
}

impl Entry {
    /// Bytes of the entry's file, and the hash for the next entry. Uses the oldest sufficient layout.
    ///
    /// # Panics
    /// Never: plain values always encode.
    pub fn encode(&self) -> (Vec<u8>, Hash) {
        let kind = self.event.kind();
        let Self { sequence, previous, stamp, .. } = self;
        let beginning = Beginning { sequence: *sequence, previous: *previous, stamp: *stamp };
        let mut body = postcard::to_stdvec(&(beginning, kind.number)).expect("plain values encode");
        if kind.since > 1 {
            body.push(kind.without.number());
        }
        body.extend(self.event.payload());
        let mut bytes = Vec::with_capacity(FRAME_BYTES + body.len() + HASH_BYTES);
        bytes.extend_from_slice(LEDGER_MAGIC);
        bytes.extend_from_slice(&kind.since.to_le_bytes());
        // The oldest reader of the frame; the rights of a reader without the kind stand in the body.
        bytes.extend_from_slice(&kind.since.min(2).to_le_bytes());
        let len = u32::try_from(body.len()).expect("an entry is at most 1 MiB");
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&body);
        let hash = Hash::of(&bytes);
        bytes.extend_from_slice(&hash.0);
        (bytes, hash)
    }

    /// Reads the entry at the start of `bytes`; returns entry, hash and length in bytes. A whole entry of a newer
    /// Larder reads as `Event::Newer`.
    ///
    /// # Errors
    /// `Short`, `Damaged` or `Invalid`; never a panic.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Hash, usize), FormatError> {
        let EntryFrame { written_by, oldest_reader, body, hash } = EntryFrame::read(bytes)?;
        let invalid = || FormatError::Invalid { what: WHAT, why: "its bytes do not read" };
        let (Beginning { sequence, previous, stamp }, rest) =
            postcard::take_from_bytes(body).map_err(|_| invalid())?;
        let event = match oldest_reader {
            0 | 1 => layout_1(rest),
            2 => layout_2(written_by, rest),
            _ => Some(newer(written_by, UNKNOWN_KIND, Without::ReadOnly, rest)),
        };
        let event = event.ok_or_else(invalid)?;
        Ok((Self { sequence, previous, stamp, event }, hash, FRAME_BYTES + body.len() + HASH_BYTES))
    }
}

fn layout_1(bytes: &[u8]) -> Option<Event> {
    let (kind, payload) = postcard::take_from_bytes(bytes).ok()?;
    let (event, rest) = Event::read(kind, payload)?;
    (rest.is_empty() && event.kind().since == 1).then_some(event)
}

fn layout_2(written_by: u16, bytes: &[u8]) -> Option<Event> {
    let (kind, rest) = postcard::take_from_bytes::<u32>(bytes).ok()?;
    let (without, payload) = rest.split_first()?;
    let unknown = || newer(written_by, kind, Without::from_number(*without), payload);
    let is_ours = written_by <= LEDGER_VERSION;
    match Event::read(kind, payload) {
        // A reader may skip fields appended by a newer writer: a field that it must not skip is a new kind.
        Some((event, rest)) if rest.is_empty() || !is_ours => Some(event),
        None if !is_ours || kind > Event::LAST => Some(unknown()),
        _ => None,
    }
}

fn newer(written_by: u16, kind: u32, without: Without, payload: &[u8]) -> Event {
    let since = written_by.max(2);
    Event::Newer(Newer { since, kind, without, payload: payload.to_vec() })
}

/// An entry with whole bytes, of whatever meaning.
struct EntryFrame<'a> {
    written_by: u16,
    oldest_reader: u16,
    body: &'a [u8],
    hash: Hash,
}

impl<'a> EntryFrame<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, WHAT);
        fields.magic(LEDGER_MAGIC)?;
        let (written_by, oldest_reader) = (fields.u16()?, fields.u16()?);
        let len = fields.u32()? as usize;
        if len > ENTRY_BYTES_MAX {
            return Err(FormatError::Invalid { what: WHAT, why: "it is too large" });
        }
        let body = fields.take(len)?;
        let hash = Hash(fields.array()?);
        if Hash::of(&bytes[..FRAME_BYTES + len]) != hash {
            return Err(FormatError::Damaged { what: WHAT });
        }
        Ok(Self { written_by, oldest_reader, body, hash })
    }
}

#[cfg(test)]
mod tests;
