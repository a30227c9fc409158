//! Two checks: that a tree is complete before it is committed, and that every stored bit is what it was.
//!
//! Completeness costs what is new: nodes that the source's last snapshot has were checked when that was committed.

use crate::damage::BlockAt;
use crate::disk::{Disk, DiskFile};
use crate::ledger::files::whole_entry;
use crate::vault::Vault;
use crate::{Result, StoreError, packs};
use larder_format::ledger::Snapshot;
use larder_format::tree::{DEPTH_MAX, Kind, Node, Piece, Reference, decode_pieces};
use larder_format::{ChunkId, ChunkRef, FormatError, Hash, layout};
use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;

/// Longest chain of lists and branches: 256 pieces to the power of 6 are more than any disk holds.
const LEVELS_MAX: usize = 8;
/// Pieces of a file's past that are remembered, some 4 MiB; what is beyond is looked up like anything new.
const PAST_PIECES_MAX: usize = 100_000;

/// Whether everything that the snapshot's tree names is in the vault and in good order.
pub(crate) fn complete(vault: &Vault, snapshot: &Snapshot, parent: Option<ChunkRef>) -> Result<()> {
    let root = vault.read_node(&snapshot.root).map_err(|error| as_missing(error, snapshot.root.id))?;
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
    let mut check = Check { vault, missing: Vec::new(), count: 0, lists: HashMap::new(), lengths: None };
    // A folder that is named many times is looked at once: sixty small nodes can name each other 2^60 times.
    let mut seen = HashSet::new();
    // Folders still to be looked at: the new one, the old one of the same name, and how deep it lies.
    let mut folders = vec![(snapshot.root, parent, 0)];
    while let Some((new, old, depth)) = folders.pop() {
        if depth > DEPTH_MAX {
            return Err(refused("its folders are nested too deeply"));
        }
        if Some(new.id) != old.map(|old| old.id) && seen.insert((new.id, old.map(|old| old.id))) {
            let below = check.folder(new, old, depth == 0)?;
            folders.extend(below.into_iter().map(|(new, old)| (new, old, depth + 1)));
        }
    }
    match check.missing.first() {
        None => Ok(()),
        Some(first) => Err(StoreError::Missing { count: check.count, first: *first }),
    }
}

struct Check<'a> {
    vault: &'a Vault,
    /// The first few; a push whose agent lost a pack may miss a hundred thousand.
    missing: Vec<ChunkId>,
    count: usize,
    /// Lists of pieces that were looked at, for the same reason as folders, and the bytes that each covers.
    lists: HashMap<ChunkId, u64>,
    /// Lengths of the chunks in the block that was looked at last: its neighbours are asked for next.
    lengths: Option<(BlockAt, Range<u32>, Vec<u32>)>,
}

/// What a file was made of in the last snapshot: was complete then, so need not be looked up again.
#[derive(Default)]
struct Past(Vec<PastLevel>);

/// The pieces that lie equally many lists deep.
#[derive(Default)]
struct PastLevel {
    ids: HashSet<ChunkId>,
    lists: Vec<ChunkRef>,
}

impl Past {
    fn of(pieces: &[Piece]) -> Self {
        let mut top = PastLevel::default();
        top.add(pieces);
        Self(vec![top])
    }

