//! Packs in parts of some thousand chunks, as the index keeps packs: a hash proves each value, and only the complete set
//! of parts proves a pack.
//!
//! Not here: where the values are kept (`index`).

use crate::packs::index::table::Prefix;
use larder_format::{ChunkId, Hash};

/// A longer value would become a file of its own in sled, and sled's `flush` does not sync separate files.
const CHUNKS_PER_PART: usize = 4096;

const CHECK_BYTES: usize = 8;

/// Check, name of the pack, number of its chunks.
const PART_HEAD_BYTES: usize = CHECK_BYTES + 32 + 4;

/// The names in one pack, as far as the index keeps names.
pub(crate) struct PackNames {
    pub(crate) number: u32,
    pub(crate) name: Hash,
    pub(crate) prefixes: Vec<Prefix>,
}

impl PackNames {
    /// `number` is the caller's, and the same for ever; `chunks` are in the order of their slots.
    pub(crate) fn of(number: u32, name: Hash, chunks: &[ChunkId]) -> Self {
        Self { number, name, prefixes: chunks.iter().map(prefix).collect() }
    }

    pub(crate) fn chunks(&self) -> usize {
        self.prefixes.len()
    }
}

/// A pack with some parts read.
pub(crate) struct PackInParts {
    names: PackNames,
    chunks: usize,
    parts: u16,
}

impl PackInParts {
    pub(crate) fn starting_with(part: &Part<'_>) -> Self {
        let names = PackNames { number: part.number, name: part.name, prefixes: part.prefixes.to_vec() };
        Self { names, chunks: part.chunks, parts: 1 }
    }

    /// A part out of order is left out, and the pack does not become whole.
    pub(crate) fn add(&mut self, part: &Part<'_>) {
        let of_it = (part.number, part.name, part.part) == (self.names.number, self.names.name, self.parts);
        if of_it {
            self.parts += 1;
            self.names.prefixes.extend_from_slice(part.prefixes);
        }
    }

    pub(crate) fn whole(self) -> Option<PackNames> {
        (self.names.prefixes.len() == self.chunks).then_some(self.names)
    }
}

/// One value of sled, proven equal to the written value.
pub(crate) struct Part<'a> {
    pub(crate) number: u32,
    pub(crate) part: u16,
    name: Hash,
    pub(crate) chunks: usize,
    prefixes: &'a [Prefix],
}

impl<'a> Part<'a> {
    pub(crate) fn decode(key: &[u8], value: &'a [u8]) -> Option<Self> {
        let (check, rest) = value.split_first_chunk::<CHECK_BYTES>()?;
        (check_of(key, rest) == *check).then_some(())?;
        let (number, part) = key.split_first_chunk()?;
        let (name, rest) = rest.split_first_chunk()?;
        let (chunks, prefixes) = rest.split_first_chunk()?;
        let chunks = usize::try_from(u32::from_be_bytes(*chunks)).ok()?;
        let (number, part) = (u32::from_be_bytes(*number), u16::from_be_bytes(part.try_into().ok()?));
        Some(Self { number, part, name: Hash(*name), chunks, prefixes: prefixes.as_chunks().0 })
    }
}

impl PackNames {
    /// At least one, so that a pack without chunks is known too.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[Prefix]> {
        let rest = self.prefixes.chunks(CHUNKS_PER_PART);
        let none = self.prefixes.is_empty().then_some(&self.prefixes[..]);
        none.into_iter().chain(rest)
    }

    pub(crate) fn encode(&self, key: [u8; 6], prefixes: &[Prefix]) -> Vec<u8> {
        let mut value = Vec::with_capacity(PART_HEAD_BYTES + prefixes.len() * 4);
        value.extend_from_slice(&[0; CHECK_BYTES]);
        value.extend_from_slice(&self.name.0);
        let chunks = u32::try_from(self.prefixes.len()).expect("at most PACK_CHUNKS_MAX");
        value.extend_from_slice(&chunks.to_be_bytes());
        value.extend_from_slice(prefixes.as_flattened());
        let check = check_of(&key, &value[CHECK_BYTES..]);
        value[..CHECK_BYTES].copy_from_slice(&check);
        value
    }
}

pub(crate) fn part_key(number: u32, part: u16) -> [u8; 6] {
    let mut key = [0; 6];
    key[..4].copy_from_slice(&number.to_be_bytes());
    key[4..].copy_from_slice(&part.to_be_bytes());
    key
}

fn check_of(key: &[u8], rest: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = blake3::Hasher::new().update(key).update(rest).finalize();
    *hash.as_bytes().first_chunk().expect("a hash is longer")
}

pub(crate) fn prefix(id: &ChunkId) -> Prefix {
    let [a, b, c, d, ..] = id.0;
    [a, b, c, d]
}
