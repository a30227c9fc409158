//! Receipt of blocks: the missing chunks, and the growing pack.
//!
//! Every answer to a device is pinned for the device. Not here: opening blocks (`packs::growing`), the commit
//! (`commit`).

use crate::core::Core;
use crate::core::scope::Scope;
use crate::core::whose::Whose;
use crate::packs::growing::{self, OpenPack, Verified};
use crate::packs::pins::Holder;
use crate::{Result, StoreError};
use larder_format::block::Decoder;
use larder_format::pack::PACK_BYTES_AIM;
use larder_format::{ChunkId, Hash, layout, wire};
use std::collections::HashSet;
use std::sync::atomic::Ordering;

/// Room to be left by a device above its share: a pack for the remaining devices.
const LEFT_TO_OTHERS_BYTES: u64 = PACK_BYTES_AIM;

/// Chunks of `ids` that the vault does not hold whole, or that only others brought, in order. The rest stays until the
/// device's next commit, for a day at least.
pub(crate) fn missing(core: &Core, scope: &Scope, ids: &[ChunkId]) -> Vec<ChunkId> {
    ask(core, scope, ids).missing
}

/// The vault's answer about chunks.
struct Asked {
    missing: Vec<ChunkId>,
    /// Nobody brought any of the chunks.
    are_all_new: bool,
}

fn ask(core: &Core, scope: &Scope, ids: &[ChunkId]) -> Asked {
    let (unsealed, is_any_here) = core.growing().not_of(ids, &scope.holder);
    // A device need not send a chunk reported as held, so the chunk has to stay until the device's commit.
    let _no_sweep = core.sweeping.read();
    let (mut missing, mut held) = (Vec::new(), Vec::new());
    let mut are_all_new = !is_any_here;
    for (id, whose) in unsealed.iter().zip(core.whose_each(&scope.holder, &unsealed)) {
        are_all_new &= whose == Whose::Nobodys;
        match whose {
            Whose::Own(place) => held.push((place.pack, place.slot)),
            Whose::Others(_) | Whose::Nobodys => missing.push(*id),
        }
    }
    core.pins().note(&scope.holder, &held);
    Asked { missing, are_all_new }
}

/// Takes in an upload of blocks. The return value proves the names were computed here.
pub(crate) fn receive(core: &Core, scope: &Scope, upload: &[u8]) -> Result<wire::Received> {
    core.require_own_format()?;
    let mut decoder = Decoder::new();
    let mut names = blake3::Hasher::new();
    let mut chunks = 0;
    let mut rest = upload;
    while !rest.is_empty() {
        let verified;
        (verified, rest) = growing::verify(&mut decoder, rest)?;
        for name in &verified.names {
            names.update(&name.0);
        }
        chunks += verified.names.len() as u64;
        let asked = ask(core, scope, &verified.names);
        if asked.missing.is_empty() {
            continue;
        }
        if asked.are_all_new {
            take_whole(core, scope, &verified)?;
        } else {
            take_in(core, scope, &verified)?;
        }
    }
    Ok(wire::Received { chunks, names: Hash(*names.finalize().as_bytes()) })
}

/// Takes in a block of which the device did not bring every chunk before. What others brought becomes the device's too, and
/// is not stored twice.
fn take_in(core: &Core, scope: &Scope, block: &Verified<'_>) -> Result<()> {
    let holder = &scope.holder;
    let held = claim(core, holder, &block.names);
    if held.is_empty() {
        return take_whole(core, scope, block);
    }
    if block.names.iter().all(|id| held.contains(id)) {
        return Ok(());
    }
    let one_at_a_time = core.parting.lock();
    let (bytes, names) = block.only(|id| !held.contains(id));
    drop(one_at_a_time);
    let rest = Block { bytes: &bytes, names: &names };
    take(core, &rest, holder).map_err(|error| refused(core, scope, error))
}

fn take_whole(core: &Core, scope: &Scope, block: &Verified<'_>) -> Result<()> {
    let whole = Block { bytes: block.bytes, names: &block.names };
    take(core, &whole, &scope.holder).map_err(|error| refused(core, scope, error))
}

