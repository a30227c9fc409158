//! A folder in the cache: its node, and each entry with its status.
//!
//! Entries are kept as encoded for a node, without their names, and are read in order without an allocation for each.
//! A folder of very many entries has several parts, so that no record is larger than a few hundred KiB. Each part but
//! the last is a record of its own, and the last part tells the number of parts.

use super::{Cache, FolderKey};
use crate::platform::FileStatus;
use larder_format::{
    ChunkRef, Hash,
    tree::{Entry, Owner, Time, Totals},
};
use std::sync::Arc;

/// A part is full at this size.
const PART_BYTES_AIM: usize = 256 * 1024;
/// Fixed bytes of an entry: flags, lengths, fingerprint.
const ENTRY_FIXED_BYTES: usize = 1 + 2 + 4 + 40;
const HEAD_BYTES: usize = 4 + 32 + 4 + 3 * 8;

/// The fingerprint may be trusted.
const FLAG_CLEAN: u8 = 1;
const FLAG_FIXED_SIZE: u8 = 2;

/// Tells a changed file from an unchanged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) modified: Time,
    pub(crate) changed: Time,
}

impl Fingerprint {
    pub(crate) fn of(status: &FileStatus) -> Self {
        let FileStatus { inode, size, modified, changed, .. } = *status;
        Self { inode, size, modified, changed }
    }

    fn encode(&self, into: &mut Vec<u8>) {
        for word in [self.inode, self.size] {
            into.extend_from_slice(&word.to_le_bytes());
        }
        for time in [self.modified, self.changed] {
            into.extend_from_slice(&time.seconds.to_le_bytes());
            into.extend_from_slice(&time.nanos.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8; 40]) -> Self {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let time = |at: usize| Time {
            seconds: word(at).cast_signed(),
            nanos: u32::from_le_bytes(std::array::from_fn(|n| bytes[at + 8 + n])),
        };
        Self { inode: word(0), size: word(8), modified: time(16), changed: time(28) }
    }
}

/// Node and totals of a finished folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Folded {
    pub(crate) node: ChunkRef,
    pub(crate) totals: Totals,
}

/// An entry as the last push knew the entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CachedEntry<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) fingerprint: Fingerprint,
    /// The fingerprint must not be trusted: a file that changed shortly before the reading may change again with the
    /// same times.
    pub(crate) racy: bool,
    pub(crate) fixed_size: bool,
    pub(crate) encoded: &'a [u8],
}

impl CachedEntry<'_> {
    /// The entry with its name; nothing for unreadable bytes.
    pub(crate) fn decode(&self) -> Option<Entry> {
        let mut entry: Entry = postcard::from_bytes(self.encoded).ok()?;
        entry.name = self.name.to_vec();
        Some(entry)
    }
}

/// Reads a folder's record part by part.
pub(crate) struct RecordReader<'a> {
    cache: &'a Cache,
    key: FolderKey,
    parts: u32,
    part: u32,
    pub(crate) folded: Folded,
    last: Vec<u8>,
    bytes: Vec<u8>,
    at: usize,
    pub(crate) owners: Vec<Arc<Owner>>,
}

impl<'a> RecordReader<'a> {
    /// The record of a folder, at its first entry.
    pub(crate) fn open(cache: &'a Cache, key: FolderKey) -> Option<Self> {
        let mut last = Vec::new();
        if !cache.read(key, &mut last) {
            return None;
        }
        let head = last.first_chunk::<HEAD_BYTES>()?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| head[at + n]));
        let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| head[at + n]));
        let node = ChunkRef { id: Hash(std::array::from_fn(|n| head[4 + n])), len: half(36) };
        let totals = Totals { files: word(40), directories: word(48), bytes: word(56) };
        let parts = half(0);
        last.drain(..HEAD_BYTES);
        let folded = Folded { node, totals };
        let (bytes, owners) = (Vec::new(), Vec::new());
        let mut reader = Self { cache, key, parts, part: 0, folded, last, bytes, at: 0, owners };
        reader.load_part()?;
        Some(reader)
    }

    /// The cache of the record.
    pub(crate) fn cache(&self) -> &'a Cache {
        self.cache
    }

    /// Back to the first entry.
    pub(crate) fn rewind(&mut self) -> Option<()> {
        if self.part == self.parts {
            std::mem::swap(&mut self.last, &mut self.bytes);
        }
        self.part = 0;
        self.load_part()
    }

    fn load_part(&mut self) -> Option<()> {
        if self.part == self.parts {
            std::mem::swap(&mut self.last, &mut self.bytes);
        } else if !self.cache.read(self.key.part(self.part), &mut self.bytes) {
            return None;
        }
        let len = u32::from_le_bytes(*self.bytes.first_chunk()?) as usize;
        let owners: Vec<Owner> = postcard::from_bytes(self.bytes.get(4..)?.get(..len)?).ok()?;
        self.owners = owners.into_iter().map(Arc::new).collect();
        self.at = 4 + len;
        Some(())
    }

    /// Makes the next part current at the end of a part; `None` after the last part or on damage.
    fn advance(&mut self) -> Option<()> {
        while self.at == self.bytes.len() {
            if self.part == self.parts {
                return None;
            }
            self.part += 1;
            self.load_part()?;
        }
        Some(())
    }

    /// The next entry; `step` moves on.
    pub(crate) fn peek(&mut self) -> Option<CachedEntry<'_>> {
        self.advance()?;
        let rest = &self.bytes[self.at..];
        let fixed = rest.first_chunk::<ENTRY_FIXED_BYTES>()?;
        let name_len = usize::from(u16::from_le_bytes([fixed[1], fixed[2]]));
        let len = u32::from_le_bytes([fixed[3], fixed[4], fixed[5], fixed[6]]) as usize;
        let (name, rest) = rest[ENTRY_FIXED_BYTES..].split_at_checked(name_len)?;
        Some(CachedEntry {
            name,
            fingerprint: Fingerprint::decode(fixed.last_chunk()?),
            racy: fixed[0] & FLAG_CLEAN == 0,
            fixed_size: fixed[0] & FLAG_FIXED_SIZE != 0,
            encoded: rest.get(..len)?,
        })
    }

    /// Moves past the entry of `peek`.
    pub(crate) fn step(&mut self) {
        if let Some(entry) = self.peek() {
            let len = ENTRY_FIXED_BYTES + entry.name.len() + entry.encoded.len();
            self.at += len;
        }
    }

    /// Marks every part of this record as still true.
    pub(crate) fn keep(&self) {
        self.cache.keep(self.key);
        (0..self.parts).for_each(|part| self.cache.keep(self.key.part(part)));
    }
}

