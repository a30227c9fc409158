//! Rebuilds one pack: from another disk, or from the remains of the pack and its parity on every disk.
//!
//! Copies of a pack are the same bytes on every disk, and so are the sidecars; each shard is taken from any whole copy.
//! So two disks with damage in different places make one whole pack, and so does a single disk with its sidecar. Only
//! bytes with the matching hash get the pack's name. Not here: packs beyond repair (`give_up`).

use crate::Result;
use crate::disk::hash::hash_off_disk;
use crate::disk::{Disk, DiskFile, remove_if_there, sync_file};
use crate::disks::member::Member;
use crate::disks::members::Members;
use crate::upkeep::parity;
use crate::upkeep::repair::place;
use crate::upkeep::repair::watched::Unanswered;
use larder_format::Hash;
use larder_format::layout::{self, QUARANTINE};
use larder_format::parity::{Parity, ShardHash, Source, rebuild, shard_hash};
use std::collections::BTreeMap;
use std::io;

const STEP_BYTES: usize = 1 << 20;

/// Outcome of a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mended {
    /// The pack is whole and in its place; the former file is in the quarantine.
    Whole,
    /// Every remaining byte was read, and the bytes do not suffice.
    Damaged,
    /// A disk did not answer for a part of the pack, and may answer later.
    Unread,
}

/// Rebuilds the pack on one disk and puts the pack in its place. `reserve_bytes` stay free.
///
/// # Errors
/// `Full` or `Disk` when the disk does not take the pack; opening the vault then puts every change right.
pub(crate) fn mend(members: &Members, member: &Member, name: &Hash, reserve_bytes: u64) -> Result<Mended> {
    let copies = Copies::open(members, member, name);
    let mended = layout::mended_pack(name);
    let disk = member.disk.as_ref();
    let failed = |source| member.failed(&mended, source);
    let Some(len) = copies.len() else { return Ok(copies.verdict()) };
    member.require_room(len, reserve_bytes)?;
    remove_if_there(disk, &mended).map_err(failed)?;
    let is_whole = match copies.copy_whole(disk, &mended, name) {
        Ok(false) => copies.compute(disk, &mended, name),
        done => done,
    };
    if !matches!(is_whole, Ok(true)) {
        // Cleared even after an error: on a full disk the half-written file takes room needed for work.
        let cleared = remove_if_there(disk, &mended);
        is_whole.and(cleared).map_err(failed)?;
        return Ok(copies.verdict());
    }
    place::put_in_place(disk, name).map_err(failed)?;
    Ok(Mended::Whole)
}

/// Every file on every disk with possible bytes of one pack.
pub(crate) struct Copies {
    pub(crate) packs: Vec<Box<dyn DiskFile>>,
    sidecars: Vec<(Box<dyn DiskFile>, Parity)>,
    unanswered: Unanswered,
}

impl Copies {
    /// Copies on different disks come first, being most likely whole.
    pub(crate) fn open(members: &Members, member: &Member, name: &Hash) -> Self {
        let all = members.all();
        let readable = all.iter().filter(|known| known.is_readable());
        let (mine, others): (Vec<_>, Vec<_>) = readable.partition(|known| known.id == member.id);
        let (mut packs, mut sidecars, unanswered) = (Vec::new(), Vec::new(), Unanswered::default());
        for disk in others.into_iter().chain(mine).map(|member| member.disk.as_ref()) {
            let set_aside = unanswered.list(disk, QUARANTINE);
            let all = |path: String, of_it: String| {
                let set_aside = set_aside.iter().filter(|aside| aside.starts_with(&of_it));
                let paths = set_aside.map(|aside| layout::quarantined(aside));
                let files = std::iter::once(path).chain(paths);
                files.filter_map(|path| unanswered.open(disk, &path)).collect::<Vec<_>>()
            };
            packs.extend(all(layout::pack(name), layout::set_aside_pack(name)));
            let read = |file: Box<dyn DiskFile>| Some((parity::read(file.as_ref(), name)?, file));
            let found =
                all(layout::parity(name), layout::set_aside_parity(name)).into_iter().filter_map(read);
            sidecars.extend(found.map(|(parity, file)| (file, parity)));
        }
        Self { packs, sidecars, unanswered }
    }

    /// Whether a read of a copy failed.
    pub(crate) fn is_unread(&self) -> bool {
        self.unanswered.any()
    }

    /// Outcome for a pack not rebuilt from these copies.
    fn verdict(&self) -> Mended {
        if self.is_unread() { Mended::Unread } else { Mended::Damaged }
    }

    /// Length of the pack in bytes; `None` without any remains.
    pub(crate) fn len(&self) -> Option<u64> {
        let from_parity = self.sidecars.first().map(|(_, parity)| parity.shape.pack_len);
        from_parity.or_else(|| self.packs.iter().find_map(|file| file.len().ok()))
    }

