//! What is lost: which pieces of which files, found by walking the trees, and remembered until a device brings them.
//!
//! The record lies beside the damaged file in the quarantine of every disk, since what is lost must not be forgotten
//! with the agent's memory: a device believes that it need not send again what it sent once. Only the first thousand
//! files are named; the pieces are all there. Not here: asking the devices (`check`, which looks at everything again
//! as long as something is lost).

use super::place::{self, QUARANTINE};
use crate::Result;
use crate::disk::{Disk, read_whole, write_whole};
use crate::members::Members;
use crate::vault::Vault;
use larder_format::care::{self, Losses, LostFile};
use larder_format::tree::{Kind, Node, Piece, Reference, read};
use larder_format::{ChunkId, ChunkRef, Hash};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::rc::Rc;

/// Files that are named; an owner reads no more, and a record stays small.
const FILES_NAMED_MAX: usize = 1000;
/// Nodes that are looked at, some 20 MB of memory: beyond it the walk ends, and what the pack's table lists counts as lost.
const NODES_MAX: usize = 1_000_000;
/// Lost pieces that are noted at a time, some megabytes in memory and in a record. Where more is gone it is told all the
/// same, and found at the next look.
const LOST_MAX: usize = 100_000;
const PART: &str = "open/lost.part";

/// What was lost with one pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) chunks: HashSet<ChunkId>,
    pub(crate) files: Vec<LostFile>,
}

/// Writes down what was lost with a pack, on every healthy disk.
pub(crate) fn write(members: &Members, name: &Hash, lost: &Lost) -> Result<()> {
    members.on_each(&path_of(name), |member| write_on(member.disk.as_ref(), name, lost)).map(drop)
}

/// The same on one disk.
pub(crate) fn write_on(disk: &dyn Disk, name: &Hash, lost: &Lost) -> io::Result<()> {
    let mut pieces: Vec<_> = lost.chunks.iter().copied().collect();
    pieces.sort();
    let bytes = care::encode(&Losses { files: lost.files.clone(), pieces });
    let path = path_of(name);
    // A repair that was begun anew after a power cut knows better than the first one.
    place::set_aside(disk, &path)?;
    write_whole(disk, PART, &path, &bytes)
}

fn path_of(name: &Hash) -> String {
    format!("{QUARANTINE}/{name}.lost")
}

/// All records of all disks.
fn read_all(members: &Members) -> Lost {
    let mut lost = Lost::default();
    for member in members.all().iter().filter(|member| member.is_readable()) {
        let disk = member.disk.as_ref();
        for item in disk.list(QUARANTINE).unwrap_or_default() {
            if !item.is_folder && item.name.contains(".lost") {
                match read_one(disk, &format!("{QUARANTINE}/{}", item.name)) {
                    Some(record) => {
                        lost.chunks.extend(record.pieces);
                        lost.files.extend(record.files);
                    }
                    None => tracing::warn!(
                        disk = disk.name(),
                        record = item.name,
                        "a record of losses is damaged"
                    ),
                }
            }
        }
    }
    lost
}

/// Packs of which a record says what was lost with them.
pub(crate) fn packs_given_up(members: &Members) -> HashSet<Hash> {
    let all = members.all();
    let readable = all.iter().filter(|member| member.is_readable());
    let items = readable.flat_map(|member| member.disk.list(QUARANTINE).unwrap_or_default());
    items.filter_map(|item| Hash::from_hex(item.name.split_once(".lost")?.0)).collect()
}

fn read_one(disk: &dyn Disk, path: &str) -> Option<Losses> {
    care::decode(&read_whole(disk, path, care::CARE_BYTES_MAX as u64).ok()?).ok()
}

impl Vault {
    /// Packs that no disk gives whole enough to find anything in them.
    pub fn unreadable_packs(&self) -> usize {
        self.catalog.unreadable().len() + usize::from(self.catalog.hides_some())
    }

