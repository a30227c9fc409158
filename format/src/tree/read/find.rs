//! The entry at a path.
//!
//! A path is often looked up in snapshot after snapshot. A node met in the last lookup has an unchanged subtree, so
//! the lookup stops there: a file in an untouched folder costs the nodes above the folder.
//! Not here: the choice of snapshots.

use super::{BRANCHES_MAX, Chunks, Found, found_in, invalid, node};
use crate::ChunkRef;
use crate::tree::{Entry, Kind, Node};

/// The entry at `path` below `root`; names with `/` between, and the empty path is the pushed folder itself.
///
/// # Errors
/// Errors of `chunks`; `Invalid` where a node on the way breaks a rule.
pub fn find<C: Chunks + ?Sized>(chunks: &C, root: &ChunkRef, path: &[u8]) -> Result<Option<Found>, C::Error> {
    match Lookups::new(path).look(chunks, root)? {
        Looked::Found(found) => Ok(found),
        // The first look has no look before.
        Looked::Same => Ok(None),
    }
}

/// A path, looked up in tree after tree.
pub struct Lookups<'p> {
    path: &'p [u8],
    /// Nodes read for the last look, each with the position of the name.
    met: Vec<Met>,
}

type Met = (usize, ChunkRef);

/// Result of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// The same as the look before.
    Same,
    /// The entry at the path; `None` where there is no entry.
    Found(Option<Found>),
}

impl<'p> Lookups<'p> {
    /// Of this path.
    pub fn new(path: &'p [u8]) -> Self {
        Self { path, met: Vec::new() }
    }

    /// Looks the path up below `root`. After an error the next look begins anew.
    ///
    /// # Errors
    /// As `find`.
    pub fn look<C: Chunks + ?Sized>(&mut self, chunks: &C, root: &ChunkRef) -> Result<Looked, C::Error> {
        let mut way = Way { before: std::mem::take(&mut self.met), met: Vec::new() };
        let mut found = None;
        let names = self.path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        // A root has a single entry, nameless: the pushed folder.
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