    /// Copies the first whole copy.
    fn copy_whole(&self, disk: &dyn Disk, part: &str, name: &Hash) -> io::Result<bool> {
        let mut buffer = vec![0; STEP_BYTES];
        for file in &self.packs {
            // Read before any write: most copies asked for are damaged.
            if hash_off_disk(file.as_ref()) != Some(*name) {
                continue;
            }
            let mut writing = Writing::create(disk, part)?;
            let len = file.len()?;
            let mut at = 0;
            while at < len {
                let step = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
                if file.read_at(at, &mut buffer[..step]).is_err() {
                    break;
                }
                writing.append(&buffer[..step])?;
                at += step as u64;
            }
            if writing.finish()? == *name {
                return Ok(true);
            }
            remove_if_there(disk, part)?;
        }
        Ok(false)
    }

    /// Computes the pack from its shards.
    fn compute(&self, disk: &dyn Disk, part: &str, name: &Hash) -> io::Result<bool> {
        let Some(parity) = self.parity() else { return Ok(false) };
        let shape = parity.shape;
        let mut buffer = vec![0; shape.shard_bytes as usize];
        let mut found: BTreeMap<Source, usize> = BTreeMap::new();
        let mut lost = Vec::new();
        for shard in 0..shape.data {
            let (range, hash) = (shape.data_range(shard), parity.data_hash(shard));
            let len = usize::try_from(range.end - range.start).unwrap_or(0);
            let from =
                whole_copy(self.packs.iter(), range.start, &mut buffer[..len], hash, shape.shard_bytes);
            match from {
                Some(copy) => drop(found.insert(Source::Data(shard), copy)),
                None => lost.push(shard),
            }
        }
        let mut recovery = Vec::new();
        for shard in (0..shape.recovery).take_while(|_| !lost.is_empty()) {
            let files = self.sidecars.iter().map(|(file, _)| file);
            let (start, hash) = (shape.recovery_range(shard).start, parity.recovery_hash(shard));
            if let Some(copy) = whole_copy(files, start, &mut buffer, hash, shape.shard_bytes) {
                found.insert(Source::Recovery(shard), copy);
                recovery.push(shard);
            }
        }
        tracing::info!(pack = %name, lost = lost.len(), left = recovery.len(), "computing a pack from its parity");
        let read = |source, offset, buffer: &mut [u8]| {
            let copy = *found.get(&source).ok_or(io::ErrorKind::NotFound)?;
            match source {
                Source::Data(shard) => {
                    self.packs[copy].read_at(shape.data_range(shard).start + offset, buffer)
                }
                Source::Recovery(shard) => {
                    self.sidecars[copy].0.read_at(shape.recovery_range(shard).start + offset, buffer)
                }
            }
        };
        // A read good a moment ago and failing now is for the next scrub.
        let Ok(Some(rebuilt)) = rebuild(&shape, &lost, &recovery, read) else { return Ok(false) };
        let mut rebuilt = rebuilt.into_iter();
        let mut writing = Writing::create(disk, part)?;
        for shard in 0..shape.data {
            let range = shape.data_range(shard);
            let len = usize::try_from(range.end - range.start).unwrap_or(0);
            if lost.binary_search(&shard).is_ok() {
                writing.append(&rebuilt.next().unwrap_or_default()[..len])?;
            } else if read(Source::Data(shard), 0, &mut buffer[..len]).is_ok() {
                writing.append(&buffer[..len])?;
            } else {
                return Ok(false);
            }
        }
        Ok(writing.finish()? == *name)
    }

    /// Combined knowledge of every disk's sidecars.
    fn parity(&self) -> Option<Parity> {
        let (_, first) = self.sidecars.first()?;
        let mut merged = first.clone();
        for (_, other) in self.sidecars.iter().filter(|(_, other)| other.shape == first.shape) {
            for (known, hash) in merged.hashes.iter_mut().zip(&other.hashes) {
                *known = known.or(*hash);
            }
        }
        Some(merged)
    }
}

/// Position of the first file with a whole copy of the shard.
fn whole_copy<'a>(
    files: impl Iterator<Item = &'a Box<dyn DiskFile>>,
    start: u64,
    buffer: &mut [u8],
    hash: Option<ShardHash>,
    shard_bytes: u32,
) -> Option<usize> {
    let hash = hash?;
    let mut files = files;
    files.position(|file| file.read_at(start, buffer).is_ok() && shard_hash(buffer, shard_bytes) == hash)
}

/// A file under writing and hashing.
struct Writing {
    file: Box<dyn DiskFile>,
    hasher: blake3::Hasher,
}

impl Writing {
    fn create(disk: &dyn Disk, path: &str) -> io::Result<Self> {
        Ok(Self { file: disk.create(path)?, hasher: blake3::Hasher::new() })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.file.append(bytes)
    }

    /// Durable on return; returns the hash of the whole file.
    fn finish(mut self) -> io::Result<Hash> {
        sync_file(self.file.as_mut())?;
        Ok(Hash(*self.hasher.finalize().as_bytes()))
    }
}
