//! Survey of every kept snapshot: finds the snapshots that cannot be restored whole, and the reason.
//!
//! Each node is read once, so a thousand snapshots cost hardly more than their differences. The memory for a node is
//! one bit, or the one lost piece below the node. The newest snapshot names a lost version of a file, once. Names are
//! capped, snapshots are not. A piece is not called lost while a pack on an unanswering disk may hold the piece. Not
//! here: the record of the loss (`lost`).

use crate::core::Core;
use crate::core::maintenance::Wholeness;
use crate::disk::quarantine;
use crate::ledger::view::SnapshotRecord;
use crate::packs::catalog::presence::Presence;
use crate::packs::marks::At;
use crate::packs::reader;
use crate::upkeep::repair::attempts;
use crate::upkeep::repair::survey::walked::{Path, WalkedNodes, key, version_of};
use crate::{Result, StoreError};
use larder_format::care::LostFile;
use larder_format::tree::{Kind, Node, Piece, Reference, read};
use larder_format::{ChunkId, ChunkRef, Hash, layout};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

mod walked;

/// Named versions of files, a few megabytes; an owner reads no more.
pub(crate) const NAMED_MAX: usize = 10_000;

/// Lost pieces noted at a time, a few megabytes in memory and in a record. Larger losses are still reported, and the
/// next look finds the rest.
const LOST_MAX: usize = 100_000;

/// Nested piece lists of one file; FORMAT.md, "Limits".
const LEVELS_MAX: usize = 8;

/// Chunks and packs eligible to be called lost.
#[derive(Default)]
pub(crate) struct LossScope<'a> {
    /// Only these chunks, where an absent disk may have more.
    pub(crate) candidates: Option<&'a HashSet<ChunkId>>,
    /// Chunks listed in the pack being given up: lost if no further pack holds them, even where the survey was cut
    /// short.
    pub(crate) listed: Option<&'a HashSet<ChunkId>>,
    /// The pack being given up: no caller waits for its contents.
    pub(crate) pack: Option<u32>,
}

/// Result of a survey.
#[derive(Default)]
pub(crate) struct SurveyResult {
    /// Damaged kept snapshots by number, out of the snapshots surveyed.
    pub(crate) snapshots: BTreeMap<u64, Wholeness>,
    /// Lost pieces not known before.
    pub(crate) lost: HashSet<ChunkId>,
    /// Versions of files with a lost piece.
    pub(crate) files: Vec<LostFile>,
    /// A read failed, and the state of everything below is unknown.
    pub(crate) is_cut_short: bool,
    /// A disk did not answer, so a missing chunk may still exist.
    pub(crate) is_unanswered: bool,
    /// The survey ran to its end without a stop.
    pub(crate) is_complete: bool,
}

/// A folder's node while its children are surveyed.
struct Frame {
    node: ChunkId,
    path: Rc<Path>,
    at: At,
    rest: Vec<(ChunkRef, Rc<Path>)>,
    state: Wholeness,
}

pub(crate) struct Survey<'a> {
    core: &'a Core,
    scope: &'a LossScope<'a>,
    go_on: &'a dyn Fn() -> bool,
    // Two sets: a file with the bytes of a node shares one chunk with the node.
    nodes: WalkedNodes,
    lists: WalkedNodes,
    /// Whether the list of a hinted pack can be read; an unreadable list may hide chunks.
    tables: HashMap<u32, bool>,
    /// The vault has packs without a known list.
    has_hidden: bool,
    /// Named versions, and damaged nodes together with the paths of the survey.
    told: HashSet<u64>,
    found: SurveyResult,
}

impl<'a> Survey<'a> {
    pub(crate) fn new(core: &'a Core, scope: &'a LossScope<'a>, go_on: &'a dyn Fn() -> bool) -> Self {
        Self {
            core,
            scope,
            go_on,
            nodes: WalkedNodes::default(),
            lists: WalkedNodes::default(),
            tables: HashMap::new(),
            has_hidden: has_hidden_packs(core, scope.pack),
            told: HashSet::new(),
            found: SurveyResult { is_complete: true, ..SurveyResult::default() },
        }
    }

