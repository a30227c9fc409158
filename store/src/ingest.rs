//! Taking chunks in: opened, named by their own bytes, appended to the pack that grows.
//!
//! Nothing is believed: a block is decompressed and its chunks are hashed here before anything is written. The
//! growing pack lies on every healthy disk as `open/N.part`; whoever fills it seals it, while others go on with the
//! next one. A chunk counts as kept by a commit only once its pack is sealed. Not here: snapshots (`vault`).

use crate::catalog::Catalog;
use crate::check::hash_of;
use crate::disk::{Disk, DiskFile, Item, ask_twice, folder_of, make_folders, sync_file, sync_names};
use crate::members::{Member, Members};
use crate::packs;
use crate::pins::Holder;
use crate::repair::set_aside;
use crate::{Result, StoreError};
use larder_format::block::{BLOCK_CHUNKS_MAX, BLOCK_MAGIC, Decoder, Header, OpenBlock};
use larder_format::pack::{self, PACK_BYTES_AIM, PACK_CHUNKS_MAX, Table};
use larder_format::{ChunkId, Hash};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Arc;

/// A pack that grows.
pub(crate) struct OpenPack {
    part: String,
    files: Vec<(usize, Box<dyn DiskFile>)>,
    hasher: blake3::Hasher,
    len: u64,
    table: Table,
    pub(crate) chunks: HashSet<ChunkId>,
}

/// What has been taken in and is not sealed yet.
#[derive(Default)]
pub(crate) struct Growing {
    pub(crate) open: Option<OpenPack>,
    /// Bytes that each device brought to the open pack.
    pub(crate) brought: BTreeMap<Holder, u64>,
    /// Packs that are being sealed: not in the index yet, and not to be taken in twice.
    pub(crate) sealing: Vec<SealingPack>,
}

/// What is known of a pack while it is being sealed.
pub(crate) struct SealingPack {
    pub(crate) chunks: Arc<HashSet<ChunkId>>,
    /// Bytes that each device brought to it.
    pub(crate) brought: BTreeMap<Holder, u64>,
}

impl Growing {
    /// Those of `ids` that no pack holds which is not sealed yet. From now on `holder` pins each pack that holds another.
    pub(crate) fn not_held(&mut self, ids: &[ChunkId], holder: &Holder) -> Vec<ChunkId> {
        let is_missing = |id: &&ChunkId| {
            if self.open.as_ref().is_some_and(|pack| pack.chunks.contains(*id)) {
                add(&mut self.brought, holder, 0);
                return false;
            }
            let sealing = self.sealing.iter_mut().find(|pack| pack.chunks.contains(*id));
            sealing.map(|pack| add(&mut pack.brought, holder, 0)).is_none()
        };
        ids.iter().filter(is_missing).copied().collect()
    }

    /// `holder` brought so many bytes to the open pack.
    pub(crate) fn brought(&mut self, holder: &Holder, bytes: u64) {
        add(&mut self.brought, holder, bytes);
    }
}

fn add(brought: &mut BTreeMap<Holder, u64>, holder: &Holder, bytes: u64) {
    match brought.get_mut(holder) {
        Some(before) => *before = before.saturating_add(bytes),
        None => drop(brought.insert(holder.clone(), bytes)),
    }
}

/// A pack that got its name.
pub(crate) struct Sealed {
    pub(crate) name: Hash,
    pub(crate) len: u64,
    pub(crate) table: Table,
    /// Positions of the disks that have it.
    pub(crate) on: Vec<usize>,
}

impl OpenPack {
    /// Starts a pack on every healthy disk. `salt` tells its name from that of the same content before a sweep.
    pub(crate) fn create(members: &Members, salt: u32) -> Result<Self> {
        let part = format!("open/{}.part", members.next_part());
        let mut files = Vec::new();
        let head = pack::header(salt);
        let created = members.on_each(&part, |member| {
            let mut file = member.disk.create(&part)?;
            file.append(&head)?;
            let position = members.all().iter().position(|known| known.id == member.id);
            files.push((position.expect("it is one of them"), file));
            Ok(())
        });
        if let Err(error) = created {
            // A full disk makes a file and takes no byte of it: each refused upload would leave one behind.
            drop(files);
            members.all().iter().for_each(|member| drop(member.disk.remove(&part)));
            return Err(error);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head);
        let len = head.len() as u64;
        Ok(Self { part, files, hasher, len, table: Table::default(), chunks: HashSet::new() })
    }

    /// Whether a block with so many chunks more would not fit.
    pub(crate) fn is_full(&self, chunks: usize) -> bool {
        self.len >= PACK_BYTES_AIM || self.table.chunks.len() + chunks > PACK_CHUNKS_MAX
    }

