//! Moves whole blocks of packs given up, or foreign to the vault, to new packs.
//!
//! Not here: finding the blocks (`blocks`), the choice of packs (`give_up`, `strays`).

use crate::Result;
use crate::core::Core;
use crate::disk::{Disk, DiskFile};
use crate::packs::growing::{OpenPack, Sealed};
use crate::upkeep::repair::blocks;
use crate::upkeep::repair::mend::Copies;
use larder_format::{ChunkId, layout};
use std::collections::HashSet;

/// Moves whole blocks to new packs, as chosen by `choose`. Returns the number of chunks moved.
pub(crate) fn move_whole_blocks(
    core: &Core,
    choose: impl FnOnce(&mut Moving<'_>) -> Result<()>,
) -> Result<usize> {
    let mut moving = Moving { core, seen: HashSet::new(), open: None, sealed: Vec::new() };
    let moved = choose(&mut moving).and_then(|()| moving.seal());
    moved.inspect_err(|_| moving.abandon())?;
    let Moving { seen, sealed, .. } = moving;
    sealed.iter().for_each(|pack| core.enter_made_apart(pack));
    Ok(seen.len())
}

/// New packs for the whole blocks of a pack given up.
pub(crate) struct Moving<'a> {
    core: &'a Core,
    seen: HashSet<ChunkId>,
    open: Option<OpenPack>,
    sealed: Vec<Sealed>,
}

impl Moving<'_> {
    /// Swept packs with files still there count too: these hold the chunks once repacked into this pack.
    pub(crate) fn all_of(&mut self, copies: &Copies, candidates: Option<&HashSet<ChunkId>>) -> Result<()> {
        for file in &copies.packs {
            self.blocks_of(file.as_ref(), |_| true)?;
        }
        for name in self.core.catalog.packs.left_to_sweep() {
            let all = self.core.members.all();
            let readable = all.iter().filter(|member| member.is_readable());
            for file in readable.filter_map(|member| member.disk.open(&layout::pack(&name)).ok()) {
                self.blocks_of(file.as_ref(), |id| candidates.is_none_or(|lost| lost.contains(id)))?;
            }
        }
        Ok(())
    }

    /// Takes the file's whole blocks with a wanted chunk not available elsewhere.
    pub(crate) fn blocks_of(
        &mut self,
        file: &dyn DiskFile,
        is_wanted: impl Fn(&ChunkId) -> bool,
    ) -> Result<()> {
        blocks::for_each_whole(file, |block, names| {
            // A chunk listed in a different pack may be damaged there, and this copy is in hand.
            let is_had = |id: &ChunkId| self.core.is_held(id) && self.core.read_wherever(id).is_ok();
            if !names.iter().any(|id| is_wanted(id) && !self.seen.contains(id) && !is_had(id)) {
                return Ok(());
            }
            self.seen.extend(names.iter().copied());
            if self.open.as_ref().is_some_and(|pack| pack.is_full(names.len())) {
                self.seal()?;
            }
            let members = &self.core.members;
            let pack = match &mut self.open {
                Some(pack) => pack,
                None => self.open.insert(OpenPack::create(members, self.core.catalog.packs.salt())?),
            };
            pack.append(members, block, names)
        })
    }

    fn seal(&mut self) -> Result<()> {
        let sealed = self.open.take().map(|pack| pack.seal(&self.core.members)).transpose()?;
        self.sealed.extend(sealed);
        Ok(())
    }

    /// On a full disk a half-written pack takes the room needed for work.
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            open.abandon(&self.core.members);
        }
    }
}
