//! Trees read through `tree::read`. The input is a list of chunks, each after its length (u16). The first byte of an id says
//! which chunk it names, whatever the rest of the id is: so nodes of the input lead to each other, also in circles.
#![no_main]

use larder_format::tree::read::{
    Chunks, DepthFirst, Descend, DiffEntry, FolderStep, FolderWalk, InnerFolder, Interest, Looked, Lookups,
    OneChunk, Segment, Side, TreeComparison, Visitor, WalkStep, Walked, entries, find, node, nodes_in, ranges,
    root_in,
};
use larder_format::tree::{Kind, Piece, Reference};
use larder_format::{ChunkRef, FormatError, Hash};
use std::collections::HashSet;

/// Nodes that a walk may read: circles have no end.
const NODES_MAX: u64 = 300;

struct Input<'a>(Vec<&'a [u8]>);

impl<'a> Input<'a> {
    fn new(mut bytes: &'a [u8]) -> Self {
        let mut chunks = Vec::new();
        while let Some((len, rest)) = bytes.split_first_chunk::<2>() {
            let len = usize::from(u16::from_le_bytes(*len)).min(rest.len());
            let (chunk, rest) = rest.split_at(len);
            chunks.push(chunk);
            bytes = rest;
        }
        Self(chunks)
    }

    fn chunk(&self, number: u8) -> ChunkRef {
        let id = Hash([number; 32]);
        ChunkRef { id, len: self.get(&ChunkRef { id, len: 0 }).map_or(0, |chunk| chunk.len() as u32) }
    }
}

impl<'a> Chunks for Input<'a> {
    type Error = FormatError;
    type Bytes = &'a [u8];

    fn get(&self, chunk: &ChunkRef) -> Result<&'a [u8], FormatError> {
        let number = usize::from(chunk.id.0[0]) % self.0.len().max(1);
        self.0.get(number).copied().ok_or(FormatError::Short { what: "the input" })
    }
}

struct Told {
    nodes: u64,
    paths: HashSet<Vec<u8>>,
    goes_past_errors: bool,
}

impl Visitor<FormatError> for Told {
    fn may_go_on(&mut self, _: &Walked) -> bool {
        self.nodes += 1;
        self.nodes <= NODES_MAX
    }

    fn entry(&mut self, entry: &DiffEntry<'_>) -> Result<(), FormatError> {
        assert!(entry.before.is_some() || entry.after.is_some());
        assert!(entry.path().ends_with(entry.name()));
        // Nameless folders may lie in each other, and then have one path.
        assert!(self.paths.insert(entry.path()) || entry.depth() > 0);
        Ok(())
    }

    fn folder(&mut self, folder: &FolderStep) -> Result<Descend, FormatError> {
        assert!(folder.before != folder.after);
        Ok(Descend::Into)
    }

    fn unreadable(&mut self, _: Side, _: &ChunkRef, error: FormatError) -> Result<(), FormatError> {
        if self.goes_past_errors { Ok(()) } else { Err(error) }
    }
}

fn compare(input: &Input<'_>, pending_bytes_max: Option<usize>, goes_past_errors: bool) -> Option<Told> {
    let mut told = Told { nodes: 0, paths: HashSet::new(), goes_past_errors };
    let mut comparison = TreeComparison::new(Some(input.chunk(0)), Some(input.chunk(1)));
    if let Some(bytes) = pending_bytes_max {
        comparison = comparison.with_pending_bytes_max(bytes);
    }
    let walked = comparison.run(input, &mut told).ok()?;
    let _ = comparison
        .only(Interest::After)
        .run(input, &mut Told { nodes: 0, paths: HashSet::new(), goes_past_errors });
    assert!(pending_bytes_max != Some(0) || walked.pending_bytes_peak < 4 << 20);
    walked.is_complete.then_some(told)
}

fn look(input: &Input<'_>) {
    let mut last: Option<Vec<u8>> = None;
    let root = input.chunk(2);
    for found in entries(input, input.chunk(0)).map_while(Result::ok).take(100) {
        assert!(last.is_none_or(|last| last < found.entry.name));
        last = Some(found.entry.name.clone());
        // The root's only entry leads to the folder where its node says so.
        let mut lookups = Lookups::new(&found.entry.name);
        let first = lookups.look(input, &root);
        if let Ok(Looked::Found(first)) = first {
            assert_eq!(Ok(first), find(input, &root, &found.entry.name));
            assert_eq!(lookups.look(input, &root), Ok(Looked::Same));
        }
        if let Kind::File { size, pieces } = &found.entry.kind {
            bytes(input, *size, pieces);
        }
    }
}

fn bytes(input: &Input<'_>, size: u64, pieces: &[Piece]) {
    let (mut all, mut segments) = (0u64, 0);
    for segment in ranges(input, pieces.to_vec(), 0..size).take(1000) {
        segments += 1;
        match segment {
            Ok(Segment::Zeros(zeros)) => all += zeros,
            Ok(Segment::Chunk { chunk, within }) => {
                assert!(within.start < within.end && within.end <= chunk.len as usize);
                all += within.len() as u64;
            }
            Err(_) => return,
        }
    }
    assert!(all == size || (segments == 1000 && all < size));
}

/// The entries of a walk in their order, the names alone, as far as so many steps go.
fn walk(input: &Input<'_>, bytes_max: Option<usize>) -> Vec<Vec<u8>> {
    let mut walk = FolderWalk::default();
    if let Some(bytes_max) = bytes_max {
        walk = walk.with_waiting_bytes_max(bytes_max);
    }
    let mut names = Vec::new();
    walk.enter((), InnerFolder::top(input.chunk(0)));
    for _ in 0..NODES_MAX {
        match walk.next(input) {
            None => break,
            Some(WalkStep::Folder { found, inner, .. }) => {
                names.push(found.entry.name);
                walk.enter((), inner);
            }
            Some(WalkStep::Others { entries, .. }) => names.extend(entries.map(|found| found.entry.name)),
            Some(WalkStep::Unreadable { .. }) => names.push(b"?".to_vec()),
        }
    }
    assert!(walk.waiting_bytes_peak() < 32 << 20);
    names
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let input = Input::new(data);
    assert_eq!(walk(&input, None), walk(&input, Some(0)));
    for chunk in &input.0 {
        let read = node(&OneChunk(chunk), &ChunkRef::to(chunk));
        assert!(read.is_ok() || (nodes_in(chunk).is_empty() && root_in(chunk).is_none()));
    }
    // With less room all is told in another order, and nothing else.
    if let (Some(wide), Some(narrow)) = (compare(&input, None, false), compare(&input, Some(0), false)) {
        assert_eq!(wide.paths, narrow.paths);
    }
    compare(&input, Some(0), true);
    look(&input);
    let (mut rest, mut reads) = (DepthFirst::default(), 0);
    rest.push(input.chunk(0));
    while let Some(unread) = rest.pop().filter(|_| reads < NODES_MAX) {
        reads += 1;
        let _ = rest.read(&input, unread, &mut |reference: &Reference| {
            Ok(if matches!(reference, Reference::Bytes(_)) { Descend::Past } else { Descend::Into })
        });
    }
});
