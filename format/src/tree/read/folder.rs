//! A folder in the order of its names, with a single node in memory at a time.
//!
//! A reader may begin behind any name, so a walk without room for all sub-folders comes back for the rest. Resuming is
//! only safe where names rise from node to node, so the reader checks the order; then no node of a folder can come
//! twice either. Not here: the differences of two folders (`compare`).

use super::{BRANCHES_MAX, Chunks, EntryView, Found, found_in, invalid};
use crate::tree::{Child, Entry, Node, Owner};
use crate::{ChunkRef, FormatError};
use std::vec::IntoIter;

/// An unread node of a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unopened {
    pub(super) node: ChunkRef,
    /// Last name in the node, as the branch above says; `None` for the top node.
    last: Option<Vec<u8>>,
    /// Branches above the node.
    level: usize,
}

impl Unopened {
    /// Whether two folders continue with the same entries from these nodes on.
    fn is_same(&self, other: &Self) -> bool {
        (&self.node, &self.last) == (&other.node, &other.last)
    }
}

struct OpenLeaf {
    place: Unopened,
    owners: Vec<Owner>,
    rest: IntoIter<Entry>,
    is_begun: bool,
}

impl OpenLeaf {
    fn view(&self) -> Option<EntryView<'_>> {
        let entry = self.rest.as_slice().first()?;
        // `Node::decode` refused positions outside the list.
        Some(EntryView { entry, owner: &self.owners[entry.owner as usize] })
    }
}

/// Reads a folder from a name on.
pub(super) struct FolderCursor<'c, C: ?Sized> {
    chunks: &'c C,
    leaf: Option<OpenLeaf>,
    /// Nodes behind the leaf, the next last.
    unopened: Vec<Unopened>,
    /// Names up to here have been passed.
    passed: Option<Vec<u8>>,
    /// The first leaf may hold names passed before.
    is_resumed: bool,
}

impl<'c, C: Chunks + ?Sized> FolderCursor<'c, C> {
    /// Of the folder with top node `top`, behind the name `passed`; without a folder there are no entries.
    pub(super) fn new(chunks: &'c C, top: Option<ChunkRef>, passed: Option<&[u8]>) -> Self {
        let unopened = top.map(|node| Unopened { node, last: None, level: 0 }).into_iter().collect();
        Self {
            chunks,
            leaf: None,
            unopened,
            passed: passed.map(<[u8]>::to_vec),
            is_resumed: passed.is_some(),
        }
    }

