//! Reading from an appliance or a pulled disk: chunks, each checked against its name; nodes; single files.
//!
//! Bytes count only once their BLAKE3 is the name that was asked for, so a damaged disk, a wrong answer and a bad
//! cable all look the same: the chunk is not there. One bad chunk must not cost its neighbours, so a request that
//! fails as a whole is halved until the bad ones stand alone. Not here: writing files (`restore`).

use crate::{Past, Progress, Trouble, Wanted};
use larder_format::{
    ChunkId, ChunkRef,
    block::{Decoder, OpenBlock},
    tree::{Entry, Kind, Node, Owner, Piece, decode_pieces},
    wire::IDS_MAX,
    wire::Problem,
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    io::Write,
};

/// After so many requests in a row that brought nothing, the connection counts as gone.
const BROKEN_MAX: u32 = 4;
/// What is held in memory while a single file is read in order.
const READ_AHEAD_BYTES: u64 = 8 * 1024 * 1024;
/// Nodes fetched ahead, as they are stored.
const NODES_AHEAD_BYTES: u64 = 4 * 1024 * 1024;
/// A list of ours has 2,048 pieces, and one list of each level waits.
const PIECES_WAITING_MAX: usize = 32 * 1024;
/// Nodes in one request.
const NODES_ASKED_MAX: usize = 1024;

/// Fetches chunks and checks them.
pub(crate) struct Fetcher<'a> {
    past: &'a dyn Past,
    progress: &'a Progress,
    decoder: Decoder,
}

impl<'a> Fetcher<'a> {
    pub(crate) fn new(past: &'a dyn Past, progress: &'a Progress) -> Self {
        Self { past, progress, decoder: Decoder::new() }
    }

    /// Hands every chunk to `take` once, in any order. Returns those that cannot be had whole.
    ///
    /// # Errors
    /// When the appliance is gone or refuses altogether.
    pub(crate) fn fetch(
        &mut self,
        names: &[ChunkId],
        take: &mut dyn FnMut(&ChunkId, &[u8]),
    ) -> Result<Vec<ChunkId>, Trouble> {
        let mut open: HashSet<ChunkId> = names.iter().copied().collect();
        let mut lost = Vec::new();
        let mut broken = 0;
        let mut groups: Vec<Vec<ChunkId>> = names.chunks(IDS_MAX).map(<[ChunkId]>::to_vec).collect();
        while let Some(mut group) = groups.pop() {
            let before = open.len();
            let answer = self.ask(&group, &mut open, take);
            let is_progress = open.len() < before;
            group.retain(|id| open.contains(id));
            match answer {
                Err(Trouble::Unreachable { .. }) if is_progress || broken + 1 < BROKEN_MAX => {
                    broken = if is_progress { 0 } else { broken + 1 };
                    groups.push(group);
                }
                Err(trouble) if !is_about_chunks(&trouble) => return Err(trouble),
                _ if group.is_empty() => {}
                // Whole answers that brought some: the rest may only have been in a block that was damaged.
                _ if is_progress => groups.push(group),
                _ if group.len() == 1 => lost.append(&mut group),
                _ => {
                    let half = group.split_off(group.len() / 2);
                    groups.extend([half, group]);
                }
            }
        }
        Ok(lost)
    }

    fn ask(
        &mut self,
        group: &[ChunkId],
        open: &mut HashSet<ChunkId>,
        take: &mut dyn FnMut(&ChunkId, &[u8]),
    ) -> Result<(), Trouble> {
        let (decoder, progress) = (&mut self.decoder, self.progress);
        self.past.fetch(group, &mut |bytes| {
            progress.add_sent_bytes(bytes.len() as u64);
            // A block that does not open is left out: its chunks stay open and are asked for again.
            let Ok(block) = OpenBlock::read_for_names(decoder, bytes) else { return };
            for (id, place) in &block.chunks {
                if open.remove(id) {
                    take(id, &block.plain[place.clone()]);
                }
            }
        })
    }
}

/// Whether a refusal may concern single chunks rather than the whole request. "failed" does not: without a disk there
/// is no chunk at all, and taking each for damaged would tell the owner that their files are lost.
fn is_about_chunks(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Damaged(_))
        || ["damaged", "not_found", "missing_chunks"].iter().any(|code| trouble.has_code(code))
}

/// Reads trees node by node.
pub struct TreeReader<'a> {
    fetcher: Fetcher<'a>,
    ahead: HashMap<ChunkId, Ahead>,
    ahead_bytes: u64,
}

struct Ahead {
    bytes: Vec<u8>,
    used: bool,
}

impl<'a> TreeReader<'a> {
    /// Over `past`.
    pub fn new(past: &'a dyn Past, progress: &'a Progress) -> Self {
        Self { fetcher: Fetcher::new(past, progress), ahead: HashMap::new(), ahead_bytes: 0 }
    }