    /// Appends a block that was verified. A disk that fails falls out; one must remain.
    pub(crate) fn append(&mut self, members: &Members, bytes: &[u8], names: &[ChunkId]) -> Result<()> {
        self.write(members, bytes)?;
        self.table.push(self.len, bytes.len(), names.iter().copied());
        self.chunks.extend(names);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn write(&mut self, members: &Members, bytes: &[u8]) -> Result<()> {
        let part = self.part.clone();
        self.on_each(members, &part, |_, file| file.append(bytes))?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Does the same on every disk of this pack; `path` is the file that is in doubt where it fails.
    fn on_each(
        &mut self,
        members: &Members,
        path: &str,
        mut action: impl FnMut(&dyn Disk, &mut dyn DiskFile) -> io::Result<()>,
    ) -> Result<()> {
        let all = members.all();
        let mut error = None;
        let mut position = 0;
        while position < self.files.len() {
            let (member, file) = &mut self.files[position];
            let member = &all[*member];
            match action(member.disk.as_ref(), file.as_mut()) {
                Ok(()) => position += 1,
                Err(source) => {
                    match member.failed(path, source) {
                        full @ StoreError::Full { .. } => return Err(full),
                        other => error = Some(other),
                    }
                    self.files.remove(position);
                }
            }
        }
        if self.files.is_empty() { Err(error.unwrap_or_else(|| members.none_left(path))) } else { Ok(()) }
    }

    /// Table, sync, final name, folder sync: the order that makes a pack exist whole or not at all.
    pub(crate) fn seal(self, members: &Members) -> Result<Sealed> {
        self.seal_after(members, |_, _| Ok(()))
    }

    /// The same for a pack that takes the place of others: before it gets its name, each disk gives back what was
    /// written, off the disk and not out of the system's memory.
    pub(crate) fn seal_proven(self, members: &Members) -> Result<Sealed> {
        self.seal_after(members, |file, expected| {
            file.forget_cached();
            if hash_of(file, &mut 0)? == *expected {
                Ok(())
            } else {
                Err(io::Error::new(io::ErrorKind::InvalidData, "what was written does not come back"))
            }
        })
    }

    fn seal_after(
        mut self,
        members: &Members,
        prove: impl Fn(&dyn DiskFile, &Hash) -> io::Result<()>,
    ) -> Result<Sealed> {
        match self.publish(members, prove) {
            Ok((name, len)) => {
                let on = self.files.iter().map(|(position, _)| *position).collect();
                Ok(Sealed { name, len, table: self.table, on })
            }
            Err(error) => {
                // Nobody was told that its chunks are safe, and what its parts hold is not to be believed.
                self.abandon(members);
                Err(error)
            }
        }
    }

    fn publish(
        &mut self,
        members: &Members,
        prove: impl Fn(&dyn DiskFile, &Hash) -> io::Result<()>,
    ) -> Result<(Hash, u64)> {
        let tail = self.table.encode(self.len);
        self.write(members, &tail)?;
        let len = self.len + tail.len() as u64;
        let name = Hash(*self.hasher.finalize().as_bytes());
        let (part, path) = (self.part.clone(), packs::path(&name));
        self.on_each(members, &path, |disk, file| {
            sync_file(file)?;
            prove(file, &name)?;
            make_folders(disk, folder_of(&path))?;
            match disk.publish(&part, &path) {
                // The same bytes in the same order were packed before: the pack is there already.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    keep_whole_one(disk, &part, &path, &name)?;
                }
                result => result?,
            }
            sync_names(disk, folder_of(&path))
        })?;
        Ok((name, len))
    }

    /// Gives up the pack; its parts are cleared at the next start if they cannot be now.
    pub(crate) fn abandon(self, members: &Members) {
        for (position, file) in self.files {
            drop(file);
            if let Err(error) = members.all()[position].disk.remove(&self.part) {
                tracing::warn!(part = self.part, %error, "could not clear an unfinished pack");
            }
        }
    }
}

/// Keeps the pack that is there already, unless it was damaged since: then it was just brought again.
fn keep_whole_one(disk: &dyn Disk, part: &str, path: &str, name: &Hash) -> io::Result<()> {
    let is_whole = disk.open(path).and_then(|file| {
        file.forget_cached();
        Ok(hash_of(file.as_ref(), &mut 0)? == *name)
    });
    if is_whole.unwrap_or(false) {
        return disk.remove(part);
    }
    set_aside(disk, path)?;
    disk.publish(part, path)
}

/// One block of an upload, verified.
pub(crate) struct Verified<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) names: Vec<ChunkId>,
}

