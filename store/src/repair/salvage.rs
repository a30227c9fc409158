//! What is done with a pack that cannot be made whole: its whole blocks move to a new pack, what is missing then is
//! named and remembered, and the damaged file is set aside.
//!
//! In this order, so that a power cut leaves a chunk twice rather than not at all. What was lost counts as not there,
//! so a device that still has it is asked for it at its next push.

use super::blocks;
use super::lost::{self, Lost};
use super::mend::{self, Copies};
use super::place;
use crate::ingest::OpenPack;
use crate::members::Member;
use crate::vault::Vault;
use crate::{Result, packs};
use larder_format::{ChunkId, Hash};
use std::collections::HashSet;

impl Vault {
    /// Gives up a pack that no disk has whole and no parity brings back. Returns what was lost with it.
    ///
    /// # Errors
    /// `Full` or `Disk`: the pack is then as it was, damaged and in its place.
    pub(super) fn give_up(&self, member: &Member, name: &Hash) -> Result<Lost> {
        let number = self.catalog.packs.number(name);
        let copies = Copies::open(&self.members, member, name);
        // Readers go on using what is whole in it meanwhile; only `held` sees past it.
        number.into_iter().for_each(|number| self.catalog.packs.damage.condemn(number));
        let given_up = self.empty(&copies, name);
        if given_up.is_err() {
            number.into_iter().for_each(|number| self.catalog.packs.damage.reprieve(number));
        }
        let lost = given_up?;
        // Taking it apart takes a while, and a disk that has it whole may have come meanwhile.
        if mend::mend(&self.members, member, name, self.reserve_bytes / 2)? {
            self.is_whole_again(name);
            return Ok(Lost::default());
        }
        self.care.retire(*name);
        // Nobody lacks it any more: what was whole in it lies elsewhere, and the rest was named.
        if let Some(number) = number {
            self.catalog.retire(number, name, copies.len().unwrap_or(0));
        }
        // The others keep theirs: what is there is not believed, and they are not written to.
        for member in self.members.all().iter().filter(|member| member.is_healthy() || member.is_behind()) {
            let disk = member.disk.as_ref();
            place::set_aside(disk, &packs::path(name))
                .map_err(|source| member.failed("quarantine", source))?;
            place::set_aside(disk, &crate::parity::path(name))
                .map_err(|source| member.failed("quarantine", source))?;
        }
        Ok(lost)
    }

    /// Moves what is whole elsewhere, and writes down what is not.
    fn empty(&self, copies: &Copies, name: &Hash) -> Result<Lost> {
        let mut seen = HashSet::new();
        let mut open: Option<OpenPack> = None;
        let mut sealed = Vec::new();
        for file in &copies.packs {
            blocks::for_each_whole(file.as_ref(), |block, names| {
                let is_fresh = |id: &ChunkId| !seen.contains(id) && !self.is_held(id);
                if !names.iter().any(is_fresh) {
                    return Ok(());
                }
                seen.extend(names.iter().copied());
                if open.as_ref().is_some_and(|pack| pack.is_full(names.len())) {
                    sealed.extend(open.take().map(|pack| pack.seal(&self.members)).transpose()?);
                }
                let pack = match &mut open {
                    Some(pack) => pack,
                    None => open.insert(OpenPack::create(&self.members, self.catalog.packs.salt())?),
                };
                pack.append(&self.members, block, names)
            })?;
        }
        sealed.extend(open.map(|pack| pack.seal(&self.members)).transpose()?);
        sealed.iter().for_each(|pack| self.enter_made_apart(pack));
        // What the index does not know yet must not be taken for lost.
        self.catalog.enter_pending(&self.members, usize::MAX);
        let table = packs::read_table(&self.members, name).ok();
        let candidates = table.map(|table| table.chunks.into_iter().collect());
        let found = self.find_lost(candidates.as_ref());
        if !found.chunks.is_empty() || !copies.packs.is_empty() {
            lost::write(&self.members, name, &found)?;
        }
        self.catalog.packs.damage.give_up(found.chunks.iter().copied());
        tracing::error!(pack = %name, moved = seen.len(), lost = found.chunks.len(), "a pack could not be repaired");
        Ok(found)
    }

    pub(super) fn is_held(&self, id: &ChunkId) -> bool {
        self.catalog.held(&self.members, id).is_some()
    }
}
