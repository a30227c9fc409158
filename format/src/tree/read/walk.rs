//! A tree with every name, folder by folder: for a caller that makes the folders again.
//!
//! In each node the sub-folders come first, each with the whole subtree, then the remaining entries. A push stores
//! chunks in the same order, so neighbours are requested together. The walk tells the source the next nodes
//! (`Chunks::get_ahead`). Waiting folders take a fixed number of bytes. A node with more sub-folders than there is
//! room for is read again, from the position of the first sub-folder left out; a node never changes, so the position
//! stays right. Not here: the use of an entry (`restore` of the client), differences of two trees (`compare`).

use super::{BRANCHES_MAX, Chunks, Found, found_in, invalid, node_ahead};
use crate::tree::{Child, DEPTH_MAX, Entry, Node, Owner};
use crate::{ChunkRef, FormatError};
use std::mem::size_of;
use std::vec::IntoIter;

/// Bytes of the waiting folders together. Without the bound a tree of sixty small nodes takes gigabytes: each folder
/// waits with a copy of the owner, and an owner's name can be half a megabyte long.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes always granted to the folders and nodes of a node, or a folder far down would be read once for each of them.
const OF_ONE_NODE_BYTES_MIN: usize = 1024;
/// Overhead of the allocator, for each allocation.
const ALLOCATION_BYTES: usize = 16;

/// A walk through a tree. `P` identifies a folder for the caller: an open folder, a path.
#[derive(Debug)]
pub struct FolderWalk<P> {
    /// The next step last.
    waiting: Vec<WaitingStep<P>>,
    bytes: usize,
    bytes_max: usize,
    bytes_peak: usize,
}

#[derive(Debug)]
enum WaitingStep<P> {
    /// A folder found in `above`.
    Folder { above: P, found: Found, node: ChunkRef, depth: usize },
    /// A node of the folder `place`, with this many children or entries handled before.
    Node { place: P, node: ChunkRef, depth: usize, level: usize, from: usize },
    /// A leaf with finished sub-folders.
    Others { place: P, node: ChunkRef },
}

impl<P> WaitingStep<P> {
    fn node(&self) -> ChunkRef {
        let (Self::Folder { node, .. } | Self::Node { node, .. } | Self::Others { node, .. }) = self;
        *node
    }

    fn bytes(&self) -> usize {
        let held = if let Self::Folder { found, .. } = self { found.bytes() } else { 0 };
        size_of::<Self>() + held
    }
}

impl Found {
    /// Bytes held outside the value itself.
    pub fn bytes(&self) -> usize {
        let Entry { name, xattrs, .. } = &self.entry;
        let xattr = |(name, value): &(serde_bytes::ByteBuf, serde_bytes::ByteBuf)| {
            size_of::<(Vec<u8>, Vec<u8>)>() + name.len() + value.len() + 2 * ALLOCATION_BYTES
        };
        let owner = self.owner.user.len() + self.owner.group.len();
        name.len() + owner + 4 * ALLOCATION_BYTES + xattrs.iter().map(xattr).sum::<usize>()
    }
}

/// A folder that may be walked into.
#[derive(Debug, Clone, Copy)]
pub struct InnerFolder {
    node: ChunkRef,
    depth: usize,
}

impl InnerFolder {
    /// The folder with the top node `node`, as the beginning of a walk.
    pub fn top(node: ChunkRef) -> Self {
        Self { node, depth: 0 }
    }
}

/// A step of a walk. Each step hands over a hold of a place: the last hold comes back in the folder's last step.
#[derive(Debug)]
pub enum WalkStep<P, E> {
    /// A folder in `above`; `FolderWalk::enter` walks into the folder next.
    Folder {
        /// The parent folder.
        above: P,
        /// The folder's entry.
        found: Found,
        /// For `enter`.
        inner: InnerFolder,
    },
    /// The non-folder entries of a node; an empty folder has none.
    Others {
        /// The folder of the entries.
        place: P,
        /// The entries.
        entries: OtherEntries,
    },
    /// An unreadable node of a folder; the walk leaves out the content.
    Unreadable {
        /// The folder.
        place: P,
        /// Why.
        error: E,
    },
}

/// Iterator over the non-folder entries of a leaf.
#[derive(Debug)]
pub struct OtherEntries {
    owners: Vec<Owner>,
    entries: IntoIter<Entry>,
}

impl Iterator for OtherEntries {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let entry = self.entries.find(|entry| folder_of(entry).is_none())?;
        Some(found_in(&self.owners, entry))
    }
}

fn folder_of(entry: &Entry) -> Option<ChunkRef> {
    if let crate::tree::Kind::Directory { node, .. } = entry.kind { Some(node) } else { None }
}

impl<P> Default for FolderWalk<P> {
    fn default() -> Self {
        Self { waiting: Vec::new(), bytes: 0, bytes_max: WAITING_BYTES_MAX, bytes_peak: 0 }
    }
}

impl<P: Clone> FolderWalk<P> {
    /// The same walk with a new bound for waiting steps, in bytes.
    #[must_use]
    pub fn with_waiting_bytes_max(self, bytes_max: usize) -> Self {
        Self { bytes_max, ..self }
    }

    /// Peak of the waiting bytes.
    pub fn waiting_bytes_peak(&self) -> usize {
        self.bytes_peak
    }

    /// Enters a folder before every waiting step.
    pub fn enter(&mut self, place: P, InnerFolder { node, depth }: InnerFolder) {
        self.push(WaitingStep::Node { place, node, depth, level: 0, from: 0 });
    }

