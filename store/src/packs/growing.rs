//! Taking chunks in: opened, named by their own bytes, appended to the growing pack.
//!
//! No sender is trusted: a block is decompressed and its chunks are hashed here before any write. The growing pack
//! lies on every healthy disk as `open/N.part`; the thread that fills the pack also seals it, while other threads go
//! on with the next pack. A chunk counts as kept by a commit only once its pack is sealed. Not here: snapshots
//! (`take`).

use crate::disk::hash::hash_of;
use crate::disk::quarantine::set_aside;
use crate::disk::{Disk, DiskFile, folder_of, make_folders, sync_file, sync_names};
use crate::disks::members::Members;
use crate::packs::claims::Claims;
use crate::packs::pins::Holder;
use crate::{Result, StoreError};
use larder_format::block::{Decoder, Encoder, OpenBlock};
use larder_format::pack::{self, PACK_BYTES_AIM, PACK_CHUNKS_MAX, Table};
use larder_format::{ChunkId, Hash, layout};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// A growing pack.
pub(crate) struct OpenPack {
    part: String,
    files: Vec<(usize, Box<dyn DiskFile>)>,
    hasher: blake3::Hasher,
    len: u64,
    table: Table,
    pub(crate) chunks: Claims,
}

/// Chunks received and not sealed yet.
#[derive(Default)]
pub(crate) struct Growing {
    pub(crate) open: Option<OpenPack>,
    /// Bytes of each device in the open pack.
    pub(crate) brought: BTreeMap<Holder, u64>,
    /// Packs that are being sealed: not in the index yet, and not to be taken in twice.
    pub(crate) sealing: Vec<SealingPack>,
}

/// Known facts about a pack while sealing runs.
pub(crate) struct SealingPack {
    pub(crate) chunks: Arc<Claims>,
    /// Bytes of each device in the pack.
    pub(crate) brought: BTreeMap<Holder, u64>,
}

impl Growing {
    /// The `ids` that `holder` brought to no unsealed pack, and whether an unsealed pack has one of the `ids`, whoever brought
    /// it. From now on `holder` pins the unsealed packs of the remaining ids.
    pub(crate) fn not_of(&mut self, ids: &[ChunkId], holder: &Holder) -> (Vec<ChunkId>, bool) {
        let mut is_any_here = false;
        let is_missing = |id: &&ChunkId| {
            let is_own = self.open.as_ref().and_then(|pack| pack.chunks.is_own(id, holder));
            is_any_here |= is_own.is_some();
            if is_own == Some(true) {
                add(&mut self.brought, holder, 0);
                return false;
            }
            for pack in &mut self.sealing {
                let is_own = pack.chunks.is_own(id, holder);
                is_any_here |= is_own.is_some();
                if is_own == Some(true) {
                    add(&mut pack.brought, holder, 0);
                    return false;
                }
            }
            true
        };
        let missing = ids.iter().filter(is_missing).copied().collect();
        (missing, is_any_here)
    }

    /// Whether a pack that is being sealed has the chunk.
    pub(crate) fn is_sealing(&self, id: &ChunkId) -> bool {
        self.sealing.iter().any(|pack| pack.chunks.contains(id))
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

/// A pack with its final name.
pub(crate) struct Sealed {
    pub(crate) name: Hash,
    pub(crate) len: u64,
    pub(crate) table: Table,
    /// Positions of the disks with a copy.
    pub(crate) on: Vec<usize>,
}

impl OpenPack {
    /// Starts a pack on every healthy disk. `salt` gives the same content another name than before a sweep.
    pub(crate) fn create(members: &Members, salt: u32) -> Result<Self> {
        let part = layout::growing_pack(members.next_part());
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
            // A full disk creates a file and takes no byte of content: each refused upload would leave an empty file
            // behind.
            drop(files);
            members.all().iter().for_each(|member| drop(member.disk.remove(&part)));
            return Err(error);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head);
        let len = head.len() as u64;
        Ok(Self { part, files, hasher, len, table: Table::default(), chunks: Claims::default() })
    }

    /// Whether a block with so many chunks more would not fit.
    pub(crate) fn is_full(&self, chunks: usize) -> bool {
        self.len >= PACK_BYTES_AIM || self.table.chunks.len() + chunks > PACK_CHUNKS_MAX
    }

    /// Appends a verified block. A disk that fails falls out; one must remain.
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

    /// Runs `action` on every disk of this pack; `path` is the file in doubt after a failure.
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

    /// The same for a replacement of older packs: before its final name, each disk reads the pack back from the
    /// medium, not from the system's cache.
    pub(crate) fn seal_proven(self, members: &Members) -> Result<Sealed> {
        self.seal_after(members, |file, expected| {
            file.forget_cached();
            if hash_of(file)? == *expected {
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
                // No device was told that the chunks are safe, and the content of the parts is not to be believed.
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
        let (part, path) = (self.part.clone(), layout::pack(&name));
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

    /// Gives up the pack; parts that cannot be removed now are removed at the next start.
    pub(crate) fn abandon(self, members: &Members) {
        for (position, file) in self.files {
            drop(file);
            if let Err(error) = members.all()[position].disk.remove(&self.part) {
                tracing::warn!(part = self.part, %error, "could not clear an unfinished pack");
            }
        }
    }
}

/// Keeps the present pack, unless damaged since: then the new file takes its place.
fn keep_whole_one(disk: &dyn Disk, part: &str, path: &str, name: &Hash) -> io::Result<()> {
    let is_whole = disk.open(path).and_then(|file| {
        file.forget_cached();
        Ok(hash_of(file.as_ref())? == *name)
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
    /// The chunks' bytes, and where each lies.
    open: OpenBlock<'a>,
}

impl Verified<'_> {
    /// The chunks that are wanted, in a block of their own.
    pub(crate) fn only(&self, is_wanted: impl Fn(&ChunkId) -> bool) -> (Vec<u8>, Vec<ChunkId>) {
        let (mut plain, mut lengths, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (name, range) in self.open.chunks.iter().filter(|(name, _)| is_wanted(name)) {
            plain.extend_from_slice(&self.open.plain[range.clone()]);
            lengths.push(u32::try_from(range.len()).expect("a chunk is at most 4 MiB"));
            names.push(*name);
        }
        (Encoder::new().encode(&plain, lengths), names)
    }
}

/// Opens the first block of `upload` and names its chunks; returns the block and the rest.
pub(crate) fn verify<'a>(decoder: &mut Decoder, upload: &'a [u8]) -> Result<(Verified<'a>, &'a [u8])> {
    let (header, open) = OpenBlock::read(decoder, upload)?;
    let (bytes, rest) = upload.split_at(header.block_len());
    let names = open.chunks.iter().map(|(name, _)| *name).collect();
    Ok((Verified { bytes, names, open }, rest))
}
