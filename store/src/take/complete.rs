//! Completeness check of a tree before the commit.
//!
//! The cost is the new part: nodes of the source's last snapshot were checked at that commit.

use crate::core::Core;
use crate::core::scope::Scope;
use crate::packs::marks::Marks;
use crate::packs::pins::Holder;
use crate::packs::place::{BlockAt, Place};
use crate::{Result, StoreError};
use larder_format::ledger::Snapshot;
use larder_format::tree::read::{
    self, Chunks, Descend, DiffEntry, EntryView, FolderStep, Interest, LISTS_MAX, Side, TREE, TreeComparison,
    Visitor, uncovered,
};
use larder_format::tree::{Kind, Node, Piece, Reference};
use larder_format::{ChunkId, ChunkRef, FormatError};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Remembered pieces of a file's last version, about 4 MiB; pieces beyond are looked up like new pieces.
const PAST_PIECES_MAX: usize = 100_000;

/// Remembered lengths of piece lists, about 1.3 MiB. A list named again after so many more is read again.
const COVERED_MAX: usize = 25_000;

/// Whether every chunk named by the snapshot's tree is in the vault, in good order, and brought by the device itself: a
/// device that cites a chunk of another device would read the other device's file out of its own snapshot.
pub(crate) fn complete(
    core: &Core,
    scope: &Scope,
    snapshot: &Snapshot,
    parent: Option<ChunkRef>,
) -> Result<()> {
    let held = HeldChunks { core, holder: &scope.holder };
    if parent != Some(snapshot.root) && held.place(&snapshot.root.id).is_none() {
        return Err(StoreError::Missing { count: 1, first: snapshot.root.id });
    }
    let root = core.read_node(&snapshot.root).map_err(|error| as_missing(error, snapshot.root.id))?;
    let Node::Leaf { entries, .. } = &root else { return Err(refused("its root is not a single entry")) };
    let [top] = entries.as_slice() else { return Err(refused("its root is not a single entry")) };
    let mut totals = larder_format::tree::Totals::default();
    totals.add(top);
    if let Kind::Directory { totals: below, .. } = &top.kind {
        totals = *below;
    }
    if !top.name.is_empty() {
        return Err(refused("its root has a name"));
    }
    if totals != snapshot.totals {
        return Err(refused("its counts are not those of its root"));
    }
    let mut check = Check {
        held: &held,
        missing: Vec::new(),
        count: 0,
        folders: Marks::default(),
        lists: Marks::default(),
        covered: HashMap::new(),
        lengths: None,
    };
    let comparison = TreeComparison::new(parent, Some(snapshot.root)).only(Interest::After);
    comparison.run(&held, &mut check).map_err(of_this_backup)?;
    match check.missing.first() {
        None => Ok(()),
        Some(first) => Err(StoreError::Missing { count: check.count, first: *first }),
    }
}

/// Chunks that the device brought, known to the index and readable whole; any further chunk is `Missing`, so the device sends
/// the chunk again.
/// An index without the chunk is believed: a second copy is stored. Asking every pack instead would take a push with a
/// million unknown chunks a day.
struct HeldChunks<'a> {
    core: &'a Core,
    holder: &'a Holder,
}

impl HeldChunks<'_> {
    fn place(&self, id: &ChunkId) -> Option<Place> {
        self.core.whose(self.holder, id).own()
    }
}

impl Chunks for HeldChunks<'_> {
    type Error = StoreError;
    type Bytes = Vec<u8>;

    fn get(&self, chunk: &ChunkRef) -> Result<Vec<u8>> {
        let missing = Err(StoreError::Missing { count: 1, first: chunk.id });
        // Not only the device's own: nodes of the snapshot before are read here too, and whoever cites one was asked before.
        let Some(place) = self.core.catalog.held(&self.core.members, &chunk.id) else { return missing };
        match self.core.catalog.packs.read(&self.core.members, place, &chunk.id) {
            Ok(bytes) if bytes.len() == chunk.len as usize => return Ok(bytes),
            _ => {}
        }
        // Another copy may be whole.
        match self.core.read(chunk) {
            Err(StoreError::Damaged { .. }) => missing,
            read => read,
        }
    }
}