    /// The next entry; `None` at the end, and until the next node is read.
    pub(super) fn view(&self) -> Option<EntryView<'_>> {
        self.leaf.as_ref()?.view()
    }

    /// The node to read before the next entry can be seen.
    pub(super) fn wants(&self) -> Option<ChunkRef> {
        if self.view().is_some() { None } else { self.unopened.last().map(|next| next.node) }
    }

    /// The node with the next entry as its first.
    fn head(&self) -> Option<&Unopened> {
        match &self.leaf {
            Some(leaf) if leaf.view().is_some() => (!leaf.is_begun).then_some(&leaf.place),
            _ => self.unopened.last(),
        }
    }

    /// Whether both cursors stand before the same node, and so before equal entries.
    pub(super) fn is_before_same_node(&self, other: &Self) -> bool {
        self.head().zip(other.head()).is_some_and(|(a, b)| a.is_same(b))
    }

    /// Steps over the next node.
    pub(super) fn skip_node(&mut self) {
        let is_open = self.view().is_some();
        let open = self.leaf.take().map(|leaf| leaf.place).filter(|_| is_open);
        if let Some(skipped) = open.or_else(|| self.unopened.pop()) {
            self.pass(skipped.last);
        }
    }

    fn pass(&mut self, last: Option<Vec<u8>>) {
        self.passed = last.or(self.passed.take());
        self.is_resumed = false;
    }

    /// Reads the node from `wants`. After an error the cursor stands behind the node.
    pub(super) fn open(&mut self) -> Result<(), C::Error> {
        if let Some(leaf) = self.leaf.take() {
            self.pass(leaf.place.last);
        }
        let Some(place) = self.unopened.pop() else { return Ok(()) };
        let node = match super::node(self.chunks, &place.node) {
            Ok(node) => node,
            Err(error) => {
                self.pass(place.last);
                return Err(error);
            }
        };
        let opened = match node {
            Node::Branch(children) => self.open_branch(&place, children),
            Node::Leaf { owners, entries } => self.open_leaf(place, owners, entries),
        };
        opened.map_err(C::Error::from)
    }

    fn open_branch(&mut self, place: &Unopened, children: Vec<Child>) -> Result<(), FormatError> {
        if place.level >= BRANCHES_MAX {
            return Err(invalid("a folder's nodes are nested too deeply"));
        }
        // `Node::decode` refused branches without children.
        let ends = (children.first().map(|child| &child.last), children.last().map(|child| &child.last));
        self.check_ends(place, ends)?;
        let passed = self.passed.as_deref();
        let is_ahead = |child: &Child| passed.is_none_or(|passed| child.last.as_slice() > passed);
        let level = place.level + 1;
        let ahead = children.into_iter().filter(is_ahead).rev();
        self.unopened.extend(ahead.map(|child| Unopened { node: child.node, last: Some(child.last), level }));
        Ok(())
    }

    fn open_leaf(
        &mut self,
        place: Unopened,
        owners: Vec<Owner>,
        entries: Vec<Entry>,
    ) -> Result<(), FormatError> {
        let ends = (entries.first().map(|entry| &entry.name), entries.last().map(|entry| &entry.name));
        self.check_ends(&place, ends)?;
        let is_passed = |entry: &Entry| self.passed.as_ref().is_some_and(|passed| entry.name <= *passed);
        let skipped = if self.is_resumed { entries.partition_point(is_passed) } else { 0 };
        self.is_resumed = false;
        let mut rest = entries.into_iter();
        if skipped > 0 {
            rest.nth(skipped - 1);
        }
        self.leaf = Some(OpenLeaf { place, owners, rest, is_begun: skipped > 0 });
        Ok(())
    }

    /// A node must lie behind every passed name and end where the branch above says. Otherwise a node could come
    /// twice, and a lookup or a resumed read would miss names.
    fn check_ends(
        &self,
        place: &Unopened,
        (first, last): (Option<&Vec<u8>>, Option<&Vec<u8>>),
    ) -> Result<(), FormatError> {
        if place.last.is_some() && place.last.as_ref() != last {
            return Err(invalid("a folder's node does not end with the name that the node above says"));
        }
        let is_behind = self.is_resumed || self.passed.is_none() || first > self.passed.as_ref();
        if is_behind { Ok(()) } else { Err(invalid("a folder's nodes are out of order")) }
    }

    /// Whether the next entry is the last of its node.
    pub(super) fn is_at_last(&self) -> bool {
        self.leaf.as_ref().is_some_and(|leaf| leaf.rest.len() == 1)
    }

    /// Steps over the next entry.
    pub(super) fn advance(&mut self) {
        if let Some(leaf) = &mut self.leaf {
            leaf.is_begun = true;
            leaf.rest.next();
        }
    }

    fn take(&mut self) -> Option<Found> {
        let leaf = self.leaf.as_mut()?;
        leaf.is_begun = true;
        let entry = leaf.rest.next()?;
        Some(found_in(&leaf.owners, entry))
    }

    /// Steps over entries before `name`, and over whole nodes as far as the branches above tell.
    pub(super) fn skip_to(&mut self, name: &[u8]) {
        if let Some(leaf) = &mut self.leaf {
            let skipped = leaf.rest.as_slice().partition_point(|entry| entry.name.as_slice() < name);
            if skipped > 0 {
                leaf.rest.nth(skipped - 1);
                leaf.is_begun = true;
            }
        }
        let is_before = |next: &Unopened| next.last.as_ref().is_some_and(|last| last.as_slice() < name);
        while self.view().is_none() && self.unopened.last().is_some_and(is_before) {
            self.skip_node();
        }
    }
}

/// The entries of a folder in the order of names, a single node in memory at a time. Ends at the first error.
pub fn entries<C: Chunks + ?Sized>(chunks: &C, top: ChunkRef) -> Entries<'_, C> {
    Entries(FolderCursor::new(chunks, Some(top), None))
}

/// Iterator over the entries of a folder.
pub struct Entries<'c, C: ?Sized>(FolderCursor<'c, C>);

impl<C: Chunks + ?Sized> Iterator for Entries<'_, C> {
    type Item = Result<Found, C::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.0.wants().is_some() {
            if let Err(error) = self.0.open() {
                self.0.unopened.clear();
                return Some(Err(error));
            }
        }
        self.0.take().map(Ok)
    }
}
