//! Looking into the past: folders, versions, differences and the bytes of files.
//!
//! Only what is asked for is read: equal nodes are skipped, and memory is that of a node and a chunk at a time.
//! Not here: what a person or a program is shown of it (`agent`).

use crate::ledger_view::Fact;
use crate::vault::Vault;
use crate::{Result, StoreError};
use larder_format::tree::{DEPTH_MAX, Entry, Kind, Node, Owner, Piece, decode_pieces};
use larder_format::{ChunkRef, FormatError};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Longest path that a comparison follows: a tree whose folders name each other must end somewhere.
const PATH_BYTES_MAX: usize = 64 * 1024;

/// An entry with its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The entry.
    pub entry: Entry,
    /// Who owned it.
    pub owner: Owner,
}

/// What a path leads to.
pub type Lookup = Option<Found>;

/// A run of snapshots in which a path was the same.
#[derive(Debug, Clone)]
pub struct Run {
    /// The first snapshot of the run.
    pub first: Arc<Fact>,
    /// The last one.
    pub last: Arc<Fact>,
    /// How many.
    pub snapshots: u64,
    /// What was there; nothing where it was absent, or is not known.
    pub found: Lookup,
    /// False where a folder above it cannot be read, so that nobody can tell what was there.
    pub is_known: bool,
    /// Whether it can be given back whole.
    pub is_whole: bool,
}

/// A path that two snapshots differ in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Bytes of the path, with `/` between names.
    pub path: Vec<u8>,
    /// In the first snapshot.
    pub before: Lookup,
    /// In the second.
    pub after: Lookup,
}

/// A folder before and after, and its path.
type Pair = (Option<ChunkRef>, Option<ChunkRef>, Vec<u8>);

impl Vault {
    /// Reads and checks one directory node.
    ///
    /// # Errors
    /// As `read`, or `Refused` when the chunk is no node.
    pub fn read_node(&self, node: &ChunkRef) -> Result<Node> {
        Ok(Node::decode(&self.read(node)?)?)
    }

    /// What `path` leads to in a snapshot; the empty path is the pushed folder itself.
    ///
    /// # Errors
    /// As `read_node`.
    pub fn look_up(&self, root: &ChunkRef, path: &[u8]) -> Result<Lookup> {
        let mut found = self.entry_in(root, b"")?;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            found = match found {
                Some(Found { entry: Entry { kind: Kind::Directory { node, .. }, .. }, .. }) => {
                    self.entry_in(&node, name)?
                }
                _ => None,
            };
        }
        Ok(found)
    }

    fn entry_in(&self, top: &ChunkRef, name: &[u8]) -> Result<Lookup> {
        let mut node = *top;
        for _ in 0..=DEPTH_MAX {
            match self.read_node(&node)? {
                Node::Branch(children) => {
                    let at = children.partition_point(|child| child.last.as_slice() < name);
                    let Some(child) = children.get(at) else { return Ok(None) };
                    node = child.node;
                }
                Node::Leaf { owners, entries } => {
                    let at = entries.binary_search_by(|entry| entry.name.as_slice().cmp(name));
                    return Ok(at.ok().map(|at| with_owner(entries[at].clone(), &owners)));
                }
            }
        }
        Err(nested())
    }

    /// The entries of a folder, in the order of their names, one node in memory at a time.
    pub fn entries(&self, top: ChunkRef) -> Entries<'_> {
        Entries { vault: self, nodes: vec![top], entries: VecDeque::new() }
    }

    /// Every version of one path, oldest first. Snapshots before its first appearance are not a run, but those are of which
    /// nobody can tell.
    ///
    /// # Errors
    /// As `read_node`, but for `Damaged`: one lost folder must not hide the versions that are whole.
    pub fn versions(&self, facts: &[Arc<Fact>], path: &[u8]) -> Result<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        let mut last_root = None;
        for fact in facts {
            let root = fact.snapshot.root;
            let same = last_root == Some(root);
            let looked_up = if same { Ok(None) } else { self.look_up(&root, path) };
            let (found, is_known) = match looked_up {
                Err(StoreError::Damaged { .. }) => (None, false),
                found => (found?, true),
            };
            last_root = Some(root);
            match runs.last_mut() {
                Some(run) if same || (run.found == found && run.is_known == is_known) => {
                    run.last = fact.clone();
                    run.snapshots += 1;
                }
                None if found.is_none() && is_known => {}
                _ => {
                    let (first, last) = (fact.clone(), fact.clone());
                    runs.push(Run { first, last, snapshots: 1, found, is_known, is_whole: is_known });
                }
            }
        }
        self.judge_runs(&mut runs);
        Ok(runs)
    }

    /// Tells `each` every path that differs, in the order of a walk. Folders count as changed only by their own
    /// attributes; what is in them is told by itself. `go_on` is asked before each folder, since folders that name each
    /// other twice have no end that anybody would live to see. Returns whether it came to the end.
    ///
    /// # Errors
    /// As `read_node`, or what `each` returns.
    pub fn diff(
        &self,
        before: ChunkRef,
        after: ChunkRef,
        go_on: &dyn Fn() -> bool,
        each: &mut dyn FnMut(Difference) -> Result<()>,
    ) -> Result<bool> {
        let mut folders = vec![(Some(before), Some(after), Vec::new())];
        while let Some((before, after, path)) = folders.pop() {
            if before == after {
                continue;
            }
            if !go_on() {
                return Ok(false);
            }
            if path.len() > PATH_BYTES_MAX {
                return Err(nested());
            }
            let below = self.diff_folder(before, after, &path, each)?;
            folders.extend(below.into_iter().rev());
        }
        Ok(true)
    }

    fn diff_folder(
        &self,
        before: Option<ChunkRef>,
        after: Option<ChunkRef>,
        path: &[u8],
        each: &mut dyn FnMut(Difference) -> Result<()>,
    ) -> Result<Vec<Pair>> {
        let mut below = Vec::new();
        let mut old = before.map(|node| self.entries(node)).into_iter().flatten().peekable();
        let mut new = after.map(|node| self.entries(node)).into_iter().flatten().peekable();
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return Ok(below),
                (Some(Ok(a)), Some(Ok(b))) => a.entry.name.cmp(&b.entry.name),
                (Some(_), None) | (Some(Err(_)), _) => Ordering::Less,
                _ => Ordering::Greater,
            };
            let a = if order.is_le() { old.next().transpose()? } else { None };
            let b = if order.is_ge() { new.next().transpose()? } else { None };
            if a == b {
                continue;
            }
            let mut full = path.to_vec();
            let name = a.as_ref().or(b.as_ref()).map_or(&[][..], |found| &found.entry.name);
            if !full.is_empty() && !name.is_empty() {
                full.push(b'/');
            }
            full.extend_from_slice(name);
            let (old_node, new_node) = (folder_node(a.as_ref()), folder_node(b.as_ref()));
            if old_node.is_some() || new_node.is_some() {
                below.push((old_node, new_node, full.clone()));
            }
            if !same_but_content(a.as_ref(), b.as_ref()) {
                each(Difference { path: full, before: a, after: b })?;
            }
        }
    }

    /// Hands the bytes of a file over, piece by piece, from `range`; holes as zeros.
    ///
    /// # Errors
    /// As `read`, or what `each` returns.
    pub fn file_bytes(
        &self,
        pieces: &[Piece],
        range: Range<u64>,
        each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let mut rest: Vec<(Piece, u64)> = Vec::new();
        stack(&mut rest, pieces, 0);
        while let Some((piece, at)) = rest.pop() {
            let end = at.saturating_add(piece.bytes());
            if end <= range.start || at >= range.end {
                continue;
            }
            let from = range.start.max(at) - at;
            let to = range.end.min(end) - at;
            match piece {
                Piece::More { list, .. } => {
                    let below = decode_pieces(&self.read(&list)?)?;
                    if below.iter().map(Piece::bytes).sum::<u64>() != piece.bytes() || rest.len() > 1 << 20 {
                        return Err(nested());
                    }
                    stack(&mut rest, &below, at);
                }
                Piece::Chunk(chunk) => {
                    let bytes = self.read(&chunk)?;
                    let (from, to) = (usize::try_from(from), usize::try_from(to));
                    let part = from.ok().zip(to.ok()).and_then(|(from, to)| bytes.get(from..to));
                    hand(part.ok_or_else(nested)?, each)?;
                }
                Piece::Hole(_) => {
                    let zeros = [0; 64 * 1024];
                    let mut left = to - from;
                    while left > 0 {
                        let step = left.min(zeros.len() as u64);
                        hand(&zeros[..usize::try_from(step).unwrap_or(zeros.len())], each)?;
                        left -= step;
                    }
                }
            }
        }
        Ok(())
    }
}

