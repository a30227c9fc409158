//! Trees: the folders of a snapshot, themselves stored as chunks.
//!
//! Equal folders are equal chunks, so a diff skips equal folders and a second push adds no chunks. A folder of a
//! million entries is many small nodes with borders by name, so a large folder also changes in small steps. A
//! snapshot's root is a node with a single entry, nameless: the pushed folder itself.
//! Bytes: FORMAT.md, "Tree". Not here: walking a real folder (`client`), keeping chunks (`store`).

mod build;
pub mod read;

use crate::{ChunkRef, FormatError, Hash, cut::CHUNK_BYTES_MAX};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

pub use build::{Made, NodeBuilder, PieceBuilder};

/// Encoded bytes of a node. A small encoding can unfold to twenty times its size in memory, so the limit bounds the
/// cost of a hostile node at some 12 MiB.
pub const NODE_BYTES_MAX: usize = 512 * 1024;
/// Encoded bytes of a list of pieces.
pub const LIST_BYTES_MAX: usize = 128 * 1024;
/// Pieces in a list.
pub const LIST_PIECES_MAX: usize = 2048;
/// Pieces in a file's entry; further pieces are in lists.
pub const ENTRY_PIECES_MAX: usize = 64;
/// Longest name; Linux allows 255, other systems count in UTF-16.
pub const NAME_BYTES_MAX: usize = 1024;
/// Extended attributes of an entry, names and values together; more is left out and named.
pub const XATTR_BYTES_MAX: usize = 128 * 1024;
/// Folders within folders. Deeper trees are not made by hand, and each level costs a walker memory.
pub const DEPTH_MAX: usize = 2048;

/// A directory node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// Entries in the order of their name bytes.
    Leaf {
        /// Owners, referred to by position.
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
    /// Last name in the node, so a search finds a name without reading sibling nodes.
    #[serde(with = "serde_bytes")]
    pub last: Vec<u8>,
    /// The node.
    pub node: ChunkRef,
}

/// Owner of a file, by number and by name: numbers differ between computers.
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

/// A name in a folder.
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
    /// Entries of a snapshot with the same number above 0 are a single file with several names.
    pub hard_link: u64,
    /// Extended attributes by name, including ACLs.
    pub xattrs: Vec<(ByteBuf, ByteBuf)>,
    /// The kind.
    pub kind: Kind,
}

/// A timestamp of a filesystem.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds of the second, below 10⁹.
    pub nanos: u32,
}

/// The kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file.
    File {
        /// Bytes as seen by the owner: the sum of the pieces.
        size: u64,
        /// The content, in order.
        pieces: Vec<Piece>,
    },
    /// A folder.
    Directory {
        /// The folder's top node.
        node: ChunkRef,
        /// Totals of the subtree.
        totals: Totals,
    },
    /// A symbolic link and the target: any bytes.
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
    /// Zeros without storage.
    Hole(u64),
    /// A chunk with further pieces. Without lists a file of a terabyte would make a node of 32 MB.
    More {
        /// The list.
        list: ChunkRef,
        /// Bytes of the file covered by the list.
        bytes: u64,
    },
}

impl Kind {
    /// A name of the content of a file or folder, equal for equal content that was cut alike; a folder's covers the names
    /// and attributes in it. None for what has no content: empty files and folders, links, devices.
    pub fn content(&self) -> Option<Hash> {
        match self {
            Self::File { size: 1.., pieces } => Some(match pieces[..] {
                [Piece::Chunk(chunk)] => chunk.id,
                _ => Hash::of(&encode_pieces(pieces)),
            }),
            Self::Directory { node, totals } if totals.files > 0 => Some(node.id),
            _ => None,
        }
    }
}

impl Piece {
    /// Bytes of the file covered by this piece.
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
    /// Counts `entry` and the subtree below.
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
    /// Bytes of the chunk for this node.
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
                // Only the root may be nameless, and the root stands alone.
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

    /// Every chunk named by this node itself: further nodes, lists of pieces, files' chunks.
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

/// A reference to a chunk, by the kind of content.
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
    /// The reference of a piece; `None` for a hole.
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

/// Bytes of the chunk for a list of pieces.
///
/// # Panics
/// Never: plain values always encode.
pub fn encode_pieces(pieces: &[Piece]) -> Vec<u8> {
    postcard::to_stdvec(pieces).expect("plain values encode")
}

/// Reads a list of pieces.
///
/// # Errors
/// `Invalid` for malformed bytes, or for sizes with a sum beyond the limit of a file.
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

/// Reads a value in its only encoding: with trailing bytes or overlong numbers allowed, equal folders would have many
/// names.
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

/// A stable number for a group of hard links, from the file's number. `filesystem` is 0 on the filesystem where the
/// push began. Systems renumber filesystems when disks appear in a new order; with such numbers every folder with a
/// hard link would change.
pub fn hard_link_group(filesystem: u64, inode: u64) -> u64 {
    let hash = Hash::of(&[filesystem.to_le_bytes(), inode.to_le_bytes()].concat());
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    // Zero means a single name.
    u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1)
}

#[cfg(test)]
mod tests;
