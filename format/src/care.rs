//! What the agent writes down about its own disks: how far a scrub has come, which packs it could not read, and what was
//! lost with a pack.
//!
//! Nothing that a reader of files needs. Losing a scrub's state only begins the round again, and losing the list of packs
//! that could not be read only gives them more time; a record of losses keeps a device from believing that what it sent
//! once need not be sent again. Each is one value behind a frame with a
//! hash, since these files rot like others. Not here: where they lie (`store`).

use crate::ledger::Stamp;
use crate::{Fields, FormatError, Hash};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Layout of these files.
pub const CARE_VERSION: u16 = 1;
/// First bytes of each of these files.
pub const CARE_MAGIC: &[u8; 8] = b"LRDRCAR1";
/// The longest is the record of a pack with 65,535 chunks.
pub const CARE_BYTES_MAX: usize = 16 * 1024 * 1024;
const WHAT: &str = "a note about the disk";
const FRAME_BYTES: usize = 8 + 2 + 2 + 32;

/// How far a scrub of one disk has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// When it began; none between two rounds.
    pub started: Option<Stamp>,
    /// The path that was read last.
    pub at: String,
    /// Bytes that were read.
    pub bytes: u64,
    /// Bytes that there were to read when it began.
    pub total: u64,
    /// Files that were damaged or missing.
    pub damaged: u64,
    /// Those of them that are whole again.
    pub repaired: u64,
    /// Those of them that could not be repaired, and of which nothing is given up: for want of room, or of another copy.
    pub left: u64,
    /// Pieces of files that could not be brought back.
    pub lost: u64,
    /// Damage was met, and the disk is read anew.
    pub is_hurried: bool,
}

/// A pack that a disk could not read, though it may still hold all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// Name of the pack.
    pub pack: Hash,
    /// Attempts to read it that failed, each some hours of running after the one before.
    pub attempts: u32,
    /// When the first of them was.
    pub first: Stamp,
    /// When the last of them was.
    pub last: Stamp,
}

/// All packs that a disk could not read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspects {
    /// In the order in which they were met.
    pub packs: Vec<Suspect>,
}

/// One file that cannot be given back whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostFile {
    /// `DEVICE/NAME`.
    pub source: String,
    /// The newest snapshot that has the file so.
    pub snapshot: u64,
    /// Its path; one that ends with `/` is a folder whose list is lost, and with it everything below.
    pub path: String,
    /// A piece of it that is missing.
    pub piece: Hash,
}

/// What was lost with one pack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// The first thousand files.
    pub files: Vec<LostFile>,
    /// All pieces.
    pub pieces: Vec<Hash>,
}

/// A value that may lie in such a file.
pub trait Note: Serialize + DeserializeOwned {}

impl Note for Round {}
impl Note for Suspects {}
impl Note for Losses {}

/// The bytes of such a file.
///
/// # Panics
/// Never: plain values always encode.
pub fn encode<T: Note>(value: &T) -> Vec<u8> {
    let body = postcard::to_stdvec(value).expect("plain values encode");
    let mut bytes = Vec::with_capacity(FRAME_BYTES + body.len());
    bytes.extend_from_slice(CARE_MAGIC);
    bytes.extend_from_slice(&CARE_VERSION.to_le_bytes());
    bytes.extend_from_slice(&CARE_VERSION.to_le_bytes()); // The oldest reader that may open it.
    bytes.extend_from_slice(&body);
    let hash = Hash::of(&bytes);
    bytes.extend_from_slice(&hash.0);
    bytes
}

/// Reads such a file.
///
/// # Errors
/// `Short`, `Damaged`, `TooNew` or `Invalid`; never a panic.
pub fn decode<T: Note>(bytes: &[u8]) -> Result<T, FormatError> {
    let short = FormatError::Short { what: WHAT };
    let end = bytes.len().checked_sub(32).ok_or(short)?;
    let mut fields = Fields::new(&bytes[..end], WHAT);
    fields.magic(CARE_MAGIC)?;
    if Hash::of(&bytes[..end]).0 != bytes[end..] {
        return Err(FormatError::Damaged { what: WHAT });
    }
    let (_written_by, oldest_reader) = (fields.u16()?, fields.u16()?);
    if oldest_reader > CARE_VERSION {
        return Err(FormatError::TooNew { what: WHAT, version: oldest_reader });
    }
    let body = fields.take(end + 32 - FRAME_BYTES)?;
    let read = postcard::take_from_bytes(body).ok().filter(|(_, rest)| rest.is_empty());
    let (value, _) = read.ok_or(FormatError::Invalid { what: WHAT, why: "its bytes do not read" })?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn losses() -> Losses {
        let piece = Hash::of(b"piece");
        let file = LostFile { source: "laptop/docs".into(), snapshot: 2, path: "b/".into(), piece };
        Losses { files: vec![file], pieces: vec![piece, Hash::of(b"other")] }
    }

    #[test]
    fn a_note_comes_back() {
        assert_eq!(decode(&encode(&losses())), Ok(losses()));
        let round = Round { started: Some(Stamp::default()), at: "disk.json".into(), ..Round::default() };
        assert_eq!(decode(&encode(&round)), Ok(round));
        let (first, last) = (Stamp::default(), Stamp { powered_on_s: 90_000, ..Stamp::default() });
        let suspect = Suspect { pack: Hash::of(b"pack"), attempts: 2, first, last };
        assert_eq!(
            decode(&encode(&Suspects { packs: vec![suspect] })),
            Ok(Suspects { packs: vec![suspect] })
        );
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = encode(&losses());
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(decode::<Losses>(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_panic(body: Vec<u8>) {
            let _ = decode::<Losses>(&body);
            let mut bytes = [&CARE_MAGIC[..], &[1, 0, 1, 0], &body].concat();
            let hash = Hash::of(&bytes);
            bytes.extend_from_slice(&hash.0);
            let _ = decode::<Losses>(&bytes);
            let _ = decode::<Round>(&bytes);
            let _ = decode::<Suspects>(&bytes);
        }
    }
}
