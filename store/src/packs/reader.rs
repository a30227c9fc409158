//! The pack reader: one pack on one disk, with its file, its block places, and the names in its table.
//!
//! No field is believed further than a check goes: a table may be damaged, so lengths are capped and names are only
//! hints until the chunk is hashed. Not here: which disk is asked (`registry`).

use crate::disk::hash::hash_off_disk;
use crate::disk::{Disk, DiskFile, is_unanswered};
use crate::disks::member::Member;
use crate::disks::members::Members;
use crate::packs::place::Place;
use crate::{Result, StoreError};
use larder_format::pack::{
    self, BlockPlace, CHUNK_RECORD_BYTES, FOOTER_BYTES, Footer, PACK_HEADER_BYTES, Table,
};
use larder_format::{ChunkId, FormatError, Hash, block, layout};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// A pack on one disk.
pub(crate) struct PackReader {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) footer: Footer,
    blocks: Vec<BlockPlace>,
}

impl PackReader {
    pub(crate) fn open(disk: &dyn Disk, path: &str) -> io::Result<Self> {
        let (file, footer) = open_pack(disk, path)?;
        let mut bytes = vec![0; footer.blocks_len()];
        file.read_at(footer.table_offset, &mut bytes)?;
        let blocks = BlockPlace::decode_each(&bytes);
        Ok(Self { file, footer, blocks: blocks.collect() })
    }

    pub(crate) fn block_of(&self, slot: u16) -> Option<BlockPlace> {
        self.block_with_slots(slot).map(|(block, _)| block)
    }

    /// The block with `slot`, and the block's slots.
    pub(crate) fn block_with_slots(&self, slot: u16) -> Option<(BlockPlace, Range<u32>)> {
        let after = self.blocks.partition_point(|block| block.first_slot <= u32::from(slot));
        let block = *self.blocks.get(after.checked_sub(1)?)?;
        let end = self.blocks.get(after).map_or(self.footer.chunks, |next| next.first_slot);
        // A damaged table may name slots that no pack has, more than memory has room for.
        (end <= self.footer.chunks).then_some((block, block.first_slot..end))
    }

    /// Whether the wanted chunks stand in the table at their slots, each within `slots`.
    pub(crate) fn has(&self, slots: Range<u32>, wanted: &[(Place, ChunkId)]) -> bool {
        let Ok(first) = u16::try_from(slots.start) else { return false };
        let mut names = vec![0; slots.len() * CHUNK_RECORD_BYTES];
        if self.file.read_at(self.footer.name_offset(first), &mut names).is_err() {
            return false;
        }
        let (names, _) = names.as_chunks::<CHUNK_RECORD_BYTES>();
        wanted.iter().all(|(place, id)| {
            place.slot.checked_sub(first).and_then(|nth| names.get(usize::from(nth))) == Some(&id.0)
        })
    }

    pub(crate) fn read(&self, block: BlockPlace) -> io::Result<Vec<u8>> {
        // A damaged table may claim any length; no block is longer than this.
        if block.len as usize
            > block::BLOCK_PLAIN_BYTES_MAX + block::HEADER_FIXED_BYTES + 4 * block::BLOCK_CHUNKS_MAX
        {
            return Err(invalid(&FormatError::Invalid {
                what: "a pack's table",
                why: "a block is too long",
            }));
        }
        let mut bytes = vec![0; block.len as usize];
        self.file.read_at(block.offset.into(), &mut bytes)?;
        Ok(bytes)
    }
}

/// NameReader in a pack's table, asked for in the order of their slots: read many at a time, since chunks pushed together
/// are asked for together.
pub(crate) struct NameReader<'a> {
    view: &'a PackReader,
    first: u32,
    read: Vec<u8>,
    /// How many to read at the next miss; grows as long as the misses follow each other.
    ahead: u32,
    /// The disk did not answer for some names: a name not found may be there.
    pub(crate) is_unanswered: bool,
}

impl<'a> NameReader<'a> {
    const AHEAD_MAX: u32 = 512;

    pub(crate) fn new(view: &'a PackReader) -> Self {
        Self { view, first: 0, read: Vec::new(), ahead: 1, is_unanswered: false }
    }