fn stack(rest: &mut Vec<(Piece, u64)>, pieces: &[Piece], mut at: u64) {
    let start = rest.len();
    for piece in pieces {
        rest.push((*piece, at));
        at = at.saturating_add(piece.bytes());
    }
    rest[start..].reverse();
}

fn hand(bytes: &[u8], each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<()> {
    each(bytes).map_err(|source| StoreError::Disk { path: "the reader".to_owned(), source })
}

fn folder_node(found: Option<&Found>) -> Option<ChunkRef> {
    match found.map(|found| &found.entry.kind) {
        Some(Kind::Directory { node, .. }) => Some(*node),
        _ => None,
    }
}

/// Two folders that differ only in what is below them.
fn same_but_content(a: Option<&Found>, b: Option<&Found>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    if folder_node(Some(a)).is_none() || folder_node(Some(b)).is_none() {
        return false;
    }
    // A folder's time moves whenever a name in it comes or goes, which is told by itself.
    let bare = |found: &Found| {
        let mut entry = found.entry.clone();
        (entry.kind, entry.modified, entry.owner) = (Kind::Fifo, larder_format::tree::Time::default(), 0);
        (entry, found.owner.clone())
    };
    bare(a) == bare(b)
}

fn with_owner(entry: Entry, owners: &[Owner]) -> Found {
    let owner = owners[entry.owner as usize].clone();
    // The number is a position in one node's list; elsewhere it means nothing, and it must not make a difference.
    Found { entry: Entry { owner: 0, ..entry }, owner }
}

fn nested() -> StoreError {
    StoreError::Refused(FormatError::Invalid { what: "a stored tree", why: "it contradicts itself" })
}

/// Iterator over the entries of a folder.
pub struct Entries<'a> {
    vault: &'a Vault,
    nodes: Vec<ChunkRef>,
    entries: VecDeque<Found>,
}

impl Iterator for Entries<'_> {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.entries.is_empty() {
            let node = self.nodes.pop()?;
            match self.vault.read_node(&node) {
                Ok(Node::Branch(children)) => {
                    self.nodes.extend(children.iter().rev().map(|child| child.node))
                }
                Ok(Node::Leaf { owners, entries }) => {
                    self.entries.extend(entries.into_iter().map(|entry| with_owner(entry, &owners)));
                }
                Err(error) => {
                    self.nodes.clear();
                    return Some(Err(error));
                }
            }
        }
        self.entries.pop_front().map(Ok)
    }
}