    /// Reads the old lists only once, and only as deep as something new was found: a large image has a thousand.
    fn level(&mut self, vault: &Vault, level: usize) -> &PastLevel {
        while self.0.len() <= level {
            let mut below = PastLevel::default();
            for list in self.0.last().map_or(&[][..], |above| &above.lists) {
                if below.ids.len() >= PAST_PIECES_MAX {
                    break;
                }
                // The past was complete when it was committed; if it is damaged now, that must not stop new backups.
                let pieces = vault.read(list).ok().and_then(|bytes| decode_pieces(&bytes).ok());
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
    /// Checks one folder's own nodes and files; returns the folders in it, each with its old self.
    fn folder(
        &mut self,
        new: ChunkRef,
        old: Option<ChunkRef>,
        is_root: bool,
    ) -> Result<Vec<(ChunkRef, Option<ChunkRef>)>> {
        // The past was complete when it was committed; if it is damaged now, that must not stop new backups.
        let past = |node: &ChunkRef| Ok(self.vault.read_node(node).ok());
        let old_leaves = old.and_then(|old| leaves(old, past).ok()).unwrap_or_default();
        let new_leaves = leaves(new, |node| self.node(node))?;
        let common: HashSet<_> =
            new_leaves.iter().filter(|leaf| old_leaves.contains(leaf)).map(|l| l.id).collect();
        let mut before = HashMap::new();
        for leaf in old_leaves.iter().filter(|leaf| !common.contains(&leaf.id)) {
            let Ok(Node::Leaf { entries, .. }) = self.vault.read_node(leaf) else { continue };
            before.extend(entries.into_iter().map(|entry| (entry.name, entry.kind)));
        }
        let mut below = Vec::new();
        for leaf in new_leaves.iter().filter(|leaf| !common.contains(&leaf.id)) {
            let Some(Node::Leaf { entries, .. }) = self.node(leaf)? else { continue };
            for entry in entries {
                if entry.name.is_empty() && !is_root {
                    return Err(refused("an entry below its root has no name"));
                }
                match (entry.kind, before.get(&entry.name)) {
                    (Kind::Directory { node, .. }, Some(Kind::Directory { node: old, .. })) => {
                        below.push((node, Some(*old)));
                    }
                    (Kind::Directory { node, .. }, _) => below.push((node, None)),
                    (Kind::File { pieces, .. }, Some(Kind::File { pieces: old, .. })) => {
                        self.pieces(&pieces, &mut Past::of(old), 0)?;
                    }
                    (Kind::File { pieces, .. }, _) => self.pieces(&pieces, &mut Past::of(&[]), 0)?,
                    _ => {}
                }
            }
        }
        Ok(below)
    }

    fn node(&mut self, node: &ChunkRef) -> Result<Option<Node>> {
        let read = self.if_held(node)?;
        Ok(read.map(|bytes| Node::decode(&bytes)).transpose()?)
    }

    /// The chunk's bytes; counts it as missing when it is not there or not whole, so that it is sent again. An index
    /// without it is believed: then it is stored twice, while asking every pack would take a push that names a million
    /// unknown chunks a day.
    fn if_held(&mut self, chunk: &ChunkRef) -> Result<Option<Vec<u8>>> {
        if self.vault.catalog.held(&self.vault.members, &chunk.id).is_some() {
            match self.vault.read(chunk) {
                Err(StoreError::Damaged { .. }) => {}
                read => return read.map(Some),
            }
        }
        self.miss(chunk.id);
        Ok(None)
    }

    /// Whether the chunk is held and as long as the tree says; counts it as missing when it is not held.
    fn bytes(&mut self, chunk: &ChunkRef) -> Result<()> {
        let Some(place) = self.vault.catalog.held(&self.vault.members, &chunk.id) else {
            self.miss(chunk.id);
            return Ok(());
        };
        let at = place.block_at();
        if self.lengths.as_ref().is_none_or(|(known, ..)| *known != at) {
            let found = self.vault.catalog.packs.lengths(&self.vault.members, place);
            self.lengths = found.map(|(slots, lengths)| (at, slots, lengths));
        }
        // A header that cannot be read is damage, which shows when the chunk is read; the tree is not to blame.
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

    /// Checks the pieces of one file that lie `level` lists deep; `past` is the same file in the last snapshot.
    fn pieces(&mut self, new: &[Piece], past: &mut Past, level: usize) -> Result<()> {
        if level > LEVELS_MAX {
            return Err(refused("a file's pieces are nested too deeply"));
        }
        let vouched = &past.level(self.vault, level).ids;
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

    fn list(&mut self, piece: &Piece, list: &ChunkRef, past: &mut Past, level: usize) -> Result<()> {
        let covered = match self.lists.get(&list.id) {
            Some(covered) => *covered,
            None => {
                let Some(bytes) = self.if_held(list)? else { return Ok(()) };
                let pieces = decode_pieces(&bytes)?;
                let covered = pieces.iter().map(Piece::bytes).sum();
                self.lists.insert(list.id, covered);
                self.pieces(&pieces, past, level + 1)?;
                covered
            }
        };
        if covered == piece.bytes() {
            Ok(())
        } else {
            Err(refused("a list of pieces does not cover what it should"))
        }
    }

    fn miss(&mut self, id: ChunkId) {
        self.count += 1;
        if self.missing.len() < 10 {
            self.missing.push(id);
        }
    }
}

/// The leaves of one folder, in order; `read` gives nothing for a node that is not there.
fn leaves(top: ChunkRef, mut read: impl FnMut(&ChunkRef) -> Result<Option<Node>>) -> Result<Vec<ChunkRef>> {
    let mut leaves = Vec::new();
    let mut rest = vec![(top, 0)];
    // Names only grow within a folder, so no node of it comes twice; branches full of one node would never end.
    let mut seen = HashSet::new();
    while let Some((node, level)) = rest.pop() {
        if !seen.insert(node.id) {
            return Err(refused("a folder names one of its nodes twice"));
        }
        match read(&node)? {
            Some(Node::Branch(children)) if level < LEVELS_MAX => {
                rest.extend(children.iter().rev().map(|child| (child.node, level + 1)));
            }
            Some(Node::Branch(_)) => return Err(refused("a folder's nodes are nested too deeply")),
            _ => leaves.push(node),
        }
    }
    Ok(leaves)
}

/// What reading every byte found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Packs read, over all disks.
    pub packs: u64,
    /// Bytes read, over all disks.
    pub bytes: u64,
    /// Files whose bytes are not what they were, as `DISK/PATH`.
    pub damaged: Vec<String>,
}

impl Vault {
    /// Reads every pack and every ledger entry on every disk and checks each bit against its hash.
    ///
    /// # Errors
    /// Only when a disk cannot even be listed; damage is what it returns.
    pub fn audit(&self) -> Result<Audit> {
        let mut audit = Audit::default();
        let names: Vec<_> = self.catalog.packs.all().into_iter().map(|(_, name)| name).collect();
        for member in self.members.all().iter().filter(|member| member.is_readable()) {
            let disk = member.disk.as_ref();
            if !crate::identity::is_named(disk) {
                audit.damaged.push(format!("{}/disk.json", disk.name()));
            }
            for name in &names {
                let path = packs::path(name);
                match hash_file(disk, &path, &mut audit.bytes) {
                    Ok(hash) if hash == *name => audit.packs += 1,
                    _ => audit.damaged.push(format!("{}/{path}", disk.name())),
                }
            }
            let head = self.ledger().head;
            let damaged = (1..=head.sequence).filter(|sequence| whole_entry(disk, *sequence).is_none());
            audit
                .damaged
                .extend(damaged.map(|sequence| format!("{}/{}", disk.name(), layout::entry(sequence))));
        }
        Ok(audit)
    }
}

fn hash_file(disk: &dyn Disk, path: &str, bytes: &mut u64) -> io::Result<Hash> {
    hash_of(disk.open(path)?.as_ref(), bytes)
}

/// BLAKE3 of a whole file; `bytes` grows by its length.
pub(crate) fn hash_of(file: &dyn DiskFile, bytes: &mut u64) -> io::Result<Hash> {
    let len = file.len()?;
    let mut hasher = blake3::Hasher::new();
    // Many packs of small pushes are far shorter than a step.
    let mut buffer = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(1 << 20)];
    let mut at = 0;
    while at < len {
        let step = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
        file.read_at(at, &mut buffer[..step])?;
        hasher.update(&buffer[..step]);
        at += step as u64;
    }
    *bytes += len;
    Ok(Hash(*hasher.finalize().as_bytes()))
}

fn as_missing(error: StoreError, id: ChunkId) -> StoreError {
    match error {
        StoreError::Damaged { .. } => StoreError::Missing { count: 1, first: id },
        other => other,
    }
}

fn refused(why: &'static str) -> StoreError {
    StoreError::Refused(FormatError::Invalid { what: "this backup's tree", why })
}