    /// Chunks that were found damaged on every disk and that no push has brought again.
    pub fn damaged_chunks(&self) -> usize {
        self.catalog.damaged(&self.members)
    }

    /// Takes up what records say was lost before, so that devices are asked for it.
    pub(crate) fn remember_lost(&self) {
        let lost = read_all(&self.members);
        self.catalog.packs.damage.give_up(lost.chunks);
        self.care.note_lost(&lost.files);
    }

    /// Files that cannot be given back whole, as far as scrubs found out: at most a thousand for each lost pack.
    pub fn lost_files(&self) -> Vec<LostFile> {
        let damage = &self.catalog.packs.damage;
        let is_lost = |file: &LostFile| damage.is_given_up(&file.piece) && !self.is_held(&file.piece);
        let mut files = self.care.lost_files();
        files.retain(is_lost);
        files
    }

    /// Looks through everything that is kept for what no pack holds although nobody saw it go: a disk that lied about
    /// flushing, a file that somebody deleted. It is named and remembered, and asked for at the next push. Returns how many
    /// pieces it was; nothing where it could not be seen, because the index is being made anew or no disk answers.
    ///
    /// # Errors
    /// `Disk` when it could not be written down; it is remembered until the next start.
    pub fn look_for_loss(&self, go_on: &dyn Fn() -> bool) -> Result<Option<usize>> {
        if self.catalog.pending_count() > 0 {
            return Ok(None);
        }
        let found = self.find_lost(None, None, go_on);
        // Asked afterwards, since the last disk may go meanwhile: what is away is not lost.
        if self.require_answering().is_err() {
            return Ok(None);
        }
        if found.chunks.is_empty() {
            return Ok(Some(0));
        }
        tracing::error!(pieces = found.chunks.len(), "pieces of kept backups are in no pack");
        self.catalog.packs.damage.give_up(found.chunks.iter().copied());
        // A disk that is away may have it, and then it is not lost.
        if self.members.are_all_here() {
            let mut pieces: Vec<_> = found.chunks.iter().map(|id| id.0).collect();
            pieces.sort_unstable();
            // Of no pack that anybody knows.
            write(&self.members, &Hash::of(pieces.as_flattened()), &found)?;
        }
        Ok(Some(found.chunks.len()))
    }

    /// Everything that a snapshot names and that no pack holds and nobody knew to be lost; of `candidates` only, where some
    /// are given. Where not all can be looked at, what is `listed` and not held counts as lost too.
    pub(super) fn find_lost(
        &self,
        candidates: Option<&HashSet<ChunkId>>,
        listed: Option<&HashSet<ChunkId>>,
        go_on: &dyn Fn() -> bool,
    ) -> Lost {
        let mut walk = Walk {
            vault: self,
            candidates,
            go_on,
            seen: HashSet::new(),
            lost: Lost::default(),
            is_cut_short: false,
        };
        let sources: BTreeMap<_, _> = self.ledger().sources.clone();
        for (source, facts) in &sources {
            // The newest first, so that a file is named by the newest snapshot that has it so.
            for fact in facts.iter().rev() {
                walk.snapshot(source, fact.sequence, fact.snapshot.root);
            }
        }
        let is_cut_short = walk.is_cut_short || walk.seen.len() >= NODES_MAX;
        let mut lost = walk.lost;
        if is_cut_short {
            lost.chunks.extend(listed.into_iter().flatten().filter(|id| !self.is_held(id)));
        }
        self.care.note_lost(&lost.files);
        lost
    }
}

/// Names from the root down, shared by everything in one folder.
struct Path {
    above: Option<Rc<Path>>,
    name: Vec<u8>,
}

impl Path {
    fn text(&self) -> String {
        let mut names = Vec::new();
        let mut rest = Some(self);
        while let Some(path) = rest {
            names.push(String::from_utf8_lossy(&path.name));
            rest = path.above.as_deref();
        }
        // The root has no name.
        names.into_iter().rev().filter(|name| !name.is_empty()).collect::<Vec<_>>().join("/")
    }
}