/// One snapshot, checked entry by entry against the snapshot before.
struct Check<'a> {
    held: &'a HeldChunks<'a>,
    /// The first few; a push whose agent lost a pack may miss a hundred thousand.
    missing: Vec<ChunkId>,
    count: usize,
    /// Checked folders and lists, by the place of the chunk. A folder named often is checked once: sixty small nodes
    /// can name each other 2^60 times.
    folders: Marks,
    lists: Marks,
    /// Bytes covered by lists. Each mention of a list states the number anew.
    covered: HashMap<ChunkId, u64>,
    /// Chunk lengths in the last block read: its neighbours are asked for next.
    lengths: Option<(BlockAt, Range<u32>, Vec<u32>)>,
}

impl Visitor<StoreError> for Check<'_> {
    fn entry(&mut self, entry: &DiffEntry<'_>) -> Result<()> {
        if entry.name().is_empty() && entry.depth() > 0 {
            return Err(refused("an entry below its root has no name"));
        }
        self.pieces(pieces_of(entry.after), &mut PiecesBefore::of(pieces_of(entry.before)), 0)
    }

    fn folder(&mut self, folder: &FolderStep) -> Result<Descend> {
        let Some(node) = folder.after else { return Ok(Descend::Past) };
        let Some(place) = self.held.place(&node.id) else {
            self.miss(node.id);
            return Ok(Descend::Past);
        };
        Ok(if self.folders.set_first((place.pack, place.slot)) { Descend::Into } else { Descend::Past })
    }

    /// Nodes of the last snapshot may be read without further questions: their device is the same.
    fn may_open(&mut self, side: Side, node: &ChunkRef) -> Result<()> {
        match side {
            Side::After if self.held.place(&node.id).is_none() => {
                Err(StoreError::Missing { count: 1, first: node.id })
            }
            Side::Before | Side::After => Ok(()),
        }
    }

    fn unreadable(&mut self, side: Side, _: &ChunkRef, error: StoreError) -> Result<()> {
        match (side, error) {
            // The last snapshot was complete at its commit; later damage there must not stop new backups.
            (Side::Before, _) => Ok(()),
            (Side::After, StoreError::Missing { first, .. }) => {
                self.miss(first);
                Ok(())
            }
            (Side::After, error) => Err(error),
        }
    }
}

fn pieces_of(view: Option<EntryView<'_>>) -> &[Piece] {
    match view.map(|view| &view.entry.kind) {
        Some(Kind::File { pieces, .. }) => pieces,
        _ => &[],
    }
}

/// Pieces of a file in the last snapshot: complete then, so not looked up again.
#[derive(Default)]
struct PiecesBefore(Vec<PastLevel>);

/// Pieces at equal list depth.
#[derive(Default)]
struct PastLevel {
    ids: HashSet<ChunkId>,
    lists: Vec<ChunkRef>,
}

impl PiecesBefore {
    fn of(pieces: &[Piece]) -> Self {
        let mut top = PastLevel::default();
        top.add(pieces);
        Self(vec![top])
    }

    /// Reads old lists only once, and only as deep as new pieces occur: a large image has a thousand lists.
    fn level(&mut self, core: &Core, level: usize) -> &PastLevel {
        while self.0.len() <= level {
            let mut below = PastLevel::default();
            for list in self.0.last().map_or(&[][..], |above| &above.lists) {
                if below.ids.len() >= PAST_PIECES_MAX {
                    break;
                }
                // The last snapshot was complete at its commit; later damage there must not stop new backups.
                let pieces = read::covering(core, list).map(|(pieces, _)| pieces);
                below.add(&pieces.unwrap_or_default());
            }
            self.0.push(below);
        }
        &self.0[level]
    }
}

