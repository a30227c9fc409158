//! Growing and sealing packs: a single pack grows at a time, and grows on while earlier packs are sealed.

use crate::Result;
use crate::core::{Core, GrowingGuard};
use crate::packs::claims::Claims;
use crate::packs::growing::{Growing, Sealed, SealingPack};
use crate::packs::pins::Holder;
use larder_format::ChunkId;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Core {
    /// Takes a new pack into the catalogue. Each holder that brought bytes pins the whole pack.
    pub(crate) fn enter(&self, pack: &Sealed, brought: &BTreeMap<Holder, u64>) {
        let number = self.catalog.enter(pack);
        self.pin(number, brought);
    }

    fn pin(&self, pack: u32, brought: &BTreeMap<Holder, u64>) {
        let mut pins = self.pins();
        brought.iter().for_each(|(holder, bytes)| pins.note_pack(holder, pack, *bytes));
    }

    /// The same for a pack that pushes did not see grow: a disk that joined meanwhile lacks the pack.
    pub(crate) fn enter_made_apart(&self, pack: &Sealed) {
        // A disk joins only while no pack grows: the disk is either counted with this pack, or noted here.
        let growing = self.growing();
        self.enter(pack, &BTreeMap::from([(Holder::Appliance, pack.len)]));
        for (position, member) in self.members.all().iter().enumerate() {
            if member.is_healthy() && !pack.on.contains(&position) {
                member.misses_pack();
            }
        }
        drop(growing);
        self.note_copies_in(&pack.table.chunks);
        self.look_for_closed_gaps(&pack.table.chunks);
    }

    /// Seals the open pack without the lock, so that pushes go on; returns with the lock held again.
    pub(crate) fn seal<'a>(&'a self, mut growing: GrowingGuard<'a>) -> Result<GrowingGuard<'a>> {
        let Some(mut pack) = growing.open.take() else { return Ok(growing) };
        let chunks = Arc::new(std::mem::take(&mut pack.chunks));
        let brought = std::mem::take(&mut growing.brought);
        growing.sealing.push(SealingPack { chunks: chunks.clone(), brought });
        drop(growing);
        let sealing = Sealing { core: self, chunks };
        let sealed = pack.seal(&self.members)?;
        let number = self.catalog.enter(&sealed);
        let mut growing = self.growing();
        // In one step: a holder told of a chunk in the pack during sealing pins the pack like the senders, and what is a
        // device's own stays its own.
        let brought = sealing.take_out(&mut growing);
        self.pin(number, &brought);
        let mut owners = self.owners();
        for (holder, slots) in sealing.chunks.slots(&sealed.table.chunks) {
            owners.note(holder, slots.map(|slot| (number, slot)));
        }
        drop(owners);
        drop(growing);
        drop(sealing);
        self.look_for_closed_gaps(&sealed.table.chunks);
        self.write_owners();
        Ok(self.growing())
    }

    /// Makes every received chunk durable and findable.
    ///
    /// # Errors
    /// `Full` or `Disk`; the chunks of the failed pack are then missing again.
    pub(crate) fn seal_all(&self) -> Result<()> {
        let mut growing = self.seal(self.growing())?;
        while !growing.sealing.is_empty() {
            growing = growing.wait(&self.sealed);
        }
        Ok(())
    }

    /// Waits until no chunk of `ids` lies in a pack that is being sealed: its place there is not known yet.
    pub(crate) fn growing_once_sealed(&self, ids: &[ChunkId]) -> GrowingGuard<'_> {
        let mut growing = self.growing();
        while ids.iter().any(|id| growing.is_sealing(id)) {
            growing = growing.wait(&self.sealed);
        }
        growing
    }

    /// Seals every pack, and keeps new packs from being started as long as the result is held.
    pub(crate) fn seal_and_hold(&self) -> Result<GrowingGuard<'_>> {
        let mut growing = self.growing();
        while growing.open.is_some() || !growing.sealing.is_empty() {
            growing = if growing.open.is_some() { self.seal(growing)? } else { growing.wait(&self.sealed) };
        }
        Ok(growing)
    }

    /// Like `seal_and_hold`, also when the only disk just failed: the pack that grew on the disk is then given up.
    pub(crate) fn hold_growing(&self) -> Result<GrowingGuard<'_>> {
        self.seal_and_hold().or_else(|_| self.seal_and_hold())
    }
}

/// A pack that is being sealed. However sealing ends, no thread waits for the pack afterwards.
struct Sealing<'a> {
    core: &'a Core,
    chunks: Arc<Claims>,
}

impl Sealing<'_> {
    /// Ends the sealing. Returns the bytes per holder, including holders that were told of a chunk in the pack.
    fn take_out(&self, growing: &mut Growing) -> BTreeMap<Holder, u64> {
        let is_it = |pack: &mut SealingPack| Arc::ptr_eq(&pack.chunks, &self.chunks);
        growing.sealing.extract_if(.., is_it).next().map(|pack| pack.brought).unwrap_or_default()
    }
}

impl Drop for Sealing<'_> {
    fn drop(&mut self) {
        self.take_out(&mut self.core.growing());
        self.core.sealed.notify_all();
    }
}
