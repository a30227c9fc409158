//! The packs of several disks together: the place of each chunk, and its block from any disk with a whole copy.
//!
//! A pack is known by its name, so copies on several disks are the same pack, and a damaged part of a copy is read
//! from another copy. A name may be wrong all the same: a file may hold another pack, whole. So the tables of every
//! copy count, and a block only counts with the wanted chunk inside. Copies without a table are scanned when nothing
//! else is left. Not here: the meaning of the chunks in a block.

use super::{
    damage::DamageLog,
    disk::PulledDisk,
    places::{ChunkPlace, Places},
    reading::{Bytes, open},
};
use crate::TransferProgress;
use larder_format::{
    ChunkId, FormatError, Hash,
    block::{Decoder, Header, OpenBlock},
    pack::{BlockPlace, FOOTER_BYTES, Footer, Table, check_header},
    scan::{BLOCK_BYTES_MAX, scan},
    wire::NOWHERE,
};
use std::{
    collections::HashSet,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// Bytes at the end of a pack that are read at once: most tables fit, so most packs cost a single movement of the
/// disk arm.
const TAIL_BYTES: u64 = 64 * 1024;
/// Bytes at the beginning of a block that are read at once: any header, and most small blocks whole.
const START_BYTES: usize = 64 * 1024;
/// A scan looks at so much at once.
const WINDOW_BYTES: usize = 4 * BLOCK_BYTES_MAX;
/// Offsets of blocks have 32 bits, so no block of the pack begins behind this offset.
const PACK_BYTES_MAX: u64 = u32::MAX as u64;
/// Unreadable blocks are remembered up to this number: a dying disk is not asked twice for a block.
const BAD_MAX: usize = 1_000_000;

enum Pack {
    /// Under its own name, on the disks whose bits are set.
    Named { name: Hash, on: u64 },
    /// Somewhere else, under whatever name.
    Stray(PathBuf),
}

pub(crate) struct PulledPacks {
    disks: Arc<[PulledDisk]>,
    damage: Arc<DamageLog>,
    packs: Vec<Pack>,
    places: Places,
    /// Copies without a table whose pack has a table elsewhere, as pack and number of the copy.
    unread: Vec<(u32, u8)>,
    late: OnceLock<Places>,
    /// Blocks that do not open, each in a copy.
    bad: Mutex<HashSet<(ChunkPlace, u8)>>,
}

impl PulledPacks {
    /// `named` are packs under their own names with the positions of their disks, in any order.
    pub(crate) fn new(
        disks: Arc<[PulledDisk]>,
        damage: Arc<DamageLog>,
        mut named: Vec<(Hash, u32)>,
        stray: Vec<PathBuf>,
    ) -> Self {
        named.sort_unstable();
        let mut packs: Vec<Pack> = Vec::new();
        for (name, disk) in named {
            match packs.last_mut() {
                Some(Pack::Named { name: last, on }) if *last == name => *on |= 1 << disk,
                _ => packs.push(Pack::Named { name, on: 1 << disk }),
            }
        }
        packs.extend(stray.into_iter().map(Pack::Stray));
        let (places, unread, late, bad) = (Places::default(), Vec::new(), OnceLock::new(), Mutex::default());
        Self { disks, damage, packs, places, unread, late, bad }
    }

    pub(crate) fn len(&self) -> usize {
        self.packs.len()
    }

    /// How many places of chunks are known.
    pub(crate) fn places(&self) -> usize {
        self.places.len()
    }

    /// Whether any table claims the chunk. The claim costs nothing and proves nothing.
    pub(crate) fn claims(&self, id: &ChunkId) -> bool {
        !self.places.of(id).is_empty()
    }

    /// The first place to look for the chunk, as a number that grows in the order of reading.
    pub(crate) fn place(&self, id: &ChunkId) -> u64 {
        let number = |place: &ChunkPlace| u64::from(place.pack) << 32 | u64::from(place.offset);
        self.places.of(id).first().map_or(NOWHERE, number)
    }

    fn copies(&self, pack: u32) -> Vec<PathBuf> {
        match &self.packs[pack as usize] {
            Pack::Stray(path) => vec![path.clone()],
            Pack::Named { name, on } => {
                let is_on = |position: &usize| on & (1 << position) != 0;
                (0..self.disks.len()).filter(is_on).map(|disk| self.disks[disk].pack_path(name)).collect()
            }
        }
    }

    /// Finds out where every chunk lies.
    pub(crate) fn look_through(&mut self, progress: &TransferProgress) {
        let mut places = std::mem::take(&mut self.places);
        progress.expect_packs(self.packs.len() as u64);
        for pack in 0..u32::try_from(self.packs.len()).unwrap_or(u32::MAX) {
            let mut has_table = false;
            let unread = self.each_table(pack, &mut |_, table| {
                has_table = true;
                for (number, block) in table.blocks.iter().enumerate() {
                    table.chunks_of(number).iter().for_each(|id| places.add(id, pack, block.offset));
                }
            });
            if has_table {
                self.unread.extend(unread.into_iter().map(|copy| (pack, copy)));
            } else {
                unread.into_iter().for_each(|copy| self.find_places(pack, copy, &mut places));
            }
            progress.add_packs(1);
        }
        places.sort();
        self.places = places;
    }

    /// Hands over the whole table of every copy, with the path of the copy; equal tables only once. A file that was
    /// swapped with another pack's file must not hide the right pack on the other disk. Returns the copies without a
    /// whole table.
    fn each_table(&self, pack: u32, each: &mut dyn FnMut(&Path, &Table)) -> Vec<u8> {
        let (mut unread, mut known, mut first) = (Vec::new(), Vec::new(), None);
        for (copy, path) in (0u8..).zip(self.copies(pack)) {
            match read_table(&path) {
                Ok((said, _)) if known.contains(&said) => continue,
                Ok((said, table)) => {
                    known.push(said);
                    match &first {
                        None => first = Some(path.clone()),
                        Some(first) => self.damage.file(
                            &path,
                            format!("it holds other things than {}; both are used", first.display()),
                        ),
                    }
                    each(&path, &table);
                    continue;
                }
                Err(ReadFailure::TooNew) => self.damage.newer(),
                Err(ReadFailure::Damaged(why)) => {
                    self.damage.file(&path, format!("{why}; what is whole in it is used"));
                }
            }
            unread.push(copy);
        }
        unread
    }

    fn find_places(&self, pack: u32, copy: u8, places: &mut Places) {
        self.scan(pack, copy, &mut |offset, block| {
            block.chunks.iter().for_each(|(id, _)| places.add(id, pack, offset));
        });
    }

    /// Places in copies without a table, of packs with a table in another copy. The other copy may be another pack's,
    /// so the copies here are scanned, but only once a chunk is nowhere else, since a dying disk takes long.
    fn late_places(&self) -> &Places {
        self.late.get_or_init(|| {
            let mut places = Places::default();
            self.unread.iter().for_each(|(pack, copy)| self.find_places(*pack, *copy, &mut places));
            places.sort();
            places
        })
    }

    /// Hands over every whole block of a copy, with its offset.
    fn scan(&self, pack: u32, copy: u8, each: &mut dyn FnMut(u32, &OpenBlock<'_>)) {
        let (mut decoder, mut window) = (Decoder::new(), Vec::new());
        let Some(path) = self.copies(pack).into_iter().nth(copy.into()) else { return };
        let Ok((file, len)) = open(&path) else { return };
        let len = len.min(PACK_BYTES_MAX);
        let mut from = 0;
        while from < len {
            let left = usize::try_from(len - from).unwrap_or(usize::MAX);
            window.resize(left.min(WINDOW_BYTES), 0);
            if file.fill_around(&mut window, from) {
                self.damage.at(&path, from, "a part of it cannot be read off the disk");
            }
            let scanned = scan(&mut decoder, &window, left <= WINDOW_BYTES, &mut |at, block| {
                each(u32::try_from(from + at as u64).unwrap_or(u32::MAX), block);
            });
            (0..scanned.too_new).for_each(|_| self.damage.newer());
            from += scanned.done as u64;
        }
    }

    /// Hands over every block that `is_wanted` by its header, opened, from any whole copy.
    pub(crate) fn each_block(
        &self,
        pack: u32,
        is_wanted: &dyn Fn(&Header) -> bool,
        each: &mut dyn FnMut(&OpenBlock<'_>),
    ) {
        let mut decoder = Decoder::new();
        let unread = self.each_table(pack, &mut |path, table| {
            let Ok((file, _)) = open(path) else { return };
            for (number, BlockPlace { offset, .. }) in table.blocks.iter().enumerate() {
                let (_, header) = read_start(&file, *offset);
                if header.is_ok_and(|header| !is_wanted(&header)) {
                    continue;
                }
                let mut names = table.chunks_of(number).iter().copied().collect();
                let place = ChunkPlace::new(pack, *offset);
                self.block(place, &mut names, &mut decoder, &mut |_, block| each(block));
            }
        });
        unread.into_iter().for_each(|copy| self.scan(pack, copy, &mut |_, block| each(block)));
    }

    /// Hands over whole blocks at `place`, from copy after copy, until every chunk in `wanted` came. A whole block
    /// without a wanted chunk is another pack's, and the next copy may have the right block.
    fn block(
        &self,
        place: ChunkPlace,
        wanted: &mut HashSet<ChunkId>,
        decoder: &mut Decoder,
        each: &mut dyn FnMut(&[u8], &OpenBlock<'_>),
    ) {
        for (copy, path) in (0u8..).zip(self.copies(place.pack)) {
            if wanted.is_empty() {
                return;
            }
            if self.bad.lock().unwrap_or_else(PoisonError::into_inner).contains(&(place, copy)) {
                continue;
            }
            let opened = with_block(&path, place.offset, decoder, &mut |bytes, block| {
                let before = wanted.len();
                for (id, _) in &block.chunks {
                    wanted.remove(id);
                }
                if wanted.len() < before {
                    each(bytes, block);
                }
            });
            match opened {
                Ok(()) => continue,
                Err(ReadFailure::TooNew) => self.damage.newer(),
                Err(ReadFailure::Damaged(why)) => self.damage.at(&path, place.offset.into(), why),
            }
            let mut bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner);
            if bad.len() < BAD_MAX {
                bad.insert((place, copy));
            }
        }
    }

    /// Hands over blocks with the chunks `names`, as far as any disk has the blocks whole.
    pub(crate) fn fetch(&self, names: &[ChunkId], each: &mut dyn FnMut(&[u8])) {
        let mut open: HashSet<ChunkId> = names.iter().copied().collect();
        self.fetch_from(&self.places, &mut open, each);
        if !open.is_empty() && !self.unread.is_empty() {
            self.fetch_from(self.late_places(), &mut open, each);
        }
    }

    fn fetch_from(&self, known: &Places, open: &mut HashSet<ChunkId>, each: &mut dyn FnMut(&[u8])) {
        let mut decoder = Decoder::new();
        // First the first place of each chunk, then the second place of each chunk that is still missing, and so on.
        for round in 0.. {
            let mut places: Vec<(ChunkPlace, ChunkId)> =
                open.iter().filter_map(|id| Some((known.of(id).get(round)?.block(), *id))).collect();
            if places.is_empty() {
                return;
            }
            // In the order of the disk, and each block once.
            places.sort_unstable();
            for same in places.chunk_by(|(a, _), (b, _)| a == b) {
                let mut wanted = same.iter().map(|(_, id)| *id).filter(|id| open.contains(id)).collect();
                self.block(same[0].0, &mut wanted, &mut decoder, &mut |bytes, block| {
                    for (id, _) in &block.chunks {
                        open.remove(id);
                    }
                    each(bytes);
                });
            }
        }
    }
}

/// Why a file or block does not read.
enum ReadFailure {
    TooNew,
    Damaged(String),
}

impl From<std::io::Error> for ReadFailure {
    fn from(cause: std::io::Error) -> Self {
        Self::Damaged(format!("it cannot be read off the disk: {cause}"))
    }
}

impl From<FormatError> for ReadFailure {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::TooNew { .. } => Self::TooNew,
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// A whole table, and the hash of the table.
fn read_table(path: &Path) -> Result<(Hash, Table), ReadFailure> {
    let (file, len) = open(path)?;
    let read = |from: u64, bytes: u64| {
        let mut part = vec![0; usize::try_from(bytes).unwrap_or(0)];
        let have = file.fill(&mut part, from)?;
        part.truncate(have);
        Ok::<_, ReadFailure>(part)
    };
    let tail_from = len.saturating_sub(TAIL_BYTES);
    let tail = read(tail_from, len - tail_from)?;
    let footer = tail.len().checked_sub(FOOTER_BYTES).ok_or(FormatError::Short { what: "a pack" });
    let footer = footer.and_then(|at| Footer::decode(&tail[at..], len));
    let table = match footer {
        Ok(footer) if footer.table_offset >= tail_from => {
            let at = usize::try_from(footer.table_offset - tail_from).unwrap_or(tail.len());
            Table::decode(&footer, &tail[at..]).map(|table| (footer.table_hash, table))
        }
        Ok(footer) => {
            let bytes = read(footer.table_offset, footer.table_len() as u64)?;
            Table::decode(&footer, &bytes).map(|table| (footer.table_hash, table))
        }
        Err(error) => Err(error),
    };
    table.map_err(|error| {
        // A newer Larder may end packs another way; the header says so in every version.
        match read(0, 16).map(|start| check_header(&start)) {
            Ok(Err(FormatError::TooNew { .. })) => ReadFailure::TooNew,
            _ => error.into(),
        }
    })
}

/// The first bytes of the block at `offset`, and its header.
fn read_start(file: &File, offset: u32) -> (Vec<u8>, Result<Header, FormatError>) {
    let mut bytes = vec![0; START_BYTES];
    match file.fill(&mut bytes, offset.into()) {
        Ok(have) => bytes.truncate(have),
        // A bad sector behind a small block must not cost the block.
        Err(_) => drop(file.fill_around(&mut bytes, offset.into())),
    }
    let header = Header::decode(&bytes);
    (bytes, header)
}

fn read_block(file: &File, offset: u32) -> Result<Vec<u8>, ReadFailure> {
    let (mut bytes, header) = read_start(file, offset);
    let len = header?.block_len();
    let have = bytes.len();
    bytes.resize(len, 0);
    if len > have {
        let more = file.fill(&mut bytes[have..], u64::from(offset) + have as u64)?;
        bytes.truncate(have + more);
    }
    Ok(bytes)
}

/// Hands over the block at `offset`, as stored and opened.
fn with_block(
    path: &Path,
    offset: u32,
    decoder: &mut Decoder,
    take: &mut dyn FnMut(&[u8], &OpenBlock<'_>),
) -> Result<(), ReadFailure> {
    let (file, _) = open(path)?;
    let bytes = read_block(&file, offset)?;
    let (_, block) = OpenBlock::read(decoder, &bytes)?;
    take(&bytes, &block);
    Ok(())
}
