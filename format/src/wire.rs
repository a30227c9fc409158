//! Messages between client and agent: lists of chunk names, and the JSON of control messages.
//!
//! Bytes travel as blocks (`block`), laid out as on the disk, so the agent need not pack again. Routes and
//! permissions: docs/protocol.md. Not here: HTTP itself (`agent`, `client`).

mod entry;
mod found;
mod neighbours;
mod pairing;
mod signed;
mod source;

pub use crate::ledger::{CONTENTS_MAX, ContentHash, Origin};
use crate::{ChunkId, ChunkRef, FormatError, Hash, ledger::Head, tree::Totals};
pub use found::{FoundName, FoundNames};
pub use neighbours::Neighbours;
pub use pairing::{PairingAnswer, PairingBegin, PairingProof};
use serde::{Deserialize, Serialize};
pub use signed::{EntryWord, LetGoWord, Receipt, ReceiptStanding, SignedWord, StandingAsked, StandingWord};
pub use source::{Expectation, KeepWish, PushStart, PushWelcome, Retirement, SourceExpectation};

/// Names in one request: 128 KiB at most.
pub const IDS_MAX: usize = 4096;
/// Bytes of blocks in an upload: a bound on the agent's memory for each upload.
pub const UPLOAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Content type of a list of names.
pub const IDS_TYPE: &str = "application/vnd.larder.ids";
/// Content type of a list of places.
pub const PLACES_TYPE: &str = "application/vnd.larder.places";
/// Content type of blocks back to back.
pub const BLOCKS_TYPE: &str = "application/vnd.larder.blocks";

/// Content type of hashes of ledger entries back to back.
pub const LINKS_TYPE: &str = "application/vnd.larder.links";
/// Entries in one answer with their hashes: 256 KiB.
pub const LINKS_MAX: usize = 8192;
/// Snapshots in one question about their standing.
pub const STANDINGS_MAX: usize = 1000;

/// The place of a chunk missing from the vault.
pub const NOWHERE: u64 = u64::MAX;

/// Names back to back.
pub fn encode_ids<'a>(ids: impl IntoIterator<Item = &'a ChunkId>) -> Vec<u8> {
    ids.into_iter().flat_map(|id| id.0).collect()
}

/// Reads names back to back.
///
/// # Errors
/// `Invalid` when the bytes are not a whole number of names, or too many.
pub fn decode_ids(bytes: &[u8]) -> Result<Vec<ChunkId>, FormatError> {
    let (ids, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() && ids.len() <= IDS_MAX {
        Ok(ids.iter().copied().map(Hash).collect())
    } else {
        Err(FormatError::Invalid {
            what: "a list of chunk names",
            why: "its length is not that of 0 to 4096 names",
        })
    }
}

/// Places of chunks back to back, 8 bytes each, the lowest first.
pub fn encode_places(places: impl IntoIterator<Item = u64>) -> Vec<u8> {
    places.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// Reads the places of `chunks` chunks.
///
/// # Errors
/// `Invalid` when the number of places differs.
pub fn decode_places(bytes: &[u8], chunks: usize) -> Result<Vec<u64>, FormatError> {
    let (places, rest) = bytes.as_chunks::<8>();
    if rest.is_empty() && places.len() == chunks {
        Ok(places.iter().copied().map(u64::from_le_bytes).collect())
    } else {
        Err(FormatError::Invalid { what: "a list of places", why: "it has not one for each chunk" })
    }
}

/// Answer to an upload: proof that the agent computed the names that the client did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Received {
    /// Chunks in the upload, known ones among them.
    pub chunks: u64,
    /// BLAKE3 over the names of all chunks in the upload, in order.
    pub names: Hash,
}

/// Word in `Identity::features`: the agent takes `Commit::origin` and `Commit::zone`.
pub const COMMIT_ORIGIN: &str = "commit_origin";
/// Word in `Identity::features`: the agent takes `Commit::contents`.
pub const COMMIT_CONTENTS: &str = "commit_contents";
/// Word in `Identity::features`: the agent refuses another folder under the name of a source, takes `PushStart`, and takes
/// `Commit::moved`.
pub const SOURCE_ORIGIN: &str = "source_origin";
/// `Identity::features` of an agent of this version.
pub const FEATURES: [&str; 3] = [COMMIT_ORIGIN, COMMIT_CONTENTS, SOURCE_ORIGIN];

/// Asks for a snapshot.
///
/// Unknown fields are passed over, so that a newer client can say more to an older agent. A field that an agent must not pass
/// over needs a word in `Identity::features`, and a client sends such a field only to an agent that has the word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Commit {
    /// 32 hex digits, random, the same for every attempt of one push.
    pub push: String,
    /// The root node.
    pub root: ChunkRef,
    /// Everything in it, added up; the agent checks it against the root.
    pub totals: Totals,
    /// Files that could not be read.
    pub skipped: u64,
    /// The device's own clock, in milliseconds since 1970.
    pub device_time_ms: i64,
    /// Where the files lie on the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// IANA name of the device's time zone, such as `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Hashes of a few whole files, at most `CONTENTS_MAX`. The device read each of these files a second time, apart from
    /// the reading that cut the file into chunks, so a mistake between reading and storing shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contents: Vec<ContentHash>,
    /// A person says that the folder of the source has moved to `origin`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moved: bool,
}

