//! Receipt of blocks: the missing chunks, and the growing pack.
//!
//! Every answer to a device is pinned for the device. Not here: opening blocks (`packs::growing`), the commit
//! (`commit`).

use crate::core::Core;
use crate::core::scope::Scope;
use crate::packs::growing::{self, OpenPack};
use crate::packs::pins::Holder;
use crate::{Result, StoreError};
use larder_format::block::Decoder;
use larder_format::pack::PACK_BYTES_AIM;
use larder_format::{ChunkId, Hash, layout, wire};
use std::sync::atomic::Ordering;

/// Room to be left by a device above its share: a pack for the remaining devices.
const LEFT_TO_OTHERS_BYTES: u64 = PACK_BYTES_AIM;

/// Chunks of `ids` not held whole by the vault, in order. The rest stays until the device's next commit, for a day at
/// least.
pub(crate) fn missing(core: &Core, scope: &Scope, ids: &[ChunkId]) -> Vec<ChunkId> {
    let missing = core.growing().not_held(ids, &scope.holder);
    // A device need not send a chunk reported as held, so the chunk has to stay until the device's commit.
    let _no_sweep = core.sweeping.read();
    let mut held = Vec::new();
    let missing = core.catalog.not_held(&core.members, missing, &mut held);
    core.pins().note(&scope.holder, &held);
    missing
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
        if !missing(core, scope, &verified.names).is_empty() {
            take(core, &verified, &scope.holder).map_err(|error| refused(core, scope, error))?;
        }
    }
    Ok(wire::Received { chunks, names: Hash(*names.finalize().as_bytes()) })
}

/// Notes a refusal for want of room, and adds the bytes held by unfinished uploads: the room may come back.
pub(crate) fn refused(core: &Core, scope: &Scope, error: StoreError) -> StoreError {
    let StoreError::Full { disk, missing_mib, .. } = error else { return error };
    let mut pins = core.pins();
    pins.note_refusal();
    let (sent, others) = pins.unfinished_bytes(&scope.holder);
    StoreError::Full { disk, missing_mib, sent_mib: sent >> 20, others_mib: others >> 20 }
}

fn take(core: &Core, block: &growing::Verified<'_>, holder: &Holder) -> Result<()> {
    let mut growing = core.growing();
    // Checked again after each sealing: a concurrent push may have filled the next pack meanwhile.
    while growing.open.as_ref().is_some_and(|pack| pack.is_full(block.names.len())) {
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
    if let Err(error) = pack.append(&core.members, block.bytes, &block.names) {
        // After a failed write the part's contents are unknown. Its chunks will be asked for again.
        if let Some(pack) = growing.open.take() {
            pack.abandon(&core.members);
        }
        growing.brought.clear();
        return Err(error);
    }
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
            return Err(StoreError::full(disk, wanted - free));
        }
    }
}
