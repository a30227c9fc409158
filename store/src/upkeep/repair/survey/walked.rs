//! Memory of a survey: states of nodes and lists, and names already told.
//!
//! One bit for a whole node, a few bytes for a damaged node: there may be a million nodes.

use crate::core::maintenance::Wholeness;
use crate::packs::marks::{At, Marks};
use larder_format::Hash;
use larder_format::tree::{Piece, Reference};
use std::collections::HashMap;
use std::rc::Rc;

/// Names from the root down, shared by every entry of a folder.
pub(crate) struct Path {
    pub(crate) above: Option<Rc<Path>>,
    pub(crate) name: Vec<u8>,
}

impl Path {
    pub(crate) fn text(&self) -> String {
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

/// States of surveyed nodes or lists, by place.
#[derive(Default)]
pub(crate) struct WalkedNodes {
    whole: Marks,
    /// For a damaged node, the position in `states`.
    broken: HashMap<At, u32>,
    states: Vec<Wholeness>,
}

impl WalkedNodes {
    pub(crate) fn state(&self, at: At) -> Option<Wholeness> {
        if self.whole.has(at) {
            return Some(Wholeness::Whole);
        }
        self.broken.get(&at).and_then(|position| self.states.get(*position as usize)).copied()
    }

    pub(crate) fn set(&mut self, at: At, state: Wholeness) {
        if state == Wholeness::Whole {
            return self.whole.set(at);
        }
        // The folders above a lost piece follow each other, and share a state of 33 bytes.
        if self.states.last() != Some(&state) {
            self.states.push(state);
        }
        self.broken.insert(at, u32::try_from(self.states.len() - 1).unwrap_or(u32::MAX));
    }
}

/// Key for a statement about one path.
pub(crate) fn key(source: &str, path: &str, what: &Hash) -> u64 {
    let mut hasher = blake3::Hasher::new();
    // A source's name has no line end.
    hasher.update(source.as_bytes()).update(b"\n").update(path.as_bytes()).update(&what.0);
    u64::from_le_bytes(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// Files with the same name and equal pieces are the same version.
pub(crate) fn version_of(pieces: &[Piece]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    for piece in pieces {
        hasher.update(&piece.bytes().to_le_bytes());
        if let Some(reference) = Reference::of(piece) {
            hasher.update(&reference.chunk().id.0);
        }
    }
    Hash(*hasher.finalize().as_bytes())
}
