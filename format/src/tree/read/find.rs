//! What a path leads to.
//!
//! One path is often looked up in snapshot after snapshot. Behind a node that was met on the way the last time everything is
//! as it was, so it is not read again: a file in a folder that nobody touches costs the nodes above that folder.
//! Not here: which snapshots are looked at.

use super::{BRANCHES_MAX, Chunks, Found, found_in, invalid, node};
use crate::ChunkRef;
use crate::tree::{Entry, Kind, Node};

/// What `path` leads to below `root`; names with `/` between them, and the empty path is the pushed folder itself.
///
/// # Errors
/// Those of `chunks`; `Invalid` where a node on the way breaks a rule.
pub fn find<C: Chunks + ?Sized>(chunks: &C, root: &ChunkRef, path: &[u8]) -> Result<Option<Found>, C::Error> {
    match Lookups::new(path).look(chunks, root)? {
        Looked::Found(found) => Ok(found),
        // The first look has nothing to be the same as.
        Looked::Same => Ok(None),
    }
}

/// One path, looked up in one tree after another.
pub struct Lookups<'p> {
    path: &'p [u8],
    /// Nodes that were read for the last look, each with the position of the name that was looked for in it.
    met: Vec<Met>,
}

type Met = (usize, ChunkRef);

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// The same as the look before.
    Same,
    /// What the path leads to; nothing where there is no such entry.
    Found(Option<Found>),
}

impl<'p> Lookups<'p> {
    /// Of this path.
    pub fn new(path: &'p [u8]) -> Self {
        Self { path, met: Vec::new() }
    }

    /// Looks the path up below `root`. After an error the next look begins without knowledge of this one.
    ///
    /// # Errors
    /// As `find`.
    pub fn look<C: Chunks + ?Sized>(&mut self, chunks: &C, root: &ChunkRef) -> Result<Looked, C::Error> {
        let mut way = Way { before: std::mem::take(&mut self.met), met: Vec::new() };
        let mut found = None;
        let names = self.path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        // A root has one entry, nameless: the pushed folder.
        for (position, name) in std::iter::once(&b""[..]).chain(names).enumerate() {
            let folder = match found.take() {
                None if position == 0 => *root,
                Some(Found { entry: Entry { kind: Kind::Directory { node, .. }, .. }, .. }) => node,
                _ => break,
            };
            match way.entry_in(chunks, folder, (position, name))? {
                Looked::Same => {
                    self.met = way.met;
                    return Ok(Looked::Same);
                }
                Looked::Found(entry) => found = entry,
            }
        }
        self.met = way.met;
        Ok(Looked::Found(found))
    }
}

struct Way {
    before: Vec<Met>,
    met: Vec<Met>,
}

impl Way {
    fn entry_in<C: Chunks + ?Sized>(
        &mut self,
        chunks: &C,
        folder: ChunkRef,
        (position, name): (usize, &[u8]),
    ) -> Result<Looked, C::Error> {
        let mut at = folder;
        for _ in 0..=BRANCHES_MAX {
            if let Some(same) = self.before.iter().position(|met| *met == (position, at)) {
                self.met.extend_from_slice(&self.before[same..]);
                return Ok(Looked::Same);
            }
            self.met.push((position, at));
            match node(chunks, &at)? {
                Node::Branch(children) => {
                    let next = children.partition_point(|child| child.last.as_slice() < name);
                    match children.get(next) {
                        Some(child) => at = child.node,
                        None => return Ok(Looked::Found(None)),
                    }
                }
                Node::Leaf { owners, mut entries } => {
                    let found = entries.binary_search_by(|entry| entry.name.as_slice().cmp(name));
                    let found = found.ok().map(|found| found_in(&owners, entries.swap_remove(found)));
                    return Ok(Looked::Found(found));
                }
            }
        }
        Err(invalid("a folder's nodes are nested too deeply").into())
    }
}