    /// One node; `next` are those that will probably be wanted soon after it.
    ///
    /// # Errors
    /// `Damaged` when this node cannot be had whole; others when nothing can be had.
    pub fn node(
        &mut self,
        node: &ChunkRef,
        next: impl IntoIterator<Item = ChunkRef>,
    ) -> Result<Node, Trouble> {
        if !self.ahead.contains_key(&node.id) {
            self.look_ahead(node, next)?;
        }
        let ahead = self.ahead.get_mut(&node.id).ok_or_else(|| damaged("a folder", node))?;
        ahead.used = true;
        Node::decode(&ahead.bytes).map_err(|_| damaged("a folder", node))
    }

    /// Fetches `node`, what comes next, and then the folders in those, level by level, as far as the room goes.
    fn look_ahead(
        &mut self,
        node: &ChunkRef,
        next: impl IntoIterator<Item = ChunkRef>,
    ) -> Result<(), Trouble> {
        self.ahead.retain(|_, ahead| !ahead.used);
        self.ahead_bytes = self.ahead.values().map(|ahead| ahead.bytes.len() as u64).sum();
        if self.ahead_bytes > NODES_AHEAD_BYTES / 2 {
            self.ahead.clear();
            self.ahead_bytes = 0;
        }
        let mut wave: VecDeque<ChunkRef> = std::iter::once(*node).chain(next).collect();
        while !wave.is_empty() {
            let mut room = NODES_AHEAD_BYTES.saturating_sub(self.ahead_bytes);
            // The first one is wanted in any case.
            let fits = |node: &ChunkRef| {
                let fits = room > 0 && !self.ahead.contains_key(&node.id);
                room = room.saturating_sub(node.len.into());
                fits
            };
            let asked = wave.drain(..wave.len().min(NODES_ASKED_MAX));
            let names: Vec<ChunkId> = asked.filter(fits).map(|node| node.id).collect();
            let (ahead, ahead_bytes) = (&mut self.ahead, &mut self.ahead_bytes);
            self.fetcher.fetch(&names, &mut |id, bytes| {
                if let Ok(node) = Node::decode(bytes) {
                    wave.extend(node.references().filter_map(|reference| match reference {
                        larder_format::tree::Reference::Node(node) => Some(node),
                        _ => None,
                    }));
                }
                *ahead_bytes += bytes.len() as u64;
                ahead.insert(*id, Ahead { bytes: bytes.to_vec(), used: false });
            })?;
            if self.ahead_bytes >= NODES_AHEAD_BYTES {
                break;
            }
        }
        Ok(())
    }

    /// A list of pieces that covers `bytes` of a file.
    ///
    /// # Errors
    /// `Damaged` when it cannot be had whole.
    fn pieces(&mut self, list: &ChunkRef, bytes: u64) -> Result<Vec<Piece>, Trouble> {
        let mut pieces = None;
        self.fetcher.fetch(&[list.id], &mut |_, chunk| pieces = decode_pieces(chunk).ok())?;
        pieces
            .filter(|pieces| pieces.iter().map(Piece::bytes).sum::<u64>() == bytes)
            .ok_or_else(|| damaged("a part of a large file's list", list))
    }

    /// Replaces a list by the pieces in it, at the end of `rest`, where the next piece stands last.
    ///
    /// # Errors
    /// `Damaged` when the list cannot be had whole, or holds far more than a list of ours: pieces that wait take
    /// memory, and lists within lists could ask for any amount of it.
    pub(crate) fn unfold(
        &mut self,
        list: &ChunkRef,
        bytes: u64,
        rest: &mut Vec<Piece>,
    ) -> Result<(), Trouble> {
        rest.extend(self.pieces(list, bytes)?.into_iter().rev());
        if rest.len() > PIECES_WAITING_MAX {
            return Err(damaged("a large file's list", list));
        }
        Ok(())
    }