impl PastLevel {
    fn add(&mut self, pieces: &[Piece]) {
        for reference in pieces.iter().filter_map(Reference::of) {
            self.ids.insert(reference.chunk().id);
            if let Reference::List(list) = reference {
                self.lists.push(list);
            }
        }
    }
}

impl Check<'_> {
    /// Whether the chunk is held with the length stated in the tree; counts an absent chunk as missing.
    fn bytes(&mut self, chunk: &ChunkRef) -> Result<()> {
        let Some(place) = self.held.place(&chunk.id) else {
            self.miss(chunk.id);
            return Ok(());
        };
        let at = place.block_at();
        if self.lengths.as_ref().is_none_or(|(known, ..)| *known != at) {
            let core = self.held.core;
            let found = core.catalog.packs.lengths(&core.members, place);
            self.lengths = found.map(|(slots, lengths)| (at, slots, lengths));
        }
        // An unreadable header is damage, to show when the chunk is read; the tree is not to blame.
        let len = self.lengths.as_ref().and_then(|(_, slots, lengths)| {
            lengths.get(usize::try_from(u32::from(place.slot).checked_sub(slots.start)?).ok()?).copied()
        });
        match len {
            Some(len) if len != chunk.len => {
                Err(refused("it names a piece with a length that the piece does not have"))
            }
            _ => Ok(()),
        }
    }

    /// Checks the pieces of one file at list depth `level`; `past` is the same file in the last snapshot.
    fn pieces(&mut self, new: &[Piece], past: &mut PiecesBefore, level: usize) -> Result<()> {
        if level > LISTS_MAX {
            return Err(refused("a file's pieces are nested too deeply"));
        }
        let vouched = &past.level(self.held.core, level).ids;
        let fresh: Vec<_> = new
            .iter()
            .filter_map(|piece| Some((piece, Reference::of(piece)?)))
            .filter(|(_, reference)| !vouched.contains(&reference.chunk().id))
            .collect();
        for (piece, reference) in fresh {
            match reference {
                Reference::List(list) => self.list(piece, &list, past, level)?,
                other => self.bytes(&other.chunk())?,
            }
        }
        Ok(())
    }

    fn list(&mut self, piece: &Piece, list: &ChunkRef, past: &mut PiecesBefore, level: usize) -> Result<()> {
        if let Some(covered) = self.covered.get(&list.id) {
            return if *covered == piece.bytes() { Ok(()) } else { Err(uncovered().into()) };
        }
        let Some(place) = self.held.place(&list.id) else {
            self.miss(list.id);
            return Ok(());
        };
        let pieces = match read::list(self.held, list, piece.bytes()) {
            Err(StoreError::Missing { first, .. }) => {
                self.miss(first);
                return Ok(());
            }
            pieces => pieces?,
        };
        if self.covered.len() >= COVERED_MAX {
            self.covered.clear();
        }
        self.covered.insert(list.id, piece.bytes());
        if self.lists.set_first((place.pack, place.slot)) {
            self.pieces(&pieces, past, level + 1)
        } else {
            Ok(())
        }
    }

    fn miss(&mut self, id: ChunkId) {
        self.count += 1;
        if self.missing.len() < 10 {
            self.missing.push(id);
        }
    }
}

fn as_missing(error: StoreError, id: ChunkId) -> StoreError {
    match error {
        StoreError::Damaged { .. } => StoreError::Missing { count: 1, first: id },
        other => other,
    }
}

/// A broken tree rule lies in the tree to be committed: the tree before was checked earlier.
fn of_this_backup(error: StoreError) -> StoreError {
    match error {
        StoreError::Refused(FormatError::Invalid { what: TREE, why }) => refused(why),
        other => other,
    }
}

fn refused(why: &'static str) -> StoreError {
    StoreError::Refused(FormatError::Invalid { what: "this backup's tree", why })
}
