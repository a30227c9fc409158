//! Trees: the folders of a snapshot, themselves stored as chunks.
//!
//! Equal folders are equal chunks, so a diff skips what is equal and a second push adds nothing for them. A folder of
//! a million entries is many small nodes whose borders depend on the names, so it too changes in small steps.
//! A snapshot's root is a node with one entry, nameless: the pushed folder itself.
//! Bytes: FORMAT.md, "Tree". Not here: walking a real folder (`client`), keeping chunks (`store`).

mod build;
pub mod read;

use crate::{ChunkRef, FormatError, Hash, cut::CHUNK_BYTES_MAX};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

pub use build::{Made, NodeBuilder, PieceBuilder};

/// Encoded bytes of one node. A small encoding can unfold to twenty times its size in memory, so this bounds what one
/// hostile node costs at some 12 MiB.
pub const NODE_BYTES_MAX: usize = 512 * 1024;
/// Encoded bytes of one list of pieces.
pub const LIST_BYTES_MAX: usize = 128 * 1024;
/// Pieces in one list.
pub const LIST_PIECES_MAX: usize = 2048;
/// Pieces that a file's entry holds itself; more are in lists.
pub const ENTRY_PIECES_MAX: usize = 64;
/// Longest name; Linux allows 255, other systems count in UTF-16.
pub const NAME_BYTES_MAX: usize = 1024;
/// Extended attributes of one entry, names and values together; more is left out and named.
pub const XATTR_BYTES_MAX: usize = 128 * 1024;
/// Folders within folders. Deeper trees are not made by hand, and each level costs a walker memory.
pub const DEPTH_MAX: usize = 2048;

/// One directory node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// Entries in the order of their name bytes.
    Leaf {
        /// Owners that the entries refer to by position.
        owners: Vec<Owner>,
        /// The entries.
        entries: Vec<Entry>,
    },
    /// Further nodes of the same folder, in the order of their names.
    Branch(Vec<Child>),
}

/// A node below a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Name of the last entry in it, so that a name is found without reading its siblings.
    #[serde(with = "serde_bytes")]
    pub last: Vec<u8>,
    /// The node.
    pub node: ChunkRef,
}

/// Who owns a file, by number and by name: numbers differ between computers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// User name, empty if the computer knew none.
    pub user: String,
    /// Group name, empty if the computer knew none.
    pub group: String,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Any bytes but `/` and NUL; empty only for the root.
    #[serde(with = "serde_bytes")]
    pub name: Vec<u8>,
    /// Position in the node's owners.
    pub owner: u32,
    /// The 12 permission bits.
    pub mode: u16,
    /// Last change of the content.
    pub modified: Time,
    /// Entries of a snapshot with the same number other than 0 are one file with several names.
    pub hard_link: u64,
    /// Extended attributes by name, ACLs among them.
    pub xattrs: Vec<(ByteBuf, ByteBuf)>,
    /// What it is.
    pub kind: Kind,
}

/// A moment as filesystems keep it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds after that, below 10⁹.
    pub nanos: u32,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file.
    File {
        /// Bytes as the owner sees them: the sum of its pieces.
        size: u64,
        /// Its content, in order.
        pieces: Vec<Piece>,
    },
    /// A folder.
    Directory {
        /// Its top node.
        node: ChunkRef,
        /// Everything below it, added up.
        totals: Totals,
    },
    /// A symbolic link and where it points: any bytes.
    Symlink(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A socket's name.
    Socket,
    /// A character device.
    CharDevice {
        /// Driver.
        major: u32,
        /// Instance.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Driver.
        major: u32,
        /// Instance.
        minor: u32,
    },
}

/// A run of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// The bytes of a chunk.
    Chunk(ChunkRef),
    /// Zeros that take no room.
    Hole(u64),
    /// A chunk that lists further pieces, so that a file of a terabyte does not make a node of 32 MB.
    More {
        /// The list.
        list: ChunkRef,
        /// Bytes of the file that it covers.
        bytes: u64,
    },
}

