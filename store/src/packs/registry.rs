//! Sealed packs: the list, the disks with each pack, and the bytes of any chunk.
//!
//! A hint from the index is confirmed against the pack's own table, and every chunk is hashed again on each read. So
//! no wrong byte leaves the vault whatever the index, the table or the disk says. If one disk gives damaged bytes,
//! the next is asked. Not here: how many chunks are sent together (`sending`), where a chunk may lie (`index`),
//! growing packs (`growing`).

use crate::disk::{self, Disk};
use crate::disks::members::Members;
use crate::locks::{Mutex, RwLock, rank};
use crate::packs::block_cache::BlockCache;
use crate::packs::index::Hint;
use crate::packs::place::{Answer, Place};
use crate::packs::pool::Pool;
use crate::packs::reader::{NameReader, PackReader, read_table};
use crate::packs::trouble::Troubles;
use crate::{Result, StoreError};
use larder_format::block::{self, Decoder, OpenBlock};
use larder_format::pack::{CHUNK_RECORD_BYTES, names_of};
use larder_format::{ChunkId, Hash, layout};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

mod answering;
mod sending;
mod swept;

/// Limit of cached open packs: a file handle and some kilobytes each.
const VIEWS_MAX: usize = 256;

#[derive(Default)]
struct Registry {
    names: BTreeMap<u32, Hash>,
    numbers: HashMap<Hash, (u32, u64)>,
    bytes: u64,
    /// Above every number ever given: facts remembered by a pack's number must not fit another pack.
    next: u32,
    /// NameReader of swept packs whose files may still lie on a disk.
    swept: BTreeSet<Hash>,
}

/// Opened packs by number, disk, and mount count of the disk, most recent first.
type PackReaders = VecDeque<((u32, usize, u64), Arc<PackReader>)>;

#[derive(Default)]
pub(crate) struct Packs {
    registry: RwLock<Registry, { rank::REGISTRY }>,
    views: Mutex<PackReaders, { rank::VIEWS }>,
    blocks: Mutex<BlockCache, { rank::BLOCKS }>,
    pub(crate) trouble: Troubles,
    decoders: Pool<Decoder>,
    encoders: Pool<block::Encoder>,
    salt: AtomicU32,
    /// The last attempt to read found no answering disk.
    is_silent: AtomicBool,
}

impl Packs {
    /// Takes a pack into the list under `number`.
    pub(crate) fn add(&self, number: u32, name: Hash, len: u64) {
        let mut registry = self.registry.write();
        if registry.names.insert(number, name).is_none() {
            registry.bytes += len;
        }
        registry.numbers.insert(name, (number, len));
        registry.next = registry.next.max(number + 1);
    }

    pub(crate) fn next_number(&self) -> u32 {
        self.registry.read().next
    }

    pub(crate) fn all(&self) -> Vec<(u32, Hash)> {
        let registry = self.registry.read();
        registry.names.iter().map(|(number, name)| (*number, *name)).collect()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.registry.read().bytes
    }

    /// Bytes of a pack in the list.
    pub(crate) fn len(&self, name: &Hash) -> u64 {
        let registry = self.registry.read();
        registry.numbers.get(name).map_or(0, |(_, len)| *len)
    }

    /// The number of a pack in the list.
    pub(crate) fn number(&self, name: &Hash) -> Option<u32> {
        let registry = self.registry.read();
        registry.numbers.get(name).map(|(number, _)| *number)
    }

    /// The pack has another file now: bytes read from the old file may not be believed.
    pub(crate) fn reopen(&self, number: u32) {
        let mut views = self.views.lock();
        views.retain(|((pack, ..), _)| *pack != number);
        drop(views);
        self.blocks.lock().forget(number);
        self.trouble.clear(number);
    }

    /// The pack exists no longer: its whole chunks lie in other packs.
    pub(crate) fn retire(&self, number: u32, len: u64) {
        let mut registry = self.registry.write();
        if let Some(name) = registry.names.remove(&number) {
            registry.numbers.remove(&name);
            registry.bytes = registry.bytes.saturating_sub(len);
        }
        drop(registry);
        self.reopen(number);
    }