struct Walk<'a> {
    vault: &'a Vault,
    candidates: Option<&'a HashSet<ChunkId>>,
    go_on: &'a dyn Fn() -> bool,
    /// The first bytes of the ids of nodes and lists that were looked at.
    seen: HashSet<u64>,
    lost: Lost,
    /// Something could not be read, and what it names is not known.
    is_cut_short: bool,
}

impl Walk<'_> {
    fn snapshot(&mut self, source: &str, snapshot: u64, root: ChunkRef) {
        let top = Rc::new(Path { above: None, name: Vec::new() });
        let mut nodes = vec![(root, top)];
        while let Some((node, path)) =
            nodes.pop().filter(|_| self.lost.chunks.len() < LOST_MAX && (self.go_on)())
        {
            let missing = self.missing(&node.id);
            if missing {
                self.lose((source, snapshot), node.id, format!("{}/", path.text()));
            }
            if missing || !self.is_new(&node.id) {
                continue;
            }
            match self.vault.read_node(&node) {
                Ok(Node::Branch(children)) => {
                    nodes.extend(children.iter().rev().map(|child| (child.node, path.clone())));
                }
                Ok(Node::Leaf { entries, .. }) => {
                    for entry in entries {
                        let path = Path { above: Some(path.clone()), name: entry.name };
                        match entry.kind {
                            Kind::Directory { node, .. } => nodes.push((node, Rc::new(path))),
                            Kind::File { pieces, .. } => {
                                if let Some(piece) = self.lost_piece(pieces) {
                                    self.lose((source, snapshot), piece, path.text());
                                }
                            }
                            _ => {}
                        }
                    }
                }
                // Damaged, and not known to be: the scrub comes by.
                Err(error) => {
                    tracing::warn!(%error, node = %node.id, "a folder could not be looked at");
                    self.is_cut_short = true;
                }
            }
        }
    }

    fn is_new(&mut self, id: &ChunkId) -> bool {
        let first = u64::from_le_bytes(id.0[..8].try_into().expect("8 of 32 bytes"));
        self.seen.len() < NODES_MAX && self.seen.insert(first)
    }

    fn missing(&self, id: &ChunkId) -> bool {
        let damage = &self.vault.catalog.packs.damage;
        self.candidates.map_or_else(|| !damage.is_given_up(id), |candidates| candidates.contains(id))
            && !self.vault.is_held(id)
    }

    /// Notes every lost piece of a file, and returns one.
    fn lost_piece(&mut self, pieces: Vec<Piece>) -> Option<ChunkId> {
        let mut found = None;
        let mut rest = pieces;
        while let Some(piece) = rest.pop() {
            let Some(reference) = Reference::of(&piece) else { continue };
            let id = reference.chunk().id;
            if self.missing(&id) {
                self.lost.chunks.insert(id);
                found = Some(id);
            } else if let Reference::List(list) = reference
                // Lists cannot name themselves, but one may be named very often.
                && self.is_new(&list.id)
            {
                match read::covering(self.vault, &list) {
                    Ok((pieces, _)) => rest.extend(pieces),
                    Err(error) => {
                        tracing::warn!(%error, list = %list.id, "a list of pieces could not be looked at");
                        self.is_cut_short = true;
                    }
                }
            }
        }
        found
    }

    fn lose(&mut self, (source, snapshot): (&str, u64), piece: ChunkId, path: String) {
        self.lost.chunks.insert(piece);
        let is_named = self.lost.files.iter().any(|file| file.source == source && file.path == path);
        if !is_named && self.lost.files.len() < FILES_NAMED_MAX {
            let source = source.to_owned();
            self.lost.files.push(LostFile { source, snapshot, path, piece });
        }
    }
}