impl Piece {
    /// Bytes of the file that this piece covers.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Chunk(chunk) => chunk.len.into(),
            Self::Hole(bytes) | Self::More { bytes, .. } => *bytes,
        }
    }
}

/// Counts of a folder and everything below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Totals {
    /// Entries that are not folders.
    pub files: u64,
    /// Folders, not counting this one.
    pub directories: u64,
    /// Bytes of the files as the owner sees them.
    pub bytes: u64,
}

impl Totals {
    /// Counts `entry` and everything below it.
    pub fn add(&mut self, entry: &Entry) {
        match &entry.kind {
            Kind::Directory { totals, .. } => {
                self.files = self.files.saturating_add(totals.files);
                self.directories = self.directories.saturating_add(totals.directories).saturating_add(1);
                self.bytes = self.bytes.saturating_add(totals.bytes);
            }
            Kind::File { size, .. } => {
                self.files += 1;
                self.bytes = self.bytes.saturating_add(*size);
            }
            _ => self.files += 1,
        }
    }
}

const WHAT: &str = "a folder's node";

impl Node {
    /// Bytes of the chunk that holds this node.
    ///
    /// # Panics
    /// Never: plain values always encode.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain values encode")
    }

    /// Reads a node and checks every rule: order, names, owners, sizes.
    ///
    /// # Errors
    /// `Invalid`; never a panic, and memory stays within a small multiple of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let invalid = |why| FormatError::Invalid { what: WHAT, why };
        if bytes.len() > NODE_BYTES_MAX {
            return Err(invalid("it is too large"));
        }
        let node: Self = read_all(bytes).ok_or(invalid("its bytes do not read"))?;
        match &node {
            Self::Leaf { owners, entries } => {
                entries.iter().try_for_each(|entry| check_entry(entry, owners.len()).map_err(invalid))?;
                if entries.windows(2).any(|pair| pair[0].name >= pair[1].name) {
                    return Err(invalid("its names are out of order"));
                }
                // Only the root may be nameless, and it stands alone.
                if entries.len() > 1 && entries.iter().any(|entry| entry.name.is_empty()) {
                    return Err(invalid("an entry has no name"));
                }
            }
            Self::Branch(children) => {
                if children.is_empty() || children.windows(2).any(|pair| pair[0].last >= pair[1].last) {
                    return Err(invalid("its nodes are out of order"));
                }
            }
        }
        Ok(node)
    }

    /// Every chunk that this node names itself: further nodes, lists of pieces, files' chunks.
    pub fn references(&self) -> impl Iterator<Item = Reference> + '_ {
        let (entries, children): (&[Entry], &[Child]) = match self {
            Self::Leaf { entries, .. } => (entries, &[]),
            Self::Branch(children) => (&[], children),
        };
        let below = children.iter().map(|child| Reference::Node(child.node));
        below.chain(entries.iter().flat_map(|entry| {
            let (pieces, node): (&[Piece], _) = match &entry.kind {
                Kind::File { pieces, .. } => (pieces, None),
                Kind::Directory { node, .. } => (&[], Some(Reference::Node(*node))),
                _ => (&[], None),
            };
            node.into_iter().chain(pieces.iter().filter_map(Reference::of))
        }))
    }
}

/// A chunk that something names, and how it is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// A directory node.
    Node(ChunkRef),
    /// A list of pieces.
    List(ChunkRef),
    /// A file's bytes.
    Bytes(ChunkRef),
}

impl Reference {
    /// What a piece names; holes name nothing.
    pub fn of(piece: &Piece) -> Option<Self> {
        match piece {
            Piece::Chunk(chunk) => Some(Self::Bytes(*chunk)),
            Piece::More { list, .. } => Some(Self::List(*list)),
            Piece::Hole(_) => None,
        }
    }

