//! Salvage of chunks received but not sealed by a killed agent.

use crate::Result;
use crate::disk::{Disk, DiskFile, Item, ask_twice};
use crate::disks::member::Member;
use crate::disks::members::Members;
use crate::packs::catalog::Catalog;
use crate::packs::growing::{OpenPack, Sealed, verify};
use larder_format::block::{BLOCK_CHUNKS_MAX, BLOCK_MAGIC, Decoder, Header};
use larder_format::{ChunkId, layout, pack};
use std::collections::HashSet;
use std::sync::Arc;

/// Salvages chunks received but not sealed by a killed agent: every whole block of every `.part` file goes into a new
/// pack, and the parts are removed once the packs are durable. `sealed` takes the packs, even when the disk lacks room
/// for the rest.
pub(crate) fn salvage(members: &Members, known: &Catalog, sealed: &mut Vec<Sealed>) -> Result<()> {
    let mut open: Option<OpenPack> = None;
    let mut parts = Vec::new();
    let all = members.all();
    for member in all.iter().filter(|member| member.is_healthy()) {
        let items = match ask_twice(|| member.disk.list(layout::OPEN)) {
            Ok(items) => items,
            Err(source) => {
                members.go_on_without(member.failed(layout::OPEN, source))?;
                continue;
            }
        };
        // Folders belong to no pack, and removing a folder would fail.
        for item in items.into_iter().filter(|item| !item.is_folder) {
            let Some(number) = item.name.strip_suffix(".part") else { continue };
            // A new part must not meet an old part left by a failed removal.
            members.skip_parts(number.parse().unwrap_or(0));
            parts.push((member, item));
        }
    }
    let packed = pack_again(members, known, &parts, &mut open, sealed);
    if let (Err(_), Some(pack)) = (&packed, open) {
        // On a full disk the half-written pack takes the room needed for work.
        pack.abandon(members);
    }
    packed?;
    for (member, item) in parts {
        let path = layout::open(&item.name);
        if let Err(source) = member.disk.remove(&path) {
            members.go_on_without(member.failed(&path, source))?;
        }
    }
    Ok(())
}

/// Packs every whole block of the given parts with a chunk not in any pack.
fn pack_again(
    members: &Members,
    known: &Catalog,
    parts: &[(&Arc<Member>, Item)],
    open: &mut Option<OpenPack>,
    sealed: &mut Vec<Sealed>,
) -> Result<()> {
    let mut seen = HashSet::new();
    for (member, item) in parts {
        let Ok(file) = member.disk.open(&layout::open(&item.name)) else { continue };
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

/// Passes on every whole block from the start of an unfinished pack; stops at the first broken block.
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