/// Makes those of `ids` the holder's own that the vault holds, and returns these.
fn claim(core: &Core, holder: &Holder, ids: &[ChunkId]) -> HashSet<ChunkId> {
    let mut held = HashSet::new();
    let mut growing = core.growing_once_sealed(ids);
    if let Some(pack) = growing.open.as_mut().filter(|pack| pack.chunks.has_place_for(holder)) {
        held.extend(ids.iter().filter(|id| pack.chunks.contains(id)));
        if !held.is_empty() {
            pack.chunks.claim(holder, ids);
            growing.brought(holder, 0);
        }
    }
    drop(growing);
    let _no_sweep = core.sweeping.read();
    let rest: Vec<_> = ids.iter().filter(|id| !held.contains(*id)).copied().collect();
    let mut places = Vec::new();
    for (id, whose) in rest.iter().zip(core.whose_each(holder, &rest)) {
        if let Whose::Own(place) | Whose::Others(place) = whose {
            held.insert(*id);
            places.push((place.pack, place.slot));
        }
    }
    core.pins().note(holder, &places);
    core.owners().note(holder, places);
    held
}

/// Notes a refusal for want of room, and adds the bytes held by unfinished uploads: the room may come back.
pub(crate) fn refused(core: &Core, scope: &Scope, error: StoreError) -> StoreError {
    let StoreError::Full { disk, missing_mib, free_mib, .. } = error else { return error };
    let mut pins = core.pins();
    pins.note_refusal();
    let (sent, others) = pins.unfinished_bytes(&scope.holder);
    StoreError::Full { disk, missing_mib, free_mib, sent_mib: sent >> 20, others_mib: others >> 20 }
}

/// A verified block and its chunks.
struct Block<'a> {
    bytes: &'a [u8],
    names: &'a [ChunkId],
}

fn take(core: &Core, block: &Block<'_>, holder: &Holder) -> Result<()> {
    let mut growing = core.growing();
    // Checked again after each sealing: a concurrent push may have filled the next pack meanwhile.
    while growing
        .open
        .as_ref()
        .is_some_and(|pack| pack.is_full(block.names.len()) || !pack.chunks.has_place_for(holder))
    {
        growing = core.seal(growing)?;
    }
    if growing.open.is_none() {
        let room_bytes = core.room_for_uploads();
        let is_above = core.pins().is_above_share(holder, room_bytes);
        let to_be_left = if is_above { LEFT_TO_OTHERS_BYTES } else { 0 };
        require_room(core, PACK_BYTES_AIM + to_be_left)?;
        growing.open = Some(OpenPack::create(&core.members, core.catalog.packs.salt())?);
    }
    let pack = growing.open.as_mut().expect("just opened");
    if let Err(error) = pack.append(&core.members, block.bytes, block.names) {
        // After a failed write the part's contents are unknown. Its chunks will be asked for again.
        if let Some(pack) = growing.open.take() {
            pack.abandon(&core.members);
        }
        growing.brought.clear();
        return Err(error);
    }
    pack.chunks.claim(holder, block.names);
    let bytes = block.bytes.len() as u64;
    growing.brought(holder, bytes);
    // The disk is not asked while a thread waits for the pins.
    let is_beginning = core.pins().is_beginning(holder);
    let room_bytes = if is_beginning { core.room_for_uploads() } else { 0 };
    core.pins().received(holder, bytes, room_bytes);
    Ok(())
}

/// No pack grows at this moment, so a disk that steps aside has no half of a pack.
fn require_room(core: &Core, bytes: u64) -> Result<()> {
    let wanted = core.reserve_bytes + bytes;
    loop {
        // No healthy disk states its room: the disks are at fault, and a larger disk would not help.
        let (disk, free) = core.members.tightest().ok_or_else(|| core.members.none_left(layout::OPEN))?;
        if free >= wanted {
            return Ok(());
        }
        if !core.members.leave_out_full(wanted, core.copies.load(Ordering::Relaxed)) {
            return Err(StoreError::full(disk, wanted - free, Some(free)));
        }
    }
}
