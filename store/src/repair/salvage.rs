//! What is done with a pack that cannot be made whole: its whole blocks move to a new pack, what is missing then is
//! named and remembered, and the damaged file is set aside.
//!
//! In this order, so that a power cut leaves a chunk twice rather than not at all. What was lost counts as not there,
//! so a device that still has it is asked for it at its next push.

use super::blocks;
use super::lost::{self, Lost};
use super::mend::{self, Copies};
use super::place;
use crate::disk::{Disk, DiskFile};
use crate::ingest::{OpenPack, Sealed};
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
        let table = packs::read_table(&self.members, name).ok();
        let candidates: Option<HashSet<_>> = table.map(|table| table.chunks.into_iter().collect());
        let mut moving = Moving { vault: self, seen: HashSet::new(), open: None, sealed: Vec::new() };
        let moved = moving.all_of(copies, candidates.as_ref());
        moved.inspect_err(|_| moving.abandon())?;
        let Moving { seen, sealed, .. } = moving;
        sealed.iter().for_each(|pack| self.enter_made_apart(pack));
        // What the index does not know yet must not be taken for lost.
        self.catalog.enter_pending(&self.members, usize::MAX);
        // A table that is whole may be that of another pack, which stands in the place of this one.
        let damage = &self.catalog.packs.damage;
        let is_all_here = self.members.are_all_here() && !damage.is_any_gone_without();
        let among = candidates.as_ref().filter(|_| !is_all_here);
        let found = self.find_lost(among, candidates.as_ref(), &|| true);
        if !found.chunks.is_empty() || !copies.packs.is_empty() {
            lost::write(&self.members, name, &found)?;
        }
        damage.give_up(found.chunks.iter().copied());
        tracing::error!(pack = %name, moved = seen.len(), lost = found.chunks.len(), "a pack could not be repaired");
        Ok(found)
    }

    pub(super) fn is_held(&self, id: &ChunkId) -> bool {
        self.catalog.held(&self.members, id).is_some()
    }
}

/// New packs for the whole blocks of one that is given up.
struct Moving<'a> {
    vault: &'a Vault,
    seen: HashSet<ChunkId>,
    open: Option<OpenPack>,
    sealed: Vec<Sealed>,
}

impl Moving<'_> {
    /// Also from packs that were swept and whose files are still there: what was merged into this one lies in them.
    fn all_of(&mut self, copies: &Copies, candidates: Option<&HashSet<ChunkId>>) -> Result<()> {
        for file in &copies.packs {
            self.blocks_of(file.as_ref(), |_| true)?;
        }
        for name in self.vault.catalog.packs.left_to_sweep() {
            let all = self.vault.members.all();
            let readable = all.iter().filter(|member| member.is_readable());
            for file in readable.filter_map(|member| member.disk.open(&packs::path(&name)).ok()) {
                self.blocks_of(file.as_ref(), |id| candidates.is_none_or(|lost| lost.contains(id)))?;
            }
        }
        self.seal()
    }

    fn blocks_of(&mut self, file: &dyn DiskFile, is_wanted: impl Fn(&ChunkId) -> bool) -> Result<()> {
        blocks::for_each_whole(file, |block, names| {
            // What another pack lists may be damaged there, and this copy is in hand.
            let is_had = |id: &ChunkId| self.vault.is_held(id) && self.vault.read_wherever(id).is_ok();
            if !names.iter().any(|id| is_wanted(id) && !self.seen.contains(id) && !is_had(id)) {
                return Ok(());
            }
            self.seen.extend(names.iter().copied());
            if self.open.as_ref().is_some_and(|pack| pack.is_full(names.len())) {
                self.seal()?;
            }
            let members = &self.vault.members;
            let pack = match &mut self.open {
                Some(pack) => pack,
                None => self.open.insert(OpenPack::create(members, self.vault.catalog.packs.salt())?),
            };
            pack.append(members, block, names)
        })
    }

    fn seal(&mut self) -> Result<()> {
        let sealed = self.open.take().map(|pack| pack.seal(&self.vault.members)).transpose()?;
        self.sealed.extend(sealed);
        Ok(())
    }

    /// On a full disk what was begun takes the room that others are to work in.
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            open.abandon(&self.vault.members);
        }
    }
}