    /// The next step; `None` at the end. After `Unreadable` the walk goes on behind the node.
    pub fn next<C: Chunks + ?Sized>(&mut self, chunks: &C) -> Option<WalkStep<P, C::Error>> {
        while let Some(next) = self.waiting.pop() {
            self.bytes -= next.bytes();
            let step = match next {
                WaitingStep::Folder { above, depth, .. } if depth > DEPTH_MAX => {
                    let error = invalid("its folders are nested too deeply").into();
                    WalkStep::Unreadable { place: above, error }
                }
                WaitingStep::Folder { above, found, node, depth } => {
                    WalkStep::Folder { above, found, inner: InnerFolder { node, depth } }
                }
                WaitingStep::Others { place, node } => match self.read(chunks, &node) {
                    Ok(Node::Leaf { owners, entries }) => others(place, owners, entries),
                    Ok(Node::Branch(_)) => unreadable(place, invalid("a node is another one than before")),
                    Err(error) => WalkStep::Unreadable { place, error },
                },
                WaitingStep::Node { place, node, depth, level, from } => {
                    let of = ReadNode { place, node, depth, level, from };
                    match self.read(chunks, &node) {
                        Ok(Node::Branch(_)) if level >= BRANCHES_MAX => {
                            unreadable(of.place, invalid("a folder's nodes are nested too deeply"))
                        }
                        Ok(Node::Branch(children)) => {
                            self.branch(of, children);
                            continue;
                        }
                        Ok(Node::Leaf { owners, entries }) => match self.leaf(of, owners, entries) {
                            Some(step) => step,
                            None => continue,
                        },
                        Err(error) => WalkStep::Unreadable { place: of.place, error },
                    }
                }
            };
            return Some(step);
        }
        None
    }

    fn read<C: Chunks + ?Sized>(&self, chunks: &C, node: &ChunkRef) -> Result<Node, C::Error> {
        node_ahead(chunks, node, &mut self.waiting.iter().rev().map(WaitingStep::node))
    }

    fn push(&mut self, waiting: WaitingStep<P>) {
        self.bytes += waiting.bytes();
        self.bytes_peak = self.bytes_peak.max(self.bytes);
        self.waiting.push(waiting);
    }

    /// Lets the parts of a node wait in order, as far as there is room, and the rest of the node below. `rest` takes a
    /// part's position and makes the step for this part and the parts behind.
    fn wait(
        &mut self,
        parts: impl Iterator<Item = (usize, WaitingStep<P>)>,
        rest: impl FnOnce(Option<usize>) -> Option<WaitingStep<P>>,
    ) {
        // Half of the rest, so the folders below find room too.
        let room = (self.bytes_max.saturating_sub(self.bytes) / 2).max(OF_ONE_NODE_BYTES_MIN);
        let (begin, before) = (self.waiting.len(), self.bytes);
        let mut left_out = None;
        for (position, part) in parts {
            // The first part comes next, and never waits.
            if self.waiting.len() > begin && self.bytes - before + part.bytes() > room {
                left_out = Some(position);
                break;
            }
            self.push(part);
        }
        if let Some(rest) = rest(left_out) {
            self.push(rest);
        }
        self.waiting[begin..].reverse();
    }

    fn branch(&mut self, of: ReadNode<P>, children: Vec<Child>) {
        let ReadNode { place, node, depth, level, from } = of;
        let below = |child: &Child| WaitingStep::Node {
            place: place.clone(),
            node: child.node,
            depth,
            level: level + 1,
            from: 0,
        };
        let parts = children.iter().enumerate().skip(from).map(|(position, child)| (position, below(child)));
        let again = |from| WaitingStep::Node { place: place.clone(), node, depth, level, from };
        self.wait(parts, |left_out| left_out.map(again));
    }

    /// Returns the entries at once if no folder is among them.
    fn leaf<E>(
        &mut self,
        of: ReadNode<P>,
        owners: Vec<Owner>,
        entries: Vec<Entry>,
    ) -> Option<WalkStep<P, E>> {
        let ReadNode { place, node, depth, level, from } = of;
        let folders = entries.iter().filter(|entry| folder_of(entry).is_some()).count();
        if folders == 0 {
            return Some(others(place, owners, entries));
        }
        let has_others = folders < entries.len();
        let parts = entries.into_iter().enumerate().skip(from).filter_map(|(position, entry)| {
            let node = folder_of(&entry)?;
            let found = found_in(&owners, entry);
            Some((position, WaitingStep::Folder { above: place.clone(), found, node, depth: depth + 1 }))
        });
        self.wait(parts, |left_out| match left_out {
            Some(from) => Some(WaitingStep::Node { place: place.clone(), node, depth, level, from }),
            None => has_others.then(|| WaitingStep::Others { place: place.clone(), node }),
        });
        None
    }
}

/// A node just read.
struct ReadNode<P> {
    place: P,
    node: ChunkRef,
    depth: usize,
    level: usize,
    from: usize,
}

fn others<P, E>(place: P, owners: Vec<Owner>, entries: Vec<Entry>) -> WalkStep<P, E> {
    WalkStep::Others { place, entries: OtherEntries { owners, entries: entries.into_iter() } }
}

fn unreadable<P, E: From<FormatError>>(place: P, error: FormatError) -> WalkStep<P, E> {
    WalkStep::Unreadable { place, error: error.into() }
}
