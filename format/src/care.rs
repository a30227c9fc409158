//! Notes of the agent about its own disks: the progress of a scrub, unreadable packs, and the losses with a pack.
//!
//! A reader of files needs none of these notes. Without a scrub's state the round only begins again, and without the
//! list of unreadable packs such packs only get more time. A record of losses makes a device send lost chunks again.
//! Each file is a value behind a frame with a hash, since these files rot too. Not here: where the files lie
//! (`store`).

use crate::ledger::WallStamp;
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

/// How far a scrub of a disk has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Start of the round; `None` between two rounds.
    pub started: Option<WallStamp>,
    /// The path read last.
    pub at: String,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes to read, as counted at the start.
    pub total: u64,
    /// Damaged or missing files.
    pub damaged: u64,
    /// Damaged files now whole again.
    pub repaired: u64,
    /// Damaged files not repaired for want of room or of another copy, but not given up either.
    pub left: u64,
    /// Pieces of files lost for good.
    pub lost: u64,
    /// Damage was met, and the disk is read anew.
    pub is_hurried: bool,
}

/// A pack unreadable on a disk, though possibly whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// Name of the pack.
    pub pack: Hash,
    /// Failed attempts to read the pack, each some hours of running after the previous.
    pub attempts: u32,
    /// Time of the first attempt.
    pub first: WallStamp,
    /// Time of the last attempt.
    pub last: WallStamp,
}

/// The unreadable packs of a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspects {
    /// In the order of discovery.
    pub packs: Vec<Suspect>,
}

/// A file that no restore gives back whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostFile {
    /// `DEVICE/NAME`.
    pub source: String,
    /// The newest snapshot with the file in this state.
    pub snapshot: u64,
    /// Path of the file. A final `/` marks a folder with a lost list, and so with a lost subtree.
    pub path: String,
    /// A missing piece of the file.
    pub piece: Hash,
}

/// The losses with a pack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// The first thousand files.
    pub files: Vec<LostFile>,
    /// Every lost piece.
    pub pieces: Vec<Hash>,
}

/// A value for a maintenance file.
pub trait Note: Serialize + DeserializeOwned {}

impl Note for Round {}
impl Note for Suspects {}
impl Note for Losses {}

/// The bytes of a maintenance file.
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

/// Reads a maintenance file.
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
        let round = Round { started: Some(WallStamp::default()), at: "disk.json".into(), ..Round::default() };
        assert_eq!(decode(&encode(&round)), Ok(round));
        let (first, last) =
            (WallStamp::default(), WallStamp { powered_on_s: 90_000, ..WallStamp::default() });
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