    /// Surveys the given snapshots of each source.
    pub(crate) fn walk(mut self, sources: &BTreeMap<String, Vec<Arc<SnapshotRecord>>>) -> SurveyResult {
        'all: for (source, records) in sources {
            // Newest first, so the newest snapshot names a version.
            for record in records.iter().rev() {
                let Some(state) = self.tree(Some((source, record.sequence)), record.snapshot.root) else {
                    self.found.is_complete = false;
                    break 'all;
                };
                if state != Wholeness::Whole {
                    self.found.snapshots.insert(record.sequence, state);
                }
            }
        }
        self.found
    }

    /// State of one folder, or of a file with the given pieces, without naming files.
    pub(crate) fn state_of(&mut self, kind: &Kind) -> Wholeness {
        match kind {
            Kind::Directory { node, .. } => self.tree(None, *node).unwrap_or(Wholeness::Unread(node.id)),
            Kind::File { pieces, .. } => self.pieces(pieces, 0),
            _ => Wholeness::Whole,
        }
    }

    /// `None` after a stop.
    fn tree(&mut self, of: Option<(&str, u64)>, root: ChunkRef) -> Option<Wholeness> {
        let mut next = (root, Rc::new(Path { above: None, name: Vec::new() }));
        let mut stack: Vec<Frame> = Vec::new();
        loop {
            if !(self.go_on)() {
                return None;
            }
            let mut state = match self.enter(of, next.0, &next.1) {
                Ok(frame) => {
                    stack.push(frame);
                    Wholeness::Whole
                }
                Err(state) => state,
            };
            // Folders without unread children are done, from the innermost outwards.
            loop {
                let Some(frame) = stack.last_mut() else { return Some(state) };
                frame.state = frame.state.and(state);
                if let Some(below) = frame.rest.pop() {
                    next = below;
                    break;
                }
                state = frame.state;
                if let Some(frame) = stack.pop() {
                    self.leave(of, &frame);
                }
            }
        }
    }

    fn leave(&mut self, of: Option<(&str, u64)>, frame: &Frame) {
        self.nodes.set(frame.at, frame.state);
        if matches!(frame.state, Wholeness::Lost(_)) {
            self.is_to_be_named_here(of, &frame.node, &frame.path);
        }
    }

    /// Reads a node and checks the files in the node; child folders stay in the frame. An error is the state of a
    /// known, lost or unreadable node.
    fn enter(
        &mut self,
        of: Option<(&str, u64)>,
        node: ChunkRef,
        path: &Rc<Path>,
    ) -> Result<Frame, Wholeness> {
        let presence = self.presence_of(&[node.id])[0];
        let Presence::Held(place) = presence else {
            let state = self.judge(node.id, presence);
            if let Wholeness::Lost(piece) = state {
                self.name(of, (&node.id, piece), || format!("{}/", path.text()));
            }
            return Err(state);
        };
        let at = (place.pack, place.slot);
        if let Some(state) = self.nodes.state(at)
            && !(matches!(state, Wholeness::Lost(_)) && self.is_to_be_named_here(of, &node.id, path))
        {
            return Err(state);
        }
        let rest = Vec::new();
        let mut frame = Frame { node: node.id, path: path.clone(), at, rest, state: Wholeness::Whole };
        match self.core.read_node(&node) {
            Ok(Node::Branch(children)) => {
                frame.rest.extend(children.iter().rev().map(|child| (child.node, path.clone())));
            }
            Ok(Node::Leaf { entries, .. }) => self.leaf(of, entries, path, &mut frame),
            Err(error) => {
                tracing::warn!(%error, node = %node.id, "a folder could not be looked at");
                return Err(self.unreadable(node.id, place.pack, &error));
            }
        }
        Ok(frame)
    }

    fn leaf(
        &mut self,
        of: Option<(&str, u64)>,
        entries: Vec<larder_format::tree::Entry>,
        path: &Rc<Path>,
        frame: &mut Frame,
    ) {
        for entry in entries {
            let path = Path { above: Some(path.clone()), name: entry.name };
            match entry.kind {
                Kind::Directory { node, .. } => frame.rest.push((node, Rc::new(path))),
                Kind::File { pieces, .. } => {
                    let state = self.pieces(&pieces, 0);
                    if let Wholeness::Lost(piece) = state {
                        self.name(of, (&version_of(&pieces), piece), || path.text());
                    }
                    frame.state = frame.state.and(state);
                }
                _ => {}
            }
        }
    }

    /// Notes every lost piece of a file.
    fn pieces(&mut self, pieces: &[Piece], level: usize) -> Wholeness {
        let references: Vec<_> = pieces.iter().filter_map(Reference::of).collect();
        let ids: Vec<_> = references.iter().map(|reference| reference.chunk().id).collect();
        let mut state = Wholeness::Whole;
        for (reference, presence) in references.into_iter().zip(self.presence_of(&ids)) {
            let of_it = match (reference, presence) {
                (Reference::List(list), Presence::Held(place)) => {
                    self.list(list, (place.pack, place.slot), level)
                }
                (_, Presence::Held(_)) => Wholeness::Whole,
                (other, presence) => self.judge(other.chunk().id, presence),
            };
            state = state.and(of_it);
        }
        state
    }

    fn list(&mut self, list: ChunkRef, at: At, level: usize) -> Wholeness {
        if let Some(state) = self.lists.state(at) {
            return state;
        }
        let pieces = read::covering(self.core, &list).map(|(pieces, _)| pieces);
        let state = match pieces {
            // A push with deeper lists is refused.
            Ok(_) if level >= LEVELS_MAX => Wholeness::Whole,
            Ok(pieces) => self.pieces(&pieces, level + 1),
            Err(error) => {
                tracing::warn!(%error, list = %list.id, "a list of pieces could not be looked at");
                self.unreadable(list.id, at.0, &error)
            }
        };
        self.lists.set(at, state);
        state
    }

    fn presence_of(&self, ids: &[ChunkId]) -> Vec<Presence> {
        self.core.catalog.presence_of_each(&self.core.members, ids)
    }

    /// Notes a chunk whose pack lists the chunk but failed the read.
    fn unreadable(&mut self, id: ChunkId, pack: u32, error: &StoreError) -> Wholeness {
        self.found.is_cut_short = true;
        let is_answered =
            matches!(error, StoreError::Damaged { .. }) && !self.core.trouble().is_unanswered(pack);
        self.found.is_unanswered |= !is_answered && self.is_waited_for(pack);
        Wholeness::Unread(id)
    }

    /// State of a chunk not held; a lost chunk is noted.
    fn judge(&mut self, id: ChunkId, presence: Presence) -> Wholeness {
        let is_known = self.core.trouble().is_given_up(&id);
        let is_absent = match presence {
            Presence::Held(_) => return Wholeness::Whole,
            Presence::Damaged(place) => Some(place.pack) == self.scope.pack,
            Presence::Unanswered(pack) if Some(pack) == self.scope.pack => true,
            Presence::Unanswered(pack) => {
                self.found.is_unanswered |= self.is_waited_for(pack);
                false
            }
            Presence::Absent => self.is_nowhere(&id),
        };
        let may_be_lost = self.scope.candidates.is_none_or(|candidates| candidates.contains(&id));
        if !is_absent || !(may_be_lost || is_known) {
            return Wholeness::Unread(id);
        }
        if !is_known && self.found.lost.len() < LOST_MAX {
            self.found.lost.insert(id);
        }
        Wholeness::Lost(id)
    }

    /// Whether no pack can hold the chunk, not even a pack with an unreadable list.
    fn is_nowhere(&mut self, id: &ChunkId) -> bool {
        let is_listed = self.scope.listed.is_some_and(|listed| listed.contains(id));
        let hinted = self.core.catalog.packs_hinted_at(id);
        (is_listed || !self.has_hidden) && hinted.into_iter().all(|pack| self.has_whole_table(pack))
    }

    fn has_whole_table(&mut self, pack: u32) -> bool {
        // A pack given up, or no longer in the vault, hides nothing.
        let name = self.core.catalog.packs.name(pack).filter(|_| Some(pack) != self.scope.pack);
        let Some(name) = name else { return true };
        let members = &self.core.members;
        *self.tables.entry(pack).or_insert_with(|| reader::read_table(members, &name).is_ok())
    }

    /// Whether a pack on an unanswering disk is read again before a give-up.
    fn is_waited_for(&self, pack: u32) -> bool {
        let name = self.core.catalog.packs.name(pack);
        Some(pack) != self.scope.pack
            && name.is_some_and(|name| !attempts::was_tried_often_enough(self.core, &name))
    }

    /// Whether a damaged node is new at this path: the files below then have names not told before.
    fn is_to_be_named_here(&mut self, of: Option<(&str, u64)>, node: &ChunkId, path: &Path) -> bool {
        let Some((source, _)) = of else { return false };
        self.found.files.len() < NAMED_MAX && self.told.insert(key(source, &path.text(), node))
    }

    fn name(
        &mut self,
        of: Option<(&str, u64)>,
        (version, piece): (&Hash, ChunkId),
        path: impl FnOnce() -> String,
    ) {
        let Some((source, snapshot)) = of else { return };
        if self.found.files.len() >= NAMED_MAX {
            return;
        }
        let path = path();
        if self.told.insert(key(source, &path, version)) {
            self.found.files.push(LostFile { source: source.to_owned(), snapshot, path, piece });
        }
    }
}

/// Whether packs besides `pack` may exist whose contents no disk can list.
pub(crate) fn has_hidden_packs(core: &Core, pack: Option<u32>) -> bool {
    let name = pack.and_then(|pack| core.catalog.packs.name(pack));
    let unreadable = core.trouble().unreadable();
    let may_be_there = |name: &Hash| {
        let all = core.members.all();
        let mut readable = all.iter().filter(|member| member.is_readable());
        readable.any(|member| quarantine::may_be_there(member.disk.as_ref(), &layout::pack(name)))
    };
    core.trouble().hides_packs() || unreadable.iter().filter(|other| Some(**other) != name).any(may_be_there)
}