/// Writes the record of a folder, entry by entry.
pub(crate) struct RecordWriter {
    key: FolderKey,
    parts: u32,
    owners: Vec<Arc<Owner>>,
    entries: Vec<u8>,
}

impl RecordWriter {
    pub(crate) fn new(key: FolderKey) -> Self {
        Self { key, parts: 0, owners: Vec::new(), entries: Vec::new() }
    }

    /// Adds the next entry.
    pub(crate) fn push(&mut self, entry: &KnownEntry<'_>, cache: &Cache) {
        let owner = entry.owner;
        let known = self.owners.iter().position(|known| Arc::ptr_eq(known, owner) || known == owner);
        let position = known.unwrap_or(self.owners.len());
        if known.is_none() {
            self.owners.push(Arc::clone(owner));
        }
        let Entry { mode, modified, hard_link, xattrs, kind, .. } = entry.entry;
        // The same order of fields as in `Entry`, with the name left empty.
        let fields =
            (&[0u8; 0][..], u32::try_from(position).unwrap_or(0), mode, modified, hard_link, xattrs, kind);
        let Ok(encoded) = postcard::to_stdvec(&fields) else { return };
        let (Ok(name_len), Ok(len)) = (u16::try_from(entry.entry.name.len()), u32::try_from(encoded.len()))
        else {
            return;
        };
        self.entries
            .push((u8::from(!entry.racy) * FLAG_CLEAN) | (u8::from(entry.fixed_size) * FLAG_FIXED_SIZE));
        self.entries.extend_from_slice(&name_len.to_le_bytes());
        self.entries.extend_from_slice(&len.to_le_bytes());
        entry.fingerprint.encode(&mut self.entries);
        self.entries.extend_from_slice(&entry.entry.name);
        self.entries.extend_from_slice(&encoded);
        if self.entries.len() >= PART_BYTES_AIM {
            let part = self.take_part(Vec::new());
            cache.put(self.key.part(self.parts), &part);
            self.parts += 1;
        }
    }

    fn take_part(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let owners: Vec<&Owner> = self.owners.iter().map(AsRef::as_ref).collect();
        let owners = postcard::to_stdvec(&owners).unwrap_or_default();
        bytes.extend_from_slice(&u32::try_from(owners.len()).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(&owners);
        bytes.append(&mut self.entries);
        self.owners.clear();
        bytes
    }

    /// Writes the last part of the record, with the folder's node and totals.
    pub(crate) fn finish(mut self, folded: &Folded, cache: &Cache) {
        let mut head = Vec::with_capacity(HEAD_BYTES + self.entries.len() + 64);
        head.extend_from_slice(&self.parts.to_le_bytes());
        head.extend_from_slice(&folded.node.id.0);
        head.extend_from_slice(&folded.node.len.to_le_bytes());
        let Totals { files, directories, bytes } = folded.totals;
        for word in [files, directories, bytes] {
            head.extend_from_slice(&word.to_le_bytes());
        }
        let record = self.take_part(head);
        cache.put(self.key, &record);
    }
}

/// An entry with the facts that the cache keeps.
pub(crate) struct KnownEntry<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) owner: &'a Arc<Owner>,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) racy: bool,
    pub(crate) fixed_size: bool,
}
