//! A walk through a snapshot for whoever only looks: every folder and entry once, without making anything.
//!
//! Not here: the walk of a restore (`plan`), which plans places for chunks.

use crate::{ClientError, past::tree_reader::TreeReader};
use larder_format::tree::{
    Kind,
    read::{FolderWalk, Found, InnerFolder, WalkStep},
};

/// Looks at a snapshot.
pub(crate) trait SnapshotVisitor {
    /// A folder, as the visitor knows the folder again.
    type Place: Clone;

    /// A folder in `above`. Nothing leaves the folder out, with all below.
    fn folder(&mut self, above: &Self::Place, found: &Found) -> Option<Self::Place>;

    /// Any other entry in `place`.
    fn other(&mut self, place: &Self::Place, found: &Found);

    /// Some names in `place` cannot be told: their list is damaged.
    fn unreadable(&mut self, place: &Self::Place);

    /// A hold of `place` comes back; the last hold comes after everything in the folder.
    fn leave(&mut self, place: Self::Place);
}

/// Visits an entry and everything below. A nameless folder is the root, and lies in no other: its content is in `place`.
///
/// # Errors
/// Errors of the appliance, but for damaged folders.
pub(crate) fn visit<V: SnapshotVisitor>(
    reader: &TreeReader<'_>,
    place: V::Place,
    top: &Found,
    visitor: &mut V,
) -> Result<(), ClientError> {
    let mut walk = FolderWalk::default();
    match top.entry.kind {
        Kind::Directory { node, .. } if top.entry.name.is_empty() => {
            walk.enter(place, InnerFolder::top(node))
        }
        Kind::Directory { node, .. } => {
            if let Some(below) = visitor.folder(&place, top) {
                walk.enter(below, InnerFolder::top(node));
            }
            visitor.leave(place);
        }
        _ => {
            visitor.other(&place, top);
            visitor.leave(place);
        }
    }
    while let Some(step) = walk.next(&reader.nodes()) {
        match step {
            WalkStep::Folder { above, found, inner } => {
                if let Some(below) = visitor.folder(&above, &found) {
                    walk.enter(below, inner);
                }
                visitor.leave(above);
            }
            WalkStep::Others { place, entries } => {
                entries.for_each(|found| visitor.other(&place, &found));
                visitor.leave(place);
            }
            WalkStep::Unreadable { place, error: ClientError::Damaged(_) } => {
                visitor.unreadable(&place);
                visitor.leave(place);
            }
            WalkStep::Unreadable { error, .. } => return Err(error),
        }
    }
    Ok(())
}