    /// The entry at `path` (names with slashes between) below `root`; empty for the root itself.
    ///
    /// # Errors
    /// `Refused` with `not_found` when there is no such path; `Damaged` when a folder on the way cannot be read.
    pub fn find(&mut self, root: &ChunkRef, path: &[u8]) -> Result<(Entry, Owner), Trouble> {
        let not_there = || {
            let path = larder_format::wire::escape_name(path);
            Trouble::Refused(Box::new(Problem {
                code: "not_found".to_owned(),
                what: format!("There is no \"{path}\" in this snapshot."),
                meaning: "Nothing was restored, and nothing that is kept was touched.".to_owned(),
                remedy: "`larder ls` shows what is there, `larder versions` when it was.".to_owned(),
                details: String::new(),
            }))
        };
        let mut at = self.find_in(root, b"")?.ok_or_else(|| damaged("the snapshot's root", root))?;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let Kind::Directory { node, .. } = at.0.kind else { return Err(not_there()) };
            at = self.find_in(&node, name)?.ok_or_else(not_there)?;
        }
        Ok(at)
    }

    fn find_in(&mut self, folder: &ChunkRef, name: &[u8]) -> Result<Option<(Entry, Owner)>, Trouble> {
        let mut at = *folder;
        loop {
            match self.node(&at, [])? {
                Node::Leaf { owners, mut entries } => {
                    let found = entries.binary_search_by(|entry| entry.name.as_slice().cmp(name)).ok();
                    return Ok(found.map(|found| {
                        let entry = entries.swap_remove(found);
                        let owner = owners[entry.owner as usize].clone();
                        (entry, owner)
                    }));
                }
                Node::Branch(children) => {
                    let next = children.partition_point(|child| child.last.as_slice() < name);
                    match children.get(next) {
                        Some(child) => at = child.node,
                        None => return Ok(None),
                    }
                }
            }
        }
    }
}

pub(crate) fn damaged(what: &str, chunk: &ChunkRef) -> Trouble {
    Trouble::Damaged(format!("{what} cannot be read whole (chunk {})", chunk.id.short()))
}

/// Writes one file's content to `out`, checked, and returns its size.
///
/// # Errors
/// `WrongKind` when it is no file, `Damaged` at the first part that cannot be had whole, `Local` when `out` fails.
pub fn read_file(
    past: &dyn Past,
    wanted: &Wanted<'_>,
    out: &mut dyn Write,
    progress: &Progress,
) -> Result<u64, Trouble> {
    let root = past.snapshot(wanted.source, wanted.when)?.root;
    let mut reader = TreeReader::new(past, progress);
    let (entry, _) = reader.find(&root, wanted.path)?;
    let Kind::File { size, pieces } = entry.kind else {
        let is_folder = matches!(entry.kind, Kind::Directory { .. });
        return Err(no_file(wanted, if is_folder { "is a folder, not a file" } else { "is not a file" }));
    };
    // Pieces still to be written, the next one last.
    let mut rest: Vec<Piece> = pieces.into_iter().rev().collect();
    let mut group = Vec::new();
    let mut group_bytes = 0;
    while let Some(piece) = rest.pop() {
        if let Piece::More { list, bytes } = piece {
            reader.unfold(&list, bytes, &mut rest)?;
            continue;
        }
        group_bytes += if matches!(piece, Piece::Chunk(_)) { piece.bytes() } else { 0 };
        group.push(piece);
        if group_bytes >= READ_AHEAD_BYTES || group.len() >= IDS_MAX {
            write_group(&mut reader.fetcher, &group, out)?;
            (group, group_bytes) = (Vec::new(), 0);
        }
    }
    write_group(&mut reader.fetcher, &group, out)?;
    Ok(size)
}

fn no_file(wanted: &Wanted<'_>, is: &str) -> Trouble {
    let Wanted { source, path, .. } = wanted;
    let path = larder_format::wire::escape_name(path);
    let what = if path.is_empty() { format!("{source} {is}.") } else { format!("{source}:{path} {is}.") };
    Trouble::WrongKind { what, remedy: "Name a file, as SOURCE:PATH; `larder ls` shows what there is." }
}

fn write_group(fetcher: &mut Fetcher<'_>, group: &[Piece], out: &mut dyn Write) -> Result<(), Trouble> {
    let chunk = |piece: &Piece| if let Piece::Chunk(chunk) = piece { Some(*chunk) } else { None };
    let names: HashSet<ChunkId> = group.iter().filter_map(chunk).map(|chunk| chunk.id).collect();
    let mut chunks: HashMap<ChunkId, Vec<u8>> = HashMap::new();
    let names: Vec<ChunkId> = names.into_iter().collect();
    fetcher.fetch(&names, &mut |id, bytes| drop(chunks.insert(*id, bytes.to_vec())))?;
    let failed = |cause: std::io::Error| Trouble::local("writing the file", "the output", cause);
    for piece in group {
        match piece {
            Piece::Chunk(chunk) => {
                let bytes = chunks.get(&chunk.id).ok_or_else(|| damaged("a part of the file", chunk))?;
                out.write_all(bytes).map_err(failed)?;
            }
            piece => write_zeros(piece.bytes(), out).map_err(failed)?,
        }
    }
    Ok(())
}

fn write_zeros(mut bytes: u64, out: &mut dyn Write) -> std::io::Result<()> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    while bytes > 0 {
        let len = usize::try_from(bytes).unwrap_or(usize::MAX).min(ZEROS.len());
        out.write_all(&ZEROS[..len])?;
        bytes -= len as u64;
    }
    Ok(())
}