/// Who the agent takes the caller for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Identity {
    /// First half of the device's sources.
    pub device: String,
    /// `push`, `user`, `read` or `admin`.
    pub role: crate::ledger::Role,
    /// The past that the key may see; none from an agent that tells only the role.
    #[serde(default)]
    pub sees: Option<crate::ledger::Sees>,
    /// Name of the appliance.
    pub appliance: String,
    /// Random name of the vault, in hex.
    pub vault: String,
    /// The ledger's head.
    pub head: Head,
    /// The appliance's word that this is its newest entry (`statement::StatementKind::Newest`); none from an older appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedWord>,
    /// Version of the agent.
    pub version: String,
    /// What the agent understands beyond the first version of the protocol, one word each. A word that the client does not
    /// know means nothing to the client.
    #[serde(default)]
    pub features: Vec<String>,
}

/// One kept snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotInfo {
    /// `DEVICE/NAME`.
    pub source: String,
    /// Its number.
    pub snapshot: u64,
    /// When it arrived, RFC 3339.
    pub time: String,
    /// The root node.
    pub root: ChunkRef,
    /// Everything in it, added up.
    pub totals: Totals,
    /// Files that could not be read.
    pub skipped: u64,
    /// Why retention keeps it.
    pub reasons: Vec<String>,
    /// Kept until at least then, RFC 3339; nothing stands for "no end".
    pub kept_until: Option<String>,
    /// Why the owner set it aside: it is kept and given back, and nothing computed from snapshots looks at it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub set_aside: Option<String>,
    /// The label of a snapshot that the owner keeps, if it has words; also a WHEN of the source.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<String>,
    /// Whether something in it cannot be given back, as far as the appliance knows; a restore names what.
    #[serde(default)]
    pub damaged: bool,
    /// Where the files lay on the device, as the device said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origin: Option<Origin>,
}

/// One protected folder tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceInfo {
    /// `DEVICE/NAME`.
    pub source: String,
    /// Kept snapshots.
    pub snapshots: u64,
    /// The newest of them.
    pub newest: SnapshotInfo,
    /// When the oldest arrived, RFC 3339.
    pub oldest: String,
    /// What is expected of it; none from an appliance that does not say.
    #[serde(default)]
    pub expectation: Option<SourceExpectation>,
}

/// One name in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EntryInfo {
    /// The name or path; bytes that are not UTF-8 are shown as `\xNN`, and a backslash as `\\`.
    pub name: String,
    /// `file`, `directory`, `symlink`, `fifo`, `socket`, `char_device` or `block_device`.
    pub kind: String,
    /// Bytes of a file or of everything in a folder.
    pub bytes: u64,
    /// The 12 permission bits.
    pub mode: u16,
    /// Last change of the content, RFC 3339 with nanoseconds.
    pub modified: String,
    /// User name, or number where none was known.
    pub user: String,
    /// Group name, or number where none was known.
    pub group: String,
    /// Files in a folder and below; none for anything else, and from an appliance that does not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub files: Option<u64>,
    /// Where a symlink points.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
}

/// Header of a list of snapshots: the number of snapshots older than those listed.
pub const OLDER_HEADER: &str = "larder-older";

/// Content type of a recursive listing: lines of JSON, each a `ListingLine`.
pub const LISTING_TYPE: &str = "application/jsonl";

/// A line of a recursive listing. The entries of a folder come before the entries of its sub-folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum ListingLine {
    /// An entry.
    Entry {
        /// Path in the source, written like a name.
        path: String,
        /// The entry itself.
        #[serde(flatten)]
        entry: EntryInfo,
    },
    /// The last line: without it the listing broke off.
    End {
        /// Number of entries.
        entries: u64,
        /// Folders, and parts of large folders, that could not be read and whose entries are missing.
        unreadable: u64,
    },
}