/// Opens the first block of `upload` and names its chunks; returns it and the rest.
pub(crate) fn verify<'a>(decoder: &mut Decoder, upload: &'a [u8]) -> Result<(Verified<'a>, &'a [u8])> {
    let (header, open) = OpenBlock::read(decoder, upload)?;
    let (bytes, rest) = upload.split_at(header.block_len());
    Ok((Verified { bytes, names: open.chunks.into_iter().map(|(name, _)| name).collect() }, rest))
}

/// Brings back what an agent that was killed had taken in but not sealed: every whole block of every `.part` file
/// goes into a new pack, and the parts are removed once that is durable. `sealed` takes the packs, also when the disk has no
/// room for all of it.
pub(crate) fn salvage(members: &Members, known: &Catalog, sealed: &mut Vec<Sealed>) -> Result<()> {
    let mut open: Option<OpenPack> = None;
    let mut parts = Vec::new();
    let all = members.all();
    for member in all.iter().filter(|member| member.is_healthy()) {
        let items = match ask_twice(|| member.disk.list("open")) {
            Ok(items) => items,
            Err(source) => {
                members.go_on_without(member.failed("open", source))?;
                continue;
            }
        };
        // Folders are none of ours, and to remove one would fail.
        for item in items.into_iter().filter(|item| !item.is_folder) {
            let Some(number) = item.name.strip_suffix(".part") else { continue };
            // A new part must not meet an old one that could not be cleared.
            members.skip_parts(number.parse().unwrap_or(0));
            parts.push((member, item));
        }
    }
    let packed = pack_again(members, known, &parts, &mut open, sealed);
    if let (Err(_), Some(pack)) = (&packed, open) {
        // On a full disk it would take the room that others are to work in.
        pack.abandon(members);
    }
    packed?;
    for (member, item) in parts {
        let path = format!("open/{}", item.name);
        if let Err(source) = member.disk.remove(&path) {
            members.go_on_without(member.failed(&path, source))?;
        }
    }
    Ok(())
}

/// Packs every whole block of these parts that holds a chunk which no pack has.
fn pack_again(
    members: &Members,
    known: &Catalog,
    parts: &[(&Arc<Member>, Item)],
    open: &mut Option<OpenPack>,
    sealed: &mut Vec<Sealed>,
) -> Result<()> {
    let mut seen = HashSet::new();
    for (member, item) in parts {
        let Ok(file) = member.disk.open(&format!("open/{}", item.name)) else { continue };
        for_each_block(file.as_ref(), |block, names| {
            let fresh = |id: &ChunkId| !seen.contains(id) && known.locate(members, id).is_none();
            if !names.iter().any(fresh) {
                return Ok(());
            }
            seen.extend(names.iter().copied());
            if open.as_ref().is_some_and(|pack| pack.is_full(names.len())) {
                sealed.extend(open.take().map(|pack| pack.seal(members)).transpose()?);
            }
            let pack = match open {
                Some(pack) => pack,
                None => open.insert(OpenPack::create(members, known.packs.salt())?),
            };
            pack.append(members, block, names)
        })?;
    }
    sealed.extend(open.take().map(|pack| pack.seal(members)).transpose()?);
    Ok(())
}

/// Hands over every whole block from the start of an unfinished pack; stops at the first that is not.
fn for_each_block(
    file: &dyn DiskFile,
    mut action: impl FnMut(&[u8], &[ChunkId]) -> Result<()>,
) -> Result<()> {
    let mut decoder = Decoder::new();
    let mut at = pack::PACK_HEADER_BYTES as u64;
    let len = file.len().unwrap_or(0);
    while let Some(block) = next_block(file, at, len) {
        let Ok((verified, _)) = verify(&mut decoder, &block) else { break };
        action(verified.bytes, &verified.names)?;
        at += block.len() as u64;
    }
    Ok(())
}

fn next_block(file: &dyn DiskFile, at: u64, len: u64) -> Option<Vec<u8>> {
    let room = usize::try_from(len.checked_sub(at)?).ok()?;
    let mut head = vec![0; room.min(larder_format::block::HEADER_FIXED_BYTES + 16 + 3 * BLOCK_CHUNKS_MAX)];
    if head.len() < BLOCK_MAGIC.len() {
        return None;
    }
    file.read_at(at, &mut head).ok()?;
    let header = Header::decode(&head).ok()?;
    let mut block = vec![0; header.block_len()];
    file.read_at(at, &mut block).ok()?;
    Some(block)
}