    pub(crate) fn name(&self, number: u32) -> Option<Hash> {
        self.registry.read().names.get(&number).copied()
    }

    fn view(&self, members: &Members, number: u32, position: usize) -> io::Result<Arc<PackReader>> {
        let all = members.all();
        let disk = &all[position].disk;
        let key = (number, position, disk.coming());
        let find =
            |views: &PackReaders| views.iter().find(|(known, _)| *known == key).map(|(_, view)| view.clone());
        if let Some(view) = find(&self.views.lock()) {
            return Ok(view);
        }
        let name = self.name(number).ok_or(io::ErrorKind::NotFound)?;
        let view = Arc::new(PackReader::open(disk.as_ref(), &layout::pack(&name))?);
        let mut views = self.views.lock();
        // An open file would keep a disk that left meanwhile from being unmounted.
        if disk.coming() == key.2 {
            views.push_front((key, view.clone()));
            views.truncate(VIEWS_MAX);
        }
        Ok(view)
    }

    /// Closes every file of the disk at `position`; the caller has taken the disk out of its slot.
    pub(crate) fn close_views(&self, position: usize) {
        let mut views = self.views.lock();
        views.retain(|((_, on, _), _)| *on != position);
    }

    /// Checks each hint against the pack's own table. `hints` are in order, each with the position of its chunk in `ids`;
    /// `found` gets the position and the answer. A wrong hint gives no answer.
    pub(crate) fn confirm(
        &self,
        members: &Members,
        hints: &[(Hint, usize)],
        ids: &[ChunkId],
        mut found: impl FnMut(usize, Answer),
    ) {
        for of_pack in hints.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
            let pack = of_pack[0].0.0;
            // The index may still name a swept pack, and the pack's file may still be open.
            if self.name(pack).is_none() {
                continue;
            }
            let mut open = of_pack.to_vec();
            let mut is_unanswered = false;
            for (position, member) in members.all().iter().enumerate() {
                let view = match self.view(members, pack, position) {
                    Ok(view) => view,
                    Err(error) => {
                        if member.is_healthy() && !self.trouble.is_gone_without(pack) {
                            // A healthy disk should have the pack: the scrub looks for the fault now.
                            self.trouble.suspect();
                        }
                        let is_absent = error.kind() == io::ErrorKind::NotFound;
                        is_unanswered |= member.is_readable() && !is_absent && disk::is_unanswered(&error);
                        continue;
                    }
                };
                let mut names = NameReader::new(&view);
                open.retain(|((_, slot), asked)| {
                    let place = names
                        .at(*slot)
                        .filter(|name| *name == ids[*asked])
                        .and_then(|_| Some(Place { pack, slot: *slot, block: view.block_of(*slot)?.offset }));
                    place.inspect(|place| found(*asked, Answer::Here(*place))).is_none()
                });
                is_unanswered |= names.is_unanswered;
                if open.is_empty() {
                    break;
                }
            }
            if is_unanswered {
                open.into_iter().for_each(|(_, asked)| found(asked, Answer::Unanswered(pack)));
            }
        }
    }

    /// Slow: looks for chunks in every pack's own table, when the index knows no place.
    pub(crate) fn search(&self, members: &Members, ids: &HashSet<ChunkId>) -> Vec<(Place, ChunkId)> {
        let mut places = Vec::new();
        for (pack, name) in self.all() {
            let Ok(table) = read_table(members, &name) else { continue };
            let slots = table.chunks.iter().enumerate().filter(|(_, id)| ids.contains(id));
            places.extend(slots.filter_map(|(slot, id)| {
                let block = table.block_of(slot)?.offset;
                Some((Place { pack, slot: u16::try_from(slot).ok()?, block }, *id))
            }));
        }
        places
    }

    /// Bytes of one chunk.
    pub(crate) fn read(&self, members: &Members, place: Place, id: &ChunkId) -> Result<Vec<u8>> {
        let key = (place.pack, place.block);
        let known = self.blocks.lock().get(key);
        if let Some(bytes) = known.as_ref().and_then(|open| open.chunk(id)) {
            return Ok(bytes.to_vec());
        }
        let open = self.whole_block(members, place, id)?;
        let bytes = open.chunk(id).expect("whole_block saw it in there").to_vec();
        self.blocks.lock().put(key, Arc::new(open));
        Ok(bytes)
    }

    /// The block of a chunk, opened, from the first disk with a whole copy.
    fn whole_block(&self, members: &Members, place: Place, id: &ChunkId) -> Result<OpenBlock<'static>> {
        let mut cause = "no disk has it".to_owned();
        let all = members.all();
        for (position, member) in all.iter().enumerate().filter(|(_, member)| member.is_readable()) {
            let found = self
                .view(members, place.pack, position)
                .and_then(|view| view.read(view.block_of(place.slot).ok_or(io::ErrorKind::InvalidData)?))
                .map_err(|error| {
                    if disk::is_unanswered(&error) && error.kind() != io::ErrorKind::NotFound {
                        self.trouble.note_unanswered(place.pack);
                    }
                    error.to_string()
                })
                .and_then(|bytes| {
                    match self.decoders.with(Decoder::new, |decoder| OpenBlock::read(decoder, &bytes)) {
                        Ok((_, open)) if open.chunk(id).is_some() => Ok(open.into_owned()),
                        Ok(_) => Err("its bytes do not have its name".to_owned()),
                        Err(error) => Err(error.to_string()),
                    }
                });
            match found {
                Ok(found) => return Ok(found),
                Err(why) => {
                    let disk = member.disk.name();
                    tracing::error!(disk, chunk = %id, why, "a stored piece could not be read here");
                    if self.is_expected(place) {
                        self.trouble.suspect();
                    }
                    cause = why;
                }
            }
        }
        // Absent disks have lost no chunk: noted damage would raise an alarm long after their return.
        if !self.is_any_answering(members) {
            return Err(members.none_left(layout::PACKS));
        }
        if self.is_expected(place) {
            // At least the chunk itself: a block without chunks would be no damage.
            let names = self.names_beside(members, place).filter(|names| names.contains(id));
            self.trouble.note(place.block_at(), names.unwrap_or_else(|| vec![*id]));
        }
        Err(StoreError::Damaged { chunk: *id, cause })
    }

    /// Whether a failed read there is damage. A chunk of a swept pack lies elsewhere, and a chunk held only by an absent
    /// disk comes back with the disk.
    fn is_expected(&self, place: Place) -> bool {
        self.name(place.pack).is_some() && !self.trouble.is_gone_without(place.pack)
    }

    /// Whether the chunk lies in a block that could not be read.
    pub(crate) fn is_damaged(&self, place: Place) -> bool {
        self.trouble.is_known(place.block_at())
    }

    /// NameReader of the chunks in the block at `place`.
    fn names_beside(&self, members: &Members, place: Place) -> Option<Vec<ChunkId>> {
        let names = |position| {
            let view = self.view(members, place.pack, position).ok()?;
            let (_, slots) = view.block_with_slots(place.slot)?;
            let first = u16::try_from(slots.start).ok()?;
            let mut names = vec![0; slots.len() * CHUNK_RECORD_BYTES];
            view.file.read_at(view.footer.name_offset(first), &mut names).ok()?;
            Some(names_of(&names).collect())
        };
        (0..members.all().len()).find_map(names)
    }

    /// Slots of the block at `place` and the plain lengths of their chunks.
    pub(crate) fn lengths(&self, members: &Members, place: Place) -> Option<(Range<u32>, Vec<u32>)> {
        (0..members.all().len()).find_map(|position| {
            let view = self.view(members, place.pack, position).ok()?;
            let (block, slots) = view.block_with_slots(place.slot)?;
            let header = block::HEADER_FIXED_BYTES + 4 * slots.len() + 16;
            let mut bytes = vec![0; header.min(block.len as usize)];
            view.file.read_at(block.offset.into(), &mut bytes).ok()?;
            let header = block::Header::decode(&bytes).ok()?;
            (header.lengths.len() == slots.len()).then_some((slots, header.lengths))
        })
    }
}