/// One version of a file: a run of snapshots in which it was the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionInfo {
    /// Number of the first snapshot that has it.
    pub first: u64,
    /// Number of the last snapshot that has it.
    pub last: u64,
    /// When the first one arrived, RFC 3339.
    pub since: String,
    /// When the last one arrived, RFC 3339.
    pub until: String,
    /// Snapshots in the run.
    pub snapshots: u64,
    /// The file as it was, or nothing where it was deleted or is not known.
    pub entry: Option<EntryInfo>,
    /// Whether it cannot be given back whole.
    #[serde(default)]
    pub damaged: bool,
    /// Whether a folder above it cannot be read, so that nobody can tell whether it was there.
    #[serde(default)]
    pub unknown: bool,
}

/// One difference between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Change {
    /// `added`, `removed`, `content`, `attributes` or `kind`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub change: ChangeKind,
    /// Path in the source.
    pub path: String,
    /// As it was.
    pub before: Option<EntryInfo>,
    /// As it is.
    pub after: Option<EntryInfo>,
    /// Of what is new or gone, the name of its content: what only has another path has the same. None for what is empty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<String>,
    /// Of what was moved, the path before; the client finds it out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
}

/// How an entry differs between two snapshots; a word on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// New.
    Added,
    /// Gone.
    Removed,
    /// The bytes of a file, or the target of a link.
    Content,
    /// Permissions, owner, times.
    Attributes,
    /// A folder became a file, or the like.
    Kind,
    /// It has another path; told by clients, which see both ends.
    Moved,
    /// The word of a newer Larder.
    #[serde(untagged)]
    Other(String),
}

/// What went wrong, for the person at the other end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// Fixed word for programs: `unauthorized`, `forbidden`, `not_found`, `invalid`, `missing_chunks`,
    /// `other_folder`, `too_many_sources`, `too_many_snapshots`, `too_many_wishes`, `label_taken`, `too_many_labels`, `full`,
    /// `damaged`, `busy`, `failed`, `unknown_zone`, `encrypted_only`.
    pub code: String,
    /// What happened.
    pub what: String,
    /// What it means for their files.
    pub meaning: String,
    /// The one thing to do.
    pub remedy: String,
    /// For support.
    #[serde(default)]
    pub details: String,
}

/// A name as text to type back: bytes outside UTF-8 as `\xNN`, a backslash as `\\`.
pub fn escape_name(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for part in name.utf8_chunks() {
        for c in part.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                // A control character in a name must not drive the reader's terminal.
                c if c.is_control() => {
                    c.to_string().bytes().for_each(|b| text.push_str(&format!("\\x{b:02x}")))
                }
                c => text.push(c),
            }
        }
        part.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// The bytes behind the text of `escape_name`; `None` where an escape is broken.
pub fn unescape_name(text: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            name.push(byte);
            continue;
        }
        match rest {
            [b'\\', tail @ ..] => (name.push(b'\\'), rest = tail).0,
            [b'x', high, low, tail @ ..] => {
                let digit = |c: u8| char::from(c).to_digit(16);
                name.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
                rest = tail;
            }
            _ => return None,
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_name_can_be_typed_back(name: Vec<u8>) {
            let text = escape_name(&name);
            prop_assert!(!text.chars().any(char::is_control));
            prop_assert_eq!(unescape_name(&text), Some(name));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, text: String) {
            let _ = decode_ids(&bytes);
            let _ = decode_places(&bytes, bytes.len() / 8);
            let _ = unescape_name(&text);
        }

        #[test]
        fn ids_come_back(seeds in prop::collection::vec(any::<u64>(), 0..50)) {
            let ids: Vec<_> = seeds.iter().map(|seed| Hash::of(&seed.to_le_bytes())).collect();
            prop_assert_eq!(decode_ids(&encode_ids(&ids)).unwrap(), ids);
        }

        #[test]
        fn places_come_back_one_for_each_chunk(places in prop::collection::vec(any::<u64>(), 0..50)) {
            let bytes = encode_places(places.iter().copied());
            prop_assert_eq!(decode_places(&bytes, places.len()), Ok(places.clone()));
            prop_assert!(decode_places(&bytes, places.len() + 1).is_err());
            prop_assert!(bytes.is_empty() || decode_places(&bytes[1..], places.len()).is_err());
        }
    }
}