    /// The chunk itself.
    pub fn chunk(&self) -> ChunkRef {
        let (Self::Node(chunk) | Self::List(chunk) | Self::Bytes(chunk)) = self;
        *chunk
    }
}

/// Bytes of the chunk that holds a list of pieces.
///
/// # Panics
/// Never: plain values always encode.
pub fn encode_pieces(pieces: &[Piece]) -> Vec<u8> {
    postcard::to_stdvec(pieces).expect("plain values encode")
}

/// Reads a list of pieces.
///
/// # Errors
/// `Invalid` when the bytes are none, or their sizes add up beyond what a file can have.
pub(crate) fn decode_pieces(bytes: &[u8]) -> Result<Vec<Piece>, FormatError> {
    let invalid = |why| FormatError::Invalid { what: "a list of pieces", why };
    if bytes.len() > LIST_BYTES_MAX {
        return Err(invalid("it is too large"));
    }
    let pieces: Vec<Piece> = read_all(bytes).ok_or(invalid("its bytes do not read"))?;
    if pieces.len() > LIST_PIECES_MAX || !pieces.iter().all(is_sound) {
        return Err(invalid("it has too many pieces, or one that cannot be"));
    }
    sum(&pieces).ok_or(invalid("its sizes add up to nonsense"))?;
    Ok(pieces)
}

/// Reads a value whose only encoding `bytes` are: with a rest behind it, or a number written longer than it needs to
/// be, equal folders would have many names.
fn read_all<T: serde::de::DeserializeOwned + Serialize>(bytes: &[u8]) -> Option<T> {
    let value = postcard::from_bytes(bytes).ok()?;
    (postcard::to_stdvec(&value).ok()? == bytes).then_some(value)
}

fn is_sound(piece: &Piece) -> bool {
    piece.bytes() > 0
        && match piece {
            Piece::Chunk(chunk) => chunk.len as usize <= CHUNK_BYTES_MAX,
            Piece::More { list, .. } => list.len as usize <= LIST_BYTES_MAX,
            Piece::Hole(_) => true,
        }
}

fn sum(pieces: &[Piece]) -> Option<u64> {
    pieces.iter().try_fold(0u64, |sum, piece| sum.checked_add(piece.bytes()))
}

fn check_entry(entry: &Entry, owners: usize) -> Result<(), &'static str> {
    let Entry { name, owner, mode, modified, xattrs, kind, .. } = entry;
    if name.len() > NAME_BYTES_MAX || name.contains(&b'/') || name.contains(&0) {
        return Err("a name is too long or has a slash or a NUL in it");
    }
    if name == b"." || name == b".." {
        return Err("a name would lead out of its folder");
    }
    if *owner as usize >= owners || *mode > 0o7777 || modified.nanos >= 1_000_000_000 {
        return Err("an attribute is out of range");
    }
    if xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > XATTR_BYTES_MAX {
        return Err("its extended attributes are too large");
    }
    if xattrs.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err("its extended attributes are out of order");
    }
    match kind {
        Kind::File { pieces, .. } if pieces.len() > ENTRY_PIECES_MAX || !pieces.iter().all(is_sound) => {
            Err("a file has too many pieces, or one that cannot be")
        }
        Kind::File { size, pieces } if sum(pieces) != Some(*size) => {
            Err("a file's pieces do not make its size")
        }
        Kind::Symlink(target) if target.is_empty() => Err("a symbolic link points to nothing"),
        _ => Ok(()),
    }
}

/// A stable number for a group of hard links, from the file's number. `filesystem` is 0 on the one where the push
/// began: the numbers that systems give to filesystems change when disks are found in another order, and with them
/// would change every folder that has such a file.
pub fn hard_link_group(filesystem: u64, inode: u64) -> u64 {
    let hash = Hash::of(&[filesystem.to_le_bytes(), inode.to_le_bytes()].concat());
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    // Zero means "no other name".
    u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1)
}

#[cfg(test)]
mod tests;