    pub(crate) fn at(&mut self, slot: u16) -> Option<Hash> {
        let slot = u32::from(slot);
        if slot >= self.view.footer.chunks {
            return None;
        }
        let known = |names: &Self| {
            let at = usize::try_from(slot.checked_sub(names.first)?).ok()?;
            names.read.as_chunks().0.get(at).map(|name| Hash(*name))
        };
        known(self).or_else(|| {
            let after = self.first + u32::try_from(self.read.len() / CHUNK_RECORD_BYTES).unwrap_or(0);
            self.ahead = if slot == after { (self.ahead * 4).min(Self::AHEAD_MAX) } else { 1 };
            let count = self.ahead.min(self.view.footer.chunks - slot);
            self.read.resize(count as usize * CHUNK_RECORD_BYTES, 0);
            self.first = slot;
            let offset = self.view.footer.name_offset(u16::try_from(slot).ok()?);
            if let Err(error) = self.view.file.read_at(offset, &mut self.read) {
                self.is_unanswered |= is_unanswered(&error);
                self.read.clear();
            }
            known(self)
        })
    }
}

/// Opens a pack and reads its footer.
fn open_pack(disk: &dyn Disk, path: &str) -> io::Result<(Box<dyn DiskFile>, Footer)> {
    let file = disk.open(path)?;
    let footer = footer_of(file.as_ref())?;
    Ok((file, footer))
}

fn footer_of(file: &dyn DiskFile) -> io::Result<Footer> {
    let len = file.len()?;
    let mut head = [0; PACK_HEADER_BYTES];
    file.read_at(0, &mut head)?;
    pack::check_header(&head).map_err(|error| invalid(&error))?;
    let mut tail = [0; FOOTER_BYTES];
    let at = len.checked_sub(FOOTER_BYTES as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
    file.read_at(at, &mut tail)?;
    Footer::decode(&tail, len).map_err(|error| invalid(&error))
}

/// The whole table of one file, checked, for any path.
pub(crate) fn table_of(file: &dyn DiskFile) -> io::Result<Table> {
    let footer = footer_of(file)?;
    read_table_of(file, &footer)
}

fn read_table_of(file: &dyn DiskFile, footer: &Footer) -> io::Result<Table> {
    let mut bytes = vec![0; footer.table_len()];
    file.read_at(footer.table_offset, &mut bytes)?;
    Table::decode(footer, &bytes).map_err(|error| invalid(&error))
}

/// The whole table of a pack, checked. Where disks differ, as after a mix-up of packs, the copy with the pack's name
/// counts.
pub(crate) fn read_table(members: &Members, name: &Hash) -> Result<Table> {
    let path = layout::pack(name);
    let mut last = None;
    let mut found: Vec<(Arc<Member>, Footer, Table)> = Vec::new();
    for member in members.all().iter().filter(|member| member.is_readable()) {
        let table = open_pack(member.disk.as_ref(), &path).and_then(|(file, footer)| {
            if found.iter().any(|(_, known, _)| *known == footer) {
                return Ok(None);
            }
            let table = read_table_of(file.as_ref(), &footer)?;
            Ok(Some((member.clone(), footer, table)))
        });
        match table {
            Ok(other) => found.extend(other),
            Err(source) => {
                last = Some(StoreError::Disk { path: format!("{}/{path}", member.disk.name()), source })
            }
        }
    }
    let is_it = |(member, ..): &(Arc<Member>, Footer, Table)| {
        member.disk.open(&path).is_ok_and(|file| hash_off_disk(file.as_ref()) == Some(*name))
    };
    let right = if found.len() > 1 { found.iter().position(is_it) } else { None };
    match right.or((!found.is_empty()).then_some(0)) {
        Some(right) => Ok(found.swap_remove(right).2),
        None => Err(last.unwrap_or_else(|| members.none_left(&path))),
    }
}

/// Whether any disk has the pack whole, of any layout.
pub(crate) fn is_whole_anywhere(members: &Members, name: &Hash) -> bool {
    let path = layout::pack(name);
    let all = members.all();
    let mut readable = all.iter().filter(|member| member.is_readable());
    readable
        .any(|member| member.disk.open(&path).is_ok_and(|file| hash_off_disk(file.as_ref()) == Some(*name)))
}

fn invalid(error: &FormatError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.clone())
}

/// The pack's layout out of the error of an opening, where the layout is newer than this version's.
pub(crate) fn newer_layout(error: &StoreError) -> Option<u16> {
    let StoreError::Disk { source, .. } = error else { return None };
    match source.get_ref()?.downcast_ref()? {
        FormatError::TooNew { version, .. } => Some(*version),
        _ => None,
    }
}
